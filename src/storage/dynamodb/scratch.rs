//! Tables that are thrown away: how they are told from all others, and how they go.

use std::collections::BTreeSet;
use std::time::Instant;

use super::apply::{PATIENCE, POLL};
use super::error::{Context, is_missing_table, refused};
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::storage::{ErrorKind, Result, Upkeep};

/// What stands between the prefix of a deployment and something random, in the prefix of tables for a drill of it.
const DRILL: &str = "_drill_";

/// How many characters something random has.
const RANDOM: usize = 8;

impl DynamoDb {
    /// What the names of tables for a drill of the deployment with this prefix begin with. `random` is in
    /// hexadecimal; of it only the beginning counts.
    pub fn scratch_prefix(prefix: &str, random: &str) -> String {
        format!("{prefix}{DRILL}{}", &random[..RANDOM.min(random.len())])
    }

    /// The prefixes of tables that are here for drills of this deployment.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn scratch_prefixes(&self) -> Result<BTreeSet<String>> {
        const OP: Op = Op { name: "scratch_prefixes", phrase: "look for tables of drills" };
        self.measured(OP, async {
            let mut prefixes = BTreeSet::new();
            let mut start = None;
            loop {
                let request = self.clients().await.work.list_tables().set_exclusive_start_table_name(start);
                let answer = self.send(OP, request.send()).await?.op(OP)?;
                prefixes.extend(answer.table_names().iter().filter_map(|name| self.scratch_prefix_of(name)));
                start = answer.last_evaluated_table_name;
                if start.is_none() {
                    return Ok(prefixes);
                }
            }
        })
        .await
    }

    /// The prefix of a table, if it is one of a drill of this deployment.
    fn scratch_prefix_of(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix(&self.settings.table_prefix)?.strip_prefix(DRILL)?;
        let random = rest.get(..RANDOM)?;
        let prefix = Self::scratch_prefix(&self.settings.table_prefix, random);
        let suffixes = Table::ALL.iter().map(|table| table.suffix()).chain(["_maintd"]);
        (is_random(random) && suffixes.into_iter().any(|suffix| *name == format!("{prefix}{suffix}"))).then_some(prefix)
    }

    /// Removes all tables of this store, which was made for a drill `by` somebody who has marked it so. Those of the
    /// application go first and the one with the mark last, so that whoever comes after one who was killed still
    /// finds it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when these are no tables of a drill, or somebody else's; then nothing is removed.
    pub async fn remove_scratch_tables(&self, by: &str) -> Result<()> {
        const OP: Op = Op { name: "remove_scratch_tables", phrase: "remove the tables of a drill" };
        self.measured(OP, async {
            let prefix = &self.settings.table_prefix;
            let no_drill = |why: String| refused(OP, ErrorKind::Conflict, why);
            let random = prefix.rsplit_once(DRILL).map(|(_, random)| random);
            if !random.is_some_and(|random| random.len() == RANDOM && is_random(random)) {
                return Err(no_drill(format!("the prefix {prefix} is not one of a drill")));
            }
            let mut found = Vec::new();
            for name in Table::ALL.map(|table| self.table(table)) {
                if self.describe_table(OP, &name).await?.is_some() {
                    found.push(name);
                }
            }
            let own = self.own_table();
            let has_own = self.describe_table(OP, &own).await?.is_some();
            // The mark is made before the first table of the application.
            if !found.is_empty() {
                let mark = if has_own { self.incomplete().await? } else { None };
                if mark.is_none_or(|mark| mark.by != by) {
                    return Err(no_drill(format!("nothing says that the tables {prefix}_* are of a drill of ours")));
                }
            }
            for name in &found {
                self.delete_table(OP, name).await?;
            }
            for name in &found {
                self.wait_until_gone(OP, name).await?;
            }
            if has_own {
                self.delete_table(OP, &own).await?;
                self.wait_until_gone(OP, &own).await?;
            }
            Ok(())
        })
        .await
    }

    /// Begins to delete a table. One that is gone, or about to go, is deleted.
    async fn delete_table(&self, op: Op, name: &str) -> Result<()> {
        let request = self.clients().await.work.delete_table().table_name(name);
        match self.send(op, request.send()).await? {
            Err(error) if is_missing_table(&error) => Ok(()),
            answer => answer.op(op).map(drop),
        }
    }

    async fn wait_until_gone(&self, op: Op, name: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.describe_table(op, name).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        let waited = PATIENCE.as_secs();
        Err(refused(op, ErrorKind::Timeout, format!("the table {name} is still there after {waited} seconds")))
    }
}

fn is_random(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
