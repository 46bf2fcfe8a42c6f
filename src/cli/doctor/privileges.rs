//! What the role on PostgreSQL may do, held against what is configured.

use std::collections::BTreeMap;

use super::line::Found;
use super::store::unanswered;
use super::wanted::Wanted;
use crate::storage::postgres::{Lacking, Part, Postgres};

/// One line for each part of the work that the role may not do, or one that says that it may do everything.
pub(super) async fn privileges(store: &Postgres, wanted: &Wanted<'_>) -> Vec<Found> {
    let parts = parts(wanted);
    let lacking = match store.lacking(&parts).await {
        Ok(lacking) => lacking,
        Err(error) => return vec![unanswered(&error)],
    };
    if lacking.is_empty() {
        let for_what: Vec<&str> = parts.iter().map(|part| part.phrase()).collect();
        return vec![Found::ok(format!("all that is needed for {}", for_what.join(", ")))];
    }
    let mut by_part: BTreeMap<Part, Vec<Lacking>> = BTreeMap::new();
    for one in lacking {
        by_part.entry(one.part).or_default().push(one);
    }
    by_part.into_iter().map(|(part, lacking)| found(part, &lacking)).collect()
}

fn found(part: Part, lacking: &[Lacking]) -> Found {
    let what: Vec<&str> = lacking.iter().map(|one| one.what.as_str()).collect();
    let what = format!("the role lacks, for {}: {}", part.phrase(), what.join("; "));
    let grants: Vec<&str> = lacking.iter().flat_map(|one| &one.grants).map(String::as_str).collect();
    let remedy = grants.join("\n");
    // Without these the daemon works, and sees less.
    if matches!(part, Part::Monitoring | Part::IndexBloat | Part::Amcheck) {
        return Found::warning(what, remedy);
    }
    Found::failure(what, remedy)
}

/// The parts of the work that the configuration asks for. Commands that change something beyond that are somebody's
/// choice at that moment.
fn parts(wanted: &Wanted<'_>) -> Vec<Part> {
    let jobs = &wanted.config.jobs;
    let is_wanted = [
        (Part::Base, true),
        (Part::Monitoring, true),
        (Part::DiffPrune, wanted.job("diff_prune")),
        (Part::OrphanScan, wanted.job("orphan_scan")),
        (Part::LookupCheck, wanted.job("lookup_check")),
        (Part::LookupRepair, wanted.job("lookup_check") && jobs.lookup_check.repair),
        (Part::Backup, wanted.dumps()),
        (Part::PhysicalBackup, wanted.copies_files()),
        (Part::DrillDatabase, wanted.drills_on_this_server()),
        (Part::Vacuum, wanted.job("ttl_cleanup") && jobs.ttl_cleanup.vacuum_after.get() > 0),
        (Part::IndexRepair, wanted.repairs_indexes()),
        (Part::IndexBloat, wanted.job("index_health")),
        (Part::Amcheck, wanted.job("index_health") && jobs.index_health.deep),
    ];
    is_wanted.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(part, _)| part).collect()
}
