//! Peers that an actor may act for.

/// A peer that the actor is a trustee of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTrustee {
    /// The actor.
    pub id: String,
    /// The peer.
    pub peerid: String,
    /// Where it is.
    pub baseuri: String,
    /// Its type of application.
    pub r#type: String,
    /// Its secret.
    pub passphrase: String,
}

/// What to change of a peer trustee; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTrusteeChange {
    /// Another place.
    pub baseuri: Option<String>,
    /// Another type.
    pub r#type: Option<String>,
    /// Another secret.
    pub passphrase: Option<String>,
}
