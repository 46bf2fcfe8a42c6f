//! How exactly `max_rows_per_second` is kept.

use std::time::Instant;

use actingweb_maintd::jobs::ttl_cleanup;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::throttle;

use super::Effort;
use super::application;
use super::server::{self, Server};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "paced";

/// Deletes at two rates.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let seconds = effort.pick(10, 2);
    let mut rows = Vec::new();
    for rate in [1_000_u32, 20_000] {
        let expired = rate * seconds;
        server.create(DATABASE, &application::contents(2 * expired)).await?;
        let store = server.store(DATABASE)?;
        let settings = ttl_cleanup::Settings {
            max_rows_per_second: Bounded::new(u64::from(rate)),
            ..ttl_cleanup::Settings::default()
        };
        let begun = Instant::now();
        let run = server::clean_up(&server::runner(&store), settings, throttle::Settings::default()).await?;
        let seen = run.report.deleted as f64 / begun.elapsed().as_secs_f64();
        drop(store);
        server.remove(DATABASE).await?;
        rows.push(Row {
            what: format!("max_rows_per_second = {rate}"),
            ours: format!("{seen:.0}"),
            peer: String::new(),
            figure: seen / f64::from(rate),
            unit: Unit::Times,
            target: Target::Within(0.05),
        });
    }
    Ok(rows)
}
