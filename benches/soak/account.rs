//! The account of the whole time, as the database has it.

use std::collections::BTreeSet;

use actingweb_maintd::schedule::Schedule;
use anyhow::{Context, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::fleet::SCHEDULE;
use super::server::Server;

/// What became of slots and rows.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Slots from the baseline to the newest that was dealt with.
    pub(crate) slots: usize,
    /// Those that were run.
    pub(crate) run: usize,
    /// Those that neither were run nor are written down as passed over.
    pub(crate) missing: usize,
    /// Those that are both.
    pub(crate) both: usize,
    /// Runs of a slot that an earlier run had not left open.
    pub(crate) again: i64,
    /// Runs that began while another was going on.
    pub(crate) overlapping: i64,
    /// Runs without an end.
    pub(crate) open: i64,
    /// Rows that reports tell were deleted.
    pub(crate) told: i64,
    /// Rows that were deleted.
    pub(crate) gone: i64,
    /// Rows that were deleted before they had expired.
    pub(crate) live: i64,
}

type Slot = DateTime<Utc>;

impl Account {
    /// Reads it, once every daemon has ended.
    pub(crate) async fn read(server: &Server) -> anyhow::Result<Self> {
        let mut connection = server.connect().await?;
        let (baseline, last): (Slot, Slot) =
            sqlx::query_as("SELECT slot, last_slot FROM witness.baseline, maintd.leases")
                .fetch_one(&mut connection)
                .await?;
        let run: Vec<Slot> = sqlx::query_scalar("SELECT slot FROM maintd.runs WHERE slot IS NOT NULL")
            .fetch_all(&mut connection)
            .await?;
        let passed: Vec<(Slot, Slot)> =
            sqlx::query_as("SELECT first_slot, last_slot FROM maintd.passed_slots").fetch_all(&mut connection).await?;
        let schedule = Schedule::parse(SCHEDULE, Tz::UTC).map_err(|error| anyhow!("{error}"))?;
        let between = |after: Slot, until: Slot| {
            schedule.upcoming(after, usize::MAX).take_while(move |slot| *slot <= until).collect::<BTreeSet<_>>()
        };
        let run: BTreeSet<Slot> = run.into_iter().collect();
        let passed: BTreeSet<Slot> =
            passed.into_iter().flat_map(|(first, until)| between(first - TimeDelta::seconds(1), until)).collect();
        let slots = between(baseline, last);
        let (again, overlapping, open, told) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE before IS NOT NULL AND NOT before), \
                 count(*) FILTER (WHERE busy_until > started_at), count(*) FILTER (WHERE outcome IS NULL), \
                 coalesce(sum((report->>'deleted')::bigint), 0)::bigint \
             FROM (SELECT *, \
                     lag(outcome IN ('lost', 'failed') OR outcome = 'partial' AND report->>'stopped' = 'shutdown') \
                         OVER (PARTITION BY slot ORDER BY term) AS before, \
                     max(coalesce(finished_at, 'infinity')) OVER (ORDER BY term \
                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until \
                 FROM maintd.runs) AS runs",
        )
        .fetch_one(&mut connection)
        .await?;
        let (gone, live) = sqlx::query_as(
            "SELECT coalesce(sum(gone), 0)::bigint, coalesce(sum(live), 0)::bigint FROM witness.deletions",
        )
        .fetch_one(&mut connection)
        .await
        .context("asking the witness")?;
        Ok(Self {
            slots: slots.len(),
            run: slots.intersection(&run).count(),
            missing: slots.iter().filter(|slot| !run.contains(slot) && !passed.contains(slot)).count(),
            both: run.intersection(&passed).count(),
            again,
            overlapping,
            open,
            told,
            gone,
            live,
        })
    }
}
