//! Mistakes that people make, and what they are told. The snapshots are to be read as a stranger
//! would: does each say where the mistake is, what it is, and what to write instead?

use super::setup::Setup;

/// What is told about each of the setups, as one text.
fn told(setups: impl IntoIterator<Item = (&'static str, Setup)>) -> String {
    let told = |setup: Setup| {
        let told = setup.told();
        let (blocks, count) = told.rsplit_once("\n\n").expect("a block for each problem, and their number");
        assert!(count.starts_with("the configuration has "), "{count}");
        blocks.to_owned()
    };
    setups.into_iter().map(|(what, setup)| format!("=== {what}\n{}\n", told(setup))).collect::<Vec<_>>().join("\n")
}

/// What is told about files that are right but for a line or two.
fn in_file(mistakes: &[&'static str]) -> String {
    let certificate = b"-----BEGIN CERTIFICATE-----\n";
    let setup = |text| Setup::working().with_file("ca.pem", certificate, 0o600).file(text);
    told(mistakes.iter().map(|text| (*text, setup(text))))
}

/// What is told about environments that are right but for one variable.
fn in_env(mistakes: &[&'static str]) -> String {
    told(mistakes.iter().map(|text| {
        let (name, value) = text.split_once('=').unwrap();
        (*text, Setup::working().env(name, value))
    }))
}

#[test]
fn a_value_of_the_wrong_type_is_told() {
    let told = in_file(&[
        "[storage.postgresql]\nhost = 5",
        "[storage.postgresql]\nhost = [\"one\", \"two\"]",
        "[storage.postgresql]\nport = true",
        "[storage.postgresql]\nport = 54.32",
        "[storage.postgresql]\nport = \"\"",
        "[storage.postgresql]\nport = [5432]",
        "[storage.postgresql]\nsslmode = 1",
        "[storage.postgresql]\nsslmode = { require = true }",
        "[storage.postgresql]\nstatement_cache = \"yes\"",
        "[storage.postgresql]\nstatement_cache = 1",
        "[storage.postgresql]\naccept_revisions = [70]",
        "[storage.postgresql]\naccept_revisions = 70",
        "[storage.postgresql]\nsslrootcert = false",
        "[storage]\npostgresql = \"localhost\"",
        "[[storage]]\nbackends = [\"postgresql\"]",
        "[http.listen]\nport = 6246",
        "deployment = \"blue\"",
        "[deployment]\nname = 2024-01-01\n[log]\nformat = 2024-01-01",
        "[jobs.ttl_cleanup]\ndeadline = true",
        "[jobs.ttl_cleanup]\nbuckets = [[\"a\"], \"b\"]",
        "[jobs.ttl_cleanup]\nretries = \"often\"",
        "[schedule]\ncatch_up = true",
        "[jobs]\nttl_cleanup = false",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_value_out_of_range_is_told() {
    let told = in_file(&[
        "[storage.postgresql]\nport = 0",
        "[storage.postgresql]\nport = 70000",
        "[storage.postgresql]\nport = -1",
        "[storage.postgresql.pool]\nmax_size = 1",
        "[storage.postgresql.pool]\nmin_size = 20",
        "[storage.postgresql.pool]\ntimeout = \"0s\"",
        "[storage.postgresql]\ndbname = \"\"\nschema = \"my schema\"",
        "[jobs.ttl_cleanup]\nworkers = 17",
        "[jobs.ttl_cleanup]\nworkers = 16",
        "[jobs.ttl_cleanup]\nbatch_size = 0",
        "[jobs.ttl_cleanup]\ngrace = \"20years\"",
        "[jobs.ttl_cleanup]\ndeadline = \"10ms\"",
        "[jobs.ttl_cleanup]\nretries = 101",
        "[schedule]\nsplay = \"2h\"",
        "[schedule]\nsplay = \"15m\"",
        "[clock]\nmax_skew = \"100ms\"",
        "[clock]\nmax_skew = \"2h\"",
        "[lease]\nttl = \"100ms\"",
        "[lease]\nttl = \"500years\"",
        "[history]\nkeep = \"1s\"",
        "[drain]\ngrace = \"2h\"",
        "[throttle]\nbatch_latency = \"0s\"",
        "[throttle]\nbatch_latency = \"8s\"",
        "[throttle]\npatience = \"0s\"",
        "[throttle]\nwal_archive_backlog = -1",
        "[http]\nlisten = \"localhost:6246\"",
        "[http]\nlisten = \"127.0.0.1\"",
        "[http]\nlisten = 6246",
        "[http]\nlisten = \"https://127.0.0.1:6246\"",
        "[deployment]\nname = \"\"",
        "[deployment]\nname = \"two\\nlines\"",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_unit_is_told() {
    let told = in_file(&[
        "[drain]\ngrace = 25",
        "[drain]\ngrace = \"25\"",
        "[drain]\ngrace = 2.5",
        "[drain]\ngrace = \"25 parsecs\"",
        "[drain]\ngrace = \"soon\"",
        "[drain]\ngrace = \"\"",
        "[drain]\ngrace = \"-5s\"",
        "[history]\nkeep = \"90 D\"",
        "[history]\nkeep = \"3M\"",
        "[throttle]\nreplication_lag_bytes = 64",
        "[throttle]\nreplication_lag_bytes = \"64 parsecs\"",
        "[throttle]\nreplication_lag_bytes = \"much\"",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn an_unknown_key_is_told() {
    let told = in_file(&[
        "[storage.postgresql]\nhots = \"db\"",
        "[storage.postgresql]\ndatabase = \"app\"\nusername = \"app\"",
        "[storage.postgresql]\npool_size = 5",
        "[storage.postgresql]\nurl = \"postgresql://db/app\"",
        "[storage.postgresql]\nHost = \"db\"",
        "[storage]\nbackend = \"postgresql\"",
        "[storage]\nhost = \"db\"",
        "[storage.postgres]\nhost = \"db\"",
        "[storage.dynamodb]\nprefix = \"prod\"",
        "[storage.dynamo]\nregion = \"eu-north-1\"",
        "[postgresql]\nhost = \"db\"",
        "[jobs.ttl-cleanup]\nenabled = false",
        "[jobs.vacuum]\nenabled = true",
        "[jobs.ttl_cleanup]\ncron = \"@daily\"",
        "[jobs.ttl_cleanup]\nhours = \"01:00-05:00\"",
        "[jobs.ttl_cleanup]\nmax_retries = 3",
        "[schedule]\njitter = \"1m\"",
        "[schedule]\ncatchup = \"none\"",
        "[clock]\nskew = \"1m\"",
        "[jobs.ttl_cleanup]\ntimezone = \"UTC\"",
        "[log]\nlevel = \"debug\"",
        "[http]\nport = 80",
        "[logging]\nfilter = \"debug\"",
        "[xyzzy]\nplugh = 1",
        "listen = \"127.0.0.1:1\"",
        "\"storage.postgresql.host\" = \"db\"",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn conflicting_keys_are_told() {
    let told = in_file(&[
        "[jobs.ttl_cleanup]\nbackends = [\"mysql\"]",
        "[jobs.ttl_cleanup]\nbackends = []",
        "[jobs.ttl_cleanup]\nbackends = [\"postgresql\", \"dynamodb\"]",
        "[storage.dynamodb]\ntable_prefix = \"my prefix\"",
        "[storage.dynamodb]\nregion = \" \"",
        "[storage.dynamodb]\nendpoint_url = \"localhost:8000\"",
        "[storage.dynamodb]\nendpoint_url = \"http://key:hunter2@localhost:8000\"",
        "[storage.postgresql]\npassword = \"x\"\npassword_file = \"/run/secrets/pw\"",
        "[storage.postgresql]\nsslmode = \"disable\"\nsslrootcert = \"DIR/ca.pem\"",
        "[storage.postgresql]\nsslmode = \"require\"\nsslrootcert = \"DIR/ca.pem\"",
        "[storage.postgresql]\nport = 6432\nstatement_cache = true",
        "[storage.postgresql.pool]\nmin_size = 5\nmax_size = 3",
        "[storage.postgresql.pool]\nmax_size = 3\n[jobs.ttl_cleanup]\nworkers = 2",
        "[storage.postgresql.pool]\nmin_size = 0\nmax_size = 2",
        "[lease]\nttl = \"1s\"\n[throttle]\nbatch_latency = \"500ms\"",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_secret_file_that_cannot_be_used_is_told() {
    let setup = |path: &str| Setup::working().file(&format!("[storage.postgresql]\npassword_file = \"{path}\""));
    let told = told([
        ("it does not exist", setup("DIR/missing")),
        ("it is a directory", setup("DIR")),
        ("it is empty", setup("DIR/pw").with_file("pw", b" \n", 0o600)),
        ("it is not UTF-8", setup("DIR/pw").with_file("pw", b"\xff\xfe", 0o600)),
        ("it has two lines", setup("DIR/pw").with_file("pw", b"user\npassword\n", 0o600)),
        ("it is a large file", setup("DIR/pw").with_file("pw", &[b'x'; 2 << 20], 0o600)),
        ("everybody can read it", setup("DIR/pw").with_file("pw", b"x\n", 0o644)),
        (
            "it is the configuration file, and everybody can read that",
            setup("").with_file("config.toml", b"[storage.postgresql]\npassword = \"x\"", 0o644),
        ),
        ("its path is relative", setup("secrets/pw")),
        ("its path is of the shell", setup("~/pw")),
        ("its path is a URL", setup("file:///run/secrets/pw")),
        ("its path is empty", setup("")),
        (
            "it does not exist, says the environment",
            Setup::working().env("MAINTD_STORAGE__POSTGRESQL__PASSWORD_FILE", "/nowhere/pw"),
        ),
        (
            "the certificate is none",
            Setup::working().with_file("ca.pem", b"x", 0o600).env("PGSSLROOTCERT", "DIR/ca.pem"),
        ),
        ("the certificate does not exist", Setup::working().env("PGSSLROOTCERT", "/nowhere/ca.pem")),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_schedule_or_zone_is_told() {
    let told = in_file(&[
        "[jobs.ttl_cleanup]\nschedule = \"15m\"",
        "[jobs.ttl_cleanup]\nschedule = \"0 25 * * *\"",
        "[jobs.ttl_cleanup]\nschedule = \"0 3 * *\"",
        "[jobs.ttl_cleanup]\nschedule = \"@dayly\"",
        "[jobs.ttl_cleanup]\nschedule = \"every day\"",
        "[jobs.ttl_cleanup]\nschedule = \"0 0 30 2 *\"",
        "[jobs.ttl_cleanup]\nschedule = \"\"",
        "[jobs.ttl_cleanup]\nschedule = 15",
        "[jobs.ttl_cleanup]\nwindow = \"1am-5am\"",
        "[jobs.ttl_cleanup]\nwindow = \"03:00-03:00\"",
        "[jobs.ttl_cleanup]\nwindow = \"\"",
        "[jobs.ttl_cleanup]\nwindow = 3",
        "[jobs.ttl_cleanup]\nschedule = \"@dayly\"\nwindow = \"01:00\"",
        "[jobs.ttl_cleanup]\nschedule = \"30 3 * * *\"\nwindow = \"04:00-05:00\"",
        "[schedule]\ntimezone = \"Europe/Oslo\"\n[jobs.ttl_cleanup]\nschedule = \"every 1d\"\nwindow = \"03:00-05:00\"",
        "[schedule]\ncatch_up = \"lastest\"",
        "[schedule]\ncatch_up = \"all\"",
        "[schedule]\ntimezone = \"Europe/Olso\"",
        "[schedule]\ntimezone = \"CEST\"",
        "[schedule]\ntimezone = 2",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_backend_is_told() {
    let file = |text: &str| Setup::new().file(text);
    let told = told([
        ("nobody names one", Setup::new()),
        ("nobody names one, and there is a file", file("[log]\nfilter = \"info\"")),
        ("backends = []", file("[storage]\nbackends = []")),
        ("backends = [\"PostgreSQL\"]", file("[storage]\nbackends = [\"PostgreSQL\"]")),
        ("backends = \"postgres\"", file("[storage]\nbackends = \"postgres\"")),
        ("backends = [\"postgresql\", \"postgresql\"]", file("[storage]\nbackends = [\"postgresql\", \"postgresql\"]")),
        ("backends = [\"postgresql\", \"mysql\"]", file("[storage]\nbackends = [\"postgresql\", \"mysql\"]")),
        ("backends = 5", file("[storage]\nbackends = 5")),
        ("DATABASE_BACKEND=dynamo", Setup::new().env("DATABASE_BACKEND", "dynamo")),
        ("backends = [\"DynamoDB\"]", file("[storage]\nbackends = [\"DynamoDB\"]")),
        ("DATABASE_BACKEND=PostgreSQL", Setup::new().env("DATABASE_BACKEND", "PostgreSQL")),
        ("DATABASE_BACKEND=postgresql,dynamodb", Setup::new().env("DATABASE_BACKEND", "postgresql,dynamodb")),
        ("MAINTD_STORAGE__BACKENDS=", Setup::new().env("MAINTD_STORAGE__BACKENDS", "")),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_variable_is_told() {
    let told = in_env(&[
        "PG_DB_PORT=postgres",
        "PG_DB_PORT=99999",
        "PG_DB_HOST=postgresql://app:secret@db/app",
        "PG_DB_SCHEMA=my schema",
        "PG_DB_PREFIX=app.",
        "PG_POOL_MAX_SIZE=2",
        "PG_POOL_MIN_SIZE=50",
        "PG_POOL_TIMEOUT=30s",
        "PG_POOL_TIMEOUT=-1",
        "PG_POOL_TIMEOUT=0",
        "PGSSLMODE=verify",
        "PGSSLMODE=on",
        "LOG_LEVEL=verbose",
        "MAINTD_LOG__FORMAT=jsno",
        "MAINTD_LOG__FILTER=",
        "MAINTD_STORAGE__POSTGRESQL__PORT=",
        "MAINTD_STORAGE__POSTGRESQL__STATEMENT_CACHE=on",
        "MAINTD_STORAGE__POSTGRESQL__PASSWORD=",
        "MAINTD_STORAGE__POSTGRESQL__USER=caf\u{fffd}",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let told = in_env(&[
        "MAINTD_STORAGE_POSTGRESQL_HOST=db",
        "MAINTD_STORAGE__POSTGRESQL__HSOT=db",
        "MAINTD_storage__postgresql__host=db",
        "MAINTD_LOG_LEVEL=debug",
        "MAINTD_LOG=debug",
        "MAINTD_STORAGE__POSTGRESQL=db",
        "MAINTD_LISTEN=127.0.0.1:1",
        "MAINTD_FROBNICATE=1",
        "MAINTD_=1",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn service_links_of_kubernetes_are_told() {
    let maintd = [
        ("MAINTD_SERVICE_HOST", "10.0.0.1"),
        ("MAINTD_SERVICE_PORT", "80"),
        ("MAINTD_SERVICE_PORT_METRICS", "80"),
        ("MAINTD_PORT", "tcp://10.0.0.1:80"),
        ("MAINTD_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("MAINTD_PORT_80_TCP_PROTO", "tcp"),
        ("MAINTD_PORT_80_TCP_PORT", "80"),
        ("MAINTD_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MAINTD_METRICS_PORT", "udp://10.0.0.2:80"),
        ("MAINTD_METRICS_PORTS", "80"),
    ];
    let told = told([
        (
            "services called maintd and maintd-metrics",
            maintd.iter().fold(Setup::working(), |setup, (name, value)| setup.env(name, value)),
        ),
        ("a service called pg-db", Setup::working().env("PG_DB_PORT", "tcp://10.0.0.3:5432")),
        (
            "a service called pg-db, and our own variable",
            Setup::working().env("PG_DB_PORT", "tcp://10.0.0.3:5432").env("MAINTD_STORAGE__POSTGRESQL__PORT", "5432"),
        ),
        ("an address in our own variable", Setup::working().env("MAINTD_HTTP__LISTEN", "tcp://10.0.0.4:80")),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_log_filter_is_told() {
    let told = in_file(&[
        "[log]\nfilter = \"inof\"",
        "[log]\nfilter = \"WARNING\"",
        "[log]\nfilter = \"info,sqlx=loud\"",
        "[log]\nfilter = \"info,\"",
        "[log]\nfilter = \"actingweb_maintd\"",
        "[log]\nfilter = \"[span{a=\\\"=debug\"",
        "[log]\nfilter = true",
        "[log]\nformat = \"pretty\"",
        "[log]\nformat = \"JSON\"",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_not_toml_is_told() {
    let told = in_file(&[
        "[storage.postgresql]\nhost = db",
        "[storage.postgresql]\nhost = \"db",
        "[storage.postgresql]\nhost = \"db\" port = 5432",
        "[storage.postgresql]\nhost =",
        "[storage.postgresql]\nhost \"db\"",
        "[storage.postgresql\nhost = \"db\"",
        "[storage.postgresql]\nhost = \u{201c}db\u{201d}",
        "[storage.postgresql]\nhost = \"db\"\nport = 1\nhost = \"other\"",
        "[log]\nfilter = \"info\"\n\n[log]\nformat = \"text\"",
        "[storage.postgresql]\nsslrootcert = \"C:\\certs\"",
        "[drain]\ngrace = 25s",
        "[storage]\nbackends = [\"postgresql\"",
        "[storage.postgresql]\nstatement_cache = True",
        "[storage.postgresql]\nport = 0123",
        "[storage.postgresql]\nport = 99999999999999999999",
        "storage:\n  backends: [postgresql]",
        "{\"storage\": {}}",
        "= 5",
        "[storage.postgresql]\nhost = \"\"\"db",
        "storage.backends = []\nstorage = 1",
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let bytes = |bytes: &[u8]| Setup::working().file("").with_file("config.toml", bytes, 0o600);
    let told = told([
        (
            "--config names no file",
            Setup::working().change(|sources, dir| sources.file = Some(dir.join("missing.toml"))),
        ),
        ("--config names a directory", Setup::working().change(|sources, dir| sources.file = Some(dir.to_owned()))),
        ("MAINTD_CONFIG names no file", Setup::working().env("MAINTD_CONFIG", "DIR/missing.toml")),
        ("the default is a directory", Setup::working().change(|sources, dir| sources.default_file = dir.to_owned())),
        ("it is Latin-1", bytes(b"[deployment]\nname = \"caf\xe9\"")),
        ("it is UTF-16", bytes(b"\xff\xfe[\0l\0o\0g\0]\0")),
        ("it is a large file", bytes(&[b'#'; 2 << 20])),
        (
            "it goes through a file",
            Setup::working().file("").change(|sources, dir| sources.file = Some(dir.join("config.toml/x"))),
        ),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn many_mistakes_are_told_at_once() {
    let setup = Setup::new()
        .file(
            "[storage]\nbackends = [\"postgres\"]\n\n[storage.postgresql]\nhots = \"db\"\nport = 70000\nsslmode = \"on\"\n\
             password = \"x\"\npassword_file = \"DIR/pw\"\n\n[storage.postgresql.pool]\nmin_size = 20\n\n\
             [jobs.ttl_cleanup]\nschedule = \"0 25 * * *\"\ndeadline = 60\nbatch_size = \"many\"\n\n\
             [schedule]\ntimezone = \"Mars\"\n\n[lgo]\nfilter = \"debug\"\n",
        )
        .env("PG_POOL_TIMEOUT", "soon")
        .env("PGSSLROOTCERT", "ca.pem")
        .env("MAINTD_DRAIN__GRACE", "25")
        .env("MAINTD_DRAIN_GRACE", "25s")
        .flag("log.filter", "loud");
    assert_eq!(setup.problems().errors.len(), 15);
    let told = setup.told();
    insta::assert_snapshot!(told);
}

#[test]
fn nothing_is_told_about_a_default_that_stands_in_for_a_mistake() {
    // The pool would be too small for the workers, and its least size larger than its largest.
    let setup = Setup::working()
        .file("[storage.postgresql.pool]\nmin_size = 20\nmax_size = \"many\"\n[jobs.ttl_cleanup]\nworkers = 16");
    assert_eq!(setup.problems().errors.len(), 1, "{}", setup.told());
    // No backend is named, but that is not what has to be mended.
    for text in
        ["[storage]\nbackend = [\"postgresql\"]", "[storage]\nbackends = 5", "storage = \"postgresql\"", "[storage"]
    {
        let setup = Setup::new().file(text);
        assert_eq!(setup.problems().errors.len(), 1, "{}", setup.told());
    }
}

#[test]
fn problems_are_one_json_document() {
    let setup = Setup::working().file("[drain]\ngrace = 25").env("PG_DB_PORT", "x").env("MAINTD_X", "1");
    let document = setup.plain(&serde_json::to_string_pretty(&setup.problems()).unwrap());
    insta::assert_snapshot!(document);
}
