//! The HTTP client of buckets. What nothing can come of, however often it is repeated, it tells as what it is: the
//! library tries some of it again, and puts the rest into a text.

use std::error::Error as StdError;
use std::io;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use super::place::{Action, Place};

/// The most of what somebody says that is shown.
const MOST: usize = 300;

/// Answers of the status 400 that are about keys, in the words of S3.
const OUT_OF_DATE: [&str; 3] = ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"];
/// Other answers that are.
const UNKNOWN_KEYS: [&str; 4] =
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo"];

/// Why nothing can come of a request.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Objection {
    /// The other side says no.
    #[error("{server} refuses it ({status}{})", shown(.code, .message))]
    Refused {
        /// Who.
        server: String,
        /// 400, 401 or 403.
        status: u16,
        /// Why, for programs.
        code: Option<String>,
        /// Why, for people.
        message: Option<String>,
    },
    /// The other side does not prove who it is.
    #[error("the certificate of {server} is not trusted ({why})")]
    Untrusted {
        /// Who it should be.
        server: String,
        /// What is wrong with it.
        why: rustls::CertificateError,
    },
}

fn shown(code: &Option<String>, message: &Option<String>) -> String {
    let code = code.iter().map(|code| format!(" {code}"));
    code.chain(message.iter().map(|message| format!(": {message}"))).collect()
}

impl Objection {
    /// The one that an error is about, if it is.
    pub(super) fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        within(error)
    }

    /// It, and what somebody can do who wanted to do this there.
    pub(super) fn with_remedy(&self, action: Action, place: &Place) -> String {
        let remedy = match self {
            Self::Untrusted { why: rustls::CertificateError::UnknownIssuer, .. } => {
                "if a private authority has signed it, name a file with that authority's certificate in SSL_CERT_FILE"
                    .to_owned()
            }
            Self::Untrusted { .. } => return self.to_string(),
            Self::Refused { code: Some(code), .. } if code == "RequestTimeTooSkewed" => {
                "set the clock of this machine".to_owned()
            }
            Self::Refused { status, code, .. } => {
                let is_about_keys = |code: &str| OUT_OF_DATE.iter().chain(&UNKNOWN_KEYS).any(|known| *known == code);
                match place.permission(action) {
                    Some(permission) if *status == 403 && !code.as_deref().is_some_and(is_about_keys) => {
                        format!("who asks needs {permission}")
                    }
                    _ => format!("check the keys in the environment ({}…)", place.variables()),
                }
            }
        };
        format!("{self}: {remedy}")
    }
}

/// Makes the clients.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Client(HttpClient);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (uri, headers) = (request.uri(), request.headers());
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let server = format!("{}{port}", uri.host().unwrap_or_default());
        // From who lends keys the library takes some refusals for an answer, and sends no keys there.
        let is_signed = headers.contains_key("authorization");
        let answer = match self.0.execute(request).await {
            Ok(answer) => answer,
            Err(error) => {
                return Err(match within(&error) {
                    Some(rustls::Error::InvalidCertificate(why)) => {
                        objection(Objection::Untrusted { server, why: why.clone() })
                    }
                    _ => error,
                });
            }
        };
        let status = answer.status().as_u16();
        if !is_signed || ![400, 401, 403].contains(&status) {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = body.bytes().await?;
        let text = String::from_utf8_lossy(&body);
        let (code, message) = (element(&text, "Code"), element(&text, "Message"));
        if status == 400 && !code.as_deref().is_some_and(|code| OUT_OF_DATE.contains(&code)) {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        Err(objection(Objection::Refused { server, status, code, message }))
    }
}

fn objection(objection: Objection) -> HttpError {
    // Of all kinds this one is not tried again.
    HttpError::new(HttpErrorKind::Unknown, objection)
}

/// The text of the first element of this name, in one line.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = [("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain));
    let text: String = text.lines().next().unwrap_or_default().chars().take(MOST).collect();
    (!text.is_empty()).then_some(text)
}

/// The error of this type that is, or is below, another.
fn within<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // What one of the operating system's holds, its own `source` passes over.
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}
