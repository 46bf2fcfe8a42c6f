//! What there is to do by the configuration: the jobs, and what they need.

use std::sync::Arc;

use crate::backup::Workshop;
use crate::config::Config;
use crate::jobs::{self, Job, Place};
use crate::model::BackendKind;
use crate::runner::{Runner, Scheduled};
use crate::throttle::Budget;

/// One of the backends of `config`, and how much jobs may use there.
pub fn place(config: &Config, backend: BackendKind) -> Place {
    let budget = match backend {
        BackendKind::Postgresql => Budget::default(),
        BackendKind::Dynamodb => Budget::of(&config.storage.dynamodb),
    };
    Place { backend, budget: Arc::new(budget) }
}

/// The jobs that `config` describes, on each of its backends.
pub fn jobs(config: &Config) -> Vec<Arc<dyn Job>> {
    let (shop, zone) = (Arc::new(workshop(config)), config.schedule.timezone);
    let on = |backend| {
        let place = place(config, backend);
        let mut on = jobs::registry(&config.jobs, &config.throttle, std::slice::from_ref(&place));
        on.extend(jobs::backups(&config.jobs, &shop, zone, &place));
        on
    };
    config.storage.kinds().into_iter().flat_map(on).collect()
}

/// What is needed to make, prove and restore backups.
pub fn workshop(config: &Config) -> Workshop {
    Workshop {
        settings: config.backup.clone(),
        storage: config.storage.clone(),
        targets: config.targets.clone(),
        name: config.deployment.name.clone(),
        host: host(),
    }
}

/// This machine, for people.
pub fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { "localhost".to_owned() } else { host.trim().to_owned() }
}

/// The jobs, each with the schedule and the runner of its backend.
pub(super) fn schedule_jobs(
    config: &Config,
    jobs: &[Arc<dyn Job>],
    runners: &[Arc<Runner>],
) -> anyhow::Result<Vec<Scheduled>> {
    let storage = &config.storage;
    let mut scheduled = Vec::new();
    for runner in runners {
        let deployment = match runner.backend {
            BackendKind::Postgresql => format!("{}/{}", storage.postgresql.dbname, storage.postgresql.schema),
            BackendKind::Dynamodb => storage.dynamodb.table_prefix.clone(),
        };
        for job in jobs.iter().filter(|job| job.backend() == runner.backend) {
            let job_on = Scheduled::new(Arc::clone(runner), Arc::clone(job), &config.schedule, &deployment);
            scheduled.push(job_on.map_err(|problem| anyhow::anyhow!("jobs.{}: {problem}", job.name()))?);
        }
    }
    Ok(scheduled)
}
