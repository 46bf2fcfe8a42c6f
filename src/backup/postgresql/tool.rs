//! A backup that another tool makes and keeps: pgBackRest, WAL-G or Barman. The set only refers to it.

use super::found;
use super::toolwords::{Backup, read, verdict};
use crate::backup::program::Program;
use crate::backup::{Consistency, Desk, Draft, Error, Manifest, Owner, Part, Result, Taken, ToolName, Versions};
use crate::storage::Home;
use crate::storage::postgres::Postgres;

/// Where the commands are configured.
const TABLE: &str = "backup.postgresql.tool";

pub(super) async fn take(desk: Desk<'_>, store: &Postgres, draft: &Draft) -> Result<Taken> {
    let server = store.replication().await?;
    let tool = &desk.shop.settings.postgresql.tool;
    let name = tool.name.ok_or_else(|| {
        let names = "\"pgbackrest\", \"wal_g\" or \"barman\"";
        Error::Refused(format!("{TABLE}.name is not set: write {names}, whichever makes the backups"))
    })?;
    // What is there before tells, whatever the clocks say, which one is new afterwards.
    let before = list(desk, name).await?;
    Program::configured(&tool.create, &format!("{TABLE}.create"))?.run(desk.stop).await?;
    let after = list(desk, name).await?;
    let made = after.into_iter().filter(|backup| before.iter().all(|known| known.label != backup.label));
    let Some(made) = made.max_by_key(|backup| backup.ended_at) else {
        return Err(Error::failed(format!(
            "{TABLE}.create ended well, but {TABLE}.list shows no backup that was not there before"
        )));
    };
    if let Some(why) = &made.problem {
        return Err(Error::failed(format!("the backup {} was made, but it does not count: {why}", made.label)));
    }
    of_this_cluster(draft.shelf().of(), &made)?;
    Ok(Taken {
        at: made.ended_at.unwrap_or(server.at),
        consistency: Consistency::Snapshot,
        versions: Versions { server: Some(server.version), ..Versions::default() },
        compression: None,
        rows: Default::default(),
        digests: Default::default(),
        parts: vec![Part { of: made.cluster, reference: made.label, size: made.size }],
    })
}

/// Whether the tool still has what the set refers to, and what its own check says.
pub(super) async fn inspect(desk: Desk<'_>, manifest: &Manifest) -> Result<Option<String>> {
    let tool = &desk.shop.settings.postgresql.tool;
    let name = tool.name.ok_or_else(|| Error::Refused(format!("{TABLE}.name is not set")))?;
    let there = list(desk, name).await?;
    for part in &manifest.parts {
        let known = there.iter().find(|backup| backup.label == part.reference);
        match known.map(|backup| &backup.problem) {
            None => return Ok(Some(format!("the backup {} is gone", part.reference))),
            Some(Some(why)) => return Ok(Some(format!("the backup {}: {why}", part.reference))),
            Some(None) => {}
        }
    }
    if tool.verify.is_empty() {
        return Ok(None);
    }
    let key = format!("{TABLE}.verify");
    let text = match Program::configured(&tool.verify, &key)?.output(desk.stop).await {
        Ok(text) => text,
        Err(error) => return found(error),
    };
    for Part { reference, .. } in &manifest.parts {
        let verdict = verdict(name, reference, &text);
        let verdict = verdict.map_err(|why| Error::failed(format!("{key}: {why}: {}", excerpt(&text))))?;
        if let Some(why) = verdict {
            return Ok(Some(format!("the backup {reference}: {why}")));
        }
    }
    Ok(None)
}

/// The backups that the tool lists.
async fn list(desk: Desk<'_>, name: ToolName) -> Result<Vec<Backup>> {
    let key = format!("{TABLE}.list");
    let text = Program::configured(&desk.shop.settings.postgresql.tool.list, &key)?.output(desk.stop).await?;
    read(name, &text).map_err(|why| Error::failed(format!("{key}: {why}: {}", excerpt(&text))))
}

/// Refuses the backup of another cluster, where the tool says of which it is.
fn of_this_cluster(of: &Owner, made: &Backup) -> Result<()> {
    match (&of.home, made.system_identifier) {
        (Some(Home::Postgresql { system_identifier, .. }), Some(other)) if other != *system_identifier => {
            Err(Error::failed(format!(
                "the backup {} is of the cluster {other}, and the deployment is in the cluster {system_identifier}: \
                 check what {TABLE}.create names",
                made.label
            )))
        }
        _ => Ok(()),
    }
}

/// The end of what a program wrote, for a message.
fn excerpt(text: &[u8]) -> String {
    const MOST: usize = 300;
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    match text.char_indices().rev().nth(MOST) {
        Some((from, _)) => format!("…{}", &text[from..]),
        None if text.is_empty() => "it wrote nothing".to_owned(),
        None => text.to_owned(),
    }
}
