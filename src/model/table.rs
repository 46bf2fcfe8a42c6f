//! The application's tables, by meaning: each backend has its own names for them.

use std::fmt;

use serde::Serialize;

/// A table of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Who exists.
    Actors,
    /// What actors store under names, lists included.
    Properties,
    /// Which actor has a property with a given value; made from the properties.
    PropertyLookup,
    /// What the library itself stores for actors, in buckets: tokens, sessions, caches.
    Attributes,
    /// Relationships of actors with peers.
    Trusts,
    /// Peers that an actor may act for.
    PeerTrustees,
    /// Who wants to hear of changes, and of whom the actor wants to hear.
    Subscriptions,
    /// Changes that subscribers may still fetch.
    SubscriptionDiffs,
    /// Targets for which no changes are recorded for the time being.
    SubscriptionSuspensions,
}

impl Table {
    /// Every table. An actor comes before what refers to it, so this is the order to write in.
    pub const ALL: [Self; 9] = [
        Self::Actors,
        Self::Properties,
        Self::PropertyLookup,
        Self::Attributes,
        Self::Trusts,
        Self::PeerTrustees,
        Self::Subscriptions,
        Self::SubscriptionDiffs,
        Self::SubscriptionSuspensions,
    ];

    /// The table in PostgreSQL, and the word in reports and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Actors => "actors",
            Self::Properties => "properties",
            Self::PropertyLookup => "property_lookup",
            Self::Attributes => "attributes",
            Self::Trusts => "trusts",
            Self::PeerTrustees => "peertrustees",
            Self::Subscriptions => "subscriptions",
            Self::SubscriptionDiffs => "subscription_diffs",
            Self::SubscriptionSuspensions => "subscription_suspensions",
        }
    }

    /// The table of this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// What follows the prefix in the name of the DynamoDB table, as the library puts them
    /// together: no separator is added.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Actors => "_actors",
            Self::Properties => "_properties",
            Self::PropertyLookup => "_property_lookup_v2",
            Self::Attributes => "_attributes",
            Self::Trusts => "_trusts",
            Self::PeerTrustees => "_peertrustees",
            Self::Subscriptions => "_subscriptions",
            // Without an underscore between, unlike in PostgreSQL.
            Self::SubscriptionDiffs => "_subscriptiondiffs",
            Self::SubscriptionSuspensions => "_subscription_suspensions",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
