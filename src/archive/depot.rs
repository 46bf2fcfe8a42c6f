//! A place that holds named things: a directory or a prefix in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::BufReader;
use tokio_util::io::StreamReader;

use super::place::Action;
use super::{Access, Error, Place, Result, Source, Upload, bucket, directory};

/// How much of a file is read at once.
const PIECE: usize = 1 << 20;

/// How many things are removed at the same time.
const REMOVALS: usize = 8;

/// A place that holds named things. Names have `/` between their parts. What is written is there wholly or
/// not at all, and when it is there it lasts.
#[derive(Clone)]
pub struct Depot {
    store: Arc<dyn ObjectStore>,
    /// What all names begin with.
    prefix: String,
    /// The directory, if it is one.
    directory: Option<PathBuf>,
    /// Where it was opened.
    place: Place,
    /// For people.
    shown: String,
}

/// Something that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name, from the depot on.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written, by the clock of the place.
    pub modified: DateTime<Utc>,
}

impl fmt::Debug for Depot {
    /// The library's own may show keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Depot({})", self.shown)
    }
}

impl Depot {
    /// The depot at `place`; a directory is made if it is not there, and a bucket is reached as `access` says.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, or the bucket not be addressed.
    pub fn open(place: &Place, access: &Access) -> Result<Self> {
        let shown = place.to_string();
        match place {
            Place::Directory(path) => {
                directory::make_private(path)?;
                let store = object_store::local::LocalFileSystem::new_with_prefix(path)
                    .map_err(|error| Error::store("open", shown.clone(), error))?
                    .with_fsync(true);
                let (store, directory) = (Arc::new(store), Some(path.clone()));
                Ok(Self { store, prefix: String::new(), directory, place: place.clone(), shown })
            }
            Place::Bucket { provider, name, prefix } => {
                let store = bucket::open(*provider, name, access);
                let store = store.map_err(|error| Error::store("reach", shown.clone(), error))?;
                let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                Ok(Self { store, prefix, directory: None, place: place.clone(), shown })
            }
        }
    }

    /// The depot of the names that begin with `name/`.
    #[must_use]
    pub fn within(&self, name: &str) -> Self {
        Self {
            store: Arc::clone(&self.store),
            prefix: format!("{}{name}/", self.prefix),
            directory: self.directory.as_ref().map(|directory| directory.join(name)),
            place: self.place.clone(),
            shown: format!("{}/{name}", self.shown),
        }
    }

    /// The directory, if it is one.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Where it is, for people.
    pub fn describe(&self) -> &str {
        &self.shown
    }

    /// The first parts of all names that have several, in order.
    ///
    /// # Errors
    ///
    /// When the place does not answer.
    pub async fn below(&self) -> Result<Vec<String>> {
        let prefix = self.name_of_prefix();
        let listed = self.store.list_with_delimiter(prefix.as_ref()).await;
        let listed = listed.map_err(self.failed(Action::List, self.shown.clone()))?;
        let mut names: Vec<String> =
            listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Everything that is there, in no promised order.
    ///
    /// # Errors
    ///
    /// When the place does not answer.
    pub async fn list(&self) -> Result<Vec<Stored>> {
        let prefix = self.name_of_prefix();
        let listed: Vec<_> = self
            .store
            .list(prefix.as_ref())
            .try_collect()
            .await
            .map_err(self.failed(Action::List, self.shown.clone()))?;
        let stored = listed.into_iter().filter_map(|meta| {
            let name = meta.location.as_ref().strip_prefix(&self.prefix)?.to_owned();
            Some(Stored { name, size: meta.size, modified: meta.last_modified })
        });
        Ok(stored.collect())
    }

    /// All of something small.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](super::ErrorKind::NotFound) when it is not there.
    pub async fn read(&self, name: &str) -> Result<Bytes> {
        let failed = self.failed(Action::Read, self.what(name));
        self.store.get(&self.name(name)?).await.map_err(&failed)?.bytes().await.map_err(failed)
    }

    /// How many bytes something has; none when it is not there.
    ///
    /// # Errors
    ///
    /// When the place does not answer.
    pub async fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.store.head(&self.name(name)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(Action::Look, self.what(name))(error)),
        }
    }

    /// The bytes of something of any size.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](super::ErrorKind::NotFound) when it is not there.
    pub async fn reader(&self, name: &str) -> Result<Source> {
        let whole = self.name(name)?;
        if let Some(directory) = &self.directory {
            // In larger pieces than the library's.
            let file = tokio::fs::File::open(directory.join(name)).await;
            let mut file = file.map_err(|error| Error::io("read", self.what(name), error))?;
            file.set_max_buf_size(PIECE);
            return Ok(Box::pin(BufReader::with_capacity(PIECE, file)));
        }
        let got = self.store.get(&whole).await.map_err(self.failed(Action::Read, self.what(name)))?;
        Ok(Box::pin(StreamReader::new(got.into_stream().map(|chunk| chunk.map_err(std::io::Error::from)))))
    }

    /// Writes something small, in the place of what is there under the name.
    ///
    /// # Errors
    ///
    /// When it could not be stored; what was there stays.
    pub async fn write(&self, name: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let put = self.store.put(&self.name(name)?, bytes.into().into()).await;
        put.map(drop).map_err(self.failed(Action::Write, self.what(name)))
    }

    /// Begins to write something of any size; of `expected` bytes about, if somebody knows.
    ///
    /// # Errors
    ///
    /// When the name cannot be one.
    pub fn upload(&self, name: &str, expected: Option<u64>) -> Result<Upload> {
        let (store, place) = (Arc::clone(&self.store), self.place.clone());
        Ok(Upload::new(store, self.name(name)?, expected, place, self.what(name)))
    }

    /// Removes something; what is not there is removed.
    ///
    /// # Errors
    ///
    /// When it may still be there.
    pub async fn remove(&self, name: &str) -> Result<()> {
        match self.store.delete(&self.name(name)?).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.failed(Action::Remove, self.what(name))(error)),
        }
    }

    /// Removes several things, some at a time.
    ///
    /// # Errors
    ///
    /// When one of them may still be there.
    pub async fn remove_all(&self, names: &[String]) -> Result<()> {
        let removals: Vec<_> = names.iter().map(|name| self.remove(name).boxed()).collect();
        stream::iter(removals).buffer_unordered(REMOVALS).try_collect().await
    }

    /// What becomes of the library's errors when this is done with something here.
    fn failed(&self, action: Action, what: String) -> impl Fn(object_store::Error) -> Error {
        move |error| Error::action(action, &self.place, what.clone(), error)
    }

    fn what(&self, name: &str) -> String {
        format!("{}/{name}", self.shown)
    }

    fn name(&self, name: &str) -> Result<Name> {
        let whole = format!("{}{name}", self.prefix);
        Name::parse(whole).map_err(|error| Error::store("name", self.what(name), error.into()))
    }

    fn name_of_prefix(&self) -> Option<Name> {
        (!self.prefix.is_empty()).then(|| Name::from(self.prefix.trim_end_matches('/')))
    }
}
