//! Keys, conditions and changes, and how they are said in expressions. Names and values only ever
//! stand behind placeholders, as many names of attributes are reserved words.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue as Sdk;

use super::record;
use crate::model::limits::{MAX_HASH_KEY, MAX_RANGE_KEY};
use crate::model::{AttributeValue, Item, Table, layout};

/// A key that an item can have. It may hold a bearer token, so it has no form to be shown in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    table: Table,
    hash: String,
    range: Option<String>,
}

impl Key {
    /// The key of these parts in `table`; none when no item can have it, as DynamoDB wants each part
    /// to be something, and not too long.
    pub(super) fn new(table: Table, parts: &[&str]) -> Option<Self> {
        let (_, range_name) = layout::dynamodb_key(table);
        let (hash, range) = (parts.first()?, parts.get(1));
        debug_assert_eq!(range.is_some(), range_name.is_some(), "{table}");
        let fits = |part: &str, longest: usize| !part.is_empty() && part.len() <= longest;
        (fits(hash, MAX_HASH_KEY) && range.is_none_or(|range| fits(range, MAX_RANGE_KEY))).then(|| Self {
            table,
            hash: (*hash).to_owned(),
            range: range.map(|range| (*range).to_owned()),
        })
    }

    /// The key of an item.
    pub(super) fn of(table: Table, item: &Item) -> Option<Self> {
        let part = |name: &str| match item.get(name) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        };
        match layout::dynamodb_key(table) {
            (hash, Some(range)) => Self::new(table, &[part(hash)?, part(range)?]),
            (hash, None) => Self::new(table, &[part(hash)?]),
        }
    }

    /// The table that it is a key in.
    pub(super) fn table(&self) -> Table {
        self.table
    }

    /// Its attributes.
    pub(super) fn attributes(&self) -> HashMap<String, Sdk> {
        let (hash, range) = layout::dynamodb_key(self.table);
        let mut attributes = HashMap::from([(hash.to_owned(), Sdk::S(self.hash.clone()))]);
        if let (Some(name), Some(value)) = (range, &self.range) {
            attributes.insert(name.to_owned(), Sdk::S(value.clone()));
        }
        attributes
    }

    /// Its attributes as part of an item.
    pub(super) fn item(&self) -> Item {
        let (hash, range) = layout::dynamodb_key(self.table);
        let mut item = BTreeMap::from([(hash.to_owned(), AttributeValue::S(self.hash.clone()))]);
        if let (Some(name), Some(value)) = (range, &self.range) {
            item.insert(name.to_owned(), AttributeValue::S(value.clone()));
        }
        item
    }
}

/// What must hold for a write to happen.
#[derive(Clone)]
pub(super) enum Condition {
    /// There is no item.
    Absent,
    /// There is an item.
    Present,
    /// There is an item with these attributes; what is none, it must not have.
    Has(Vec<(&'static str, Option<AttributeValue>)>),
    /// There is none, or it has this text.
    AbsentOr(&'static str, String),
    /// There is this very item.
    Same(Item),
}

impl Condition {
    /// There is an item with this text.
    pub(super) fn text(name: &'static str, text: &str) -> Self {
        Self::Has(vec![(name, Some(AttributeValue::S(text.to_owned())))])
    }

    /// Whether it holds for an item that there is.
    pub(super) fn holds_for(&self, item: &Item) -> bool {
        match self {
            Self::Absent => false,
            Self::Present => true,
            Self::Has(attributes) => attributes.iter().all(|(name, value)| item.get(*name) == value.as_ref()),
            Self::AbsentOr(name, text) => matches!(item.get(*name), Some(AttributeValue::S(found)) if found == text),
            Self::Same(seen) => item == seen,
        }
    }

    /// The condition in words, for an item of `table`.
    pub(super) fn say(&self, table: Table, expression: &mut Expression) -> String {
        let (hash, _) = layout::dynamodb_key(table);
        let hash = expression.name(hash);
        match self {
            Self::Absent => format!("attribute_not_exists({hash})"),
            Self::Present => format!("attribute_exists({hash})"),
            Self::Has(attributes) => {
                let mut said = format!("attribute_exists({hash})");
                for (name, value) in attributes {
                    let name = expression.name(name);
                    said.push_str(&match value {
                        Some(value) => format!(" AND {name} = {}", expression.value(value.clone())),
                        None => format!(" AND attribute_not_exists({name})"),
                    });
                }
                said
            }
            Self::AbsentOr(name, text) => {
                let (name, value) = (expression.name(name), expression.value(AttributeValue::S(text.clone())));
                format!("attribute_not_exists({hash}) OR {name} = {value}")
            }
            Self::Same(item) => {
                // Of what it does not have, only the attributes can be asked for that the library may
                // add.
                let missing = layout::postgresql_columns(table).iter().map(|column| column.name);
                let missing = missing.filter(|name| !item.contains_key(*name));
                let missing: Vec<_> = missing.map(|name| (name, None)).collect();
                let mut said = Self::Has(missing).say(table, expression);
                for (name, value) in item {
                    let (name, value) = (expression.name(name), expression.value(value.clone()));
                    said.push_str(&format!(" AND {name} = {value}"));
                }
                said
            }
        }
    }
}

/// What to change of an item; every other attribute stays, those that nobody knows included.
#[derive(Default)]
pub(super) struct Change {
    /// Attributes with their new values.
    pub(super) set: Item,
    /// Attributes that go.
    pub(super) remove: Vec<&'static str>,
}

impl Change {
    /// Whether nothing changes.
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// The change in words.
    pub(super) fn say(self, expression: &mut Expression) -> String {
        let mut said = Vec::new();
        if !self.set.is_empty() {
            let set = self.set.into_iter();
            let set = set.map(|(name, value)| format!("{} = {}", expression.name(&name), expression.value(value)));
            said.push(format!("SET {}", set.collect::<Vec<_>>().join(", ")));
        }
        if !self.remove.is_empty() {
            let remove = self.remove.into_iter().map(|name| expression.name(name));
            said.push(format!("REMOVE {}", remove.collect::<Vec<_>>().join(", ")));
        }
        said.join(" ")
    }
}

/// Names behind placeholders, if there are any.
type Names = Option<HashMap<String, String>>;

/// Values behind placeholders, if there are any.
type Values = Option<HashMap<String, Sdk>>;

/// What the placeholders of a request's expressions stand for.
#[derive(Default)]
pub(super) struct Expression {
    names: HashMap<String, String>,
    values: HashMap<String, Sdk>,
}

impl Expression {
    /// A placeholder for a name.
    pub(super) fn name(&mut self, name: &str) -> String {
        if let Some((placeholder, _)) = self.names.iter().find(|(_, known)| *known == name) {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// A placeholder for a value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), record::value_to_sdk(value));
        placeholder
    }

    /// A placeholder for a text.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.value(AttributeValue::S(text.to_owned()))
    }

    /// The names and the values; none where there are none, as DynamoDB refuses empty ones.
    pub(super) fn split(self) -> (Names, Values) {
        let Self { names, values } = self;
        ((!names.is_empty()).then_some(names), (!values.is_empty()).then_some(values))
    }
}
