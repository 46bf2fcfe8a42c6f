//! The table `[backup]`.

mod problems;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::archive::Place;
use crate::model::setting::{self, Bounded, Problem, Size, Span};

/// Where backups are and how they are made, kept and proven. When they are made is in `[jobs.backup]`, when they
/// are proven in `[jobs.backup_drill]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where they are: a directory, or a prefix in a bucket. Without it there are none.
    pub r#where: Option<Place>,
    /// The host that makes them, if not any.
    pub node: Option<String>,
    /// A directory for what is there for a while only: what is on its way into a bucket, and drills.
    pub work_dir: PathBuf,
    /// The directory of PostgreSQL's programs, if not where they usually are.
    pub bin_dir: Option<PathBuf>,
    /// Space that must be left where files are written, beside what they are expected to take.
    pub keep_free: Size,
    /// How backups of PostgreSQL are made.
    pub postgresql: Postgresql,
    /// How backups of DynamoDB are made.
    pub dynamodb: Dynamodb,
    /// The bucket, where [`Settings::where`] is one.
    pub bucket: Bucket,
    /// Whom they are encrypted for.
    pub encryption: Encryption,
    /// How long they are kept.
    pub retention: Retention,
    /// How they are proven.
    pub drill: Drill,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            r#where: None,
            node: None,
            work_dir: PathBuf::from("/var/tmp"),
            bin_dir: None,
            keep_free: Size::mebibytes(256),
            postgresql: Postgresql::default(),
            dynamodb: Dynamodb::default(),
            bucket: Bucket::default(),
            encryption: Encryption::default(),
            retention: Retention::default(),
            drill: Drill::default(),
        }
    }
}

/// How backups of PostgreSQL are made: `[backup.postgresql]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgresql {
    /// With what.
    pub method: PostgresqlMethod,
    /// Connections that read at the same time, of a logical backup that is not encrypted, and of a restore.
    pub jobs: Bounded<1, 64>,
    /// `zstd`, `gzip` or `none`, with a level after a colon if not the usual one.
    pub compression: Compression,
    /// Whether the digest of every table is made, in the same snapshot.
    #[serde(deserialize_with = "setting::flag")]
    pub digests: bool,
    /// Whether roles and tablespaces are written down as well, without passwords.
    #[serde(deserialize_with = "setting::flag")]
    pub globals: bool,
    /// The program of a backup that another tool makes.
    pub tool: Tool,
}

impl Default for Postgresql {
    fn default() -> Self {
        Self {
            method: PostgresqlMethod::Logical,
            jobs: Bounded::new(2),
            compression: Compression { kind: CompressionKind::Zstd, level: None },
            digests: true,
            globals: false,
            tool: Tool::default(),
        }
    }
}

/// With what a backup of PostgreSQL is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresqlMethod {
    /// `pg_dump`.
    Logical,
    /// `pg_basebackup`.
    Physical,
    /// Another tool, as `[backup.postgresql.tool]` says.
    Tool,
}

/// How files are compressed. Where the client has no `zstd`, `gzip` takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// By what.
    pub kind: CompressionKind,
    /// How hard; none for the usual level.
    pub level: Option<u8>,
}

/// What compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionKind {
    /// Zstandard, level 1 to 19.
    Zstd,
    /// Level 1 to 9.
    Gzip,
    /// Nothing.
    None,
}

impl std::str::FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let right = "write \"zstd\", \"gzip\" or \"none\", with a level if you like, as in \"zstd:3\"";
        let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
        let (kind, most) = match name {
            "zstd" => (CompressionKind::Zstd, 19),
            "gzip" => (CompressionKind::Gzip, 9),
            "none" if level.is_none() => (CompressionKind::None, 0),
            "none" => return Err(format!("`{text}` has a level for nothing: {right}")),
            _ => return Err(format!("`{name}` is not a compression that this build has: {right}")),
        };
        let level = match level.map(str::parse::<u8>) {
            None => None,
            Some(Ok(level)) if (1..=most).contains(&level) => Some(level),
            Some(_) => return Err(format!("`{text}` has no level of {name}: write 1 to {most}, as in \"{name}:3\"")),
        };
        Ok(Self { kind, level })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            CompressionKind::Zstd => "zstd",
            CompressionKind::Gzip => "gzip",
            CompressionKind::None => "none",
        };
        match self.level {
            Some(level) => write!(f, "{name}:{level}"),
            None => f.write_str(name),
        }
    }
}

impl Serialize for Compression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A tool that makes and keeps backups itself: `[backup.postgresql.tool]`. Each command is a list of a program and
/// its arguments; none goes through a shell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tool {
    /// Whose words are understood.
    pub name: Option<ToolName>,
    /// Makes a backup.
    #[serde(deserialize_with = "setting::list")]
    pub create: Vec<String>,
    /// Lists the backups as JSON.
    #[serde(deserialize_with = "setting::list")]
    pub list: Vec<String>,
    /// Checks the backups; none if the tool cannot.
    #[serde(deserialize_with = "setting::list")]
    pub verify: Vec<String>,
}

/// A tool whose words are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolName {
    /// pgBackRest: `list` is `pgbackrest --stanza=… --output=json info`, and `verify` is
    /// `pgbackrest --stanza=… --output=text --verbose verify`.
    Pgbackrest,
    /// WAL-G: `list` is `wal-g backup-list --json --detail`.
    WalG,
    /// Barman: `list` is `barman --format=json list-backup SERVER`.
    Barman,
}

/// How backups of DynamoDB are made: `[backup.dynamodb]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dynamodb {
    /// With what.
    pub method: DynamodbMethod,
    /// Parts of a table that are read at the same time.
    pub segments: Bounded<1, 64>,
    /// What to do about point-in-time recovery.
    pub point_in_time_recovery: Pitr,
    /// The bucket that `export` writes to.
    pub export_bucket: Option<String>,
}

impl Default for Dynamodb {
    fn default() -> Self {
        Self {
            method: DynamodbMethod::Archive,
            segments: Bounded::new(4),
            point_in_time_recovery: Pitr::Ignore,
            export_bucket: None,
        }
    }
}

/// With what a backup of DynamoDB is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DynamodbMethod {
    /// All rows are read, and written in our own form.
    Archive,
    /// DynamoDB makes and keeps a backup of each table.
    Native,
    /// DynamoDB writes each table to a bucket; needs point-in-time recovery.
    Export,
}

/// What to do about point-in-time recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pitr {
    /// Nothing.
    Ignore,
    /// Tell where it is off.
    Check,
    /// Switch it on where it is off; it costs.
    Enable,
}

/// How a bucket is reached: `[backup.bucket]`. Keys and tokens come from the environment, as its provider's own
/// tools read them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bucket {
    /// Where it is, if not at its provider: the URL of something that speaks like it.
    pub endpoint_url: Option<String>,
    /// The region, for S3.
    pub region: Option<String>,
}

/// Whom backups are encrypted for: `[backup.encryption]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Encryption {
    /// Public keys of age, `age1…`; none for no encryption.
    #[serde(deserialize_with = "setting::list")]
    pub recipients: Vec<String>,
    /// A file with a secret key of age, for drills and restores.
    pub identity_file: Option<PathBuf>,
}

/// How long sets are kept: `[backup.retention]`. A set stays if any rule keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Whether the job `backup` removes the sets that no rule keeps. By command they can always be removed.
    #[serde(deserialize_with = "setting::flag")]
    pub enabled: bool,
    /// The newest so many.
    pub keep_last: Bounded<0, 100_000>,
    /// The newest of each of so many days that have one.
    pub daily: Bounded<0, 100_000>,
    /// The newest of each of so many weeks, by ISO 8601.
    pub weekly: Bounded<0, 100_000>,
    /// The newest of each of so many months.
    pub monthly: Bounded<0, 100_000>,
    /// The newest of each of so many years.
    pub yearly: Bounded<0, 100_000>,
    /// No set that is younger goes.
    pub min_age: Span,
    /// The newest so many verified ones stay, whatever the other rules say.
    pub min_sets: Bounded<1, 100_000>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            enabled: true,
            keep_last: Bounded::new(3),
            daily: Bounded::new(7),
            weekly: Bounded::new(4),
            monthly: Bounded::new(6),
            yearly: Bounded::new(0),
            min_age: Span::secs(24 * 60 * 60),
            min_sets: Bounded::new(2),
        }
    }
}

/// Where sets are restored to be proven: `[backup.drill]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drill {
    /// One of `[targets]`; none for a throw-away cluster of PostgreSQL on this host, and scratch tables beside
    /// those of DynamoDB.
    pub target: Option<String>,
    /// Whether, where neither is there, a scratch database on the production server may be used.
    #[serde(deserialize_with = "setting::flag")]
    pub allow_production_server: bool,
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, directory) in [("work_dir", Some(&self.work_dir)), ("bin_dir", self.bin_dir.as_ref())] {
            if directory.is_some_and(|directory| !directory.is_absolute()) {
                problems.push(Problem::new(key, "is not the full path of a directory: write one that starts with /"));
            }
        }
        if self.node.as_ref().is_some_and(|node| node.trim().is_empty() || node.contains(char::is_whitespace)) {
            problems.push(Problem::new("node", "is not the name of a host: write what `hostname` prints there"));
        }
        let within = |table: &'static str, found: Vec<Problem>| found.into_iter().map(move |it| it.within(table));
        problems.extend(within("postgresql", self.postgresql.problems()));
        problems.extend(within("dynamodb", self.dynamodb.problems()));
        problems.extend(within("bucket", self.bucket.problems()));
        problems.extend(within("encryption", self.encryption.problems()));
        problems.extend(within("retention", self.retention.problems()));
        problems
    }

    /// The host that makes backups, where that is not `host`.
    pub fn elsewhere(&self, host: &str) -> Option<&str> {
        self.node.as_deref().filter(|node| *node != host)
    }
}
