//! Whoever copies a remedy mends what was found, whatever the names of a deployment and its own `search_path` are.

use std::sync::Arc;

use actingweb_maintd::jobs::index_health::Settings;
use actingweb_maintd::storage::postgres::{self, Postgres, identifier};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::scene::{finding, kinds, look, run};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::private::Private;
use crate::harness::store;

/// What is wrong, and which part of its remedy mends it: what is between these words.
struct Case {
    provoke: &'static str,
    kind: &'static str,
    object: &'static str,
    between: (&'static str, &'static str),
}

/// Of a deployment in the schema `my-Tenant` of the database `my-app`.
const CASES: &[Case] = &[
    Case {
        provoke: "CREATE INDEX \"IX_Actors_Creator\" ON {}.actors (creator)",
        kind: "index_duplicate",
        object: "IX_Actors_Creator",
        between: ("", ""),
    },
    Case {
        provoke: "CREATE INDEX \"Mine\" ON {}.properties (name)",
        kind: "index_extra",
        object: "Mine",
        between: ("otherwise ", ""),
    },
    Case {
        provoke: "CREATE INDEX \"order\" ON {}.properties (id)",
        kind: "index_covered",
        object: "order",
        between: ("", ""),
    },
    Case {
        provoke: "ALTER TABLE {}.trusts ADD CONSTRAINT \"Once\" UNIQUE (secret, id)",
        kind: "index_extra",
        object: "Once",
        between: ("otherwise ", ""),
    },
    Case {
        provoke: "DROP INDEX {}.idx_trusts_secret; \
                  ALTER TABLE {}.trusts ADD CONSTRAINT idx_trusts_secret UNIQUE (peerid)",
        kind: "index_different",
        object: "idx_trusts_secret",
        between: ("", ""),
    },
    Case {
        provoke: "DROP INDEX {}.idx_trusts_secret",
        kind: "index_missing",
        object: "idx_trusts_secret",
        between: (" or ", ""),
    },
    Case {
        provoke: "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}.ix_actors_creator'::regclass",
        kind: "index_invalid",
        object: "ix_actors_creator",
        between: (" or ", ""),
    },
    Case {
        provoke: "ALTER TABLE {}.properties SET UNLOGGED",
        kind: "table_unlogged",
        object: "properties",
        between: ("", ", when"),
    },
    Case {
        provoke: "ALTER TABLE {}.trusts SET (autovacuum_enabled = false)",
        kind: "dead_rows",
        object: "trusts",
        between: ("", ""),
    },
    Case {
        provoke: "ALTER TABLE {}.properties ADD CONSTRAINT \"Documented\" FOREIGN KEY (id) REFERENCES {}.actors (id)",
        kind: "foreign_key_different",
        object: "Documented",
        between: ("refuse: ", ""),
    },
    Case {
        provoke: "ALTER TABLE {}.property_lookup DROP CONSTRAINT fk_property_lookup_actor",
        kind: "foreign_key_different",
        object: "fk_property_lookup_actor",
        between: ("", "; remove"),
    },
    Case {
        provoke: "ALTER TABLE {}.trusts DROP CONSTRAINT trusts_pkey",
        kind: "key_different",
        object: "trusts",
        between: ("; then ", ""),
    },
    Case {
        provoke: "ALTER TABLE {}.trusts DROP CONSTRAINT trusts_pkey, ADD CONSTRAINT \"Key\" PRIMARY KEY (peerid, id)",
        kind: "key_different",
        object: "trusts",
        between: ("; then ", ""),
    },
    Case {
        provoke: "ALTER TABLE {}.trusts DROP CONSTRAINT trusts_pkey, ADD CONSTRAINT trusts_pkey PRIMARY KEY (peerid, id)",
        kind: "key_different",
        object: "trusts",
        between: ("; then ", ""),
    },
    Case {
        provoke: "UPDATE pg_database SET datcollversion = '1.2' WHERE datname = 'my-app'",
        kind: "collation",
        object: "my-app",
        between: ("then ", ""),
    },
];

#[tokio::test]
async fn remedies_mend_what_was_found_wherever_it_is() {
    let server = Private::start(&[], &[]).await;
    let (pool, store) = deployment(&server).await;
    for Case { provoke, kind, object, between: (from, to) } in CASES {
        execute(&pool, &provoke.replace("{}", "\"my-Tenant\"")).await;
        let report = look(&*store, Settings::default()).await;
        assert_eq!(kinds(&report), [((*kind).to_owned(), (*object).to_owned())], "{provoke}: {report:#?}");
        let remedy = finding(&report, kind).remedy.as_str();
        let (_, remedy) = remedy.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {remedy}"));
        let end = if to.is_empty() { remedy.len() } else { remedy.find(to).expect("its end") };
        let steps = remedy[..end].replace("; then `index check --repair`, or ", ", then ");
        for statement in steps.split(", then ") {
            execute(&pool, statement).await;
        }
        assert_eq!(kinds(&look(&*store, Settings::default()).await), [], "{remedy}");
    }
}

/// A deployment whose schema and database have names that need quotes, and whoever looks after it.
async fn deployment(server: &Private) -> (PgPool, Arc<Postgres>) {
    execute(
        server.pool(),
        "CREATE DATABASE \"my-app\" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'",
    )
    .await;
    let settings = store::settings_of(server.cluster().host(), server.cluster().port(), "my-app");
    let store = store::open(postgres::Settings { schema: "my-Tenant".to_owned(), ..settings });
    store.apply(true).await.expect("the schemas");
    let options = (*server.pool().connect_options()).clone().database("my-app");
    (PgPoolOptions::new().max_connections(1).connect_lazy_with(options), store)
}

/// No server makes an index beside the application on a table in parts, so that nobody tries.
#[tokio::test]
async fn the_indexes_of_a_table_in_parts_are_made_part_by_part() {
    let db = TestDb::repairing().await;
    let store = store::store(&db);
    run(
        &db,
        "ALTER TABLE trusts RENAME TO whole; CREATE TABLE trusts (LIKE whole) PARTITION BY HASH (id); DROP TABLE whole; \
         CREATE TABLE part_0 PARTITION OF trusts FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE part_1 PARTITION OF trusts FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         ALTER TABLE trusts ADD PRIMARY KEY (peerid, id); CREATE INDEX idx_trusts_secret ON trusts (secret)",
    )
    .await;
    let report = look(&*store, Settings::default()).await;
    assert_eq!(kinds(&report), [("key_different".to_owned(), "trusts".to_owned())], "{report:#?}");
    let (_, remedy) = finding(&report, "key_different").remedy.split_once("; then ").expect("what to do");
    let (replace, _) = remedy.split_once(", when nobody writes").expect("its end");
    run(&db, replace).await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);

    run(&db, "DROP INDEX idx_trusts_secret").await;
    let before = remedy_without_cure(&db, "index_missing").await;
    let (parent, parts) = before.split_once(", then for each part of the table without one: ").expect("steps");
    run(&db, parent).await;
    let now = remedy_without_cure(&db, "index_invalid").await;
    assert_eq!(now.strip_prefix("for each part of the table without one: "), Some(parts));
    let (steps, _) = parts.split_once("; a part").expect("their end");
    let (make, attach) = steps.split_once(", then ").expect("two steps");
    for part in ["part_0", "part_1"] {
        run(&db, &make.replacen('…', &format!("{part}_secret"), 1).replacen('…', part, 1)).await;
        run(&db, &attach.replacen('…', &format!("{part}_secret"), 1)).await;
    }
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

/// A table in parts takes no foreign key that its rows were not held against.
#[tokio::test]
async fn a_table_in_parts_gets_its_foreign_key_at_once() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(
        &db,
        "ALTER TABLE property_lookup RENAME TO whole; \
         CREATE TABLE property_lookup (LIKE whole) PARTITION BY HASH (property_name); DROP TABLE whole; \
         CREATE TABLE part PARTITION OF property_lookup FOR VALUES WITH (MODULUS 1, REMAINDER 0); \
         ALTER TABLE property_lookup ADD PRIMARY KEY (property_name, value); \
         CREATE INDEX idx_property_lookup_actor_id ON property_lookup (actor_id)",
    )
    .await;
    let report = look(&*store, Settings::default()).await;
    let missing = [("foreign_key_different".to_owned(), "fk_property_lookup_actor".to_owned())];
    assert_eq!(kinds(&report), missing, "{report:#?}");
    let (add, _) =
        finding(&report, "foreign_key_different").remedy.split_once(", when nobody writes").expect("its end");
    run(&db, add).await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

/// What to do about the one thing that is found, which nobody tries to repair.
async fn remedy_without_cure(db: &TestDb, kind: &str) -> String {
    let report = look(&*store::store(db), Settings::default()).await;
    assert_eq!(kinds(&report), [(kind.to_owned(), "idx_trusts_secret".to_owned())], "{report:#?}");
    let repaired = Maintd::on(db).run(&["index", "check", "--repair", "--json"]);
    assert_eq!(repaired.code, 2, "{repaired:?}");
    assert_eq!(repaired.json()["report"]["health"]["repairs"], Value::Null, "{repaired:?}");
    finding(&report, kind).remedy.clone()
}

/// Without an identity of its rows no row of a table that is published can be changed.
#[tokio::test]
async fn the_remedy_of_an_index_that_replication_needs_puts_another_in_its_place() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(
        &db,
        "CREATE UNIQUE INDEX mine ON trusts (secret, id); ALTER TABLE trusts REPLICA IDENTITY USING INDEX mine; \
         CREATE PUBLICATION all_trusts FOR TABLE trusts",
    )
    .await;
    let report = look(&*store, Settings::default()).await;
    let remedy = &finding(&report, "index_extra").remedy;
    let (_, remedy) = remedy.split_once("otherwise ").expect("what to do");
    let (identity, removal) =
        remedy.split_once(" (logical replication knows rows by this index), then ").expect(remedy);
    run(&db, identity).await;
    run(&db, removal).await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
    run(&db, "DELETE FROM trusts").await;
}

/// The words that are no names without quotes are those of the server.
#[tokio::test]
async fn reserved_words_are_quoted() {
    let db = TestDb::new().await;
    let words = "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')";
    let words: Vec<String> = sqlx::query_scalar(words).fetch_all(db.pool()).await.unwrap();
    assert!(words.len() > 90, "{words:?}");
    for word in words {
        assert_eq!(identifier(&word), format!("\"{word}\""));
    }
}

/// Names without quotes are read in small letters.
#[tokio::test]
async fn the_remedy_of_one_index_does_not_drop_another() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "CREATE INDEX \"IX_Actors_Creator\" ON actors (creator)").await;
    let report = look(&*store, Settings::default()).await;
    let remedy = &finding(&report, "index_duplicate").remedy;
    assert_eq!(remedy, "DROP INDEX CONCURRENTLY public.\"IX_Actors_Creator\"");
    run(&db, remedy).await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

#[tokio::test]
async fn names_are_quoted_where_the_server_does_it() {
    let db = TestDb::new().await;
    let words = "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')";
    for word in sqlx::query_scalar::<_, String>(words).fetch_all(db.pool()).await.unwrap() {
        assert_eq!(identifier(&word), format!("\"{word}\""));
    }
    let quoted = "SELECT quote_ident(name) FROM unnest($1) AS name";
    let names = ["actors", "Actors", "my-app", "_1", "1a", "a\"b", "a b", "größe", "user", "value"];
    let by_server: Vec<String> =
        sqlx::query_scalar(quoted).bind(names.map(str::to_owned).to_vec()).fetch_all(db.pool()).await.unwrap();
    assert_eq!(names.map(identifier).to_vec(), by_server);
}

async fn execute(pool: &PgPool, statement: &str) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}
