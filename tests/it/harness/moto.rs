//! moto, the tests' AWS where it takes S3, users with their permissions, or TLS.

use super::certificates::{Certificates, NAME};
use super::emulator::{Emulator, agent};

/// The keys of somebody.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// One that forgets everything, and is stopped with this value.
#[derive(Debug)]
pub(crate) struct Moto {
    emulator: Emulator,
    is_encrypted: bool,
}

impl Moto {
    /// Starts one with nothing in it, which lets everybody in.
    pub(crate) fn start() -> Self {
        Self::launch(None)
    }

    /// The same, over TLS.
    pub(crate) fn start_encrypted(certificates: &Certificates) -> Self {
        Self::launch(Some(certificates))
    }

    fn launch(certificates: Option<&Certificates>) -> Self {
        let is_encrypted = certificates.is_some();
        let emulator = Emulator::start(
            "moto_server",
            |command, port| {
                command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                if let Some(certificates) = certificates {
                    command.arg("--ssl-cert").arg(certificates.path("server.pem"));
                    command.arg("--ssl-key").arg(certificates.path("server.key"));
                }
            },
            // It says so when the port is its own, and takes connections from then on.
            |started| started.log().contains(&format!("Running on {}", address(started, is_encrypted))),
        );
        Self { emulator, is_encrypted }
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        if self.is_encrypted {
            return format!("https://{NAME}:{}", self.emulator.port());
        }
        address(&self.emulator, false)
    }

    /// Makes somebody who may do this in S3 and nothing else, and whose keys these are.
    pub(crate) fn user(&self, name: &str, actions: &[&str]) -> Keys {
        let statement = serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        self.iam(&[("Action", "CreateUser"), ("UserName", name)]);
        if !actions.is_empty() {
            let (document, of) = (("PolicyDocument", &*policy), ("UserName", name));
            self.iam(&[("Action", "PutUserPolicy"), of, ("PolicyName", "all"), document]);
        }
        let made = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]);
        let text = |element: &str| {
            let (_, rest) = made.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("{element}: {made}"));
            rest.split_once('<').expect("its end").0.to_owned()
        };
        Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey") }
    }

    /// From now on it asks everybody for keys, and whether they may.
    pub(crate) fn lock(&self) {
        let request = agent().post(format!("{}/moto-api/reset-auth", self.endpoint()));
        request.header("Content-Type", "text/plain").send("0").expect("switching permissions on");
    }

    fn iam(&self, words: &[(&str, &str)]) -> String {
        // It takes from this which service is meant, and nobody for anybody.
        let meant = "AWS4-HMAC-SHA256 Credential=test/20261128/us-east-1/iam/aws4_request, SignedHeaders=host, \
                     Signature=0";
        let request = agent().post(self.endpoint()).header("Authorization", meant);
        let mut answer = request.send_form(words.iter().copied()).expect("an answer of IAM");
        answer.body_mut().read_to_string().expect("an answer of IAM")
    }
}

fn address(emulator: &Emulator, is_encrypted: bool) -> String {
    let scheme = if is_encrypted { "https" } else { "http" };
    format!("{scheme}://127.0.0.1:{}", emulator.port())
}
