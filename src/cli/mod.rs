//! The command line: one file per subcommand. This is the only room that prints.

mod backup;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod findings;
mod index;
mod job;
mod lookup;
mod orphan;
mod output;
mod progress;
mod run;
mod schema;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use self::output::Output;
use crate::config::{Loaded, Origin, Sources};
use crate::daemon::Logging;

/// Done, and nothing is left to do.
const DONE: u8 = 0;
/// Something failed.
const FAILED: u8 = 1;
/// Done as far as it goes, but work or findings remain.
const REMAINS: u8 = 2;
/// Wrong usage or wrong configuration: `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

/// The maintenance daemon of an ActingWeb deployment.
///
/// It deletes what should not be there any more from PostgreSQL and DynamoDB, backs them up and proves the backups,
/// and looks after tables and indexes, on schedule and beside live applications, and tells Prometheus about it. It
/// finds its stores by the same environment variables as the application.
#[derive(Debug, Parser)]
#[command(name = "actingweb-maintd", version, after_help = EXIT_CODES)]
struct Cli {
    /// The configuration file; else `MAINTD_CONFIG`, else `/etc/actingweb-maintd/config.toml` if
    /// it exists.
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print one JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done and clean; 1 failed; 2 work or findings remain; 64 wrong usage or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run(run::Options),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Look at the schemas and tables, or bring them to the newest revision.
    #[command(subcommand)]
    Schema(schema::Command),
    /// Look at the jobs, or run one now.
    #[command(subcommand)]
    Job(job::Command),
    /// Look for rows of actors that do not exist, or delete them.
    #[command(subcommand)]
    Orphan(orphan::Command),
    /// Look at the table in which actors are found by their properties.
    #[command(subcommand)]
    Lookup(lookup::Command),
    /// Look at tables and indexes, and repair them.
    #[command(subcommand)]
    Index(index::Command),
    /// Make, list, prove, restore and remove backups.
    #[command(subcommand)]
    Backup(backup::Command),
    /// Ask what stands in the way of the daemon's work, and say what to do about it.
    Doctor(doctor::Options),
    /// Run everything on throw-away local stores.
    #[cfg(feature = "demo")]
    Demo(demo::Options),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to do if even this cannot be printed.
            let _printed = error.print();
            return ExitCode::from(if asked_for { DONE } else { USAGE });
        }
    };
    let output = Output { json: cli.json };
    match dispatch(cli, &output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> anyhow::Result<u8> {
    #[cfg(feature = "demo")]
    if let Command::Demo(options) = &cli.command {
        return demo::run(options, output);
    }
    if let Command::Config(config::Command::Example) = &cli.command {
        output.text(crate::config::EXAMPLE);
        return Ok(DONE);
    }
    if let Command::Doctor(doctor::Options { role_sql: true, .. }) = &cli.command {
        output.text(&crate::storage::postgres::role_script());
        return Ok(DONE);
    }
    let sources = Sources { file: cli.config, env: crate::config::environment(), ..Sources::default() };
    let loaded = match crate::config::load(&sources) {
        Ok(loaded) => loaded,
        Err(problems) => {
            output.problems(&problems)?;
            return Ok(USAGE);
        }
    };
    match cli.command {
        Command::Config(command) => config::run(&command, &loaded, output),
        Command::Run(options) => run::run(options, sources, loaded),
        Command::Schema(command) => one_shot(&loaded)?.block_on(schema::run(command, loaded.config, output)),
        Command::Job(command) => one_shot(&loaded)?.block_on(job::run(command, loaded.config, output)),
        Command::Orphan(command) => one_shot(&loaded)?.block_on(orphan::run(command, loaded.config, output)),
        Command::Backup(command) => one_shot(&loaded)?.block_on(backup::run(command, loaded.config, output)),
        Command::Index(command) => one_shot(&loaded)?.block_on(index::run(command, loaded.config, output)),
        Command::Lookup(command) => one_shot(&loaded)?.block_on(lookup::run(command, loaded.config, output)),
        Command::Doctor(options) => one_shot(&loaded)?.block_on(doctor::run(options, loaded.config, output)),
        #[cfg(feature = "demo")]
        Command::Demo(_) => unreachable!("handled before the configuration was read"),
    }
}

/// What a command that does one thing needs: quiet logs, and a runtime.
fn one_shot(loaded: &Loaded) -> anyhow::Result<tokio::runtime::Runtime> {
    let filter =
        if *loaded.origin("log.filter") == Origin::Default { "warn" } else { loaded.config.log.filter.as_str() };
    Logging::start(filter, loaded.config.log.format)?;
    warn(loaded);
    runtime()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // Two threads do: the work is waiting for servers.
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
