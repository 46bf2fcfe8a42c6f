//! The files of a set, where they can be used.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncWriteExt;

use super::staging::Staging;
use super::{Shelf, blocking, space};
use crate::archive::{self, Checked, ENCRYPTED, ErrorKind, Identities, Source, Sum, Tallied, sum_of_file};
use crate::backup::{Error, FileSum, Manifest, Result};

/// How many files are read at the same time.
const READERS: usize = 2;

/// Files of a set in a directory of this host, for as long as this is kept.
#[derive(Debug)]
pub struct Fetched {
    directory: PathBuf,
    _staging: Option<Staging>,
}

impl Fetched {
    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Shelf {
    /// Brings the files of a set into a directory of this host, or shows where they lie already; every byte is
    /// checked on the way, and decrypted.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when a file is not what was written; [`Error::Refused`] when it is encrypted and there is
    /// no key.
    pub async fn fetch(&self, manifest: &Manifest) -> Result<Fetched> {
        let files = self.files(&manifest.set);
        let in_place = files.directory().filter(|_| manifest.recipients.is_empty());
        if let Some(directory) = in_place {
            // A loop, as a closure over references would keep the whole from being sent to another thread.
            let mut checked = Vec::new();
            for file in &manifest.files {
                checked.push(self.check_in_place(manifest, file, directory));
            }
            stream::iter(checked).buffer_unordered(READERS).try_collect::<()>().await?;
            return Ok(Fetched { directory: directory.to_path_buf(), _staging: None });
        }
        let keys = self.keys(manifest)?;
        let staging = self.stage(manifest.bytes()).await?;
        let mut brought = Vec::new();
        for file in &manifest.files {
            brought.push(self.bring_here(manifest, file, keys.as_ref(), staging.files()));
        }
        stream::iter(brought).buffer_unordered(READERS).try_collect::<()>().await?;
        Ok(Fetched { directory: staging.files().to_path_buf(), _staging: Some(staging) })
    }

    /// A directory of this host that only we can look into, for files of `bytes` that are there for a while only. For
    /// what is tiny, 0 bytes, there is always space.
    ///
    /// # Errors
    ///
    /// When there is no space for them.
    pub(in crate::backup) async fn stage(&self, bytes: u64) -> Result<Staging> {
        let (work_dir, of) = (self.shop.work_dir().to_path_buf(), self.of.id);
        let keep_free = self.shop.settings.keep_free;
        blocking(move || {
            if bytes > 0 {
                space::check(&work_dir, bytes, keep_free)?;
            }
            Ok(Staging::make(&work_dir, of)?)
        })
        .await
    }

    /// The bytes of one file of a set, checked while they are read and decrypted. It has the name that it was
    /// [created](super::Draft::create) with.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the set has no such file; [`Error::Refused`] when it is encrypted and there is no
    /// key. An error of the bytes, at their end at the latest, when they are not what was written:
    /// [`Error::reading`] tells it from others.
    pub async fn read(&self, manifest: &Manifest, name: &str) -> Result<Source> {
        let file = manifest.files.iter().find(|file| plain_name(manifest, file) == name);
        let file = file.ok_or_else(|| damaged(manifest, format!("it has no file {name}")))?;
        let keys = self.keys(manifest)?;
        self.open(manifest, file, keys.as_ref()).await
    }

    /// The bytes of a file, checked while they are read, and decrypted if there are keys.
    pub(in crate::backup) async fn open(
        &self,
        manifest: &Manifest,
        file: &FileSum,
        keys: Option<&Identities>,
    ) -> Result<Source> {
        let fail = |error: archive::Error| match error.kind {
            ErrorKind::NotFound => damaged(manifest, format!("{} is not there", file.name)),
            ErrorKind::Damaged => damaged(manifest, error.chain()),
            _ => error.into(),
        };
        let raw = async || {
            let bytes = self.files(&manifest.set).reader(&file.name).await.map_err(fail)?;
            let (bytes, tally) = Tallied::new(bytes);
            Ok::<(Source, _), Error>((Box::pin(bytes), tally))
        };
        let expected = sum(file);
        let checked = |bytes, tally| Box::pin(Checked::new(bytes, tally, expected.clone(), file.name.clone()));
        let (bytes, tally) = raw().await?;
        let Some(keys) = keys.filter(|_| !manifest.recipients.is_empty()) else {
            return Ok(checked(bytes, tally));
        };
        match keys.decrypt(bytes, &file.name).await {
            Ok(plain) => Ok(checked(plain, tally)),
            Err(error) if error.kind == ErrorKind::Denied => {
                // A header that has been changed names people whom we are not.
                let (bytes, tally) = raw().await?;
                let mut bytes = checked(bytes, tally);
                let read = tokio::io::copy(&mut bytes, &mut tokio::io::sink()).await;
                read.map_err(|error| Error::reading(&manifest.set, &file.name, error))?;
                Err(fail(error))
            }
            Err(error) => Err(fail(error)),
        }
    }

    /// The keys that can decrypt sets, if any are configured.
    pub(in crate::backup) fn identities(&self) -> Result<Option<Identities>> {
        let path = self.shop.settings.encryption.identity_file.as_deref();
        Ok(path.map(Identities::read).transpose()?)
    }

    /// The keys that a set needs; none if it is not encrypted.
    fn keys(&self, manifest: &Manifest) -> Result<Option<Identities>> {
        if manifest.recipients.is_empty() {
            return Ok(None);
        }
        let keys = self.identities()?.ok_or_else(|| {
            let set = &manifest.set;
            Error::Refused(format!(
                "the set {set} is encrypted: name a file with a key for it as `identity_file` below [backup.encryption]"
            ))
        });
        keys.map(Some)
    }

    /// Checks a file where it lies.
    async fn check_in_place(&self, manifest: &Manifest, file: &FileSum, directory: &Path) -> Result<()> {
        let path = directory.join(&file.name);
        let read = blocking(move || {
            let what = path.display().to_string();
            Ok(sum_of_file(&path, |_| true).map_err(|error| archive::Error::io("read", what, error))?)
        });
        let found = match read.await {
            Ok(found) => found,
            Err(Error::Place(error)) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let difference = match found {
            Some(found) => sum(file).differs(&found),
            None => Some("it is not there".to_owned()),
        };
        difference.map_or(Ok(()), |what| Err(damaged(manifest, format!("{}: {what}", file.name))))
    }

    /// Writes the plain bytes of a file into a directory.
    async fn bring_here(
        &self,
        manifest: &Manifest,
        file: &FileSum,
        keys: Option<&Identities>,
        directory: &Path,
    ) -> Result<()> {
        let path = directory.join(plain_name(manifest, file));
        let fail = |error| archive::Error::io("write", path.display().to_string(), error);
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(fail)?;
        }
        let mut bytes = self.open(manifest, file, keys).await?;
        let mut written = tokio::fs::File::create_new(&path).await.map_err(fail)?;
        tokio::io::copy(&mut bytes, &mut written)
            .await
            .map_err(|error| Error::reading(&manifest.set, &file.name, error))?;
        Ok(written.flush().await.map_err(fail)?)
    }
}

/// The name of a file by which whoever made it knows it.
pub(in crate::backup) fn plain_name<'a>(manifest: &Manifest, file: &'a FileSum) -> &'a str {
    let plain = file.name.strip_suffix(ENCRYPTED).filter(|_| !manifest.recipients.is_empty());
    plain.unwrap_or(&file.name)
}

pub(in crate::backup) fn sum(file: &FileSum) -> Sum {
    Sum { size: file.size, sha256: file.sha256.clone() }
}

fn damaged(manifest: &Manifest, what: String) -> Error {
    Error::Damaged { set: manifest.set.to_string(), what }
}
