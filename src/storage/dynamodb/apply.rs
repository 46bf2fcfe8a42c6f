//! Making tables. Nothing else ever makes one.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ReturnConsumedCapacity, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};

use super::error::{Context, is_condition_failed, refused};
use super::schema::{OWN_KEY, OWN_VERSION, VERSION, VERSION_KEY, is_on};
use super::{Applied, DynamoDb, Op};
use crate::model::layout::{SecondaryIndex, TTL_ATTRIBUTE};
use crate::model::{Table, layout};
use crate::storage::{ErrorKind, Result};

/// How long a table may take to be made. It takes seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is asked whether it is.
pub(super) const POLL: Duration = Duration::from_millis(250);

impl DynamoDb {
    /// Makes what is missing of the daemon's own table, and with `application` the application's
    /// tables as the library makes them, and has DynamoDB expire attributes. Tables that there are
    /// stay as they are. Several may do so at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when the daemon's own table is a newer one, [`ErrorKind::Timeout`] when
    /// a table is not ready in time.
    pub async fn apply_schema(&self, application: bool) -> Result<Applied> {
        const OP: Op = Op { name: "apply_schema", phrase: "make the tables" };
        self.measured(OP, async {
            let mut applied = Applied::default();
            if application {
                applied.tables = self.make_tables(OP).await?;
                applied.ttl = self.expire_attributes(OP).await?;
            }
            applied.maintd = self.make_own(OP).await?;
            Ok(applied)
        })
        .await
    }

    /// Makes the application's tables that are missing; returns which.
    async fn make_tables(&self, op: Op) -> Result<Vec<String>> {
        let mut made = Vec::new();
        for table in Table::ALL {
            let index = layout::dynamodb_index(table, !self.indexing.by_table);
            let name = self.table(table);
            if self.make(op, &name, layout::dynamodb_key(table), index).await? {
                made.push(name);
            }
        }
        // They are made side by side.
        for table in Table::ALL {
            self.wait_for(op, &self.table(table)).await?;
        }
        Ok(made)
    }

    /// Begins to make a table, unless there is one or somebody else has begun (false).
    async fn make(&self, op: Op, name: &str, key: (&str, Option<&str>), index: Option<SecondaryIndex>) -> Result<bool> {
        if self.describe_table(op, name).await?.is_some() {
            return Ok(false);
        }
        let request = self.clients().await.work.create_table().table_name(name);
        let request = shape(request, key, index).map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
        match self.send(op, request.send()).await? {
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(false),
            answer => answer.op(op).map(|_| true),
        }
    }

    /// Waits until a table can be used.
    async fn wait_for(&self, op: Op, name: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let table = self.describe_table(op, name).await?;
            if matches!(
                table.as_ref().and_then(|table| table.table_status()),
                Some(TableStatus::Active | TableStatus::Updating)
            ) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        let waited = PATIENCE.as_secs();
        Err(refused(op, ErrorKind::Timeout, format!("the table {name} is not ready after {waited} seconds")))
    }

    /// Has DynamoDB expire attributes, unless it does so already, by whatever (false).
    pub(super) async fn expire_attributes(&self, op: Op) -> Result<bool> {
        if self.time_to_live(op).await?.as_ref().is_some_and(is_on) {
            return Ok(false);
        }
        let how = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL_ATTRIBUTE).build();
        let how = how.map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
        let request = self
            .clients()
            .await
            .work
            .update_time_to_live()
            .table_name(self.table(Table::Attributes))
            .time_to_live_specification(how);
        match self.send(op, request.send()).await? {
            Ok(_) => Ok(true),
            // Somebody else has just done it, perhaps.
            Err(_) if self.time_to_live(op).await?.as_ref().is_some_and(is_on) => Ok(false),
            Err(error) => Err(error).op(op),
        }
    }

    /// Makes the daemon's own table, if it is missing; returns whether its version was written now.
    async fn make_own(&self, op: Op) -> Result<bool> {
        let name = self.own_table();
        self.make(op, &name, OWN_KEY, None).await?;
        self.wait_for(op, &name).await?;
        match self.own_version(op).await? {
            Some(OWN_VERSION) => return Ok(false),
            Some(version) if version > OWN_VERSION => {
                let why = format!("the table {name} is at version {version} and this build knows {OWN_VERSION}");
                return Err(refused(op, ErrorKind::Schema, why));
            }
            _ => {}
        }
        let mut request = self.clients().await.work.put_item().table_name(name);
        for (name, text) in VERSION_KEY {
            request = request.item(name, AttributeValue::S(text.to_owned()));
        }
        let request = request
            .item(VERSION, AttributeValue::N(OWN_VERSION.to_string()))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", OWN_KEY.0)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send(op, request.send()).await? {
            Ok(answer) => {
                self.write_units("maintd", answer.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failed(&error) => Ok(false),
            Err(error) => Err(error).op(op),
        }
    }
}

/// A table as the library makes them: paid by request, its index with all attributes.
fn shape(
    request: CreateTableFluentBuilder,
    (hash, range): (&str, Option<&str>),
    index: Option<SecondaryIndex>,
) -> Result<CreateTableFluentBuilder, BuildError> {
    let part = |name: &str, r#type: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(r#type).build();
    let mut request = request.billing_mode(BillingMode::PayPerRequest).key_schema(part(hash, KeyType::Hash)?);
    if let Some(range) = range {
        request = request.key_schema(part(range, KeyType::Range)?);
    }
    if let Some(index) = index {
        let all = Projection::builder().projection_type(ProjectionType::All).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .key_schema(part(index.attribute, KeyType::Hash)?)
            .projection(all)
            .build()?;
        request = request.global_secondary_indexes(index);
    }
    // Each attribute once, and only those of keys.
    let names = [Some(hash), range, index.map(|index| index.attribute)];
    for name in names.into_iter().flatten() {
        let text = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        request = request.attribute_definitions(text.build()?);
    }
    Ok(request)
}
