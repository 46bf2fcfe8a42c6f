//! What Prometheus sees, and what looking costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, get};
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::store::{add_attributes, count_attributes};
use crate::harness::tools::tool;

#[tokio::test]
async fn promtool_has_nothing_to_say_about_the_metrics() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 10, -60).await;
    let daemon = Daemon::start(&db);
    // By then everything has been measured.
    daemon.until("a run", |daemon| daemon.metric("maintd_job_last_success_timestamp_seconds", &[]).is_some());
    daemon.until("the backlog", |daemon| daemon.metric("maintd_expired_rows", &[]).is_some());
    let (_, metrics) = daemon.get("/metrics");
    let mut promtool = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!((output.status.code(), said), (Some(0), [String::new(), String::new()]), "{metrics}");
    daemon.stop();
}

#[tokio::test]
async fn prometheus_scrapes_the_daemon_and_sees_what_it_did() {
    let db = TestDb::new().await;
    let daemon = Daemon::start(&db);
    let prometheus = Prometheus::start(daemon.address());
    prometheus.until("maintd_up", "1");
    prometheus.until("up", "1");
    add_attributes(&db, "expired", 321, -60).await;
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    prometheus.until("maintd_rows_deleted_total{job=\"ttl_cleanup\"}", "321");
    prometheus.until("sum(maintd_job_runs_total{outcome=~\"failed|lost\"})", "0");
    // As an alert would ask.
    prometheus.until("count(time() - maintd_job_last_success_timestamp_seconds < 3600)", "1");
    prometheus.until("count(maintd_build_info)", "1");
    prometheus.until("count(process_resident_memory_bytes)", "1");
    daemon.stop();
    prometheus.until("up", "0");
}

#[tokio::test]
async fn a_scrape_asks_the_database_nothing() {
    let private = Private::start(&[("log_statement", "all")], &[]).await;
    let daemon = private.maintd().start().ready();
    let said = || private.log().lines().filter(|line| line.contains(" LOG:  ")).count();
    let before = said();
    for _ in 0..250 {
        for path in ["/metrics", "/", "/readyz", "/api/v1/status"] {
            assert_eq!(daemon.get(path).0, 200);
        }
    }
    // The daemon has its own questions meanwhile: those of its first look, and a few every few seconds.
    let statements = said() - before;
    assert!(statements < 500, "{statements} statements during 1000 requests");
    daemon.stop();
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_others_out() {
    let db = TestDb::new().await;
    let daemon = Daemon::start(&db);
    let silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(daemon.address()).unwrap()).collect();
    let mut slow = TcpStream::connect(daemon.address()).unwrap();
    slow.write_all(b"GET /metrics HT").unwrap();
    for _ in 0..10 {
        assert_eq!(daemon.get("/metrics").0, 200);
    }
    // Nor do they keep the daemon from its work, or from its end.
    add_attributes(&db, "expired", 10, -60).await;
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.stop();
    drop(silent);
}

#[tokio::test]
async fn nothing_but_looking_is_possible() {
    let db = TestDb::new().await;
    let daemon = Daemon::start(&db);
    for method in ["POST", "PUT", "DELETE", "TRACE"] {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        write!(stream, "{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
    }
    assert_eq!(daemon.get("/api/v1/jobs/ttl_cleanup/run").0, 404);
    daemon.stop();
}

/// A real Prometheus that scrapes one address; killed with this value.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let dir = tempfile::Builder::new().prefix("prometheus").tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\n\
             scrape_configs:\n- job_name: maintd\n  honor_labels: true\n  static_configs:\n  - targets: ['{target}']\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(tool("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The port is the system's choice, and told in the log.
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "Prometheus ended:\n{said}");
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("msg=\"Listening on\" address=") {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address, _dir: dir }
    }

    /// The value of a query that has one sample.
    fn query(&self, query: &str) -> Option<String> {
        let path: String =
            url::form_urlencoded::Serializer::new("/api/v1/query?".to_owned()).append_pair("query", query).finish();
        let (code, body) = get(self.address, &path);
        // While it starts it says 503.
        let answer: Value = if code == 200 { serde_json::from_str(&body).unwrap() } else { return None };
        let samples = answer["data"]["result"].as_array().unwrap();
        assert!(samples.len() <= 1, "{query}: {answer:#}");
        Some(samples.first()?["value"][1].as_str().unwrap().to_owned())
    }

    fn until(&self, query: &str, value: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.query(query);
            if answer.as_deref() == Some(value) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "waited for {query} to be {value}; it is {answer:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
