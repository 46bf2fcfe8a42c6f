//! Actors, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::{Actor, ActorChange};

/// Actors. To walk over all of them see [`Bulk::scan`](super::Bulk::scan).
///
/// A creator that is an address, with an `@` in it, is stored and looked for in small letters, as
/// the library does ([`canonical_creator`](crate::model::row::canonical_creator)).
#[async_trait]
pub trait Actors: Send + Sync {
    /// The actor, read consistently.
    async fn actor(&self, id: &str) -> Result<Option<Actor>>;

    /// The actors of this creator, in the order of their ids; none for an empty one. On DynamoDB
    /// the index that finds them lags behind a little; what it finds is read consistently, and who
    /// has another creator by now is left out.
    async fn actors_by_creator(&self, creator: &str) -> Result<Vec<Actor>>;

    /// Makes an actor, unless there is one with its id (false). Atomic: of several at once one
    /// wins. (The library on DynamoDB looks first and then overwrites.) `created_at` none means
    /// now, where the backend keeps it.
    async fn create_actor(&self, actor: &Actor) -> Result<bool>;

    /// Changes an actor that there is (else false). Atomic, and never brings one back that was
    /// deleted meanwhile, as the library on DynamoDB does.
    async fn modify_actor(&self, id: &str, change: &ActorChange) -> Result<bool>;

    /// Deletes an actor's own row; false when there was none. PostgreSQL deletes its look-up entries
    /// with it; for both backends to end alike, delete its properties first.
    async fn delete_actor(&self, id: &str) -> Result<bool>;
}
