//! Tables with so small a capacity that they turn requests away. The library makes tables that are paid by request;
//! those that its older versions made, or somebody by hand, may still have the capacity that they began with.

use super::Whose;
use crate::health::{Cure, Finding};
use crate::metrics::Check;
use crate::model::Table;
use crate::storage::dynamodb::{Capacity, TableState};

/// What AWS gives to a new table for which nobody chooses anything. With less it was made small, and forgotten.
const USUAL: u64 = 5;

/// What every login reads.
const LOGIN: [Table; 4] = [Table::Actors, Table::Properties, Table::PropertyLookup, Table::Trusts];

/// Whether a capacity is a small one that nobody looks after. Whether something regulates it is only seen by what was
/// done: what has been raised and lowered will be again.
fn is_small(capacity: Capacity) -> bool {
    !capacity.has_moved && (capacity.read < USUAL || capacity.write < USUAL)
}

/// What is wrong with the capacity of a table and of its indexes.
pub(super) fn findings(whose: Whose, state: &TableState) -> Option<Finding> {
    let name = &state.name;
    let of_table = state.capacity.map(|capacity| (format!("the table {name}"), capacity));
    let of_indexes = state.indexes.iter();
    let of_indexes = of_indexes.filter_map(|index| Some((format!("its index `{}`", index.name), index.capacity?)));
    let small: Vec<String> = of_table
        .into_iter()
        .chain(of_indexes)
        .filter(|(_, capacity)| is_small(*capacity))
        .map(|(of, Capacity { read, write, .. })| format!("{of} with {read} for reading and {write} for writing"))
        .collect();
    if small.is_empty() {
        return None;
    }
    let hurt = match whose {
        Whose::Application(table) if LOGIN.contains(&table) => ", logins among it",
        Whose::Application(_) => "",
        Whose::FirstLookup => {
            ", logins among it: the library asks it for whatever the second look-up table does not have, and takes a \
             refusal for \"there is no such actor\""
        }
        Whose::Own => ", leases among it",
    };
    let what = format!(
        "{name} is provisioned with less than {USUAL} units a second, and nothing is seen to regulate that: {}; what \
         needs more is turned away{hurt}",
        small.join(", ")
    );
    let by_hand = format!("run `aws dynamodb update-table --table-name {name} --billing-mode PAY_PER_REQUEST`");
    Some(match whose {
        Whose::Application(table) => {
            let remedy = "run `actingweb-maintd index check --repair`, or write repair = [\"billing_mode\"] below \
                          [jobs.index_health]: then it is paid by request, as the library makes its tables; or give \
                          it more units";
            Finding::new(Check::BillingMode, name, what, remedy).with_cure(Cure::PayPerRequest { table })
        }
        Whose::FirstLookup => {
            let remedy = format!(
                "{by_hand}; or delete it, when `actingweb-maintd lookup check` finds nothing and no process of the \
                 application is older than ActingWeb 3.13"
            );
            Finding::new(Check::BillingMode, name, what, remedy)
        }
        Whose::Own => Finding::new(Check::BillingMode, name, what, by_hand),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing but the numbers counts, so that the same table is always told the same.
    #[test]
    fn small_is_less_than_usual_where_nothing_regulates() {
        let of = |read, write, has_moved| is_small(Capacity { read, write, has_moved });
        assert!(of(1, 1, false) && of(4, 100, false) && of(100, 4, false));
        assert!(!of(5, 5, false) && !of(1, 1, true) && !of(4000, 4000, false));
    }
}
