//! Encryption: keys that fit, keys that do not, and files that are not whole.

use actingweb_maintd::archive::{ErrorKind, Identities, Recipients, Sink, Source, check_recipient};
use actingweb_maintd::backup::{Error, examine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::sets::{self, PUBLIC_KEY, SECRET_KEY, at_desk, identity, make, shelf};

/// A key that nothing here is encrypted for.
const ANOTHER: &str = "AGE-SECRET-KEY-1QYPQXPQ9QCRSSZG2PVXQ6RS0ZQG3YYC5Z5TPWXQERGD3C8G7RUSQGPQYEE";

fn keys(text: &str) -> Result<Identities, actingweb_maintd::archive::Error> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    Identities::read(file.path())
}

async fn decrypted(keys: &Identities, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let source: Source = Box::pin(std::io::Cursor::new(bytes));
    let mut plain = keys.decrypt(source, "a file").await.map_err(|error| error.chain())?;
    let mut read = Vec::new();
    plain.read_to_end(&mut read).await.map_err(|error| error.to_string())?;
    Ok(read)
}

async fn encrypted(bytes: &[u8]) -> Vec<u8> {
    let recipients = Recipients::parse(&[PUBLIC_KEY.to_owned()]).expect("a key");
    let (sink, mut source) = tokio::io::duplex(1 << 20);
    let sink: Sink = Box::pin(sink);
    let mut sink = recipients.encrypt(sink).await.expect("a sink");
    sink.write_all(bytes).await.expect("bytes");
    sink.shutdown().await.expect("the end");
    drop(sink);
    let mut read = Vec::new();
    source.read_to_end(&mut read).await.expect("bytes");
    read
}

#[tokio::test]
async fn only_what_is_whole_is_decrypted_and_only_by_a_key_that_fits() {
    let text = format!("\n# two keys\n  {ANOTHER}\n# the right one\n{SECRET_KEY}\r\n");
    let (both, wrong) = (keys(&text).expect("keys"), keys(ANOTHER).expect("a key"));
    // Around the length of a chunk, where ends are easily missed.
    for length in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let bytes = encrypted(&plain).await;
        assert!(decrypted(&both, bytes.clone()).await.as_deref() == Ok(&*plain), "{length}");
        let why = decrypted(&wrong, bytes.clone()).await.expect_err("the wrong key");
        assert!(why.contains("identity_file"), "{why}");
        let mut random = fastrand::Rng::with_seed(length);
        for _ in 0..20 {
            let at = random.usize(..bytes.len());
            assert!(decrypted(&both, bytes[..at].to_vec()).await.is_err(), "{length} cut at {at}");
            let mut other = bytes.clone();
            other[at] ^= 1 << random.u32(..8);
            assert!(decrypted(&both, other).await.is_err(), "{length} flipped at {at}");
        }
    }
}

#[test]
fn keys_that_are_none_are_told_without_repeating_them() {
    assert_eq!(check_recipient(PUBLIC_KEY), Ok(()));
    for text in ["", "age1", "ssh-ed25519 AAAA", &PUBLIC_KEY[..40]] {
        let why = check_recipient(text).expect_err(text);
        assert!(why.contains("age1…"), "{why}");
    }
    let why = check_recipient(SECRET_KEY).expect_err("a secret key");
    assert!(why.contains("secret") && !why.contains(&SECRET_KEY[20..]), "{why}");
    assert!(Recipients::parse(&[PUBLIC_KEY.to_owned(), "x".to_owned()]).is_err());

    for text in ["", "# nothing\n", PUBLIC_KEY, "AGE-SECRET-KEY-1CANARY"] {
        let error = keys(text).expect_err(text);
        assert!(!error.chain().contains("CANARY"), "{}", error.chain());
        assert!(error.to_string().contains("read the keys in"), "{error}");
    }
    let error = Identities::read("/nonexistent".as_ref()).expect_err("no file");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(!format!("{:?}", keys(SECRET_KEY)).contains(&SECRET_KEY[20..]));
}

#[tokio::test]
async fn without_the_right_key_a_set_is_checked_and_not_read() {
    let root = tempfile::tempdir().expect("a directory");
    let mut shop = sets::encrypting(root.path());
    let (depot, of) = (sets::directory(root.path()), identity());
    let made = make(&shelf(&depot, &of, &shop), &sets::files(1000)).await.expect("a set");

    shop.settings.encryption.identity_file = None;
    let keyless = shelf(&depot, &of, &shop);
    let refused = keyless.fetch(&made).await.expect_err("no key");
    assert!(matches!(&refused, Error::Refused(why) if why.contains("identity_file")), "{refused}");
    assert!(matches!(keyless.read(&made, "empty").await.err(), Some(Error::Refused(_))));
    assert_eq!(at_desk(&shop, async |desk| examine(desk, &keyless, &made).await).await.expect("a look"), [""; 0]);

    let other = root.path().join("other");
    std::fs::write(&other, ANOTHER).expect("a file");
    shop.settings.encryption.identity_file = Some(other);
    let foreign = shelf(&depot, &of, &shop);
    let refused = foreign.fetch(&made).await.expect_err("another key");
    assert!(matches!(&refused, Error::Place(error) if error.kind == ErrorKind::Denied), "{refused}");
    assert_eq!(at_desk(&shop, async |desk| examine(desk, &foreign, &made).await).await.expect("a look"), [""; 0]);
    assert!(matches!(foreign.read(&made, "another").await.err(), Some(Error::Damaged { .. })));

    shop.settings.encryption.recipients = vec!["age1nonsense".to_owned()];
    assert!(matches!(make(&shelf(&depot, &of, &shop), &[]).await, Err(Error::Refused(_))));
}
