//! A bucket of a stand-in for S3, from the same virtual environment as the library.

use actingweb_maintd::archive::{Access, Depot, Place};
use actingweb_maintd::model::Secret;

use super::ministack::Ministack;

/// What the tests look for where no secret may be.
pub(crate) const CANARY: &str = "canary-5f1c0a-never-show-this";

/// A bucket that is gone with this value.
#[derive(Debug)]
pub(crate) struct Bucket {
    server: Ministack,
}

impl Bucket {
    const NAME: &str = "backups";

    /// An empty one, on a server of its own.
    pub(crate) fn start() -> Self {
        let bucket = Self { server: Ministack::start() };
        let made = ureq::Agent::config_builder().proxy(None).build().new_agent().put(bucket.url("")).send_empty();
        made.expect("making a bucket");
        bucket
    }

    /// Where it is, from `prefix` on.
    pub(crate) fn place(&self, prefix: &str) -> Place {
        format!("s3://{}/{prefix}", Self::NAME).parse().expect("a place")
    }

    /// The address of its server.
    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// How to reach it.
    pub(crate) fn access(&self) -> Access {
        access(&self.endpoint())
    }

    /// It, from `prefix` on.
    pub(crate) fn depot(&self, prefix: &str) -> Depot {
        Depot::open(&self.place(prefix), &self.access()).expect("a bucket")
    }

    /// How many uploads have been begun in it and neither finished nor given up.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let answer = agent.get(self.url("?uploads")).call().expect("asking for uploads");
        answer.into_body().read_to_string().expect("a list").matches("<UploadId>").count()
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.endpoint(), Self::NAME)
    }
}

/// How to reach a server that takes any key.
pub(crate) fn access(endpoint: &str) -> Access {
    let variables = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", CANARY)];
    let variables = variables.map(|(name, value)| (name.to_owned(), Secret::from(value.to_owned())));
    let (endpoint_url, region) = (Some(endpoint.to_owned()), Some("us-east-1".to_owned()));
    Access { endpoint_url, region, variables: variables.into() }
}
