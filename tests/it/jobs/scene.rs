//! A deployment on one of the backends, with actors and rows to be right or wrong.

use std::sync::Arc;

use actingweb_maintd::jobs::Place;
use actingweb_maintd::jobs::lookup_check::{self, LookupCheck};
use actingweb_maintd::jobs::orphan_scan::{self, OrphanScan};
use actingweb_maintd::model::json;
use actingweb_maintd::model::row::{
    Actor, Attribute, LookupEntry, LookupOwner, PeerTrustee, Property, Subscription, SubscriptionDiff, Suspension,
    Trust, lookup_key, subid_seqnr,
};
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::model::{BackendKind, Indexing, Record, Row, Table};
use actingweb_maintd::storage::Store;
use actingweb_maintd::work::Run;
use chrono::{DateTime, Utc};

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::dynamodb::TestTables;
use crate::harness::runner::{run_once, runner_of};
use crate::harness::store::{open_indexed, settings, unlimited};

/// The tables whose rows have an actor, but the look-up's, where PostgreSQL has none without.
pub(super) const TABLES: [Table; 7] = [
    Table::Properties,
    Table::Attributes,
    Table::Trusts,
    Table::PeerTrustees,
    Table::Subscriptions,
    Table::SubscriptionDiffs,
    Table::SubscriptionSuspensions,
];

/// A deployment.
pub(super) enum Scene {
    Postgresql(TestDb),
    Dynamodb(Box<TestTables>),
}

impl Scene {
    pub(super) async fn postgresql() -> Self {
        Self::Postgresql(TestDb::new().await)
    }

    pub(super) async fn dynamodb() -> Self {
        Self::Dynamodb(Box::new(TestTables::new().await))
    }

    pub(super) fn backend(&self) -> BackendKind {
        match self {
            Self::Postgresql(_) => BackendKind::Postgresql,
            Self::Dynamodb(_) => BackendKind::Dynamodb,
        }
    }

    /// A store of its own.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.store_with(Indexing::default())
    }

    pub(super) fn store_with(&self, indexing: Indexing) -> Arc<dyn Store> {
        match self {
            Self::Postgresql(db) => open_indexed(settings(db), indexing),
            Self::Dynamodb(tables) => tables.indexed(indexing),
        }
    }

    /// The store of the application, which may write everything.
    pub(super) fn application(&self) -> Arc<dyn Store> {
        match self {
            Self::Postgresql(db) => unlimited(db),
            Self::Dynamodb(_) => self.store(),
        }
    }

    /// The binary beside it.
    pub(super) fn maintd(&self) -> Maintd {
        match self {
            Self::Postgresql(db) => Maintd::on(db),
            Self::Dynamodb(tables) => Maintd::beside(tables),
        }
    }

    /// Runs a scan.
    pub(super) async fn scan(&self, settings: orphan_scan::Settings) -> Run {
        let scan = OrphanScan::new(settings, Default::default(), Place::on(self.backend()));
        run_once(&runner_of(self.store()), scan).await
    }

    /// Runs a check.
    pub(super) async fn check(&self, repair: bool) -> Run {
        self.check_with(repair, self.store()).await
    }

    pub(super) async fn check_with(&self, repair: bool, store: Arc<dyn Store>) -> Run {
        let settings = lookup_check::Settings { repair, batch_size: Bounded::new(7), ..Default::default() };
        let check = LookupCheck::new(settings, Default::default(), Place::on(self.backend()));
        run_once(&runner_of(store), check).await
    }

    /// Writes rows as they are.
    pub(super) async fn write(&self, rows: Vec<Row>) {
        let store = self.application();
        for table in Table::ALL {
            let records: Vec<Record> =
                rows.iter().filter(|row| row.table() == table).cloned().map(Record::from).collect();
            if !records.is_empty() {
                store.write(&records).await.expect("writing rows");
            }
        }
    }

    /// A look-up entry as this backend has it.
    pub(super) fn entry(&self, name: &str, value: &str, id: &str) -> Row {
        let owner = match self {
            Self::Postgresql(_) => LookupOwner::Value(value.to_owned()),
            Self::Dynamodb(_) => LookupOwner::Key(lookup_key(name, value)),
        };
        Row::Lookup(LookupEntry { owner, property_name: name.to_owned(), actor_id: id.to_owned() })
    }
}

pub(super) fn actor(id: &str) -> Row {
    let [creator, passphrase] = ["creator", "passphrase"].map(|what| format!("{what} of {id}"));
    Row::Actor(Actor { id: id.to_owned(), creator, passphrase, created_at: None })
}

pub(super) fn property(id: &str, name: &str, value: &str) -> Row {
    Row::Property(property_of(id, name, value))
}

pub(super) fn property_of(id: &str, name: &str, value: &str) -> Property {
    Property { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() }
}

pub(super) fn attribute(id: &str, bucket: &str, name: &str, data: &str) -> Row {
    Row::Attribute(Attribute::new(id, bucket, name, Some(json::parse(data).expect("JSON"))))
}

/// What the library writes when it begins to delete an actor.
pub(super) fn tombstone(id: &str, deleted_at: DateTime<Utc>) -> Row {
    let at = deleted_at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let data = format!("{{\"actor_id\": \"{id}\", \"deleted_at\": \"{at}\"}}");
    attribute("_actingweb_deleted", "_deleted_actors", id, &data)
}

/// A row of each of [`TABLES`] of this id.
pub(super) fn rows_of(id: &str) -> Vec<Row> {
    let text = str::to_owned;
    vec![
        property(id, "mood", "good"),
        attribute(id, "mcp_tokens", &format!("aw_secret_of_{id}"), "{\"token\": \"aw\"}"),
        Row::Trust(Box::new(Trust {
            id: text(id),
            peerid: text("peer"),
            baseuri: text("https://peer.example.com"),
            r#type: text("urn:x"),
            relationship: text("friend"),
            secret: format!("secret of {id}"),
            desc: Some(String::new()),
            verification_token: Some(String::new()),
            ..Trust::default()
        })),
        Row::PeerTrustee(PeerTrustee {
            id: text(id),
            peerid: text("peer"),
            baseuri: text("https://peer.example.com"),
            r#type: text("urn:x"),
            passphrase: text("p"),
        }),
        Row::Subscription(Subscription::new(id, "peer", "sub")),
        Row::Diff(SubscriptionDiff {
            id: text(id),
            subid_seqnr: subid_seqnr("sub", 1),
            subid: text("sub"),
            timestamp: "2026-01-02T03:04:05Z".parse().expect("a time"),
            diff: text("{}"),
            seqnr: 1,
        }),
        Row::Suspension(Suspension {
            id: text(id),
            target: text("properties"),
            subtarget: String::new(),
            suspended_at: "2026-01-02T03:04:05Z".parse().expect("a time"),
        }),
    ]
}

/// An actor with a row in each table.
pub(super) fn whole(id: &str) -> Vec<Row> {
    std::iter::once(actor(id)).chain(rows_of(id)).collect()
}
