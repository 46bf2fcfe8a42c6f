//! Where something is kept, as it is configured.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A directory of this machine, or a prefix in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An absolute path.
    Directory(PathBuf),
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    Bucket {
        /// Whose.
        provider: Provider,
        /// The bucket or container.
        name: String,
        /// What all names begin with; may be empty.
        prefix: String,
    },
}

/// What is done with what is in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Look,
    Read,
    Write,
    Abandon,
    Remove,
}

impl Action {
    /// For people, after "cannot".
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Look => "look at",
            Self::Read => "read",
            Self::Write => "write",
            Self::Abandon => "abandon",
            Self::Remove => "remove",
        }
    }
}

/// Who keeps buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3, and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    pub(super) const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    /// What the variables that its own tools read begin with.
    pub(super) const fn variables(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Gcs => "GOOGLE_",
            Self::Azure => "AZURE_",
        }
    }
}

impl Place {
    /// What whoever does this in a bucket must be allowed to do, in its provider's words.
    pub(super) fn permission(&self, action: Action) -> Option<String> {
        let Self::Bucket { provider, name, prefix } = self else { return None };
        Some(match provider {
            Provider::S3 => {
                let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                let on = |action| format!("{action} on arn:aws:s3:::{name}/{below}*");
                match action {
                    Action::List if below.is_empty() => format!("s3:ListBucket on arn:aws:s3:::{name}"),
                    Action::List => format!("s3:ListBucket on arn:aws:s3:::{name} for the prefix {below}*"),
                    // S3 tells that something is not there only to who may list.
                    Action::Look | Action::Read => {
                        format!("{}, and s3:ListBucket on arn:aws:s3:::{name}", on("s3:GetObject"))
                    }
                    Action::Write => on("s3:PutObject"),
                    Action::Abandon => on("s3:AbortMultipartUpload"),
                    Action::Remove => on("s3:DeleteObject"),
                }
            }
            Provider::Gcs => {
                let verbs = match action {
                    Action::List => "storage.objects.list",
                    Action::Look | Action::Read => "storage.objects.get",
                    // Something that is replaced is deleted, for Google.
                    Action::Write => "storage.objects.create and storage.objects.delete",
                    Action::Abandon => "storage.multipartUploads.abort",
                    Action::Remove => "storage.objects.delete",
                };
                format!("{verbs} on the bucket {name}")
            }
            Provider::Azure => {
                let verb = match action {
                    Action::List | Action::Look | Action::Read => "read",
                    Action::Write | Action::Abandon => "write",
                    Action::Remove => "delete",
                };
                let kind = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
                format!("{kind}/{verb} on the container {name}")
            }
        })
    }

    /// What the variables with its keys begin with.
    pub(super) const fn variables(&self) -> &'static str {
        match self {
            Self::Bucket { provider, .. } => provider.variables(),
            Self::Directory(_) => "",
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        let right = "write an absolute path, or s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("`{text}` is not an absolute path: {right}"));
        };
        let Some(provider) = Provider::ALL.into_iter().find(|provider| provider.scheme() == scheme) else {
            return Err(format!("`{scheme}` is not a kind of place that this build has: {right}"));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(format!("`{text}` names no bucket: {right}"));
        }
        Ok(Self::Bucket { provider, name: name.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Bucket { provider, name, prefix } if prefix.is_empty() => write!(f, "{}://{name}", provider.scheme()),
            Self::Bucket { provider, name, prefix } => write!(f, "{}://{name}/{prefix}", provider.scheme()),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
