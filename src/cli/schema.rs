//! `schema`: the application's tables and our own.

use clap::Subcommand;
use serde_json::json;

use super::output::{Output, table};
use super::{DONE, REMAINS};
use crate::config::Config;
use crate::daemon::Parts;
use crate::model::schema;
use crate::storage::postgres::SchemaStatus;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the revisions; exits 2 when something is missing or unknown.
    Status,
    /// Bring ActingWeb's tables and the daemon's own to the newest revision. Alembic can go on
    /// from there, and the other way round.
    Apply,
}

pub(super) async fn run(command: Command, config: Config, output: &Output) -> anyhow::Result<u8> {
    let store = Parts::connected(&config).await?.store;
    match command {
        Command::Status => {
            let status = store.schema().await?;
            let refusal = status.refusal();
            output
                .either(&json!({ "backends": { "postgresql": status }, "problem": refusal }), || describe(&status))?;
            let behind = status.revisions.iter().any(|id| id != schema::HEAD);
            Ok(if refusal.is_some() || behind { REMAINS } else { DONE })
        }
        Command::Apply => {
            let applied = store.apply(true).await?;
            output.either(&json!({ "applied": { "postgresql": applied } }), || {
                let mut lines: Vec<String> =
                    applied.revisions.iter().map(|id| format!("applied revision {id} of ActingWeb's tables")).collect();
                lines.extend(
                    applied.maintd.iter().map(|number| format!("applied migration {number} of the schema maintd")),
                );
                if lines.is_empty() {
                    lines.push("nothing to do: both schemas are at their newest revision".to_owned());
                }
                lines.join("\n") + "\n"
            })?;
            Ok(DONE)
        }
    }
}

fn describe(status: &SchemaStatus) -> String {
    let revisions = if status.revisions.is_empty() { "none".to_owned() } else { status.revisions.join(", ") };
    let own = status.maintd_version.map_or_else(|| "missing".to_owned(), |version| version.to_string());
    let mut text = table(
        ["schema", "at", "newest known"],
        [
            [status.schema.clone(), revisions, status.known_head.to_owned()],
            ["maintd".to_owned(), own, status.maintd_head.to_string()],
        ],
    );
    if let Some(refusal) = status.refusal() {
        text.push_str(&format!("\nNothing is deleted: {refusal}\n"));
    }
    text
}
