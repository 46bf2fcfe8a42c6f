//! What an application does with its storage, one operation after the other, by us and by the
//! Python library on the same servers: the operations that the library's own reference gives times
//! for.

mod ours;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use actingweb_maintd::storage::{Store, Upkeep};

use self::plan::{Operation, Plan};
use super::Effort;
use super::library::Library;
use super::server::Server;
use super::stand_in::StandIn;
use super::statistics::{median_of, milliseconds, percentile};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "operated";
const PREFIX: &str = "operated";

/// What the library does.
const SCRIPT: &str = include_str!("library.py");

/// How long each operation took, in milliseconds, in the order in which they were done.
type Taken = BTreeMap<Operation, Vec<f64>>;

/// Makes a store.
type Open<'a> = Box<dyn Fn() -> anyhow::Result<Arc<dyn Store>> + 'a>;

/// Both sides on one backend.
struct Stage<'a> {
    /// The backend, in words.
    name: &'static str,
    /// Whether writes wait for the disk.
    waits: bool,
    ours: Open<'a>,
    library: Library,
}

/// Half and nearly all of what one side did are no slower than this, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Latency {
    p50: f64,
    p99: f64,
}

/// Does the same on both backends, in turns.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    server.create(DATABASE, "SELECT").await?;
    let stand_in = StandIn::start()?;
    let (postgresql, dynamodb) = (server.store(DATABASE)?, stand_in.store(PREFIX));
    dynamodb.apply(true).await?;
    plan::fill(&*postgresql).await?;
    plan::fill(&*dynamodb).await?;
    server.execute(DATABASE, "VACUUM (ANALYZE)").await?;

    let on_postgresql = Library::on_postgresql(&server.database(DATABASE, "maintd"));
    let on = |name, waits, ours| Stage { name, waits, ours, library: on_postgresql.clone() };
    let pooled = || -> Open<'_> { Box::new(|| Ok(server.store(DATABASE)?)) };
    let direct = || -> Open<'_> { Box::new(|| Ok(server.store_with_statements(DATABASE)?)) };
    let stages = [
        on("PostgreSQL", true, pooled()),
        on("PostgreSQL, statement_cache", true, direct()),
        on("PostgreSQL, statement_cache, synchronous_commit off", false, direct()),
        Stage {
            name: "DynamoDB",
            waits: true,
            ours: Box::new(|| Ok(stand_in.store(PREFIX))),
            library: Library::on_dynamodb(&stand_in, PREFIX),
        },
    ];
    let mut rows = Vec::new();
    for stage in stages {
        // Both sides wait for the disk alike, which hides what else they take.
        let commit = if stage.waits { "on" } else { "off" };
        server.execute("postgres", &format!("ALTER DATABASE {DATABASE} SET synchronous_commit = {commit}")).await?;
        server.execute("postgres", "CHECKPOINT").await?;
        rows.extend(stage.measure(effort).await?);
    }
    server.remove(DATABASE).await?;
    Ok(rows)
}

impl Stage<'_> {
    async fn measure(self, effort: Effort) -> anyhow::Result<Vec<Row>> {
        let (warm_up, counted) = effort.pick((100, 1_000), (10, 50));
        let mut pairs: Vec<(Taken, Taken)> = Vec::new();
        for turn in 0..effort.pick(3, 1) {
            let ours = Plan::new(&format!("{}, ours {turn}", self.name), warm_up, counted);
            let theirs = Plan::new(&format!("{}, theirs {turn}", self.name), warm_up, counted);
            pairs.push((ours::run(&self.ours, &ours)?, self.library(&theirs).await?));
            eprintln!("  operations on {}: pair {}", self.name, turn + 1);
        }
        Ok(Operation::ALL.into_iter().map(|operation| self.row(operation, &pairs)).collect())
    }

    async fn library(&self, plan: &Plan) -> anyhow::Result<Taken> {
        let nanoseconds: BTreeMap<Operation, Vec<u64>> = self.library.run(SCRIPT, plan).await?;
        let taken = |times: Vec<u64>| times.into_iter().map(|time| time as f64 / 1e6).collect();
        Ok(nanoseconds.into_iter().map(|(operation, times)| (operation, taken(times))).collect())
    }

    fn row(&self, operation: Operation, pairs: &[(Taken, Taken)]) -> Row {
        let latency = |taken: &Taken| {
            let times = taken.get(&operation).map_or(&[][..], Vec::as_slice);
            Latency { p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
        };
        let pairs: Vec<(Latency, Latency)> =
            pairs.iter().map(|(ours, theirs)| (latency(ours), latency(theirs))).collect();
        let p50 = |latency: &Latency| latency.p50;
        let p99 = |latency: &Latency| latency.p99;
        let show = |side: fn(&(Latency, Latency)) -> &Latency| {
            format!(
                "{:.2} / {:.2} ms",
                median_of(&pairs, |pair| p50(side(pair))),
                median_of(&pairs, |pair| p99(side(pair)))
            )
        };
        let ratio = |figure: fn(&Latency) -> f64| median_of(&pairs, |(ours, theirs)| figure(ours) / figure(theirs));
        Row {
            what: format!("{}: {operation}, p50 / p99", self.name),
            ours: show(|(ours, _)| ours),
            peer: format!("library: {}, p99 {:.2} x", show(|(_, theirs)| theirs), ratio(p99)),
            figure: ratio(p50),
            unit: Unit::Times,
            target: Target::AtMost(0.35),
        }
    }
}
