//! What we find, in the shape in which the library's scripts tell what they find (`reading.py`).

use std::collections::BTreeMap;

use actingweb_maintd::model::json;
use actingweb_maintd::model::row::{Attribute, Row, Trust};
use actingweb_maintd::storage::{AttributeKey, Store};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::contents::Contents;
use super::place::Place;

/// The document on these rows.
pub(super) async fn document(place: &Place, contents: &Contents, rows: &[Row]) -> Value {
    let store = place.store();
    let mut actors = Vec::new();
    let mut lookups = Vec::new();
    let mut properties: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut of_each: BTreeMap<&str, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
    for row in rows {
        let id = row.id();
        let (table, shown) = match row {
            Row::Actor(row) => {
                actors.push(json!({"id": row.id, "creator": row.creator, "passphrase": row.passphrase}));
                continue;
            }
            Row::Property(row) => {
                properties.entry(id.to_owned()).or_default().insert(row.name.clone(), json!(row.value));
                continue;
            }
            Row::Lookup(row) => {
                lookups.push((row.key(), row.property_name.clone(), row.actor_id.clone()));
                continue;
            }
            Row::Attribute(row) => ("attributes", attribute(store, row).await),
            Row::Trust(row) => ("trusts", trust(row)),
            Row::PeerTrustee(row) => (
                "peertrustees",
                json!({
                    "id": row.id, "peerid": row.peerid, "baseuri": row.baseuri, "type": row.r#type,
                    "passphrase": row.passphrase,
                }),
            ),
            Row::Subscription(row) => (
                "subscriptions",
                json!({
                    "id": row.id, "peerid": row.peerid, "subscriptionid": row.subid, "sequence": row.seqnr,
                    "callback": row.callback,
                    "granularity": row.granularity.as_deref().unwrap_or_default(),
                    "target": row.target.as_deref().unwrap_or_default(),
                    "subtarget": row.subtarget.as_deref().unwrap_or_default(),
                    "resource": row.resource.as_deref().unwrap_or_default(),
                }),
            ),
            Row::Diff(row) => (
                "subscription_diffs",
                json!({
                    "id": row.id, "subscriptionid": row.subid, "timestamp": time(Some(row.timestamp)),
                    "diff": row.diff, "sequence": row.seqnr,
                }),
            ),
            Row::Suspension(row) => (
                "subscription_suspensions",
                json!({
                    "target": row.target, "subtarget": row.subtarget, "suspended_at": time(Some(row.suspended_at)),
                }),
            ),
        };
        of_each.entry(table).or_default().entry(id.to_owned()).or_default().push(shown);
    }
    actors.sort_by_key(|row| row["id"].as_str().map(str::to_owned));
    lookups.sort();
    let mut document = json!({
        "actors": actors, "properties": properties, "lookups": lookups, "answers": answers(store, contents).await,
    });
    for table in
        ["attributes", "trusts", "peertrustees", "subscriptions", "subscription_diffs", "subscription_suspensions"]
    {
        // The order of the traits is by key, where peer and subscription are one text.
        let mut of_each = of_each.remove(table).unwrap_or_default();
        if table == "subscriptions" {
            let key = |row: &Value| [row["peerid"].to_string(), row["subscriptionid"].to_string()];
            of_each.values_mut().for_each(|rows| rows.sort_by_key(key));
        }
        document[table] = json!(of_each);
    }
    document
}

/// A time as the scripts show it.
fn time(time: Option<DateTime<Utc>>) -> Value {
    json!(time.map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
}

async fn attribute(store: &dyn Store, row: &Attribute) -> Value {
    let key = AttributeKey { id: &row.id, bucket: &row.bucket, name: &row.name };
    json!({
        "bucket": row.bucket,
        "name": row.name,
        "data": row.data.as_ref().unwrap_or(&json::Value::Null).to_string(),
        "timestamp": time(row.timestamp),
        "ttl_timestamp": row.ttl_timestamp,
        "live": store.live_attribute(key).await.unwrap().is_some(),
    })
}

fn trust(row: &Trust) -> Value {
    // The library leaves out what is empty.
    let filled = |text: &Option<String>| json!(text.as_deref().filter(|text| !text.is_empty()));
    json!({
        "id": row.id,
        "peerid": row.peerid,
        "baseuri": row.baseuri,
        "type": row.r#type,
        "relationship": row.relationship,
        "secret": row.secret,
        "desc": row.desc,
        "approved": row.approved,
        "peer_approved": row.peer_approved,
        "verified": row.verified,
        "verification_token": row.verification_token,
        "peer_identifier": filled(&row.peer_identifier),
        "established_via": filled(&row.established_via),
        "created_at": time(row.created_at),
        "last_accessed": time(row.last_accessed),
        "last_connected_via": filled(&row.last_connected_via),
        "client_name": filled(&row.client_name),
        "client_version": filled(&row.client_version),
        "client_platform": filled(&row.client_platform),
        "oauth_client_id": filled(&row.oauth_client_id),
        "aw_supported": filled(&row.aw_supported),
        "aw_version": filled(&row.aw_version),
        "capabilities_fetched_at": time(row.capabilities_fetched_at),
    })
}

/// What is found by something else than the key.
async fn answers(store: &dyn Store, contents: &Contents) -> Value {
    let asked = |what| contents.asked(what).iter().map(arguments);
    let mut creators = Map::new();
    for creator in contents.asked("creators") {
        let creator = creator.as_str().expect("text");
        let found = store.actors_by_creator(creator).await.unwrap();
        creators.insert(creator.to_owned(), found.into_iter().map(|actor| actor.id).collect());
    }
    let [mut values, mut secrets, mut types, mut targets] = [const { Vec::new() }; 4];
    for [name, value, _] in asked("values") {
        values.push(json!(store.actor_by_property(name, value).await.unwrap()));
    }
    for [id, secret, _] in asked("secrets") {
        secrets.push(json!(store.trust_by_secret(id, secret).await.unwrap().map(|trust| trust.peerid)));
    }
    for [id, r#type, _] in asked("types") {
        let found = store.peer_trustees_of_type(id, r#type).await.unwrap();
        types.push(json!(found.first().map(|peer| &peer.peerid)));
    }
    for [id, target, subtarget] in asked("targets") {
        targets.push(json!(store.is_suspended(id, target, subtarget).await.unwrap()));
    }
    let [mut prefixes, mut ranges, mut lasts, mut firsts] = [const { Vec::new() }; 4];
    let names = |found: Vec<actingweb_maintd::model::row::Property>| -> Value {
        found.into_iter().map(|property| property.name).collect()
    };
    for [id, prefix, _] in asked("prefixes") {
        prefixes.push(names(store.property_prefix(id, prefix).await.unwrap()));
    }
    for [id, lower, upper] in asked("ranges") {
        ranges.push(names(store.property_range(id, lower, upper).await.unwrap()));
        lasts.push(json!(store.last_property_name(id, lower, upper).await.unwrap()));
    }
    for [id, subid, _] in asked("firsts") {
        firsts.push(json!(store.first_diff(id, subid).await.unwrap().map(|diff| diff.seqnr)));
    }
    json!({
        "creators": creators, "values": values, "secrets": secrets, "types": types, "targets": targets,
        "prefixes": prefixes, "ranges": ranges, "lasts": lasts, "firsts": firsts,
    })
}

/// Up to three texts; what is missing is empty.
fn arguments(asked: &Value) -> [&str; 3] {
    [0, 1, 2].map(|index| asked.get(index).and_then(Value::as_str).unwrap_or_default())
}
