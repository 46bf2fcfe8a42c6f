//! What a row may be, by backend: told before anything is written.

use chrono::{DateTime, Datelike, Utc};

use super::json::Unfit;
use super::layout::{ColumnType, dynamodb_index, dynamodb_key, postgresql_columns};
use super::row::{Attribute, LookupOwner, Trust};
use super::{AttributeValue, Item, Row, Table, wire};

/// The most that DynamoDB takes as one item, names and all.
pub const MAX_ITEM: usize = 400 * 1024;

/// The most that DynamoDB takes as a hash key, of a table or of an index.
pub const MAX_HASH_KEY: usize = 2048;

/// The most that DynamoDB takes as a range key.
pub const MAX_RANGE_KEY: usize = 1024;

/// Why a backend cannot hold a row; without anything that is in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table}: {attribute} {rule}")]
pub struct Violation {
    /// The table.
    pub table: Table,
    /// The column or attribute; [`WHOLE_ITEM`] if it is none of them alone.
    pub attribute: &'static str,
    /// What is against it.
    pub rule: Rule,
}

/// What a [`Violation`] names where all attributes together are too much.
pub const WHOLE_ITEM: &str = "the item";

/// What is against a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// The column of PostgreSQL takes fewer characters.
    #[error("has {chars} characters and the column takes {limit}: shorten it")]
    TooLong {
        /// How many it has.
        chars: usize,
        /// How many it may have.
        limit: usize,
    },
    /// DynamoDB takes smaller items.
    #[error("has {bytes} bytes, names included, and DynamoDB takes {limit}: split the value")]
    ItemTooLarge {
        /// How many it has, by [`item_size`].
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// DynamoDB takes shorter keys.
    #[error("has {bytes} bytes and a key of DynamoDB may have {limit}: shorten it")]
    KeyTooLong {
        /// How many it has, in UTF-8.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// DynamoDB has an index on it and takes shorter ones.
    #[error("has {bytes} bytes and a value with an index of DynamoDB may have {limit}: shorten it")]
    IndexKeyTooLong {
        /// How many it has, in UTF-8.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// DynamoDB has no empty keys, nor empty values where it has an index.
    #[error("is empty, and DynamoDB has it as a key or in an index: give it a value")]
    Empty,
    /// DynamoDB has it as a key or in an index, and it is missing or no text.
    #[error("is not text, and DynamoDB has it as a key or in an index: give it a text")]
    NotText,
    /// PostgreSQL has no place for U+0000.
    #[error("has the character U+0000, which PostgreSQL cannot store: remove it")]
    Nul,
    /// `jsonb` cannot hold it.
    #[error("holds {0}, which jsonb cannot store: remove it")]
    Jsonb(Unfit),
    /// The column has not enough bits for the number.
    #[error("is a number that needs more than the 32 bits of the column: reset it")]
    OutOfRange,
    /// Python could not read it back.
    #[error("holds {0}, which Python does not read: remove it")]
    Python(Unfit),
    /// Python could not read it back.
    #[error("is not in the years 1 to 9999, the only ones that Python knows: correct it")]
    Year,
    /// DynamoDB keeps only a digest of what PostgreSQL keeps.
    #[error("is known as a digest only, and PostgreSQL stores the value itself: make the entry from the property")]
    ValueUnknown,
    /// The index of PostgreSQL cannot hold it. Only the server can tell, since it compresses first.
    #[error("is too long for its index, which takes some 2700 bytes: shorten it")]
    IndexTooSmall,
}

/// Whether Python could read a row back from any backend: an item of DynamoDB no longer shows what
/// time it was made of.
pub fn for_python(row: &Row) -> Result<(), Violation> {
    let violation = |attribute, rule| Err(Violation { table: row.table(), attribute, rule });
    if let Some((attribute, _)) = times(row).into_iter().find(|(_, time)| !wire::YEARS.contains(&time.year())) {
        return violation(attribute, Rule::Year);
    }
    let Row::Attribute(Attribute { data: Some(data), .. }) = row else { return Ok(()) };
    data.unfit_for_python().map_or(Ok(()), |unfit| violation("data", Rule::Python(unfit)))
}

/// Whether PostgreSQL can hold a row. What its indexes cannot hold only the server can tell.
pub fn for_postgresql(row: &Row) -> Result<(), Violation> {
    let table = row.table();
    let violation = |attribute, rule| Err(Violation { table, attribute, rule });
    for (attribute, text) in texts(row) {
        if text.contains('\0') {
            return violation(attribute, Rule::Nul);
        }
        let column = postgresql_columns(table).iter().find(|column| column.name == attribute);
        if let Some(ColumnType::Varchar(limit)) = column.map(|column| column.r#type) {
            let (chars, limit) = (text.chars().count(), usize::from(limit));
            if chars > limit {
                return violation(attribute, Rule::TooLong { chars, limit });
            }
        }
    }
    for_python(row)?;
    match row {
        Row::Lookup(row) if matches!(row.owner, LookupOwner::Key(_)) => violation("value", Rule::ValueUnknown),
        Row::Attribute(row) => match row.data.as_ref().and_then(|data| data.unfit_for_jsonb()) {
            Some(unfit) => violation("data", Rule::Jsonb(unfit)),
            None => Ok(()),
        },
        Row::Subscription(row) if i32::try_from(row.seqnr).is_err() => violation("seqnr", Rule::OutOfRange),
        Row::Diff(row) if i32::try_from(row.seqnr).is_err() => violation("seqnr", Rule::OutOfRange),
        _ => Ok(()),
    }
}

/// Whether DynamoDB can hold an item.
pub fn for_item(table: Table, item: &Item, legacy_property_index: bool) -> Result<(), Violation> {
    let violation = |attribute, rule| Err(Violation { table, attribute, rule });
    let (hash, range) = dynamodb_key(table);
    for (attribute, limit) in [(Some(hash), MAX_HASH_KEY), (range, MAX_RANGE_KEY)] {
        let Some(attribute) = attribute else { continue };
        match item.get(attribute) {
            Some(AttributeValue::S(text)) if text.is_empty() => return violation(attribute, Rule::Empty),
            Some(AttributeValue::S(text)) if text.len() <= limit => (),
            Some(AttributeValue::S(text)) => {
                return violation(attribute, Rule::KeyTooLong { bytes: text.len(), limit });
            }
            _ => return violation(attribute, Rule::NotText),
        }
    }
    if let Some(index) = dynamodb_index(table, legacy_property_index) {
        match item.get(index.attribute) {
            // An item without the attribute is in the table and not in the index.
            None => (),
            Some(AttributeValue::S(text)) if text.is_empty() => return violation(index.attribute, Rule::Empty),
            Some(AttributeValue::S(text)) if text.len() <= MAX_HASH_KEY => (),
            Some(AttributeValue::S(text)) => {
                let rule = Rule::IndexKeyTooLong { bytes: text.len(), limit: MAX_HASH_KEY };
                return violation(index.attribute, rule);
            }
            Some(_) => return violation(index.attribute, Rule::NotText),
        }
    }
    let bytes = item_size(item);
    if bytes > MAX_ITEM {
        return violation(WHOLE_ITEM, Rule::ItemTooLarge { bytes, limit: MAX_ITEM });
    }
    Ok(())
}

/// The size of an item as DynamoDB counts it, by the rules that AWS publishes. For numbers those are
/// approximate, so at the very limit the server has the last word.
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|number| number_size(number)).sum(),
        AttributeValue::Bs(all) => all.iter().map(Vec::len).sum(),
        // Three bytes for the list or map, and one for each element.
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(values) => {
            3 + values.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>()
        }
    }
}

/// A byte for every two digits that count, and one more.
fn number_size(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len().div_ceil(2) + 1
}

/// Every text of a row, by its column.
fn texts(row: &Row) -> Vec<(&'static str, &str)> {
    match row {
        Row::Actor(row) => vec![("id", &row.id), ("creator", &row.creator), ("passphrase", &row.passphrase)],
        Row::Property(row) => vec![("id", &row.id), ("name", &row.name), ("value", &row.value)],
        Row::Lookup(row) => {
            let mut texts = vec![("property_name", row.property_name.as_str()), ("actor_id", &row.actor_id)];
            if let LookupOwner::Value(value) = &row.owner {
                texts.push(("value", value));
            }
            texts
        }
        Row::Attribute(row) => {
            vec![("id", &row.id), ("bucket_name", &row.bucket_name), ("bucket", &row.bucket), ("name", &row.name)]
        }
        Row::Trust(row) => trust_texts(row),
        Row::PeerTrustee(row) => vec![
            ("id", &row.id),
            ("peerid", &row.peerid),
            ("baseuri", &row.baseuri),
            ("type", &row.r#type),
            ("passphrase", &row.passphrase),
        ],
        Row::Subscription(row) => {
            let given: [(_, &str); 4] =
                [("id", &row.id), ("peer_sub_id", &row.peer_sub_id), ("peerid", &row.peerid), ("subid", &row.subid)];
            let optional = [
                ("granularity", &row.granularity),
                ("target", &row.target),
                ("subtarget", &row.subtarget),
                ("resource", &row.resource),
            ];
            given.into_iter().chain(present(optional)).collect()
        }
        Row::Diff(row) => {
            vec![("id", &row.id), ("subid_seqnr", &row.subid_seqnr), ("subid", &row.subid), ("diff", &row.diff)]
        }
        Row::Suspension(row) => vec![("id", &row.id), ("target", &row.target), ("subtarget", &row.subtarget)],
    }
}

fn trust_texts(row: &Trust) -> Vec<(&'static str, &str)> {
    let given: [(_, &str); 6] = [
        ("id", &row.id),
        ("peerid", &row.peerid),
        ("baseuri", &row.baseuri),
        ("type", &row.r#type),
        ("relationship", &row.relationship),
        ("secret", &row.secret),
    ];
    let optional = [
        ("desc", &row.desc),
        ("verification_token", &row.verification_token),
        ("peer_identifier", &row.peer_identifier),
        ("established_via", &row.established_via),
        ("last_connected_via", &row.last_connected_via),
        ("client_name", &row.client_name),
        ("client_version", &row.client_version),
        ("client_platform", &row.client_platform),
        ("oauth_client_id", &row.oauth_client_id),
        ("aw_supported", &row.aw_supported),
        ("aw_version", &row.aw_version),
    ];
    given.into_iter().chain(present(optional)).collect()
}

fn present<'a, const N: usize>(
    texts: [(&'static str, &'a Option<String>); N],
) -> impl Iterator<Item = (&'static str, &'a str)> {
    texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
}

/// Every time of a row, by its column.
fn times(row: &Row) -> Vec<(&'static str, DateTime<Utc>)> {
    let times: [(&'static str, Option<DateTime<Utc>>); 3] = match row {
        Row::Actor(row) => [("created_at", row.created_at), ("", None), ("", None)],
        Row::Attribute(row) => [("timestamp", row.timestamp), ("", None), ("", None)],
        Row::Trust(row) => [
            ("created_at", row.created_at),
            ("last_accessed", row.last_accessed),
            ("capabilities_fetched_at", row.capabilities_fetched_at),
        ],
        Row::Diff(row) => [("timestamp", Some(row.timestamp)), ("", None), ("", None)],
        Row::Suspension(row) => [("suspended_at", Some(row.suspended_at)), ("", None), ("", None)],
        Row::Property(_) | Row::Lookup(_) | Row::PeerTrustee(_) | Row::Subscription(_) => return Vec::new(),
    };
    times.into_iter().filter_map(|(name, time)| Some((name, time?))).collect()
}

#[cfg(test)]
mod tests;
