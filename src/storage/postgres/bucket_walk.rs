//! The attributes of some buckets, along the primary key.

use async_trait::async_trait;

use super::again::Again;
use super::error::refused;
use super::record::{self, Texts};
use super::rows::cannot_be;
use super::sweep::READING;
use super::{Op, Postgres};
use crate::model::{Record, Table};
use crate::storage::{AttributePlace, BucketWalk, ErrorKind, Located, Place, Result, Segment, Walked, Wanted};

const TABLE: Table = Table::Attributes;

#[async_trait]
impl BucketWalk for Postgres {
    async fn walk(&self, wanted: &Wanted, segment: Segment, place: &Place, limit: u32) -> Result<Walked> {
        const OP: Op = Op { name: "walk_buckets", phrase: "look through buckets" };
        self.measured(OP, async {
            if segment.index > 0 {
                return Ok(Walked::default());
            }
            let limit = limit.max(1);
            let from: Option<(String, String)> = match &place.0 {
                Some(place) => {
                    let key = serde_json::from_str(place);
                    Some(key.map_err(|_| refused(OP, ErrorKind::Other, "the place is none in the attributes"))?)
                }
                None => None,
            };
            let schema = self.place().await?;
            let query = || {
                let sql = schema.statements.bucket_walk.page(from.is_some());
                let query = self.query(sql).bind(i64::from(limit)).bind(&wanted.all_of).bind(&wanted.endless_of);
                match &from {
                    Some((id, bucket_name)) => query.bind(id).bind(bucket_name),
                    None => query,
                }
            };
            let mut tries = Again::Always.tries();
            let rows = loop {
                let tx = self.begin_within(READING, OP).await?;
                match self.page_within(tx, query()).await {
                    Err(error) if tries.another(&error) => {}
                    rows => break rows?,
                }
            };
            let mut found = Walked::default();
            let mut last: Option<(String, String)> = None;
            for row in &rows {
                let mut texts = record::texts(row, OP)?;
                found.examined = number(&mut texts);
                if is_true(&mut texts) {
                    last = key_of(&texts);
                }
                let is_wanted = is_true(&mut texts);
                if is_wanted {
                    found.records.push(record::record(TABLE, texts));
                }
            }
            let last = last.filter(|_| found.examined >= u64::from(limit));
            found.next = last.map(|key| Place(Some(serde_json::Value::from(vec![key.0, key.1]).to_string())));
            Ok(found)
        })
        .await
    }

    async fn locate(&self, places: &[AttributePlace]) -> Result<Located> {
        const OP: Op = Op { name: "locate", phrase: "read attributes by their keys" };
        self.measured(OP, async {
            let mut located = Located { records: vec![None; places.len()], read_units: 0.0 };
            // A key that cannot be stored has no row, and would be an error of the whole statement.
            let asked: Vec<(usize, &str, String)> = places
                .iter()
                .enumerate()
                .map(|(index, place)| (index, place.id.as_str(), place.bucket_name()))
                .filter(|(_, id, bucket_name)| !cannot_be(&[id, bucket_name]))
                .collect();
            if asked.is_empty() {
                return Ok(located);
            }
            let ids: Vec<&str> = asked.iter().map(|(_, id, _)| *id).collect();
            let bucket_names: Vec<&str> = asked.iter().map(|(.., bucket_name)| bucket_name.as_str()).collect();
            let schema = self.place().await?;
            let sql = &schema.statements.bucket_walk.locate;
            let query = || self.query(sql.clone()).bind(&ids).bind(&bucket_names);
            for row in self.read_again(READING, OP, query).await? {
                let mut texts = record::texts(&row, OP)?;
                let ordinal = number(&mut texts) as usize;
                let record: Record = record::record(TABLE, texts);
                if let Some((index, ..)) = ordinal.checked_sub(1).and_then(|ordinal| asked.get(ordinal)) {
                    located.records[*index] = Some(record);
                }
            }
            Ok(located)
        })
        .await
    }
}

/// The number in the last column, which is taken away.
fn number(texts: &mut Texts) -> u64 {
    texts.pop().flatten().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// The truth in the last column, which is taken away.
fn is_true(texts: &mut Texts) -> bool {
    texts.pop().flatten().as_deref() == Some("true")
}

/// The primary key, which is the first columns.
fn key_of(texts: &Texts) -> Option<(String, String)> {
    Some((texts.first()?.clone()?, texts.get(1)?.clone()?))
}
