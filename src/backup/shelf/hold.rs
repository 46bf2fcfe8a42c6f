//! Showing others that a set is in use.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Shelf;
use crate::archive::{Depot, Sealed};
use crate::backup::{Result, SetId};
use crate::model::clock;

/// How a mark's name begins; it goes on with something random.
const MARK: &str = "in-use-";
/// How long a mark counts, if whoever made it dies.
const LIFE: TimeDelta = TimeDelta::hours(1);
/// How often a mark is renewed.
const RENEWAL: Duration = Duration::from_secs(10 * 60);

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Who uses the set: host and process.
    pub by: String,
    /// What for.
    pub why: String,
    /// Until when this counts.
    pub until: DateTime<Utc>,
}

/// A mark that a set is in use.
#[derive(Debug)]
pub struct Hold {
    /// Tells the keeper to take the mark away, by its end.
    release: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Hold {
    /// Takes the mark away and waits until that has been done. Who drops a hold does not wait.
    pub async fn release(self) {
        drop(self.release);
        if let Err(error) = self.keeper.await {
            tracing::warn!(%error, "the mark that a backup is in use stays for an hour");
        }
    }
}

impl Shelf {
    /// Shows others that a set is in use, until the value returned is dropped, so that nobody removes it.
    ///
    /// # Errors
    ///
    /// When the place does not take the mark.
    pub async fn hold(&self, set: &SetId, why: &str) -> Result<Hold> {
        let files = self.files(set);
        let name = format!("{MARK}{}.json", Uuid::new_v4().simple());
        let by = format!("{}, process {}", self.shop.host, std::process::id());
        let why = why.to_owned();
        let mark = move || Sealed::write(&Held { by: by.clone(), why: why.clone(), until: clock::now() + LIFE });
        files.write(&name, mark()).await?;
        let (release, released) = oneshot::channel();
        let keeper = tokio::spawn(keep(files, name, mark, released));
        Ok(Hold { release, keeper })
    }

    /// Who uses a set right now, if anybody does. Marks of those who have died are removed.
    ///
    /// # Errors
    ///
    /// When the place does not answer.
    pub async fn held(&self, set: &SetId) -> Result<Option<Held>> {
        let files = self.files(set);
        let mut held = None;
        for stored in files.list().await?.into_iter().filter(|stored| is_mark(&stored.name)) {
            let text = match files.read(&stored.name).await {
                Err(error) if error.kind == crate::archive::ErrorKind::NotFound => continue,
                text => text?,
            };
            // One that cannot be read may be somebody's all the same.
            let unknown =
                || Held { by: "somebody".to_owned(), why: stored.name.clone(), until: stored.modified + LIFE };
            let mark = Sealed::read(&text).unwrap_or_else(|_| unknown());
            if mark.until > clock::now() {
                held = Some(mark);
            } else {
                files.remove(&stored.name).await?;
                tracing::info!(%set, by = mark.by, "removed the mark of somebody who has died while using a backup");
            }
        }
        Ok(held)
    }
}

/// Whether a file of a set is a mark.
pub(in crate::backup) fn is_mark(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Renews a mark until it is released.
async fn keep(files: Depot, name: String, mark: impl Fn() -> String, mut released: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut released => break,
            () = tokio::time::sleep(RENEWAL) => {}
        }
        if let Err(error) = files.write(&name, mark()).await {
            tracing::warn!(error = error.chain(), "cannot renew the mark that a backup is in use; trying again later");
        }
    }
    if let Err(error) = files.remove(&name).await {
        tracing::warn!(error = error.chain(), "the mark that a backup is in use stays for an hour");
    }
}
