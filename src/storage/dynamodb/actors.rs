//! Actors.

use async_trait::async_trait;

use super::expression::{Change, Condition, Key};
use super::fields::Written;
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::model::row::{Actor, ActorChange, canonical_creator};
use crate::storage::{Actors, Result};

#[async_trait]
impl Actors for DynamoDb {
    async fn actor(&self, id: &str) -> Result<Option<Actor>> {
        const OP: Op = Op { name: "actor", phrase: "read an actor" };
        self.measured(OP, self.read(OP, Key::new(Table::Actors, &[id]))).await
    }

    async fn actors_by_creator(&self, creator: &str) -> Result<Vec<Actor>> {
        const OP: Op = Op { name: "actors_by_creator", phrase: "find actors by their creator" };
        self.measured(OP, async {
            let creator = canonical_creator(creator);
            let mut actors: Vec<Actor> = self.rows_by_index(OP, &creator, None).await?;
            actors.retain(|actor| actor.creator == creator);
            actors.sort_by(|one, other| one.id.cmp(&other.id));
            Ok(actors)
        })
        .await
    }

    async fn create_actor(&self, actor: &Actor) -> Result<bool> {
        const OP: Op = Op { name: "create_actor", phrase: "make an actor" };
        let actor = Actor { creator: canonical_creator(&actor.creator), ..actor.clone() };
        self.measured(OP, self.create(OP, &actor)).await
    }

    async fn modify_actor(&self, id: &str, change: &ActorChange) -> Result<bool> {
        const OP: Op = Op { name: "modify_actor", phrase: "change an actor" };
        let creator = change.creator.as_deref().map(canonical_creator);
        let set = Written::default().optional_text("creator", creator.as_deref());
        let set = set.optional_text("passphrase", change.passphrase.as_deref()).item();
        let change = Change { set, ..Change::default() };
        self.measured(OP, self.modify(OP, Key::new(Table::Actors, &[id]), change, Condition::Present)).await
    }

    async fn delete_actor(&self, id: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_actor", phrase: "delete an actor" };
        self.measured(OP, self.delete(OP, Key::new(Table::Actors, &[id]), Condition::Present)).await
    }
}
