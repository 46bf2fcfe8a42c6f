//! Rows as the application means them, whatever backend they are in. Times are UTC; PostgreSQL's
//! columns without a zone are read as such.

mod actor;
mod attribute;
mod peer_trustee;
mod property;
mod subscription;
mod suspension;
mod trust;

pub use actor::{Actor, ActorChange, canonical_creator};
pub use attribute::{Attribute, TTL_CLOCK_SKEW_BUFFER};
pub use peer_trustee::{PeerTrustee, PeerTrusteeChange};
pub use property::{LIST_PREFIX, LookupEntry, LookupOwner, Property, lookup_key};
pub use subscription::{Subscription, SubscriptionChange, SubscriptionDiff, subid_seqnr};
pub use suspension::Suspension;
pub use trust::{Trust, TrustChange, canonical_connection_method};

use super::Table;

/// A row of any table.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// Of [`Table::Actors`].
    Actor(Actor),
    /// Of [`Table::Properties`].
    Property(Property),
    /// Of [`Table::PropertyLookup`].
    Lookup(LookupEntry),
    /// Of [`Table::Attributes`].
    Attribute(Attribute),
    /// Of [`Table::Trusts`].
    Trust(Box<Trust>),
    /// Of [`Table::PeerTrustees`].
    PeerTrustee(PeerTrustee),
    /// Of [`Table::Subscriptions`].
    Subscription(Subscription),
    /// Of [`Table::SubscriptionDiffs`].
    Diff(SubscriptionDiff),
    /// Of [`Table::SubscriptionSuspensions`].
    Suspension(Suspension),
}

impl Row {
    /// The table it belongs to.
    pub const fn table(&self) -> Table {
        match self {
            Self::Actor(_) => Table::Actors,
            Self::Property(_) => Table::Properties,
            Self::Lookup(_) => Table::PropertyLookup,
            Self::Attribute(_) => Table::Attributes,
            Self::Trust(_) => Table::Trusts,
            Self::PeerTrustee(_) => Table::PeerTrustees,
            Self::Subscription(_) => Table::Subscriptions,
            Self::Diff(_) => Table::SubscriptionDiffs,
            Self::Suspension(_) => Table::SubscriptionSuspensions,
        }
    }

    /// The actor it belongs to.
    pub fn id(&self) -> &str {
        match self {
            Self::Actor(row) => &row.id,
            Self::Property(row) => &row.id,
            Self::Lookup(row) => &row.actor_id,
            Self::Attribute(row) => &row.id,
            Self::Trust(row) => &row.id,
            Self::PeerTrustee(row) => &row.id,
            Self::Subscription(row) => &row.id,
            Self::Diff(row) => &row.id,
            Self::Suspension(row) => &row.id,
        }
    }
}
