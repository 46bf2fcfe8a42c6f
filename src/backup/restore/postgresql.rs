//! Restoring a set of PostgreSQL.

use std::sync::Arc;
use std::time::Instant;

use super::{Restored, finish, mark, refuse_other_mark, refuse_tables, why};
use crate::backup::compare;
use crate::backup::point::fault_at;
use crate::backup::program::{Toolbox, feed};
use crate::backup::scratch::{from_base, major_of, postgres_at, schema_of};
use crate::backup::{Desk, Error, Form, Manifest, Result, Shelf, postgresql};
use crate::storage::postgres::{Postgres, Settings, Site, make_schema};
use crate::storage::{Backend, Home, Incomplete, Upkeep};

pub(super) async fn restore(
    desk: Desk<'_>,
    shelf: &Shelf,
    manifest: &Manifest,
    into: &str,
    settings: &Settings,
) -> Result<Restored> {
    if manifest.form == Form::Tool {
        return Err(Error::Refused(format!(
            "the set {} is kept by another tool, which alone can restore it",
            manifest.set
        )));
    }
    let digests = compare::digests_in(shelf, manifest).await?;
    let store = postgres_at(desk, settings.clone())?;
    let site = store.site().await?;
    refuse_unfit(desk, shelf, manifest, into, &site)?;
    match earlier_mark(&store).await? {
        Some(mark) => refuse_other_mark(manifest, into, &mark)?,
        None => refuse_tables(into, &site.tables)?,
    }
    store.apply(false).await?;
    mark(desk, manifest, into, &*store).await?;
    // There is nothing unless an earlier attempt was cut off.
    store.remove_incomplete(&why(manifest)).await?;
    fault_at("backup::restore").await?;
    desk.progress.expect(manifest.rows().unwrap_or_default());
    let begun = Instant::now();
    let place = Backend::Postgresql(Arc::clone(&store));
    let (seconds, compared) = if manifest.form == Form::Physical {
        let scratch = from_base(desk, shelf, manifest).await?;
        let moved = async {
            // A physical set has no digests: what it is restored from is what it is compared with.
            move_schema(desk, manifest, &scratch.settings, settings, &site).await?;
            let seconds = begun.elapsed().as_secs_f64();
            let digests = compare::digests_of(desk, &scratch.place).await?;
            Ok((seconds, compare::compare(desk, &place, &digests).await?))
        };
        let moved: Result<_> = moved.await;
        scratch.remove(shelf).await?;
        moved?
    } else {
        postgresql::restore(desk, shelf, manifest, &settings.past_the_pooler()).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let compared = match &digests {
            Some(digests) => compare::compare(desk, &place, digests).await?,
            None => compare::count(desk, &place, manifest).await?,
        };
        (seconds, compared)
    };
    let rows = finish(manifest, into, &*store, compared).await?;
    let compared = digests.is_some() || manifest.form == Form::Physical;
    Ok(Restored { set: manifest.set.clone(), place: store.describe(), rows, seconds, compared })
}

/// Refuses what cannot take the set, or must not.
fn refuse_unfit(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, into: &str, site: &Site) -> Result<()> {
    let is_home = shelf.of().home.iter().chain([&manifest.deployment.home]).any(|home| {
        matches!(home, Home::Postgresql { system_identifier, database }
            if *system_identifier == site.system_identifier && *database == site.database)
    });
    let ids = [shelf.of().id, manifest.deployment.id];
    if is_home || site.deployment.is_some_and(|id| ids.contains(&id)) {
        return Err(Error::Refused(format!(
            "the target `{into}` is the deployment itself: name another database, and change over when it is complete"
        )));
    }
    if site.is_standby {
        return Err(Error::Refused(format!("the target `{into}` is a standby, which nothing can be written to")));
    }
    let schema = schema_of(desk, manifest);
    if site.schema != schema {
        return Err(Error::Refused(format!(
            "the tables of the set {} are in the schema {schema}, and the target `{into}` looks for them in {}: set \
             targets.{into}.schema = \"{schema}\"",
            manifest.set, site.schema
        )));
    }
    Ok(())
}

/// The mark of an earlier attempt, if there is one. Without tables of ours there is none.
async fn earlier_mark(store: &Postgres) -> Result<Option<Incomplete>> {
    let status = Upkeep::schema(store).await?;
    if !status.is_current() {
        return Ok(None);
    }
    Ok(store.incomplete().await?)
}

/// Moves the deployment's tables from one database to another, with whatever else lies in their schema.
async fn move_schema(desk: Desk<'_>, manifest: &Manifest, from: &Settings, to: &Settings, site: &Site) -> Result<()> {
    if !site.has_schema {
        make_schema(&to.past_the_pooler()).await?;
    }
    let newest = major_of(manifest).unwrap_or_default().max(site.major);
    let found = Toolbox::of(&desk.shop.settings).find("pg_dump", newest, desk.stop).await?;
    let mut dump = found
        .program()
        .arguments(["--format=custom", "--compress=0", "--no-owner", "--no-privileges"])
        .argument(format!("--table=\"{}\".*", from.schema.replace('"', "\"\"")))
        .connecting(from)
        .writing()
        .start()?;
    let mut restore = found
        .beside("pg_restore")
        .arguments(["--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces", "--clean", "--if-exists"])
        .argument(format!("--dbname={}", postgresql::conninfo(&to.dbname)))
        .connecting(&to.past_the_pooler())
        .reading()
        .start()?;
    let (stdout, stdin) = (dump.stdout(), restore.stdin());
    let passing = async {
        let (Some(stdout), Some(stdin)) = (stdout, stdin) else { return Ok(()) };
        let passed = feed(stdout, stdin).await;
        passed.map_err(|error| Error::Failed {
            what: "cannot read what pg_dump writes".to_owned(),
            source: Some(error.into()),
        })
    };
    let dumping = async { dump.beside(desk.stop, passing).await.map(drop) };
    restore.beside(desk.stop, dumping).await.map(drop)
}
