//! Tables with so small a capacity that they turn requests away. The library makes tables that are paid by request;
//! those that its older versions made, or somebody by hand, may still have the capacity that they began with.

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

/// What is wrong with the capacity of a table and of its indexes; of the daemon's own table, where none of the
/// application's is named.
pub(super) fn findings(table: Option<Table>, state: &TableState) -> Option<Finding> {
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
    let hurt = match table {
        Some(table) if LOGIN.contains(&table) => ", logins among it",
        Some(_) => "",
        None => ", leases among it",
    };
    let what = format!(
        "{name} is provisioned with less than {USUAL} units a second, and nothing is seen to regulate that: {}; what \
         needs more is turned away{hurt}",
        small.join(", ")
    );
    let Some(table) = table else {
        let remedy = format!("run `aws dynamodb update-table --table-name {name} --billing-mode PAY_PER_REQUEST`");
        return Some(Finding::new(Check::BillingMode, name, what, remedy));
    };
    let remedy = "run `actingweb-maintd index check --repair`, or write repair = [\"billing_mode\"] below \
                  [jobs.index_health]: then it is paid by request, as the library makes its tables; or give it more \
                  units";
    Some(Finding::new(Check::BillingMode, name, what, remedy).with_cure(Cure::PayPerRequest { table }))
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
