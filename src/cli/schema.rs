//! `schema`: the application's tables and our own.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::output::{Output, table};
use super::{DONE, REMAINS};
use crate::config::Config;
use crate::daemon::Parts;
use crate::model::schema;
use crate::storage::{Applied, SchemaStatus, dynamodb, postgres};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the revisions and tables; exits 2 when something is missing or unknown.
    Status,
    /// Bring ActingWeb's tables and the daemon's own to the newest revision. On PostgreSQL, Alembic
    /// can go on from there, and the other way round; on DynamoDB, what is missing is made as the
    /// library makes it, and expiry of attributes is switched on.
    Apply,
}

pub(super) async fn run(command: Command, config: Config, output: &Output) -> anyhow::Result<u8> {
    let runners = Parts::connected(&config).await?.runners;
    let mut documents = Map::new();
    let mut texts = Vec::new();
    match command {
        Command::Status => {
            let mut problem = None;
            let mut is_behind = false;
            for runner in runners {
                let status = runner.store.schema().await?;
                documents.insert(runner.backend.name().to_owned(), serde_json::to_value(&status)?);
                problem = problem.or(status.refusal());
                is_behind |= behind(&status);
                texts.push(describe(&status));
            }
            let code = if problem.is_some() || is_behind { REMAINS } else { DONE };
            output.either(&json!({ "backends": Value::Object(documents), "problem": problem }), || texts.join("\n"))?;
            Ok(code)
        }
        Command::Apply => {
            for runner in runners {
                let applied = runner.store.apply(true).await?;
                documents.insert(runner.backend.name().to_owned(), serde_json::to_value(&applied)?);
                texts.extend(lines(&applied));
            }
            if texts.is_empty() {
                texts.push("nothing to do: everything is at its newest revision".to_owned());
            }
            output.either(&json!({ "applied": Value::Object(documents) }), || texts.join("\n") + "\n")?;
            Ok(DONE)
        }
    }
}

/// Whether the application's tables are older than those that this build makes, or others.
fn behind(status: &SchemaStatus) -> bool {
    match status {
        SchemaStatus::Postgresql(status) => status.revisions.iter().any(|id| id != schema::HEAD),
        SchemaStatus::Dynamodb(status) => {
            !status.missing.is_empty() || status.ttl_attribute.is_none() || !status.findings.is_empty()
        }
    }
}

fn describe(status: &SchemaStatus) -> String {
    let mut text = match status {
        SchemaStatus::Postgresql(status) => describe_postgresql(status),
        SchemaStatus::Dynamodb(status) => describe_dynamodb(status),
    };
    if let Some(refusal) = status.refusal() {
        text.push_str(&format!("\nNothing is deleted: {refusal}\n"));
    }
    text
}

fn describe_postgresql(status: &postgres::SchemaStatus) -> String {
    let revisions = if status.revisions.is_empty() { "none".to_owned() } else { status.revisions.join(", ") };
    let own = status.maintd_version.map_or_else(|| "missing".to_owned(), |version| version.to_string());
    table(
        ["schema", "at", "newest known"],
        [
            [status.schema.clone(), revisions, status.known_head.to_owned()],
            ["maintd".to_owned(), own, status.maintd_head.to_string()],
        ],
    )
}

fn describe_dynamodb(status: &dynamodb::SchemaStatus) -> String {
    let own = status.maintd_version.map_or_else(|| "missing".to_owned(), |version| format!("version {version}"));
    let present = status.tables.iter().map(|name| [name.clone(), "present".to_owned()]);
    let missing = status.missing.iter().map(|name| [name.clone(), "missing".to_owned()]);
    let mut rows: Vec<[String; 2]> = present.chain(missing).collect();
    rows.sort();
    rows.push([format!("{}_maintd", status.table_prefix), own]);
    let mut text = table(["table", "state"], rows);
    match &status.ttl_attribute {
        Some(attribute) => text.push_str(&format!("\nDynamoDB expires attributes by {attribute}.\n")),
        // The findings below say why nobody knows.
        None if status.ttl_unknown.is_some() => text.push('\n'),
        None => text.push_str("\nDynamoDB does not expire attributes: `schema apply` switches that on.\n"),
    }
    for finding in &status.findings {
        text.push_str(&format!("{finding}\n"));
    }
    text
}

fn lines(applied: &Applied) -> Vec<String> {
    match applied {
        Applied::Postgresql(applied) => {
            let revisions = applied.revisions.iter().map(|id| format!("applied revision {id} of ActingWeb's tables"));
            let own = applied.maintd.iter().map(|number| format!("applied migration {number} of the schema maintd"));
            revisions.chain(own).collect()
        }
        Applied::Dynamodb(applied) => {
            let mut lines: Vec<String> = applied.tables.iter().map(|name| format!("made the table {name}")).collect();
            if applied.ttl {
                lines.push("DynamoDB expires attributes by itself from now on".to_owned());
            }
            if applied.maintd {
                lines.push("made the daemon's own table".to_owned());
            }
            lines
        }
    }
}
