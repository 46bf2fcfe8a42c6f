//! `pg_restore`: a logical set into a database.

use std::fs;
use std::time::Duration;

use super::dump::{DIRECTORY, STREAM};
use super::listing::{self, is_stream};
use crate::backup::program::{Program, feed};
use crate::backup::scratch::postgres_at;
use crate::backup::{Desk, Error, Manifest, Result, Shelf};
use crate::storage::postgres::{self, Settings};

/// How long connections that are not needed any more may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Restores a logical set into the database that `into` describes, in which none of its tables are; or some, if it
/// is marked as incomplete: then they are left over from an earlier try, and replaced.
///
/// # Errors
///
/// When a program failed or somebody asked to stop; what has been restored stays there.
pub async fn restore(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, into: &Settings) -> Result<()> {
    let into = into.past_the_pooler();
    let store = postgres_at(desk, into.clone())?;
    let site = store.site().await;
    store.close(CLOSING).await;
    let site = site?;
    if !site.tables.is_empty() && !site.is_incomplete {
        return Err(Error::Refused(format!(
            "{} on {}:{} has tables of ActingWeb in the schema {}, and nothing may be restored over them: name an \
             empty database",
            into.dbname, into.host, into.port, site.schema
        )));
    }
    let program = listing::pg_restore(desk, manifest, site.major).await?;
    let fetched = if is_stream(manifest) { None } else { Some(shelf.fetch(manifest).await?) };
    let listing = match &fetched {
        Some(fetched) => {
            listing::of_directory(program.program(), &fetched.directory().join(DIRECTORY), desk.stop).await?
        }
        None => listing::of_stream(program.program(), shelf.read(manifest, STREAM).await?, desk.stop).await?,
    };
    if let Some(what) = listing.problem(manifest.tables.keys()) {
        return Err(Error::Damaged { set: manifest.set.to_string(), what });
    }
    let schema = listing.schema_of("actors").unwrap_or_default();
    if schema != site.schema {
        return Err(Error::Refused(format!(
            "the set has its tables in the schema {schema} and the target's is {}: write schema = \"{schema}\" for the \
             target",
            site.schema
        )));
    }
    if !site.has_schema {
        postgres::make_schema(&into).await?;
    }
    let staging = shelf.stage(0).await?;
    let list = staging.files().join("list");
    fs::write(&list, listing.without_schema()).map_err(|error| Error::Failed {
        what: format!("cannot write {}", list.display()),
        source: Some(error.into()),
    })?;
    let mut restorer = program
        .program()
        .connecting(&into)
        .arguments(["--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-password"])
        .argument(format!("--use-list={}", list.display()))
        .argument(format!("--dbname={}", conninfo(&into.dbname)));
    if site.is_incomplete {
        restorer = restorer.arguments(["--clean", "--if-exists"]);
    }
    match &fetched {
        Some(fetched) => {
            let jobs = desk.shop.settings.postgresql.jobs;
            let dump = fetched.directory().join(DIRECTORY);
            restorer.argument(format!("--jobs={jobs}")).argument(dump).run(desk.stop).await?;
        }
        None => from_stream(desk, shelf, manifest, restorer).await?,
    }
    Ok(())
}

/// Restores from a stream, which only one connection can.
async fn from_stream(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, restorer: Program) -> Result<()> {
    let stream = shelf.read(manifest, STREAM).await?;
    let mut running = restorer.argument("--format=custom").reading().start()?;
    let stdin = running.stdin();
    let feeding = async {
        let Some(stdin) = stdin else { return Ok(()) };
        // At its end the stream says whether it was what was written.
        let fed = feed(stream, stdin).await;
        fed.map_err(|error| Error::Failed { what: "cannot read the dump".to_owned(), source: Some(error.into()) })
    };
    running.beside(desk.stop, feeding).await.map(|((), _said)| ())
}

/// The database's name where a connection string is taken as well.
pub(in crate::backup) fn conninfo(dbname: &str) -> String {
    format!("dbname='{}'", dbname.replace('\\', "\\\\").replace('\'', "\\'"))
}
