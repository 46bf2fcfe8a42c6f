//! What `pg_restore --list` says is in a dump.

use tokio::io::AsyncRead;

use super::dump::{DIRECTORY, STREAM};
use super::found;
use crate::backup::program::{Found, Program, Toolbox, feed};
use crate::backup::shelf::plain_name;
use crate::backup::{Desk, Error, Manifest, Result, Shelf};
use crate::work::Stop;

/// The file of a dump's table of contents.
const CONTENTS: &str = "toc.dat";

/// A dump's table of contents, as `pg_restore` shows it and takes it back.
#[derive(Clone, Debug)]
pub(super) struct Listing(String);

impl Listing {
    pub(super) fn new(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).into_owned())
    }

    /// The entries: `TABLE DATA public actors owner` and the like, each with its line.
    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| {
            let (number, rest) = line.split_once("; ")?;
            number.parse::<u32>().ok()?;
            // The object's numbers in the catalogue come before its kind.
            let mut parts = rest.splitn(3, ' ');
            let (_catalogue, _object, entry) = (parts.next()?, parts.next()?, parts.next()?);
            Some((entry, line))
        })
    }

    /// The schema and the name of each table whose rows are there.
    fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().filter_map(|(entry, _)| {
            let mut words = entry.strip_prefix("TABLE DATA ")?.split(' ');
            Some((words.next()?, words.next()?))
        })
    }

    /// The schema that the rows of `table` are in.
    pub(super) fn schema_of(&self, table: &str) -> Option<&str> {
        self.tables().find(|(_, name)| *name == table).map(|(schema, _)| schema)
    }

    /// What is missing, if anything is.
    pub(super) fn problem<'a>(&self, tables: impl IntoIterator<Item = &'a String>) -> Option<String> {
        let missing: Vec<&str> =
            tables.into_iter().map(String::as_str).filter(|table| self.schema_of(table).is_none()).collect();
        (!missing.is_empty()).then(|| format!("the dump has no rows of {}", missing.join(", ")))
    }

    /// The same without the schema itself, which is there before anything is restored into it: `public` always is,
    /// and making it again would be an error.
    pub(super) fn without_schema(&self) -> String {
        let kept = self.entries().filter(|(entry, _)| {
            !["SCHEMA - ", "COMMENT - SCHEMA ", "ACL - SCHEMA "].iter().any(|kind| entry.starts_with(kind))
        });
        kept.map(|(_, line)| format!("{line}\n")).collect()
    }
}

/// The program that lists dumps, and restores them: not older than the one that made this one, or than the server.
pub(super) async fn pg_restore(desk: Desk<'_>, manifest: &Manifest, server: u32) -> Result<Found> {
    let client = manifest.versions.client.as_deref();
    let made_by = client.and_then(|text| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    Toolbox::of(&desk.shop.settings).find("pg_restore", made_by.unwrap_or(0).max(server), desk.stop).await
}

/// Lists a dump that is a directory.
pub(super) async fn of_directory(pg_restore: Program, directory: &std::path::Path, stop: &Stop) -> Result<Listing> {
    Ok(Listing::new(&pg_restore.argument("--list").argument(directory).output(stop).await?))
}

/// Lists a dump that is a stream, of which no more is read than is needed.
pub(super) async fn of_stream(pg_restore: Program, stream: impl AsyncRead + Unpin, stop: &Stop) -> Result<Listing> {
    let mut lister = pg_restore.argument("--list").reading().writing().start()?;
    let stdin = lister.stdin();
    let feeding = async {
        let Some(stdin) = stdin else { return Ok(()) };
        feed(stream, stdin)
            .await
            .map_err(|error| Error::Failed { what: "cannot read the dump".to_owned(), source: Some(error.into()) })
    };
    let (listed, fed) = futures_util::future::join(lister.output(stop), feeding).await;
    fed?;
    Ok(Listing::new(&listed?))
}

/// Whether a dump has what it must have.
pub(super) async fn inspect(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    let program = pg_restore(desk, manifest, 0).await?.program();
    let listing = if is_stream(manifest) {
        of_stream(program, shelf.read(manifest, STREAM).await?, desk.stop).await
    } else {
        // Nothing else is read for a list.
        let contents = format!("{DIRECTORY}/{CONTENTS}");
        let files = manifest.files.iter().filter(|file| plain_name(manifest, file) == contents).cloned().collect();
        let fetched = shelf.fetch(&Manifest { files, ..manifest.clone() }).await?;
        of_directory(program, &fetched.directory().join(DIRECTORY), desk.stop).await
    };
    match listing {
        Ok(listing) => Ok(listing.problem(manifest.tables.keys())),
        Err(error) => found(error),
    }
}

/// Whether the dump is one stream, as those are that are encrypted.
pub(super) fn is_stream(manifest: &Manifest) -> bool {
    manifest.files.iter().any(|file| plain_name(manifest, file) == STREAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ";\n; Archive created at 2026-11-28 05:30:00 UTC\n;     dbname: actingweb\n;\n\
        5; 2615 2200 SCHEMA - public pg_database_owner\n\
        3461; 0 0 COMMENT - SCHEMA public pg_database_owner\n\
        215; 1259 16385 TABLE public actors an owner\n\
        3455; 0 16385 TABLE DATA public actors an owner\n\
        3304; 2606 16391 CONSTRAINT public actors actors_pkey an owner\n";

    #[test]
    fn what_is_missing_is_told_and_the_schema_left_out() {
        let listing = Listing::new(TEXT.as_bytes());
        assert_eq!(listing.schema_of("actors"), Some("public"));
        assert_eq!(listing.problem(&["actors".to_owned()]), None);
        let problem = listing.problem(&["actors".to_owned(), "trusts".to_owned()]);
        assert_eq!(problem.as_deref(), Some("the dump has no rows of trusts"));
        let kept = listing.without_schema();
        assert_eq!(kept.lines().count(), 3, "{kept}");
        assert!(kept.starts_with("215; "), "{kept}");
    }
}
