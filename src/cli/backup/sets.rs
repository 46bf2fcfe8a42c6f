//! Finding the set that is meant, with the database of the deployment or without it: when a backup is needed most,
//! it is gone.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::backup::{Entry, Level, Owner, SetId, Shelf, Workshop};
use crate::config::Config;
use crate::daemon::Parts;
use crate::model::BackendKind;
use crate::storage::Identity;

/// Which set is meant.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The newest that will do.
    Latest,
    /// This one.
    Set(SetId),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" { Ok(Self::Latest) } else { text.parse().map(Self::Set) }
    }
}

/// The deployment on each of its backends, as far as they say who they are; without any of them, why not.
pub(super) async fn identities(
    backend: Option<BackendKind>,
    config: &Config,
) -> anyhow::Result<Vec<(BackendKind, Identity)>> {
    let mut found = Vec::new();
    for kind in config.storage.kinds() {
        if backend.is_none_or(|backend| backend == kind) {
            let mut config = config.clone();
            config.storage.backends = vec![kind.name().to_owned()];
            let store = Arc::clone(&Parts::connected(&config).await?.runner(kind)?.store);
            found.push((kind, store.identity().await?));
        }
    }
    Ok(found)
}

/// The set that is meant, and the shelf that it is on. The latest is one that is proven as far as `at_least`.
pub(super) async fn find(
    wanted: &Wanted,
    at_least: Level,
    backend: Option<BackendKind>,
    shop: &Workshop,
    config: &Config,
) -> anyhow::Result<(Shelf, Entry)> {
    match wanted {
        Wanted::Set(set) => of_any(set, shop).await,
        Wanted::Latest => latest(at_least, &owner(backend, shop, config).await?).await,
    }
}

/// A set of whichever deployment has it.
async fn of_any(set: &SetId, shop: &Workshop) -> anyhow::Result<(Shelf, Entry)> {
    for deployment in shop.deployments().await? {
        let shelf = shop.shelf(deployment)?;
        if let Some(entry) = shelf.entries().await?.into_iter().find(|entry| entry.set == *set) {
            return Ok((shelf, entry));
        }
    }
    bail!("there is no set {set} in {}: `backup list` shows them", shop.depot()?.describe())
}

/// The shelf of the deployment, or of the only one that has backups in the place.
async fn owner(backend: Option<BackendKind>, shop: &Workshop, config: &Config) -> anyhow::Result<Shelf> {
    let asked = identities(backend, config).await;
    let deployments: Vec<Owner> = match asked {
        Ok(identities) => identities.into_iter().map(|(_, identity)| identity.into()).collect(),
        Err(error) => {
            tracing::warn!("the deployment does not say who it is: {error:#}");
            shop.deployments().await?
        }
    };
    match deployments.as_slice() {
        [one] => Ok(shop.shelf(one.clone())?),
        [] => bail!("there are no backups in {}", shop.depot()?.describe()),
        _ => bail!(
            "`latest` could be of any of {} deployments: write the id of a set, as `backup list` shows it, or --backend",
            deployments.len()
        ),
    }
}

async fn latest(at_least: Level, shelf: &Shelf) -> anyhow::Result<(Shelf, Entry)> {
    let entries = shelf.entries().await?;
    let will_do = |entry: &Entry| entry.manifest.is_ok() && entry.state.level() >= at_least;
    let newest = entries.into_iter().filter(will_do).max_by(|one, other| one.set.cmp(&other.set));
    let what = if at_least == Level::Taken { "backup" } else { "verified backup" };
    let newest =
        newest.with_context(|| format!("there is no {what} of the deployment in {}", shelf.depot().describe()));
    Ok((shelf.clone(), newest?))
}
