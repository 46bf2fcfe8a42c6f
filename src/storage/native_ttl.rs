//! A backend that deletes by itself what has expired.

use async_trait::async_trait;

use super::Result;

/// Whether it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeTtl {
    /// This backend cannot.
    Never,
    /// It could, and does not.
    Off,
    /// It is about to begin, by this attribute.
    Starting(String),
    /// It is about to end.
    Stopping,
    /// It does, by this attribute.
    On(String),
}

/// What a stretch of a table shows of that: times that it cannot go by, and rows that it should have
/// deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Rows looked at.
    pub examined: u64,
    /// Rows whose TTL is no number: only numbers expire.
    pub not_numbers: u64,
    /// Rows whose TTL is so large a number that it cannot be seconds, but may be milliseconds.
    pub not_seconds: u64,
    /// Rows whose TTL has passed more than [`Ends::TOO_OLD`] seconds ago: DynamoDB passes them over.
    pub too_old: u64,
    /// The oldest TTL that has passed, of those that are not too old.
    pub oldest: Option<i64>,
}

impl Ends {
    /// DynamoDB takes a time before this many seconds ago for a mistake: five years.
    pub const TOO_OLD: i64 = 5 * 365 * 86_400;

    /// A time from this on is not in seconds, or lies three thousand years ahead.
    pub const NOT_SECONDS: i64 = 100_000_000_000;

    /// Adds what another stretch shows.
    pub fn add(&mut self, other: &Self) {
        self.examined += other.examined;
        self.not_numbers += other.not_numbers;
        self.not_seconds += other.not_seconds;
        self.too_old += other.too_old;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
    }
}

/// Asking a backend about it.
#[async_trait]
pub trait NativeExpiry: Send + Sync {
    /// Whether it deletes by itself what has expired.
    async fn native_ttl(&self) -> Result<NativeTtl>;

    /// Has it do so, unless it does already, by whatever attribute (false). It may take an hour to begin,
    /// during which it cannot be changed again.
    async fn enable_native_ttl(&self) -> Result<bool>;
}
