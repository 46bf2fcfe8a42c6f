//! Properties in and out of DynamoDB, beside the library's own batches and scan.

use actingweb_maintd::model::row::Property;
use actingweb_maintd::model::{Record, Row as Stored, Table};
use actingweb_maintd::storage::Upkeep;
use serde::Serialize;

use super::super::library::Library;
use super::super::stand_in::StandIn;
use super::{Effort, Pairs, Row, Target, row, scan, write};

const PREFIX: &str = "moved";

/// What the library does.
const SCRIPT: &str = include_str!("library.py");

/// What is to be done, in the words of the script: rows are written where there are some, else read.
#[derive(Debug, Serialize)]
struct Work {
    write: Vec<[String; 3]>,
    count: usize,
}

/// Moves rows in turns.
pub(super) async fn measure(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let count = effort.pick(20_000, 1_000);
    let properties: Vec<[String; 3]> = (0..count).map(property).collect();
    let records: Vec<Record> = properties
        .iter()
        .cloned()
        .map(|[id, name, value]| Record::from(Stored::Property(Property { id, name, value })))
        .collect();
    let stand_in = StandIn::start()?;
    let (store, library) = (stand_in.store(PREFIX), Library::on_dynamodb(&stand_in, PREFIX));
    store.apply(true).await?;
    write(&*store, &records).await?;
    let per_second = async |write: &[[String; 3]]| {
        let seconds: f64 = library.run(SCRIPT, &Work { write: write.to_vec(), count }).await?;
        anyhow::Ok(count as f64 / seconds)
    };
    let (mut written, mut whole, mut divided) = (Pairs::new(), Pairs::new(), Pairs::new());
    for turn in 0..effort.pick(5, 1) {
        written.push((write(&*store, &records).await?, per_second(&properties).await?));
        let one = scan(&*store, Table::Properties, count, 1).await?;
        let four = scan(&*store, Table::Properties, count, 4).await?;
        let peer = per_second(&[]).await?;
        whole.push((one, peer));
        divided.push((four, peer));
        eprintln!("  bulk on DynamoDB: pair {}", turn + 1);
    }
    let peer = "library";
    Ok(vec![
        row(format!("{count} properties into DynamoDB: rows/s"), peer, &written, Target::Free),
        row("out of DynamoDB: rows/s".to_owned(), peer, &whole, Target::Free),
        row("out of DynamoDB, 4 segments: rows/s".to_owned(), peer, &divided, Target::AtLeast(5.0)),
    ])
}

/// Id, name and value of a property.
fn property(n: usize) -> [String; 3] {
    let actor = blake3::hash(format!("actor {}", n / 20).as_bytes()).to_hex()[..32].to_owned();
    [actor, format!("property-{}", n % 20), format!("{:.<100}", format!("value {n} "))]
}
