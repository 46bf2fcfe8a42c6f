//! One connection: one request, one answer, one deadline.
//!
//! There is no keep-alive. A scrape every few seconds gains nothing by it, and without it there is
//! nothing to pipeline, to idle, or to smuggle behind another request.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::server::Limits;

/// An answer, complete in memory.
pub type Response = hyper::Response<Full<Bytes>>;

/// What a browser may do with an answer: show it, with our own style sheet, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The smallest buffer that hyper takes.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// Whether a connection is being answered, for whoever has to decide between connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicBool>);

impl Activity {
    /// Whether nothing would be lost if the connection went.
    pub(super) fn is_idle(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    fn set(&self, active: bool) {
        self.0.store(active, Ordering::Relaxed);
    }
}

/// How connections are served, all alike.
pub(super) struct Protocol<H> {
    limits: Limits,
    http: http1::Builder,
    handler: H,
}

impl<H> Protocol<H>
where
    H: Fn(&Parts) -> Response,
{
    pub(super) fn new(limits: Limits, handler: H) -> Self {
        let mut http = http1::Builder::new();
        http.keep_alive(false)
            // A client may close its side when it has asked.
            .half_close(true)
            // Without a timer the limit on the time would panic.
            .timer(TokioTimer::new())
            .header_read_timeout(limits.request)
            .max_headers(limits.headers)
            .max_header_size(limits.head)
            .max_buf_size(limits.head.max(SMALLEST_BUFFER));
        Self { limits, http, handler }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits.clone()
    }

    /// Serves one connection to its end, or until its time is up.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, activity: Activity) {
        tokio::select! {
            () = self.answer(stream, &activity) => {}
            () = sleep(self.limits.connection) => {}
        }
    }

    async fn answer(&self, stream: TcpStream, activity: &Activity) {
        let refused = AtomicBool::new(false);
        let service = service_fn(|request| {
            activity.set(true);
            let response = self.respond(request);
            refused.store(response.status().is_client_error(), Ordering::Relaxed);
            ready(Ok::<_, Infallible>(response))
        });
        let mut connection = self.http.serve_connection(TokioIo::new(stream), service);
        let result = Pin::new(&mut connection).await;
        if let Err(error) = &result {
            tracing::trace!(%error, "a connection ended early");
        }
        if result.is_err() || refused.load(Ordering::Relaxed) {
            activity.set(false);
            let stream = connection.into_parts().io.into_inner();
            self.drain(stream).await;
        }
    }

    fn respond(&self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let mut response = if !matches!(parts.method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are understood here\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        } else if parts.uri.path_and_query().map_or(0, |target| target.as_str().len()) > self.limits.target {
            text(StatusCode::URI_TOO_LONG, "the address is too long\n")
        } else if !body.is_end_stream() {
            text(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n")
        } else {
            (self.handler)(&parts)
        };
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }

    /// Says that this was all, and reads what a refused client is still sending: closing now would
    /// reset the connection, and with it the answer that says why.
    async fn drain(&self, mut stream: TcpStream) {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut left = 64 * self.limits.head;
        let mut buffer = [0; 1024];
        let read = async {
            while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                left = left.saturating_sub(bytes);
                if left == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            () = read => {}
            () = sleep(self.limits.linger) => {}
        }
    }
}

/// A plain answer in words.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response {
    typed(status, "text/plain; charset=utf-8", body)
}

/// An answer with the content type `kind`.
pub(super) fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
