//! What must be so before a repair is begun.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::super::vitals::loses_rows;
use super::Plan;
use crate::archive::{free_space, in_mebibytes};
use crate::health::{RepairLimits, Visit};
use crate::model::setting::Span;
use crate::storage::postgres::{Nearness, Postgres, Room, quote_identifier as quoted};
use crate::storage::{Pressure, Result};
use crate::throttle;

/// How many times its own size an index takes while it is built: what is sorted lies on the disk as well.
const GROWTH: u64 = 2;

/// The server writes down when it was started a little earlier than it says.
const SAME_START: u64 = 5;

/// What was found.
#[derive(Debug)]
pub(super) enum Gate {
    /// A repair may begin.
    Open(Box<Room>),
    /// Not now, or not at all, and why.
    Closed(String),
}

/// Whether a repair may begin now.
///
/// # Errors
///
/// When the server does not answer.
pub(super) async fn look(store: &Postgres, visit: Visit<'_>, plan: &Plan<'_>) -> Result<Gate> {
    let Visit { limits, throttle, .. } = visit;
    let table = plan.table.name();
    let Some(room) = store.repair_room(plan.table, plan.index, limits.long_transaction).await? else {
        return Ok(Gate::Closed(format!("there is no table {table} any more")));
    };
    let closed = loses_rows(room.version)
        .map(str::to_owned)
        .or_else(|| privileges(&room, plan))
        .or_else(|| presence(&room, plan))
        .or_else(|| transactions(&room, limits.long_transaction));
    if let Some(why) = closed {
        return Ok(Gate::Closed(why));
    }
    if let Some(why) = space(plan, &room, limits, free_where_it_is(&room).await) {
        return Ok(Gate::Closed(why));
    }
    let objection = match store.strain(Some(plan.table), &throttle.ignored_replicas).await {
        Ok(strain) => throttle::objection(throttle, &strain),
        Err(error) => Some(format!("nobody can tell how others are: {}", error.chain())),
    };
    Ok(objection.map_or_else(|| Gate::Open(Box::new(room)), Gate::Closed))
}

/// Whoever may not remove an index must not make one: what is cut off stays.
fn privileges(room: &Room, plan: &Plan<'_>) -> Option<String> {
    let (role, owner, is_owner) = &room.owner;
    let role = quoted(role);
    if !is_owner {
        return Some(format!(
            "only the owner of the table {} may replace and remove its indexes: GRANT {} TO {role}",
            plan.table.name(),
            quoted(owner)
        ));
    }
    // The server has quoted it already, where it has to be.
    let (schema, may_create) = &room.schema;
    (plan.makes.is_some() && !may_create)
        .then(|| format!("{role} may not make an index in the schema: GRANT CREATE ON SCHEMA {schema} TO {role}"))
}

fn presence(room: &Room, plan: &Plan<'_>) -> Option<String> {
    let (index, table) = (plan.index, plan.table.name());
    match (plan.makes, room.index, room.taken) {
        (Some(_), _, Some(_)) => Some(format!(
            "the name {index} is taken by something else: rename that, with ALTER INDEX {}.{} RENAME TO …, or drop it",
            room.schema.0,
            quoted(index)
        )),
        (None, None, _) => Some(format!("there is no index {index} on the table {table} any more")),
        (None, Some((oid, _)), _) if plan.oid.is_some_and(|looked_at| looked_at != i64::from(oid)) => Some(format!(
            "the index {index} is not the one any more that was looked at: somebody has built it anew, or replaced it"
        )),
        _ => None,
    }
}

/// What builds beside the application waits for everybody who began earlier, and others wait behind it.
fn transactions(room: &Room, most: Duration) -> Option<String> {
    let most = Span(most);
    if let Some((process, age)) = room.oldest {
        return Some(format!(
            "the transaction of process {process} is {} old, and a repair waits for it; it may be {most} old \
             (jobs.index_health.long_transaction)",
            Span(age)
        ));
    }
    let (name, age) = room.prepared.as_ref()?;
    Some(format!(
        "the prepared transaction `{name}` is {} old and holds the table: COMMIT PREPARED or ROLLBACK PREPARED it",
        Span(*age)
    ))
}

/// An index that is made, or that was never built to its end, is not larger than its table's rows.
fn bytes_of(plan: &Plan<'_>, room: &Room) -> u64 {
    match (plan.makes, room.index) {
        (None, Some((_, bytes))) if room.is_valid => plan.measured.unwrap_or(bytes),
        (None, Some((_, bytes))) => bytes.max(room.table_bytes),
        _ => room.table_bytes,
    }
}

fn space(plan: &Plan<'_>, room: &Room, limits: &RepairLimits, free: Option<u64>) -> Option<String> {
    let bytes = bytes_of(plan, room);
    let most = if plan.makes.is_some() || !room.is_valid { " at most" } else { "" };
    match free {
        Some(free) => {
            let needed = bytes.saturating_mul(GROWTH).saturating_add(limits.keep_free);
            (free < needed).then(|| {
                format!(
                    "{} are free where the server keeps the index, and {} are needed: twice what it takes, and {} that \
                     are to stay free (jobs.index_health.keep_free)",
                    in_mebibytes(free),
                    in_mebibytes(needed),
                    in_mebibytes(limits.keep_free)
                )
            })
        }
        None => (bytes > limits.unseen_space).then(|| {
            format!(
                "the index takes {}{most}, and nobody can see from here how much space the server has left: see for \
                 yourself, and raise jobs.index_health.unseen_space, which is {}",
                in_mebibytes(bytes),
                in_mebibytes(limits.unseen_space)
            )
        }),
    }
}

/// The free bytes where the server keeps the index; none unless that is surely on this machine.
async fn free_where_it_is(room: &Room) -> Option<u64> {
    let (nearness, directory, started) = (room.nearness.clone(), room.directory.clone()?, room.started);
    // A file system may take long to answer.
    let looked = tokio::task::spawn_blocking(move || {
        let is_here = match nearness {
            Nearness::Socket(socket) => socket.exists() && directory.is_dir(),
            Nearness::Loopback => was_started_here(&directory, started),
            Nearness::Elsewhere => false,
        };
        is_here.then(|| free_space(&directory).ok()).flatten()
    });
    looked.await.ok().flatten()
}

/// Whether the server with its files in `directory` was started when the one was that answers us: another that is reached
/// through a tunnel was not.
fn was_started_here(directory: &Path, started: i64) -> bool {
    let told = fs::read_to_string(directory.join("postmaster.pid")).ok();
    let written = told.and_then(|text| text.lines().nth(2).and_then(|line| line.trim().parse::<i64>().ok()));
    written.is_some_and(|written| written.abs_diff(started) <= SAME_START)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Table;
    use crate::model::expected::indexes;

    fn limits() -> RepairLimits {
        let (lock_wait, long_transaction) = (Duration::from_secs(1), Duration::from_secs(1));
        RepairLimits { lock_wait, long_transaction, unseen_space: 1 << 30, keep_free: 100 << 20 }
    }

    fn room(table_bytes: u64, index_bytes: u64) -> Room {
        Room {
            version: 150_014,
            table: 1,
            table_bytes,
            page: 8192,
            index: Some((2, index_bytes)),
            is_valid: true,
            taken: Some(2),
            beside: vec![2],
            owner: ("maintd".to_owned(), "app".to_owned(), true),
            schema: ("public".to_owned(), true),
            nearness: Nearness::Elsewhere,
            directory: None,
            started: 0,
            oldest: None,
            prepared: None,
        }
    }

    #[test]
    fn an_index_that_was_replaced_since_is_not_built_anew() {
        let rebuilt = |oid| Plan { table: Table::Trusts, index: "ix", oid: Some(oid), makes: None, measured: None };
        assert_eq!(presence(&room(0, 0), &rebuilt(2)), None);
        let why = presence(&room(0, 0), &rebuilt(3)).unwrap();
        assert!(why.contains("was looked at"), "{why}");
    }

    #[test]
    fn statements_to_paste_hold_names_as_the_server_takes_them() {
        let index = &indexes(Table::Trusts, 7)[0];
        let made = Plan { table: Table::Trusts, index: index.name, oid: None, makes: Some(index), measured: None };
        let (role, owner) = ("main-tainer".to_owned(), "My \"app\"".to_owned());
        let stranger = Room { owner: (role.clone(), owner.clone(), false), ..room(0, 0) };
        let why = privileges(&stranger, &made).unwrap();
        assert!(why.ends_with("GRANT \"My \"\"app\"\"\" TO \"main-tainer\""), "{why}");
        let schema = ("\"my-app\"".to_owned(), false);
        let unable = Room { owner: (role, owner, true), schema, ..room(0, 0) };
        let why = privileges(&unable, &made).unwrap();
        assert!(why.ends_with("GRANT CREATE ON SCHEMA \"my-app\" TO \"main-tainer\""), "{why}");
        let why = presence(&unable, &made).unwrap();
        assert!(why.contains(&format!("ALTER INDEX \"my-app\".\"{}\" RENAME", index.name)), "{why}");
    }

    #[test]
    fn an_index_needs_twice_its_size_beside_what_is_to_stay_free() {
        let rebuilt = |measured| Plan { table: Table::Trusts, index: "ix", oid: Some(2), makes: None, measured };
        let room = room(9 << 30, 400 << 20);
        assert_eq!(space(&rebuilt(None), &room, &limits(), Some(900 << 20)), None);
        let why = space(&rebuilt(None), &room, &limits(), Some((900 << 20) - 1)).unwrap();
        assert!(why.contains("900.0 MiB") && why.contains("keep_free"), "{why}");
        assert_eq!(space(&rebuilt(Some(100 << 20)), &room, &limits(), Some(300 << 20)), None);
    }

    #[test]
    fn large_indexes_are_not_built_where_nobody_sees_the_space() {
        let rebuilt = Plan { table: Table::Trusts, index: "ix", oid: Some(2), makes: None, measured: None };
        assert_eq!(space(&rebuilt, &room(9 << 30, 1 << 30), &limits(), None), None);
        let why = space(&rebuilt, &room(9 << 30, (1 << 30) + 1), &limits(), None).unwrap();
        assert!(why.contains("unseen_space"), "{why}");
        let index = &indexes(Table::Trusts, 7)[0];
        let made = Plan { table: Table::Trusts, index: index.name, oid: None, makes: Some(index), measured: None };
        let why = space(&made, &room(9 << 30, 0), &limits(), None).unwrap();
        assert!(why.contains("9216.0 MiB at most"), "{why}");
    }
    #[test]
    fn an_index_that_was_never_built_to_its_end_may_become_as_large_as_its_table() {
        let rebuilt = Plan { table: Table::Trusts, index: "ix", oid: Some(2), makes: None, measured: None };
        let room = Room { is_valid: false, ..room(9 << 30, 8192) };
        let why = space(&rebuilt, &room, &limits(), None).unwrap();
        assert!(why.contains("9216.0 MiB at most"), "{why}");
        let why = space(&rebuilt, &room, &limits(), Some(18 << 30)).unwrap();
        assert!(why.contains("keep_free"), "{why}");
        assert_eq!(space(&rebuilt, &room, &limits(), Some(19 << 30)), None);
        // What is left of one that was in use may be larger still.
        let room = Room { index: Some((2, 10 << 30)), ..room };
        assert!(space(&rebuilt, &room, &limits(), Some(19 << 30)).is_some());
    }
}
