//! What there is to see, and where. All of it comes from memory.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;

use super::connection::{Response, text, typed};
use super::{page, words};
use crate::metrics::{self, Metrics};
use crate::model::clock;
use crate::runner::{Board, Heartbeat, Status};

/// The paths, with what is there, for whoever asks for another.
const PATHS: &[(&str, &str)] = &[
    ("/", "the status page"),
    ("/metrics", "metrics for Prometheus"),
    ("/healthz", "whether the scheduler loop is turning"),
    ("/readyz", "whether the daemon can do its work, or why not"),
    ("/api/v1/status", "the status as JSON"),
];

/// The pages of one daemon.
#[derive(Debug)]
pub struct Site {
    board: Board,
    heartbeat: Heartbeat,
    metrics: Arc<Metrics>,
    patience: Duration,
}

impl Site {
    /// How long the scheduler loop may stand still before the process counts as dead.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// Pages that show what these three know at the time.
    pub fn new(board: Board, heartbeat: Heartbeat, metrics: Arc<Metrics>) -> Self {
        Self { board, heartbeat, metrics, patience: Self::PATIENCE }
    }

    /// The answer to a request.
    pub fn respond(&self, request: &Parts) -> Response {
        match request.uri.path() {
            "/" => typed(StatusCode::OK, "text/html; charset=utf-8", page::render(&self.status(), clock::now())),
            page::STYLE_PATH => self.style(),
            "/metrics" => typed(StatusCode::OK, metrics::CONTENT_TYPE, self.metrics.encode()),
            "/healthz" => match self.standstill() {
                None => text(StatusCode::OK, "ok\n"),
                Some(problem) => text(StatusCode::SERVICE_UNAVAILABLE, problem + "\n"),
            },
            "/readyz" => self.ready(),
            "/api/v1/status" => self.json(),
            _ => text(StatusCode::NOT_FOUND, not_found()),
        }
    }

    /// What the board shows, and what it cannot know itself: that nobody writes on it any more.
    pub fn status(&self) -> Status {
        let mut status = self.board.snapshot();
        status.not_ready.extend(self.standstill());
        status
    }

    fn standstill(&self) -> Option<String> {
        let age = self.heartbeat.age();
        (age > self.patience).then(|| format!("the scheduler loop has stood still for {}", words::span(age)))
    }

    fn ready(&self) -> Response {
        let reasons = self.status().not_ready;
        if reasons.is_empty() {
            return text(StatusCode::OK, "ready\n");
        }
        // One per line, whatever a database put into its message.
        let lines = reasons.iter().map(|reason| reason.split_whitespace().collect::<Vec<_>>().join(" ") + "\n");
        text(StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>())
    }

    fn json(&self) -> Response {
        match serde_json::to_vec(&self.status()) {
            Ok(body) => typed(StatusCode::OK, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "the status cannot be written as JSON");
                text(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be written as JSON\n")
            }
        }
    }

    fn style(&self) -> Response {
        let mut response = typed(StatusCode::OK, "text/css; charset=utf-8", page::STYLE);
        // Its address changes with its version.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
        response
    }
}

fn not_found() -> String {
    let lines = PATHS.iter().map(|(path, what)| format!("  {path:<16}{what}\n"));
    format!("there is nothing here; there is\n\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::Request;

    use super::*;

    fn site(status: Status) -> Site {
        Site::new(Board::new(status), Heartbeat::new(None), Arc::new(Metrics::new("1.2.3", "abcdef0")))
    }

    /// Status, content type and body of the answer to `path`.
    fn get(site: &Site, path: &str) -> (u16, String, String) {
        let (parts, ()) = Request::get(path).body(()).expect("a request").into_parts();
        let (head, body) = site.respond(&parts).into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let body = runtime.block_on(body.collect()).expect("a body").to_bytes();
        let kind = head.headers[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        (head.status.as_u16(), kind, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[test]
    fn every_path_is_there_and_named() {
        let site = site(Status::default());
        let (status, _, list) = get(&site, "/favicon.ico");
        assert_eq!(status, 404);
        for (path, kind, content) in [
            ("/", "text/html; charset=utf-8", "<!DOCTYPE html>"),
            ("/metrics", "text/plain; version=0.0.4", "maintd_build_info{revision=\"abcdef0\",version=\"1.2.3\"} 1"),
            ("/healthz", "text/plain; charset=utf-8", "ok\n"),
            ("/readyz", "text/plain; charset=utf-8", "ready\n"),
            ("/api/v1/status", "application/json", "\"not_ready\":[]"),
        ] {
            assert!(list.contains(&format!("\n  {path} ")), "{path} is missing in {list}");
            for path in [path.to_owned(), format!("{path}?x=1")] {
                let (status, found, body) = get(&site, &path);
                assert_eq!((status, found.as_str()), (200, kind), "{path}");
                assert!(body.contains(content), "{path}: {body}");
            }
        }
        assert_eq!(get(&site, "/style.css?v=1").1, "text/css; charset=utf-8");
        for path in ["/Metrics", "/metrics/", "//", "/../metrics", "/healthz%00"] {
            assert_eq!(get(&site, path).0, 404, "{path}");
        }
    }

    #[test]
    fn readiness_gives_each_reason_a_line() {
        let reasons = ["postgresql: no answer:\n  refused", "run `actingweb-maintd schema apply`"];
        let site = site(Status { not_ready: reasons.map(str::to_owned).to_vec(), ..Status::default() });
        let (status, _, body) = get(&site, "/readyz");
        assert_eq!(
            (status, body.as_str()),
            (503, "postgresql: no answer: refused\nrun `actingweb-maintd schema apply`\n")
        );
        assert_eq!(get(&site, "/healthz").0, 200);
        let json: serde_json::Value = serde_json::from_str(&get(&site, "/api/v1/status").2).expect("JSON");
        assert_eq!(json["not_ready"][0], reasons[0]);
    }

    #[test]
    fn a_loop_that_stands_still_is_told_everywhere() {
        let mut site = site(Status::default());
        site.patience = Duration::ZERO;
        let words = "the scheduler loop has stood still for 0 s";
        assert_eq!(get(&site, "/healthz").0, 503);
        assert_eq!(get(&site, "/healthz").2, format!("{words}\n"));
        assert_eq!(get(&site, "/readyz").0, 503);
        for path in ["/", "/readyz", "/api/v1/status"] {
            assert!(get(&site, path).2.contains(words), "{path}");
        }
        assert_eq!(get(&site, "/metrics").0, 200);
    }
}
