use super::*;

/// As pgBackRest 2.45 writes it.
const PGBACKREST: &str = r#"[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000004","min":"000000010000000000000003"}],
"backup":[
{"archive":{"start":"000000010000000000000003","stop":"000000010000000000000003"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":31457280,"repository":{"delta":4194304,"size":4194304},"size":31457280},"label":"20261128-053000F","lsn":{"start":"0/3000028","stop":"0/3000100"},"prior":null,"reference":null,"timestamp":{"start":1795843800,"stop":1795843812},"type":"full"},
{"archive":{"start":"000000010000000000000004","stop":"000000010000000000000004"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":true,"info":{"delta":8192,"repository":{"delta":512,"size":4194816},"size":31457280},"label":"20261128-053000F_20261128-063000I","lsn":{"start":"0/4000028","stop":"0/4000100"},"prior":"20261128-053000F","reference":["20261128-053000F"],"timestamp":{"start":1795847400,"stop":1795847403},"type":"incr"}],
"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7577000000000000001,"version":"15"}],"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]"#;

#[test]
fn pgbackrest_is_understood() {
    let backups = read(ToolName::Pgbackrest, PGBACKREST.as_bytes()).unwrap();
    assert_eq!(
        backups[0],
        Backup {
            label: "20261128-053000F".to_owned(),
            cluster: "main".to_owned(),
            ended_at: DateTime::from_timestamp(1_795_843_812, 0),
            size: Some(4_194_304),
            system_identifier: Some(7_577_000_000_000_000_001),
            problem: None,
        }
    );
    assert_eq!(backups[1].problem.as_deref(), Some("pages failed their checksums"));
    let empty = r#"[{"backup":[],"db":[],"name":"main","status":{"code":2,"message":"no valid backups"}}]"#;
    assert_eq!(read(ToolName::Pgbackrest, empty.as_bytes()), Ok(Vec::new()));
    let missing = r#"[{"backup":[],"db":[],"name":"main","status":{"code":1,"message":"missing stanza path"}}]"#;
    assert!(read(ToolName::Pgbackrest, missing.as_bytes()).unwrap_err().contains("missing stanza path"));
}

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
    let text = r#"{"main":[{"backup_id":"20261128T053000","end_time":"Sat Nov 28 05:30:12 2026","end_time_timestamp":"1795843812","retention_status":"-","size":"30.0 MiB","size_bytes":31457280,"status":"DONE","tablespaces":[],"wal_size":"0 B","wal_size_bytes":0},
        {"backup_id":"20261128T063000","status":"FAILED"},
        {"backup_id":"20261128T073000","end_time":"Sat Nov 28 07:30:12 2026","end_time_timestamp":"1795851012","size":"1 B","size_bytes":1,"status":"WAITING_FOR_WALS","wal_size":"0 B","wal_size_bytes":0,"retention_status":"-","tablespaces":[]}],
        "_INFO":{"x":1}}"#;
    let backups = read(ToolName::Barman, text.as_bytes()).unwrap();
    assert_eq!(backups[0].ended_at, DateTime::from_timestamp(1_795_843_812, 0));
    assert_eq!((backups[0].cluster.as_str(), backups[0].size), ("main", Some(31_457_280)));
    assert_eq!(backups[0].problem, None);
    assert_eq!(backups[1].problem.as_deref(), Some("Barman says FAILED"));
    assert!(backups[2].problem.as_ref().is_some_and(|why| why.contains("--wait")));
}

#[test]
fn what_is_not_understood_is_an_error() {
    for tool in [ToolName::Pgbackrest, ToolName::WalG, ToolName::Barman] {
        for text in ["{", "3", "ERROR: no such server", "[{\"name\":1}]"] {
            assert!(read(tool, text.as_bytes()).is_err(), "{tool:?} {text}");
        }
    }
}
