//! The commands about backups, as somebody types them.

use crate::harness::backups::{Deployment, files_below};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};
use crate::harness::dynamodb::TestTables;

#[tokio::test]
async fn a_backup_is_made_listed_checked_and_replaced_when_it_is_damaged() {
    let deployment = Deployment::new("").await;
    let none = deployment.run(&["backup", "list"]);
    assert_eq!((none.code, none.stdout.contains("There are no backups")), (0, true), "{none:?}");

    let created = deployment.run(&["backup", "create", "--json"]);
    assert_eq!(created.code, 0, "{created:?}");
    let backups = created.json()["report"]["backups"].clone();
    assert_eq!((&backups["level"], &backups["form"]), (&"verified".into(), &"logical".into()), "{backups}");
    assert!(backups["rows"].as_u64() >= Some(20) && backups["bytes"].as_u64() > Some(0), "{backups}");
    assert!(backups["seconds"]["create"].is_f64() && backups["seconds"]["verify"].is_f64(), "{backups}");
    assert_eq!(backups["pruning"]["kept"], 1, "{backups}");
    let first = backups["set"].as_str().expect("a set").to_owned();
    assert_eq!(deployment.sets(), [(first.clone(), "verified".to_owned())]);
    let listed = deployment.run(&["backup", "list"]);
    assert_eq!((listed.code, listed.stdout.contains(&first)), (0, true), "{listed:?}");

    assert_eq!(deployment.run(&["backup", "verify", "latest"]).code, 0);
    deployment.damage(&first);
    let verified = deployment.run(&["backup", "verify", &first]);
    assert_eq!((verified.code, verified.stdout.contains("is damaged")), (2, true), "{verified:?}");
    assert_eq!(deployment.run(&["backup", "list"]).code, 2);
    let restored = deployment.run(&["backup", "restore", "latest", "--into", "nowhere"]);
    assert_eq!((restored.code, restored.stderr.contains("there is no target `nowhere`")), (64, true), "{restored:?}");

    // The damaged one counts for nothing, and goes only when there is another.
    let pruned = deployment.run(&["backup", "prune", "--dry-run"]);
    assert_eq!((pruned.code, pruned.stdout.contains("no verified one is newer")), (0, true), "{pruned:?}");
    assert_eq!(deployment.run(&["backup", "prune"]).code, 0);
    assert_eq!(deployment.sets().len(), 1);
    let second = deployment.create();
    assert_eq!(deployment.sets(), [(second.clone(), "verified".to_owned())]);

    let drilled = deployment.run(&["backup", "drill", "latest", "--json"]);
    assert_eq!(drilled.code, 0, "{drilled:?}");
    let backups = drilled.json()["report"]["backups"].clone();
    assert_eq!((&backups["level"], &backups["drill"]["compared"]), (&"drilled".into(), &true.into()), "{backups}");
    assert_eq!(deployment.sets(), [(second.clone(), "drilled".to_owned())]);

    // Without the database, which is when a backup is needed.
    let gone = |arguments: &[&str]| deployment.beside(Maintd::at("127.0.0.1", 1, "gone")).run(arguments);
    let listed = gone(&["backup", "list", "--json"]);
    assert_eq!((listed.code, &listed.json()["deployments"][0]["sets"][0]["set"]), (0, &second.as_str().into()));
    assert!(listed.json()["problem"].is_string(), "{listed:?}");
    for which in ["latest", &second] {
        let verified = gone(&["backup", "verify", which]);
        assert_eq!((verified.code, verified.stdout.contains("is what was written")), (0, true), "{verified:?}");
    }
    let unknown = deployment.run(&["backup", "verify", "20261128T053000Z-logical-3f2a91"]);
    assert_eq!((unknown.code, unknown.stderr.contains("`backup list` shows them")), (1, true), "{unknown:?}");
    let no_id = deployment.run(&["backup", "verify", "yesterday"]);
    assert_eq!((no_id.code, no_id.stderr.contains("is not the id of a backup set")), (64, true), "{no_id:?}");
}

#[tokio::test]
async fn a_copy_of_a_deployment_touches_none_of_its_backups() {
    let original = Deployment::new("").await;
    let set = original.create();
    let copy: TestDb = original.db.clone().await;
    let commands: [&[&str]; 3] = [&["backup", "create"], &["backup", "prune"], &["backup", "prune", "--dry-run"]];
    for command in commands {
        let Output { code, stderr, stdout } = original.beside(Maintd::on(&copy)).run(command);
        assert_eq!((code, format!("{stdout}{stderr}").contains("doctor --adopt")), (1, true), "{stdout}{stderr}");
    }
    assert_eq!(original.sets(), [(set.clone(), "verified".to_owned())]);
    // Once it is a deployment of its own, it sees the sets of the other, and leaves them alone.
    let adopted = original.beside(Maintd::on(&copy)).run(&["doctor", "--adopt", "copied"]);
    assert_eq!(adopted.code, 0, "{adopted:?}");
    let created = original.beside(Maintd::on(&copy)).run(&["backup", "create", "--json"]);
    assert_eq!(created.code, 0, "{created:?}");
    let listed = original.beside(Maintd::on(&copy)).run(&["backup", "list", "--json"]).json();
    assert_eq!(listed["others"][0]["sets"], 1, "{listed}");
    assert_eq!(original.sets(), [(set, "verified".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_backend_of_a_deployment_has_backups_of_its_own() {
    let tables = TestTables::new().await;
    let both = Deployment::new("").await;
    let on_both = || both.beside(Maintd::on(&both.db).and(&tables));
    let which = on_both().run(&["backup", "create"]);
    assert_eq!((which.code, which.stderr.contains("--backend")), (64, true), "{which:?}");
    for backend in ["dynamodb", "postgresql"] {
        let created = on_both().run(&["backup", "create", "--backend", backend, "--json"]);
        assert_eq!(created.code, 0, "{created:?}");
        assert_eq!(created.json()["report"]["backups"]["level"], "verified", "{created:?}");
    }
    let listed = on_both().run(&["backup", "list", "--json"]).json();
    let forms: Vec<&str> = (0..2).filter_map(|at| listed["deployments"][at]["sets"][0]["form"].as_str()).collect();
    assert_eq!(forms, ["logical", "archive"], "{listed}");
    let latest = on_both().run(&["backup", "verify", "latest"]);
    assert_eq!((latest.code, latest.stderr.contains("write the id of a set")), (1, true), "{latest:?}");
    assert_eq!(on_both().run(&["backup", "verify", "latest", "--backend", "dynamodb"]).code, 0);
}

#[tokio::test]
async fn what_is_done_is_watched_on_a_terminal_and_nowhere_else() {
    let deployment = Deployment::new("").await;
    let set = deployment.create();
    let files = files_below(&deployment.place());
    let of_set = files.iter().filter(|path| path.to_str().is_some_and(|path| path.contains(&set)));
    assert!(of_set.count() > 4, "{files:?}");
    // As slow as a set that has more than these few bytes.
    let slow = |point: &str| deployment.maintd().env("FAILPOINTS", format!("backup::{point}=return(delay:500)"));
    for (point, arguments, shown) in [
        ("verify", ["backup", "verify", &set], ["backup verify ", "KiB, ", "KiB/s, ", "s left"]),
        ("compare", ["backup", "drill", &set], ["backup_drill ", "/20 rows, ", "/s, ", "s left"]),
    ] {
        let piped = slow(point).run(&arguments);
        assert_eq!((piped.code, piped.stderr.as_str()), (0, ""), "{piped:?}");
        let watched = slow(point).run_on_terminal(&arguments);
        assert_eq!(watched.code, 0, "{watched:?}");
        let missing = shown.iter().find(|shown| !watched.stdout.contains(**shown));
        assert_eq!(missing, None, "{}", watched.stdout);
    }
}
