//! Curing what DynamoDB lets be cured: an index is made, attributes expire, a table is paid by request. Nothing is ever
//! taken away, and no capacity lowered.
//!
//! Each is one request, after which DynamoDB goes on by itself; whoever is stopped meanwhile leaves nothing behind that
//! anybody must clean up. Before and after it the table is looked at anew: somebody else may have been faster, and when
//! an answer is lost, only the table tells what has happened.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::{capacity, tables};
use crate::health::{Cure, Finding, Visit};
use crate::model::layout::TTL_ATTRIBUTE;
use crate::model::{Table, clock};
use crate::storage::dynamodb::{Alteration, Capacity, DynamoDb, TableState};
use crate::storage::{Error, ErrorKind, NativeExpiry, NativeTtl, Result};
use crate::work::{RepairOutcome, Repaired};

/// How often it is asked whether DynamoDB is done.
const POLL: Duration = Duration::from_secs(1);

/// How often in a row a table may be described as it was before a change: descriptions lag behind a little.
const UNSEEN: u32 = 30;

/// Within this time AWS lets a table be switched to be paid by request once; of late, a few times.
const SWITCHES: TimeDelta = TimeDelta::hours(24);

/// How a repair ended, and in words.
type Ended = (RepairOutcome, String);

/// Cures a finding.
pub(in crate::health) async fn repair(
    store: &DynamoDb,
    visit: Visit<'_>,
    finding: &Finding,
    cure: &Cure,
) -> Result<Repaired> {
    let begun = Instant::now();
    let (outcome, what) = match cure {
        Cure::CreateSecondaryIndex { table } => create_index(store, visit, *table).await?,
        Cure::PayPerRequest { table } => pay_by_request(store, visit, *table).await?,
        Cure::EnableTimeToLive => expire(store).await,
        Cure::CreateIndex { .. } | Cure::RebuildIndex { .. } => {
            (RepairOutcome::Failed, "DynamoDB has no such index".to_owned())
        }
    };
    Ok(Repaired {
        kind: finding.check.name().to_owned(),
        object: finding.object.clone(),
        outcome,
        what,
        bytes_before: None,
        bytes_expected: None,
        bytes_after: None,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Makes the index that a table must have.
async fn create_index(store: &DynamoDb, visit: Visit<'_>, table: Table) -> Result<Ended> {
    let name = store.table_name(table);
    let Some(expected) = store.expected_index(table) else {
        return Ok((RepairOutcome::Failed, format!("the table {name} has no index to have")));
    };
    let is_there = |state: &TableState| state.index(expected.name).is_some();
    let answer = match changeable(store, table, is_there).await? {
        Changeable::Yes(state) => {
            if let Some(capacity) = state.capacity.filter(|capacity| capacity::is_regulated(*capacity, clock::now())) {
                return Ok((RepairOutcome::PutOff, unregulated(&state.name, capacity, expected.name)));
            }
            store.create_index(table).await
        }
        Changeable::Already => Ok(Alteration::Begun),
        Changeable::No(ended) => return Ok(ended),
    };
    let too_much = |said: String, _: Option<TableState>| said;
    if let Some(ended) = refusal(store, table, answer, is_there, too_much).await? {
        return Ok(ended);
    }
    let index = format!("the index `{}` of the table {name}", expected.name);
    let is_built = |state: &TableState| {
        state.index(expected.name).is_some_and(|index| index.status == "ACTIVE" && !index.is_backfilling)
    };
    Ok(match wait_until(store, visit, table, is_there, is_built).await? {
        Waited::Done(state) => {
            let capacity = state.index(expected.name).and_then(|index| index.capacity);
            (RepairOutcome::Done, format!("{index} was made{}", capacity.map(given).unwrap_or_default()))
        }
        Waited::Undone => (RepairOutcome::Failed, format!("somebody has deleted {index}")),
        Waited::Stopped => (RepairOutcome::GoingOn, format!("DynamoDB goes on building {index}")),
    })
}

/// Why no index is made of a table whose capacity is regulated: what it would be given, it would keep.
fn unregulated(table: &str, Capacity { read, write, .. }: Capacity, index: &str) -> String {
    format!(
        "something regulates the capacity of the table {table}, and nothing would regulate the index's, which would keep \
         the {read} units for reading and {write} for writing that the table has at this moment: have the table paid by \
         request first (`aws dynamodb update-table --table-name {table} --billing-mode PAY_PER_REQUEST`) and repair \
         again, or make the index by hand and register table/{table}/index/{index} with Application Auto Scaling"
    )
}

/// What an index was given, in words.
fn given(Capacity { read, write, .. }: Capacity) -> String {
    format!(
        ", with {read} units for reading and {write} for writing as the table has; nothing regulates them, and where they are \
         too few, what is written to the table is turned away"
    )
}

/// Has a table paid by request.
async fn pay_by_request(store: &DynamoDb, visit: Visit<'_>, table: Table) -> Result<Ended> {
    let is_paid = |state: &TableState| state.capacity.is_none();
    let answer = match changeable(store, table, is_paid).await? {
        Changeable::Yes(_) => store.pay_by_request(table).await,
        Changeable::Already => Ok(Alteration::Begun),
        Changeable::No(ended) => return Ok(ended),
    };
    let too_much = |said: String, state: Option<TableState>| {
        let since = state.and_then(|state| state.by_request_since);
        since.map_or(said.clone(), |since| again(&said, since))
    };
    if let Some(ended) = refusal(store, table, answer, is_paid, too_much).await? {
        return Ok(ended);
    }
    let name = format!("the table {}", store.table_name(table));
    let is_switched = |state: &TableState| is_paid(state) && state.status == "ACTIVE";
    Ok(match wait_until(store, visit, table, is_paid, is_switched).await? {
        Waited::Done(_) => (RepairOutcome::Done, format!("{name} is paid by request")),
        Waited::Undone => (RepairOutcome::Failed, format!("somebody has deleted {name}, or switched it back")),
        Waited::Stopped => (RepairOutcome::GoingOn, format!("DynamoDB goes on switching {name} to be paid by request")),
    })
}

/// Has DynamoDB expire attributes.
async fn expire(store: &DynamoDb) -> Ended {
    match store.enable_native_ttl().await {
        Ok(_) => {}
        // It is being changed, or was changed just now.
        Err(error) if error.kind.may_pass() => return (RepairOutcome::PutOff, error.chain()),
        Err(error) => return failed(&error, "dynamodb:UpdateTimeToLive"),
    }
    // Somebody else may have been faster, with something else in mind.
    match store.native_ttl().await {
        Ok(NativeTtl::On(attribute) | NativeTtl::Starting(attribute)) if attribute == TTL_ATTRIBUTE => {
            (RepairOutcome::Done, "DynamoDB expires attributes from now on; it takes up to an hour".to_owned())
        }
        Ok(NativeTtl::On(attribute) | NativeTtl::Starting(attribute)) => {
            let what =
                format!("somebody has let DynamoDB expire attributes by `{attribute}`, not by `{TTL_ATTRIBUTE}`");
            (RepairOutcome::Failed, what)
        }
        Ok(NativeTtl::Stopping) => (RepairOutcome::Failed, "somebody has switched it off again".to_owned()),
        Ok(NativeTtl::Off | NativeTtl::Never) => {
            (RepairOutcome::GoingOn, "DynamoDB was told to expire attributes, and does not show it yet".to_owned())
        }
        Err(error) => {
            let what =
                format!("DynamoDB was told to expire attributes; whether it does is not known: {}", error.chain());
            (RepairOutcome::GoingOn, what)
        }
    }
}

/// Whether a table can be changed now.
enum Changeable {
    /// As it is.
    Yes(Box<TableState>),
    /// It is as it is to be already.
    Already,
    No(Ended),
}

async fn changeable(store: &DynamoDb, table: Table, is_so: impl Fn(&TableState) -> bool) -> Result<Changeable> {
    let Some(state) = store.inspect_table(table).await? else {
        let what = format!("somebody has deleted the table {}", store.table_name(table));
        return Ok(Changeable::No((RepairOutcome::Failed, what)));
    };
    // It may have been replaced since it was looked at.
    if let Some(finding) = tables::other_key(table, &state) {
        return Ok(Changeable::No((RepairOutcome::Failed, finding.what)));
    }
    Ok(match state.status.as_str() {
        _ if is_so(&state) => Changeable::Already,
        "ACTIVE" => Changeable::Yes(Box::new(state)),
        status => {
            let why = format!("the table {} is {status}, and can only be changed when it is ACTIVE", state.name);
            Changeable::No((RepairOutcome::PutOff, why))
        }
    })
}

/// What a refused change comes to; nothing where the table shows that it goes on all the same. What there is to say when it
/// was asked for too often, `too_much` knows.
async fn refusal(
    store: &DynamoDb,
    table: Table,
    answer: Result<Alteration>,
    is_so: impl Fn(&TableState) -> bool,
    too_much: impl FnOnce(String, Option<TableState>) -> String,
) -> Result<Option<Ended>> {
    if matches!(answer, Ok(Alteration::Begun)) {
        return Ok(None);
    }
    let state = store.inspect_table(table).await?;
    if state.as_ref().is_some_and(is_so) {
        return Ok(None);
    }
    Ok(match answer {
        Ok(Alteration::Begun) => None,
        Ok(Alteration::Busy(said)) => Some((RepairOutcome::PutOff, said)),
        Ok(Alteration::TooMuch(said)) => Some((RepairOutcome::PutOff, too_much(said, state))),
        Err(error) => Some(failed(&error, "dynamodb:UpdateTable")),
    })
}

/// When a table may be paid in another way again, which was switched to be paid by request at `since`.
fn again(said: &str, since: DateTime<Utc>) -> String {
    let time = |time: DateTime<Utc>| time.format("%F %R UTC").to_string();
    format!(
        "{said}; it was paid by request from {} on, and may be again from {} on at the latest",
        time(since),
        time(since + SWITCHES)
    )
}

/// What an error comes to, with the permission that it may be about.
fn failed(error: &Error, permission: &str) -> Ended {
    let mut what = error.chain();
    if error.kind == ErrorKind::Denied {
        what = format!("{what}: let the role do it: {permission} (deploy/aws/policy.json)");
    }
    (RepairOutcome::Failed, what)
}

/// How waiting for DynamoDB ended.
enum Waited {
    /// It is as it is then.
    Done(Box<TableState>),
    /// Somebody wants to stop.
    Stopped,
    /// Somebody has undone it.
    Undone,
}

/// Waits until DynamoDB is done with a change that has begun. How far it is, it does not say; which part of the way it
/// is on, is logged.
async fn wait_until(
    store: &DynamoDb,
    visit: Visit<'_>,
    table: Table,
    has_begun: impl Fn(&TableState) -> bool,
    is_done: impl Fn(&TableState) -> bool,
) -> Result<Waited> {
    let (mut told, mut unseen) = (String::new(), 0);
    loop {
        match store.inspect_table(table).await {
            Ok(None) => return Ok(Waited::Undone),
            Ok(Some(state)) if is_done(&state) => return Ok(Waited::Done(Box::new(state))),
            Ok(Some(state)) => {
                let at_rest = state.status == "ACTIVE" && !has_begun(&state);
                unseen = if at_rest { unseen + 1 } else { 0 };
                if unseen == UNSEEN {
                    return Ok(Waited::Undone);
                }
                let now = stage(&state);
                if now != told {
                    tracing::info!(table = state.name, "DynamoDB is at work: {now}");
                    told = now;
                }
            }
            // Whether it is done, is asked again.
            Err(error) if error.kind.may_pass() => {}
            Err(error) => return Err(error),
        }
        if visit.stop.requested().is_some() {
            return Ok(Waited::Stopped);
        }
        visit.stop.sleep(POLL).await;
    }
}

/// Where DynamoDB is with a table, in words.
fn stage(state: &TableState) -> String {
    let mut stage = format!("the table is {}", state.status);
    for index in state.indexes.iter().filter(|index| index.status != "ACTIVE" || index.is_backfilling) {
        let filling = if index.is_backfilling { ", and being filled" } else { "" };
        stage.push_str(&format!(", its index `{}` is {}{filling}", index.name, index.status));
    }
    stage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_was_refused_says_when_it_may_be_tried_again() {
        let told = again("Too often", "2026-11-28T10:20:30Z".parse().unwrap());
        assert_eq!(
            told,
            "Too often; it was paid by request from 2026-11-28 10:20 UTC on, and may be again from 2026-11-29 10:20 \
             UTC on at the latest"
        );
    }
}
