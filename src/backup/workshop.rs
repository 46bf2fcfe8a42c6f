//! What everybody needs who has to do with backups.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Bucket, Error, Owner, Result, Settings, Shelf};
use crate::archive::{Access, Depot};
use crate::model::Indexing;
use crate::storage::{self, Target};
use crate::throttle::Budget;
use crate::work::{Progress, Stop};

/// What everybody needs who has to do with backups, by the configuration.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// `[backup]`
    pub settings: Settings,
    /// `[storage]`: the deployment itself, with how programs reach it.
    pub storage: storage::Settings,
    /// `[targets]`: other places.
    pub targets: BTreeMap<String, Target>,
    /// What people call the deployment.
    pub name: Option<String>,
    /// This host.
    pub host: String,
}

impl Workshop {
    /// The sets of a deployment.
    ///
    /// # Errors
    ///
    /// When no place is configured, or it cannot be opened.
    pub fn shelf(&self, of: impl Into<Owner>) -> Result<Shelf> {
        let of = of.into();
        Ok(Shelf::new(self.depot()?.within(&of.id.to_string()), of, self.clone()))
    }

    /// Where all sets are.
    ///
    /// # Errors
    ///
    /// When no place is configured, or it cannot be opened.
    pub fn depot(&self) -> Result<Depot> {
        let Some(place) = &self.settings.r#where else {
            let why = "no place for backups is configured: write `where` below [backup], a directory or a bucket";
            return Err(Error::Refused(why.to_owned()));
        };
        let Bucket { endpoint_url, region } = self.settings.bucket.clone();
        let variables = Access::variables_of_this_process();
        Ok(Depot::open(place, &Access { endpoint_url, region, variables })?)
    }

    /// A directory for what is there for a while only.
    pub fn work_dir(&self) -> &Path {
        &self.settings.work_dir
    }

    /// How actors are found by what they store.
    pub fn indexing(&self) -> Indexing {
        self.storage.indexing()
    }
}

/// Where somebody works who makes or proves a backup: what there is to heed.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// Who configures it.
    pub shop: &'a Workshop,
    /// Asked between steps, and while programs run.
    pub stop: &'a Stop,
    /// Kept up to date for whoever watches: in rows, and where a set is verified in bytes.
    pub progress: &'a Progress,
    /// What may be used of the store together with others, where it bills.
    pub budget: &'a Budget,
}

impl<'a> Desk<'a> {
    /// The same with other progress: for a part of the work that counts something else.
    #[must_use]
    pub fn counting(self, progress: &'a Progress) -> Self {
        Self { progress, ..self }
    }
}
