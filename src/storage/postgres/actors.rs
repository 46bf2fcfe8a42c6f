//! Actors.

use async_trait::async_trait;

use super::{Op, Postgres};
use crate::model::Row;
use crate::model::row::{Actor, ActorChange, canonical_creator};
use crate::storage::{Actors, Result};

#[async_trait]
impl Actors for Postgres {
    async fn actor(&self, id: &str) -> Result<Option<Actor>> {
        const OP: Op = Op { name: "actor", phrase: "read an actor" };
        self.select_one(OP, |s| &s.actor, &[id]).await
    }

    async fn actors_by_creator(&self, creator: &str) -> Result<Vec<Actor>> {
        const OP: Op = Op { name: "actors_by_creator", phrase: "look for the actors of a creator" };
        if creator.is_empty() {
            return self.measured(OP, async { Ok(Vec::new()) }).await;
        }
        self.select(OP, |s| &s.actors_by_creator, &[&canonical_creator(creator)]).await
    }

    async fn create_actor(&self, actor: &Actor) -> Result<bool> {
        const OP: Op = Op { name: "create_actor", phrase: "make an actor" };
        let actor = Actor { creator: canonical_creator(&actor.creator), ..actor.clone() };
        self.create(OP, |s| &s.create_actor, &Row::Actor(actor)).await
    }

    async fn modify_actor(&self, id: &str, change: &ActorChange) -> Result<bool> {
        const OP: Op = Op { name: "modify_actor", phrase: "change an actor" };
        let ActorChange { creator, passphrase } = change;
        let creator = creator.as_deref().map(canonical_creator);
        let changed = Actor {
            id: id.to_owned(),
            creator: creator.clone().unwrap_or_default(),
            passphrase: passphrase.clone().unwrap_or_default(),
            created_at: None,
        };
        let changes = vec![creator, passphrase.clone()];
        self.modify(OP, |s| &s.modify_actor, &[id], &Row::Actor(changed), &changes).await
    }

    async fn delete_actor(&self, id: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_actor", phrase: "delete an actor" };
        Ok(self.change(OP, |s| &s.delete_actor, &[id]).await? > 0)
    }
}
