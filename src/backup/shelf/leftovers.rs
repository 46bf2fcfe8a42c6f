//! What is left over from backups that were killed.

use super::{NEW, OLD, Shelf, blocking, staging, was_published};
use crate::archive::directory;
use crate::backup::{Result, SetId};

impl Shelf {
    /// Removes what is left over from earlier backups of this deployment, and nothing else. Nobody else may be
    /// making one.
    ///
    /// # Errors
    ///
    /// When some of it may still be there.
    pub(super) async fn sweep(&self) -> Result<()> {
        let (work_dir, of) = (self.shop.work_dir().to_path_buf(), self.of.id);
        blocking(move || Ok(staging::sweep(&work_dir, of)?)).await?;
        match self.depot.directory() {
            Some(_) => self.sweep_directory().await,
            None => self.sweep_bucket().await,
        }
    }

    async fn sweep_directory(&self) -> Result<()> {
        let Some(place) = self.depot.directory() else { return Ok(()) };
        for name in self.depot.below().await? {
            let rest = [NEW, OLD].iter().find_map(|prefix| name.strip_prefix(prefix));
            if rest.is_some_and(|rest| rest.parse::<SetId>().is_ok()) {
                let path = place.join(&name);
                blocking(move || Ok(directory::remove(&path)?)).await?;
                tracing::info!(
                    name,
                    place = self.depot.describe(),
                    "removed what a backup that was cut short left over"
                );
            }
        }
        Ok(())
    }

    async fn sweep_bucket(&self) -> Result<()> {
        for (set, names) in self.in_bucket().await? {
            // One that has only lost its manifest is no leftover, but damaged.
            if was_published(&names) {
                continue;
            }
            self.files(&set).remove_all(&names).await?;
            let (files, place) = (names.len(), self.depot.describe());
            tracing::info!(%set, files, place, "removed what a backup that was cut short left over");
        }
        Ok(())
    }
}
