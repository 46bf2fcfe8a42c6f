//! PostgreSQL that is thrown away: a cluster of our own, or a database on a server.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Kind, Scratch, blocking, postgres_at, space, target};
use crate::backup::cluster::{self, Cluster, Options, Seclusion, base};
use crate::backup::point::fault_at;
use crate::backup::program::{Found, Toolbox};
use crate::backup::{Desk, Error, Manifest, Result, Shelf};
use crate::model::setting::Bounded;
use crate::storage::postgres::{self, Site, SslMode};
use crate::storage::{Backend, Home, Target};

/// The database that every cluster has.
const DATABASE: &str = "postgres";

/// A place for a dump: in the target that is configured, or in a cluster of our own, or else, where that is allowed,
/// on the production server.
pub(super) async fn empty(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Scratch> {
    let drill = &desk.shop.settings.drill;
    match target(desk)? {
        Some(Target::Postgresql(settings)) => return database(desk, shelf, manifest, settings).await,
        // A deployment on both backends has one setting for drills.
        Some(Target::Dynamodb(_)) | None => {}
    }
    match server_programs(desk, manifest).await {
        Ok(found) => {
            let mut cluster = prepare(desk, shelf, manifest, &found).await?;
            cluster = blocking(move || {
                let begun = cluster.initialise().and_then(|()| cluster.launch());
                begun.map(|()| cluster).map_err(failed)
            })
            .await?;
            let user = cluster.superuser().to_owned();
            in_cluster(desk, manifest, cluster, user, DATABASE.to_owned())
        }
        Err(Error::Refused(why)) if drill.allow_production_server => {
            tracing::info!(why, "the drill takes place on the production server, in a database of its own");
            database(desk, shelf, manifest, &desk.shop.storage.postgresql).await
        }
        Err(Error::Refused(why)) => Err(Error::Refused(format!(
            "a throw-away cluster needs the programs of PostgreSQL's server here (the package postgresql on Debian and \
             Ubuntu, postgresql-server on Fedora); or set backup.drill.target, or backup.drill.allow_production_server: \
             {why}"
        ))),
        Err(error) => Err(error),
    }
}

/// A cluster with the data of a base backup, which has recovered.
pub(in crate::backup) async fn from_base(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Scratch> {
    let Home::Postgresql { database, .. } = &manifest.deployment.home else {
        return Err(Error::Refused(format!("the set {} is not of PostgreSQL", manifest.set)));
    };
    let found = server_programs(desk, manifest).await?;
    let wanted = major_of(manifest);
    if wanted.is_some_and(|wanted| wanted != found.version.major) {
        return Err(Error::Refused(format!(
            "the set {} holds the files of a PostgreSQL {} server, which no other version can read, and the programs \
             here are of {}: install the package postgresql-{0}, or set backup.bin_dir",
            manifest.set,
            wanted.unwrap_or_default(),
            found.version
        )));
    }
    let cluster = prepare(desk, shelf, manifest, &found).await?;
    let unpacked = base::unpack_as(desk, shelf, manifest, &cluster).await;
    let cluster = blocking(move || {
        let mut cluster = cluster;
        unpacked?;
        cluster.launch().map_err(failed)?;
        Ok(cluster)
    })
    .await?;
    // Whoever may read the deployment's tables in the original may do so in its copy.
    in_cluster(desk, manifest, cluster, desk.shop.storage.postgresql.user.clone(), database.clone())
}

/// The programs of a server that is as new as the one that was backed up.
async fn server_programs(desk: Desk<'_>, manifest: &Manifest) -> Result<Found> {
    Toolbox::of(&desk.shop.settings).find("initdb", major_of(manifest).unwrap_or_default(), desk.stop).await
}

/// The first number of the version of the server that was backed up.
pub(in crate::backup) fn major_of(manifest: &Manifest) -> Option<u32> {
    let version = manifest.versions.server.as_deref()?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A directory for a cluster, after what is left of earlier ones has been removed.
async fn prepare(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, found: &Found) -> Result<Cluster> {
    let (within, owner) = (desk.shop.work_dir().to_path_buf(), shelf.of().id);
    let mut options = Options {
        bin_dir: found.path.parent().map(PathBuf::from),
        seclusion: Some(Seclusion { within: within.clone(), owner, stop: desk.stop.clone() }),
        ..Options::default()
    };
    if found.version.major >= 17 {
        // Nobody's code runs when somebody logs in.
        options.settings.push(("event_triggers".to_owned(), "off".to_owned()));
    }
    let (needed, keep_free) = (space::needed(shelf, manifest).await?, desk.shop.settings.keep_free);
    blocking(move || {
        let removed = cluster::remove_leftovers(&within, owner).map_err(|error| Error::Failed {
            what: format!("cannot remove what is left of earlier drills in {}", within.display()),
            source: Some(error.into()),
        })?;
        for directory in removed {
            tracing::info!(directory = %directory.display(), "removed what was left of a drill that was killed");
        }
        space::check(&within, needed, keep_free)?;
        Cluster::prepare(&options).map_err(failed)
    })
    .await
}

fn in_cluster(desk: Desk<'_>, manifest: &Manifest, cluster: Cluster, user: String, dbname: String) -> Result<Scratch> {
    let settings = postgres::Settings {
        host: cluster.socket_dir().display().to_string(),
        port: Bounded::new(u64::from(cluster.port())),
        dbname,
        user,
        schema: schema_of(desk, manifest),
        sslmode: SslMode::Disable,
        ..postgres::Settings::default()
    };
    let place = Backend::Postgresql(postgres_at(desk, settings.clone())?);
    Ok(Scratch { place, settings, kind: Kind::Cluster(cluster) })
}

/// A database of our own on a server.
async fn database(
    desk: Desk<'_>,
    shelf: &Shelf,
    manifest: &Manifest,
    settings: &postgres::Settings,
) -> Result<Scratch> {
    let owner = shelf.of().id;
    let server = postgres_at(desk, settings.clone())?;
    let site = server.site().await?;
    let server_name = format!("{}:{}", settings.host, settings.port);
    if let Some(why) = refusal(&site, &server_name, major_of(manifest)) {
        return Err(Error::Refused(why));
    }
    if is_production(shelf, manifest, &site) {
        allow_production(desk, space::needed(shelf, manifest).await?, &site)?;
    }
    for left in server.scratch_databases(owner).await? {
        if server.remove_scratch_database(&left, owner, false).await? {
            tracing::info!(database = left, "removed what was left of a drill that was killed");
        } else {
            tracing::warn!(
                database = left,
                "a database of an earlier drill stays, because somebody is connected to it"
            );
        }
    }
    let name = server.make_scratch_database(owner).await?;
    let settings =
        postgres::Settings { dbname: name.clone(), schema: schema_of(desk, manifest), ..settings.past_the_pooler() };
    let place = postgres_at(desk, settings.clone())?;
    let scratch =
        Scratch { place: Backend::Postgresql(Arc::clone(&place)), settings, kind: Kind::Database { server, name } };
    let checked = match fault_at("backup::drill").await {
        Ok(()) => place.site().await.map_err(Error::from),
        Err(error) => Err(error),
    };
    match checked {
        Ok(site) if site.tables.is_empty() => Ok(scratch),
        Ok(site) => {
            scratch.remove(shelf).await?;
            Err(Error::failed(format!("the new database on {server_name} holds {} already", site.tables.join(", "))))
        }
        Err(error) => {
            scratch.remove(shelf).await?;
            Err(error)
        }
    }
}

/// Why no database for what one of the version `major` has written can be made on a server, and behind a colon what to do
/// about it; nothing if one can.
pub fn refusal(site: &Site, server_name: &str, major: Option<u32>) -> Option<String> {
    if site.is_standby {
        return Some(format!(
            "the server {server_name} is a standby, on which nothing can be made: set backup.drill.target to another"
        ));
    }
    major.is_some_and(|major| major > site.major).then(|| {
        format!(
            "the server {server_name} is a PostgreSQL {}, which is older than the one that was backed up: set \
             backup.drill.target to a newer one",
            site.major
        )
    })
}

/// Whether a server is the one that holds the deployment; where nobody says where it is now, the one that held it.
fn is_production(shelf: &Shelf, manifest: &Manifest, site: &Site) -> bool {
    let home = shelf.of().home.as_ref().unwrap_or(&manifest.deployment.home);
    matches!(home, Home::Postgresql { system_identifier, .. } if *system_identifier == site.system_identifier)
}

/// Refuses the production server unless it is allowed and has the space that is needed.
fn allow_production(desk: Desk<'_>, needed: u64, site: &Site) -> Result<()> {
    if !desk.shop.settings.drill.allow_production_server {
        return Err(Error::Refused(
            "the drill would take place on the server that holds the deployment: set backup.drill.target to another, \
             or backup.drill.allow_production_server = true"
                .to_owned(),
        ));
    }
    let here = site.data_directory.as_deref().filter(|directory| directory.is_dir());
    let Some(directory) = here else {
        return Err(Error::Refused(
            "how much space the production server has left cannot be seen from here, and it must not run out for a \
             drill: set backup.drill.target, or run the drill on its host with a role that has pg_read_all_settings"
                .to_owned(),
        ));
    };
    space::check(directory, needed, desk.shop.settings.keep_free)
}

/// The schema that the tables of a set are in; if it does not say, the one that is configured.
pub(in crate::backup) fn schema_of(desk: Desk<'_>, manifest: &Manifest) -> String {
    manifest.schema.clone().unwrap_or_else(|| desk.shop.storage.postgresql.schema.clone())
}

fn failed(error: cluster::Error) -> Error {
    match error {
        cluster::Error::Stopped => Error::Stopped,
        cluster::Error::Place { .. } | cluster::Error::NoUser | cluster::Error::NoPrograms => {
            Error::Refused(error.to_string())
        }
        error => Error::Failed { what: "the throw-away cluster did not start".to_owned(), source: Some(error.into()) },
    }
}
