//! Changing tables that are there. DynamoDB goes on with it after it has answered, and does one thing at a time to a
//! table.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate, KeySchemaElement,
    KeyType, Projection, ProjectionType, ProvisionedThroughput, ScalarAttributeType,
};

use super::error::{Context, refused};
use super::inspection::{Capacity, state};
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::model::layout::SecondaryIndex;
use crate::storage::{ErrorKind, Result};

/// What DynamoDB says to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// It has begun.
    Begun,
    /// Not now, as the table is being changed; in its words.
    Busy(String),
    /// Not now, as this was done too often, or is done to too many tables; in its words.
    TooMuch(String),
}

impl DynamoDb {
    /// Begins to make the index that a table must have, with whole items, as the library would have made it. Where the
    /// table has a capacity, the index gets the same: with less, it would hold up what is written to the table.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when there is no such table, or it has no index to have.
    pub async fn create_index(&self, table: Table) -> Result<Alteration> {
        const OP: Op = Op { name: "create_index", phrase: "make an index" };
        self.measured(OP, async {
            let name = self.table(table);
            let none = || refused(OP, ErrorKind::Schema, format!("{name} has no index to have, or is not there"));
            let index = self.expected_index(table).ok_or_else(none)?;
            let description = self.describe_table(OP, &name).await?.ok_or_else(none)?;
            let known = description.attribute_definitions().to_vec();
            let capacity = state(description).capacity;
            let request = self.clients().await.work.update_table().table_name(&name);
            let request = with_index(request, index, known, capacity)
                .map_err(|error| refused(OP, ErrorKind::Other, error.to_string()))?;
            self.begin(OP, request).await
        })
        .await
    }

    /// Begins to have a table and its indexes paid by request. AWS allows that only so often in a day.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when there is no such table.
    pub async fn pay_by_request(&self, table: Table) -> Result<Alteration> {
        const OP: Op = Op { name: "pay_by_request", phrase: "have a table paid by request" };
        self.measured(OP, async {
            let request = self.clients().await.work.update_table().table_name(self.table(table));
            self.begin(OP, request.billing_mode(BillingMode::PayPerRequest)).await
        })
        .await
    }

    async fn begin(&self, op: Op, request: UpdateTableFluentBuilder) -> Result<Alteration> {
        let answer = self.send(op, request.send()).await?;
        let refusal = answer.as_ref().err().and_then(|error| Some((error.code()?, error.message()?)));
        match refusal {
            Some((code @ "ResourceInUseException", said)) => Ok(Alteration::Busy(format!("{said} ({code})"))),
            Some((code @ "LimitExceededException", said)) => Ok(Alteration::TooMuch(format!("{said} ({code})"))),
            _ => answer.op(op).map(|_| Alteration::Begun),
        }
    }
}

/// The request for an index. Attributes that are `known` are told again: some stand-ins forget those that are not.
fn with_index(
    request: UpdateTableFluentBuilder,
    index: SecondaryIndex,
    known: Vec<AttributeDefinition>,
    capacity: Option<Capacity>,
) -> Result<UpdateTableFluentBuilder, BuildError> {
    let key = KeySchemaElement::builder().attribute_name(index.attribute).key_type(KeyType::Hash).build()?;
    let all = Projection::builder().projection_type(ProjectionType::All).build();
    let mut create = CreateGlobalSecondaryIndexAction::builder().index_name(index.name).key_schema(key).projection(all);
    if let Some(Capacity { read, write, .. }) = capacity {
        let units = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let same = ProvisionedThroughput::builder().read_capacity_units(units(read)).write_capacity_units(units(write));
        create = create.provisioned_throughput(same.build()?);
    }
    let update = GlobalSecondaryIndexUpdate::builder().create(create.build()?).build();
    let mut request = request.global_secondary_index_updates(update);
    let text = AttributeDefinition::builder().attribute_name(index.attribute).attribute_type(ScalarAttributeType::S);
    let others = known.into_iter().filter(|known| known.attribute_name() != index.attribute);
    for attribute in others.chain([text.build()?]) {
        request = request.attribute_definitions(attribute);
    }
    Ok(request)
}
