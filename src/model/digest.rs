//! Digests of whole tables, by which two places are compared in little memory.
//!
//! A digest has 4,096 buckets. A row belongs to the bucket of its actor's id and adds one to the
//! bucket's count and its own hash to the bucket's sum, so rows may come in any order and parts of a
//! table may be added up. Where two digests differ, only the rows of the differing buckets need to be
//! read again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::canonical;
use super::{Record, Table};

/// How digests are made. It changes whenever the same rows would give other digests.
pub const ALGORITHM: &str = "blake3-128/4096/1";

/// How many buckets there are.
pub const BUCKETS: u16 = 4096;

/// What of its rows a digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Every byte: for two places of the same kind.
    Exact,
    /// What Python reads: for any two places.
    Meaning,
}

/// A digest of rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Digest {
    kind: Kind,
    /// Those that are not empty.
    buckets: BTreeMap<u16, Bucket>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    count: u64,
    /// Modulo 2^128.
    sum: u128,
}

impl Bucket {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Its index and itself as they travel.
    fn written(self, index: u16) -> (String, String) {
        (format!("{index:03x}"), format!("{}:{:032x}", self.count, self.sum))
    }
}

/// Two digests of different kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an exact digest cannot be compared with one of meanings")]
pub struct Incomparable;

impl Digest {
    /// The digest of nothing.
    pub fn new(kind: Kind) -> Self {
        Self { kind, buckets: BTreeMap::new() }
    }

    /// What it is of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many rows it is of.
    pub fn count(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.count).sum()
    }

    /// Adds a row.
    pub fn add(&mut self, record: &Record) {
        let bytes = match self.kind {
            Kind::Exact => canonical::exact(record),
            Kind::Meaning => canonical::meaning(record),
        };
        let row = Bucket { count: 1, sum: short(blake3::hash(&bytes)) };
        self.buckets.entry(bucket_of(record.id())).or_default().add(row);
    }

    /// Adds a row of PostgreSQL by the texts of its columns, which are in the order of
    /// [`postgresql_columns`](super::layout::postgresql_columns). Only for exact digests; the same as
    /// [`Digest::add`] of the record, without reading what the row means.
    pub fn add_columns(&mut self, table: Table, id: &str, columns: &[Option<&str>]) {
        debug_assert_eq!(self.kind, Kind::Exact);
        let row = Bucket { count: 1, sum: short(blake3::hash(&canonical::exact_columns(table, columns))) };
        self.buckets.entry(bucket_of(id)).or_default().add(row);
    }

    /// Adds the rows of another digest, of other rows.
    pub fn merge(&mut self, other: &Self) -> Result<(), Incomparable> {
        self.comparable(other)?;
        for (index, bucket) in &other.buckets {
            self.buckets.entry(*index).or_default().add(*bucket);
        }
        Ok(())
    }

    /// The buckets in which the two differ, in order: those of the rows that differ, and perhaps no
    /// others. [`bucket_of`] tells which ids are in them.
    pub fn differing(&self, other: &Self) -> Result<Vec<u16>, Incomparable> {
        self.comparable(other)?;
        Ok((0..BUCKETS).filter(|index| self.buckets.get(index) != other.buckets.get(index)).collect())
    }

    fn comparable(&self, other: &Self) -> Result<(), Incomparable> {
        if self.kind == other.kind { Ok(()) } else { Err(Incomparable) }
    }
}

/// The bucket of an id: the first 12 bits of its hash.
pub fn bucket_of(id: &str) -> u16 {
    let hash = blake3::hash(id.as_bytes());
    let [first, second, ..] = *hash.as_bytes();
    u16::from_be_bytes([first, second]) >> 4
}

/// The first half of a hash.
fn short(hash: blake3::Hash) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

/// The digest of one row, every byte of it, in hexadecimal.
pub fn of_row(record: &Record) -> String {
    format!("{:032x}", short(blake3::hash(&canonical::exact(record))))
}

/// The digest of a row's key, in hexadecimal, by which it can be named where the key may be a secret.
pub fn of_key(table: Table, key: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once(table.name()).chain(key.iter().map(String::as_str)) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("{:032x}", short(hasher.finalize()))
}

/// A digest as it travels: `"0a3": "2:00…ff"` is a bucket in hexadecimal, its count, and its sum in
/// hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    algorithm: String,
    kind: Kind,
    buckets: BTreeMap<String, String>,
}

impl From<Digest> for Written {
    fn from(digest: Digest) -> Self {
        let buckets = digest.buckets.iter().map(|(index, bucket)| bucket.written(*index)).collect();
        Self { algorithm: ALGORITHM.to_owned(), kind: digest.kind, buckets }
    }
}

/// Why a text is no digest.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("the digest was made by {0:?} and this build makes them by {ALGORITHM:?}: make it again")]
    Algorithm(String),
    #[error("the digest has a bucket {0:?} that is none")]
    Bucket(String),
}

impl TryFrom<Written> for Digest {
    type Error = Malformed;

    fn try_from(written: Written) -> Result<Self, Malformed> {
        if written.algorithm != ALGORITHM {
            return Err(Malformed::Algorithm(written.algorithm));
        }
        let mut buckets = BTreeMap::new();
        for (index, text) in written.buckets {
            let read = read(&index, &text).filter(|(number, bucket)| bucket.written(*number) == (index.clone(), text));
            let Some((number, bucket)) = read else { return Err(Malformed::Bucket(index)) };
            buckets.insert(number, bucket);
        }
        Ok(Self { kind: written.kind, buckets })
    }
}

fn read(index: &str, bucket: &str) -> Option<(u16, Bucket)> {
    let (count, sum) = bucket.split_once(':')?;
    let count = count.parse().ok().filter(|count| *count > 0)?;
    let bucket = Bucket { count, sum: u128::from_str_radix(sum, 16).ok()? };
    Some((u16::from_str_radix(index, 16).ok().filter(|number| *number < BUCKETS)?, bucket))
}

#[cfg(test)]
mod tests;
