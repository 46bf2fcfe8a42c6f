//! One sequence of bytes for all rows that are the same, for digests and comparisons. Everything in
//! it says what it is and how long it is, so that no two different rows have the same bytes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::json::{Text, Value, decimal};
use super::row::{Attribute, Subscription, SubscriptionDiff, Trust};
use super::{AttributeValue, Item, Record, Row, Source, Table};

/// A record by its verbatim source: equal for rows that one and the same backend could not tell
/// apart. What is in no backend yet goes by its meaning.
pub fn exact(record: &Record) -> Vec<u8> {
    let mut bytes = Bytes::new(record);
    bytes.source(record);
    bytes.0
}

/// The same for a row of PostgreSQL by the texts of its columns.
pub fn exact_columns(table: Table, columns: &[Option<&str>]) -> Vec<u8> {
    let mut bytes = Bytes(Vec::new());
    bytes.text(table.name());
    bytes.columns(columns.iter().copied());
    bytes.0
}

/// A record as Python reads it: equal for rows that the library cannot tell apart, whatever backends
/// they are in. What only one backend keeps is left out, and what cannot be read goes by its source.
pub fn meaning(record: &Record) -> Vec<u8> {
    let mut bytes = Bytes::new(record);
    match &record.meaning {
        Ok(row) => bytes.row(row),
        Err(_) => {
            bytes.tag(b'!');
            bytes.source(record);
        }
    }
    bytes.0
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn new(record: &Record) -> Self {
        let mut bytes = Self(Vec::new());
        bytes.text(record.table.name());
        bytes
    }

    fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }

    fn length(&mut self, length: usize) {
        self.0.extend((length as u64).to_le_bytes());
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.tag(tag);
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.sized(b's', text.as_bytes());
    }

    fn nothing(&mut self) {
        self.tag(b'-');
    }

    fn source(&mut self, record: &Record) {
        match &record.source {
            Source::Postgresql(columns) => {
                self.columns(columns.iter().map(Option::as_deref));
            }
            Source::Dynamodb(item) => {
                self.tag(b'D');
                self.map(item);
            }
            Source::Nowhere => match &record.meaning {
                Ok(row) => self.row(row),
                Err(_) => self.nothing(),
            },
        }
    }

    fn columns<'a>(&mut self, columns: impl ExactSizeIterator<Item = Option<&'a str>>) {
        self.tag(b'P');
        self.length(columns.len());
        for column in columns {
            match column {
                Some(text) => self.text(text),
                None => self.nothing(),
            }
        }
    }

    fn map(&mut self, map: &Item) {
        self.tag(b'm');
        self.length(map.len());
        for (name, value) in map {
            self.text(name);
            self.attribute_value(value);
        }
    }

    fn attribute_value(&mut self, value: &AttributeValue) {
        match value {
            AttributeValue::S(text) => self.text(text),
            AttributeValue::N(number) => self.sized(b'n', number.as_bytes()),
            AttributeValue::B(bytes) => self.sized(b'b', bytes),
            AttributeValue::Bool(value) => self.truth(*value),
            AttributeValue::Null(_) => self.nothing(),
            AttributeValue::Ss(texts) => self.set(b'S', texts.iter().map(String::as_bytes)),
            AttributeValue::Ns(numbers) => self.set(b'N', numbers.iter().map(String::as_bytes)),
            AttributeValue::Bs(all) => self.set(b'B', all.iter().map(Vec::as_slice)),
            AttributeValue::L(values) => {
                self.tag(b'l');
                self.length(values.len());
                for value in values {
                    self.attribute_value(value);
                }
            }
            AttributeValue::M(map) => self.map(map),
        }
    }

    /// Sets come in no order.
    fn set<'a>(&mut self, tag: u8, elements: impl Iterator<Item = &'a [u8]>) {
        let mut elements: Vec<_> = elements.collect();
        elements.sort_unstable();
        self.tag(tag);
        self.length(elements.len());
        for element in elements {
            self.sized(b'b', element);
        }
    }

    fn row(&mut self, row: &Row) {
        self.tag(b'R');
        match row {
            // Without `created_at`, for which DynamoDB has no place.
            Row::Actor(row) => self.texts([&row.id, &row.creator, &row.passphrase]),
            Row::Property(row) => self.texts([&row.id, &row.name, &row.value]),
            Row::Lookup(row) => self.texts([&row.key(), &row.property_name, &row.actor_id]),
            Row::Attribute(row) => self.attribute(row),
            Row::Trust(row) => self.trust(row),
            Row::PeerTrustee(row) => {
                self.texts([&row.id, &row.peerid, &row.baseuri, &row.r#type, &row.passphrase]);
            }
            Row::Subscription(row) => self.subscription(row),
            Row::Diff(row) => self.diff(row),
            Row::Suspension(row) => {
                self.texts([&row.id, &row.target, &row.subtarget]);
                self.time(Some(row.suspended_at));
            }
        }
    }

    fn attribute(&mut self, row: &Attribute) {
        self.texts([&row.id, &row.bucket_name, &row.bucket, &row.name]);
        self.json(row.data.as_ref().unwrap_or(&Value::Null));
        self.time(row.timestamp);
        match row.ttl_timestamp {
            Some(seconds) => self.integer(seconds),
            None => self.nothing(),
        }
    }

    fn trust(&mut self, row: &Trust) {
        self.texts([&row.id, &row.peerid, &row.baseuri, &row.r#type, &row.relationship, &row.secret]);
        self.optional_texts([
            &row.desc,
            &row.verification_token,
            &row.peer_identifier,
            &row.established_via,
            &row.last_connected_via,
            &row.client_name,
            &row.client_version,
            &row.client_platform,
            &row.oauth_client_id,
            &row.aw_supported,
            &row.aw_version,
        ]);
        for value in [row.approved, row.peer_approved, row.verified] {
            self.truth(value);
        }
        for time in [row.created_at, row.last_accessed, row.capabilities_fetched_at] {
            self.time(time);
        }
    }

    fn subscription(&mut self, row: &Subscription) {
        self.texts([&row.id, &row.peer_sub_id, &row.peerid, &row.subid]);
        self.optional_texts([&row.granularity, &row.target, &row.subtarget, &row.resource]);
        self.integer(row.seqnr);
        self.truth(row.callback);
    }

    fn diff(&mut self, row: &SubscriptionDiff) {
        self.texts([&row.id, &row.subid_seqnr, &row.subid, &row.diff]);
        self.time(Some(row.timestamp));
        self.integer(row.seqnr);
    }

    fn texts<const N: usize>(&mut self, texts: [&String; N]) {
        for text in texts {
            self.text(text);
        }
    }

    /// Where none and an empty text mean the same.
    fn optional_texts<const N: usize>(&mut self, texts: [&Option<String>; N]) {
        for text in texts {
            self.text(text.as_deref().unwrap_or_default());
        }
    }

    fn truth(&mut self, value: bool) {
        self.tag(if value { b't' } else { b'f' });
    }

    fn integer(&mut self, value: i64) {
        self.sized(b'i', value.to_string().as_bytes());
    }

    fn time(&mut self, time: Option<DateTime<Utc>>) {
        match time {
            Some(time) => self.sized(b'@', time.timestamp_micros().to_string().as_bytes()),
            None => self.nothing(),
        }
    }

    /// A value with its keys in order and its numbers as `jsonb` keeps them, where floats become
    /// integers and negative zero becomes zero.
    fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.nothing(),
            Value::Bool(value) => self.truth(*value),
            Value::Int(digits) => self.sized(b'n', digits.as_bytes()),
            Value::Float(value) => self.sized(b'n', decimal(*value).as_bytes()),
            Value::String(text) => self.json_text(text),
            Value::Array(values) => {
                self.tag(b'l');
                self.length(values.len());
                for value in values {
                    self.json(value);
                }
            }
            Value::Object(pairs) => {
                let sorted: BTreeMap<&Text, &Value> = pairs.iter().map(|(key, value)| (key, value)).collect();
                self.tag(b'm');
                self.length(sorted.len());
                for (key, value) in sorted {
                    self.json_text(key);
                    self.json(value);
                }
            }
        }
    }

    fn json_text(&mut self, text: &Text) {
        match text {
            Text::Unicode(text) => self.text(text),
            Text::Surrogates(units) => {
                self.tag(b'u');
                self.length(units.len());
                self.0.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            }
        }
    }
}
