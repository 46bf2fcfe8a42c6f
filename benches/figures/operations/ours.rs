//! Our side: the traits, on one thread, as the library is.

use std::time::{Duration, Instant};

use actingweb_maintd::model::row::{Actor, ActorChange, Property};
use actingweb_maintd::storage::Store;
use anyhow::{bail, ensure};

use super::plan::{Operation, Plan};
use super::{Open, Taken, milliseconds};

/// How long the end of connections is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does everything that is planned, on a store that `open` makes.
pub(super) fn run(open: &Open<'_>, plan: &Plan) -> anyhow::Result<Taken> {
    tokio::task::block_in_place(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(all(open, plan))
    })
}

async fn all(open: &Open<'_>, plan: &Plan) -> anyhow::Result<Taken> {
    let store = open()?;
    let mut taken = Taken::new();
    for (operation, all) in &plan.operations {
        let mut times = Vec::new();
        for arguments in all {
            times.push(milliseconds(once(&*store, *operation, arguments, plan.trusts).await?));
        }
        taken.insert(*operation, times.split_off(plan.warm_up));
    }
    store.close(PATIENCE).await;
    Ok(taken)
}

/// Does it once and returns how long it took.
async fn once(
    store: &dyn Store,
    operation: Operation,
    arguments: &[String],
    trusts: usize,
) -> anyhow::Result<Duration> {
    let (done, took) = match (operation, arguments) {
        (Operation::CreateActor, [id, creator, passphrase]) => {
            let (id, creator, passphrase) = (id.clone(), creator.clone(), passphrase.clone());
            let actor = Actor { id, creator, passphrase, created_at: None };
            timed(store.create_actor(&actor), |made| *made).await?
        }
        (Operation::ReadActor, [id]) => timed(store.actor(id), Option::is_some).await?,
        (Operation::UpdateActor, [id, passphrase]) => {
            let change = ActorChange { passphrase: Some(passphrase.clone()), ..ActorChange::default() };
            timed(store.modify_actor(id, &change), |changed| *changed).await?
        }
        (Operation::WriteProperty | Operation::WriteLookedUp, [id, name, value]) => {
            let (id, name, value) = (id.clone(), name.clone(), value.clone());
            timed(store.set_property(&Property { id, name, value }), |_| true).await?
        }
        (Operation::ReadProperty, [id, name]) => timed(store.property(id, name), Option::is_some).await?,
        (Operation::ListTrusts, [id]) => timed(store.trusts(id), |found| found.len() == trusts).await?,
        other => bail!("strange arguments: {other:?}"),
    };
    ensure!(done, "{operation} {arguments:?} did not do what it should");
    Ok(took)
}

/// Whether it did what it should, and how long it took.
async fn timed<T>(
    operation: impl Future<Output = actingweb_maintd::storage::Result<T>>,
    is_right: impl FnOnce(&T) -> bool,
) -> anyhow::Result<(bool, Duration)> {
    let begun = Instant::now();
    let answer = operation.await?;
    let took = begun.elapsed();
    Ok((is_right(&answer), took))
}
