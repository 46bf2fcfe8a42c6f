//! Tables with so small a capacity that they turn requests away. The library makes tables that are paid by request;
//! those that its older versions made, or somebody by hand, may still have the capacity that they began with.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Whose, index_object};
use crate::health::{Cure, Finding};
use crate::metrics::Check;
use crate::model::Table;
use crate::storage::dynamodb::{Capacity, TableState};

/// What AWS gives to a new table for which nobody chooses anything. With less it was made small, and forgotten.
const USUAL: u64 = 5;

/// What has been moved within this time is looked after.
const REGULATED: TimeDelta = TimeDelta::days(30);

/// Whether something regulates a capacity, which is only seen by what it did: what was raised or lowered of late, will be
/// again. What was moved years ago, was perhaps moved by hand.
pub(super) fn is_regulated(capacity: Capacity, now: DateTime<Utc>) -> bool {
    capacity.raised_at.max(capacity.lowered_at).is_some_and(|moved| now.signed_duration_since(moved) <= REGULATED)
}

/// Whether a capacity is a small one that nobody looks after.
fn is_small(capacity: Capacity, now: DateTime<Utc>) -> bool {
    !is_regulated(capacity, now) && (capacity.read < USUAL || capacity.write < USUAL)
}

/// What is wrong with the capacity of a table and of its indexes.
pub(super) fn findings(whose: Whose, state: &TableState, now: DateTime<Utc>) -> Vec<Finding> {
    let small_indexes = state.indexes.iter().filter_map(|index| {
        let capacity = index.capacity.filter(|capacity| is_small(*capacity, now))?;
        Some((index.name.as_str(), capacity))
    });
    if state.capacity.is_some_and(|capacity| is_regulated(capacity, now)) {
        return small_indexes.map(|(index, capacity)| of_index(whose, state, index, capacity)).collect();
    }
    let name = &state.name;
    let of_table = state.capacity.filter(|capacity| is_small(*capacity, now));
    let of_table = of_table.map(|capacity| format!("the table {name} {}", in_words(capacity)));
    let of_indexes = small_indexes.map(|(index, capacity)| format!("its index `{index}` {}", in_words(capacity)));
    let small: Vec<String> = of_table.into_iter().chain(of_indexes).collect();
    if small.is_empty() {
        return Vec::new();
    }
    let what = format!(
        "{name} is provisioned with less than {USUAL} units a second, and nothing is seen to regulate that: {}; what \
         needs more is turned away{}",
        small.join(", "),
        hurt(whose)
    );
    let by_hand = format!("run `aws dynamodb update-table --table-name {name} --billing-mode PAY_PER_REQUEST`");
    let finding = match whose {
        Whose::Application(table) => {
            let remedy = "run `actingweb-maintd index check --repair`, or write repair = [\"billing_mode\"] below \
                          [jobs.index_health]: then it is paid by request, as the library makes its tables; or give \
                          it more units. If Application Auto Scaling regulates it and had nothing to do yet, \
                          acknowledge this";
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
    };
    vec![finding]
}

/// That an index has less than it needs, of a table that is regulated: which is not to be paid in another way for that.
fn of_index(whose: Whose, state: &TableState, index: &str, capacity: Capacity) -> Finding {
    let name = &state.name;
    let what = format!(
        "the index `{index}` of the table {name} is provisioned {}, and nothing is seen to regulate that, unlike the \
         table: what is written to the table is turned away when the index has no capacity for it{}",
        in_words(capacity),
        hurt(whose)
    );
    let remedy = format!(
        "have Application Auto Scaling regulate the index as well: `aws application-autoscaling \
         register-scalable-target --service-namespace dynamodb --resource-id table/{name}/index/{index}` with \
         dynamodb:index:ReadCapacityUnits and dynamodb:index:WriteCapacityUnits, and a policy for each; if it does so \
         already and had nothing to do yet, acknowledge this"
    );
    Finding::new(Check::BillingMode, index_object(state, index), what, remedy)
}

/// What else than its own work suffers from a small capacity.
const fn hurt(whose: Whose) -> &'static str {
    match whose {
        Whose::Application(Table::Actors | Table::Properties | Table::PropertyLookup | Table::Trusts) => {
            ", logins among it"
        }
        Whose::Application(_) => "",
        Whose::FirstLookup => {
            ", logins among it: the library asks it for whatever the second look-up table does not have, and takes a \
             refusal for \"there is no such actor\""
        }
        Whose::Own => ", leases among it",
    }
}

fn in_words(Capacity { read, write, .. }: Capacity) -> String {
    format!("with {read} for reading and {write} for writing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(read: u64, write: u64) -> Capacity {
        Capacity { read, write, raised_at: None, lowered_at: None }
    }

    /// Nothing but the numbers and the last move count, so that the same table is always told the same.
    #[test]
    fn small_is_less_than_usual_where_nothing_regulates() {
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        let small = |capacity| is_small(capacity, now);
        assert!(small(of(1, 1)) && small(of(4, 100)) && small(of(100, 4)));
        assert!(!small(of(5, 5)) && !small(of(4000, 4000)));
        let raised = |at: &str| Capacity { raised_at: Some(at.parse().unwrap()), ..of(1, 1) };
        let lowered = |at: &str, capacity| Capacity { lowered_at: Some(at.parse().unwrap()), ..capacity };
        // Either is enough, and what was done years ago says nothing.
        assert!(!small(raised("2026-10-29T12:00:00Z")) && !small(lowered("2026-10-29T12:00:00Z", of(1, 1))));
        assert!(small(raised("2026-10-29T11:59:59Z")) && small(lowered("2026-10-29T11:59:59Z", of(1, 1))));
        assert!(!small(lowered("2026-11-28T11:00:00Z", raised("2020-01-01T00:00:00Z"))));
        assert!(small(lowered("2020-01-02T00:00:00Z", raised("2020-01-01T00:00:00Z"))));
    }
}
