//! What the tables look like on both backends, as data: the schema that is expected, and the order
//! of PostgreSQL's columns in a [`Record`](super::Record).

use super::Table;

/// The type of a column, as `format_type` of PostgreSQL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `character varying(n)`: characters, not bytes.
    Varchar(u16),
    /// `text`
    Text,
    /// `boolean`
    Boolean,
    /// `integer`
    Integer,
    /// `bigint`
    Bigint,
    /// `jsonb`
    Jsonb,
    /// `timestamp without time zone`, which holds UTC.
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
}

/// A column of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub r#type: ColumnType,
    /// Whether NULL is refused.
    pub not_null: bool,
}

macro_rules! columns {
    ($($name:literal $type:ident $(($size:literal))? $(NOT $null:ident)?),+ $(,)?) => {
        &[$(Column { name: $name, r#type: columns!(@type $type $(($size))?), not_null: columns!(@null $($null)?) }),+]
    };
    (@type VC) => { ColumnType::Varchar(255) };
    (@type $type:ident $(($size:literal))?) => { ColumnType::$type $(($size))? };
    (@null NULL) => { true };
    (@null) => { false };
}

/// The columns of a table at the newest revision, in the order in which a
/// [`Record`](super::Record) has them. The primary key comes first.
pub const fn postgresql_columns(table: Table) -> &'static [Column] {
    match table {
        Table::Actors => columns![
            "id" VC NOT NULL,
            "creator" VC NOT NULL,
            "passphrase" Text NOT NULL,
            "created_at" Timestamp,
        ],
        Table::Properties => columns!["id" VC NOT NULL, "name" Text NOT NULL, "value" Text NOT NULL],
        Table::PropertyLookup => {
            columns!["property_name" VC NOT NULL, "value" Text NOT NULL, "actor_id" VC NOT NULL]
        }
        Table::Attributes => columns![
            "id" VC NOT NULL,
            "bucket_name" VC NOT NULL,
            "bucket" VC NOT NULL,
            "name" VC NOT NULL,
            "data" Jsonb,
            "timestamp" Timestamp,
            "ttl_timestamp" Bigint,
        ],
        Table::Trusts => columns![
            "id" VC NOT NULL,
            "peerid" VC NOT NULL,
            "baseuri" Text NOT NULL,
            "type" VC NOT NULL,
            "relationship" VC NOT NULL,
            "secret" VC NOT NULL,
            "desc" Text,
            "approved" Boolean NOT NULL,
            "peer_approved" Boolean NOT NULL,
            "verified" Boolean NOT NULL,
            "verification_token" VC,
            "peer_identifier" VC,
            "established_via" VC,
            "created_at" Timestamp,
            "last_accessed" Timestamp,
            "last_connected_via" VC,
            "client_name" VC,
            "client_version" VC,
            "client_platform" VC,
            "oauth_client_id" VC,
            "aw_supported" Text,
            "aw_version" Varchar(50),
            "capabilities_fetched_at" Timestamptz,
        ],
        Table::PeerTrustees => columns![
            "id" VC NOT NULL,
            "peerid" VC NOT NULL,
            "baseuri" Text NOT NULL,
            "type" VC NOT NULL,
            "passphrase" Text NOT NULL,
        ],
        Table::Subscriptions => columns![
            "id" VC NOT NULL,
            "peer_sub_id" VC NOT NULL,
            "peerid" VC NOT NULL,
            "subid" VC NOT NULL,
            "granularity" VC,
            "target" VC,
            "subtarget" VC,
            "resource" VC,
            "seqnr" Integer NOT NULL,
            "callback" Boolean NOT NULL,
        ],
        Table::SubscriptionDiffs => columns![
            "id" VC NOT NULL,
            "subid_seqnr" VC NOT NULL,
            "subid" VC NOT NULL,
            "timestamp" Timestamp NOT NULL,
            "diff" Text NOT NULL,
            "seqnr" Integer NOT NULL,
        ],
        Table::SubscriptionSuspensions => columns![
            "id" VC NOT NULL,
            "target" VC NOT NULL,
            "subtarget" VC NOT NULL,
            "suspended_at" Timestamptz NOT NULL,
        ],
    }
}

/// The columns of a table's primary key in PostgreSQL.
pub const fn postgresql_key(table: Table) -> &'static [&'static str] {
    match table {
        Table::Actors => &["id"],
        Table::Properties => &["id", "name"],
        Table::PropertyLookup => &["property_name", "value"],
        Table::Attributes => &["id", "bucket_name"],
        Table::Trusts | Table::PeerTrustees => &["id", "peerid"],
        Table::Subscriptions => &["id", "peer_sub_id"],
        Table::SubscriptionDiffs => &["id", "subid_seqnr"],
        Table::SubscriptionSuspensions => &["id", "target", "subtarget"],
    }
}

/// The attributes of a table's key in DynamoDB: hash and, if there is one, range; all are text.
pub const fn dynamodb_key(table: Table) -> (&'static str, Option<&'static str>) {
    match table {
        Table::Actors => ("id", None),
        Table::Properties => ("id", Some("name")),
        Table::PropertyLookup => ("lookup_key", None),
        Table::Attributes => ("id", Some("bucket_name")),
        Table::Trusts | Table::PeerTrustees => ("id", Some("peerid")),
        Table::Subscriptions => ("id", Some("peer_sub_id")),
        Table::SubscriptionDiffs => ("id", Some("subid_seqnr")),
        Table::SubscriptionSuspensions => ("id", Some("target_key")),
    }
}

/// A global secondary index of DynamoDB, on one attribute of text; it holds whole items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondaryIndex {
    /// Its name.
    pub name: &'static str,
    /// The attribute that it is by. One that is empty cannot be stored.
    pub attribute: &'static str,
}

/// The indexes of a table in DynamoDB. The one of the properties only exists where properties are
/// looked up by it and not in the look-up table.
pub const fn dynamodb_index(table: Table, legacy_property_index: bool) -> Option<SecondaryIndex> {
    match table {
        Table::Actors => Some(SecondaryIndex { name: "creator-index", attribute: "creator" }),
        Table::Trusts => Some(SecondaryIndex { name: "secret-index", attribute: "secret" }),
        Table::Properties if legacy_property_index => {
            Some(SecondaryIndex { name: "property-index", attribute: "value" })
        }
        _ => None,
    }
}

/// The attribute by which DynamoDB itself expires attributes, where that is switched on.
pub const TTL_ATTRIBUTE: &str = "ttl_timestamp";
