//! Settings of tables: whether attributes expire, and what else every table is to have.

use crate::health::{Cure, Examined, Finding, Visit, Wanted};
use crate::metrics::Check;
use crate::model::Table;
use crate::model::layout::TTL_ATTRIBUTE;
use crate::storage::dynamodb::{DynamoDb, TableState};
use crate::storage::{NativeExpiry, NativeTtl};

/// Looks at the settings of tables.
pub(super) async fn look(store: &DynamoDb, visit: Visit<'_>, sound: &[(Table, &TableState)], examined: &mut Examined) {
    if let Some((_, attributes)) = sound.iter().find(|(table, _)| *table == Table::Attributes) {
        match store.native_ttl().await {
            Ok(ttl) => examined.findings.extend(expiry(&attributes.name, &ttl)),
            // Whatever it is, the rest can be looked at.
            Err(error) => {
                let why = format!("nobody knows whether attributes expire: {}", error.chain());
                examined.leave_out([Check::TimeToLive], why);
            }
        }
    }
    let recovered = recovered(store, visit, sound, examined).await;
    for (table, state) in sound {
        let is_off = |wanted: Wanted| match wanted {
            Wanted::DeletionProtection => !state.is_protected,
            Wanted::PointInTimeRecovery => recovered.iter().any(|(of, is_on)| of == table && !is_on),
            Wanted::Streams => !state.has_stream,
        };
        let off: Vec<Wanted> = visit.criteria.wanted.iter().copied().filter(|wanted| is_off(*wanted)).collect();
        examined.findings.extend(without(&state.name, &off));
    }
}

/// Which tables can be brought back to any second, where somebody wants to know; without those that cannot be asked.
async fn recovered(
    store: &DynamoDb,
    visit: Visit<'_>,
    sound: &[(Table, &TableState)],
    examined: &mut Examined,
) -> Vec<(Table, bool)> {
    let mut recovered = Vec::new();
    if !visit.criteria.wanted.contains(&Wanted::PointInTimeRecovery) {
        return recovered;
    }
    for (table, state) in sound {
        let answer = match visit.stop.requested() {
            None => store.recovery(*table).await.map_err(|error| error.chain()),
            Some(_) => Err("the look was stopped".to_owned()),
        };
        let why = match answer {
            Ok(recovery) => {
                recovered.push((*table, recovery.is_on));
                continue;
            }
            Err(why) => why,
        };
        // The others would say the same.
        let what = format!("from {} on nobody knows whether point-in-time recovery is on: {why}", state.name);
        examined.leave_out([Check::TableSettings], what);
        break;
    }
    recovered
}

/// What is wrong with how attributes expire.
fn expiry(name: &str, ttl: &NativeTtl) -> Option<Finding> {
    let off = format!("DynamoDB does not expire what is in {name}: rows that are over stay there, and are paid for");
    let (what, remedy) = match ttl {
        NativeTtl::On(attribute) | NativeTtl::Starting(attribute) if attribute == TTL_ATTRIBUTE => return None,
        NativeTtl::Never => return None,
        NativeTtl::On(attribute) | NativeTtl::Starting(attribute) => (
            format!("DynamoDB expires what is in {name} by `{attribute}`, and ActingWeb stores `{TTL_ATTRIBUTE}`"),
            format!(
                "if nothing else needs `{attribute}`, switch it off with `aws dynamodb update-time-to-live \
                 --table-name {name} --time-to-live-specification Enabled=false,AttributeName={attribute}`, wait an \
                 hour, and run `actingweb-maintd index check --repair`"
            ),
        ),
        NativeTtl::Stopping => (
            format!("DynamoDB is about to stop expiring what is in {name}"),
            "find out who has switched it off; in an hour at most it can be switched on again".to_owned(),
        ),
        NativeTtl::Off => {
            let remedy = "run `actingweb-maintd index check --repair` or `actingweb-maintd schema apply`, or write \
                          repair = [\"time_to_live\"] below [jobs.index_health]";
            let finding = Finding::new(Check::TimeToLive, name, off, remedy);
            return Some(finding.with_cure(Cure::EnableTimeToLive));
        }
    };
    Some(Finding::new(Check::TimeToLive, name, what, remedy))
}

/// That a table has not what every table is to have.
fn without(name: &str, off: &[Wanted]) -> Option<Finding> {
    if off.is_empty() {
        return None;
    }
    let (words, commands): (Vec<_>, Vec<_>) = off.iter().map(|wanted| (wanted.name(), command(*wanted, name))).unzip();
    let what = format!("the table {name} has no {}, which jobs.index_health.expect asks for", words.join(" and no "));
    Some(Finding::new(Check::TableSettings, name, what, format!("run {}", commands.join(" and "))))
}

/// What switches a setting on.
fn command(wanted: Wanted, name: &str) -> String {
    match wanted {
        Wanted::DeletionProtection => {
            format!("`aws dynamodb update-table --table-name {name} --deletion-protection-enabled`")
        }
        Wanted::PointInTimeRecovery => format!(
            "`aws dynamodb update-continuous-backups --table-name {name} --point-in-time-recovery-specification \
             PointInTimeRecoveryEnabled=true`"
        ),
        Wanted::Streams => format!(
            "`aws dynamodb update-table --table-name {name} --stream-specification \
             StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES`"
        ),
    }
}
