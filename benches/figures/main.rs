//! The figures that this project promises, measured beside the tools that people would use
//! instead: `./x bench [--quick] [SUBJECT]...`.
//!
//! What one machine can do in a second says little about another, so every figure is a ratio:
//! both sides do the same work on the same server, in turns (A B A B …), and the median of the
//! pairs is printed. The server is durable and on disk, as in production; DynamoDB is a stand-in in a
//! process of its own.
//!
//! The process fails when a figure misses its target, except with `--quick`, whose sizes are too
//! small to tell.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod application;
mod backup;
mod bulk;
mod daemon;
mod delete;
mod empty;
mod handover;
mod http;
mod index;
mod library;
mod operations;
mod pressure;
mod processes;
mod pruning;
mod rate;
mod scrape;
mod server;
mod snapshot;
mod stand_in;
mod start;
mod statistics;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;

use self::server::Server;
use self::table::{Row, Target};

/// What can be measured, in the order in which it is.
const SUBJECTS: [(&str, &str); 16] = [
    ("delete", "expired rows deleted beside an application"),
    ("alone", "expired rows deleted with nobody waiting"),
    ("empty", "a run that finds nothing"),
    ("rate", "how exactly max_rows_per_second is kept"),
    ("snapshot", "the cost of a batch under an old snapshot"),
    ("pressure", "a replica that stands still: the pause for it, and the way back"),
    ("scrape", "memory when idle, and scrapes"),
    ("start", "start to ready, and the size of the program"),
    ("handover", "stops, kills, reloads and locks, to the moment when work goes on"),
    ("operations", "what an application does with its storage, on both backends"),
    ("bulk", "rows in and out of whole tables, on both backends"),
    ("backup", "backups beside pg_dump"),
    ("drill", "drills beside pg_restore"),
    ("backup-memory", "the memory of backups of two sizes"),
    ("index", "a look at all tables and indexes, beside check_postgres"),
    ("pruning", "changes deleted by the batch, in tables of two sizes"),
];

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// As little as shows that everything works.
    pub(crate) quick: bool,
}

impl Effort {
    /// `usual`, or `quick` in a quick run.
    pub(crate) fn pick<T>(self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(stand_in::ARGUMENT) {
        return stand_in::serve().map(|()| ExitCode::SUCCESS);
    }
    let Some((effort, wanted)) = arguments()? else { return Ok(ExitCode::SUCCESS) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rows = runtime.block_on(measure(effort, &wanted))?;
    println!("\n{}", table::render(&rows));
    let targets = rows.iter().filter(|row| !matches!(row.target, Target::Free)).count();
    let missed = rows.iter().filter(|row| !row.holds()).count();
    if effort.quick {
        println!("Quick: sizes are too small for the targets to mean much.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} of {targets} figures hold.", targets - missed);
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(effort: Effort, wanted: &[&str]) -> anyhow::Result<Vec<Row>> {
    let server = Server::start().await?;
    println!("{}\n", server.facts().await?);
    let mut rows = Vec::new();
    for subject in wanted {
        let begun = Instant::now();
        let measured = match *subject {
            "delete" => delete::beside_an_application(&server, effort).await?,
            "alone" => delete::alone(&server, effort).await?,
            "empty" => empty::measure(&server, effort).await?,
            "rate" => rate::measure(&server, effort).await?,
            "snapshot" => snapshot::measure(&server, effort).await?,
            "pressure" => pressure::measure(&server, effort).await?,
            "scrape" => scrape::measure(&server, effort).await?,
            "start" => start::measure(&server, effort).await?,
            "handover" => handover::measure(&server, effort).await?,
            "operations" => operations::measure(&server, effort).await?,
            "bulk" => bulk::measure(&server, effort).await?,
            "backup" => backup::taking(&server, effort).await?,
            "drill" => backup::drilling(&server, effort).await?,
            "backup-memory" => backup::memory(&server, effort).await?,
            "index" => index::measure(&server, effort).await?,
            "pruning" => pruning::measure(&server, effort).await?,
            other => bail!("nothing is called {other}"),
        };
        eprintln!("{subject}: took {:.0} s", begun.elapsed().as_secs_f64());
        // What comes later may fail.
        measured.iter().for_each(|row| eprintln!("  {row}"));
        rows.extend(measured);
    }
    server.stop().await?;
    Ok(rows)
}

/// What is wanted; nothing when the help was.
fn arguments() -> anyhow::Result<Option<(Effort, Vec<&'static str>)>> {
    let mut effort = Effort { quick: false };
    let mut wanted = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--quick" => effort.quick = true,
            "--help" | "-h" => {
                println!("usage: ./x bench [--quick] [SUBJECT]...\n");
                for (name, what) in SUBJECTS {
                    println!("  {name:<12}{what}");
                }
                return Ok(None);
            }
            name => match SUBJECTS.iter().find(|(known, _)| *known == name) {
                Some((known, _)) => wanted.push(*known),
                None => bail!("there is no subject {name}: ./x bench --help lists them"),
            },
        }
    }
    if wanted.is_empty() {
        wanted = SUBJECTS.map(|(name, _)| name).to_vec();
    }
    Ok(Some((effort, wanted)))
}
