//! Properties, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::Property;

/// What became of the look-up entry of a property that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// Properties of this name are not looked up.
    No,
    /// The actor is found by the value now.
    Yes,
    /// Another actor was first to store the value, and keeps the entry. The property is stored.
    Taken(String),
    /// The value is longer than the backend can look up by. The property is stored.
    TooLong,
    /// There is no actor with this id, which PostgreSQL wants for the entry. The property is stored.
    NoActor,
}

/// Properties. Names are compared and ordered by their bytes, whatever the collation of the
/// database; values are opaque and compared byte by byte.
///
/// Where a property is looked up by its value, property and look-up entry change in one
/// transaction. An entry that cannot be made never costs the property, as it does with the library
/// on PostgreSQL, which then stores nothing and reports success.
#[async_trait]
pub trait Properties: Send + Sync {
    /// The value, read consistently; none also for an empty one, as the library has it.
    async fn property(&self, id: &str, name: &str) -> Result<Option<String>>;

    /// Stores a value, whatever was there; an empty one deletes the property. The entry of the
    /// value before goes, if it is the actor's.
    async fn set_property(&self, property: &Property) -> Result<Indexed>;

    /// Stores a value unless there is one (false). Atomic. An empty value is refused
    /// ([`ErrorKind::Limit`](super::ErrorKind::Limit)), as it would mean to delete. Makes no look-up
    /// entry: this, as the next two, is for list items.
    async fn create_property(&self, property: &Property) -> Result<bool>;

    /// Stores a value where exactly `expected` stands (else false). Atomic.
    async fn swap_property(&self, property: &Property, expected: &str) -> Result<bool>;

    /// Deletes a property that has exactly the value `expected` (else false). Atomic.
    async fn delete_property_if(&self, id: &str, name: &str, expected: &str) -> Result<bool>;

    /// Deletes a property, and its look-up entry if that is the actor's; false when there was none.
    async fn delete_property(&self, id: &str, name: &str) -> Result<bool>;

    /// Deletes properties by name. Those that do not exist are no error. Leaves look-up entries
    /// alone: this is for list items. On PostgreSQL atomic; on DynamoDB in batches, and after an
    /// error some may be gone.
    async fn delete_properties(&self, id: &str, names: &[String]) -> Result<()>;

    /// Deletes everything that an actor stores, its look-up entries included; returns how many
    /// properties there were. On PostgreSQL atomic; on DynamoDB in batches.
    async fn delete_all_properties(&self, id: &str) -> Result<u64>;

    /// The properties with names from `lower` to `upper`, both included, in the order of bytes.
    async fn property_range(&self, id: &str, lower: &str, upper: &str) -> Result<Vec<Property>>;

    /// The properties whose names begin with `prefix`, in the order of bytes; none for an empty one.
    async fn property_prefix(&self, id: &str, prefix: &str) -> Result<Vec<Property>>;

    /// The last name from `lower` to `upper`, both included, in the order of bytes.
    async fn last_property_name(&self, id: &str, lower: &str, upper: &str) -> Result<Option<String>>;

    /// All properties but list items, in the order of bytes.
    async fn plain_properties(&self, id: &str) -> Result<Vec<Property>>;

    /// All properties, list items included, in the order of bytes.
    async fn all_properties(&self, id: &str) -> Result<Vec<Property>>;

    /// The actor that has a property with this value; none for names that are not looked up. An entry
    /// of the look-up table counts only while the property has that value (the library only asks whether the property is there).
    /// Without an entry, an older way is tried, as the library does: on DynamoDB the first look-up
    /// table and the index on values, where they exist; on PostgreSQL all properties are read.
    /// Several actors: the first by id.
    async fn actor_by_property(&self, name: &str, value: &str) -> Result<Option<String>>;
}
