//! Runs a command beside a private PostgreSQL cluster: `private_cluster -- cargo nextest run`.
//!
//! The command finds the cluster in `TEST_PG_HOST`, `TEST_PG_PORT`, `TEST_PG_BIN` (PostgreSQL's
//! programs) and `TEST_PG_DATA`; the user `postgres` needs no password. The cluster is gone when
//! the command ends, and its exit code is ours. `./x test` runs the tests this way, because
//! nextest gives every test a process of its own and one cluster has to serve them all.

use std::{os::unix::process::ExitStatusExt, process::ExitCode, time::Duration};

use actingweb_maintd::backup::cluster::{Cluster, Options};
use anyhow::Context;
use futures_util::StreamExt;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;

/// How long the command has to notice an interrupt by itself.
const INTERRUPT_GRACE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).skip_while(|argument| argument == "--").collect();
    let (program, arguments) = arguments.split_first().context("usage: private_cluster -- COMMAND [ARGUMENT]...")?;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(&Options::default())).await??;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("TEST_PG_HOST", cluster.host())
        .env("TEST_PG_PORT", cluster.port().to_string())
        .env("TEST_PG_BIN", cluster.bin_dir())
        .env("TEST_PG_DATA", cluster.data_dir())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;

    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            Some(signal) = signals.next() => {
                // A terminal interrupts the command as well as us, and twice may mean more
                // than once to it.
                if signal == SIGINT {
                    tokio::select! {
                        status = child.wait() => break status?,
                        () = tokio::time::sleep(INTERRUPT_GRACE) => (),
                    }
                }
                if let Some(id) = child.id() {
                    kill(Pid::from_raw(id.try_into()?), Signal::try_from(signal)?)?;
                }
            }
        }
    };
    // As a shell puts it.
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code)?))
}
