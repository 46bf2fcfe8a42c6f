//! `doctor`: what stands in the way of the daemon's work, and what to do about it.

use std::fmt;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::job::backend;
use super::output::{Output, table};
use super::{DONE, REMAINS, USAGE};
use crate::config::Config;
use crate::daemon::Parts;
use crate::model::BackendKind;
use crate::runner::Runner;
use crate::storage::{Adoption, Error, Incomplete};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Write down that the deployment belongs where it is now: it was moved there, or it is a copy and becomes a
    /// deployment of its own, with no part in the backups of the original.
    #[arg(long, value_name = "HOW")]
    adopt: Option<How>,
    /// Which one to adopt; needed when the deployment is on several backends.
    #[arg(long, value_name = "BACKEND", value_parser = backend, requires = "adopt")]
    backend: Option<BackendKind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    /// Nothing is left where it was.
    Moved,
    /// The original lives on.
    Copied,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    backend: BackendKind,
    check: &'static str,
    state: State,
    what: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// Something does not work until it is dealt with.
    Failure,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Failure => "FAILURE",
        })
    }
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
    let mut findings = Vec::new();
    for runner in Parts::new(&config)?.runners {
        examine(&runner, &mut findings).await;
    }
    let is_well = findings.iter().all(|finding| finding.state == State::Ok);
    output.either(&json!({ "checks": findings }), || {
        let row = |finding: &Finding| {
            [finding.backend.to_string(), finding.check.to_owned(), finding.state.to_string(), finding.what.clone()]
        };
        table(["backend", "check", "state", ""], findings.iter().map(row))
    })?;
    Ok(if is_well { DONE } else { REMAINS })
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

/// Asks a store one question after the other; what the later ones need, the earlier ones have told.
async fn examine(runner: &Runner, findings: &mut Vec<Finding>) {
    let mut tell = |check, found: Result<String, String>| {
        let (state, what) = match found {
            Ok(what) => (State::Ok, what),
            Err(what) => (State::Failure, what),
        };
        findings.push(Finding { backend: runner.backend, check, state, what });
        state == State::Ok
    };
    let store = &runner.store;
    let answers = store.probe().await.map(|()| store.describe()).map_err(|error| error.chain());
    if !tell("connection", answers) {
        return;
    }
    let schema = match store.schema().await {
        Ok(status) => match status.refusal() {
            Some(why) => Err(why),
            None => Ok(status.revision().map_or_else(|| "known".to_owned(), |id| format!("known: revision {id}"))),
        },
        Err(error) => Err(error.chain()),
    };
    if !tell("schema", schema) {
        return;
    }
    let identity = async {
        let (identity, home) = (store.identity().await?, store.home().await?);
        Ok::<_, Error>(match identity.refusal(&home) {
            Some(why) => Err(why),
            None => Ok(format!("deployment {}, in {home}", identity.id)),
        })
    };
    tell("identity", identity.await.unwrap_or_else(|error| Err(error.chain())));
    let complete = match store.incomplete().await {
        Ok(None) => Ok("nobody is restoring or importing into it".to_owned()),
        Ok(Some(Incomplete { why, by, since })) => {
            let since = since.format("%Y-%m-%dT%H:%M:%SZ");
            Err(format!("incomplete since {since}, as {by} says: {why}; nothing is deleted meanwhile"))
        }
        Err(error) => Err(error.chain()),
    };
    tell("complete", complete);
    let clocks = match runner.clocks.ask(&**store).await {
        Ok(None) => Ok("this machine's and the store's agree".to_owned()),
        Ok(Some(why)) => Err(why),
        Err(error) => Err(error.chain()),
    };
    tell("clocks", clocks);
}
