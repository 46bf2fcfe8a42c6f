//! What is wrong with values that are each right by themselves.

use super::{Bucket, Dynamodb, DynamodbMethod, Encryption, Postgresql, PostgresqlMethod, Retention};
use crate::archive;
use crate::model::setting::Problem;

impl Postgresql {
    pub(super) fn problems(&self) -> Vec<Problem> {
        if self.method != PostgresqlMethod::Tool {
            return Vec::new();
        }
        let why = "is not set, and method = \"tool\" needs it";
        let mut problems = Vec::new();
        if self.tool.name.is_none() {
            let message = format!("{why}: write whose words it speaks, \"pgbackrest\", \"wal_g\" or \"barman\"");
            problems.push(Problem::new("tool.name", message));
        }
        for (key, command, sample) in [
            ("create", &self.tool.create, "[\"pgbackrest\", \"--stanza=main\", \"backup\"]"),
            ("list", &self.tool.list, "[\"pgbackrest\", \"--stanza=main\", \"--output=json\", \"info\"]"),
        ] {
            if command.is_empty() {
                let message = format!("{why}: write a program and its arguments, as in {sample}");
                problems.push(Problem::new(format!("tool.{key}"), message));
            }
        }
        for (key, command) in [("create", &self.tool.create), ("list", &self.tool.list), ("verify", &self.tool.verify)]
        {
            // Which program a bare name means would depend on who starts the daemon, and that is as it should be:
            // such tools are installed. An empty one means none at all.
            if command.first().is_some_and(|program| program.trim().is_empty()) {
                problems.push(Problem::new(format!("tool.{key}"), "begins with an empty word: write a program first"));
            }
        }
        problems
    }
}

impl Dynamodb {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let has_bucket = self.export_bucket.as_ref().is_some_and(|bucket| !bucket.trim().is_empty());
        if self.method != DynamodbMethod::Export || has_bucket {
            return Vec::new();
        }
        let message =
            "is not set, and method = \"export\" writes there: name a bucket of the same account, without s3://";
        vec![Problem::new("export_bucket", message)]
    }
}

impl Bucket {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let is_url = |text: &String| {
            url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        };
        match &self.endpoint_url {
            Some(endpoint) if !is_url(endpoint) => {
                let message = "is not a URL: write https:// and a host, as in \"https://minio.internal:9000\", or leave \
                               it out for the provider itself";
                vec![Problem::new("endpoint_url", message)]
            }
            _ => Vec::new(),
        }
    }
}

impl Encryption {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let wrong = self.recipients.iter().filter_map(|recipient| archive::check_recipient(recipient).err());
        wrong.map(|why| Problem::new("recipients", why)).collect()
    }
}

impl Retention {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let counts = [self.keep_last, self.daily, self.weekly, self.monthly, self.yearly];
        if !self.enabled || counts.iter().any(|count| count.get() > 0) {
            return Vec::new();
        }
        let message = "and daily, weekly, monthly and yearly are all 0, so that nothing is kept but min_sets: write how \
                       many to keep, or enabled = false to remove nothing";
        vec![Problem::new("keep_last", message)]
    }
}
