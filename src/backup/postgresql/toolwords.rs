//! What pgBackRest, WAL-G and Barman write when they are asked for their backups as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::backup::ToolName;

/// A backup that a tool has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backup {
    /// How the tool knows it.
    pub(super) label: String,
    /// What it is of, in the tool's words: a stanza or a server.
    pub(super) cluster: String,
    /// When it was done; none while it is not.
    pub(super) ended_at: Option<DateTime<Utc>>,
    /// The bytes it takes, where the tool says so.
    pub(super) size: Option<u64>,
    /// The cluster's identifier, where the tool says so.
    pub(super) system_identifier: Option<i64>,
    /// Why it does not count, if so.
    pub(super) problem: Option<String>,
}

/// The backups in what a tool wrote, or why it cannot be understood.
pub(super) fn read(tool: ToolName, text: &[u8]) -> Result<Vec<Backup>, String> {
    match tool {
        ToolName::Pgbackrest => pgbackrest(text),
        ToolName::WalG => wal_g(text),
        ToolName::Barman => barman(text),
    }
}

fn parsed<T: DeserializeOwned>(text: &[u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("it is not what {what} writes ({error})"))
}

/// `pgbackrest --output=json info`: stanzas with their backups.
fn pgbackrest(text: &[u8]) -> Result<Vec<Backup>, String> {
    #[derive(Deserialize)]
    struct Stanza {
        name: String,
        status: Status,
        #[serde(default)]
        db: Vec<Db>,
        #[serde(default)]
        backup: Vec<Made>,
    }
    #[derive(Deserialize)]
    struct Status {
        code: i64,
        message: String,
    }
    #[derive(Deserialize)]
    struct Db {
        id: i64,
        #[serde(rename = "system-id")]
        system_id: i64,
    }
    #[derive(Deserialize)]
    struct Made {
        label: String,
        #[serde(default)]
        error: Option<bool>,
        timestamp: Times,
        database: Option<Of>,
        info: Option<Info>,
    }
    #[derive(Deserialize)]
    struct Of {
        id: i64,
    }
    #[derive(Deserialize)]
    struct Times {
        stop: i64,
    }
    #[derive(Deserialize)]
    struct Info {
        repository: Repository,
    }
    #[derive(Deserialize)]
    struct Repository {
        size: Option<u64>,
        delta: Option<u64>,
    }
    /// No valid backups: a repository before its first one.
    const EMPTY: i64 = 2;

    let stanzas: Vec<Stanza> = parsed(text, "`pgbackrest --output=json info`")?;
    let mut backups = Vec::new();
    for stanza in stanzas {
        let Status { code, message } = stanza.status;
        if code != 0 && code != EMPTY {
            return Err(format!("the stanza {} has the status {code}: {message}", stanza.name));
        }
        for made in stanza.backup {
            let system = |of: Of| stanza.db.iter().find(|db| db.id == of.id).map(|db| db.system_id);
            backups.push(Backup {
                label: made.label,
                cluster: stanza.name.clone(),
                ended_at: DateTime::from_timestamp(made.timestamp.stop, 0),
                size: made.info.and_then(|info| info.repository.size.or(info.repository.delta)),
                system_identifier: made.database.and_then(system),
                problem: made.error.unwrap_or(false).then(|| "pages failed their checksums".to_owned()),
            });
        }
    }
    Ok(backups)
}

/// What a tool's own check, which came to its end, has found wrong with a backup; or why it cannot be understood.
pub(super) fn verdict(tool: ToolName, label: &str, text: &[u8]) -> Result<Option<String>, String> {
    match tool {
        ToolName::Pgbackrest => pgbackrest_verdict(label, text),
        // Their exit codes say it.
        ToolName::WalG | ToolName::Barman => Ok(None),
    }
}

/// `pgbackrest --output=text --verbose verify`: a line for each backup, and below it what was counted. The exit code
/// only says that it came to its end.
fn pgbackrest_verdict(label: &str, text: &[u8]) -> Result<Option<String>, String> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim);
    let beginning = format!("backup: {label}, status: ");
    let Some(status) = lines.find_map(|line| line.strip_prefix(&beginning)) else {
        return Err(format!(
            "it tells nothing of the backup {label}: pgBackRest does so with `--output=text --verbose`, and its exit \
             code never does"
        ));
    };
    if status.split(',').next() == Some("valid") {
        return Ok(None);
    }
    let counted = lines.next().map(|counted| format!("; {counted}")).unwrap_or_default();
    Ok(Some(format!("pgBackRest says that it is {status}{counted}")))
}

/// `wal-g backup-list --json --detail`: backups, or nothing at all when there is none.
fn wal_g(text: &[u8]) -> Result<Vec<Backup>, String> {
    #[derive(Deserialize)]
    struct Made {
        backup_name: String,
        finish_time: DateTime<Utc>,
        #[serde(default)]
        hostname: String,
        system_identifier: Option<i64>,
        compressed_size: Option<u64>,
    }
    let text = text.trim_ascii();
    let made: Option<Vec<Made>> = match text {
        b"" => None,
        text => parsed(text, "`wal-g backup-list --json --detail`")?,
    };
    let backup = |made: Made| Backup {
        label: made.backup_name,
        cluster: made.hostname,
        ended_at: Some(made.finish_time),
        size: made.compressed_size.filter(|size| *size > 0),
        system_identifier: made.system_identifier,
        problem: None,
    };
    Ok(made.unwrap_or_default().into_iter().map(backup).collect())
}

/// `barman --format=json list-backup SERVER`: the backups of each server.
fn barman(text: &[u8]) -> Result<Vec<Backup>, String> {
    #[derive(Deserialize)]
    struct Made {
        backup_id: String,
        status: String,
        /// A number as text.
        end_time_timestamp: Option<String>,
        size_bytes: Option<u64>,
    }
    let servers: BTreeMap<String, serde_json::Value> = parsed(text, "`barman --format=json list-backup`")?;
    let mut backups = Vec::new();
    for (server, value) in servers {
        // Beside the servers there are messages, by their level.
        match server.as_str() {
            "_ERROR" => return Err(format!("Barman says {value}")),
            message if message.starts_with('_') => continue,
            _ => {}
        }
        let made: Vec<Made> = serde_json::from_value(value)
            .map_err(|error| format!("it is not what `barman --format=json list-backup` writes ({error})"))?;
        backups.extend(made.into_iter().map(|made| Backup {
            label: made.backup_id,
            cluster: server.clone(),
            ended_at: made.end_time_timestamp.and_then(|text| DateTime::from_timestamp(text.parse().ok()?, 0)),
            size: made.size_bytes,
            system_identifier: None,
            problem: match made.status.as_str() {
                "DONE" => None,
                "WAITING_FOR_WALS" => {
                    Some("its write-ahead log has not arrived: make it with `barman backup --wait`".to_owned())
                }
                other => Some(format!("Barman says {other}")),
            },
        }));
    }
    Ok(backups)
}

#[cfg(test)]
mod tests;
