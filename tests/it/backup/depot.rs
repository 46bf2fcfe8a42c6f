//! Places that do not answer, refuse, or are given up half way.

use actingweb_maintd::archive::{Access, Depot, Error, ErrorKind, Place};
use actingweb_maintd::model::Secret;
use tokio::io::AsyncWriteExt;

use crate::harness::moto::Keys;
use crate::harness::s3::{Bucket, CANARY, access};
use crate::harness::{Nobody, eventually, sets};

#[tokio::test]
async fn a_place_that_does_not_answer_is_an_error_that_names_it_and_no_secret() {
    let bucket = Bucket::start();
    // TLS where nobody speaks it, and without a provider of its own, is an error as well, and no panic.
    let https = bucket.endpoint().replacen("http", "https", 1);
    let nobody = Nobody::there();
    for endpoint in [format!("http://{}", nobody.address()), format!("https://{}", nobody.address()), https] {
        let depot = Depot::open(&bucket.place("sets"), &access(&endpoint)).expect("nobody is asked yet");
        let error = depot.list().await.expect_err("nobody answers");
        assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.chain());
        let shown = format!("{} {error:?} {depot:?} {:?}", error.chain(), access(&endpoint));
        assert!(error.to_string().contains("s3://backups/sets"), "{shown}");
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told_as_such() {
    let bucket = Bucket::start();
    let depot = Depot::open(&"s3://others/sets".parse().expect("a place"), &bucket.access()).expect("a depot");
    let error = depot.write("name", "text").await.expect_err("there is no such bucket");
    assert_eq!(error.kind, ErrorKind::NotFound, "{}", error.chain());
    assert!(error.to_string().contains("s3://others/sets/name"), "{error}");
    // Without TLS only where the URL says so.
    let plain = Access { endpoint_url: None, ..bucket.access() };
    let variables = [("AWS_ALLOW_HTTP", "true"), ("AWS_ENDPOINT_URL", "https://localhost:1")];
    let variables = variables.map(|(name, value)| (name.to_owned(), Secret::from(value.to_owned())));
    let plain = Access { variables: [plain.variables.clone(), variables.into()].concat(), ..plain };
    let error = Depot::open(&bucket.place(""), &plain).expect("a depot").list().await.expect_err("nobody is there");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.chain());
}

#[tokio::test]
async fn who_may_not_is_told_what_it_takes() {
    let bucket = Bucket::start();
    bucket.depot("").write("sets/name", "text").await.expect("written");
    let [reader, writer, nobody] = bucket.only_for([
        ("reader", &["s3:ListBucket", "s3:GetObject"]),
        ("writer", &["s3:PutObject"]),
        ("nobody", &[]),
    ]);
    let denied = |error: Error, what: &str, words: &str| {
        assert_eq!(error.kind, ErrorKind::Denied, "{}", error.chain());
        assert_eq!(error.to_string(), what);
        assert!(error.chain().ends_with(words), "{}", error.chain());
    };
    let (list, get, put, delete) = (
        "who asks needs s3:ListBucket on arn:aws:s3:::backups for the prefix sets/*",
        "who asks needs s3:GetObject on arn:aws:s3:::backups/sets/*, and s3:ListBucket on arn:aws:s3:::backups",
        "refuses it (403 AccessDenied: Access Denied): who asks needs s3:PutObject on arn:aws:s3:::backups/sets/*",
        "who asks needs s3:DeleteObject on arn:aws:s3:::backups/sets/*",
    );
    let (name, here) = ("s3://backups/sets/name", "s3://backups/sets");
    for keys in [&writer, &nobody] {
        let depot = bucket.depot_of(keys, "sets");
        denied(depot.list().await.expect_err("no"), &format!("cannot list {here}"), list);
        denied(depot.below().await.expect_err("no"), &format!("cannot list {here}"), list);
        denied(depot.size("name").await.expect_err("no"), &format!("cannot look at {name}"), get);
        denied(depot.read("name").await.expect_err("no"), &format!("cannot read {name}"), get);
        denied(depot.reader("name").await.err().expect("no"), &format!("cannot read {name}"), get);
        denied(depot.remove("name").await.expect_err("no"), &format!("cannot remove {name}"), delete);
    }
    for keys in [&reader, &nobody] {
        let depot = bucket.depot_of(keys, "sets");
        let what = format!("cannot write {name}");
        denied(depot.write("name", "other").await.expect_err("no"), &what, put);
        let small = depot.upload("name", None).expect("an upload");
        denied(small.finish().await.expect_err("no"), &what, put);
        // Whoever has only the bytes of it to write gets at the same error.
        let mut large = depot.upload("name", None).expect("an upload");
        let error = large.write_all(&vec![7; 40 << 20]).await.expect_err("no");
        denied(Error::io("write", "something".to_owned(), error), &what, put);
    }
    let depot = bucket.depot_of(&reader, "sets");
    assert_eq!(&depot.read("name").await.expect("it is as it was")[..], b"text");

    // With keys that are wrong, no permission helps.
    let wrong = Keys { secret: CANARY.to_owned(), ..reader };
    let unknown = Keys { id: "unknown".to_owned(), ..wrong.clone() };
    for (keys, code) in [(wrong, "SignatureDoesNotMatch"), (unknown, "InvalidAccessKeyId")] {
        let error = bucket.depot_of(&keys, "sets").list().await.expect_err("no");
        assert!(error.chain().contains(code) && !error.chain().contains(CANARY), "{}", error.chain());
        denied(error, &format!("cannot list {here}"), "check the keys in the environment (AWS_…)");
    }
}

/// The builders of the other providers take what their tools take; nobody is there to be asked.
#[tokio::test]
async fn other_providers_are_reached_by_their_own_variables() {
    let variables = [("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5")];
    let variables = variables.map(|(name, value)| (name.to_owned(), Secret::from(value.to_owned())));
    let nobody = Nobody::there();
    let endpoint_url = Some(format!("http://{}", nobody.address()));
    let access = Access { endpoint_url, region: None, variables: variables.into() };
    let depot = Depot::open(&"az://backups/sets".parse().expect("a place"), &access).expect("a depot");
    let error = depot.list().await.expect_err("nobody answers");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.chain());
    assert!(!format!("{access:?} {}", error.chain()).contains("Y2FuYXJ5"));

    let skip = vec![("GOOGLE_SKIP_SIGNATURE".to_owned(), Secret::from("true".to_owned()))];
    let access = Access { variables: skip, ..access };
    let depot = Depot::open(&"gs://backups/sets".parse().expect("a place"), &access).expect("a depot");
    let error = depot.list().await.expect_err("nobody answers");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.chain());
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let bucket = Bucket::start();
    let depot = bucket.depot("sets");
    let piece = vec![7; 9 << 20];
    for is_told in [true, false] {
        let mut upload = depot.upload("large", None).expect("an upload");
        for _ in 0..2 {
            upload.write_all(&piece).await.expect("bytes");
        }
        upload.flush().await.expect("bytes");
        assert_eq!(bucket.unfinished_uploads(), 1);
        if is_told {
            upload.abort().await.expect("given up");
        } else {
            drop(upload);
        }
        eventually("the parts are gone", async || bucket.unfinished_uploads() == 0).await;
    }
    assert!(depot.list().await.expect("names").is_empty());
}

#[tokio::test]
async fn what_is_written_is_listed_read_and_removed() {
    let (bucket, another) = (Bucket::start(), Bucket::start_another());
    let root = tempfile::tempdir().expect("a directory");
    let depots =
        [bucket.depot(""), bucket.depot("some/where"), another.depot("some/where"), sets::directory(root.path())];
    for depot in depots {
        let within = depot.within("one");
        within.write("name", "text").await.expect("written");
        depot.write("two/more/name", "other text").await.expect("written");
        assert_eq!(&within.read("name").await.expect("read")[..], b"text");
        within.write("name", "texts").await.expect("written again");
        assert_eq!(within.size("name").await.expect("a size"), Some(5));
        assert_eq!(within.size("other").await.expect("no size"), None);
        assert_eq!(within.read("other").await.expect_err("nothing").kind, ErrorKind::NotFound);
        assert_eq!(depot.below().await.expect("names"), ["one", "two"]);
        let mut names: Vec<_> = depot.list().await.expect("all").into_iter().map(|stored| stored.name).collect();
        names.sort();
        assert_eq!(names, ["one/name", "two/more/name"]);
        assert!(depot.read("../escape").await.is_err() && depot.reader("../escape").await.is_err());
        for name in names {
            depot.remove(&name).await.expect("removed");
            depot.remove(&name).await.expect("removed, as it was");
        }
        assert!(depot.list().await.expect("all").is_empty());
    }
    let file = root.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let error = Depot::open(&Place::Directory(file.join("below")), &Access::default()).expect_err("no directory");
    assert!(error.chain().contains("file/below"), "{}", error.chain());
}
