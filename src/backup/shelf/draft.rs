//! A set that is being made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::io::AsyncWriteExt;

use super::sheet::{Target, confirm};
use super::staging::Staging;
use super::{MANIFEST, STATE, Sheet, Shelf, blocking, is_mark, is_plain, is_state, space};
use crate::archive::directory::{self, Tree};
use crate::archive::{self, ENCRYPTED, Recipients, Sealed, Sink, Tallied, sum_of_file};
use crate::backup::point::fault_at;
use crate::backup::{Error, FileSum, Manifest, Result, SetId, State};
use crate::work::Stop;

/// How many files that programs have made are read at the same time.
const READERS: usize = 2;

/// A set that is being made; nothing of it is there before it is [published](Draft::publish).
#[derive(Debug)]
pub struct Draft {
    shelf: Shelf,
    set: SetId,
    /// Where its files are made.
    directory: PathBuf,
    /// What has the directory, if it is not in the place itself.
    staging: Option<Staging>,
    /// Whom its files are encrypted for, if they are.
    recipients: Option<Recipients>,
    pages: Arc<Pages>,
    /// How many bytes somebody expects.
    expected: AtomicU64,
    stop: Stop,
}

/// The files that have gone through [`Draft::create`].
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<(BTreeSet<String>, Vec<FileSum>)>);

impl Pages {
    fn begun(&self, name: &str) -> Result<()> {
        if self.lock().0.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(Error::failed(format!("{name} is written a second time into the same set")))
        }
    }

    pub(super) fn done(&self, file: FileSum) {
        self.lock().1.push(file);
    }

    /// All of them, if each is done.
    fn all(&self) -> Result<Vec<FileSum>> {
        let pages = self.lock();
        match pages.0.iter().find(|name| !pages.1.iter().any(|file| file.name == **name)) {
            Some(name) => Err(Error::failed(format!("{name} has not been written to its end"))),
            None => Ok(pages.1.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (BTreeSet<String>, Vec<FileSum>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Begins a set. What was left over from others is removed first, so whoever calls this holds the lease of the
    /// job `backup`.
    ///
    /// # Errors
    ///
    /// When there is no space, or the place does not answer.
    pub async fn begin(&self, set: SetId) -> Result<Draft> {
        let settings = &self.shop.settings;
        let recipients = &settings.encryption.recipients;
        let recipients = (!recipients.is_empty()).then(|| Recipients::parse(recipients)).transpose();
        let recipients = recipients.map_err(|why| Error::Refused(format!("backup.encryption.recipients: {why}")))?;
        self.sweep().await?;
        let (work_dir, of, keep_free) = (self.shop.work_dir().to_path_buf(), self.of.id, settings.keep_free);
        let in_place = self.draft_directory(&set);
        let (directory, staging) = blocking(move || {
            let Some(directory) = in_place else {
                let staging = Staging::make(&work_dir, of)?;
                space::check(staging.files(), 0, keep_free)?;
                return Ok((staging.files().to_path_buf(), Some(staging)));
            };
            space::check(&directory, 0, keep_free)?;
            directory::make_private(&directory)?;
            Ok((directory, None))
        })
        .await?;
        fault_at("backup::begin").await?;
        let (shelf, pages) = (self.clone(), Arc::default());
        let (expected, stop) = (AtomicU64::default(), Stop::new());
        Ok(Draft { shelf, set, directory, staging, recipients, pages, expected, stop })
    }
}

impl Draft {
    /// The set.
    pub fn set(&self) -> &SetId {
        &self.set
    }

    /// A directory of this host for files of the set, which become part of it when it is published. Not for what
    /// is to be encrypted, as it would lie there as it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether its files are to be encrypted, so that they must go through [`Draft::create`].
    pub fn is_encrypted(&self) -> bool {
        self.recipients.is_some()
    }

    /// Whose it will be.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The same, publishing nothing any more once `stop` is requested.
    #[must_use]
    pub fn heeding(self, stop: &Stop) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// Checks that there is space for files of so many bytes where they are written: of this host, as nobody can
    /// ask a bucket. An estimate is enough. In a bucket the size of parts follows from it, as providers take no more
    /// than ten thousand; without it one file can have 160 GiB.
    ///
    /// # Errors
    ///
    /// When there is not.
    pub async fn need(&self, bytes: u64) -> Result<()> {
        self.expected.fetch_max(bytes, Ordering::Relaxed);
        if self.staging.is_some() && self.is_encrypted() {
            return Ok(());
        }
        let (directory, keep_free) = (self.directory.clone(), self.shelf.shop.settings.keep_free);
        blocking(move || Ok(space::check(&directory, bytes, keep_free)?)).await
    }

    /// Begins a file of the set: what is written to it is encrypted if so configured, counted and hashed on its
    /// way, and in a bucket never lies on this host. Its name is the one that [`Shelf::read`] takes.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub async fn create(&self, name: &str) -> Result<Sheet> {
        let name = format!("{name}{}", if self.is_encrypted() { ENCRYPTED } else { "" });
        admit(&name)?;
        self.pages.begun(&name)?;
        let fail = |error| archive::Error::io("write", name.clone(), error);
        let (sink, target): (Sink, Target) = if self.staging.is_some() {
            let files = self.shelf.files(&self.set);
            let expected = self.expected.load(Ordering::Relaxed);
            (Box::pin(files.upload(&name, Some(expected))?), Target::Bucket(files))
        } else {
            let path = self.directory.join(&name);
            if let Some(parent) = path.parent() {
                tokio::fs::create_dir_all(parent).await.map_err(fail)?;
            }
            (Box::pin(tokio::fs::File::create_new(&path).await.map_err(fail)?), Target::File(path))
        };
        let (sink, tally) = Tallied::new(sink);
        let sink: Sink = Box::pin(sink);
        let sink = match &self.recipients {
            Some(recipients) => recipients.encrypt(sink).await.map_err(fail)?,
            None => sink,
        };
        Ok(Sheet { sink, tally, name, target, pages: Arc::clone(&self.pages) })
    }

    /// Makes the set be there: the files are made to last, `manifest` gets their sums and makes a set of them, the
    /// state says that it was taken. Returns the manifest as it was written.
    ///
    /// # Errors
    ///
    /// When the place does not take it, or somebody asked to stop; then nothing of it is there.
    pub async fn publish(self, mut manifest: Manifest) -> Result<Manifest> {
        let gathered = async {
            let (tree, files) = self.gather().await?;
            manifest.files = files;
            fault_at("backup::before_manifest").await?;
            self.heed()?;
            match self.staging {
                Some(_) => self.put(&manifest).await,
                None => self.lay_down(&manifest, tree).await,
            }
        };
        if let Err(error) = gathered.await {
            if let Err(left) = self.abandon().await {
                tracing::warn!(error = left.chain(), "what was made of a backup stays until the next one begins");
            }
            return Err(error);
        }
        fault_at("backup::after_publish").await?;
        Ok(manifest)
    }

    /// Removes what has been made.
    ///
    /// # Errors
    ///
    /// When some of it may still be there; whoever begins the next set removes that.
    pub async fn abandon(self) -> Result<()> {
        if self.staging.is_none() {
            let directory = self.directory.clone();
            blocking(move || Ok(directory::remove(&directory)?)).await?;
        }
        // It may have got its name, and nobody knows whether that lasts.
        self.shelf.remove(&self.set).await
    }

    /// The sums of all files, those among them that programs have made; in a bucket these are there afterwards.
    async fn gather(&self) -> Result<(Tree, Vec<FileSum>)> {
        let mut files = self.pages.all()?;
        let directory = self.directory.clone();
        let tree = blocking(move || Ok(directory::tree(&directory)?)).await?;
        let is_known = |name: &String| files.iter().any(|file| file.name == *name);
        let others: Vec<String> = tree.files.iter().filter(|name| !is_known(name)).cloned().collect();
        if let Some(name) = others.first().filter(|_| self.is_encrypted()) {
            return Err(Error::failed(format!("{name} was to be encrypted and lies there as it is: this is a defect")));
        }
        others.iter().try_for_each(|name| admit(name))?;
        let adopted: Vec<_> = others.into_iter().map(|name| self.adopt(name).boxed()).collect();
        let adopted: Vec<FileSum> = stream::iter(adopted).buffer_unordered(READERS).try_collect().await?;
        files.extend(adopted);
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((tree, files))
    }

    /// Makes a file that a program has made part of the set.
    async fn adopt(&self, name: String) -> Result<FileSum> {
        self.heed()?;
        let path = self.directory.join(&name);
        let sum = if self.staging.is_some() {
            self.bring(&name, &path).await?
        } else {
            let fail = |error| archive::Error::io("keep", name.clone(), error);
            let (stop, read) = (self.stop.clone(), path.clone());
            // One waits for the processor and the other for the disk.
            let summing = async {
                let sum = blocking(move || Ok(sum_of_file(&read, |_| stop.requested().is_none()))).await?;
                sum.map_err(fail)?.ok_or(Error::Stopped)
            };
            let syncing = async {
                let file = tokio::fs::File::open(&path).await.map_err(fail)?;
                Ok(file.sync_all().await.map_err(fail)?)
            };
            let (sum, ()) = try_join(summing, syncing).await?;
            sum
        };
        fault_at("backup::adopt").await?;
        Ok(FileSum { name, size: sum.size, sha256: sum.sha256 })
    }

    /// Brings a file into the bucket.
    async fn bring(&self, name: &str, path: &Path) -> Result<archive::Sum> {
        let fail = |error| archive::Error::io("bring into the bucket", name.to_owned(), error);
        let files = self.shelf.files(&self.set);
        let expected = tokio::fs::metadata(path).await.map_err(fail)?.len();
        let (mut upload, tally) = Tallied::new(files.upload(name, Some(expected))?);
        let file = tokio::fs::File::open(path).await.map_err(fail)?;
        let mut file = tokio::io::BufReader::with_capacity(1 << 20, file);
        tokio::select! {
            copied = tokio::io::copy_buf(&mut file, &mut upload) => copied.map_err(fail)?,
            () = self.stop.wait() => return Err(Error::Stopped),
        };
        upload.shutdown().await.map_err(fail)?;
        let sum = tally.sum();
        confirm(&files, name, sum.size).await?;
        Ok(sum)
    }

    /// Publishes it in a bucket.
    async fn put(&self, manifest: &Manifest) -> Result<()> {
        let files = self.shelf.files(&self.set);
        let state = Sealed::write(&State::taken(self.set.clone()));
        let manifest = Sealed::write(manifest);
        fault_at("backup::before_publish").await?;
        // A state without a manifest shows that the manifest was lost, so it must not be there before.
        for (name, text) in [(MANIFEST, manifest), (STATE, state)] {
            let size = text.len() as u64;
            files.write(name, text).await?;
            confirm(&files, name, size).await?;
        }
        Ok(())
    }

    /// Publishes it in a directory.
    async fn lay_down(&self, manifest: &Manifest, tree: Tree) -> Result<()> {
        let Some(place) = self.shelf.depot.directory() else { return Ok(()) };
        let (directory, published) = (self.directory.clone(), place.join(self.set.as_str()));
        let texts = [(MANIFEST, Sealed::write(manifest)), (STATE, Sealed::write(&State::taken(self.set.clone())))];
        let within = directory.clone();
        blocking(move || {
            for (name, text) in texts {
                directory::write(&within.join(name), text.as_bytes())?;
            }
            // From the innermost on, so that nothing lasts whose contents do not.
            Ok(tree.directories.iter().rev().try_for_each(|directory| directory::sync(directory))?)
        })
        .await?;
        fault_at("backup::before_publish").await?;
        blocking(move || Ok(directory::rename(&directory, &published)?)).await
    }

    fn heed(&self) -> Result<()> {
        self.stop.requested().map_or(Ok(()), |_| Err(Error::Stopped))
    }
}

/// Whether a file of this name can be one of a set.
fn admit(name: &str) -> Result<()> {
    let is_ours = name == MANIFEST || is_state(name) || is_mark(name);
    if is_ours || !is_plain(name) {
        return Err(Error::failed(format!("{name:?} cannot be the name of a file of a set")));
    }
    Ok(())
}
