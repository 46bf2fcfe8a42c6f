//! `pg_dump`: into a directory by several connections, or as one stream that is encrypted on its way.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};

use super::direct;
use super::listing::Listing;
use crate::backup::program::{Found, Program};
use crate::backup::{Compression, CompressionKind, Desk, Draft, Error, Result, Sheet};
use crate::storage::postgres::Origin;

/// The directory of the dump in a set.
pub(super) const DIRECTORY: &str = "dump";

/// The file of the dump in a set that is encrypted.
pub(super) const STREAM: &str = "dump.pgc";

/// The file with roles and tablespaces.
const GLOBALS: &str = "globals.sql";

/// What was dumped.
#[derive(Debug)]
pub(super) struct Dumped {
    /// How it is compressed.
    pub(super) compression: Option<String>,
}

/// Dumps the application's schema as it is in the snapshot.
pub(super) async fn dump(desk: Desk<'_>, draft: &Draft, origin: &Origin, pg_dump: &Found) -> Result<Dumped> {
    let settings = &desk.shop.settings.postgresql;
    let compression = compression(desk, pg_dump).await?;
    let program = pg_dump
        .program()
        .connecting(&direct(desk))
        .argument(format!("--snapshot={}", origin.name))
        // A pattern in quotes is a name.
        .argument(format!("--schema=\"{}\"", origin.schema.replace('"', "\"\"")))
        .arguments(["--strict-names", "--no-password", "--lock-wait-timeout=30000"])
        .argument(format!("--compress={}", level(compression, pg_dump.version.major)));
    if draft.is_encrypted() {
        stream(desk, draft, program, pg_dump).await?;
    } else {
        let program = program
            .arguments(["--format=directory", "--no-sync"])
            .argument(format!("--jobs={}", settings.jobs))
            .argument("--file")
            .argument(draft.directory().join(DIRECTORY));
        let said = program.run(desk.stop).await?;
        if !said.is_empty() {
            tracing::info!(said, "pg_dump has something to say");
        }
    }
    if settings.globals {
        globals(desk, draft, pg_dump).await?;
    }
    Ok(Dumped { compression: (compression.kind != CompressionKind::None).then(|| compression.to_string()) })
}

/// What compresses, as this client can. The fastest gzip takes the place of a zstd that it has not, as it comes nearest to
/// its speed.
async fn compression(desk: Desk<'_>, pg_dump: &Found) -> Result<Compression> {
    let wanted = desk.shop.settings.postgresql.compression;
    if wanted.kind != CompressionKind::Zstd || has_zstd(desk, pg_dump).await? {
        return Ok(wanted);
    }
    let instead = Compression { kind: CompressionKind::Gzip, level: Some(1) };
    tracing::info!("pg_dump {} has no zstd: it compresses with {instead}", pg_dump.version);
    Ok(instead)
}

/// Whether a `pg_dump` has zstd: from PostgreSQL 16 on, if it was built with it. What it lacks it says before it connects,
/// so it is sent where nobody answers.
async fn has_zstd(desk: Desk<'_>, pg_dump: &Found) -> Result<bool> {
    if pg_dump.version.major < 16 {
        return Ok(false);
    }
    let nowhere = ["--host=/dev/null", "--no-password", "--file=/dev/null", "--format=custom", "--compress=zstd"];
    match pg_dump.program().arguments(nowhere).output(desk.stop).await {
        Err(Error::Stopped) => Err(Error::Stopped),
        // In the words of the C locale, in which programs run.
        Err(error) => Ok(!error.chain().contains("does not support compression")),
        Ok(_) => Ok(true),
    }
}

/// Compression as an argument: older clients know levels of gzip only.
fn level(compression: Compression, client: u32) -> String {
    match (compression.kind, compression.level) {
        (CompressionKind::None, _) => "0".to_owned(),
        (_, level) if client < 16 => level.unwrap_or(6).to_string(),
        _ => compression.to_string(),
    }
}

/// Dumps in one stream, of which nothing lies on a disk as it is. Its table of contents is read on the way.
async fn stream(desk: Desk<'_>, draft: &Draft, program: Program, pg_dump: &Found) -> Result<()> {
    let mut sheet = draft.create(STREAM).await?;
    let mut lister = pg_dump.beside("pg_restore").argument("--list").reading().writing().start()?;
    let mut dumper = program.argument("--format=custom").writing().start()?;
    let (stdout, stdin) = (dumper.stdout(), lister.stdin());
    let copying = async {
        let (listed, copied) =
            futures_util::future::join(lister.output(desk.stop), copy(stdout, &mut sheet, stdin)).await;
        copied?;
        // Whether it could be listed is asked when it is known that the dump did not break off.
        Ok(listed)
    };
    let (listed, _said) = dumper.beside(desk.stop, copying).await?;
    let listing = Listing::new(&listed?);
    if listing.schema_of("actors").is_none() {
        return Err(Error::failed("the dump that was written has no rows of actors"));
    }
    sheet.finish().await
}

/// Copies what a program writes into the set, and its beginning to whoever wants to know what it is.
async fn copy(from: Option<ChildStdout>, sheet: &mut Sheet, mut also: Option<ChildStdin>) -> Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut chunk = vec![0; 128 * 1024];
    loop {
        let read = from.read(&mut chunk).await.map_err(|error| broken("read the dump", error))?;
        if read == 0 {
            return Ok(());
        }
        let written = sheet.sink().write_all(&chunk[..read]).await;
        written.map_err(|error| broken("write the dump", error))?;
        if let Some(stdin) = &mut also
            && stdin.write_all(&chunk[..read]).await.is_err()
        {
            also = None;
        }
    }
}

/// Writes roles and tablespaces down, without passwords.
async fn globals(desk: Desk<'_>, draft: &Draft, pg_dump: &Found) -> Result<()> {
    let program = pg_dump.beside("pg_dumpall").connecting(&direct(desk)).arguments([
        "--globals-only",
        "--no-role-passwords",
        "--no-password",
    ]);
    let text = program.output(desk.stop).await?;
    let mut sheet = draft.create(GLOBALS).await?;
    sheet.sink().write_all(&text).await.map_err(|error| broken("write roles and tablespaces", error))?;
    sheet.finish().await
}

fn broken(what: &str, error: std::io::Error) -> Error {
    Error::Failed { what: format!("cannot {what}"), source: Some(error.into()) }
}
