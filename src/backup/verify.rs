//! Whether every byte of a set is what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncReadExt;

use super::point::fault_at;
use super::shelf::{MANIFEST, is_mark, is_state, sum};
use super::{
    DIGESTS, Damage, Desk, Error, FileSum, Finder, Form, Manifest, Result, SetId, Shelf, State, dynamodb, fingerprint,
    postgresql,
};
use crate::archive::{self, ErrorKind, Identities, Sum, sum_of_file};
use crate::model::clock;
use crate::model::digest::Digest;

/// How many files are read at the same time.
const READERS: usize = 2;

/// How much is read at once of what does not lie on this host.
const PIECE: usize = 1 << 18;

/// Reads all of a set, compares it with its manifest, and writes down what was found. What is wrong with the set is
/// in the state that is returned, and no error. Damage that a drill has found stays until a drill comes out well.
///
/// # Errors
///
/// When the set could not be read at all, for a reason that may pass, or somebody asked to stop.
pub async fn verify(desk: Desk<'_>, shelf: &Shelf, set: &SetId) -> Result<State> {
    shelf.expect(set).await?;
    let hold = shelf.hold(set, "it is being verified").await?;
    let verified = async {
        let found = found(set, look(desk, shelf, set).await?);
        match &found.damage {
            Some(damage) => tracing::error!(%set, what = damage.what, "a backup is damaged"),
            None => tracing::info!(%set, "every byte of a backup is what was written"),
        }
        shelf.mark(Finder::Verify, &found).await
    };
    let verified = verified.await;
    hold.release().await;
    verified
}

/// What is to be written down of a set with which this is wrong.
fn found(set: &SetId, wrong: Vec<String>) -> State {
    let at = clock::now();
    let others = wrong.len().saturating_sub(1);
    State {
        verified_at: wrong.is_empty().then_some(at),
        damage: wrong.into_iter().next().map(|first| {
            let what = if others == 0 { first } else { format!("{first}, and {others} more") };
            Damage { by: Finder::Verify, at, what }
        }),
        ..State::taken(set.clone())
    }
}

/// All that is wrong with a set.
async fn look(desk: Desk<'_>, shelf: &Shelf, set: &SetId) -> Result<Vec<String>> {
    let entry = shelf.entry(set.clone()).await?;
    let manifest = match entry.manifest {
        Ok(manifest) => manifest,
        Err(why) => return Ok(vec![why]),
    };
    desk.progress.expect(manifest.bytes() * readings(manifest.form));
    let mut wrong = examine(desk, shelf, &manifest).await?;
    // Who looks into files that are damaged finds nothing that is not known, and into those without a key nothing.
    let is_legible = manifest.recipients.is_empty() || shelf.identities()?.is_some();
    if wrong.is_empty() && is_legible {
        let inspected = match manifest.form {
            Form::Logical | Form::Physical | Form::Tool => postgresql::inspect(desk, shelf, &manifest).await,
            Form::Archive | Form::Native | Form::Export => dynamodb::inspect(desk, shelf, &manifest).await,
        };
        match inspected {
            Ok(found) => wrong.extend(found),
            Err(Error::Damaged { what, .. }) => wrong.push(what),
            // The key that there is, is not for it.
            Err(Error::Place(error)) if error.kind == ErrorKind::Denied && !manifest.recipients.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(wrong)
}

/// How often every byte of a set is read: that of an archive is read once more for its rows.
fn readings(form: Form) -> u64 {
    if form == Form::Archive { 2 } else { 1 }
}

/// Reads all of a set and compares it with its manifest. Returns all that is wrong; nothing is if it is empty. What
/// is encrypted is decrypted on the way if there is a key for it. Progress is in bytes of files.
///
/// # Errors
///
/// When the set could not be read at all, for a reason that may pass, or somebody asked to stop.
pub async fn examine(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Vec<String>> {
    let there = shelf.files(&manifest.set).list().await?;
    let there: BTreeMap<&str, u64> = there.iter().map(|stored| (stored.name.as_str(), stored.size)).collect();
    let listed: BTreeSet<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    let mut wrong = Vec::new();
    let mut readable = Vec::new();
    for file in &manifest.files {
        match there.get(file.name.as_str()) {
            None => wrong.push(format!("{} is not there", file.name)),
            Some(size) if *size != file.size => {
                wrong.push(format!("{}: it has {size} bytes and had {}", file.name, file.size));
            }
            Some(_) => readable.push(file),
        }
    }
    if listed.len() != manifest.files.len() {
        wrong.push(format!("{MANIFEST} names a file twice"));
    }
    let is_known = |name: &str| name == MANIFEST || is_state(name) || is_mark(name) || listed.contains(name);
    wrong.extend(there.keys().filter(|name| !is_known(name)).map(|name| format!("{name} does not belong to it")));
    let keys = keys(shelf, manifest)?;
    // A loop, as a closure over references would keep the whole from being sent to another thread.
    let mut read = Vec::new();
    for file in readable {
        read.push(check(desk, shelf, manifest, file, keys.as_ref()));
    }
    let found: Vec<Option<String>> = stream::iter(read).buffered(READERS).try_collect().await?;
    wrong.extend(found.into_iter().flatten());
    if wrong.is_empty() && (manifest.recipients.is_empty() || keys.is_some()) {
        wrong.extend(check_digests(shelf, manifest).await?);
    }
    Ok(wrong)
}

/// The keys for an encrypted set, if there are any. That there is none for this one is no damage.
fn keys(shelf: &Shelf, manifest: &Manifest) -> Result<Option<Identities>> {
    if manifest.recipients.is_empty() {
        return Ok(None);
    }
    let keys = shelf.identities()?;
    if keys.is_none() {
        tracing::info!(set = %manifest.set, "no `identity_file` is configured: only the encrypted bytes are checked");
    }
    Ok(keys)
}

/// What is wrong with a file of a set, if anything is.
async fn check(
    desk: Desk<'_>,
    shelf: &Shelf,
    manifest: &Manifest,
    file: &FileSum,
    keys: Option<&Identities>,
) -> Result<Option<String>> {
    fault_at("backup::verify").await?;
    let files = shelf.files(&manifest.set);
    if let Some(directory) = files.directory().filter(|_| keys.is_none()) {
        let found = sum_in_place(desk, &directory.join(&file.name)).await?;
        return Ok(sum(file).differs(&found).map(|what| format!("{}: {what}", file.name)));
    }
    let read = async {
        let mut bytes = match shelf.open(manifest, file, keys).await {
            Err(Error::Place(error)) if error.kind == ErrorKind::Denied && keys.is_some() => {
                tracing::warn!(set = %manifest.set, "{}: only the encrypted bytes are checked", error.chain());
                shelf.open(manifest, file, None).await?
            }
            opened => opened?,
        };
        let (mut piece, mut uncounted) = (vec![0; PIECE], file.size);
        loop {
            let read = bytes.read(&mut piece).await;
            let read = read.map_err(|error| Error::reading(&manifest.set, &file.name, error))? as u64;
            // What is encrypted has more bytes than come out of it.
            let counted = if read == 0 { uncounted } else { read.min(uncounted) };
            desk.progress.add(counted);
            uncounted -= counted;
            if read == 0 {
                return Ok(());
            }
            if desk.stop.requested().is_some() {
                return Err(Error::Stopped);
            }
        }
    };
    match read.await {
        Ok(()) => Ok(None),
        Err(Error::Damaged { what, .. }) => Ok(Some(what)),
        Err(error) => Err(error),
    }
}

/// The sum of a file that lies on this host.
async fn sum_in_place(desk: Desk<'_>, path: &Path) -> Result<Sum> {
    let (stop, progress) = (desk.stop.clone(), desk.progress.clone());
    let (what, path) = (path.display().to_string(), path.to_path_buf());
    let go_on = move |read| {
        progress.add(read);
        stop.requested().is_none()
    };
    let read = tokio::task::spawn_blocking(move || sum_of_file(&path, go_on)).await;
    let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    read.map_err(|error| archive::Error::io("read", what, error))?.ok_or(Error::Stopped)
}

/// What is wrong with the digests of a set, whose bytes are what was written.
async fn check_digests(shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    let wanted: BTreeMap<&str, &str> =
        manifest.tables.iter().filter_map(|(table, sum)| Some((table.as_str(), sum.digest.as_deref()?))).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let digests = match read_digests(shelf, manifest).await {
        Ok(digests) => digests,
        Err(Error::Damaged { what, .. }) => return Ok(Some(what)),
        // There is no key for it.
        Err(Error::Place(error)) if error.kind == ErrorKind::Denied => return Ok(None),
        Err(error) => return Err(error),
    };
    for (table, print) in wanted {
        let Some(digest) = digests.get(table) else {
            return Ok(Some(format!("{DIGESTS} has no digest of {table}, and {MANIFEST} says that it has")));
        };
        if fingerprint(digest) != print {
            return Ok(Some(format!("the digest of {table} in {DIGESTS} is not the one that {MANIFEST} tells of")));
        }
        let rows = manifest.tables.get(table).and_then(|sum| sum.rows);
        if let Some(rows) = rows.filter(|rows| *rows != digest.count()) {
            let counted = digest.count();
            return Ok(Some(format!("{MANIFEST} tells of {rows} rows of {table}, and its digest of {counted}")));
        }
    }
    Ok(None)
}

/// The digests of the tables of a set.
///
/// # Errors
///
/// [`Error::Damaged`] when they are not what was written.
pub async fn read_digests(shelf: &Shelf, manifest: &Manifest) -> Result<BTreeMap<String, Digest>> {
    let mut text = Vec::new();
    let read = shelf.read(manifest, DIGESTS).await?.read_to_end(&mut text).await;
    read.map_err(|error| Error::reading(&manifest.set, DIGESTS, error))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::Damaged { set: manifest.set.to_string(), what: format!("{DIGESTS}: {error}") })
}
