//! Attributes in and out of PostgreSQL, beside `\copy` of psql.

use std::time::Instant;

use actingweb_maintd::model::row::Attribute;
use actingweb_maintd::model::{Record, Row as Stored, Table, json};
use tempfile::TempDir;

use super::{Effort, Pairs, Row, Server, Target, row, scan, write};

const DATABASE: &str = "moved";

/// Empties the table, as neither side shall find what the other has left.
const EMPTY: &str = "TRUNCATE attributes";

/// Moves rows in turns.
pub(super) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let count = effort.pick(100_000, 5_000);
    let records: Vec<Record> = (0..count).map(|n| Record::from(Stored::Attribute(attribute(n)))).collect();
    server.create(DATABASE, "SELECT").await?;
    let store = server.store(DATABASE)?;
    let dir = TempDir::new()?;
    let file = dir.path().join("attributes");
    let into = format!("\\copy attributes FROM '{}'", file.display());
    let out = format!("\\copy attributes TO '{}'", file.display());

    // The peer gets the rows as we have written them.
    write(&*store, &records).await?;
    server.psql(DATABASE, &out).await?;
    let (mut written, mut whole, mut divided) = (Pairs::new(), Pairs::new(), Pairs::new());
    for turn in 0..effort.pick(5, 1) {
        server.execute(DATABASE, &format!("{EMPTY}; CHECKPOINT")).await?;
        let ours = write(&*store, &records).await?;
        server.execute(DATABASE, &format!("{EMPTY}; CHECKPOINT")).await?;
        let peer = copy(server, &into, count).await?;
        written.push((ours, peer));
        server.execute(DATABASE, "VACUUM (ANALYZE) attributes").await?;
        let copied = copy(server, &out, count).await?;
        whole.push((scan(&*store, Table::Attributes, count, 1).await?, copied));
        divided.push((scan(&*store, Table::Attributes, count, 4).await?, copied));
        eprintln!("  bulk on PostgreSQL: pair {}", turn + 1);
    }
    drop(store);
    server.remove(DATABASE).await?;
    let peer = "psql \\copy";
    Ok(vec![
        row(format!("{count} attributes into PostgreSQL: rows/s"), peer, &written, Target::AtLeast(0.6)),
        row("out of PostgreSQL: rows/s".to_owned(), peer, &whole, Target::Free),
        row("out of PostgreSQL, 4 segments: rows/s".to_owned(), peer, &divided, Target::Free),
    ])
}

/// Copies so many rows, and returns how many per second.
async fn copy(server: &Server, command: &str, rows: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    server.psql(DATABASE, command).await?;
    Ok(rows as f64 / begun.elapsed().as_secs_f64())
}

/// A token of an actor, as the library stores it.
fn attribute(n: usize) -> Attribute {
    let digest = |of: &str| blake3::hash(format!("{of} {n}").as_bytes()).to_hex()[..32].to_owned();
    let text = |text: &str| json::Value::String(text.into());
    let data = json::Value::Object(vec![
        ("actor_id".into(), text(&digest("actor"))),
        ("token".into(), text(&digest("token"))),
        ("scope".into(), text("openid email profile")),
        ("identifier".into(), text(&format!("user{n}@example.com"))),
    ]);
    Attribute {
        ttl_timestamp: Some(4_000_000_000 + n as i64),
        ..Attribute::new(&digest("actor"), "mcp_tokens", &digest("token"), Some(data))
    }
}
