//! What every store is asked.

use super::line::{Found, Lines};
use crate::model::BackendKind;
use crate::runner::Runner;
use crate::storage::postgres::NoConnection;
use crate::storage::{Error, ErrorKind, Incomplete};

/// A question that was not answered by a store that has answered others.
pub(super) fn unanswered(error: &Error) -> Found {
    let remedy = match (error.kind, error.backend) {
        (ErrorKind::Denied, BackendKind::Postgresql) => "grant the role what the lines about privileges say",
        (ErrorKind::Denied, BackendKind::Dynamodb) => ALLOWED,
        _ => "ask again; if it stays so, the store's own log says more",
    };
    Found::failure(error.chain(), remedy)
}

const ALLOWED: &str =
    "check whose keys these are, and what they are allowed: deploy/aws/policy.json is what the daemon needs";

/// Whether it answers at all.
pub(super) async fn connection(runner: &Runner, lines: &mut Lines) -> bool {
    let found = match runner.store.probe().await {
        Ok(()) => Found::ok(runner.store.describe()),
        Err(error) => unconnected(&error),
    };
    lines.add(runner.backend, "connection", found)
}

fn unconnected(error: &Error) -> Found {
    if let Some(NoConnection { why, remedy }) = error.source.downcast_ref() {
        let remedy = remedy.unwrap_or("see what the server's log says about it");
        return Found::failure(format!("{}: cannot {}: {why}", error.backend, error.op), remedy);
    }
    let remedy = match error.kind {
        ErrorKind::Denied => ALLOWED,
        _ => "check that it can be reached from here, and where storage says that it is",
    };
    Found::failure(error.chain(), remedy)
}

/// Whose it is and whether anything may be done there. What cannot be asked without the daemon's own tables is not.
pub(super) async fn deployment(runner: &Runner, lines: &mut Lines) {
    let (store, backend) = (&runner.store, runner.backend);
    let (schema, has_own) = match store.schema().await {
        Ok(status) => {
            let known = || {
                Found::ok(status.revision().map_or_else(|| "known".to_owned(), |id| format!("known: revision {id}")))
            };
            let found = status.refusal().map_or_else(known, |why| Found::refusal(&why));
            (found, status.own_refusal().is_none())
        }
        Err(error) => (unanswered(&error), false),
    };
    lines.add(backend, "schema", schema);
    if has_own {
        let identity = async {
            let (identity, home) = (store.identity().await?, store.home().await?);
            Ok::<_, Error>(match identity.refusal(&home) {
                Some(why) => Found::refusal(&why),
                None => Found::ok(format!("deployment {}, in {home}", identity.id)),
            })
        };
        let identity = identity.await.unwrap_or_else(|error| unanswered(&error));
        lines.add(backend, "identity", identity);
        let complete = match store.incomplete().await {
            Ok(None) => Found::ok("nobody is restoring or importing into it"),
            Ok(Some(incomplete)) => unfinished(&incomplete),
            Err(error) => unanswered(&error),
        };
        lines.add(backend, "complete", complete);
    }
    let clocks = match runner.clocks.ask(&**store).await {
        Ok(None) => Found::ok("this machine's and the store's agree"),
        Ok(Some(why)) => Found::failure(
            why,
            "have both set their clocks by NTP (`timedatectl` shows whether one does); clock.max_skew is what is allowed",
        ),
        Err(error) => unanswered(&error),
    };
    lines.add(backend, "clocks", clocks);
}

fn unfinished(Incomplete { why, by, since }: &Incomplete) -> Found {
    let since = since.format("%Y-%m-%dT%H:%M:%SZ");
    Found::failure(
        format!("incomplete since {since}, as {by} says: {why}; nothing is deleted meanwhile"),
        "let it come to its end; if it was cut off, begin it again: what is whole is marked complete",
    )
}
