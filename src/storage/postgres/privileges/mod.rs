//! What the daemon's role must be allowed, for each part of its work: from this the script for a role is made
//! (`script`), and by this a role is judged (`lacking`). Nothing else says what the daemon needs.

mod lacking;
mod script;

pub use lacking::Lacking;
pub use script::role_script;

/// A part of the daemon's work that needs something the others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What it cannot do without.
    Base,
    /// Seeing how others are.
    Monitoring,
    /// The job `diff_prune`.
    DiffPrune,
    /// The job `orphan_scan`.
    OrphanScan,
    /// The command `orphan delete`.
    OrphanDelete,
    /// The job `lookup_check`.
    LookupCheck,
    /// Its repairs.
    LookupRepair,
    /// Logical backups.
    Backup,
    /// Physical backups.
    PhysicalBackup,
    /// Drills in a database of their own on this server.
    DrillDatabase,
    /// `VACUUM` after a purge.
    Vacuum,
    /// Repairs of indexes.
    IndexRepair,
    /// Estimating how bloated indexes are.
    IndexBloat,
    /// Looking for corruption in indexes.
    Amcheck,
}

/// What reading all tables takes beside what the daemon always needs, after what else is needed.
macro_rules! reading_all {
    ($($more:expr),*) => {
        &[
            $($more,)*
            Table("actors", &["SELECT"]),
            Table("properties", &["SELECT"]),
            Table("property_lookup", &["SELECT"]),
            Table("trusts", &["SELECT"]),
            Table("peertrustees", &["SELECT"]),
            Table("subscriptions", &["SELECT"]),
            Table("subscription_diffs", &["SELECT"]),
            Table("subscription_suspensions", &["SELECT"]),
        ]
    };
}

impl Part {
    /// Every part, in the order of the script.
    pub const ALL: [Self; 14] = [
        Self::Base,
        Self::Monitoring,
        Self::DiffPrune,
        Self::OrphanScan,
        Self::OrphanDelete,
        Self::LookupCheck,
        Self::LookupRepair,
        Self::Backup,
        Self::PhysicalBackup,
        Self::DrillDatabase,
        Self::Vacuum,
        Self::IndexRepair,
        Self::IndexBloat,
        Self::Amcheck,
    ];

    /// Its name: the variable of the script that asks for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Monitoring => "monitoring",
            Self::DiffPrune => "diff_prune",
            Self::OrphanScan => "orphan_scan",
            Self::OrphanDelete => "orphan_delete",
            Self::LookupCheck => "lookup_check",
            Self::LookupRepair => "lookup_repair",
            Self::Backup => "backup",
            Self::PhysicalBackup => "physical_backup",
            Self::DrillDatabase => "drill_database",
            Self::Vacuum => "vacuum",
            Self::IndexRepair => "index_repair",
            Self::IndexBloat => "index_bloat",
            Self::Amcheck => "amcheck",
        }
    }

    /// What it is, as in "… needs the role to be allowed".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Base => "any work of the daemon",
            Self::Monitoring => "seeing how replicas, the archive and vacuums are",
            Self::DiffPrune => "the job diff_prune",
            Self::OrphanScan => "the job orphan_scan",
            Self::OrphanDelete => "the command orphan delete",
            Self::LookupCheck => "the job lookup_check",
            Self::LookupRepair => "lookup_check with repair",
            Self::Backup => "a backup by pg_dump",
            Self::PhysicalBackup => "a backup by pg_basebackup",
            Self::DrillDatabase => "a drill in a database on this server",
            Self::Vacuum => "vacuum_after",
            Self::IndexRepair => "a repair of indexes",
            Self::IndexBloat => "estimating how bloated indexes are",
            Self::Amcheck => "looking for corruption in indexes",
        }
    }

    /// Why it needs what it needs, for the script: lines of a comment.
    const fn why(self) -> &'static [&'static str] {
        match self {
            Self::Base => &[
                "The daemon's own state is in the schema maintd, which belongs to the role. Of the application's",
                "tables, ttl_cleanup and token_cleanup need one. UPDATE is for SELECT ... FOR UPDATE SKIP LOCKED:",
                "no row of the application is ever changed.",
            ],
            Self::Monitoring => &[
                "Without pg_monitor a role is not shown how far replicas are (pg_stat_replication), what others do",
                "and for how long (pg_stat_activity, pg_stat_progress_vacuum), which files wait for the archive",
                "(pg_ls_archive_statusdir), and where the server's files are (data_directory). The daemon works",
                "without, and cannot go slower for the sake of what it does not see.",
            ],
            Self::DiffPrune => &["diff_prune thins out changes that subscribers have fetched."],
            Self::OrphanScan => &["orphan_scan reads every table, and changes none."],
            Self::OrphanDelete => &["The command orphan delete: UPDATE is for locking the rows first."],
            Self::LookupCheck => &["lookup_check compares the look-up table with what it is made from."],
            Self::LookupRepair => &[
                "lookup_check with repair, and the command lookup check --repair. UPDATE is for locking: the rows",
                "of properties and actors that an entry comes from must not change meanwhile.",
            ],
            Self::Backup => {
                &["pg_dump reads the whole schema, whatever lies in it, and what the application adds later."]
            }
            Self::PhysicalBackup => {
                &["pg_basebackup copies the files of all databases. pg_hba.conf needs a line for `replication` too."]
            }
            Self::DrillDatabase => &[
                "A drill makes a database and drops it. Only where backup.drill uses a database on this server:",
                "with a cluster of its own it needs nothing here.",
            ],
            Self::Vacuum => &[
                "vacuum_after of ttl_cleanup. Before PostgreSQL 17 only whoever owns a table may vacuum it, so the",
                "role becomes a member of the owner, and may do with the tables what the owner may.",
            ],
            Self::IndexRepair => &[
                "index check --repair, and the repairs of index_health: only whoever owns a table may make and drop",
                "its indexes, so the role becomes a member of the owner, and may do with the tables what the owner may.",
                "Making one takes CREATE on the schema as well, which the owner may have lost since.",
            ],
            Self::IndexBloat => &[
                "index_health asks the catalogue, which everybody may read. What ANALYZE knows of a table's values, by",
                "which bloat is estimated, is shown only to whoever may read the table.",
            ],
            Self::Amcheck => &["index check --deep, where the extension amcheck is installed."],
        }
    }

    /// What it needs.
    const fn needs(self) -> &'static [Need] {
        use Need::{Amcheck, Attribute, Maintain, MakesIndexes, Member, OwnSchema, Owner, Schema, Table, WholeSchema};
        match self {
            Self::Base => &[
                OwnSchema,
                Schema,
                Table("alembic_version", &["SELECT"]),
                Table("attributes", &["SELECT", "UPDATE", "DELETE"]),
            ],
            Self::Monitoring => &[Member("pg_monitor")],
            Self::DiffPrune => {
                &[Table("subscription_diffs", &["SELECT", "DELETE"]), Table("subscriptions", &["SELECT"])]
            }
            Self::OrphanScan | Self::IndexBloat => reading_all!(),
            Self::OrphanDelete => &[
                Table("actors", &["SELECT"]),
                Table("property_lookup", &["SELECT"]),
                Table("properties", &["SELECT", "UPDATE", "DELETE"]),
                Table("trusts", &["SELECT", "UPDATE", "DELETE"]),
                Table("peertrustees", &["SELECT", "UPDATE", "DELETE"]),
                Table("subscriptions", &["SELECT", "UPDATE", "DELETE"]),
                Table("subscription_diffs", &["SELECT", "UPDATE", "DELETE"]),
                Table("subscription_suspensions", &["SELECT", "UPDATE", "DELETE"]),
            ],
            Self::LookupCheck => {
                &[Table("actors", &["SELECT"]), Table("properties", &["SELECT"]), Table("property_lookup", &["SELECT"])]
            }
            Self::LookupRepair => &[
                Table("actors", &["SELECT", "UPDATE"]),
                Table("properties", &["SELECT", "UPDATE"]),
                Table("property_lookup", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
            ],
            Self::Backup => &[WholeSchema],
            // Whoever proves a copy reads its tables as the same role.
            Self::PhysicalBackup => reading_all!(Attribute("REPLICATION")),
            Self::DrillDatabase => &[Attribute("CREATEDB")],
            Self::Vacuum => &[Maintain("attributes")],
            Self::IndexRepair => &[Owner, MakesIndexes],
            Self::Amcheck => &[Amcheck],
        }
    }
}

/// Something that a role must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The schema of the daemon's own tables, with all that is in it.
    OwnSchema,
    /// To look into the application's schema.
    Schema,
    /// Privileges on a table of the application. Those that are missing at an older revision need nothing.
    Table(&'static str, &'static [&'static str]),
    /// To read every table and sequence in the application's schema.
    WholeSchema,
    /// To be a member of a role that every server has.
    Member(&'static str),
    /// An attribute of the role.
    Attribute(&'static str),
    /// To vacuum a table of the application.
    Maintain(&'static str),
    /// To have the rights of whoever owns the application's tables.
    Owner,
    /// To make something in the application's schema, be it with the rights of whoever owns the tables.
    MakesIndexes,
    /// To call the function of the extension amcheck.
    Amcheck,
}

/// The function of amcheck that is called, and what it takes. It has others of the same name.
const AMCHECK: (&str, &str) = ("bt_index_check", "regclass, boolean");

/// The first version in which somebody may vacuum what they do not own.
const HAS_MAINTAIN: i32 = 170_000;
