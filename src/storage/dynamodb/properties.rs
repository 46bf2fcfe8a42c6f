//! What actors store under names.

use async_trait::async_trait;

use super::error::refused;
use super::expression::{Change, Condition, Key};
use super::fields::{Fields, Written};
use super::query::Range;
use super::record::Stored;
use super::requests::unreadable;
use super::{DynamoDb, Op};
use crate::model::limits::MAX_RANGE_KEY;
use crate::model::row::{LIST_PREFIX, Property};
use crate::model::{Item, Table};
use crate::storage::{ErrorKind, Indexed, Properties, Result};

const TABLE: Table = Table::Properties;

/// The first name after those of all list items: `;` is the byte after `:`.
const AFTER_LISTS: &str = "list;";

pub(super) fn key(id: &str, name: &str) -> Option<Key> {
    Key::new(TABLE, &[id, name])
}

#[async_trait]
impl Properties for DynamoDb {
    async fn property(&self, id: &str, name: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "property", phrase: "read a property" };
        self.measured(OP, self.value_of(OP, id, name)).await
    }

    async fn set_property(&self, property: &Property) -> Result<Indexed> {
        const OP: Op = Op { name: "set_property", phrase: "store a property" };
        self.measured(OP, async {
            let Property { id, name, value } = property;
            if value.is_empty() {
                self.delete_one(OP, id, name).await?;
                return Ok(Indexed::No);
            }
            if self.indexing.covers(name) {
                return self.set_indexed(OP, property).await;
            }
            self.put(OP, TABLE, property.item()).await?;
            Ok(Indexed::No)
        })
        .await
    }

    async fn create_property(&self, property: &Property) -> Result<bool> {
        const OP: Op = Op { name: "create_property", phrase: "make a property" };
        self.measured(OP, async {
            if property.value.is_empty() {
                return Err(refused(OP, ErrorKind::Limit, "the value is empty, which would mean to delete"));
            }
            self.create(OP, property).await
        })
        .await
    }

    async fn swap_property(&self, property: &Property, expected: &str) -> Result<bool> {
        const OP: Op = Op { name: "swap_property", phrase: "exchange the value of a property" };
        self.measured(OP, async {
            // What is against the new one counts, whatever stands there.
            self.within_limits(OP, TABLE, property.item())?;
            let Some(key) = key(&property.id, &property.name) else { return Ok(false) };
            let set = Written::default().text("value", &property.value).item();
            let condition = Condition::text("value", expected);
            self.swap(OP, &key, Change { set, ..Change::default() }, condition).await
        })
        .await
    }

    async fn delete_property_if(&self, id: &str, name: &str, expected: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_property_if", phrase: "delete a property that has a given value" };
        self.measured(OP, self.delete(OP, key(id, name), Condition::text("value", expected))).await
    }

    async fn delete_property(&self, id: &str, name: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_property", phrase: "delete a property" };
        self.measured(OP, self.delete_one(OP, id, name)).await
    }

    async fn delete_properties(&self, id: &str, names: &[String]) -> Result<()> {
        const OP: Op = Op { name: "delete_properties", phrase: "delete properties" };
        let keys: Vec<_> = names.iter().filter_map(|name| key(id, name)).collect();
        self.measured(OP, self.delete_all(OP, keys)).await
    }

    async fn delete_all_properties(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_all_properties", phrase: "delete all properties" };
        self.measured(OP, async {
            let mut count = 0;
            let mut others = Vec::new();
            for item in self.items(OP, TABLE, id, Range::All).await? {
                count += 1;
                let name = Fields::of(TABLE, &item).text("name").map_err(|why| unreadable(OP, why))?;
                if self.indexing.covers(&name) {
                    self.delete_indexed(OP, id, &name).await?;
                } else {
                    others.extend(key(id, &name));
                }
            }
            self.delete_all(OP, others).await?;
            Ok(count)
        })
        .await
    }

    async fn property_range(&self, id: &str, lower: &str, upper: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "property_range", phrase: "read a range of properties" };
        self.measured(OP, async {
            let mut properties: Vec<Property> = self.rows(OP, id, bounds(lower, upper)).await?;
            properties.retain(|property| is_between(&property.name, lower, upper));
            Ok(properties)
        })
        .await
    }

    async fn property_prefix(&self, id: &str, prefix: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "property_prefix", phrase: "read properties whose names begin alike" };
        self.measured(OP, self.rows(OP, id, Range::Prefix(prefix))).await
    }

    async fn last_property_name(&self, id: &str, lower: &str, upper: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "last_property_name", phrase: "read the last name in a range" };
        self.measured(OP, async {
            let name = |item: &Item| Fields::of(TABLE, item).text("name");
            let wanted = |item: &Item| name(item).is_ok_and(|name| is_between(&name, lower, upper));
            let last = self.last_item(OP, TABLE, id, bounds(lower, upper), wanted).await?;
            last.as_ref().map(name).transpose().map_err(|why| unreadable(OP, why))
        })
        .await
    }

    async fn plain_properties(&self, id: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "plain_properties", phrase: "read all properties but lists" };
        self.measured(OP, async {
            let mut properties: Vec<Property> = self.rows(OP, id, Range::Before(LIST_PREFIX)).await?;
            properties.extend(self.rows::<Property>(OP, id, Range::From(AFTER_LISTS)).await?);
            Ok(properties)
        })
        .await
    }

    async fn all_properties(&self, id: &str) -> Result<Vec<Property>> {
        const OP: Op = Op { name: "all_properties", phrase: "read all properties" };
        self.measured(OP, self.rows(OP, id, Range::All)).await
    }

    async fn actor_by_property(&self, name: &str, value: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "actor_by_property", phrase: "find an actor by a property" };
        self.measured(OP, self.find_actor(OP, name, value)).await
    }
}

impl DynamoDb {
    /// The value of a property.
    pub(super) async fn value_of(&self, op: Op, id: &str, name: &str) -> Result<Option<String>> {
        let property: Option<Property> = self.read(op, key(id, name)).await?;
        Ok(property.map(|property| property.value).filter(|value| !value.is_empty()))
    }

    async fn delete_one(&self, op: Op, id: &str, name: &str) -> Result<bool> {
        if self.indexing.covers(name) {
            return self.delete_indexed(op, id, name).await;
        }
        self.delete(op, key(id, name), Condition::Present).await
    }
}

fn is_between(name: &str, lower: &str, upper: &str) -> bool {
    lower <= name && name <= upper
}

/// What DynamoDB is asked for names from `lower` to `upper`: a bound that no name can have is left
/// out, so that it may answer with more.
fn bounds<'a>(lower: &'a str, upper: &'a str) -> Range<'a> {
    let is_name = |text: &str| !text.is_empty() && text.len() <= MAX_RANGE_KEY;
    match (is_name(lower), is_name(upper)) {
        (true, true) => Range::Between(lower, upper),
        (true, false) if !upper.is_empty() => Range::From(lower),
        (false, true) => Range::To(upper),
        (false, false) if !upper.is_empty() => Range::All,
        // Nothing is before the empty text.
        _ => Range::Prefix(""),
    }
}
