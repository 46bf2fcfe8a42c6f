//! Repairs of indexes, beside the application and so that nothing is left of one that is cut off.
//!
//! A repair is written down before it is begun, with who builds and what was on the table (`storage::postgres`'s
//! `repairs.rs`); while the server builds, somebody looks on and writes down which index it is (`supervision.rs`).
//! However it ends, what remains to be done follows from the journal and from what the table looks like
//! (`verdict.rs`), and is the same whether we do so at once or whoever comes after somebody who was killed
//! (`settlement.rs`).

mod gates;
mod outdated;
mod point;
mod settlement;
mod supervision;
mod verdict;

use std::time::{Duration, Instant};

use self::gates::Gate;
use self::point::fault_at;
use self::settlement::{Settled, settle};
use self::supervision::{Ended, supervise, wait};
use crate::archive::in_mebibytes;
use crate::health::{Cure, Finding, Visit};
use crate::model::expected::Index;
use crate::model::{BackendKind, Table};
use crate::storage::postgres::{Begin, Postgres, Repair, Room, Workbench};
use crate::storage::{Error, ErrorKind, Result};
use crate::work::{RepairOutcome, Repaired};

/// What is to be repaired.
#[derive(Clone, Copy, Debug)]
struct Plan<'a> {
    table: Table,
    /// The index that is to be there at the end.
    index: &'a str,
    /// As what the server knew it when it was looked at, where it is built anew.
    oid: Option<i64>,
    /// What it is to be, where it is missing.
    makes: Option<&'a Index>,
    /// The bytes that it will have then, where they were measured.
    measured: Option<u64>,
}

/// What became of a repair.
#[derive(Debug)]
struct Told {
    outcome: RepairOutcome,
    what: String,
    bytes: Option<u64>,
}

impl Told {
    fn new(outcome: RepairOutcome, what: impl Into<String>) -> Self {
        Self { outcome, what: what.into(), bytes: None }
    }
}

/// Deals with what earlier repairs left.
pub(in crate::health) async fn recover(store: &Postgres, visit: Visit<'_>) -> Result<Vec<Repaired>> {
    let open = store.open_repairs().await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let mut bench = match store.workbench(visit.limits.lock_wait).await {
        Ok(bench) => bench,
        Err(error) if error.kind.may_pass() => return Err(error),
        // They wait for somebody who can; there is something to look at all the same.
        Err(error) => {
            let put_off = |repair| told_of(repair, Told::new(RepairOutcome::PutOff, error.chain()), Duration::ZERO);
            return Ok(open.iter().map(put_off).collect());
        }
    };
    let mut told = Vec::new();
    let is_ours = wait(store, visit, &mut bench, &open).await?;
    for repair in &open {
        let begun = Instant::now();
        let became = match is_ours {
            // Whoever worked at it has closed it meanwhile, if it is not known any more.
            true => settle(store, visit, &mut bench, repair.id).await?.map(|settled| of_earlier(repair, settled)),
            false => Some(going_on(repair)),
        };
        told.extend(became.map(|told| told_of(repair, told, begun.elapsed())));
    }
    bench.close().await;
    Ok(told)
}

/// What became of an earlier repair, as a report has it.
fn told_of(repair: &Repair, told: Told, took: Duration) -> Repaired {
    Repaired {
        kind: repair.finding.clone(),
        object: repair.index.clone(),
        outcome: told.outcome,
        what: told.what,
        bytes_before: repair.bytes_before,
        bytes_expected: None,
        bytes_after: told.bytes,
        seconds: took.as_secs_f64(),
    }
}

/// Cures a finding.
pub(in crate::health) async fn repair(
    store: &Postgres,
    visit: Visit<'_>,
    finding: &Finding,
    cure: &Cure,
) -> Result<Repaired> {
    let begun = Instant::now();
    let (plan, bytes_before) = match cure {
        Cure::CreateIndex { table, index } => {
            (Some(Plan { table: *table, index: index.name, oid: None, makes: Some(index), measured: None }), None)
        }
        Cure::RebuildIndex { table, index, oid, bytes, expected } => {
            (Some(Plan { table: *table, index, oid: Some(*oid), makes: None, measured: *expected }), Some(*bytes))
        }
        Cure::CreateSecondaryIndex { .. } | Cure::EnableTimeToLive | Cure::PayPerRequest { .. } => (None, None),
    };
    let told = match &plan {
        Some(plan) => attempt(store, visit, finding, plan).await?,
        None => Told::new(RepairOutcome::PutOff, "this is a repair of tables of DynamoDB"),
    };
    Ok(Repaired {
        kind: finding.check.name().to_owned(),
        object: finding.object.clone(),
        outcome: told.outcome,
        what: told.what,
        bytes_before,
        bytes_expected: plan.and_then(|plan| plan.measured),
        bytes_after: told.bytes,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

async fn attempt(store: &Postgres, visit: Visit<'_>, finding: &Finding, plan: &Plan<'_>) -> Result<Told> {
    let mut bench = match store.workbench(visit.limits.lock_wait).await {
        Ok(bench) => bench,
        Err(error) if error.kind.may_pass() => return Err(error),
        Err(error) => return Ok(Told::new(RepairOutcome::PutOff, error.chain())),
    };
    let told = attempt_at(&mut bench, store, visit, finding, plan).await?;
    bench.close().await;
    Ok(told)
}

async fn attempt_at<'s>(
    bench: &mut Workbench<'s>,
    store: &'s Postgres,
    visit: Visit<'_>,
    finding: &Finding,
    plan: &Plan<'_>,
) -> Result<Told> {
    let put_off = |why: &str| Ok(Told::new(RepairOutcome::PutOff, why));
    if !bench.try_lock().await? {
        return put_off("another process repairs an index of this deployment right now, or its server still does");
    }
    if let Some(why) = outdated::look(store, finding, plan).await? {
        return put_off(&why);
    }
    let room = match gates::look(store, visit, plan).await? {
        Gate::Open(room) => room,
        Gate::Closed(why) => return put_off(&why),
    };
    fault_at("begin").await?;
    let repair = store.begin_repair(Begin {
        finding: finding.check.name(),
        table: (plan.table, room.table),
        index: plan.index,
        creates: plan.makes.is_some(),
        old: room.index,
        beside: &room.beside,
        backend: bench.backend,
        run: visit.run,
    });
    let Some(repair) = repair.await? else {
        return put_off("an earlier repair of it is not at its end: the next run deals with that first");
    };
    fault_at("begun").await?;
    visit.progress.expect(visit.progress.done() + pages(&room));
    let at = bench.backend;
    let ended = match plan.makes {
        Some(index) => supervise(store, visit, &repair, at, bench.create(&repair, index), true).await?,
        None => supervise(store, visit, &repair, at, bench.rebuild(&repair), true).await?,
    };
    fault_at("built").await?;
    if let Ended::Lost(_) = &ended {
        *bench = store.workbench(visit.limits.lock_wait).await?;
        if !wait(store, visit, bench, std::slice::from_ref(&repair)).await? {
            return Ok(going_on(&repair));
        }
    }
    let settled = settle(store, visit, bench, repair.id).await?;
    let why = match ended {
        Ended::Done => None,
        Ended::Refused(error) | Ended::Lost(error) => Some(error.source.to_string()),
    };
    Ok(of_ours(visit, &repair, settled, why))
}

/// The table is read twice, and what is built once.
fn pages(room: &Room) -> u64 {
    let index = room.index.map_or(0, |(_, bytes)| bytes);
    (2 * room.table_bytes + index) / room.page
}

/// What has become of a repair of ours that ended so, and `why` if not well.
fn of_ours(visit: Visit<'_>, repair: &Repair, settled: Option<Settled>, why: Option<String>) -> Told {
    let said = why.map(|why| format!("{why}; ")).unwrap_or_default();
    match settled {
        Some(Settled::Finished(bytes)) => finished(repair, bytes),
        Some(Settled::Left(left)) => Told::new(RepairOutcome::Failed, format!("{said}{left}")),
        Some(Settled::Removed(_)) | None => match visit.stop.requested() {
            Some(reason) => Told::new(
                RepairOutcome::CleanedUp,
                format!("it was asked to stop ({reason}), and nothing of it is left"),
            ),
            None => Told::new(RepairOutcome::Failed, format!("{said}nothing of it is left")),
        },
    }
}

fn of_earlier(repair: &Repair, settled: Settled) -> Told {
    match settled {
        Settled::Finished(bytes) => finished(repair, bytes),
        Settled::Left(left) => Told::new(RepairOutcome::Failed, format!("an earlier repair was cut off, and {left}")),
        Settled::Removed(names) if names.is_empty() => {
            Told::new(RepairOutcome::CleanedUp, "an earlier repair was cut off, and nothing of it was left")
        }
        Settled::Removed(names) => Told::new(
            RepairOutcome::CleanedUp,
            format!("an earlier repair was cut off, and what was left of it was removed: {}", names.join(", ")),
        ),
    }
}

fn finished(repair: &Repair, bytes: u64) -> Told {
    let what = match repair.bytes_before {
        Some(before) => format!("built anew: {} were {}", in_mebibytes(bytes), in_mebibytes(before)),
        None => format!("made: it has {}", in_mebibytes(bytes)),
    };
    Told { outcome: RepairOutcome::Done, what, bytes: Some(bytes) }
}

fn going_on(repair: &Repair) -> Told {
    let (process, table) = (repair.backend.0, repair.table.name());
    let what = format!(
        "the server still works at it, or at another of the deployment (process {process}, table {table}); whoever \
         comes next sees to its end"
    );
    Told::new(RepairOutcome::GoingOn, what)
}

/// An error without its reason.
fn unavailable() -> Error {
    Error {
        backend: BackendKind::Postgresql,
        op: "repair an index",
        kind: ErrorKind::Unavailable,
        source: String::new().into(),
    }
}
