//! What a server of PostgreSQL is asked: what it is, how it is set up, and how one comes to it.

use indicatif::HumanBytes;

use super::line::{Found, Lines};
use super::store::unanswered;
use super::wanted::Wanted;
use super::zones::zones;
use super::{backups, disk, privileges};
use crate::model::BackendKind;
use crate::storage::postgres::{
    Archiving, Direction, Nearness, Postgres, Server, Settings, Slot, SslMode, quote_identifier as quoted,
};
use crate::throttle;

/// The versions that are known, by their first number.
const KNOWN: std::ops::RangeInclusive<u32> = 13..=18;

/// Where the backend is.
const HERE: BackendKind = BackendKind::Postgresql;

pub(super) async fn examine(store: &Postgres, wanted: &Wanted<'_>, lines: &mut Lines) {
    let settings = &wanted.config.storage.postgresql;
    let direction = store.direction().await;
    match &direction {
        Ok(direction) => lines.add(HERE, "pooler", pooler(direction, settings, wanted)),
        Err(error) => lines.add(HERE, "pooler", unanswered(error)),
    };
    let server = match store.server().await {
        Ok(server) => server,
        Err(error) => {
            lines.add(HERE, "server", unanswered(&error));
            return;
        }
    };
    let is_pooled = direction.is_ok_and(|direction| direction.is_pooled);
    lines.add(HERE, "tls", tls(&server, settings, is_pooled));
    lines.add(HERE, "version", version(&server));
    lines.add(HERE, "server", role_of_server(&server, settings));
    for found in privileges::privileges(store, wanted).await {
        lines.add(HERE, "privileges", found);
    }
    lines.add(HERE, "time_zone", zones(&server));
    for found in replication(&server, &wanted.config.throttle) {
        lines.add(HERE, "replication", found);
    }
    lines.add(HERE, "archive", archive(&server.archiving, wanted.archiving_tool()));
    lines.add(HERE, "disk", disk::of_server(&server, is_local(settings), wanted.config.backup.keep_free));
    backups::of_postgresql(store, &server, wanted, lines).await;
}

/// Whether the database is on this machine, as far as its address says.
fn is_local(settings: &Settings) -> bool {
    Nearness::of(settings) != Nearness::Elsewhere
}

fn tls(server: &Server, settings: &Settings, is_pooled: bool) -> Found {
    let sslmode = settings.sslmode;
    let insists = matches!(sslmode, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull);
    let checks = match sslmode {
        SslMode::VerifyCa | SslMode::VerifyFull => "the certificate is checked",
        _ => "nobody checks the certificate",
    };
    match &server.tls {
        _ if is_local(settings) => Found::ok("the server is on this machine"),
        _ if is_pooled && insists => Found::ok(format!("sslmode is \"{sslmode}\", and {checks}")),
        Some(version) if !is_pooled => Found::ok(format!("{version}, and {checks}")),
        _ => Found::warning(
            format!("with sslmode \"{sslmode}\" passwords and rows may cross the network unencrypted"),
            "set storage.postgresql.sslmode (PGSSLMODE) to \"verify-full\", with ssl = on at the server",
        ),
    }
}

fn version(server: &Server) -> Found {
    let Server { version, major, .. } = server;
    let (oldest, newest) = (KNOWN.start(), KNOWN.end());
    if KNOWN.contains(major) {
        return Found::ok(format!("PostgreSQL {version}"));
    }
    let what = format!("PostgreSQL {version}, of which this build knows nothing: it knows {oldest} to {newest}");
    if major < oldest {
        return Found::warning(what, format!("upgrade the server to one of {oldest} to {newest}"));
    }
    Found::warning(what, "update actingweb-maintd, and rehearse with a copy of the deployment until then")
}

/// Whether what is there can be changed by this role.
fn role_of_server(server: &Server, settings: &Settings) -> Found {
    let role = quoted(&server.role);
    if server.is_standby {
        return Found::failure(
            format!("{}:{} is a standby, on which nothing can be changed", settings.host, settings.port),
            "let storage.postgresql.host and .port (PG_DB_HOST, PG_DB_PORT) lead to the primary",
        );
    }
    if !server.guarded.is_empty() {
        return Found::failure(
            format!("row security hides rows of {} from the role {}", server.guarded.join(", "), server.role),
            format!("ALTER ROLE {role} BYPASSRLS;"),
        );
    }
    if server.is_read_only {
        return Found::warning(
            format!(
                "default_transaction_read_only is on for the role {}: databases of drills and indexes cannot be made",
                server.role
            ),
            format!(
                "ALTER ROLE {role} IN DATABASE {} SET default_transaction_read_only = off;",
                quoted(&server.database)
            ),
        );
    }
    Found::ok(format!("takes changes of the role {}", server.role))
}

/// Whether there is a pooler in between that keeps no sessions, and a way past it for those who need one.
fn pooler(usual: &Direction, settings: &Settings, wanted: &Wanted<'_>) -> Found {
    const NAME_IT: &str = "name the server itself in storage.postgresql.direct (host and port)";
    let direct = settings.past_the_pooler();
    let there = format!("{}:{}", direct.host, direct.port);
    match usual.direct.as_deref() {
        Some(Err(why)) => Found::failure(
            format!("storage.postgresql.direct leads nowhere: {why}"),
            "correct storage.postgresql.direct, or let the daemon's host through to the server",
        ),
        Some(Ok(direct)) if direct.system_identifier != usual.system_identifier => Found::failure(
            format!("storage.postgresql.direct ({there}) leads to another server than storage.postgresql.host"),
            NAME_IT,
        ),
        Some(Ok(direct)) if direct.is_pooled => Found::failure(
            format!(
                "storage.postgresql.direct ({there}) is a pooler that lends out its connections for a transaction each"
            ),
            NAME_IT,
        ),
        Some(Ok(direct)) if direct.is_standby && !wanted.writes_directly().is_empty() => Found::failure(
            format!(
                "storage.postgresql.direct ({there}) is a standby, and {} change something there",
                wanted.writes_directly().join(" and ")
            ),
            "name the primary itself in storage.postgresql.direct (host and port)",
        ),
        Some(Ok(_)) if usual.is_pooled => {
            Found::ok(format!("a pooler in transaction mode, and a way past it: {there}"))
        }
        Some(Ok(_)) => Found::ok(format!("no pooler in transaction mode; the direct way is {there}")),
        None if !usual.is_pooled => Found::ok("none in transaction mode"),
        None if wanted.needs_sessions().is_empty() => {
            Found::ok("in transaction mode, which is enough for what is configured")
        }
        None => {
            let needing = wanted.needs_sessions().join(" and ");
            Found::failure(format!("in transaction mode, and {needing} need a connection of their own"), NAME_IT)
        }
    }
}

/// Who follows the server, and for whom it keeps its log.
fn replication(server: &Server, throttle: &throttle::Settings) -> Vec<Found> {
    let mut found: Vec<Found> = server.slots.iter().filter_map(unused).collect();
    let (most, ignored) = (throttle.replication_lag_bytes.0, &throttle.ignored_replicas);
    let heeded = server.standbys.iter().filter(|standby| !ignored.contains(&standby.name));
    let behind = heeded.filter_map(|standby| Some((&standby.name, standby.lag.filter(|lag| most > 0 && *lag > most)?)));
    found.extend(behind.map(|(name, lag)| {
        Found::warning(
            format!("{name} is {} behind, for which jobs pause", HumanBytes(lag)),
            format!(
                "see to its disk, its network and its queries, or let it be late: throttle.replication_lag_bytes is {}, \
                 and throttle.ignored_replicas names those that may be as late as they like",
                throttle.replication_lag_bytes
            ),
        )
    }));
    if !found.is_empty() {
        return found;
    }
    let seen = server.standbys.iter().map(|standby| match (&standby.state, standby.lag) {
        (Some(state), Some(lag)) => format!("{} is {state}, {} behind", standby.name, HumanBytes(lag)),
        // Who only receives the log replays nothing.
        (Some(state), None) => format!("{} is {state}", standby.name),
        (None, _) => "one of which the role is shown nothing".to_owned(),
    });
    let seen: Vec<String> = seen.collect();
    vec![Found::ok(if seen.is_empty() { "nobody follows the server".to_owned() } else { seen.join("; ") })]
}

/// A slot that nobody uses keeps the log until the server's disk is full.
fn unused(slot: &Slot) -> Option<Found> {
    let Slot { name, is_active, kept, is_lost } = slot;
    let drop = format!("SELECT pg_drop_replication_slot('{}');", name.replace('\'', "''"));
    if *is_lost {
        return Some(Found::warning(
            format!("what the replication slot {name} needs of the log is gone"),
            format!("whoever it is for has to be built anew, with another slot; this one nobody can use: {drop}"),
        ));
    }
    let kept = kept.filter(|_| !is_active)?;
    Some(Found::warning(
        format!("nobody uses the replication slot {name}, for which the server keeps its log: {}", HumanBytes(kept)),
        format!("start whoever it is for; if that is gone for good: {drop}"),
    ))
}

/// Whether the log is archived, which some tools that make backups live on.
fn archive(archiving: &Archiving, tool: Option<&str>) -> Found {
    let Archiving { is_on, is_failing, failed, succeeded } = archiving;
    if let Some(tool) = tool.filter(|_| !is_on) {
        return Found::failure(
            format!("off: no backup of {tool} can be restored without the log that it archives"),
            format!("set archive_mode = on and the archive_command that {tool} has for it, and restart the server"),
        );
    }
    if !is_on {
        return Found::ok("off: what changed after the last backup could not be restored");
    }
    if *is_failing {
        let file = failed.as_deref().unwrap_or("a file");
        return Found::failure(
            format!("the server cannot archive {file} of its log, and keeps all that follows"),
            "mend archive_command or archive_library of the server: its log says what that has said",
        );
    }
    Found::ok(match succeeded {
        Some(at) => format!("on, and the last file went at {}", at.format("%Y-%m-%dT%H:%M:%SZ")),
        None => "on, and no file was to go yet".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other versions are not at hand.
    #[test]
    fn versions_that_nobody_has_tried_are_told() {
        let of = |text: &str, major| version(&Server { version: text.to_owned(), major, ..Server::default() });
        assert_eq!(of("15.14", 15), Found::ok("PostgreSQL 15.14"));
        for (text, major, remedy) in [
            ("12.22", 12, "upgrade the server to one of 13 to 18"),
            ("19.1", 19, "update actingweb-maintd, and rehearse with a copy of the deployment until then"),
        ] {
            let what = format!("PostgreSQL {text}, of which this build knows nothing: it knows 13 to 18");
            assert_eq!(of(text, major), Found::warning(what, remedy));
        }
    }

    /// No server of the tests loses what a slot needs.
    #[test]
    fn a_slot_that_is_lost_cannot_be_used_again() {
        let slot = Slot { name: "it's".to_owned(), is_active: false, kept: None, is_lost: true };
        let drop = "SELECT pg_drop_replication_slot('it''s');";
        let remedy =
            format!("whoever it is for has to be built anew, with another slot; this one nobody can use: {drop}");
        let what = "what the replication slot it's needs of the log is gone";
        assert_eq!(unused(&slot), Some(Found::warning(what, remedy)));
    }

    #[test]
    fn a_tool_that_lives_on_the_archive_needs_it() {
        let off = Archiving::default();
        assert!(archive(&off, None).is_ok());
        let remedy = "set archive_mode = on and the archive_command that WAL-G has for it, and restart the server";
        let what = "off: no backup of WAL-G can be restored without the log that it archives";
        assert_eq!(archive(&off, Some("WAL-G")), Found::failure(what, remedy));
        assert!(archive(&Archiving { is_on: true, ..off }, Some("WAL-G")).is_ok());
    }

    /// All servers of the tests are on this machine.
    #[test]
    fn a_way_that_others_can_listen_to_is_told() {
        let server = |tls: Option<&str>| Server { tls: tls.map(str::to_owned), ..Server::default() };
        let of = |sslmode, tls, is_pooled| {
            let settings = Settings { host: "db.example".to_owned(), sslmode, ..Settings::default() };
            super::tls(&server(tls), &settings, is_pooled)
        };
        let open = |sslmode| {
            Found::warning(
                format!("with sslmode \"{sslmode}\" passwords and rows may cross the network unencrypted"),
                "set storage.postgresql.sslmode (PGSSLMODE) to \"verify-full\", with ssl = on at the server",
            )
        };
        assert_eq!(of(SslMode::Prefer, None, false), open("prefer"));
        // How a pooler is connected to the server tells nothing of how we are to the pooler.
        assert_eq!(of(SslMode::Prefer, Some("TLSv1.3"), true), open("prefer"));
        assert_eq!(
            of(SslMode::Prefer, Some("TLSv1.3"), false),
            Found::ok("TLSv1.3, and nobody checks the certificate")
        );
        assert_eq!(
            of(SslMode::VerifyFull, None, true),
            Found::ok("sslmode is \"verify-full\", and the certificate is checked")
        );
    }
}
