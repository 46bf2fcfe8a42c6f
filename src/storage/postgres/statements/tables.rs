//! Statements by which an application reads and writes its rows.
//!
//! Whatever is ordered or compared as a range is so by its bytes, whatever the collation of the
//! database.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::Builder;
use crate::model::Table::{
    Actors, Attributes, PeerTrustees, Properties, PropertyLookup, SubscriptionDiffs, SubscriptionSuspensions,
    Subscriptions, Trusts,
};
use crate::model::row::TTL_CLOCK_SKEW_BUFFER;

/// The columns of a trust that can be changed, in the order of
/// [`TrustChange`](crate::model::row::TrustChange).
const TRUST_CHANGES: [&str; 19] = [
    "baseuri",
    "secret",
    "desc",
    "approved",
    "peer_approved",
    "verified",
    "verification_token",
    "peer_identifier",
    "established_via",
    "created_at",
    "last_accessed",
    "last_connected_via",
    "client_name",
    "client_version",
    "client_platform",
    "oauth_client_id",
    "aw_supported",
    "aw_version",
    "capabilities_fetched_at",
];

/// The columns of a subscription that can be changed, in the order of
/// [`SubscriptionChange`](crate::model::row::SubscriptionChange).
const SUBSCRIPTION_CHANGES: [&str; 6] = ["granularity", "target", "subtarget", "resource", "seqnr", "callback"];

/// Now, in a column without a zone.
const NOW: &str = "now() AT TIME ZONE 'UTC'";

/// The TTL of a row that lives for this parameter's seconds from now on; null for null.
fn ttl(seconds: &str) -> String {
    format!("floor(extract(epoch FROM now()))::bigint + {seconds}::bigint + {TTL_CLOCK_SKEW_BUFFER}")
}

/// An attribute's key, and that the row is that bucket's and name's: two pairs may share one key.
const ATTRIBUTE: &str = "t.id = $1 AND t.bucket_name = $2 AND t.bucket = $3 AND t.name = $4";

/// A subscription's key, and that the row is that peer's: two pairs may share one key.
const SUBSCRIPTION: &str = "t.id = $1 AND t.peer_sub_id = $2 AND t.peerid = $3 AND t.subid = $4";

/// A change's key, and that it is that subscription's.
const DIFF: &str = "t.id = $1 AND t.subid_seqnr = $2 AND t.subid = $3";

macro_rules! statements {
    ($($name:ident = $make:expr;)+) => {
        /// Statements on the application's tables, by what they do.
        #[derive(Clone, Debug)]
        pub(in crate::storage::postgres) struct Tables {
            $(pub(in crate::storage::postgres) $name: SqlStr,)+
        }

        impl Tables {
            pub(super) fn new(build: &Builder) -> Self {
                let sql = |name: &str, make: fn(&Builder) -> String| {
                    AssertSqlSafe(format!("/* {name} */ {}", make(build))).into_sql_str()
                };
                Self { $($name: sql(stringify!($name), $make),)+ }
            }
        }
    };
}

statements! {
    actor = |b| b.select(Actors, "WHERE t.id = $1");
    actors_by_creator = |b| b.select(Actors, "WHERE t.creator = $1 ORDER BY t.id COLLATE \"C\"");
    create_actor = |b| b.create(Actors, &[("created_at", NOW)]);
    modify_actor = |b| b.modify(Actors, "t.id = $1", 1, &["creator", "passphrase"]);
    delete_actor = |b| b.delete(Actors, "t.id = $1");

    property = |b| b.select(Properties, "WHERE t.id = $1 AND t.name = $2");
    set_property = |b| format!(
        "INSERT INTO {} (id, name, value) VALUES ($1, $2, $3) ON CONFLICT (id, name) DO UPDATE SET value = EXCLUDED.value",
        b.name(Properties)
    );
    create_property = |b| b.create(Properties, &[]);
    swap_property = |b| format!(
        "UPDATE {} AS t SET value = $3 WHERE t.id = $1 AND t.name = $2 AND t.value = $4",
        b.name(Properties)
    );
    delete_property_if = |b| b.delete(Properties, "t.id = $1 AND t.name = $2 AND t.value = $3");
    delete_property = |b| format!("{} RETURNING t.value", b.delete(Properties, "t.id = $1 AND t.name = $2"));
    delete_properties = |b| b.delete(Properties, "t.id = $1 AND t.name = ANY($2)");
    delete_all_properties = |b| b.delete(Properties, "t.id = $1");
    property_range = |b| b.select(
        Properties,
        "WHERE t.id = $1 AND t.name COLLATE \"C\" >= $2 AND t.name COLLATE \"C\" <= $3 ORDER BY t.name COLLATE \"C\"",
    );
    property_prefix = |b| b.select(
        Properties,
        "WHERE t.id = $1 AND starts_with(t.name, $2) ORDER BY t.name COLLATE \"C\"",
    );
    last_property_name = |b| format!(
        "SELECT t.name::text FROM {} AS t WHERE t.id = $1 AND t.name COLLATE \"C\" >= $2 AND t.name COLLATE \"C\" <= $3 \
         ORDER BY t.name COLLATE \"C\" DESC LIMIT 1",
        b.name(Properties)
    );
    plain_properties = |b| b.select(
        Properties,
        "WHERE t.id = $1 AND NOT starts_with(t.name, $2) ORDER BY t.name COLLATE \"C\"",
    );
    all_properties = |b| b.select(Properties, "WHERE t.id = $1 ORDER BY t.name COLLATE \"C\"");
    // An entry without its property is nobody's; then, or without one, whoever has the property.
    actor_by_property = |b| format!(
        "SELECT found.id FROM (SELECT coalesce( \
             (SELECT l.actor_id::text FROM {lookup} AS l \
              JOIN {properties} AS p ON p.id = l.actor_id AND p.name = l.property_name AND p.value = l.value \
              WHERE l.property_name = $1 AND l.value = $2), \
             (SELECT p.id::text FROM {properties} AS p WHERE p.name = $1 AND p.value = $2 \
              ORDER BY p.id COLLATE \"C\" LIMIT 1)) AS id) AS found WHERE found.id IS NOT NULL",
        lookup = b.name(PropertyLookup),
        properties = b.name(Properties)
    );
    actor_by_reading_all = |b| format!(
        "SELECT p.id::text FROM {} AS p WHERE p.name = $1 AND p.value = $2 ORDER BY p.id COLLATE \"C\" LIMIT 1",
        b.name(Properties)
    );

    // The actor first, as whoever deletes it begins there too. Sharing its key keeps it from being
    // deleted before the entry is committed, which must refer to it.
    lock_property = |b| format!(
        "WITH actor AS (SELECT a.id FROM {} AS a WHERE a.id = $1 FOR KEY SHARE), \
         old AS (SELECT p.value FROM {} AS p WHERE p.id = $1 AND p.name = $2 FOR UPDATE) \
         SELECT EXISTS (SELECT FROM actor), (SELECT value FROM old)",
        b.name(Actors),
        b.name(Properties)
    );
    // Makes the entry or says whose it is. No row when somebody else has made it just now.
    claim_lookup = |b| format!(
        "WITH made AS (INSERT INTO {lookup} (property_name, value, actor_id) VALUES ($1, $2, $3) \
             ON CONFLICT (property_name, value) DO NOTHING RETURNING actor_id) \
         SELECT actor_id::text FROM made UNION ALL \
         SELECT l.actor_id::text FROM {lookup} AS l WHERE l.property_name = $1 AND l.value = $2 LIMIT 1",
        lookup = b.name(PropertyLookup)
    );
    lookup = |b| format!(
        "SELECT l.actor_id::text FROM {} AS l WHERE l.property_name = $1 AND l.value = $2",
        b.name(PropertyLookup)
    );
    create_lookup = |b| format!(
        "WITH actor AS (SELECT a.id FROM {} AS a WHERE a.id = $3 FOR KEY SHARE), \
         made AS (INSERT INTO {} (property_name, value, actor_id) SELECT $1, $2, id FROM actor \
             ON CONFLICT DO NOTHING RETURNING 1) \
         SELECT EXISTS (SELECT FROM actor), EXISTS (SELECT FROM made)",
        b.name(Actors),
        b.name(PropertyLookup)
    );
    delete_lookup = |b| b.delete(PropertyLookup, "t.property_name = $1 AND t.value = $2 AND t.actor_id = $3");
    // Not those of properties that somebody has stored since all of them were deleted.
    delete_lookups = |b| {
        let unless = format!(
            "t.actor_id = $1 AND NOT EXISTS (SELECT FROM {} AS p \
             WHERE p.id = t.actor_id AND p.name = t.property_name AND p.value = t.value)",
            b.name(Properties)
        );
        b.delete(PropertyLookup, &unless)
    };

    attribute = |b| b.select(Attributes, &format!("WHERE {ATTRIBUTE}"));
    live_attribute = |b| b.select(
        Attributes,
        &format!(
            "WHERE {ATTRIBUTE} AND (t.ttl_timestamp IS NULL \
             OR t.ttl_timestamp > floor(extract(epoch FROM now()))::bigint)"
        ),
    );
    bucket = |b| b.select(Attributes, "WHERE t.id = $1 AND t.bucket = $2 ORDER BY t.name COLLATE \"C\"");
    buckets = |b| b.select(Attributes, "WHERE t.id = $1 ORDER BY t.bucket COLLATE \"C\", t.name COLLATE \"C\"");
    set_attribute = |b| format!(
        "INSERT INTO {} (id, bucket_name, bucket, name, data, \"timestamp\", ttl_timestamp) \
         VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text::timestamp, {}) \
         ON CONFLICT (id, bucket_name) DO UPDATE SET bucket = EXCLUDED.bucket, name = EXCLUDED.name, \
             data = EXCLUDED.data, \"timestamp\" = EXCLUDED.\"timestamp\", ttl_timestamp = EXCLUDED.ttl_timestamp",
        b.name(Attributes),
        ttl("$7")
    );
    swap_attribute = |b| format!(
        "UPDATE {} AS t SET data = $5::text::jsonb, \"timestamp\" = coalesce($6::text::timestamp, t.\"timestamp\"), \
             ttl_timestamp = coalesce({}, t.ttl_timestamp) \
         WHERE {ATTRIBUTE} AND coalesce(t.data, 'null') = $8::text::jsonb",
        b.name(Attributes),
        ttl("$7")
    );
    lock_attribute = |b| b.select(Attributes, &format!("WHERE {ATTRIBUTE} FOR UPDATE"));
    delete_attribute = |b| b.delete(Attributes, ATTRIBUTE);
    delete_bucket = |b| b.delete(Attributes, "t.id = $1 AND t.bucket = $2");
    delete_attributes = |b| b.delete(Attributes, "t.id = $1");
    // The index is on the text, in which a number looks like a string of digits.
    delete_chain = |b| b.delete(
        Attributes,
        "t.id = $1 AND t.bucket = ANY($2) AND t.data ->> 'chain_id' = $3 AND t.data -> 'chain_id' = to_jsonb($3)",
    );

    trust = |b| b.select(Trusts, "WHERE t.id = $1 AND t.peerid = $2");
    trust_by_secret = |b| b.select(
        Trusts,
        "WHERE t.id = $1 AND t.secret = $2 ORDER BY t.peerid COLLATE \"C\" LIMIT 1",
    );
    trusts = |b| b.select(Trusts, "WHERE t.id = $1 ORDER BY t.peerid COLLATE \"C\"");
    // $14 is when it came about.
    create_trust = |b| b.create(
        Trusts,
        &[("created_at", NOW), ("last_accessed", &format!("coalesce($14::text::timestamp, {NOW})"))],
    );
    modify_trust = |b| b.modify(Trusts, "t.id = $1 AND t.peerid = $2", 2, &TRUST_CHANGES);
    delete_trust = |b| b.delete(Trusts, "t.id = $1 AND t.peerid = $2");
    delete_trusts = |b| b.delete(Trusts, "t.id = $1");

    peer_trustee = |b| b.select(PeerTrustees, "WHERE t.id = $1 AND t.peerid = $2");
    peer_trustees_of_type = |b| b.select(
        PeerTrustees,
        "WHERE t.id = $1 AND t.type = $2 ORDER BY t.peerid COLLATE \"C\"",
    );
    peer_trustees = |b| b.select(PeerTrustees, "WHERE t.id = $1 ORDER BY t.peerid COLLATE \"C\"");
    create_peer_trustee = |b| b.create(PeerTrustees, &[]);
    modify_peer_trustee = |b| b.modify(
        PeerTrustees,
        "t.id = $1 AND t.peerid = $2",
        2,
        &["baseuri", "type", "passphrase"],
    );
    delete_peer_trustee = |b| b.delete(PeerTrustees, "t.id = $1 AND t.peerid = $2");
    delete_peer_trustees = |b| b.delete(PeerTrustees, "t.id = $1");

    subscription = |b| b.select(Subscriptions, &format!("WHERE {SUBSCRIPTION}"));
    subscriptions = |b| b.select(Subscriptions, "WHERE t.id = $1 ORDER BY t.peer_sub_id COLLATE \"C\"");
    create_subscription = |b| b.create(Subscriptions, &[]);
    modify_subscription = |b| b.modify(Subscriptions, SUBSCRIPTION, 4, &SUBSCRIPTION_CHANGES);
    delete_subscription = |b| b.delete(Subscriptions, SUBSCRIPTION);
    delete_subscriptions = |b| b.delete(Subscriptions, "t.id = $1");

    diff = |b| b.select(SubscriptionDiffs, &format!("WHERE {DIFF}"));
    first_diff = |b| b.select(SubscriptionDiffs, "WHERE t.id = $1 AND t.subid = $2 ORDER BY t.seqnr LIMIT 1");
    diffs = |b| b.select(SubscriptionDiffs, "WHERE t.id = $1 AND t.subid = $2 ORDER BY t.seqnr");
    diffs_of_all = |b| b.select(SubscriptionDiffs, "WHERE t.id = $1 ORDER BY t.subid COLLATE \"C\", t.seqnr");
    create_diff = |b| b.create(SubscriptionDiffs, &[]);
    delete_diff = |b| b.delete(SubscriptionDiffs, DIFF);
    clear_diffs = |b| b.delete(
        SubscriptionDiffs,
        "t.id = $1 AND ($2::text IS NULL OR t.subid = $2) AND ($3::bigint IS NULL OR t.seqnr <= $3)",
    );

    is_suspended = |b| format!(
        "SELECT EXISTS (SELECT FROM {} AS t WHERE t.id = $1 AND t.target = $2 AND t.subtarget IN ('', $3))",
        b.name(SubscriptionSuspensions)
    );
    suspend = |b| b.create(SubscriptionSuspensions, &[("suspended_at", "now()")]);
    resume_target = |b| b.delete(SubscriptionSuspensions, "t.id = $1 AND t.target = $2 AND t.subtarget = $3");
    suspensions = |b| b.select(
        SubscriptionSuspensions,
        "WHERE t.id = $1 ORDER BY t.target COLLATE \"C\", t.subtarget COLLATE \"C\"",
    );
    delete_suspensions = |b| b.delete(SubscriptionSuspensions, "t.id = $1");
}
