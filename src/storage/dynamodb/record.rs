//! The one converter between items and rows.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Sdk;

use super::fields::{Fields, Written};
use crate::model::row::{
    Actor, Attribute, LookupEntry, LookupOwner, PeerTrustee, Property, Subscription, SubscriptionDiff, Suspension,
    Trust,
};
use crate::model::{AttributeValue, Item, Record, Row, Source, Table, Unreadable};

/// A row that is stored as an item.
pub(super) trait Stored: Sized + Send {
    /// The table that has such rows.
    const TABLE: Table;

    /// What an item means.
    fn read(fields: Fields<'_>) -> Result<Self, Unreadable>;

    /// The item, exactly as the library writes it.
    fn item(&self) -> Item;

    /// What an item of the table means.
    fn from_item(item: &Item) -> Result<Self, Unreadable> {
        Self::read(Fields::of(Self::TABLE, item))
    }
}

/// The record of an item.
pub fn record(table: Table, item: Item) -> Record {
    let fields = Fields::of(table, &item);
    let meaning = match table {
        Table::Actors => Actor::read(fields).map(Row::Actor),
        Table::Properties => Property::read(fields).map(Row::Property),
        Table::PropertyLookup => LookupEntry::read(fields).map(Row::Lookup),
        Table::Attributes => Attribute::read(fields).map(Row::Attribute),
        Table::Trusts => Trust::read(fields).map(|trust| Row::Trust(Box::new(trust))),
        Table::PeerTrustees => PeerTrustee::read(fields).map(Row::PeerTrustee),
        Table::Subscriptions => Subscription::read(fields).map(Row::Subscription),
        Table::SubscriptionDiffs => SubscriptionDiff::read(fields).map(Row::Diff),
        Table::SubscriptionSuspensions => Suspension::read(fields).map(Row::Suspension),
    };
    Record { table, source: Source::Dynamodb(item), meaning }
}

/// The item to write for a record: as it was found in DynamoDB, or made of what it means.
pub(super) fn item(record: &Record) -> Result<Item, &Unreadable> {
    match (&record.source, &record.meaning) {
        (Source::Dynamodb(item), _) => Ok(item.clone()),
        (_, Err(unreadable)) => Err(unreadable),
        (_, Ok(row)) => Ok(match row {
            Row::Actor(row) => row.item(),
            Row::Property(row) => row.item(),
            Row::Lookup(row) => row.item(),
            Row::Attribute(row) => row.item(),
            Row::Trust(row) => row.item(),
            Row::PeerTrustee(row) => row.item(),
            Row::Subscription(row) => row.item(),
            Row::Diff(row) => row.item(),
            Row::Suspension(row) => row.item(),
        }),
    }
}

impl Stored for Actor {
    const TABLE: Table = Table::Actors;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            creator: fields.text("creator")?,
            passphrase: fields.text("passphrase")?,
            created_at: None,
        })
    }

    fn item(&self) -> Item {
        let written = Written::default().text("id", &self.id);
        written.text("creator", &self.creator).text("passphrase", &self.passphrase).item()
    }
}

impl Stored for Property {
    const TABLE: Table = Table::Properties;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self { id: fields.text("id")?, name: fields.text("name")?, value: fields.text("value")? })
    }

    fn item(&self) -> Item {
        Written::default().text("id", &self.id).text("name", &self.name).text("value", &self.value).item()
    }
}

impl Stored for LookupEntry {
    const TABLE: Table = Table::PropertyLookup;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            owner: LookupOwner::Key(fields.text("lookup_key")?),
            property_name: fields.text("property_name")?,
            actor_id: fields.text("actor_id")?,
        })
    }

    fn item(&self) -> Item {
        let written = Written::default().text("lookup_key", &self.key()).text("actor_id", &self.actor_id);
        written.text("property_name", &self.property_name).item()
    }
}

impl Stored for Attribute {
    const TABLE: Table = Table::Attributes;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            bucket_name: fields.text("bucket_name")?,
            bucket: fields.text("bucket")?,
            name: fields.text("name")?,
            data: fields.json("data")?,
            timestamp: fields.optional_time("timestamp")?,
            ttl_timestamp: fields.optional_number("ttl_timestamp")?,
        })
    }

    fn item(&self) -> Item {
        Written::default()
            .text("id", &self.id)
            .text("bucket_name", &self.bucket_name)
            .text("bucket", &self.bucket)
            .text("name", &self.name)
            .json("data", self.data.as_ref())
            .time("timestamp", self.timestamp)
            .number("ttl_timestamp", self.ttl_timestamp)
            .item()
    }
}

impl Stored for Trust {
    const TABLE: Table = Table::Trusts;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            peerid: fields.text("peerid")?,
            baseuri: fields.text("baseuri")?,
            r#type: fields.text("type")?,
            relationship: fields.text("relationship")?,
            secret: fields.text("secret")?,
            desc: fields.optional_text("desc")?,
            approved: fields.truth("approved")?,
            peer_approved: fields.truth("peer_approved")?,
            verified: fields.truth("verified")?,
            verification_token: fields.optional_text("verification_token")?,
            peer_identifier: fields.optional_text("peer_identifier")?,
            established_via: fields.optional_text("established_via")?,
            created_at: fields.optional_time("created_at")?,
            last_accessed: fields.optional_time("last_accessed")?,
            last_connected_via: fields.optional_text("last_connected_via")?,
            client_name: fields.optional_text("client_name")?,
            client_version: fields.optional_text("client_version")?,
            client_platform: fields.optional_text("client_platform")?,
            oauth_client_id: fields.optional_text("oauth_client_id")?,
            aw_supported: fields.optional_text("aw_supported")?,
            aw_version: fields.optional_text("aw_version")?,
            capabilities_fetched_at: fields.optional_time("capabilities_fetched_at")?,
        })
    }

    fn item(&self) -> Item {
        Written::default()
            .text("id", &self.id)
            .text("peerid", &self.peerid)
            .text("baseuri", &self.baseuri)
            .text("type", &self.r#type)
            .text("relationship", &self.relationship)
            .text("secret", &self.secret)
            // Without these two the library reads the trust, and can never change it again.
            .text("desc", self.desc.as_deref().unwrap_or_default())
            .text("verification_token", self.verification_token.as_deref().unwrap_or_default())
            .truth("approved", Some(self.approved))
            .truth("peer_approved", Some(self.peer_approved))
            .truth("verified", Some(self.verified))
            .optional_text("peer_identifier", self.peer_identifier.as_deref())
            .optional_text("established_via", self.established_via.as_deref())
            .time("created_at", self.created_at)
            .time("last_accessed", self.last_accessed)
            .optional_text("last_connected_via", self.last_connected_via.as_deref())
            .optional_text("client_name", self.client_name.as_deref())
            .optional_text("client_version", self.client_version.as_deref())
            .optional_text("client_platform", self.client_platform.as_deref())
            .optional_text("oauth_client_id", self.oauth_client_id.as_deref())
            .optional_text("aw_supported", self.aw_supported.as_deref())
            .optional_text("aw_version", self.aw_version.as_deref())
            .time("capabilities_fetched_at", self.capabilities_fetched_at)
            .item()
    }
}

impl Stored for PeerTrustee {
    const TABLE: Table = Table::PeerTrustees;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            peerid: fields.text("peerid")?,
            baseuri: fields.text("baseuri")?,
            r#type: fields.text("type")?,
            passphrase: fields.text("passphrase")?,
        })
    }

    fn item(&self) -> Item {
        Written::default()
            .text("id", &self.id)
            .text("peerid", &self.peerid)
            .text("baseuri", &self.baseuri)
            .text("type", &self.r#type)
            .text("passphrase", &self.passphrase)
            .item()
    }
}

impl Stored for Subscription {
    const TABLE: Table = Table::Subscriptions;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            peer_sub_id: fields.text("peer_sub_id")?,
            peerid: fields.text("peerid")?,
            subid: fields.text("subid")?,
            granularity: fields.optional_text("granularity")?,
            target: fields.optional_text("target")?,
            subtarget: fields.optional_text("subtarget")?,
            resource: fields.optional_text("resource")?,
            seqnr: fields.number("seqnr")?,
            callback: fields.truth("callback")?,
        })
    }

    fn item(&self) -> Item {
        Written::default()
            .text("id", &self.id)
            .text("peer_sub_id", &self.peer_sub_id)
            .text("peerid", &self.peerid)
            .text("subid", &self.subid)
            .text_if_any("granularity", self.granularity.as_deref())
            .text_if_any("target", self.target.as_deref())
            .text_if_any("subtarget", self.subtarget.as_deref())
            .text_if_any("resource", self.resource.as_deref())
            .number("seqnr", Some(self.seqnr))
            .truth("callback", Some(self.callback))
            .item()
    }
}

impl Stored for SubscriptionDiff {
    const TABLE: Table = Table::SubscriptionDiffs;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            subid_seqnr: fields.text("subid_seqnr")?,
            subid: fields.text("subid")?,
            timestamp: fields.time("timestamp")?,
            diff: fields.text("diff")?,
            seqnr: fields.number("seqnr")?,
        })
    }

    fn item(&self) -> Item {
        Written::default()
            .text("id", &self.id)
            .text("subid_seqnr", &self.subid_seqnr)
            .text("subid", &self.subid)
            .time("timestamp", Some(self.timestamp))
            .text("diff", &self.diff)
            .number("seqnr", Some(self.seqnr))
            .item()
    }
}

impl Stored for Suspension {
    const TABLE: Table = Table::SubscriptionSuspensions;

    fn read(fields: Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            target: fields.text("target")?,
            subtarget: fields.text("subtarget")?,
            suspended_at: fields.time("suspended_at")?,
        })
    }

    fn item(&self) -> Item {
        Written::default()
            .text("id", &self.id)
            .text("target_key", &self.target_key())
            .text("target", &self.target)
            .text_if_any("subtarget", Some(&self.subtarget))
            .time("suspended_at", Some(self.suspended_at))
            .item()
    }
}

/// An item in our words; none when it has a type that this build does not know.
pub(super) fn from_sdk(item: HashMap<String, Sdk>) -> Option<Item> {
    item.into_iter().map(|(name, value)| Some((name, value_from_sdk(value)?))).collect()
}

/// An item in the words of the SDK.
pub(super) fn to_sdk(item: Item) -> HashMap<String, Sdk> {
    item.into_iter().map(|(name, value)| (name, value_to_sdk(value))).collect()
}

fn value_from_sdk(value: Sdk) -> Option<AttributeValue> {
    Some(match value {
        Sdk::S(text) => AttributeValue::S(text),
        Sdk::N(digits) => AttributeValue::N(digits),
        Sdk::B(bytes) => AttributeValue::B(bytes.into_inner()),
        Sdk::Bool(truth) => AttributeValue::Bool(truth),
        Sdk::Null(null) => AttributeValue::Null(null),
        Sdk::Ss(texts) => AttributeValue::Ss(texts),
        Sdk::Ns(numbers) => AttributeValue::Ns(numbers),
        Sdk::Bs(set) => AttributeValue::Bs(set.into_iter().map(Blob::into_inner).collect()),
        Sdk::L(list) => AttributeValue::L(list.into_iter().map(value_from_sdk).collect::<Option<_>>()?),
        Sdk::M(map) => AttributeValue::M(from_sdk(map)?),
        _ => return None,
    })
}

/// A value in the words of the SDK.
pub(super) fn value_to_sdk(value: AttributeValue) -> Sdk {
    match value {
        AttributeValue::S(text) => Sdk::S(text),
        AttributeValue::N(digits) => Sdk::N(digits),
        AttributeValue::B(bytes) => Sdk::B(Blob::new(bytes)),
        AttributeValue::Bool(truth) => Sdk::Bool(truth),
        AttributeValue::Null(null) => Sdk::Null(null),
        AttributeValue::Ss(texts) => Sdk::Ss(texts),
        AttributeValue::Ns(numbers) => Sdk::Ns(numbers),
        AttributeValue::Bs(set) => Sdk::Bs(set.into_iter().map(Blob::new).collect()),
        AttributeValue::L(list) => Sdk::L(list.into_iter().map(value_to_sdk).collect()),
        AttributeValue::M(map) => Sdk::M(to_sdk(map)),
    }
}
