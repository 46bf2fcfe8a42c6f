//! What backups need where they are made: programs, a place, and space.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::disk::directory;
use super::line::{Found, Lines};
use super::store::unanswered;
use super::wanted::Wanted;
use crate::archive::Place;
use crate::backup::postgresql::refusal_of_copying;
use crate::backup::program::{self, Program, Toolbox};
use crate::backup::{self, Error, PostgresqlMethod, refusal_of_target};
use crate::daemon;
use crate::metrics::Metrics;
use crate::storage::Target;
use crate::storage::postgres::{Postgres, Server};
use crate::work::Stop;

/// What is written into a bucket and removed again, to see whether that is allowed. Nobody takes it for a set: those
/// are below the name of their deployment.
const TRIAL: &str = ".doctor";

/// How long a bucket may take to answer. Its client tries again by itself, for longer than anybody waits here.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn of_postgresql(store: &Postgres, server: &Server, wanted: &Wanted<'_>, lines: &mut Lines) {
    if !wanted.backups() {
        return;
    }
    // Another host has the place, and with it the programs.
    if wanted.config.backup.elsewhere(&daemon::host()).is_none() {
        lines.add(wanted.backend, "backup", program(store, server, wanted).await);
        let method = wanted.config.backup.postgresql.method;
        if wanted.job("backup_drill") && method != PostgresqlMethod::Tool {
            lines.add(wanted.backend, "drill", drill(server, method, wanted).await);
        }
    }
    lines.add(wanted.backend, "backup_place", place(wanted).await);
}

pub(super) async fn of_dynamodb(wanted: &Wanted<'_>, lines: &mut Lines) {
    if wanted.backups() {
        lines.add(wanted.backend, "backup_place", place(wanted).await);
    }
}

/// The program that makes them.
async fn program(store: &Postgres, server: &Server, wanted: &Wanted<'_>) -> Found {
    let settings = &wanted.config.backup;
    match settings.postgresql.method {
        PostgresqlMethod::Logical => found("pg_dump", server.major, wanted).await,
        PostgresqlMethod::Physical => match store.replication().await {
            Ok(replication) => match refusal_of_copying(&replication, &server.role) {
                Some(why) => Found::refusal(&why),
                None => found("pg_basebackup", server.major, wanted).await,
            },
            Err(error) => unanswered(&error),
        },
        PostgresqlMethod::Tool => {
            // Listing changes nothing, and shows that the tool runs and finds what it keeps.
            let key = "backup.postgresql.tool.list";
            let said = match Program::configured(&settings.postgresql.tool.list, key) {
                Ok(program) => program.output(&Stop::new()).await.map(drop),
                Err(error) => Err(error),
            };
            match said {
                Ok(()) => Found::ok("the tool lists its backups"),
                Err(error) => Found::failure(error.chain(), format!("mend what {key} runs, as the daemon's user")),
            }
        }
    }
}

/// A program of PostgreSQL that is new enough for the server.
async fn found(name: &str, major: u32, wanted: &Wanted<'_>) -> Found {
    match Toolbox::of(&wanted.config.backup).find(name, major, &Stop::new()).await {
        Ok(found) => Found::ok(format!("{name} {} is {}", found.version, found.path.display())),
        Err(error) => missing(&error),
    }
}

fn missing(error: &Error) -> Found {
    let said = error.chain();
    let (what, remedy) = said.split_once("; ").unwrap_or((&said, "see backup.bin_dir"));
    Found::failure(what, remedy)
}

/// Where sets are restored to be proven.
async fn drill(server: &Server, method: PostgresqlMethod, wanted: &Wanted<'_>) -> Found {
    let settings = &wanted.config.backup;
    let programs = Toolbox::of(settings).find("initdb", server.major, &Stop::new()).await;
    if method == PostgresqlMethod::Physical {
        return match programs {
            Ok(programs) if programs.version.major != server.major => Found::failure(
                format!(
                    "no other version can read the files of a PostgreSQL {}, and {} is of {}",
                    server.major,
                    programs.path.display(),
                    programs.version
                ),
                format!("install the package postgresql-{}, or set backup.bin_dir", server.major),
            ),
            Ok(programs) => cluster(&programs, settings),
            Err(error) => missing(&error),
        };
    }
    if let Some(target) = &settings.drill.target {
        return in_target(target, server, wanted).await;
    }
    // Nobody fills a disk that he cannot see.
    let sees_space = server.data_directory.as_deref().is_some_and(Path::is_dir);
    match programs {
        Ok(programs) => cluster(&programs, settings),
        Err(_) if sees_space && settings.drill.allow_production_server => {
            Found::ok("in a database of its own on this server")
        }
        Err(error) => {
            let said = error.chain();
            let (what, _) = said.split_once("; ").unwrap_or((&said, ""));
            let here = if sees_space { ", or backup.drill.allow_production_server" } else { "" };
            Found::failure(
                what,
                format!(
                    "install PostgreSQL's server here (the package postgresql on Debian and Ubuntu, postgresql-server \
                     on Fedora), or set backup.drill.target{here}"
                ),
            )
        }
    }
}

/// A cluster that is made for the drill.
fn cluster(programs: &program::Found, settings: &backup::Settings) -> Found {
    let room = directory(&settings.work_dir, settings.keep_free, "backup.work_dir");
    if !room.is_ok() {
        return room;
    }
    Found::ok(format!("in a cluster of its own, made by {}", programs.path.display()))
}

/// A server of somebody's choice.
async fn in_target(name: &str, server: &Server, wanted: &Wanted<'_>) -> Found {
    let correct = format!("correct [targets.{name}], or set backup.drill.target to another");
    let Some(Target::Postgresql(target)) = wanted.config.targets.get(name) else {
        return Found::failure(format!("the target {name} is none on PostgreSQL"), correct);
    };
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), ""));
    let site = match Postgres::new(target.past_the_pooler(), PATIENCE, metrics) {
        Ok(store) => store.site().await,
        Err(error) => Err(error),
    };
    match site {
        Ok(site) => {
            let refusal = refusal_of_target(&site, &format!("{}:{}", target.host, target.port), Some(server.major));
            refusal.map_or_else(|| Found::ok(format!("in the target {name}")), |why| Found::refusal(&why))
        }
        Err(error) => Found::failure(format!("the target {name}: {}", error.chain()), correct),
    }
}

/// Whether sets can be written where they belong.
async fn place(wanted: &Wanted<'_>) -> Found {
    let settings = &wanted.config.backup;
    let shop = daemon::workshop(wanted.config);
    if let Some(node) = settings.elsewhere(&shop.host) {
        return Found::ok(format!("on the host {node}, which alone sees it"));
    }
    if let Some(Place::Directory(path)) = &settings.r#where {
        return directory(path, settings.keep_free, "backup.where");
    }
    let trial = async {
        let depot = shop.depot()?;
        depot.below().await?;
        depot.write(TRIAL, "").await?;
        depot.remove(TRIAL).await?;
        Ok::<_, Error>(depot.describe().to_owned())
    };
    let remedy = "check backup.where and [backup.bucket], and what the daemon's keys are allowed in the bucket: to list, \
                  read, write and remove below its prefix";
    tokio::select! {
        tried = trial => match tried {
            Ok(there) => Found::ok(format!("{there} can be listed, written and cleared")),
            Err(error) => Found::failure(error.chain(), remedy),
        },
        () = tokio::time::sleep(PATIENCE) => {
            Found::failure(format!("no answer from the bucket for {} seconds", PATIENCE.as_secs()), remedy)
        }
    }
}
