//! What tables are like, in everything that can be wrong with them.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndexDescription, KeySchemaElement, KeyType,
    ProvisionedThroughputDescription, TableDescription,
};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::recovery::time;
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::model::layout::{self, SecondaryIndex};
use crate::storage::Result;

const OP: Op = Op { name: "inspect", phrase: "look what the tables are like" };

/// How many tables are asked about at once.
const AT_ONCE: usize = 5;

/// A table as DynamoDB describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// Its name.
    pub name: String,
    /// Its status in the word of AWS.
    pub status: String,
    /// Its key.
    pub key: Vec<KeyPart>,
    /// How many rows it has, as of some hours ago.
    pub rows: Option<u64>,
    /// What it can do in a second; none when it is paid by request.
    pub capacity: Option<Capacity>,
    /// Since when it is paid by request, or was until it had a capacity again.
    pub by_request_since: Option<DateTime<Utc>>,
    /// Its global secondary indexes.
    pub indexes: Vec<IndexState>,
    /// Its local secondary indexes.
    pub local_indexes: Vec<String>,
    /// Whether nobody can delete it by mistake.
    pub is_protected: bool,
    /// Whether what changes can be read as a stream.
    pub has_stream: bool,
}

/// A global secondary index as DynamoDB describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexState {
    /// Its name.
    pub name: String,
    /// Its status in the word of AWS.
    pub status: String,
    /// Whether the rows that the table had are being added to it.
    pub is_backfilling: bool,
    /// Its key.
    pub key: Vec<KeyPart>,
    /// Which attributes it holds, in the word of AWS.
    pub projection: String,
    /// How many rows it has, as of some hours ago.
    pub rows: Option<u64>,
    /// Its bytes, as of some hours ago.
    pub bytes: Option<u64>,
    /// What it can do in a second; none when it is paid by request.
    pub capacity: Option<Capacity>,
}

/// A part of a key; hash parts come before range parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// The attribute.
    pub attribute: String,
    /// Its type in the word of AWS: `S` is text.
    pub r#type: String,
    /// Whether it is of the range.
    pub is_range: bool,
}

/// What a table or an index can do in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Units for reading.
    pub read: u64,
    /// Units for writing.
    pub write: u64,
    /// When it was last raised, if ever.
    pub raised_at: Option<DateTime<Utc>>,
    /// When it was last lowered, if ever.
    pub lowered_at: Option<DateTime<Utc>>,
}

/// The tables of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The application's tables; none for those that there are not.
    pub tables: Vec<(Table, Option<TableState>)>,
    /// The first look-up table, if it is there and asked: by the library, for what the second does not have.
    pub first_lookup: Option<TableState>,
    /// The daemon's own table.
    pub own: Option<TableState>,
}

impl TableState {
    /// The index of this name.
    pub fn index(&self, name: &str) -> Option<&IndexState> {
        self.indexes.iter().find(|index| index.name == name)
    }
}

impl DynamoDb {
    /// The name of a table here, whether it is there or not.
    pub fn table_name(&self, table: Table) -> String {
        self.table(table)
    }

    /// Whether actors are looked up by what they store in the look-up table, and not in an index.
    pub fn looks_up_by_table(&self) -> bool {
        self.indexing.by_table
    }

    /// The index that a table must have.
    pub fn expected_index(&self, table: Table) -> Option<SecondaryIndex> {
        layout::dynamodb_index(table, !self.indexing.by_table)
    }

    /// What the application's tables are like, and the daemon's own.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn inspect(&self) -> Result<Inspection> {
        self.measured(OP, async {
            let described = stream::iter(Table::ALL).map(|table| {
                Box::pin(async move { Ok((table, self.describe_table(OP, &self.table(table)).await?.map(state))) })
            });
            let tables = described.buffered(AT_ONCE).try_collect().await?;
            let first_lookup = match self.indexing.by_table {
                true => self.describe_table(OP, &self.first_lookup_table()).await?.map(state),
                false => None,
            };
            let own = self.describe_table(OP, &self.own_table()).await?.map(state);
            Ok(Inspection { tables, first_lookup, own })
        })
        .await
    }

    /// What one of the application's tables is like; none when it is not there.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn inspect_table(&self, table: Table) -> Result<Option<TableState>> {
        self.measured(OP, async { Ok(self.describe_table(OP, &self.table(table)).await?.map(state)) }).await
    }
}

/// A description in our words.
pub(super) fn state(description: TableDescription) -> TableState {
    let attributes = description.attribute_definitions();
    let billing = description.billing_mode_summary();
    let is_by_request =
        billing.and_then(|billing| billing.billing_mode()).is_some_and(|mode| *mode == BillingMode::PayPerRequest);
    let capacity = |found| capacity(found).filter(|_| !is_by_request);
    let since = billing.and_then(|billing| billing.last_update_to_pay_per_request_date_time());
    let locals = description.local_secondary_indexes().iter();
    TableState {
        status: description.table_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        key: key(description.key_schema(), attributes),
        rows: count(description.item_count()),
        capacity: capacity(description.provisioned_throughput()),
        by_request_since: since.copied().and_then(time),
        indexes: description
            .global_secondary_indexes()
            .iter()
            .map(|found| index(found, attributes, capacity(found.provisioned_throughput())))
            .collect(),
        local_indexes: locals.filter_map(|index| index.index_name()).map(str::to_owned).collect(),
        is_protected: description.deletion_protection_enabled().unwrap_or_default(),
        has_stream: description.stream_specification().is_some_and(|stream| stream.stream_enabled()),
        name: description.table_name.unwrap_or_default(),
    }
}

fn index(
    found: &GlobalSecondaryIndexDescription,
    attributes: &[AttributeDefinition],
    capacity: Option<Capacity>,
) -> IndexState {
    let projection = found.projection().and_then(|projection| projection.projection_type());
    IndexState {
        name: found.index_name().unwrap_or_default().to_owned(),
        status: found.index_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        is_backfilling: found.backfilling().unwrap_or_default(),
        key: key(found.key_schema(), attributes),
        projection: projection.map(|projection| projection.as_str().to_owned()).unwrap_or_default(),
        rows: count(found.item_count()),
        bytes: count(found.index_size_bytes()),
        capacity,
    }
}

fn key(schema: &[KeySchemaElement], attributes: &[AttributeDefinition]) -> Vec<KeyPart> {
    let r#type = |name: &str| {
        let defined = attributes.iter().find(|defined| defined.attribute_name() == name);
        defined.map(|defined| defined.attribute_type().as_str().to_owned()).unwrap_or_default()
    };
    let part = |element: &KeySchemaElement| KeyPart {
        attribute: element.attribute_name().to_owned(),
        r#type: r#type(element.attribute_name()),
        is_range: *element.key_type() == KeyType::Range,
    };
    let mut parts: Vec<KeyPart> = schema.iter().map(part).collect();
    parts.sort_by_key(|part| part.is_range);
    parts
}

/// What is provisioned. A table that was never paid in another way does not say that it is not paid by request, and
/// one that is has none.
fn capacity(found: Option<&ProvisionedThroughputDescription>) -> Option<Capacity> {
    let found = found?;
    let units = |units: Option<i64>| u64::try_from(units.unwrap_or_default()).unwrap_or_default();
    let (read, write) = (units(found.read_capacity_units()), units(found.write_capacity_units()));
    let raised_at = found.last_increase_date_time().copied().and_then(time);
    let lowered_at = found.last_decrease_date_time().copied().and_then(time);
    (read > 0 || write > 0).then_some(Capacity { read, write, raised_at, lowered_at })
}

fn count(count: Option<i64>) -> Option<u64> {
    count.and_then(|count| u64::try_from(count).ok())
}
