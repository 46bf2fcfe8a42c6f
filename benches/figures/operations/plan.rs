//! What there is and what is done with it, the same for both sides.

use std::collections::BTreeMap;
use std::fmt;

use actingweb_maintd::model::row::{Actor, Property, Trust};
use actingweb_maintd::model::{Record, Row, clock};
use actingweb_maintd::storage::Store;
use serde::{Deserialize, Serialize};

/// Actors that there are; all operations but the first are on them.
const ACTORS: usize = 1_000;

/// Properties of each.
const PROPERTIES: usize = 20;

/// Actors with trusts, and the trusts of each.
const TRUSTING: usize = 50;
const TRUSTS: usize = 20;

/// The property that actors are found by.
const LOOKED_UP: &str = "email";

/// Something that an application does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    /// Makes an actor: id, creator, passphrase.
    CreateActor,
    /// Reads one: id.
    ReadActor,
    /// Changes one: id, passphrase.
    UpdateActor,
    /// Stores a property over another value: id, name, value.
    WriteProperty,
    /// The same with a property that actors are found by.
    WriteLookedUp,
    /// Reads a property: id, name.
    ReadProperty,
    /// Reads all trusts of an actor: id.
    ListTrusts,
}

impl Operation {
    pub(super) const ALL: [Self; 7] = [
        Self::CreateActor,
        Self::ReadActor,
        Self::UpdateActor,
        Self::WriteProperty,
        Self::WriteLookedUp,
        Self::ReadProperty,
        Self::ListTrusts,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateActor => f.write_str("actor create"),
            Self::ReadActor => f.write_str("actor read"),
            Self::UpdateActor => f.write_str("actor update"),
            Self::WriteProperty => f.write_str("property write"),
            Self::WriteLookedUp => f.write_str("property write with look-up"),
            Self::ReadProperty => f.write_str("property read"),
            Self::ListTrusts => write!(f, "trust list, {TRUSTS} trusts"),
        }
    }
}

/// Operations with their arguments.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plan {
    /// How many of each do not count.
    pub(super) warm_up: usize,
    /// Each in its order.
    pub(super) operations: BTreeMap<Operation, Vec<Vec<String>>>,
    /// How many trusts are to be found.
    pub(super) trusts: usize,
}

impl Plan {
    /// So many of each that do not count, and that do. What is stored differs with `turn`.
    pub(super) fn new(turn: &str, warm_up: usize, counted: usize) -> Self {
        let arguments = |operation, n: usize| match operation {
            Operation::CreateActor => vec![digest(&format!("{turn} {n}")), email(&format!("{turn}.{n}")), digest(turn)],
            Operation::ReadActor => vec![actor(n)],
            Operation::UpdateActor => vec![actor(n), digest(&format!("{turn} {n}"))],
            Operation::WriteProperty => vec![actor(n), property(n), value(&format!("{turn} {n}"))],
            Operation::WriteLookedUp => vec![actor(n), LOOKED_UP.to_owned(), email(&format!("{turn}.{n}"))],
            Operation::ReadProperty => vec![actor(n), property(n)],
            Operation::ListTrusts => vec![actor(n % TRUSTING)],
        };
        let all = |operation| (0..warm_up + counted).map(|n| arguments(operation, n)).collect();
        let operations = Operation::ALL.into_iter().map(|operation| (operation, all(operation))).collect();
        Self { warm_up, operations, trusts: TRUSTS }
    }
}

/// Fills a store with what the operations are on.
pub(super) async fn fill(store: &dyn Store) -> anyhow::Result<()> {
    let actors = (0..ACTORS).map(|n| {
        let (id, creator, passphrase) = (actor(n), email(&n.to_string()), digest(&n.to_string()));
        Row::Actor(Actor { id, creator, passphrase, created_at: None })
    });
    let properties = (0..ACTORS * PROPERTIES)
        .map(|n| Row::Property(Property { id: actor(n / PROPERTIES), name: property(n), value: value("at first") }));
    let trusts = (0..TRUSTING * TRUSTS).map(|n| Row::Trust(Box::new(trust(n / TRUSTS, n % TRUSTS))));
    for rows in [actors.collect::<Vec<_>>(), properties.collect(), trusts.collect()] {
        let records: Vec<Record> = rows.into_iter().map(Record::from).collect();
        store.write(&records).await?;
    }
    for n in 0..ACTORS {
        let (id, name, value) = (actor(n), LOOKED_UP.to_owned(), email(&format!("first.{n}")));
        store.set_property(&Property { id, name, value }).await?;
    }
    Ok(())
}

/// A relationship as the library makes them, with everything that most of them have.
fn trust(of: usize, peer: usize) -> Trust {
    let now = clock::now();
    Trust {
        id: actor(of),
        peerid: digest(&format!("peer {peer}")),
        baseuri: format!("https://peer{peer}.example.com/{}", actor(peer)),
        r#type: "urn:actingweb:example.com:demo".to_owned(),
        relationship: "friend".to_owned(),
        secret: digest(&format!("secret {of} {peer}")),
        desc: Some("A friend".to_owned()),
        approved: true,
        peer_approved: true,
        verified: true,
        verification_token: Some(digest("token")),
        established_via: Some("trust".to_owned()),
        created_at: Some(now),
        last_accessed: Some(now),
        last_connected_via: Some("trust".to_owned()),
        aw_supported: Some("callbacks,nested,trust,www".to_owned()),
        aw_version: Some("1.4".to_owned()),
        ..Trust::default()
    }
}

/// The id of an actor, as long as those of the library.
fn actor(n: usize) -> String {
    digest(&format!("actor {}", n % ACTORS))
}

/// The name of a property.
fn property(n: usize) -> String {
    format!("property-{}", n % PROPERTIES)
}

/// A value of a hundred characters.
fn value(of: &str) -> String {
    format!("{:.<100}", format!("a value of {of} "))
}

fn email(of: &str) -> String {
    format!("{}@example.com", of.replace([' ', ','], "-").to_lowercase())
}

/// 32 hexadecimal digits that look random, as an index sees them.
fn digest(of: &str) -> String {
    blake3::hash(of.as_bytes()).to_hex()[..32].to_owned()
}
