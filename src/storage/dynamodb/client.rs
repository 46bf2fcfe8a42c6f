//! The clients: who they are, how long they wait, how often they try again, and the clock that
//! answers show.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::config::{Builder, ConfigBag, Credentials, Intercept, Region, RuntimeComponents};
use aws_smithy_http_client::tls;
use chrono::{DateTime, TimeDelta, Utc};

use super::pressure::Refusals;
use super::settings::Settings;
use crate::model::clock;

/// How often a request is tried, the first time included.
const ATTEMPTS: u32 = 4;

/// The rest before the second attempt, as AWS recommends for DynamoDB.
const FIRST_REST: Duration = Duration::from_millis(25);

/// For so many milliseconds a server may show the same date.
const SHOWN_FOR: i64 = 2000;

/// Who asks.
#[derive(Clone)]
pub enum Login {
    /// Whoever the environment, the files of AWS or the machine say.
    Chain,
    /// This key, for emulators.
    Key {
        /// The id.
        id: String,
        /// The secret.
        secret: String,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// The clients of a store.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    /// For everything.
    pub(super) work: Client,
    /// For keeping leases: with a budget of retries of its own, which work that is throttled cannot
    /// use up.
    pub(super) leases: Client,
}

impl Clients {
    /// Clients as `settings` say. A request, with all its attempts, takes no longer than half of
    /// `lease`. What answers show of the clock and of capacity is written down.
    pub(super) async fn new(
        settings: &Settings,
        login: &Login,
        lease: Duration,
        (date, refusals): (Date, Refusals),
    ) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout((lease / 4).min(Duration::from_secs(3)))
            .operation_attempt_timeout(lease / 4)
            .operation_timeout(lease / 2)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .region(Region::new(settings.region.clone()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_REST));
        if let Login::Key { id, secret } = login {
            loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "settings"));
        }
        if let Some(endpoint) = &settings.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        let shared = loader.load().await;
        let client = |partition: &'static str| {
            let config = Builder::from(&shared)
                .retry_partition(RetryPartition::new(partition))
                .interceptor(ReadDate(date.clone()))
                .interceptor(refusals.clone())
                .build();
            Client::from_conf(config)
        };
        Self { work: client("work"), leases: client("leases") }
    }
}

/// The clock of the server, as its answers show it: `Date`, to the second.
#[derive(Clone, Debug, Default)]
pub(super) struct Date(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// Milliseconds by which the server's clock is ahead of ours.
    ahead: AtomicI64,
    seen: OnceLock<()>,
}

impl Date {
    /// What the server's clock shows now, going by the last answer; ours until there was one.
    pub(super) fn now(&self) -> DateTime<Utc> {
        clock::now() + TimeDelta::milliseconds(self.0.ahead.load(Ordering::Relaxed))
    }

    /// Whether an answer has shown it.
    pub(super) fn is_known(&self) -> bool {
        self.0.seen.get().is_some()
    }

    /// Learns that the server's clock showed `date` when ours showed `ours`.
    fn learn(&self, date: DateTime<Utc>, ours: DateTime<Utc>) {
        // It is cut off to the second, and some make it once a second only: what lies within that is
        // no difference. Otherwise the clock would go back and forth, and a run end before it began.
        let ahead = self.0.ahead.load(Ordering::Relaxed);
        let shown = (date - ours).num_milliseconds();
        if !(0..SHOWN_FOR).contains(&(ahead - shown)) {
            self.0.ahead.store(shown, Ordering::Relaxed);
        }
        let _known_already = self.0.seen.set(());
    }
}

/// Reads the date of every answer.
#[derive(Debug)]
struct ReadDate(Date);

impl Intercept for ReadDate {
    fn name(&self) -> &'static str {
        "ReadDate"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        let date = context.response().headers().get("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        if let Some(date) = date {
            self.0.learn(date.to_utc(), clock::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000 + milliseconds).unwrap()
    }

    fn ahead(date: &Date) -> i64 {
        date.0.ahead.load(Ordering::Relaxed)
    }

    #[test]
    fn a_date_that_was_cut_off_moves_no_clock() {
        let date = Date::default();
        assert!(!date.is_known());
        for (shown, ours) in [(0, 0), (0, 999), (0, 1999), (1000, 1000), (1000, 2500)] {
            date.learn(at(shown), at(ours));
            assert_eq!(ahead(&date), 0, "{shown} at {ours}");
        }
        assert!(date.is_known());
    }

    #[test]
    fn a_clock_that_is_another_is_learned_once() {
        let date = Date::default();
        date.learn(at(60_000), at(400));
        assert_eq!(ahead(&date), 59_600);
        date.learn(at(60_000), at(1_300));
        assert_eq!(ahead(&date), 59_600);
        // It is a little further ahead than was known.
        date.learn(at(62_000), at(2_100));
        assert_eq!(ahead(&date), 59_900);
        date.learn(at(0), at(3_000));
        assert_eq!(ahead(&date), -3_000);
    }
}
