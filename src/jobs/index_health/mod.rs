//! Looks whether tables and indexes are what they must be, and well; repairs what it is told to.

mod settings;
mod shown;

use std::time::Instant;

use async_trait::async_trait;
use uuid::Uuid;

pub use settings::Settings;
pub use shown::{Known, known, show};

use super::{Job, Place, Plan, Touches, Workplace};
use crate::health::{self, Criteria, Earlier, Examined, Finding, RepairLimits, Visit};
use crate::metrics::Check;
use crate::model::BackendKind;
use crate::storage::{Result, Store};
use crate::throttle;
use crate::work::{Defect, Health, Limits, Progress, RepairOutcome, Repaired, Report, Stop};

/// The job's name.
pub const NAME: &str = "index_health";

/// Whether the progress of a job is counted in pages, and not in rows.
pub fn counts_pages(job: &str, backend: BackendKind) -> bool {
    job == NAME && backend == BackendKind::Postgresql
}

/// Runs that are looked through for what the indexes were like: all that are remembered of a run each night, and a month
/// of one each hour.
const REMEMBERED: u32 = 1000;

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
        earlier: &'a [Earlier],
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

    /// Repairs what it may. Whether anything was done.
    async fn repair(
        &self,
        store: &dyn Store,
        visit: Visit<'_>,
        findings: &[Finding],
        told: &mut Health,
    ) -> Result<bool> {
        let repaired = self.settings.repaired();
        if let Some(why) = store.schema().await?.refusal().filter(|_| !repaired.is_empty()) {
            told.notes.push(format!("nothing was repaired: {why}"));
            return Ok(false);
        }
        let mut has_done = false;
        for finding in findings {
            let Some(cure) = finding.cure.as_ref().filter(|_| repaired.contains(&finding.check)) else { continue };
            if visit.stop.requested().is_some() {
                break;
            }
            if self.acknowledged(finding).is_some() {
                continue;
            }
            let repaired = health::repair(store, visit, finding, cure).await?;
            tell(&repaired);
            has_done |= repaired.outcome == RepairOutcome::Done;
            told.repairs.push(repaired);
        }
        Ok(has_done)
    }

    fn acknowledged(&self, finding: &Finding) -> Option<String> {
        let acknowledgements = self.settings.acknowledgements().into_iter();
        acknowledgements.filter(|known| known.is_about(finding.check, &finding.object)).map(|known| known.reason).next()
    }

    fn defects(&self, findings: Vec<Finding>) -> Vec<Defect> {
        let mut findings = findings;
        let rank = |check: Check| health::CHECKS.iter().position(|known| *known == check);
        findings.sort_by_key(|finding| (rank(finding.check), finding.object.clone()));
        findings
            .into_iter()
            .map(|finding| {
                let acknowledged = self.acknowledged(&finding);
                finding.defect(acknowledged)
            })
            .collect()
    }

    fn conclude(&self, examined: Examined, mut told: Health, report: &mut Report) {
        report.examined = examined.indexes.len() as u64;
        report.defects = self.defects(examined.findings);
        (told.indexes, told.deep) = (examined.indexes, self.criteria.deep);
        told.notes.extend(examined.notes);
        told.unseen = examined.unseen.into_iter().map(|check| check.name().to_owned()).collect();
        report.health = Some(Box::new(told));
    }
}

/// What earlier runs saw of the indexes.
async fn earlier(store: &dyn Store) -> Result<Vec<Earlier>> {
    // A look by hand may come before there is a history.
    if store.schema().await?.own_refusal().is_some() {
        return Ok(Vec::new());
    }
    let runs = store.history(Some(NAME), REMEMBERED).await?.into_iter();
    let seen = runs.filter_map(|run| Some(Earlier { at: run.finished_at?, indexes: run.report.health?.indexes }));
    Ok(seen.collect())
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
        let earlier = earlier(store).await?;
        let run = Some(at.lease.run.run_id);
        let visit = self.visit(&earlier, at.stop, at.progress, run);
        // Whatever was begun comes to its end, whether anything more is to be repaired or not.
        for repaired in health::recover(store, visit).await? {
            tell(&repaired);
            told.repairs.push(repaired);
        }
        let mut examined = self.look(store, visit, &mut told).await?;
        if at.stop.requested().is_some() {
            // What it would have found, had it come to its end, nobody knows: no figures, and no zeros, come of it.
            report.defects = self.defects(examined.findings);
            report.stopped = at.stop.requested();
            return Ok(());
        }
        if self.repair(store, visit, &examined.findings, &mut told).await? && at.stop.requested().is_none() {
            let again = self.look(store, visit, &mut told).await?;
            if at.stop.requested().is_none() {
                examined = again;
            }
        }
        report.more = at.stop.requested().is_some();
        report.stopped = at.stop.requested();
        self.conclude(examined, told, report);
        show(at.metrics, at.backend, report);
        Ok(())
    }

    /// A look that repairs nothing.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let (stop, progress) = (Stop::new(), Progress::new());
        let earlier = earlier(store).await?;
        let visit = self.visit(&earlier, &stop, &progress, None);
        let (mut report, mut told) = (Report { limits: self.limits(), ..Report::default() }, Health::default());
        let examined = self.look(store, visit, &mut told).await?;
        self.conclude(examined, told, &mut report);
        Ok(report)
    }
}
