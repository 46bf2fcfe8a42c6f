//! `config`: what the configuration says.

use clap::Subcommand;
use serde_json::json;

use super::DONE;
use super::output::Output;
use crate::config::{self, Loaded};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check everything and name every mistake at once.
    Check,
    /// Show the values in force and where each comes from; secrets are not shown.
    Show,
    /// Print a configuration file with every key and its default.
    Example,
}

pub(super) fn run(command: &Command, loaded: &Loaded, output: &Output) -> anyhow::Result<u8> {
    match command {
        Command::Check => {
            output.either(&json!({ "ok": true, "warnings": loaded.warnings }), || {
                let mut text: String = loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
                text.push_str("The configuration is sound.\n");
                text
            })?;
        }
        Command::Show => output.either(&loaded.to_json(), || loaded.to_toml())?,
        Command::Example => output.text(config::EXAMPLE),
    }
    Ok(DONE)
}
