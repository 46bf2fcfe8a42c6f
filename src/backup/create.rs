//! Taking a set.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::{
    Consistency, DIGESTS, Desk, Draft, DynamodbMethod, Error, FORMAT, Form, Manifest, Part, PostgresqlMethod, Result,
    SetId, TableSum, Versions, dynamodb, postgresql,
};
use crate::archive::sum;
use crate::model::clock;
use crate::model::digest::Digest;
use crate::storage::{Concrete, Store};

/// What was taken, by whoever has put its files into the draft.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The moment that the data is of.
    pub at: DateTime<Utc>,
    /// How far its rows belong to one moment.
    pub consistency: Consistency,
    /// Version of the server and of the program that made the files.
    pub versions: Versions,
    /// How files are compressed.
    pub compression: Option<String>,
    /// How many rows each table has, as far as they were counted.
    pub rows: BTreeMap<String, u64>,
    /// The digest of each table, as far as they were made.
    pub digests: BTreeMap<String, Digest>,
    /// What is kept elsewhere.
    pub parts: Vec<Part>,
}

/// Takes a set of the deployment in `store`. Whoever calls this holds the lease of the job `backup`, whose run is
/// `run`.
///
/// # Errors
///
/// When it could not be taken; then nothing of it is there, or the next one that is begun removes it.
pub async fn create(desk: Desk<'_>, store: &dyn Store, run: Uuid) -> Result<Manifest> {
    let settings = &desk.shop.settings;
    let form = match store.concrete() {
        Concrete::Postgresql(_) => match settings.postgresql.method {
            PostgresqlMethod::Logical => Form::Logical,
            PostgresqlMethod::Physical => Form::Physical,
            PostgresqlMethod::Tool => Form::Tool,
        },
        Concrete::Dynamodb(_) => match settings.dynamodb.method {
            DynamodbMethod::Archive => Form::Archive,
            DynamodbMethod::Native => Form::Native,
            DynamodbMethod::Export => Form::Export,
        },
    };
    let deployment = store.identity().await?;
    if let Some(why) = deployment.refusal(&store.home().await?) {
        return Err(Error::Refused(why));
    }
    let revision = store.schema().await?.revision().map(str::to_owned);
    let schema = match store.concrete() {
        Concrete::Postgresql(store) => Some(store.schema_name().await?),
        Concrete::Dynamodb(_) => None,
    };
    let shelf = desk.shop.shelf(&deployment)?;
    let started_at = clock::now();
    let draft = shelf.begin(SetId::new(started_at, form)).await?.heeding(desk.stop);
    let taken = match store.concrete() {
        Concrete::Postgresql(store) => postgresql::take(desk, store, &draft).await,
        Concrete::Dynamodb(store) => dynamodb::take(desk, store, &draft).await,
    };
    let published = match taken {
        Ok(taken) => match write_digests(&draft, &taken.digests).await {
            Ok(sums) => Ok((taken, sums)),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let (taken, sums) = match published {
        Ok(done) => done,
        Err(error) => {
            if let Err(left) = draft.abandon().await {
                tracing::warn!(error = left.chain(), "what was made of a backup stays until the next one begins");
            }
            return Err(error);
        }
    };
    let tables = taken.rows.keys().chain(sums.keys()).map(|table| {
        let sum = TableSum { rows: taken.rows.get(table).copied(), digest: sums.get(table).cloned() };
        (table.clone(), sum)
    });
    let manifest = Manifest {
        format: FORMAT,
        set: draft.set().clone(),
        run,
        deployment,
        name: desk.shop.name.clone(),
        place: store.describe(),
        backend: store.backend(),
        schema,
        form,
        started_at,
        taken_at: taken.at,
        finished_at: clock::now(),
        consistency: taken.consistency,
        versions: Versions { maintd: env!("CARGO_PKG_VERSION").to_owned(), revision, ..taken.versions.clone() },
        compression: taken.compression.clone(),
        recipients: settings.encryption.recipients.clone(),
        tables: tables.collect(),
        files: Vec::new(),
        parts: taken.parts.clone(),
    };
    if desk.stop.requested().is_some() {
        draft.abandon().await?;
        return Err(Error::Stopped);
    }
    draft.publish(manifest).await
}

/// Writes the digests down. Returns the SHA-256 of each.
async fn write_digests(draft: &Draft, digests: &BTreeMap<String, Digest>) -> Result<BTreeMap<String, String>> {
    if digests.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = serde_json::to_string(digests).expect("digests are plain data");
    let mut sheet = draft.create(DIGESTS).await?;
    let written = sheet.sink().write_all(text.as_bytes()).await;
    written.map_err(|error| Error::Failed { what: format!("cannot write {DIGESTS}"), source: Some(error.into()) })?;
    sheet.finish().await?;
    Ok(digests.iter().map(|(table, digest)| (table.clone(), fingerprint(digest))).collect())
}

/// The SHA-256 of a digest as it is written.
pub fn fingerprint(digest: &Digest) -> String {
    sum(serde_json::to_string(digest).expect("digests are plain data").as_bytes())
}
