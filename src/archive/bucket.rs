//! Buckets, as their providers' own tools reach them.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use rustls::crypto::{CryptoProvider, ring};

use super::Provider;
use super::objection::Connector;
use crate::model::Secret;

/// How long the other side may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the other side may be silent: before it answers, and between any two pieces of what it sends.
const SILENCE: Duration = Duration::from_secs(30);
/// After this long nothing is tried again. With [`SILENCE`] it bounds how long nobody notices that nobody answers.
const INSISTENCE: Duration = Duration::from_secs(20);

/// How a bucket is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Where it is, if not at its provider: the URL of something that speaks like it. Only one that begins with
    /// `http://` is spoken to without TLS.
    pub endpoint_url: Option<String>,
    /// The region, for S3.
    pub region: Option<String>,
    /// Keys and tokens, and how to get them, by the names of the variables that the provider's own tools read.
    pub variables: Vec<(String, Secret)>,
}

impl Access {
    /// The variables of this process that a provider's own tools read.
    pub fn variables_of_this_process() -> Vec<(String, Secret)> {
        let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours = texts.filter(|(name, _)| {
            Provider::ALL.iter().any(|provider| name.starts_with(provider.variables()))
                || ["SERVICE_ACCOUNT", "IDENTITY_ENDPOINT"].contains(&name.as_str())
        });
        ours.filter_map(|(name, value)| Some((name, value.into_string().ok()?.into()))).collect()
    }

    /// The variables as keys of a builder, as far as it knows them.
    fn keys<K: std::str::FromStr>(&self, provider: Provider) -> impl Iterator<Item = (K, &str)> {
        self.variables.iter().filter_map(move |(name, value)| {
            let key = name.starts_with(provider.variables()).then(|| name.to_ascii_lowercase().parse().ok())??;
            Some((key, value.expose()))
        })
    }

    fn variable(&self, wanted: &str) -> Option<&str> {
        self.variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.expose())
    }
}

/// The bucket `name`. Nobody is asked yet.
pub(super) fn open(provider: Provider, name: &str, access: &Access) -> object_store::Result<Arc<dyn ObjectStore>> {
    name_tls_provider();
    match provider {
        Provider::S3 => {
            let mut builder = AmazonS3Builder::new();
            for (key, value) in access.keys::<AmazonS3ConfigKey>(provider) {
                builder = builder.with_config(key, value);
            }
            if let Some(region) = &access.region {
                builder = builder.with_region(region);
            }
            if let Some(url) = &access.endpoint_url {
                builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, url);
            }
            let endpoint = builder.get_config_value(&AmazonS3ConfigKey::S3Endpoint);
            let endpoint = endpoint.or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
            let builder = builder
                .with_client_options(client(endpoint.as_deref()))
                .with_retry(retry())
                .with_http_connector(Connector);
            // Things are removed one by one. Asked for one, every server that speaks like S3 knows how, and its status
            // says what is wrong.
            Ok(Arc::new(builder.with_disable_bulk_delete(true).with_bucket_name(name).build()?))
        }
        Provider::Gcs => {
            let mut builder = GoogleCloudStorageBuilder::new();
            if let Some(path) = access.variable("SERVICE_ACCOUNT") {
                builder = builder.with_service_account_path(path);
            }
            for (key, value) in access.keys(provider) {
                builder = builder.with_config(key, value);
            }
            if let Some(url) = &access.endpoint_url {
                builder = builder.with_base_url(url);
            }
            let options = client(access.endpoint_url.as_deref());
            let builder = builder.with_client_options(options).with_retry(retry()).with_http_connector(Connector);
            Ok(Arc::new(builder.with_bucket_name(name).build()?))
        }
        Provider::Azure => {
            let mut builder = MicrosoftAzureBuilder::new();
            for (key, value) in access.keys::<AzureConfigKey>(provider) {
                builder = builder.with_config(key, value);
            }
            if let Some(url) = access.variable("IDENTITY_ENDPOINT") {
                builder = builder.with_msi_endpoint(url);
            }
            if let Some(url) = &access.endpoint_url {
                builder = builder.with_endpoint(url.clone());
            }
            let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
            let builder = builder
                .with_client_options(client(endpoint.as_deref()))
                .with_retry(retry())
                .with_http_connector(Connector);
            Ok(Arc::new(builder.with_container_name(name).build()?))
        }
    }
}

/// There is no limit for a whole request, as a large file takes long; but each silence is bounded.
fn client(endpoint: Option<&str>) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|url| url.starts_with("http://")))
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled()
        .with_read_timeout(SILENCE)
}

fn retry() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
    RetryConfig { backoff, max_retries: 5, retry_timeout: INSISTENCE }
}

/// The HTTP client takes the process's provider of TLS, and panics when there is none.
fn name_tls_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster; then there is one as well.
        let _theirs = ring::default_provider().install_default();
    }
}
