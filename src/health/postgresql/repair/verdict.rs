//! What is to be done with a repair that nobody works at any more, by what the table looks like.

use crate::storage::postgres::{IndexSeen, Repair, RepairStep, TableSeen};

/// The longest name that PostgreSQL gives, but for what it may cut off of a character.
const LONGEST: usize = 60;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is at its end: the index is there, with so many bytes.
    Finished(u64),
    /// It is at its end: nothing of it is there.
    Nothing,
    /// What was made gets its name.
    Rename(String),
    /// This index is what is left of it.
    Remove(String),
    /// Nobody can tell what is ours, and nobody will.
    GiveUp(String),
    /// It cannot be told yet, as somebody else is at work.
    Later(String),
}

/// What comes next of a repair.
pub(super) fn next(repair: &Repair, table: &TableSeen) -> Next {
    // Restored or copied, with a table that only has the same name.
    if table.oid != Some(repair.table_oid) {
        return Next::Nothing;
    }
    match &repair.own_name {
        Some(own) => of_made(repair, own, table),
        None => of_rebuilt(repair, table),
    }
}

fn of_made(repair: &Repair, own: &str, table: &TableSeen) -> Next {
    let added = |name: &str| table.indexes.iter().find(|index| index.name == name && is_new(repair, index));
    match added(own) {
        Some(made) if made.is_valid && repair.step != RepairStep::Removing => Next::Rename(made.name.clone()),
        Some(made) => Next::Remove(made.name.clone()),
        None => match added(&repair.index) {
            Some(made) if repair.step == RepairStep::Renaming && made.is_valid => Next::Finished(made.bytes),
            _ => Next::Nothing,
        },
    }
}

fn of_rebuilt(repair: &Repair, table: &TableSeen) -> Next {
    let by_oid = |oid: Option<u32>| table.indexes.iter().find(|index| Some(index.oid) == oid);
    let old = by_oid(repair.old_index);
    let named = table.indexes.iter().find(|index| index.name == repair.index);
    let replaced = named.filter(|named| named.is_valid && Some(named.oid) != repair.old_index);
    // The new one has its name and its place; the old one was to go.
    if let (Some(old), Some(_)) = (old, replaced)
        && is_leftover(repair, old, "ccold")
    {
        return remove(old);
    }
    let leftover = match repair.new_index {
        Some(_) => by_oid(repair.new_index).filter(|new| is_leftover(repair, new, "ccnew")).map(remove),
        None => old.and_then(|_| unseen(repair, table)),
    };
    leftover.unwrap_or_else(|| match replaced {
        Some(replaced) if old.is_none() => Next::Finished(replaced.bytes),
        _ => Next::Nothing,
    })
}

/// What to remove when nobody saw what was built, before it was cut off.
fn unseen(repair: &Repair, table: &TableSeen) -> Option<Next> {
    let candidates: Vec<&IndexSeen> = table
        .indexes
        .iter()
        .filter(|index| is_new(repair, index) && is_leftover(repair, index, "ccnew") && !index.is_held)
        .collect();
    match candidates.as_slice() {
        [] => None,
        [index] if table.is_worked_at => Some(Next::Later(format!(
            "somebody else works at the table {}, so that nobody can tell yet whose the index {} is",
            repair.table.name(),
            index.name
        ))),
        [index] => Some(Next::Remove(index.name.clone())),
        several => {
            let names: Vec<&str> = several.iter().map(|index| index.name.as_str()).collect();
            Some(Next::GiveUp(format!(
                "one of the invalid indexes {} is what was left of it, and nobody can tell which: drop those that \
                 nobody builds, with DROP INDEX CONCURRENTLY",
                names.join(", ")
            )))
        }
    }
}

fn remove(index: &IndexSeen) -> Next {
    if index.is_held {
        return Next::Later(format!("somebody else works at the index {}", index.name));
    }
    Next::Remove(index.name.clone())
}

fn is_new(repair: &Repair, index: &IndexSeen) -> bool {
    !repair.beside.contains(&index.oid)
}

/// Whether an index looks like one that a rebuild leaves when it is cut off: out of use, and named by the server after
/// the index of the repair.
fn is_leftover(repair: &Repair, index: &IndexSeen, ending: &str) -> bool {
    let named = index.name.rsplit_once('_').filter(|(stem, end)| {
        let number = end.strip_prefix(ending);
        let is_whole = *stem == repair.index;
        let is_cut = repair.index.starts_with(stem) && index.name.len() >= LONGEST;
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) && (is_whole || is_cut)
    });
    !index.is_valid && named.is_some()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::model::Table;

    const TABLE: u32 = 1;
    const OLD: u32 = 10;
    const NEW: u32 = 20;

    fn rebuilt(new_index: Option<u32>) -> Repair {
        Repair {
            id: Uuid::nil(),
            finding: "index_bloat".to_owned(),
            table: Table::Trusts,
            table_oid: TABLE,
            index: "ix".to_owned(),
            own_name: None,
            old_index: Some(OLD),
            beside: vec![OLD, 11],
            new_index,
            backend: (1, DateTime::UNIX_EPOCH),
            step: RepairStep::Building,
            bytes_before: None,
        }
    }

    fn made(step: RepairStep) -> Repair {
        let own_name = Some("maintd_1".to_owned());
        Repair { own_name, old_index: None, step, beside: vec![11], ..rebuilt(None) }
    }

    fn index(oid: u32, name: &str, is_valid: bool) -> IndexSeen {
        IndexSeen { oid, name: name.to_owned(), is_valid, is_held: false, bytes: 8192 }
    }

    fn table(indexes: &[IndexSeen]) -> TableSeen {
        TableSeen { oid: Some(TABLE), is_worked_at: false, indexes: indexes.to_vec() }
    }

    fn removes(name: &str) -> Next {
        Next::Remove(name.to_owned())
    }

    #[test]
    fn what_was_built_and_not_put_in_its_place_is_removed() {
        let (old, new) = (index(OLD, "ix", true), index(NEW, "ix_ccnew", false));
        for known in [Some(NEW), None] {
            assert_eq!(next(&rebuilt(known), &table(&[old.clone(), new.clone()])), removes("ix_ccnew"));
            assert_eq!(next(&rebuilt(known), &table(std::slice::from_ref(&old))), Next::Nothing);
        }
        // An index that was out of use before is rebuilt as well, and stays what it was.
        assert_eq!(next(&rebuilt(Some(NEW)), &table(&[index(OLD, "ix", false), new])), removes("ix_ccnew"));
    }

    #[test]
    fn what_was_replaced_is_removed_and_the_repair_is_done() {
        let (old, new) = (index(OLD, "ix_ccold", false), index(NEW, "ix", true));
        for known in [Some(NEW), None] {
            assert_eq!(next(&rebuilt(known), &table(&[old.clone(), new.clone()])), removes("ix_ccold"));
            assert_eq!(next(&rebuilt(known), &table(std::slice::from_ref(&new))), Next::Finished(8192));
        }
        let held = IndexSeen { is_held: true, ..old };
        assert!(matches!(next(&rebuilt(None), &table(&[held, new])), Next::Later(_)));
    }

    #[test]
    fn what_others_left_is_never_removed() {
        let old = index(OLD, "ix", true);
        for foreign in [
            // It was there before.
            index(11, "ix_ccnew", false),
            // It is another kind of name, or of another index.
            index(30, "ix_ccnewer", false),
            index(30, "ix_ccnew_1", false),
            index(30, "other_ccnew", false),
            index(30, "i_ccnew", false),
            index(30, "maintd_1", false),
            // It is in use.
            index(30, "ix_ccnew1", true),
            // Somebody builds it.
            IndexSeen { is_held: true, ..index(30, "ix_ccnew1", false) },
        ] {
            assert_eq!(next(&rebuilt(None), &table(&[old.clone(), foreign.clone()])), Next::Nothing, "{foreign:?}");
            let new = index(NEW, "ix_ccnew2", false);
            let both = table(&[old.clone(), foreign.clone(), new]);
            assert_eq!(next(&rebuilt(None), &both), removes("ix_ccnew2"), "{foreign:?}");
        }
        // What is known by its number is told from what only has such a name.
        let several = table(&[old, index(30, "ix_ccnew", false), index(NEW, "ix_ccnew1", false)]);
        assert!(matches!(next(&rebuilt(None), &several), Next::GiveUp(_)));
        assert_eq!(next(&rebuilt(Some(NEW)), &several), removes("ix_ccnew1"));
    }

    #[test]
    fn nobody_guesses_while_somebody_else_is_at_work() {
        let seen = table(&[index(OLD, "ix", true), index(30, "ix_ccnew", false)]);
        let busy = TableSeen { is_worked_at: true, ..seen };
        assert!(matches!(next(&rebuilt(None), &busy), Next::Later(_)));
        assert_eq!(next(&rebuilt(Some(30)), &busy), removes("ix_ccnew"));
    }

    #[test]
    fn long_names_are_cut_by_the_server() {
        let long = Repair { index: "a".repeat(63), ..rebuilt(None) };
        let (old, new) = (index(OLD, &long.index, true), format!("{}_ccnew", "a".repeat(57)));
        assert_eq!(next(&long, &table(&[old, index(NEW, &new, false)])), removes(&new));
    }

    #[test]
    fn what_was_made_gets_its_name_or_goes() {
        let (valid, invalid) = (index(NEW, "maintd_1", true), index(NEW, "maintd_1", false));
        for step in [RepairStep::Building, RepairStep::Renaming] {
            assert_eq!(next(&made(step), &table(std::slice::from_ref(&valid))), Next::Rename("maintd_1".to_owned()));
            assert_eq!(next(&made(step), &table(std::slice::from_ref(&invalid))), removes("maintd_1"));
            assert_eq!(next(&made(step), &table(&[])), Next::Nothing);
        }
        assert_eq!(next(&made(RepairStep::Removing), &table(&[valid])), removes("maintd_1"));
        assert_eq!(next(&made(RepairStep::Renaming), &table(&[index(NEW, "ix", true)])), Next::Finished(8192));
        // Made by somebody else meanwhile.
        assert_eq!(next(&made(RepairStep::Building), &table(&[index(NEW, "ix", true)])), Next::Nothing);
        // There before, whatever its name.
        assert_eq!(next(&made(RepairStep::Building), &table(&[index(11, "maintd_1", false)])), Next::Nothing);
    }

    #[test]
    fn a_table_that_only_has_the_same_name_is_left_alone() {
        let seen = table(&[index(OLD, "ix", true), index(NEW, "ix_ccnew", false)]);
        let copied = TableSeen { oid: Some(2), ..seen };
        assert_eq!(next(&rebuilt(Some(NEW)), &copied), Next::Nothing);
    }
}
