//! A physical backup: the files of the whole cluster, as `pg_basebackup` copies them, with the write-ahead log that
//! makes them consistent.

use tokio::io::AsyncWriteExt;

use super::{direct, extent, found, room, same_cluster};
use crate::backup::cluster::base::{self, Unpacked};
use crate::backup::program::Toolbox;
use crate::backup::{CompressionKind, Consistency, Desk, Draft, Error, Manifest, Result, Shelf, Taken, Versions};
use crate::storage::postgres::{Postgres, Replication};

/// The directory of the files in a set.
pub(super) const DIRECTORY: &str = "base";

/// What `pg_basebackup` writes of what it has copied, with a checksum of every file.
pub(super) const CHECKSUMS: &str = "backup_manifest";

/// One connection copies, another one follows the write-ahead log.
const CONNECTIONS: i64 = 2;

/// Files of a cluster take about this part of their space when they are compressed.
const COMPRESSED: u64 = 3;

pub(super) async fn take(desk: Desk<'_>, store: &Postgres, draft: &Draft) -> Result<Taken> {
    if draft.is_encrypted() {
        return Err(Error::Refused(
            "physical backups cannot be encrypted here: set backup.postgresql.method = \"logical\", take \
             backup.encryption.recipients out, or let a tool encrypt them with method = \"tool\""
                .to_owned(),
        ));
    }
    let settings = direct(desk);
    let server = store.replication().await?;
    same_cluster(draft.shelf().of(), &settings, server.system_identifier)?;
    if let Some(why) = refusal(&server, &settings.user) {
        return Err(Error::Refused(why));
    }
    let level = level(desk);
    room::ensure(desk, draft.directory(), if level == 0 { server.bytes } else { server.bytes / COMPRESSED })?;
    let program = Toolbox::of(&desk.shop.settings).find("pg_basebackup", server.major, desk.stop).await?;
    let mut copier = program
        .program()
        .connecting(&settings)
        .arguments(["--format=tar", "--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256"])
        .arguments(["--no-password", "--no-sync"])
        .argument(format!("--label={}", draft.set()))
        .argument("--pgdata")
        .argument(draft.directory().join(DIRECTORY));
    if level > 0 {
        copier = copier.argument(format!("--compress={level}"));
    }
    let said = copier.run(desk.stop).await.map_err(explained)?;
    if !said.is_empty() {
        tracing::info!(said, "pg_basebackup has something to say");
    }
    Ok(Taken {
        // It is of the moment when copying ended; but only what was there at its beginning is promised.
        at: server.at,
        consistency: Consistency::Snapshot,
        versions: Versions { server: Some(server.version), client: Some(program.version.text), ..Versions::default() },
        compression: (level > 0).then(|| format!("gzip:{level}")),
        rows: Default::default(),
        digests: Default::default(),
        parts: Vec::new(),
    })
}

/// The level of gzip, 0 for none. Files of a cluster are unpacked by `tar`, and gzip is what it has everywhere; the
/// fastest comes nearest to the speed of zstd.
fn level(desk: Desk<'_>) -> u8 {
    let compression = desk.shop.settings.postgresql.compression;
    match compression.kind {
        CompressionKind::None => 0,
        CompressionKind::Gzip => compression.level.unwrap_or(6),
        CompressionKind::Zstd => 1,
    }
}

/// Why the files cannot be copied as `user`, and behind a colon what to do about it; nothing if they can.
pub fn refusal(server: &Replication, user: &str) -> Option<String> {
    if server.wal_level == "minimal" {
        return Some(
            "the server has wal_level = minimal, and a copy of its files needs more to become consistent: set wal_level \
             = replica in postgresql.conf and restart it"
                .to_owned(),
        );
    }
    if server.senders < CONNECTIONS {
        return Some(format!(
            "the server has max_wal_senders = {}, and a copy of its files needs {CONNECTIONS}: raise it in \
             postgresql.conf and restart it",
            server.senders
        ));
    }
    (!server.may).then(|| {
        format!(
            "the role {user} may not copy the server's files: as a superuser, ALTER ROLE \"{user}\" REPLICATION, and let \
             it in with a line for `replication` in pg_hba.conf"
        )
    })
}

/// What the server's refusal of a replication connection means.
fn explained(error: Error) -> Error {
    match error {
        Error::Failed { what, source } if what.contains("pg_hba.conf") => Error::Failed {
            what: format!("{what}; add a line for the database `replication` to pg_hba.conf on the server"),
            source,
        },
        other => other,
    }
}

/// Unpacks the set where nobody else can look, and has `pg_verifybackup` read all of it.
pub(super) async fn inspect(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    let server = manifest.versions.server.as_deref().unwrap_or_default();
    let major = server.split('.').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let verifier = Toolbox::of(&desk.shop.settings).find("pg_verifybackup", major, desk.stop).await?;
    let staging = shelf.stage(extent::unpacked(shelf, manifest).await?).await?;
    let unpacked = Unpacked::below(staging.files());
    if let Err(error) = base::unpack(desk, shelf, manifest, &unpacked).await {
        return found(error);
    }
    let checksums = staging.files().join(CHECKSUMS);
    let (data, copied) = (unpacked.data().to_path_buf(), checksums.clone());
    let mut written = shelf.read(manifest, &format!("{DIRECTORY}/{CHECKSUMS}")).await?;
    let copy = async {
        let mut file = tokio::fs::File::create_new(&copied).await?;
        tokio::io::copy(&mut written, &mut file).await?;
        file.flush().await
    };
    copy.await.map_err(|error| Error::reading(&manifest.set, CHECKSUMS, error))?;
    let brought = tokio::task::spawn_blocking(move || unpacked.bring_tablespaces()).await;
    brought.map_err(|error| Error::failed(error.to_string()))??;
    let verified = verifier
        .program()
        .argument("--quiet")
        .argument("--manifest-path")
        .argument(checksums)
        .argument(data)
        .run(desk.stop)
        .await;
    match verified {
        Ok(_) => Ok(None),
        Err(error) => found(error),
    }
}
