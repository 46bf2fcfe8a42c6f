//! What a run that deletes changes of subscriptions says of those who subscribe.

use serde::{Deserialize, Serialize};

/// What became of the changes of subscriptions. What is listed is the first of what is counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diffs {
    /// Subscriptions that lost changes of which nobody knows that the subscriber has them: it may have to
    /// fetch everything anew.
    pub resynchronise: u64,
    /// How many such changes they lost.
    pub unconfirmed: u64,
    /// The first of these subscriptions.
    pub lost: Vec<LostDiffs>,
    /// Subscriptions of whose changes the age is not known, as their numbers went back, or as several
    /// subscriptions that count for themselves share them.
    pub went_back: u64,
    /// Subscriptions with changes that are not stored as the library stores them, all of which stay.
    pub unreadable: u64,
    /// The first of these two kinds.
    pub left_alone: Vec<LeftAlone>,
    /// Changes without a subscription that will go when they are seen so again.
    pub waiting: u64,
}

/// A subscription that lost changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostDiffs {
    /// The actor that has published them.
    pub id: String,
    /// The subscription's own id.
    pub subid: String,
    /// Whoever subscribes by it.
    pub peers: Vec<String>,
    /// How many of which nobody knows that these have them.
    pub diffs: u64,
    /// The highest number that is gone.
    pub through: i64,
}

/// A subscription whose changes stay for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAlone {
    /// The actor.
    pub id: String,
    /// The subscription's own id.
    pub subid: String,
    /// The reason, in words.
    pub why: String,
}

impl Diffs {
    /// How many are listed of each kind.
    pub const LISTED: usize = 1000;

    /// So long the names in a list may be together: a report has to fit into an item of DynamoDB.
    const LISTED_BYTES: usize = 128 * 1024;

    /// Counts a subscription that lost changes, and lists it if there is room.
    pub fn add_lost(&mut self, lost: LostDiffs) {
        self.resynchronise += 1;
        self.unconfirmed += lost.diffs;
        let peers = |lost: &LostDiffs| lost.peers.iter().map(String::len).sum::<usize>();
        push_within_bounds(&mut self.lost, lost, |lost| lost.id.len() + lost.subid.len() + peers(lost));
    }

    /// Lists a subscription whose changes stay, if there is room.
    pub fn add_left_alone(&mut self, left: LeftAlone) {
        push_within_bounds(&mut self.left_alone, left, |left| left.id.len() + left.subid.len() + left.why.len());
    }
}

fn push_within_bounds<T>(list: &mut Vec<T>, item: T, size: impl Fn(&T) -> usize) {
    if list.len() < Diffs::LISTED && list.iter().chain([&item]).map(size).sum::<usize>() <= Diffs::LISTED_BYTES {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_as_many_listed_as_there_is_room_for() {
        let mut diffs = Diffs::default();
        for _ in 0..1200 {
            diffs.add_lost(LostDiffs { id: "a".repeat(36), diffs: 2, ..LostDiffs::default() });
        }
        assert_eq!((diffs.resynchronise, diffs.unconfirmed, diffs.lost.len()), (1200, 2400, Diffs::LISTED));
        let mut diffs = Diffs::default();
        for _ in 0..3 {
            diffs.add_lost(LostDiffs { id: "a".repeat(60_000), ..LostDiffs::default() });
        }
        assert_eq!((diffs.resynchronise, diffs.lost.len()), (3, 2));
    }
}
