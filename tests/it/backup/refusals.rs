//! Places that a set must not be restored into.

use super::drill::deployment;
use super::proof::{Proof, done};
use crate::harness::cluster::TestDb;
use crate::harness::store::{settings, store};
use actingweb_maintd::storage::Upkeep;

#[tokio::test]
async fn nothing_is_restored_over_anything() {
    let db = deployment().await;
    let (full, renamed, marked) = (TestDb::new().await, TestDb::empty().await, TestDb::empty().await);
    let other = store(&marked);
    other.apply(false).await.unwrap();
    other.mark_incomplete("somebody moves in", "somebody").await.unwrap();
    let targets = [
        ("itself", &db, "public"),
        ("full", &full, "public"),
        ("renamed", &renamed, "aw"),
        ("marked", &marked, "public"),
    ];
    let targets = targets.map(|(name, db, schema)| {
        let settings = settings(db);
        // By another name than the deployment has it, or the configuration would be refused.
        format!(
            "[targets.{name}]\nbackend = \"postgresql\"\nhost = \"localhost\"\nport = {}\ndbname = \"{}\"\nuser = \"postgres\"\n\
             schema = \"{schema}\"\n",
            settings.port, settings.dbname
        )
    });
    let dynamodb = "[targets.tables]\nbackend = \"dynamodb\"\n";
    // A drill in the target `itself` would be one on the production server.
    let drill = "[backup.drill]\ntarget = \"itself\"\n";
    let proof = Proof::with(&format!("{drill}{}{dynamodb}", targets.concat()));
    done(proof.on(&db, &["backup", "create"]));
    for (target, why) in [
        ("itself", "is the deployment itself"),
        ("full", "holds actors"),
        ("renamed", "are in the schema public"),
        ("marked", "marked by somebody: somebody moves in"),
        ("tables", "name a target on the same backend"),
    ] {
        let refused = proof.on(&db, &["backup", "restore", "latest", "--into", target]);
        assert_eq!(refused.code, 1, "{target}: {refused:?}");
        assert!(refused.stderr.contains(why), "{target}: {}", refused.stderr);
    }
    let made: Vec<String> =
        sqlx::query_scalar("SELECT nspname::text FROM pg_namespace WHERE nspname IN ('aw', 'maintd')")
            .fetch_all(renamed.pool())
            .await
            .unwrap();
    assert_eq!(made, [] as [String; 0], "what is refused is not changed");

    let refused = proof.on(&db, &["backup", "drill", "latest"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("backup.drill.allow_production_server"), "{said}");
}
