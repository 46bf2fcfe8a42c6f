//! The store as a whole: its tables, who it is, and whether it is being filled.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use uuid::Uuid;

use super::error::{Context, refused};
use super::own::{Condition, Fields, Item, Tries, key, text, time};
use super::sweep::LABEL;
use super::{DynamoDb, Op};
use crate::model::{BackendKind, Table};
use crate::storage::{Adoption, Applied, Error, ErrorKind, Home, Identity, Incomplete, Result, SchemaStatus, Upkeep};

/// Where the items about the deployment are.
const DEPLOYMENT: &str = "deployment";

#[async_trait]
impl Upkeep for DynamoDb {
    fn backend(&self) -> BackendKind {
        BackendKind::Dynamodb
    }

    fn describe(&self) -> String {
        self.place()
    }

    async fn probe(&self) -> Result<()> {
        const OP: Op = Op { name: "connect", phrase: "reach the tables" };
        self.measured(OP, async {
            let request = self.clients().await.work.describe_table().table_name(self.table(Table::Actors));
            match self.send(OP, request.send()).await?.op(OP) {
                // Somebody is there. What tables there are is another question.
                Err(error) if error.kind == ErrorKind::Schema => Ok(()),
                Err(error) => Err(self.no_answer(error)),
                Ok(_) => Ok(()),
            }
        })
        .await
    }

    async fn touch(&self) -> Result<()> {
        const OP: Op = Op { name: "touch", phrase: "read the attributes" };
        self.measured(OP, async {
            let request = self.clients().await.work.scan().table_name(self.table(Table::Attributes)).limit(1);
            let request = request.projection_expression("ttl_timestamp");
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.send(OP, request.send()).await?.op(OP)?;
            self.read_units(LABEL, answer.consumed_capacity());
            Ok(())
        })
        .await
    }

    async fn schema(&self) -> Result<SchemaStatus> {
        self.schema_status().await.map(SchemaStatus::Dynamodb)
    }

    async fn apply(&self, application: bool) -> Result<Applied> {
        self.apply_schema(application).await.map(Applied::Dynamodb)
    }

    async fn identity(&self) -> Result<Identity> {
        const OP: Op = Op { name: "identity", phrase: "read the deployment's identity" };
        self.measured(OP, async {
            let at = key(DEPLOYMENT, "identity");
            if let Some(item) = self.own_item(at.clone(), OP).await? {
                return read_identity(&item, OP);
            }
            let identity = Identity { id: Uuid::new_v4(), home: self.real_home(OP).await? };
            self.put_own(self.written_identity(&identity), Condition::absent(), OP).await?;
            // It is somebody else's, perhaps.
            let item = self.own_item(at, OP).await?;
            let item = item.ok_or_else(|| refused(OP, ErrorKind::Conflict, "somebody has just deleted it"))?;
            read_identity(&item, OP)
        })
        .await
    }

    async fn home(&self) -> Result<Home> {
        const OP: Op = Op { name: "home", phrase: "ask where the deployment is" };
        self.measured(OP, self.real_home(OP)).await
    }

    async fn adopt(&self, how: Adoption) -> Result<Identity> {
        const OP: Op = Op { name: "adopt", phrase: "write down where the deployment is" };
        let Identity { id, .. } = self.identity().await?;
        self.measured(OP, async {
            let adopted = match how {
                Adoption::Moved => id,
                Adoption::Copied => Uuid::new_v4(),
            };
            let identity = Identity { id: adopted, home: self.real_home(OP).await? };
            let unchanged = Condition::holds("id = :id", [(":id", text(id.to_string()))]);
            if self.put_own(self.written_identity(&identity), unchanged, OP).await? {
                return Ok(identity);
            }
            Err(refused(OP, ErrorKind::Conflict, "somebody else has just adopted it"))
        })
        .await
    }

    async fn incomplete(&self) -> Result<Option<Incomplete>> {
        const OP: Op = Op { name: "incomplete", phrase: "ask whether the deployment is complete" };
        self.measured(OP, self.read_incomplete(OP)).await
    }

    async fn mark_incomplete(&self, why: &str, by: &str) -> Result<Incomplete> {
        const OP: Op = Op { name: "mark_incomplete", phrase: "mark the deployment as incomplete" };
        self.measured(OP, async {
            let mut item = key(DEPLOYMENT, "incomplete");
            let mut tries = Tries::new(OP);
            loop {
                if let Some(mark) = self.read_incomplete(OP).await? {
                    return Ok(mark);
                }
                let mark = Incomplete { why: why.to_owned(), by: by.to_owned(), since: self.now() };
                item.insert("why".to_owned(), text(why));
                item.insert("by".to_owned(), text(by));
                item.insert("since".to_owned(), time(mark.since));
                if self.put_own(item.clone(), Condition::absent(), OP).await? {
                    return Ok(mark);
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn mark_complete(&self) -> Result<Option<Incomplete>> {
        const OP: Op = Op { name: "mark_complete", phrase: "mark the deployment as complete" };
        self.measured(OP, async {
            let Some(mark) = self.read_incomplete(OP).await? else { return Ok(None) };
            let condition = Condition::holds("since = :since", [(":since", time(mark.since))]);
            // If it is gone already, whoever took it back meant this very mark, and it may have
            // been the first attempt at this; if there is another now, that one is to stay.
            self.delete_own(key(DEPLOYMENT, "incomplete"), condition, OP).await?;
            Ok(Some(mark))
        })
        .await
    }

    async fn reserve(&self) {
        self.clients().await;
    }

    /// Nothing is ever on its way at the server: a request ends with its answer.
    async fn cancel(&self) -> Result<i64> {
        Ok(0)
    }

    /// There is no session to end.
    async fn close(&self, _grace: Duration) {}
}

impl DynamoDb {
    async fn real_home(&self, op: Op) -> Result<Home> {
        let request = self.clients().await.work.describe_table().table_name(self.own_table());
        let answer = self.send(op, request.send()).await?.op(op).map_err(|error| self.with_remedy(error))?;
        let arn = answer.table().and_then(|table| table.table_arn()).unwrap_or_default();
        // arn:aws:dynamodb:REGION:ACCOUNT:table/NAME; emulators have words of their own there.
        let part = |index| arn.split(':').nth(index).unwrap_or_default().to_owned();
        Ok(Home::Dynamodb { account: part(4), region: part(3), table_prefix: self.settings.table_prefix.clone() })
    }

    fn written_identity(&self, identity: &Identity) -> Item {
        let mut item = key(DEPLOYMENT, "identity");
        item.insert("id".to_owned(), text(identity.id.to_string()));
        if let Home::Dynamodb { account, region, table_prefix } = &identity.home {
            for (name, value) in [("account", account), ("region", region), ("table_prefix", table_prefix)] {
                item.insert(name.to_owned(), text(value));
            }
        }
        item.insert("created_at".to_owned(), time(self.now()));
        item
    }

    async fn read_incomplete(&self, op: Op) -> Result<Option<Incomplete>> {
        let item = self.own_item(key(DEPLOYMENT, "incomplete"), op).await?;
        let read = |item: Item| {
            let fields = Fields(&item, op);
            Ok(Incomplete { why: fields.text("why")?, by: fields.text("by")?, since: fields.time("since")? })
        };
        item.map(read).transpose()
    }

    /// Why nobody answers, and what can be done about it.
    fn no_answer(&self, error: Error) -> Error {
        let remedy = match (error.kind, &self.settings.endpoint_url) {
            (ErrorKind::Unavailable | ErrorKind::Timeout, Some(_)) => {
                "check that it runs, and storage.dynamodb.endpoint_url (AWS_DB_HOST)"
            }
            (ErrorKind::Unavailable | ErrorKind::Timeout, None) => {
                "check the network, and storage.dynamodb.region (AWS_DEFAULT_REGION); for an emulator set \
                 .endpoint_url (AWS_DB_HOST)"
            }
            (ErrorKind::Denied, _) => {
                "check who asks (AWS_ACCESS_KEY_ID, AWS_PROFILE or the role of this machine), and that they may use \
                 the tables"
            }
            _ => return error,
        };
        let why = format!("no answer from DynamoDB at {}: {}: {remedy}", self.place(), error.source);
        Error { source: why.into(), ..error }
    }
}

fn read_identity(item: &Item, op: Op) -> Result<Identity> {
    let fields = Fields(item, op);
    Ok(Identity {
        id: fields.uuid("id")?,
        home: Home::Dynamodb {
            account: fields.text("account")?,
            region: fields.text("region")?,
            table_prefix: fields.text("table_prefix")?,
        },
    })
}
