//! What both sides write.

use actingweb_maintd::model::row::{Actor, PeerTrustee, Property, Subscription, SubscriptionDiff, Trust, subid_seqnr};
use actingweb_maintd::model::{BackendKind, clock, json};
use actingweb_maintd::storage::{AttributeKey, Indexed, NewValue};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::place::Place;

/// `contents.json`, without what the backend cannot hold.
pub(super) struct Contents(Value);

impl Contents {
    pub(super) fn of(backend: BackendKind) -> Self {
        let mut contents: Value = serde_json::from_str(include_str!("contents.json")).expect("JSON");
        for rows in contents.as_object_mut().expect("tables").values_mut().filter_map(Value::as_array_mut) {
            rows.retain(|row| row.get("only").is_none_or(|only| only == backend.name()));
        }
        Self(contents)
    }

    /// The rows of a table.
    pub(super) fn rows(&self, table: &str) -> &[Value] {
        self.0[table].as_array().expect("rows")
    }

    /// What is to be asked, a list of arguments each.
    pub(super) fn asked(&self, what: &str) -> &[Value] {
        self.0["asked"][what].as_array().expect("questions")
    }

    /// Every id that anything belongs to, in order.
    pub(super) fn ids(&self) -> Vec<String> {
        let tables = self.0.as_object().expect("tables").values().filter_map(Value::as_array);
        let mut ids: Vec<String> = tables.flatten().map(|row| text(row, "id")).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The attributes that are there in the end: of those that share a key the last.
    pub(super) fn attributes(&self) -> Vec<&Value> {
        let key = |row: &Value| format!("{} {}:{}", row["id"], text(row, "bucket"), text(row, "name"));
        let rows = self.rows("attributes");
        let is_last = |index: usize| rows[index + 1..].iter().all(|later| key(later) != key(&rows[index]));
        rows.iter().enumerate().filter(|(index, _)| is_last(*index)).map(|(_, row)| row).collect()
    }

    /// What has just been written lives as long as it was told to, and an hour longer.
    pub(super) fn assert_lives(&self, document: &Value) {
        let now = clock::now().timestamp();
        for row in self.attributes() {
            let found = document["attributes"][text(row, "id")].as_array().expect("attributes");
            let found = found.iter().find(|found| found["bucket"] == row["bucket"] && found["name"] == row["name"]);
            let ttl = found.expect("it was written")["ttl_timestamp"].as_i64();
            let lives = ttl.map(|ttl| ttl - now - 3600);
            assert_eq!(lives.is_some(), row.get("ttl_seconds").is_some(), "{row}");
            let short_by =
                row.get("ttl_seconds").and_then(Value::as_i64).zip(lives).map_or(0, |(told, lives)| told - lives);
            assert!((0..300).contains(&short_by), "{row} {lives:?}");
        }
    }
}

/// Writes everything by the traits.
pub(super) async fn write(place: &Place, contents: &Contents) {
    let store = place.store();
    for row in contents.rows("actors") {
        let actor = Actor {
            id: text(row, "id"),
            creator: text(row, "creator"),
            passphrase: text(row, "passphrase"),
            created_at: None,
        };
        assert!(store.create_actor(&actor).await.unwrap(), "{row}");
    }
    for row in contents.rows("properties") {
        let property = property(row);
        if property.name.starts_with("list:") {
            assert!(store.create_property(&property).await.unwrap(), "{row}");
            continue;
        }
        let indexed = match (property.id.as_str(), property.name.as_str()) {
            ("actor-2", "email") => Indexed::Taken("actor-1".to_owned()),
            (_, "email" | "oauthId" | "externalUserId") => Indexed::Yes,
            _ => Indexed::No,
        };
        assert_eq!(store.set_property(&property).await.unwrap(), indexed, "{row}");
    }
    for row in contents.rows("attributes") {
        let (id, bucket, name) = (text(row, "id"), text(row, "bucket"), text(row, "name"));
        let value = NewValue {
            data: &data(row),
            timestamp: time(row, "timestamp"),
            ttl_seconds: row.get("ttl_seconds").and_then(Value::as_i64),
        };
        store.set_attribute(AttributeKey { id: &id, bucket: &bucket, name: &name }, &value).await.unwrap();
    }
    for row in contents.rows("trusts") {
        assert!(store.create_trust(&trust(row)).await.unwrap(), "{row}");
    }
    for row in contents.rows("peertrustees") {
        assert!(store.create_peer_trustee(&peer_trustee(row)).await.unwrap(), "{row}");
    }
    for row in contents.rows("subscriptions") {
        assert!(store.create_subscription(&subscription(row)).await.unwrap(), "{row}");
    }
    for row in contents.rows("subscription_diffs") {
        assert!(store.create_diff(&diff(row)).await.unwrap(), "{row}");
    }
    for row in contents.rows("subscription_suspensions") {
        let subtarget = optional(row, "subtarget").unwrap_or_default();
        assert!(store.suspend(&text(row, "id"), &text(row, "target"), &subtarget).await.unwrap(), "{row}");
    }
}

/// The text under a name.
pub(super) fn text(row: &Value, name: &str) -> String {
    optional(row, name).unwrap_or_else(|| panic!("{name} of {row}"))
}

/// The text under a name, if there is one.
pub(super) fn optional(row: &Value, name: &str) -> Option<String> {
    row.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The time under a name, if there is one.
pub(super) fn time(row: &Value, name: &str) -> Option<DateTime<Utc>> {
    optional(row, name).map(|text| moment(&text))
}

/// A time of the contents: UTC without saying so.
pub(super) fn moment(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").expect("a time").and_utc()
}

pub(super) fn flag(row: &Value, name: &str) -> bool {
    row[name].as_bool().expect("true or false")
}

/// The data of an attribute.
pub(super) fn data(row: &Value) -> json::Value {
    json::parse(&text(row, "data")).expect("JSON")
}

pub(super) fn property(row: &Value) -> Property {
    Property { id: text(row, "id"), name: text(row, "name"), value: text(row, "value") }
}

fn trust(row: &Value) -> Trust {
    Trust {
        id: text(row, "id"),
        peerid: text(row, "peerid"),
        baseuri: text(row, "baseuri"),
        r#type: text(row, "type"),
        relationship: text(row, "relationship"),
        secret: text(row, "secret"),
        desc: optional(row, "desc"),
        approved: flag(row, "approved"),
        peer_approved: flag(row, "peer_approved"),
        verified: flag(row, "verified"),
        verification_token: optional(row, "verification_token"),
        peer_identifier: optional(row, "peer_identifier"),
        established_via: optional(row, "established_via"),
        created_at: time(row, "created_at"),
        last_accessed: time(row, "last_accessed"),
        last_connected_via: optional(row, "last_connected_via"),
        client_name: optional(row, "client_name"),
        client_version: optional(row, "client_version"),
        client_platform: optional(row, "client_platform"),
        oauth_client_id: optional(row, "oauth_client_id"),
        aw_supported: optional(row, "aw_supported"),
        aw_version: optional(row, "aw_version"),
        capabilities_fetched_at: time(row, "capabilities_fetched_at"),
    }
}

fn peer_trustee(row: &Value) -> PeerTrustee {
    PeerTrustee {
        id: text(row, "id"),
        peerid: text(row, "peerid"),
        baseuri: text(row, "baseuri"),
        r#type: text(row, "type"),
        passphrase: text(row, "passphrase"),
    }
}

pub(super) fn subscription(row: &Value) -> Subscription {
    Subscription {
        granularity: optional(row, "granularity"),
        target: optional(row, "target"),
        subtarget: optional(row, "subtarget"),
        resource: optional(row, "resource"),
        seqnr: row["seqnr"].as_i64().expect("a number"),
        callback: flag(row, "callback"),
        ..Subscription::new(&text(row, "id"), &text(row, "peerid"), &text(row, "subid"))
    }
}

pub(super) fn diff(row: &Value) -> SubscriptionDiff {
    let (subid, seqnr) = (text(row, "subid"), row["seqnr"].as_i64().expect("a number"));
    SubscriptionDiff {
        id: text(row, "id"),
        subid_seqnr: subid_seqnr(&subid, seqnr),
        subid,
        timestamp: clock::now(),
        diff: text(row, "diff"),
        seqnr,
    }
}
