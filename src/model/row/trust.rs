//! Trusts: the relationships of actors with peers.

use chrono::{DateTime, Utc};

/// A relationship with a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The actor.
    pub id: String,
    /// The peer.
    pub peerid: String,
    /// Where the peer is.
    pub baseuri: String,
    /// The peer's type of application.
    pub r#type: String,
    /// What the peer may do.
    pub relationship: String,
    /// The token that the peer authenticates with.
    pub secret: String,
    /// For people. DynamoDB needs a text, if only an empty one.
    pub desc: Option<String>,
    /// The actor wants it.
    pub approved: bool,
    /// The peer wants it.
    pub peer_approved: bool,
    /// The peer has proved who it is.
    pub verified: bool,
    /// What it proves that with. DynamoDB needs a text, if only an empty one.
    pub verification_token: Option<String>,
    /// Who the peer is, by the words of the service that knows it.
    pub peer_identifier: Option<String>,
    /// How it came about.
    pub established_via: Option<String>,
    /// When it came about.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last used.
    pub last_accessed: Option<DateTime<Utc>>,
    /// How it was last used; see [`canonical_connection_method`].
    pub last_connected_via: Option<String>,
    /// The name of a client of `OAuth2`.
    pub client_name: Option<String>,
    /// Its version.
    pub client_version: Option<String>,
    /// What it runs on.
    pub client_platform: Option<String>,
    /// Its id.
    pub oauth_client_id: Option<String>,
    /// What the peer can do, by the tags of the protocol, with commas between.
    pub aw_supported: Option<String>,
    /// The peer's version of the protocol.
    pub aw_version: Option<String>,
    /// When that was asked.
    pub capabilities_fetched_at: Option<DateTime<Utc>>,
}

/// What to change of a trust; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Trust`")]
pub struct TrustChange {
    pub baseuri: Option<String>,
    pub secret: Option<String>,
    pub desc: Option<String>,
    pub approved: Option<bool>,
    pub peer_approved: Option<bool>,
    pub verified: Option<bool>,
    pub verification_token: Option<String>,
    pub peer_identifier: Option<String>,
    pub established_via: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub last_accessed: Option<DateTime<Utc>>,
    pub last_connected_via: Option<String>,
    pub client_name: Option<String>,
    pub client_version: Option<String>,
    pub client_platform: Option<String>,
    pub oauth_client_id: Option<String>,
    pub aw_supported: Option<String>,
    pub aw_version: Option<String>,
    pub capabilities_fetched_at: Option<DateTime<Utc>>,
}

/// A way of connecting as the library stores it (`canonical_connection_method` in its `trust.py`):
/// one of few known words, or what was given. None for nothing but white space.
pub fn canonical_connection_method(method: &str) -> Option<String> {
    let lowered = method.to_lowercase();
    match lowered.trim() {
        "" => None,
        known if known.starts_with("oauth") => Some("oauth".to_owned()),
        known @ ("trust" | "subscription" | "mcp") => Some(known.to_owned()),
        _ => Some(method.to_owned()),
    }
}
