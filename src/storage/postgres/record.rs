//! The one converter between rows of PostgreSQL and records: every row is read and written as the
//! texts of its columns, in the order of the layout.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::Op;
use super::error::Context;
use crate::model::layout::{Column, postgresql_columns};
use crate::model::row::{
    Actor, Attribute, LookupEntry, LookupOwner, PeerTrustee, Property, Subscription, SubscriptionDiff, Suspension,
    Trust,
};
use crate::model::{Record, Row, Source, Table, Unreadable, json, wire};
use crate::storage::Result;

/// The columns of a row, each as PostgreSQL writes it as text with the time zone UTC; none for NULL.
pub(super) type Texts = Vec<Option<String>>;

/// The columns of a row, as it was selected.
pub(super) fn texts(row: &PgRow, op: Op) -> Result<Texts> {
    (0..row.len()).map(|column| row.try_get(column).op(op)).collect()
}

/// The record of a row.
pub(super) fn record(table: Table, texts: Texts) -> Record {
    let meaning = match table {
        Table::Actors => read(&texts).map(Row::Actor),
        Table::Properties => read(&texts).map(Row::Property),
        Table::PropertyLookup => read(&texts).map(Row::Lookup),
        Table::Attributes => read(&texts).map(Row::Attribute),
        Table::Trusts => read(&texts).map(Box::new).map(Row::Trust),
        Table::PeerTrustees => read(&texts).map(Row::PeerTrustee),
        Table::Subscriptions => read(&texts).map(Row::Subscription),
        Table::SubscriptionDiffs => read(&texts).map(Row::Diff),
        Table::SubscriptionSuspensions => read(&texts).map(Row::Suspension),
    };
    Record { table, source: Source::Postgresql(texts), meaning }
}

/// What the texts of a row mean.
pub(super) fn read<T: Stored>(texts: &[Option<String>]) -> Result<T, Unreadable> {
    T::read(&mut Columns { table: T::TABLE, columns: postgresql_columns(T::TABLE).iter(), texts: texts.iter() })
}

/// The texts of a row by its meaning. A look-up entry of which only a digest is known has no value;
/// the limits refuse it.
pub(super) fn write(row: &Row) -> Texts {
    let some = |text: &str| Some(text.to_owned());
    match row {
        Row::Actor(row) => {
            vec![
                some(&row.id),
                some(&row.creator),
                some(&row.passphrase),
                row.created_at.map(wire::format_pg_timestamp),
            ]
        }
        Row::Property(row) => vec![some(&row.id), some(&row.name), some(&row.value)],
        Row::Lookup(row) => {
            let value = match &row.owner {
                LookupOwner::Value(value) => some(value),
                LookupOwner::Key(_) => None,
            };
            vec![some(&row.property_name), value, some(&row.actor_id)]
        }
        Row::Attribute(row) => vec![
            some(&row.id),
            some(&row.bucket_name),
            some(&row.bucket),
            some(&row.name),
            row.data.as_ref().map(json::Value::to_string),
            row.timestamp.map(wire::format_pg_timestamp),
            row.ttl_timestamp.map(|ttl| ttl.to_string()),
        ],
        Row::Trust(row) => write_trust(row),
        Row::PeerTrustee(row) => {
            vec![some(&row.id), some(&row.peerid), some(&row.baseuri), some(&row.r#type), some(&row.passphrase)]
        }
        Row::Subscription(row) => vec![
            some(&row.id),
            some(&row.peer_sub_id),
            some(&row.peerid),
            some(&row.subid),
            row.granularity.clone(),
            row.target.clone(),
            row.subtarget.clone(),
            row.resource.clone(),
            Some(row.seqnr.to_string()),
            Some(row.callback.to_string()),
        ],
        Row::Diff(row) => vec![
            some(&row.id),
            some(&row.subid_seqnr),
            some(&row.subid),
            Some(wire::format_pg_timestamp(row.timestamp)),
            some(&row.diff),
            Some(row.seqnr.to_string()),
        ],
        Row::Suspension(row) => vec![
            some(&row.id),
            some(&row.target),
            some(&row.subtarget),
            Some(wire::format_pg_timestamptz(row.suspended_at)),
        ],
    }
}

fn write_trust(row: &Trust) -> Texts {
    vec![
        Some(row.id.clone()),
        Some(row.peerid.clone()),
        Some(row.baseuri.clone()),
        Some(row.r#type.clone()),
        Some(row.relationship.clone()),
        Some(row.secret.clone()),
        row.desc.clone(),
        Some(row.approved.to_string()),
        Some(row.peer_approved.to_string()),
        Some(row.verified.to_string()),
        row.verification_token.clone(),
        row.peer_identifier.clone(),
        row.established_via.clone(),
        row.created_at.map(wire::format_pg_timestamp),
        row.last_accessed.map(wire::format_pg_timestamp),
        row.last_connected_via.clone(),
        row.client_name.clone(),
        row.client_version.clone(),
        row.client_platform.clone(),
        row.oauth_client_id.clone(),
        row.aw_supported.clone(),
        row.aw_version.clone(),
        row.capabilities_fetched_at.map(wire::format_pg_timestamptz),
    ]
}

/// A row of one table.
pub(super) trait Stored: Sized {
    /// The table.
    const TABLE: Table;

    /// Reads the columns in their order.
    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable>;
}

/// The columns of a row, to be taken in their order.
pub(super) struct Columns<'a> {
    table: Table,
    columns: std::slice::Iter<'static, Column>,
    texts: std::slice::Iter<'a, Option<String>>,
}

impl Columns<'_> {
    /// What the next column means by `parse`; none for NULL.
    fn parsed<T>(&mut self, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Unreadable> {
        let column = self.columns.next();
        let text = self.texts.next().and_then(Option::as_deref);
        text.map(parse).transpose().map_err(|why| unreadable(self.table, column, why))
    }

    /// The same for a column that must have a value.
    fn required<T>(&mut self, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Unreadable> {
        let column = self.columns.clone().next();
        self.parsed(parse)?.ok_or_else(|| unreadable(self.table, column, "has no value".to_owned()))
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        self.required(|text| Ok(text.to_owned()))
    }

    fn optional(&mut self) -> Result<Option<String>, Unreadable> {
        self.parsed(|text| Ok(text.to_owned()))
    }

    fn flag(&mut self) -> Result<bool, Unreadable> {
        self.required(|text| match text {
            "true" | "t" => Ok(true),
            "false" | "f" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        })
    }
}

fn unreadable(table: Table, column: Option<&Column>, why: String) -> Unreadable {
    Unreadable { table, attribute: column.map_or_else(String::new, |column| column.name.to_owned()), why }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "is not a number".to_owned())
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    wire::parse_pg_timestamp(text).ok_or_else(|| "is no time in the years 1 to 9999".to_owned())
}

impl Stored for Actor {
    const TABLE: Table = Table::Actors;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            creator: columns.text()?,
            passphrase: columns.text()?,
            created_at: columns.parsed(time)?,
        })
    }
}

impl Stored for Property {
    const TABLE: Table = Table::Properties;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self { id: columns.text()?, name: columns.text()?, value: columns.text()? })
    }
}

impl Stored for LookupEntry {
    const TABLE: Table = Table::PropertyLookup;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        let property_name = columns.text()?;
        Ok(Self { property_name, owner: LookupOwner::Value(columns.text()?), actor_id: columns.text()? })
    }
}

impl Stored for Attribute {
    const TABLE: Table = Table::Attributes;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            bucket_name: columns.text()?,
            bucket: columns.text()?,
            name: columns.text()?,
            data: columns.parsed(|text| json::parse(text).map_err(|_| "is not JSON".to_owned()))?,
            timestamp: columns.parsed(time)?,
            ttl_timestamp: columns.parsed(number)?,
        })
    }
}

impl Stored for Trust {
    const TABLE: Table = Table::Trusts;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            peerid: columns.text()?,
            baseuri: columns.text()?,
            r#type: columns.text()?,
            relationship: columns.text()?,
            secret: columns.text()?,
            desc: columns.optional()?,
            approved: columns.flag()?,
            peer_approved: columns.flag()?,
            verified: columns.flag()?,
            verification_token: columns.optional()?,
            peer_identifier: columns.optional()?,
            established_via: columns.optional()?,
            created_at: columns.parsed(time)?,
            last_accessed: columns.parsed(time)?,
            last_connected_via: columns.optional()?,
            client_name: columns.optional()?,
            client_version: columns.optional()?,
            client_platform: columns.optional()?,
            oauth_client_id: columns.optional()?,
            aw_supported: columns.optional()?,
            aw_version: columns.optional()?,
            capabilities_fetched_at: columns.parsed(time)?,
        })
    }
}

impl Stored for PeerTrustee {
    const TABLE: Table = Table::PeerTrustees;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            peerid: columns.text()?,
            baseuri: columns.text()?,
            r#type: columns.text()?,
            passphrase: columns.text()?,
        })
    }
}

impl Stored for Subscription {
    const TABLE: Table = Table::Subscriptions;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            peer_sub_id: columns.text()?,
            peerid: columns.text()?,
            subid: columns.text()?,
            granularity: columns.optional()?,
            target: columns.optional()?,
            subtarget: columns.optional()?,
            resource: columns.optional()?,
            seqnr: columns.required(number)?,
            callback: columns.flag()?,
        })
    }
}

impl Stored for SubscriptionDiff {
    const TABLE: Table = Table::SubscriptionDiffs;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            subid_seqnr: columns.text()?,
            subid: columns.text()?,
            timestamp: columns.required(time)?,
            diff: columns.text()?,
            seqnr: columns.required(number)?,
        })
    }
}

impl Stored for Suspension {
    const TABLE: Table = Table::SubscriptionSuspensions;

    fn read(columns: &mut Columns<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: columns.text()?,
            target: columns.text()?,
            subtarget: columns.text()?,
            suspended_at: columns.required(time)?,
        })
    }
}
