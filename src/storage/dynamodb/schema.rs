//! What the tables are like: the application's, and the daemon's own.

use aws_sdk_dynamodb::types::{
    AttributeValue, KeySchemaElement, KeyType, ReturnConsumedCapacity, TableDescription, TimeToLiveDescription,
    TimeToLiveStatus,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::error::{Context, is_missing_table};
use super::{DynamoDb, Op};
use crate::model::{Table, layout};
use crate::storage::Result;

/// The version of the daemon's own table that this build makes.
pub(super) const OWN_VERSION: u32 = 1;

/// The key of the daemon's own table.
pub(super) const OWN_KEY: (&str, Option<&str>) = ("pk", Some("sk"));

/// Where its version stands.
pub(super) const VERSION_KEY: [(&str, &str); 2] = [("pk", "schema"), ("sk", "version")];

/// The attribute that is its version.
pub(super) const VERSION: &str = "version";

/// How many tables are asked about at once.
const AT_ONCE: usize = 5;

/// What the tables of a deployment are like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaStatus {
    /// What the tables' names begin with.
    pub table_prefix: String,
    /// The region they are looked for in.
    pub region: String,
    /// The application's tables that exist.
    pub tables: Vec<String>,
    /// Those that do not.
    pub missing: Vec<String>,
    /// Those that have another key than they must.
    pub strange: Vec<String>,
    /// What is not as it is expected, in words that name the table.
    pub findings: Vec<String>,
    /// Which attribute of the attributes' table DynamoDB itself expires rows by, if any.
    pub ttl_attribute: Option<String>,
    /// Why nobody knows that, if so; a finding says so as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_unknown: Option<String>,
    /// The version of the daemon's own table; none when it is missing.
    pub maintd_version: Option<u32>,
    /// The version that this build makes.
    pub maintd_head: u32,
}

/// What `apply` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The application's tables that were made.
    pub tables: Vec<String>,
    /// Whether DynamoDB was told to expire attributes by itself.
    pub ttl: bool,
    /// Whether the daemon's own table was made.
    pub maintd: bool,
}

impl SchemaStatus {
    /// Why nothing may be deleted, if so.
    pub fn refusal(&self) -> Option<String> {
        let Self { table_prefix, region, .. } = self;
        if self.tables.is_empty() {
            return Some(format!(
                "no table with the prefix {table_prefix} is in the region {region}: check \
                 storage.dynamodb.table_prefix (AWS_DB_PREFIX) and .region, or make the tables with \
                 `actingweb-maintd schema apply`"
            ));
        }
        let attributes = format!("{table_prefix}{}", Table::Attributes.suffix());
        if self.missing.contains(&attributes) {
            return Some(format!(
                "the table {attributes} is missing in the region {region}: make it with `actingweb-maintd schema \
                 apply`, or check storage.dynamodb.table_prefix (AWS_DB_PREFIX)"
            ));
        }
        if let Some(strange) = self.strange.first() {
            return Some(format!(
                "the table {strange} has another key than ActingWeb's: check storage.dynamodb.table_prefix \
                 (AWS_DB_PREFIX)"
            ));
        }
        self.own_refusal()
    }

    /// Why the daemon's own table cannot be used, if so.
    pub fn own_refusal(&self) -> Option<String> {
        let Self { table_prefix, .. } = self;
        match self.maintd_version {
            _ if self.is_current() => None,
            Some(version) if version > self.maintd_head => Some(format!(
                "the table {table_prefix}_maintd is at version {version} and this build knows {}: run the newer \
                 actingweb-maintd",
                self.maintd_head
            )),
            _ => Some(format!(
                "the daemon's own table {table_prefix}_maintd is missing or old: run `actingweb-maintd schema apply`, \
                 or start with `run --apply-schema`"
            )),
        }
    }

    /// Whether the daemon's own table is the one that this build makes.
    pub fn is_current(&self) -> bool {
        self.maintd_version == Some(self.maintd_head)
    }
}

impl DynamoDb {
    /// What the tables are like now.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn schema_status(&self) -> Result<SchemaStatus> {
        const OP: Op = Op { name: "schema", phrase: "read what the tables are like" };
        self.measured(OP, async {
            let mut status = SchemaStatus {
                table_prefix: self.settings.table_prefix.clone(),
                region: self.settings.region.clone(),
                tables: Vec::new(),
                missing: Vec::new(),
                strange: Vec::new(),
                findings: Vec::new(),
                ttl_attribute: None,
                ttl_unknown: None,
                maintd_version: None,
                maintd_head: OWN_VERSION,
            };
            let described = stream::iter(Table::ALL)
                .map(|table| Box::pin(async move { self.describe_table(OP, &self.table(table)).await }));
            let described: Vec<_> = described.buffered(AT_ONCE).try_collect().await?;
            for (table, description) in Table::ALL.into_iter().zip(described) {
                match description {
                    Some(description) => self.look_at(table, &description, &mut status),
                    None => status.missing.push(self.table(table)),
                }
            }
            if status.tables.contains(&self.table(Table::Attributes)) {
                match self.time_to_live(OP).await {
                    Ok(ttl) => {
                        let is_on = ttl.as_ref().is_some_and(is_on);
                        status.ttl_attribute = ttl.and_then(|ttl| ttl.attribute_name).filter(|_| is_on);
                    }
                    // Nothing else depends on it, so whoever may not ask that can do all the rest.
                    Err(error) if !error.kind.may_pass() => status.ttl_unknown = Some(error.chain()),
                    Err(error) => return Err(error),
                }
                self.look_at_ttl(&mut status);
            }
            self.look_at_own(OP, &mut status).await?;
            Ok(status)
        })
        .await
    }

    fn look_at(&self, table: Table, description: &TableDescription, status: &mut SchemaStatus) {
        let name = self.table(table);
        let key = layout::dynamodb_key(table);
        if !has_key(description.key_schema(), key) {
            status.findings.push(strange_key(&name, description.key_schema(), key));
            status.strange.push(name.clone());
        }
        if let Some(index) = layout::dynamodb_index(table, !self.indexing.by_table) {
            let indexes = description.global_secondary_indexes().iter();
            let found = indexes.filter(|found| found.index_name() == Some(index.name)).collect::<Vec<_>>();
            match found.first() {
                None => status.findings.push(format!("the table {name} has no index `{}`", index.name)),
                Some(found) if !has_key(found.key_schema(), (index.attribute, None)) => {
                    let of = format!("{name}, index `{}`", index.name);
                    status.findings.push(strange_key(&of, found.key_schema(), (index.attribute, None)));
                }
                Some(_) => {}
            }
        }
        status.tables.push(name);
    }

    fn look_at_ttl(&self, status: &mut SchemaStatus) {
        if let Some(why) = &status.ttl_unknown {
            let name = self.table(Table::Attributes);
            status.findings.push(format!("whether DynamoDB expires what is in the table {name} is not known: {why}"));
        }
        if let Some(other) = status.ttl_attribute.as_deref().filter(|found| *found != layout::TTL_ATTRIBUTE) {
            let name = self.table(Table::Attributes);
            let expected = layout::TTL_ATTRIBUTE;
            status.findings.push(format!("the table {name} expires rows by `{other}` and not by `{expected}`"));
        }
    }

    async fn look_at_own(&self, op: Op, status: &mut SchemaStatus) -> Result<()> {
        let name = self.own_table();
        let Some(description) = self.describe_table(op, &name).await? else { return Ok(()) };
        if has_key(description.key_schema(), OWN_KEY) {
            status.maintd_version = self.own_version(op).await?;
        } else {
            status.findings.push(strange_key(&name, description.key_schema(), OWN_KEY));
        }
        Ok(())
    }

    /// The version that the daemon's own table says it has; none without the table.
    pub(super) async fn own_version(&self, op: Op) -> Result<Option<u32>> {
        let mut request = self.clients().await.work.get_item().table_name(self.own_table());
        for (name, text) in VERSION_KEY {
            request = request.key(name, AttributeValue::S(text.to_owned()));
        }
        let request = request.consistent_read(true).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = match self.send(op, request.send()).await? {
            Err(error) if is_missing_table(&error) => return Ok(None),
            answer => answer.op(op)?,
        };
        self.read_units("maintd", answer.consumed_capacity());
        let version = answer.item.and_then(|mut item| item.remove(VERSION));
        Ok(version.and_then(|version| version.as_n().ok()?.parse().ok()))
    }

    /// What a table is like; none when there is no such table.
    pub(super) async fn describe_table(&self, op: Op, name: &str) -> Result<Option<TableDescription>> {
        let request = self.clients().await.work.describe_table().table_name(name);
        match self.send(op, request.send()).await? {
            Err(error) if is_missing_table(&error) => Ok(None),
            answer => Ok(answer.op(op)?.table),
        }
    }

    /// Whether and by what DynamoDB itself expires attributes.
    pub(super) async fn time_to_live(&self, op: Op) -> Result<Option<TimeToLiveDescription>> {
        let request = self.clients().await.work.describe_time_to_live().table_name(self.table(Table::Attributes));
        let answer = self.send(op, request.send()).await?.op(op)?;
        Ok(answer.time_to_live_description)
    }
}

/// Whether rows are expired, or will be as soon as it has been switched on.
pub(super) fn is_on(ttl: &TimeToLiveDescription) -> bool {
    matches!(ttl.time_to_live_status(), Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
}

pub(super) fn has_key(schema: &[KeySchemaElement], (hash, range): (&str, Option<&str>)) -> bool {
    let part =
        |r#type: &KeyType| schema.iter().find(|part| part.key_type() == r#type).map(KeySchemaElement::attribute_name);
    part(&KeyType::Hash) == Some(hash) && part(&KeyType::Range) == range
}

fn strange_key(of: &str, schema: &[KeySchemaElement], (hash, range): (&str, Option<&str>)) -> String {
    let found: Vec<_> = schema.iter().map(KeySchemaElement::attribute_name).collect();
    let expected: Vec<_> = std::iter::once(hash).chain(range).collect();
    format!("the key of {of} is ({}) and not ({})", found.join(", "), expected.join(", "))
}
