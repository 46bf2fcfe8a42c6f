//! Subscriptions, and the changes that subscribers may still fetch.

use chrono::{DateTime, Utc};

/// A subscription: a peer's to this actor, or, with `callback`, the mirror of this actor's to a
/// peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The actor.
    pub id: String,
    /// The second part of the key as it is stored: peer, colon and `subid`. Never split.
    pub peer_sub_id: String,
    /// The peer.
    pub peerid: String,
    /// The subscription's own id; two peers may use the same.
    pub subid: String,
    /// How much each change tells: `high`, `low` or `none`. The library reads none as empty.
    pub granularity: Option<String>,
    /// What it is about. The library reads none as empty.
    pub target: Option<String>,
    /// A part of that. The library reads none as empty.
    pub subtarget: Option<String>,
    /// A part of that. The library reads none as empty.
    pub resource: Option<String>,
    /// The number of the last change: given out, or in a mirror taken in. PostgreSQL has 32 bits
    /// for it.
    pub seqnr: i64,
    /// It is the mirror of a subscription to a peer.
    pub callback: bool,
}

impl Subscription {
    /// A subscription to nothing yet, with its key.
    pub fn new(id: &str, peerid: &str, subid: &str) -> Self {
        Self {
            id: id.to_owned(),
            peer_sub_id: format!("{peerid}:{subid}"),
            peerid: peerid.to_owned(),
            subid: subid.to_owned(),
            ..Self::default()
        }
    }
}

/// What to change of a subscription; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// Another granularity.
    pub granularity: Option<String>,
    /// Another target.
    pub target: Option<String>,
    /// Another part of it.
    pub subtarget: Option<String>,
    /// Another part of that.
    pub resource: Option<String>,
    /// Another number.
    pub seqnr: Option<i64>,
    /// Whether it is a mirror.
    pub callback: Option<bool>,
}

/// A change that subscribers may still fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionDiff {
    /// The actor.
    pub id: String,
    /// The second part of the key as it is stored, see [`subid_seqnr`]. Never split.
    pub subid_seqnr: String,
    /// The subscription's own id. Not the peer: two peers with the same id share their changes.
    pub subid: String,
    /// When it was made; on DynamoDB, when the process that made it began.
    pub timestamp: DateTime<Utc>,
    /// The change, as text.
    pub diff: String,
    /// Its number.
    pub seqnr: i64,
}

/// The second part of the key of a change: the number in decimal digits without zeros before it, so
/// that the order of keys is not that of the numbers.
pub fn subid_seqnr(subid: &str, seqnr: i64) -> String {
    format!("{subid}:{seqnr}")
}
