//! The sets of one deployment in their place.
//!
//! In a directory a set is made under a name that begins with a dot and renamed when it is whole. In a bucket its files
//! go first, then its manifest, then its state, and when it is removed, the state goes first, then the manifest. So
//! what has a manifest under its own name is whole, what has a state and no manifest has lost it, and whatever else
//! lies there is left over from somebody who was killed.

mod draft;
mod fetch;
mod hold;
mod leftovers;
mod owner;
mod sheet;
pub(super) mod space;
mod staging;

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::Deserialize;

pub use draft::Draft;
pub use fetch::Fetched;
pub(super) use fetch::{plain_name, sum};
pub(super) use hold::is_mark;
pub use hold::{Held, Hold};
pub use owner::Owner;
pub use sheet::Sheet;

use super::{Error, FORMAT, Finder, Manifest, Result, SetId, State, Workshop};
use crate::archive::{self, Depot, ErrorKind, Sealed, directory};
use crate::backup::point::fault_at;

/// The file with what a set is, sealed.
pub(super) const MANIFEST: &str = "manifest.json";

/// The file with what was found when every byte was read, sealed. A set that has just been taken has it already.
const STATE: &str = "state.json";

/// The file with what was found when it was restored, sealed.
const DRILL: &str = "drill.json";

/// How the name begins under which a set is made in a directory.
const NEW: &str = ".new-";

/// How the name begins under which a set is removed from a directory.
const OLD: &str = ".old-";

/// How many sets are read at the same time.
const READERS: usize = 8;

/// The sets of one deployment.
#[derive(Clone, Debug)]
pub struct Shelf {
    depot: Depot,
    of: Owner,
    shop: Workshop,
}

/// A set that is there.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub set: SetId,
    /// What it is, or why that cannot be told.
    pub manifest: Result<Manifest, String>,
    /// How far it has been proven; of a set whose state cannot be read, as if nobody had looked at it.
    pub state: State,
}

impl Shelf {
    /// The sets of the deployment `of`, which are at the top of `depot`.
    pub fn new(depot: Depot, of: impl Into<Owner>, shop: Workshop) -> Self {
        Self { depot, of: of.into(), shop }
    }

    /// Where it is.
    pub fn depot(&self) -> &Depot {
        &self.depot
    }

    /// Whose it is.
    pub fn of(&self) -> &Owner {
        &self.of
    }

    /// What is needed to work on it.
    pub fn shop(&self) -> &Workshop {
        &self.shop
    }

    /// The files of a set.
    pub fn files(&self, set: &SetId) -> Depot {
        self.depot.within(set.as_str())
    }

    /// Refuses a set of which nothing is there.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] then, and when the place does not answer.
    pub(in crate::backup) async fn expect(&self, set: &SetId) -> Result<()> {
        if self.files(set).list().await?.is_empty() {
            return Err(Error::Refused(format!("there is no set {set}: `backup list` shows those that are there")));
        }
        Ok(())
    }

    /// All sets, the oldest first. One that is being made is not there yet.
    ///
    /// # Errors
    ///
    /// When the place does not answer.
    pub async fn entries(&self) -> Result<Vec<Entry>> {
        let read: Vec<_> = self.sets().await?.into_iter().map(|set| self.entry(set).boxed()).collect();
        let mut entries: Vec<Entry> = stream::iter(read).buffered(READERS).try_collect().await?;
        // What somebody has removed meanwhile is not damaged.
        if entries.iter().any(|entry| entry.manifest.is_err()) {
            let still_there = self.sets().await?;
            entries.retain(|entry| still_there.contains(&entry.set));
        }
        Ok(entries)
    }

    /// The names of all sets, the oldest first.
    async fn sets(&self) -> Result<Vec<SetId>> {
        if self.depot.directory().is_some() {
            return Ok(self.depot.below().await?.into_iter().filter_map(|name| name.parse().ok()).collect());
        }
        let sets = self.in_bucket().await?.into_iter();
        Ok(sets.filter(|(_, names)| was_published(names)).map(|(set, _)| set).collect())
    }

    /// The names of the files of each set in a bucket, which has no directories that could be listed alone.
    async fn in_bucket(&self) -> Result<BTreeMap<SetId, Vec<String>>> {
        let mut sets: BTreeMap<SetId, Vec<String>> = BTreeMap::new();
        for stored in self.depot.list().await? {
            let parts = stored.name.split_once('/').and_then(|(set, name)| Some((set.parse().ok()?, name)));
            if let Some((set, name)) = parts {
                sets.entry(set).or_default().push(name.to_owned());
            }
        }
        Ok(sets)
    }

    /// A set.
    ///
    /// # Errors
    ///
    /// When the place does not answer. What is there and cannot be read is no error, but told in the entry.
    pub async fn entry(&self, set: SetId) -> Result<Entry> {
        let files = self.files(&set);
        let manifest = match files.read(MANIFEST).await {
            Ok(text) => self.manifest(&set, &text).map_err(|why| format!("{MANIFEST}: {why}")),
            Err(error) if error.kind == ErrorKind::NotFound => Err(format!("{MANIFEST} is not there")),
            Err(error) => return Err(error.into()),
        };
        let state = State::of(self.found(&set, Finder::Verify).await?, self.found(&set, Finder::Drill).await?);
        Ok(Entry { set, manifest, state })
    }

    /// What somebody has written down who looked at a set; what cannot be read counts as if he had not.
    async fn found(&self, set: &SetId, by: Finder) -> Result<State> {
        let name = file_of(by);
        match self.files(set).read(name).await {
            Ok(text) => match Sealed::read::<State>(&text) {
                Ok(state) if state.set == *set => return Ok(state),
                _ => tracing::debug!(%set, "{name} is not what was written: it counts as if it were not there"),
            },
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(State::taken(set.clone()))
    }

    /// The manifest in a text, which is to be that of a set of ours.
    fn manifest(&self, set: &SetId, text: &[u8]) -> Result<Manifest, String> {
        /// What every form of manifest begins with.
        #[derive(Deserialize)]
        struct Beginning {
            format: u32,
        }

        let Beginning { format } = Sealed::read(text).map_err(why)?;
        if format > FORMAT {
            return Err(format!("it is of format {format}, and this build reads up to {FORMAT}: use a newer one"));
        }
        let manifest: Manifest = Sealed::read(text).map_err(why)?;
        if manifest.set != *set {
            return Err(format!("it is that of the set {}", manifest.set));
        }
        if manifest.deployment.id != self.of.id {
            return Err(format!("it is that of another deployment, {}", manifest.deployment.id));
        }
        match manifest.files.iter().find(|file| !is_plain(&file.name)) {
            Some(file) => Err(format!("it names a file outside of the set: {:?}", file.name)),
            None => Ok(manifest),
        }
    }

    /// Writes down what somebody has found who looked at a set, in place of what was found by the same means before.
    /// Returns the state of the set by all that is known.
    ///
    /// # Errors
    ///
    /// When the place does not take it.
    pub async fn mark(&self, by: Finder, found: &State) -> Result<State> {
        self.files(&found.set).write(file_of(by), Sealed::write(found)).await?;
        Ok(self.entry(found.set.clone()).await?.state)
    }

    /// Removes a set, in such an order that nobody takes what is left for one when this is cut short.
    ///
    /// # Errors
    ///
    /// When some of it may still be there; whoever begins the next set removes that.
    pub async fn remove(&self, set: &SetId) -> Result<()> {
        if let Some(place) = self.depot.directory() {
            let (from, to) = (place.join(set.as_str()), place.join(format!("{OLD}{set}")));
            let renamed = to.clone();
            let rename = move || match directory::rename(&from, &renamed) {
                Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
                done => Ok(done?),
            };
            blocking(rename).await?;
            fault_at("backup::remove").await?;
            return blocking(move || Ok(directory::remove(&to)?)).await;
        }
        let files = self.files(set);
        // Without a state it is one that was just taken, and without both none at all.
        files.remove(DRILL).await?;
        files.remove(STATE).await?;
        files.remove(MANIFEST).await?;
        fault_at("backup::remove").await?;
        let left: Vec<String> = files.list().await?.into_iter().map(|stored| stored.name).collect();
        Ok(files.remove_all(&left).await?)
    }

    fn draft_directory(&self, set: &SetId) -> Option<PathBuf> {
        self.depot.directory().map(|place| place.join(format!("{NEW}{set}")))
    }
}

fn file_of(by: Finder) -> &'static str {
    match by {
        Finder::Verify => STATE,
        Finder::Drill => DRILL,
    }
}

/// Whether a file of a set is its state.
pub(super) fn is_state(name: &str) -> bool {
    [STATE, DRILL].contains(&name)
}

/// Whether a set in a bucket with files of these names was whole once, even if its manifest is not there any more.
fn was_published(names: &[String]) -> bool {
    names.iter().any(|name| name == MANIFEST || is_state(name))
}

/// Whether a name is one of a file of a set, and leads nowhere else.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| !["", ".", ".."].contains(&part);
    name.split('/').all(is_part) && !name.contains(['\\', '\0'])
}

fn why(broken: archive::Broken) -> String {
    match broken {
        archive::Broken::Form(error) => format!("it cannot be read: {error}"),
        broken => broken.to_string(),
    }
}

/// Does what blocks on a thread where that is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Error::Failed { what: "work on files has ended".to_owned(), source: Some(error.into()) })
    })
}
