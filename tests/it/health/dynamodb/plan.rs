//! Tables as somebody makes them who is neither the library nor us.

use actingweb_maintd::model::Table;
use actingweb_maintd::model::layout::{TTL_ATTRIBUTE, dynamodb_key};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection,
    ProjectionType, ProvisionedThroughput, ScalarAttributeType, TimeToLiveSpecification,
};

use crate::harness::dynamodb::TestTables;

/// A table that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    key: Vec<&'static str>,
    r#type: ScalarAttributeType,
    index: Option<(&'static str, &'static str, ProjectionType)>,
    local_index: Option<(&'static str, &'static str)>,
    units: Option<i64>,
    index_units: Option<i64>,
}

impl Plan {
    /// One with the key of ActingWeb's, and no index.
    pub(super) fn of(table: Table) -> Self {
        let (hash, range) = dynamodb_key(table);
        let key = std::iter::once(hash).chain(range).collect();
        let (index, local_index, units, index_units) = (None, None, None, None);
        Self { key, r#type: ScalarAttributeType::S, index, local_index, units, index_units }
    }

    /// With another key.
    pub(super) fn by(self, key: &[&'static str]) -> Self {
        Self { key: key.to_vec(), ..self }
    }

    /// With a key of numbers.
    pub(super) fn of_numbers(self) -> Self {
        Self { r#type: ScalarAttributeType::N, ..self }
    }

    /// With an index of whole items.
    pub(super) fn indexed(self, name: &'static str, attribute: &'static str) -> Self {
        self.projected(name, attribute, ProjectionType::All)
    }

    /// With an index.
    pub(super) fn projected(self, name: &'static str, attribute: &'static str, projection: ProjectionType) -> Self {
        Self { index: Some((name, attribute, projection)), ..self }
    }

    /// With a local index.
    pub(super) fn locally_indexed(self, name: &'static str, attribute: &'static str) -> Self {
        Self { local_index: Some((name, attribute)), ..self }
    }

    /// With so many units for reading and for writing, and as many for the index.
    pub(super) fn with_units(self, units: i64) -> Self {
        Self { units: Some(units), index_units: Some(units), ..self }
    }

    /// With so many units for the index.
    pub(super) fn with_index_units(self, units: i64) -> Self {
        Self { index_units: Some(units), ..self }
    }

    /// Makes it.
    pub(super) async fn make(self, client: &Client, name: &str) {
        let Self { key, r#type, index, local_index, units, index_units } = self;
        let throughput = |units: i64| {
            let units = ProvisionedThroughput::builder().read_capacity_units(units).write_capacity_units(units);
            units.build().unwrap()
        };
        let all = || Projection::builder().projection_type(ProjectionType::All).build();
        let mut request = client.create_table().table_name(name);
        request = match units {
            Some(units) => request.billing_mode(BillingMode::Provisioned).provisioned_throughput(throughput(units)),
            None => request.billing_mode(BillingMode::PayPerRequest),
        };
        for (name, part) in key.iter().zip([KeyType::Hash, KeyType::Range]) {
            request = request.key_schema(element(name, part)).attribute_definitions(definition(name, r#type.clone()));
        }
        if let Some((name, attribute, projection)) = index {
            let mut index = GlobalSecondaryIndex::builder()
                .index_name(name)
                .key_schema(element(attribute, KeyType::Hash))
                .projection(Projection::builder().projection_type(projection).build());
            if let Some(units) = units.and(index_units) {
                index = index.provisioned_throughput(throughput(units));
            }
            request = request.global_secondary_indexes(index.build().unwrap());
            if !key.contains(&attribute) {
                request = request.attribute_definitions(definition(attribute, ScalarAttributeType::S));
            }
        }
        if let Some((name, attribute)) = local_index {
            let index = LocalSecondaryIndex::builder().index_name(name).projection(all());
            let index = index.key_schema(element(key[0], KeyType::Hash)).key_schema(element(attribute, KeyType::Range));
            let definition = definition(attribute, ScalarAttributeType::S);
            request = request.local_secondary_indexes(index.build().unwrap()).attribute_definitions(definition);
        }
        request.send().await.expect("making a table");
    }

    /// Makes it in the place of one of the application's.
    pub(super) async fn replace(self, tables: &TestTables, table: Table) {
        let name = tables.name(table);
        tables.client().delete_table().table_name(&name).send().await.expect("deleting a table");
        self.make(tables.client(), &name).await;
    }
}

fn element(name: &str, part: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(part).build().unwrap()
}

fn definition(name: &str, r#type: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(r#type).build().unwrap()
}

/// Has DynamoDB expire what is in a table, as the library's documentation tells operators to.
pub(super) async fn expire(client: &Client, table: &str) {
    switch_expiry(client, table, TTL_ATTRIBUTE, true).await;
}

/// Switches expiry by an attribute on or off.
pub(super) async fn switch_expiry(client: &Client, table: &str, attribute: &str, enabled: bool) {
    let how = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(enabled).build().unwrap();
    client.update_time_to_live().table_name(table).time_to_live_specification(how).send().await.expect("switching");
}
