//! In which time zone the application writes. Most of its columns hold no zone: the server turns times with one into
//! the session's, and readers take all of them for UTC.

use super::line::Found;
use crate::storage::postgres::{Server, Zone, quote_identifier as quoted};

/// Names of UTC.
const UTC: [&str; 12] = [
    "utc",
    "etc/utc",
    "gmt",
    "etc/gmt",
    "uct",
    "etc/uct",
    "zulu",
    "etc/zulu",
    "universal",
    "etc/universal",
    "greenwich",
    "etc/greenwich",
];

pub(super) fn zones(server: &Server) -> Found {
    let wrong: Vec<&Zone> =
        server.zones.iter().filter(|zone| zone.zone.as_deref().is_some_and(|zone| !is_utc(zone))).collect();
    let bare: Vec<&Zone> = server.zones.iter().filter(|zone| zone.zone.is_none()).collect();
    let default = server.default_zone.as_deref();
    let mut what: Vec<String> = wrong.iter().map(|zone| told(zone)).collect();
    let mut remedy: Vec<String> = wrong.iter().map(|zone| statement(zone, &server.database)).collect();
    match default {
        Some(zone) if !is_utc(zone) => {
            what.extend(bare.iter().map(|one| format!("{} writes in the server's zone, {zone}", one.role)));
            remedy.extend(bare.iter().map(|zone| statement(zone, &server.database)));
        }
        // Its log is in the same zone unless somebody has changed one of them.
        None if !is_utc(&server.log_zone) => {
            let guess = |one: &&Zone| {
                format!(
                    "{} writes in the server's zone, which this role is not shown: it logs in {}",
                    one.role, server.log_zone
                )
            };
            what.extend(bare.iter().map(guess));
            remedy.extend(bare.iter().map(|zone| statement(zone, &server.database)));
        }
        _ => {}
    }
    if what.is_empty() {
        let writers: Vec<&str> = server.zones.iter().map(|zone| zone.role.as_str()).collect();
        return Found::ok(match writers.as_slice() {
            [] => "nobody but superusers and the daemon writes the application's tables".to_owned(),
            some => format!("{} {} in UTC", some.join(", "), if some.len() == 1 { "writes" } else { "write" }),
        });
    }
    remedy.push("and let the application connect again".to_owned());
    Found::warning(format!("{}: times are stored as if they were UTC", what.join("; ")), remedy.join("\n"))
}

fn is_utc(zone: &str) -> bool {
    UTC.contains(&zone.to_lowercase().as_str())
}

fn told(zone: &Zone) -> String {
    let Zone { role, zone, of_role, of_database } = zone;
    let by = match (of_role, of_database) {
        (true, true) => "set for the role in this database",
        (true, false) => "set for the role",
        (false, true) => "set for the database",
        (false, false) => "set for all roles",
    };
    format!("{role} writes in {}, {by}", zone.as_deref().unwrap_or_default())
}

/// What is said of a role in a database counts more than anything else that is said.
fn statement(zone: &Zone, database: &str) -> String {
    format!("ALTER ROLE {} IN DATABASE {} SET timezone = 'UTC';", quoted(&zone.role), quoted(database))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(zone: Option<&str>, default: Option<&str>, log: &str) -> Server {
        let zone = Zone { role: "app".to_owned(), zone: zone.map(str::to_owned), of_role: false, of_database: true };
        let (default_zone, log_zone) = (default.map(str::to_owned), log.to_owned());
        Server { database: "db".to_owned(), zones: vec![zone], default_zone, log_zone, ..Server::default() }
    }

    /// Who may read the server's files differs between servers.
    #[test]
    fn whoever_has_no_zone_has_the_servers() {
        let well = Found::ok("app writes in UTC");
        assert_eq!(zones(&server(Some("UTC"), Some("Europe/Oslo"), "Europe/Oslo")), well);
        assert_eq!(zones(&server(None, Some("Etc/UTC"), "Europe/Oslo")), well);
        assert_eq!(zones(&server(None, None, "Etc/UTC")), well);
        let remedy =
            "ALTER ROLE \"app\" IN DATABASE \"db\" SET timezone = 'UTC';\nand let the application connect again";
        let skewed = |what: &str| Found::warning(format!("{what}: times are stored as if they were UTC"), remedy);
        assert_eq!(
            zones(&server(None, Some("Europe/Oslo"), "Etc/UTC")),
            skewed("app writes in the server's zone, Europe/Oslo")
        );
        assert_eq!(
            zones(&server(None, None, "Europe/Oslo")),
            skewed("app writes in the server's zone, which this role is not shown: it logs in Europe/Oslo")
        );
    }
}
