//! Rows that somebody might store, and some that nobody would.

use actingweb_maintd::model::json::{Text, Value};
use actingweb_maintd::model::row::{
    Actor, Attribute, PeerTrustee, Property, Subscription, SubscriptionDiff, Suspension, Trust, canonical_creator,
};
use actingweb_maintd::model::{BackendKind, Row};
use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::fixtures::NASTY;

/// So many samples, the same ones each time; others for another number in `TEST_SEED`.
pub(super) fn samples<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let seed = std::env::var("TEST_SEED").map_or(7, |seed| seed.parse().expect("TEST_SEED is a number below 256"));
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a sample").current()).collect()
}

/// Texts of 60 characters at most, which fit into every column. Only DynamoDB takes U+0000.
pub(super) fn text(backend: Option<BackendKind>) -> BoxedStrategy<String> {
    let odd =
        ":;'\"\\%_{}[]|/ \n\t\r\u{1}\u{7f}\u{85}\u{a0}éÉßıŁ日本\u{301}\u{200d}\u{202e}\u{feff}\u{fffd}\u{ffff}😀👩🏳";
    let odd = prop::sample::select(odd.chars().collect::<Vec<_>>());
    let mut letters = vec![(4, prop::char::range('a', 'z').boxed()), (3, odd.boxed()), (1, any::<char>().boxed())];
    if backend == Some(BackendKind::Dynamodb) {
        letters.push((1, Just('\0').boxed()));
    }
    let letter = prop::strategy::Union::new_weighted(letters);
    let letter = letter.prop_map(move |c| if c == '\0' && backend != Some(BackendKind::Dynamodb) { '0' } else { c });
    prop_oneof![
        5 => vec(letter, 0..60).prop_map(|letters| letters.into_iter().collect()),
        1 => prop::sample::select(NASTY.to_vec()).prop_map(str::to_owned),
    ]
    .boxed()
}

/// Texts that may be part of a key: never empty.
fn name(backend: Option<BackendKind>) -> BoxedStrategy<String> {
    text(backend).prop_map(|text| if text.is_empty() { "empty".to_owned() } else { text }).boxed()
}

fn optional(backend: Option<BackendKind>) -> BoxedStrategy<Option<String>> {
    prop_oneof![Just(None), Just(Some(String::new())), text(backend).prop_map(Some)].boxed()
}

/// Times with microseconds, in the years 1900 to 2199.
fn time() -> BoxedStrategy<DateTime<Utc>> {
    let day = 86_400_000_000_i64;
    let any = (-25_567 * day..84_000 * day).prop_map(|micros| DateTime::from_timestamp_micros(micros).expect("a time"));
    let whole = (0..4_000_000_000_i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).expect("a time"));
    prop_oneof![3 => any, 1 => whole].boxed()
}

/// Values of all kinds. Only DynamoDB takes what `jsonb` has no place for.
pub(super) fn value(backend: Option<BackendKind>) -> BoxedStrategy<Value> {
    let digits = "-?[1-9][0-9]{0,60}";
    let finite = any::<f64>().prop_map(|float| if float.is_finite() { float } else { 0.5 });
    let round = (any::<i32>(), -30..30_i32).prop_map(|(n, e)| f64::from(n) * 10f64.powi(e));
    let mut leaves = vec![
        Just(Value::Null).boxed(),
        any::<bool>().prop_map(Value::Bool).boxed(),
        any::<i64>().prop_map(|n| Value::Int(n.to_string())).boxed(),
        digits.prop_map(Value::Int).boxed(),
        finite.prop_map(Value::Float).boxed(),
        round.prop_map(Value::Float).boxed(),
        text(backend).prop_map(|text| Value::String(text.into())).boxed(),
    ];
    if backend == Some(BackendKind::Dynamodb) {
        let unusual = [f64::INFINITY, f64::NEG_INFINITY, -0.0].map(Value::Float).to_vec();
        leaves.push(prop::sample::select(unusual).boxed());
        let lone = vec(any::<u16>(), 0..6).prop_map(|units| Value::String(Text::from_utf16(units)));
        leaves.push(lone.boxed());
    }
    let key = text(backend);
    prop::strategy::Union::new(leaves)
        .prop_recursive(4, 40, 6, move |inner| {
            let members = vec((key.clone(), inner.clone()), 0..6).prop_map(|mut members| {
                let mut known = std::collections::BTreeSet::new();
                members.retain(|(name, _)| known.insert(name.clone()));
                Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
            });
            prop_oneof![vec(inner, 0..6).prop_map(Value::Array), members]
        })
        .boxed()
}

pub(super) fn actor(on: Option<BackendKind>) -> BoxedStrategy<Actor> {
    (name(on), name(on), text(on), prop::option::of(time()))
        .prop_map(|(id, creator, passphrase, created_at)| Actor {
            id,
            creator: canonical_creator(&creator),
            passphrase,
            created_at,
        })
        .boxed()
}

pub(super) fn property(on: Option<BackendKind>) -> BoxedStrategy<Property> {
    (name(on), name(on), name(on)).prop_map(|(id, name, value)| Property { id, name, value }).boxed()
}

pub(super) fn attribute(on: Option<BackendKind>) -> BoxedStrategy<Attribute> {
    (
        name(on),
        text(on),
        text(on),
        prop::option::of(value(on)),
        prop::option::of(time()),
        prop::option::of(any::<i64>()),
    )
        .prop_map(|(id, bucket, name, data, timestamp, ttl_timestamp)| Attribute {
            timestamp,
            ttl_timestamp,
            ..Attribute::new(&id, &bucket, &name, data)
        })
        .boxed()
}

pub(super) fn trust(on: Option<BackendKind>) -> BoxedStrategy<Trust> {
    let texts = (name(on), name(on), text(on), text(on), text(on), name(on));
    let flags = any::<[bool; 3]>();
    let times = [prop::option::of(time()), prop::option::of(time()), prop::option::of(time())];
    let optional = vec(optional(on), 11);
    (texts, flags, times, optional)
        .prop_map(|((id, peerid, baseuri, r#type, relationship, secret), flags, times, optional)| {
            let mut optional = optional.into_iter();
            let mut next = || optional.next().flatten();
            Trust {
                id,
                peerid,
                baseuri,
                r#type,
                relationship,
                secret,
                approved: flags[0],
                peer_approved: flags[1],
                verified: flags[2],
                created_at: times[0],
                last_accessed: times[1],
                capabilities_fetched_at: times[2],
                desc: next(),
                verification_token: next(),
                peer_identifier: next(),
                established_via: next(),
                last_connected_via: next(),
                client_name: next(),
                client_version: next(),
                client_platform: next(),
                oauth_client_id: next(),
                aw_supported: next(),
                aw_version: next().map(|version| version.chars().take(50).collect()),
            }
        })
        .boxed()
}

pub(super) fn peer_trustee(on: Option<BackendKind>) -> BoxedStrategy<PeerTrustee> {
    (name(on), name(on), text(on), text(on), text(on))
        .prop_map(|(id, peerid, baseuri, r#type, passphrase)| PeerTrustee { id, peerid, baseuri, r#type, passphrase })
        .boxed()
}

pub(super) fn subscription(on: Option<BackendKind>) -> BoxedStrategy<Subscription> {
    let optional = [optional(on), optional(on), optional(on), optional(on)];
    (name(on), text(on), text(on), optional, any::<i32>(), any::<bool>())
        .prop_map(|(id, peerid, subid, [granularity, target, subtarget, resource], seqnr, callback)| Subscription {
            granularity,
            target,
            subtarget,
            resource,
            seqnr: seqnr.into(),
            callback,
            ..Subscription::new(&id, &peerid, &subid)
        })
        .boxed()
}

pub(super) fn diff(on: Option<BackendKind>) -> BoxedStrategy<SubscriptionDiff> {
    (name(on), text(on), any::<i32>(), text(on), time())
        .prop_map(|(id, subid, seqnr, diff, timestamp)| SubscriptionDiff {
            diff,
            timestamp,
            ..super::fixtures::diff(&id, &subid, seqnr.into())
        })
        .boxed()
}

pub(super) fn suspension(on: Option<BackendKind>) -> BoxedStrategy<Suspension> {
    (name(on), name(on), text(on), time())
        .prop_map(|(id, target, subtarget, suspended_at)| Suspension { id, target, subtarget, suspended_at })
        .boxed()
}

/// Rows of one table, all but the look-up table, each under a key of its own. `on` none, they fit
/// every backend.
pub(crate) fn rows_of_each_table(on: Option<BackendKind>, count: usize) -> Vec<Vec<Row>> {
    let each = [
        actor(on).prop_map(Row::Actor).boxed(),
        property(on).prop_map(Row::Property).boxed(),
        attribute(on).prop_map(Row::Attribute).boxed(),
        trust(on).prop_map(|trust| Row::Trust(Box::new(trust))).boxed(),
        peer_trustee(on).prop_map(Row::PeerTrustee).boxed(),
        subscription(on).prop_map(Row::Subscription).boxed(),
        diff(on).prop_map(Row::Diff).boxed(),
        suspension(on).prop_map(Row::Suspension).boxed(),
    ];
    each.iter().map(|rows| samples(rows, count).into_iter().enumerate().map(numbered).collect()).collect()
}

/// The row with a number before its id, so that no two have one key.
fn numbered((n, mut row): (usize, Row)) -> Row {
    let id = match &mut row {
        Row::Actor(row) => &mut row.id,
        Row::Property(row) => &mut row.id,
        Row::Lookup(row) => &mut row.actor_id,
        Row::Attribute(row) => &mut row.id,
        Row::Trust(row) => &mut row.id,
        Row::PeerTrustee(row) => &mut row.id,
        Row::Subscription(row) => &mut row.id,
        Row::Diff(row) => &mut row.id,
        Row::Suspension(row) => &mut row.id,
    };
    id.insert_str(0, &format!("{n}"));
    row
}
