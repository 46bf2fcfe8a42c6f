//! Indexes that are repaired: afterwards they are what they were, but well.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::health::{self, Criteria, Cure, Finding, RepairLimits, Visit};
use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::Table;
use actingweb_maintd::model::expected::indexes;
use actingweb_maintd::storage::Result;
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::throttle::{self, Budget};
use actingweb_maintd::work::{Progress, RepairOutcome, Repaired, Stop};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

use crate::harness::cluster::TestDb;
use crate::harness::store::{add_attributes, store};

/// What a repair heeds, for tests.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) store: Arc<Postgres>,
    pub(super) limits: RepairLimits,
    pub(super) throttle: throttle::Settings,
    pub(super) stop: Stop,
    pub(super) progress: Progress,
    criteria: Criteria,
    budget: Budget,
}

impl Scene {
    pub(super) fn on(store: Arc<Postgres>) -> Self {
        let criteria = Criteria {
            deep: false,
            bloat_percent: 50,
            bloat_bytes: 0,
            unused_after: Duration::from_secs(1),
            replicas: Vec::new(),
            sample: 1,
            wanted: [].into(),
        };
        let hour = Duration::from_secs(3600);
        let limits = RepairLimits { lock_wait: hour, long_transaction: hour, unseen_space: 1 << 40, keep_free: 0 };
        // Other tests on the server are no reason to wait.
        let throttle = throttle::Settings { yield_to_autovacuum: false, ..throttle::Settings::default() };
        let (stop, progress, budget) = (Stop::new(), Progress::new(), Budget::default());
        Self { store, limits, throttle, stop, progress, criteria, budget }
    }

    pub(super) fn visit(&self) -> Visit<'_> {
        Visit {
            criteria: &self.criteria,
            limits: &self.limits,
            throttle: &self.throttle,
            budget: &self.budget,
            earlier: None,
            stop: &self.stop,
            progress: &self.progress,
            run: None,
        }
    }

    /// Repairs what is there now, as if it had just been looked at.
    pub(super) async fn repair(&self, cure: &Cure) -> Repaired {
        self.try_to_repair(cure).await.expect("an answer")
    }

    /// The same, where the server may not answer.
    pub(super) async fn try_to_repair(&self, cure: &Cure) -> Result<Repaired> {
        let mut cure = cure.clone();
        if let Cure::RebuildIndex { table, index, oid, .. } = &mut cure {
            let room = self.store.repair_room(*table, index, self.limits.long_transaction).await.expect("an answer");
            *oid = room.and_then(|room| room.index).map_or(0, |(oid, _)| oid.into());
        }
        self.as_found(&cure).await
    }

    pub(super) async fn repair_as_found(&self, cure: &Cure) -> Repaired {
        self.as_found(cure).await.expect("an answer")
    }

    async fn as_found(&self, cure: &Cure) -> Result<Repaired> {
        let (check, object) = match cure {
            Cure::CreateIndex { index, .. } => (Check::IndexMissing, index.name.to_owned()),
            Cure::RebuildIndex { index, .. } => (Check::IndexBloat, index.clone()),
            _ => (Check::TimeToLive, "attributes".to_owned()),
        };
        let finding = Finding::new(check, object, "it is provoked", "repair it");
        health::repair(&*self.store, self.visit(), &finding, cure).await
    }

    pub(super) async fn recover(&self) -> Vec<Repaired> {
        health::recover(&*self.store, self.visit()).await.expect("an answer")
    }
}

/// Builds an index of the table of attributes anew.
pub(super) fn rebuild(index: &str) -> Cure {
    Cure::RebuildIndex { table: Table::Attributes, index: index.to_owned(), oid: 0, bytes: 1 << 20, expected: None }
}

/// Makes the index of the table of attributes that has this name.
pub(super) fn create(name: &str) -> Cure {
    let index = indexes(Table::Attributes, 7).into_iter().find(|index| index.name == name).expect("such an index");
    Cure::CreateIndex { table: Table::Attributes, index }
}

/// An index of the table of attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) is_valid: bool,
    definition: String,
    constraint: Option<String>,
}

/// The indexes of the table of attributes.
pub(super) async fn seen(pool: &PgPool) -> Vec<Seen> {
    let rows: Vec<(String, bool, String, Option<String>)> = sqlx::query_as(
        "SELECT relname::text, indisvalid AND indisready AND indislive, pg_get_indexdef(indexrelid), conname::text \
         FROM pg_index JOIN pg_class c ON c.oid = indexrelid \
             LEFT JOIN pg_constraint ON conindid = indexrelid AND contype = 'p' \
         WHERE indrelid = 'attributes'::regclass ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .expect("the indexes");
    let seen = |(name, is_valid, definition, constraint)| Seen { name, is_valid, definition, constraint };
    rows.into_iter().map(seen).collect()
}

/// How many repairs are open.
pub(super) async fn open(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM maintd.repairs").fetch_one(pool).await.expect("the journal")
}

pub(super) async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn bytes(pool: &PgPool, index: &str) -> i64 {
    sqlx::query_scalar("SELECT pg_relation_size($1::text::regclass)").bind(index).fetch_one(pool).await.expect("a size")
}

/// Many rows, most of which are gone, so that indexes are much larger than they have to be.
async fn bloat(db: &TestDb) {
    add_attributes(db, "bloat", 20_000, 3600).await;
    execute(db.pool(), "DELETE FROM attributes WHERE data ->> 'n' NOT LIKE '%7'").await;
    execute(db.pool(), "VACUUM attributes").await;
}

#[tokio::test]
async fn bloated_indexes_are_built_anew() {
    let db = TestDb::repairing().await;
    bloat(&db).await;
    let before = seen(db.pool()).await;
    let scene = Scene::on(store(&db));
    for index in ["attributes_pkey", "idx_attributes_ttl"] {
        let large = bytes(db.pool(), index).await;
        let repaired = scene.repair(&rebuild(index)).await;
        assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
        let small = bytes(db.pool(), index).await;
        assert!(small < large / 2, "{index}: {large} bytes before, {small} after");
        assert_eq!((repaired.bytes_after, repaired.object.as_str()), (Some(small as u64), index));
    }
    assert_eq!(seen(db.pool()).await, before);
    assert_eq!(open(db.pool()).await, 0);
    assert_eq!(scene.recover().await, []);
    assert!(scene.progress.expected() > 0);
}

#[tokio::test]
async fn what_refers_to_a_key_does_so_after_its_index_was_built_anew() {
    let db = TestDb::repairing().await;
    let scene = Scene::on(store(&db));
    execute(db.pool(), "INSERT INTO actors (id, creator, passphrase) VALUES ('a', 'c', 'p')").await;
    let (table, index) = (Table::Actors, "actors_pkey".to_owned());
    let cure = Cure::RebuildIndex { table, index, oid: 0, bytes: 1, expected: None };
    assert_eq!(scene.repair(&cure).await.outcome, RepairOutcome::Done);
    let add = "INSERT INTO property_lookup (property_name, value, actor_id) VALUES ('email', 'v', $1)";
    let add = |actor: &'static str| sqlx::query(add).bind(actor).execute(db.pool());
    add("a").await.unwrap();
    assert!(add("b").await.is_err());
}

#[tokio::test]
async fn an_index_that_is_out_of_use_is_built_anew() {
    let db = TestDb::repairing().await;
    let before = seen(db.pool()).await;
    let invalidate = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_attributes_ttl'::regclass";
    execute(db.pool(), invalidate).await;
    let scene = Scene::on(store(&db));
    assert_eq!(scene.repair(&rebuild("idx_attributes_ttl")).await.outcome, RepairOutcome::Done);
    assert_eq!(seen(db.pool()).await, before);
    assert_eq!(open(db.pool()).await, 0);
}

#[tokio::test]
async fn a_missing_index_is_made() {
    let db = TestDb::repairing().await;
    let before = seen(db.pool()).await;
    let scene = Scene::on(store(&db));
    for name in ["idx_attributes_ttl", "idx_attributes_chain_id"] {
        execute(db.pool(), &format!("DROP INDEX {name}")).await;
        let repaired = scene.repair(&create(name)).await;
        assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
        assert_eq!(repaired.bytes_after, Some(bytes(db.pool(), name).await as u64));
        assert_eq!(seen(db.pool()).await, before);
    }
    assert_eq!(open(db.pool()).await, 0);
}

#[tokio::test]
async fn the_tables_may_be_in_any_schema() {
    let db = TestDb::empty().await;
    let settings = crate::harness::store::settings(&db);
    let settings = actingweb_maintd::storage::postgres::Settings { schema: "my-\u{e9}app".to_owned(), ..settings };
    let scene = Scene::on(crate::harness::store::open(settings));
    scene.store.apply(true).await.unwrap();
    assert_eq!(scene.repair(&rebuild("attributes_pkey")).await.outcome, RepairOutcome::Done);
    execute(db.pool(), "DROP INDEX \"my-\u{e9}app\".idx_attributes_chain_id").await;
    assert_eq!(scene.repair(&create("idx_attributes_chain_id")).await.outcome, RepairOutcome::Done);
    // The first is there now.
    assert_eq!(scene.repair(&create("idx_attributes_chain_id")).await.outcome, RepairOutcome::PutOff);
}
