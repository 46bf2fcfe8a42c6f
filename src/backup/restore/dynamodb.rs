//! Restoring a set of DynamoDB.

use std::sync::Arc;
use std::time::Instant;

use super::{Restored, finish, mark, refuse_other_mark, refuse_tables};
use crate::backup::compare;
use crate::backup::point::fault_at;
use crate::backup::scratch::dynamodb_at;
use crate::backup::{Desk, Error, Form, Manifest, Result, Shelf, dynamodb};
use crate::storage::dynamodb::Settings;
use crate::storage::{Backend, Home, Upkeep};

pub(super) async fn restore(
    desk: Desk<'_>,
    shelf: &Shelf,
    manifest: &Manifest,
    into: &str,
    settings: &Settings,
) -> Result<Restored> {
    if manifest.form == Form::Export {
        return Err(Error::Refused(format!(
            "the set {} is an export of DynamoDB to S3: have DynamoDB import it into new tables",
            manifest.set
        )));
    }
    let deployment = &desk.shop.storage.dynamodb;
    let is_deployment = (&settings.table_prefix, &settings.region, &settings.endpoint_url)
        == (&deployment.table_prefix, &deployment.region, &deployment.endpoint_url);
    if is_deployment {
        return Err(itself(into));
    }
    let digests = compare::digests_in(shelf, manifest).await?;
    let store = dynamodb_at(desk, settings.clone());
    let status = store.schema_status().await?;
    // Without a table of ours it is no deployment that we know, and has no mark.
    let earlier = if status.maintd_version.is_some() {
        refuse_deployment(shelf, manifest, into, &store.identity().await?.home)?;
        store.incomplete().await?
    } else {
        None
    };
    match earlier {
        Some(mark) => refuse_other_mark(manifest, into, &mark)?,
        None => refuse_tables(into, &status.tables)?,
    }
    store.apply(false).await?;
    mark(desk, manifest, into, &*store).await?;
    fault_at("backup::restore").await?;
    if manifest.form != Form::Native {
        store.apply(true).await?;
    }
    desk.progress.expect(manifest.rows().unwrap_or_default());
    let begun = Instant::now();
    // Rows that an earlier attempt has written are written again.
    dynamodb::restore(desk, shelf, manifest, &store).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let place = Backend::Dynamodb(Arc::clone(&store));
    let compared = match &digests {
        Some(digests) => compare::compare(desk, &place, digests).await?,
        None => compare::count(desk, &place, manifest).await?,
    };
    let rows = finish(manifest, into, &*store, compared).await?;
    Ok(Restored { set: manifest.set.clone(), place: store.describe(), rows, seconds, compared: digests.is_some() })
}

/// Refuses tables that are those of the deployment, by account, region and prefix.
fn refuse_deployment(shelf: &Shelf, manifest: &Manifest, into: &str, home: &Home) -> Result<()> {
    let is_home = shelf.of().home.iter().chain([&manifest.deployment.home]).any(|known| known == home);
    if is_home { Err(itself(into)) } else { Ok(()) }
}

fn itself(into: &str) -> Error {
    Error::Refused(format!(
        "the target `{into}` is the deployment itself: set another targets.{into}.table_prefix, and change over when \
         it is complete"
    ))
}
