//! Which of the application's tables there are.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::error::refused;
use super::schema::has_key;
use super::{DynamoDb, Op};
use crate::model::{Table, layout};
use crate::storage::{ErrorKind, Result};

/// How many tables are asked about at once.
const AT_ONCE: usize = 5;

/// One of the application's tables that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Which one.
    pub table: Table,
    /// Its name.
    pub name: String,
    /// How AWS knows it.
    pub arn: String,
    /// How many rows it has, as of some hours ago.
    pub rows: u64,
}

impl DynamoDb {
    /// Those of the application's tables that there are. An older application has not all of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when there is none, or one that has another key than ActingWeb's.
    pub async fn existing_tables(&self) -> Result<Vec<Existing>> {
        const OP: Op = Op { name: "existing_tables", phrase: "look which tables there are" };
        self.measured(OP, async {
            let described = stream::iter(Table::ALL)
                .map(|table| Box::pin(async move { Ok((table, self.describe_table(OP, &self.table(table)).await?)) }));
            let described: Vec<_> = described.buffered(AT_ONCE).try_collect().await?;
            let mut existing = Vec::new();
            for (table, description) in described {
                let Some(description) = description else { continue };
                let name = self.table(table);
                if !has_key(description.key_schema(), layout::dynamodb_key(table)) {
                    let why = format!(
                        "the table {name} has another key than ActingWeb's: check storage.dynamodb.table_prefix"
                    );
                    return Err(refused(OP, ErrorKind::Schema, why));
                }
                let rows = description.item_count().unwrap_or_default().unsigned_abs();
                existing.push(Existing { table, name, arn: description.table_arn.unwrap_or_default(), rows });
            }
            if existing.is_empty() {
                let (prefix, region) = (&self.settings.table_prefix, &self.settings.region);
                let why = format!(
                    "no table with the prefix {prefix} is in the region {region}: check storage.dynamodb.table_prefix \
                     (AWS_DB_PREFIX) and .region"
                );
                return Err(refused(OP, ErrorKind::Schema, why));
            }
            Ok(existing)
        })
        .await
    }
}
