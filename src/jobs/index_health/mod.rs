//! Looks whether tables and indexes are what they must be, and well; repairs what it is told to.

mod settings;
mod shown;

use std::time::Instant;

use async_trait::async_trait;
use uuid::Uuid;

pub use settings::Settings;
pub use shown::{newest_look, show};

use super::{Job, Place, Plan, Touches, Workplace};
use crate::health::{self, Criteria, Earlier, Examined, Finding, RepairLimits, Visit};
use crate::metrics::Check;
use crate::model::{BackendKind, clock};
use crate::storage::{Error, Result, Store};
use crate::throttle;
use crate::work::{Defect, Health, Limits, Progress, RepairOutcome, Repaired, Report, Run, Stop};

/// The job's name.
pub const NAME: &str = "index_health";

/// Whether the progress of a job is counted in pages, and not in rows.
pub fn counts_pages(job: &str, backend: BackendKind) -> bool {
    job == NAME && backend == BackendKind::Postgresql
}

/// Runs that are looked through for the newest look that came to its end.
const REMEMBERED: u32 = 20;

/// The job.
#[derive(Debug)]
pub struct IndexHealth {
    settings: Settings,
    criteria: Criteria,
    limits: RepairLimits,
    throttle: throttle::Settings,
    place: Place,
}

impl IndexHealth {
    /// The job as `settings` want it, at the pace of `throttle`, on one of the deployment's backends.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place) -> Self {
        let (criteria, limits) = (settings.criteria(), settings.repair_limits());
        Self { settings, criteria, limits, throttle, place }
    }

    fn visit<'a>(
        &'a self,
        earlier: Option<&'a Earlier>,
        stop: &'a Stop,
        progress: &'a Progress,
        run: Option<Uuid>,
    ) -> Visit<'a> {
        let Self { criteria, limits, throttle, place, .. } = self;
        Visit { criteria, limits, throttle, budget: &place.budget, earlier, stop, progress, run }
    }

    async fn look(&self, store: &dyn Store, visit: Visit<'_>, told: &mut Health) -> Result<Examined> {
        let begun = Instant::now();
        let examined = health::examine(store, visit).await;
        told.seconds += begun.elapsed().as_secs_f64();
        examined
    }

    /// Repairs what it may. Whether anything was done. What was found is told all the same, whatever goes wrong.
    async fn repair(&self, store: &dyn Store, visit: Visit<'_>, findings: &[Finding], told: &mut Health) -> bool {
        let repaired = self.settings.repaired();
        if repaired.is_empty() {
            return false;
        }
        let refusal = match store.schema().await {
            Ok(schema) => schema.refusal().map(|why| why.to_string()),
            Err(error) => Some(error.chain()),
        };
        if let Some(why) = refusal {
            told.notes.push(format!("nothing was repaired: {why}"));
            return false;
        }
        let mut has_done = false;
        for finding in findings {
            let Some(cure) = finding.cure.as_ref().filter(|_| repaired.contains(&finding.check)) else { continue };
            if visit.stop.requested().is_some() {
                break;
            }
            if self.acknowledged(finding.check, &finding.object).is_some() {
                continue;
            }
            let begun = Instant::now();
            let repaired = health::repair(store, visit, finding, cure).await;
            let repaired = repaired.unwrap_or_else(|error| unrepaired(finding, &error, begun));
            tell(&repaired);
            has_done |= repaired.outcome == RepairOutcome::Done;
            told.repairs.push(repaired);
        }
        has_done
    }

    /// Why a finding may stay, if somebody has said so.
    fn acknowledged(&self, check: Check, object: &str) -> Option<String> {
        let acknowledgements = self.settings.acknowledgements().into_iter();
        acknowledgements.filter(|known| known.is_about(check, object)).map(|known| known.reason).next()
    }

    /// What an earlier run has found by a check that was not made now, as it stands: what somebody has decided to leave
    /// may be something else by now.
    fn standing(&self, run: &Run, check: Check) -> impl Iterator<Item = Defect> {
        let found = run.report.defects.iter().filter(move |defect| defect.kind == check.name());
        found.map(move |defect| {
            let object = defect.object.as_deref().unwrap_or_default();
            Defect { acknowledged: self.acknowledged(check, object), ..defect.clone() }
        })
    }

    fn defects(&self, findings: Vec<Finding>) -> Vec<Defect> {
        let mut findings = findings;
        let rank = |check: Check| health::CHECKS.iter().position(|known| *known == check);
        findings.sort_by_key(|finding| (rank(finding.check), finding.object.clone()));
        findings
            .into_iter()
            .map(|finding| {
                let acknowledged = self.acknowledged(finding.check, &finding.object);
                finding.defect(acknowledged)
            })
            .collect()
    }

    fn conclude(&self, examined: Examined, mut told: Health, newest: Option<&Run>, report: &mut Report) {
        report.examined = examined.indexes.len() as u64;
        report.defects = self.defects(examined.findings);
        (told.indexes, told.deep, told.looked) = (examined.indexes, self.criteria.deep, true);
        told.deep_at = told.deep.then(clock::now);
        let unseen = &examined.unseen;
        let was_made = |check: &Check| told.deep && !unseen.contains(check);
        if let Some((run, seen)) = newest.and_then(|run| Some((run, run.report.health.as_ref()?))) {
            let stands = deep_only(self.place.backend).filter(|check| !was_made(check));
            let stands = stands.flat_map(|check| self.standing(run, check));
            // One that was made in part may have found the same again.
            let is_told =
                |old: &Defect| report.defects.iter().any(|new| (&new.kind, &new.object) == (&old.kind, &old.object));
            let stands: Vec<Defect> = stands.filter(|old| !is_told(old)).collect();
            report.defects.extend(stands);
            told.deep_at = told.deep_at.or(seen.deep_at);
        }
        told.notes.extend(examined.notes);
        told.unseen = examined.unseen.into_iter().map(|check| check.name().to_owned()).collect();
        report.health = Some(Box::new(told));
    }
}

/// The newest run whose look came to its end.
async fn newest(store: &dyn Store) -> Result<Option<Run>> {
    // A look by hand may come before there is a history.
    if store.schema().await?.own_refusal().is_some() {
        return Ok(None);
    }
    let runs = store.history(Some(NAME), REMEMBERED).await?;
    Ok(newest_look(&runs).cloned())
}

/// What a run saw of the indexes.
fn earlier(run: Option<&Run>) -> Option<Earlier> {
    let run = run?;
    Some(Earlier { at: run.finished_at?, indexes: run.report.health.as_ref()?.indexes.clone() })
}

/// The checks that only a deep look makes.
fn deep_only(backend: BackendKind) -> impl Iterator<Item = Check> {
    let is_made = move |check, deep| health::is_made(check, backend, deep);
    health::CHECKS.into_iter().filter(move |check| is_made(*check, true) && !is_made(*check, false))
}

/// What became of a repair that could not be tried, or of which nobody knows how it ended.
fn unrepaired(finding: &Finding, error: &Error, begun: Instant) -> Repaired {
    Repaired {
        kind: finding.check.name().to_owned(),
        object: finding.object.clone(),
        outcome: if error.kind.may_pass() { RepairOutcome::PutOff } else { RepairOutcome::Failed },
        what: error.chain(),
        bytes_before: None,
        bytes_expected: None,
        bytes_after: None,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// One line for each repair: whoever wonders what happened to an index looks for it in the log.
fn tell(repaired: &Repaired) {
    let Repaired { kind, object, outcome, what, seconds, .. } = repaired;
    match outcome {
        RepairOutcome::Failed => tracing::warn!(check = kind, object, seconds, "the repair failed: {what}"),
        _ => tracing::info!(check = kind, object, seconds, ?outcome, "{what}"),
    }
}

#[async_trait]
impl Job for IndexHealth {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        &[]
    }

    fn plan(&self) -> Plan {
        self.settings.plan()
    }

    fn needs_known_schema(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        self.settings.limits()
    }

    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        report.more = true;
        let mut told = Health::default();
        let newest = newest(store).await?;
        let earlier = earlier(newest.as_ref());
        let run = Some(at.lease.run.run_id);
        let visit = self.visit(earlier.as_ref(), at.stop, at.progress, run);
        // Whatever was begun comes to its end, whether anything more is to be repaired or not.
        match health::recover(store, visit).await {
            Ok(repairs) => {
                repairs.iter().for_each(tell);
                told.repairs = repairs;
            }
            // The next run deals with them; there is something to look at all the same.
            Err(error) => told.notes.push(format!("repairs that were cut short are as they were: {}", error.chain())),
        }
        let examined = self.look(store, visit, &mut told).await;
        if examined.is_err() || at.stop.requested().is_some() {
            // What it would have found, had it come to its end, nobody knows: no figures, and no zeros, come of it.
            report.health = Some(Box::new(told));
            report.defects = self.defects(examined?.findings);
            report.stopped = at.stop.requested();
            return Ok(());
        }
        let mut examined = examined?;
        if self.repair(store, visit, &examined.findings, &mut told).await && at.stop.requested().is_none() {
            match self.look(store, visit, &mut told).await {
                Ok(again) if at.stop.requested().is_none() => examined = again,
                Ok(_) => {}
                Err(error) => {
                    let why = format!(
                        "what is told was found before the repairs: nobody could look again: {}",
                        error.chain()
                    );
                    told.notes.push(why);
                }
            }
        }
        report.more = at.stop.requested().is_some();
        report.stopped = at.stop.requested();
        self.conclude(examined, told, newest.as_ref(), report);
        show(at.metrics, at.backend, report);
        Ok(())
    }

    /// A look that repairs nothing.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let (stop, progress) = (Stop::new(), Progress::new());
        let newest = newest(store).await?;
        let earlier = earlier(newest.as_ref());
        let visit = self.visit(earlier.as_ref(), &stop, &progress, None);
        let (mut report, mut told) = (Report { limits: self.limits(), ..Report::default() }, Health::default());
        let examined = self.look(store, visit, &mut told).await?;
        self.conclude(examined, told, newest.as_ref(), &mut report);
        Ok(report)
    }
}
