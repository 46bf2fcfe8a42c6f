//! A bucket of a stand-in for S3.

use actingweb_maintd::archive::{Access, Depot, Place};
use actingweb_maintd::model::Secret;

use super::emulator::agent;
use super::ministack::Ministack;
use super::moto::{Keys, Moto};

/// What the tests look for where no secret may be.
pub(crate) const CANARY: &str = "canary-5f1c0a-never-show-this";

/// Who keeps it.
#[derive(Debug)]
enum Server {
    Moto(Moto),
    Ministack(Ministack),
}

/// A bucket that is gone with this value.
#[derive(Debug)]
pub(crate) struct Bucket {
    server: Server,
}

impl Bucket {
    const NAME: &str = "backups";

    /// An empty one, on a server of its own.
    pub(crate) fn start() -> Self {
        Self::on(Server::Moto(Moto::start()))
    }

    /// The same, on a server that shares no code with that one.
    pub(crate) fn start_another() -> Self {
        Self::on(Server::Ministack(Ministack::start()))
    }

    fn on(server: Server) -> Self {
        let bucket = Self { server };
        agent().put(bucket.url("")).send_empty().expect("making a bucket");
        bucket
    }

    /// Where it is, from `prefix` on.
    pub(crate) fn place(&self, prefix: &str) -> Place {
        format!("s3://{}/{prefix}", Self::NAME).parse().expect("a place")
    }

    /// The address of its server.
    pub(crate) fn endpoint(&self) -> String {
        match &self.server {
            Server::Moto(moto) => moto.endpoint(),
            Server::Ministack(ministack) => ministack.endpoint(),
        }
    }

    /// How to reach it.
    pub(crate) fn access(&self) -> Access {
        access(&self.endpoint())
    }

    /// It, from `prefix` on.
    pub(crate) fn depot(&self, prefix: &str) -> Depot {
        Depot::open(&self.place(prefix), &self.access()).expect("a bucket")
    }

    /// From now on it is only for these, each of whom may do what is said, and nothing else. Their keys.
    pub(crate) fn only_for<const N: usize>(&self, users: [(&str, &[&str]); N]) -> [Keys; N] {
        let Server::Moto(moto) = &self.server else { panic!("that one lets everybody in") };
        let keys = users.map(|(name, actions)| moto.user(name, actions));
        moto.lock();
        keys
    }

    /// It, from `prefix` on, as somebody with these keys has it.
    pub(crate) fn depot_of(&self, keys: &Keys, prefix: &str) -> Depot {
        Depot::open(&self.place(prefix), &access_with(&self.endpoint(), keys)).expect("a bucket")
    }

    /// How many uploads have been begun in it and neither finished nor given up.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        let answer = agent().get(self.url("?uploads")).call().expect("asking for uploads");
        answer.into_body().read_to_string().expect("a list").matches("<UploadId>").count()
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.endpoint(), Self::NAME)
    }
}

/// How to reach a server that takes any key.
pub(crate) fn access(endpoint: &str) -> Access {
    access_with(endpoint, &Keys { id: "test".to_owned(), secret: CANARY.to_owned() })
}

fn access_with(endpoint: &str, keys: &Keys) -> Access {
    let variables = [("AWS_ACCESS_KEY_ID", &keys.id), ("AWS_SECRET_ACCESS_KEY", &keys.secret)];
    let variables = variables.map(|(name, value)| (name.to_owned(), Secret::from(value.clone())));
    let (endpoint_url, region) = (Some(endpoint.to_owned()), Some("us-east-1".to_owned()));
    Access { endpoint_url, region, variables: variables.into() }
}
