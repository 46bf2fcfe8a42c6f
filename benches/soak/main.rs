//! Daemons beside an application, for long: `./x soak [--duration TIME]`.
//!
//! Three daemons share one database. They are told to reload, two of them are restarted, their
//! connections are terminated and their table is locked, and all the while they are scraped. The
//! first is never restarted: whatever it has more and more of leaks. In the end the account of
//! the whole time is read from the database.
//!
//! The process fails when something does not hold. Ctrl-C ends it early, with what it has by then.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod account;
mod application;
#[path = "../figures/daemon.rs"]
mod daemon;
mod fleet;
#[path = "../figures/http.rs"]
mod http;
mod samples;
mod server;
#[path = "../figures/statistics.rs"]
mod statistics;
mod trend;
mod verdict;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use actingweb_maintd::daemon::Signals;
use anyhow::{Context, bail, ensure};
use tokio::time::MissedTickBehavior;

use self::account::Account;
use self::application::Application;
use self::fleet::Fleet;
use self::server::Server;
use self::verdict::Verdict;

/// How long it takes unless something else is asked for.
const DURATION: Duration = Duration::from_secs(30 * 60);

/// How short and how long it may be.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Between two scrapes of each daemon.
const TICK: Duration = Duration::from_secs(1);

/// How often everything is measured, in all.
const SAMPLES: u32 = 60;

fn main() -> anyhow::Result<ExitCode> {
    let Some(duration) = arguments()? else { return Ok(ExitCode::SUCCESS) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let verdict = runtime.block_on(soak(duration))?;
    println!("\n{}", verdict.render());
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn soak(duration: Duration) -> anyhow::Result<Verdict> {
    let mut signals = Signals::new()?;
    let server = Server::start().await?;
    let application = Application::start(&server).await?;
    let mut fleet = Fleet::start(&server).await?;
    println!(
        "{} daemons for {}, {} profile; Ctrl-C ends it early. Each: MB resident, descriptors, threads, connections, \
         runs, p99 of /metrics in ms.",
        fleet::SIZE,
        humantime::format_duration(duration),
        if cfg!(debug_assertions) { "DEBUG" } else { "release" },
    );
    let begun = Instant::now();
    let mut sampled = Duration::ZERO;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < duration {
        tokio::select! {
            _ = ticks.tick() => {}
            signal = signals.next() => {
                eprintln!("{signal}: ending early");
                break;
            }
        }
        ensure!(application.goes_on(), "the application has ended by itself");
        fleet.befall(&server, begun.elapsed()).await?;
        fleet.watch().await?;
        if begun.elapsed() >= sampled + duration / SAMPLES {
            sampled = begun.elapsed();
            eprintln!("{:>6.1} min{}", sampled.as_secs_f64() / 60.0, fleet.sample(sampled)?);
        }
    }
    let lasted = begun.elapsed();
    application.stop().await?;
    let left = server.left_behind().await?;
    let seen = fleet.stop().await?;
    let account = Account::read(&server).await?;
    server.stop().await?;
    Ok(Verdict { lasted, seen, account, left })
}

/// How long it is to take; nothing when the help was wanted.
fn arguments() -> anyhow::Result<Option<Duration>> {
    let mut duration = DURATION;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--duration" => {
                let value = arguments.next().context("--duration needs a length of time, as in 30m")?;
                duration = humantime::parse_duration(&value).with_context(|| format!("--duration {value}"))?;
            }
            "--help" | "-h" => {
                println!("usage: ./x soak [--duration TIME]\n\nTIME is a length such as 8m or 1h; 30m unless given");
                return Ok(None);
            }
            other => bail!("{other} means nothing here: ./x soak --help"),
        }
    }
    ensure!((SHORTEST..=LONGEST).contains(&duration), "--duration is from 1m to 24h");
    Ok(Some(duration))
}
