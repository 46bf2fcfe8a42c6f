//! `doctor`: what stands in the way of the daemon's work, and what to do about it.

mod backups;
mod disk;
mod dynamodb;
mod line;
mod postgresql;
mod privileges;
mod store;
mod wanted;
mod zones;

use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;

use self::line::{Line, Lines, State};
use self::wanted::Wanted;
use super::job::backend;
use super::output::{Output, table};
use super::{DONE, REMAINS, USAGE};
use crate::config::Config;
use crate::daemon::{self, Parts};
use crate::model::BackendKind;
use crate::storage::{Adoption, Concrete};

const EXIT_CODES: &str = "Exit codes: 0 when nothing fails, with warnings or without; 2 when something does.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Options {
    /// Write down that the deployment belongs where it is now: it was moved there, or it is a copy and becomes a
    /// deployment of its own, with no part in the backups of the original.
    #[arg(long, value_name = "HOW")]
    adopt: Option<How>,
    /// Which one to adopt; needed when the deployment is on several backends.
    #[arg(long, value_name = "BACKEND", value_parser = backend, requires = "adopt")]
    backend: Option<BackendKind>,
    /// Print the script for psql that makes the role of the daemon on PostgreSQL, and look at nothing.
    #[arg(long, conflicts_with = "adopt")]
    pub(super) role_sql: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    /// Nothing is left where it was.
    Moved,
    /// The original lives on.
    Copied,
}

pub(super) async fn run(options: Options, config: Config, output: &Output) -> anyhow::Result<u8> {
    if let Some(how) = options.adopt {
        return match one(options.backend, &config) {
            Ok(backend) => adopt(how, backend, &config, output).await,
            Err(wrong) => {
                output.error(&wrong);
                Ok(USAGE)
            }
        };
    }
    let jobs = daemon::jobs(&config);
    let mut lines = Lines::default();
    for runner in Parts::new(&config)?.runners {
        let wanted = Wanted { config: &config, jobs: &jobs, backend: runner.backend };
        // Without an answer there is nothing to ask.
        if !store::connection(&runner, &mut lines).await {
            continue;
        }
        store::deployment(&runner, &mut lines).await;
        match runner.store.concrete() {
            Concrete::Postgresql(store) => postgresql::examine(store, &wanted, &mut lines).await,
            Concrete::Dynamodb(store) => dynamodb::examine(store, &wanted, &mut lines).await,
        }
        if let Some(found) = disk::of_changes(&wanted) {
            lines.add(runner.backend, "diff_archive", found);
        }
    }
    output.either(&json!({ "checks": lines.all() }), || {
        table(["backend", "check", "state", ""], lines.all().iter().map(Line::row))
    })?;
    Ok(if lines.worst() == State::Failure { REMAINS } else { DONE })
}

/// The backend that is meant.
fn one(named: Option<BackendKind>, config: &Config) -> anyhow::Result<BackendKind> {
    let kinds = config.storage.kinds();
    match (named, kinds.as_slice()) {
        (Some(named), _) if kinds.contains(&named) => Ok(named),
        (Some(named), _) => bail!("storage.backends does not name {named}"),
        (None, [only]) => Ok(*only),
        (None, _) => bail!("the deployment is on several backends: say which one, as in --backend postgresql"),
    }
}

/// Writes down that the deployment belongs where it is.
async fn adopt(how: How, backend: BackendKind, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let store = Arc::clone(&Parts::connected(config).await?.runner(backend)?.store);
    let how = match how {
        How::Moved => Adoption::Moved,
        How::Copied => Adoption::Copied,
    };
    let identity = store.adopt(how).await?;
    output.either(&identity, || format!("This is deployment {}, in {}, from now on.\n", identity.id, identity.home))?;
    Ok(DONE)
}
