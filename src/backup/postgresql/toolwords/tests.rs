use super::*;

/// What pgBackRest 2.45 has written: a full backup, one that adds to it, and one with a page whose checksum is wrong.
const PGBACKREST: &str = include_str!("pgbackrest_info.json");

/// What it wrote to `--output=text --verbose verify`, after seven bytes were added to a file of the first of them.
const PGBACKREST_VERIFY: &str = include_str!("pgbackrest_verify.txt");

/// What Barman 3.4.0 has written, after one of three backups was cut short.
const BARMAN: &str = include_str!("barman_list.json");

#[test]
fn pgbackrest_is_understood() {
    let backups = read(ToolName::Pgbackrest, PGBACKREST.as_bytes()).unwrap();
    assert_eq!(
        backups[0],
        Backup {
            label: "20261128-094727F".to_owned(),
            cluster: "main".to_owned(),
            ended_at: DateTime::from_timestamp(1_795_859_253, 0),
            size: Some(3_043_530),
            system_identifier: Some(7_713_156_728_075_204_021),
            problem: None,
        }
    );
    let of_others = |backup: &Backup| (backup.label.clone(), backup.problem.clone());
    assert_eq!(of_others(&backups[1]), ("20261128-094727F_20261128-094734I".to_owned(), None));
    let problem = "pages failed their checksums".to_owned();
    assert_eq!(of_others(&backups[2]), ("20261128-095007F".to_owned(), Some(problem)));
    // After `stanza-create`, and before.
    let empty = r#"[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":null,"min":null}],"backup":[],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7713156728075204021,"version":"15"}],"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":2,"message":"no valid backups"}}],"status":{"code":2,"lock":{"backup":{"held":false}},"message":"no valid backups"}}]"#;
    assert_eq!(read(ToolName::Pgbackrest, empty.as_bytes()), Ok(Vec::new()));
    let missing = r#"[{"archive":[],"backup":[],"cipher":"none","db":[],"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":1,"message":"missing stanza path"}}],"status":{"code":1,"lock":{"backup":{"held":false}},"message":"missing stanza path"}}]"#;
    assert!(read(ToolName::Pgbackrest, missing.as_bytes()).unwrap_err().contains("missing stanza path"));
}

/// It came to its end with the exit code 0 each time.
#[test]
fn what_pgbackrest_has_found_is_told() {
    let of = |label, text: &str| verdict(ToolName::Pgbackrest, label, text.as_bytes());
    assert_eq!(of("20261128-094753F", PGBACKREST_VERIFY), Ok(None));
    for label in ["20261128-094727F", "20261128-094727F_20261128-094734I"] {
        let found = of(label, PGBACKREST_VERIFY).unwrap().unwrap();
        assert!(
            found.contains("invalid, total files checked: 964") && found.contains("checksum invalid: 1"),
            "{found}"
        );
    }
    // Without `--verbose` it writes nothing about what is well, without `--output=text` nothing at all, and this is of
    // a stanza that is not there.
    let absent = "stanza: other\nstatus: error\n  No usable backup.info file\n  No usable archive.info file\n";
    for silent in ["", absent] {
        let why = of("20261128-094753F", silent).unwrap_err();
        assert!(why.contains("20261128-094753F") && why.contains("--output=text --verbose"), "{why}");
    }
    for tool in [ToolName::WalG, ToolName::Barman] {
        assert_eq!(verdict(tool, "any", b""), Ok(None), "its exit code tells");
    }
}

/// Written by hand, as WAL-G's documentation and code say.
#[test]
fn wal_g_is_understood() {
    let text = r#"[{"backup_name":"base_000000010000000000000003","time":"2026-11-28T05:30:12Z","modified":"2026-11-28T05:30:12Z","wal_file_name":"000000010000000000000003","storage_name":"default","start_time":"2026-11-28T05:30:00.100000Z","finish_time":"2026-11-28T05:30:11.500000Z","date_fmt":"%Y-%m-%dT%H:%M:%S.%fZ","hostname":"db1","data_dir":"/var/lib/postgresql/15/main","pg_version":150014,"start_lsn":50331688,"finish_lsn":50331904,"is_permanent":false,"system_identifier":7577000000000000001,"uncompressed_size":31457280,"compressed_size":4194304}]"#;
    let backups = read(ToolName::WalG, text.as_bytes()).unwrap();
    assert_eq!(backups[0].label, "base_000000010000000000000003");
    assert_eq!((backups[0].size, backups[0].system_identifier), (Some(4_194_304), Some(7_577_000_000_000_000_001)));
    assert!(backups[0].ended_at.is_some());
    for nothing in ["", "null\n", "[]"] {
        assert_eq!(read(ToolName::WalG, nothing.as_bytes()), Ok(Vec::new()));
    }
}

#[test]
fn barman_is_understood() {
    let backups = read(ToolName::Barman, BARMAN.as_bytes()).unwrap();
    assert_eq!(backups[0].problem.as_deref(), Some("Barman says FAILED"));
    assert_eq!(
        backups[1],
        Backup {
            label: "20261128T094937".to_owned(),
            cluster: "main".to_owned(),
            ended_at: DateTime::from_timestamp(1_795_859_379, 0),
            size: Some(40_129_090),
            system_identifier: None,
            problem: None,
        }
    );
    assert_eq!((backups.len(), &backups[2].problem), (3, &None));
    // One that is being made, and one that was made without `--wait`.
    let text = r#"{"main": [{"backup_id": "20261128T095000", "status": "STARTED"}, {"backup_id": "20261128T094915", "end_time": "Sat Nov 28 09:49:20 2026", "end_time_timestamp": "1795859360", "retention_status": "-", "size": "22.3 MiB", "size_bytes": 23351874, "status": "WAITING_FOR_WALS", "tablespaces": [], "wal_size": "0 B", "wal_size_bytes": 0}]}"#;
    let backups = read(ToolName::Barman, text.as_bytes()).unwrap();
    assert_eq!((backups[0].problem.as_deref(), backups[0].ended_at), (Some("Barman says STARTED"), None));
    assert!(backups[1].problem.as_ref().is_some_and(|why| why.contains("--wait")));
    for nothing in [r#"{"main": []}"#, r#"{"_INFO": ["a message"], "main": []}"#] {
        assert_eq!(read(ToolName::Barman, nothing.as_bytes()), Ok(Vec::new()));
    }
    let why = read(ToolName::Barman, br#"{"_ERROR": ["Unknown server 'nope'"]}"#).unwrap_err();
    assert!(why.contains("Unknown server"), "{why}");
}

#[test]
fn what_is_not_understood_is_an_error() {
    for tool in [ToolName::Pgbackrest, ToolName::WalG, ToolName::Barman] {
        for text in ["{", "3", "ERROR: no such server", "[{\"name\":1}]"] {
            assert!(read(tool, text.as_bytes()).is_err(), "{tool:?} {text}");
        }
    }
}
