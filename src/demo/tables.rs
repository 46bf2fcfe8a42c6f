//! A small ActingWeb deployment on DynamoDB, and an application that goes on using it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::deployment::Contents;
use crate::model::row::{Actor, Attribute, Property};
use crate::model::{Record, Row, Table, clock, json};
use crate::storage::dynamodb::DynamoDb;
use crate::storage::{Bulk, Expired, Result, Sweep};

/// Actors that it begins with.
const ACTORS: u32 = 100;

/// Attributes that it begins with; a third of them has expired.
const ATTRIBUTES: u32 = 1500;

/// Attributes that the application makes in a fifth of a second.
const EACH_TIME: u32 = 10;

/// Fills the tables.
///
/// # Errors
///
/// What the store says.
pub async fn fill(store: &DynamoDb) -> Result<()> {
    let now = clock::now();
    let actors = (0..ACTORS).map(|n| Actor {
        id: actor(n),
        creator: format!("user{n}@example.com"),
        passphrase: Uuid::new_v4().simple().to_string(),
        created_at: None,
    });
    let properties =
        (0..ACTORS).map(|n| Property { id: actor(n), name: "email".to_owned(), value: format!("user{n}@example.com") });
    let attributes = (0..ATTRIBUTES).map(|n| {
        let lifetime = if n % 3 == 0 { -1 - i64::from(n) } else { 600 + i64::from(n) };
        attribute(n, now, lifetime)
    });
    write(store, actors.map(Row::Actor)).await?;
    write(store, properties.map(Row::Property)).await?;
    write(store, attributes.map(Row::Attribute)).await
}

/// Uses the tables as an application would, until it is dropped: what it makes expires soon.
///
/// # Errors
///
/// What the store says.
pub async fn use_them(store: &DynamoDb) -> Result<()> {
    loop {
        let now = clock::now();
        let fresh = (0..EACH_TIME).map(|n| attribute(n, now, 1 + i64::from(n * n % 16)));
        write(store, fresh.map(Row::Attribute)).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Counts what the tables hold.
///
/// # Errors
///
/// What the store says.
pub async fn contents(store: &DynamoDb) -> Result<Contents> {
    let count = async |table| store.count(table).await.map(u64::cast_signed);
    let which = Expired { cutoff: store.cutoff(Duration::ZERO).await?.epoch, buckets: Vec::new() };
    let expired: u64 = store.count_expired(&which).await?.values().sum();
    Ok(Contents {
        actors: count(Table::Actors).await?,
        attributes: count(Table::Attributes).await?,
        expired: expired.cast_signed(),
    })
}

fn actor(n: u32) -> String {
    format!("{n:032x}")
}

/// A session of an actor that lives for so many seconds.
fn attribute(n: u32, now: DateTime<Utc>, lifetime: i64) -> Attribute {
    let data = json::Value::Object(vec![("actor_id".into(), json::Value::String(actor(n % ACTORS).into()))]);
    Attribute {
        ttl_timestamp: Some(now.timestamp() + lifetime),
        ..Attribute::new("_actingweb_oauth2", "_oauth_sessions", &Uuid::new_v4().simple().to_string(), Some(data))
    }
}

async fn write(store: &DynamoDb, rows: impl Iterator<Item = Row>) -> Result<()> {
    let records: Vec<Record> = rows.map(Record::from).collect();
    store.write(&records).await.map(drop)
}
