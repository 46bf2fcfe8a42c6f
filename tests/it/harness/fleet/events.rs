//! What happens to the daemons of a fleet.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;

use super::{Fleet, LEASE, Member};
use crate::harness::cluster::done_with_the_killed;
use crate::harness::eventually;
use crate::harness::ledger::Killed;

/// The longest of the seeded pauses between a run's begin and its holder's end.
const RUN: u64 = 600;

impl Fleet<'_> {
    /// Kills whoever runs a job, at an instant of the run that the seed chooses, and returns its
    /// place. Runs that were over by then do not count: they are tried again.
    pub(crate) async fn kill_at_work(&mut self) -> usize {
        loop {
            // Each attempt has a generator of its own, so that how often one of them draws does
            // not change what the others do.
            let mut random = self.random.fork();
            let index = self.somebody_at_work().await;
            // Short runs deserve their share.
            let longest = if random.bool() { RUN } else { RUN / 10 };
            let instant = Duration::from_micros(random.u64(..longest * 1000));
            tokio::time::sleep(instant).await;
            if self.kill(index).await {
                self.tell(format!("{index} was killed {instant:?} into its run"));
                return index;
            }
            self.tell(format!("{index} was killed {instant:?} after its run had begun, and was done by then"));
            self.replace(index).await;
        }
    }

    /// Kills the daemon in the place `index`. Returns whether that left a run open.
    pub(crate) async fn kill(&mut self, index: usize) -> bool {
        let Some(process) = self.process(index) else { panic!("nothing runs in the place {index}") };
        match std::mem::replace(&mut self.members[index], Member::Down) {
            Member::Up(daemon) | Member::Stopped(daemon, _) => daemon.kill(),
            Member::Down => {}
        }
        let dead_at = done_with_the_killed(&self.pool).await;
        let at: DateTime<Utc> = self.time().await;
        let holder = format!("%/{process}");
        let outlives: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM maintd.leases \
                 WHERE holder LIKE $1 AND expires_at > $2 + make_interval(secs => $3))",
        )
        .bind(&holder)
        .bind(at)
        .bind(LEASE.as_secs_f64())
        .fetch_one(&self.pool)
        .await
        .expect("reading the lease");
        assert!(!outlives, "the lease of the dead process {process} lasts longer than {LEASE:?}");
        self.killed.push(Killed { process, at });
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM maintd.runs WHERE holder LIKE $1 \
                 AND (outcome IS NULL OR outcome = 'lost' AND finished_at > $2))",
        )
        .bind(&holder)
        .bind(dead_at)
        .fetch_one(&self.pool)
        .await
        .expect("reading the runs")
    }

    /// Fills the place of somebody who was killed: mostly once the leases that were held then are
    /// over, and sometimes at once, which finds them held.
    pub(crate) async fn replace(&mut self, index: usize) {
        let at_once = self.random.fork().u8(..8) == 0;
        let killed: DateTime<Utc> = self.time().await;
        eventually("the leases to be over", async || {
            at_once
                || sqlx::query_scalar(
                    "SELECT NOT EXISTS (SELECT FROM maintd.leases \
                         WHERE acquired_at <= $1 AND expires_at > clock_timestamp())",
                )
                .bind(killed)
                .fetch_one(&self.pool)
                .await
                .expect("reading the leases")
        })
        .await;
        self.start_again(index);
    }

    /// Stops the daemon in the place `index`, as if its machine were suspended.
    pub(crate) fn stop(&mut self, index: usize) {
        self.members[index] = match std::mem::replace(&mut self.members[index], Member::Down) {
            Member::Up(daemon) => {
                daemon.signal(Signal::SIGSTOP);
                Member::Stopped(daemon, Instant::now())
            }
            other => panic!("{other:?} cannot be stopped"),
        };
        self.tell(format!("{index} was stopped"));
    }

    /// Lets the daemon in the place `index` go on.
    pub(crate) fn resume(&mut self, index: usize) {
        self.members[index] = match std::mem::replace(&mut self.members[index], Member::Down) {
            Member::Stopped(daemon, since) => {
                daemon.signal(Signal::SIGCONT);
                self.tell(format!("{index} goes on after {:?}", since.elapsed()));
                Member::Up(daemon)
            }
            other => panic!("{other:?} was not stopped"),
        };
    }

    /// Asks the daemon in the place `index` to end, as a service manager does, and sees to it that
    /// it ends well.
    pub(crate) fn terminate(&mut self, index: usize) {
        match std::mem::replace(&mut self.members[index], Member::Down) {
            Member::Up(daemon) => drop(daemon.stop()),
            other => panic!("{other:?} cannot end by itself"),
        }
        self.tell(format!("{index} was terminated"));
    }

    /// Lets something happen to somebody: whoever is down comes up, whoever was stopped goes on
    /// after more than its lease, and whoever is up is killed, stopped or terminated.
    pub(crate) async fn befall(&mut self) {
        let mut random = self.random.fork();
        let index = random.usize(..self.members.len());
        let pause = Duration::from_millis(random.u64(..RUN));
        let choice = random.u8(..10);
        let late = LEASE.mul_f64(1.1 + random.f64());
        tokio::time::sleep(pause).await;
        match &self.members[index] {
            Member::Down => self.start_again(index),
            Member::Stopped(_, since) => {
                tokio::time::sleep(late.saturating_sub(since.elapsed())).await;
                self.resume(index);
            }
            Member::Up(_) => match choice {
                0..4 => {
                    let open = self.kill(index).await;
                    self.tell(format!("{index} was killed{}", if open { " in a run" } else { "" }));
                }
                4..8 => self.stop(index),
                _ => self.terminate(index),
            },
        }
    }

    /// Lets a seeded time pass, within which a run of many batches is not done.
    pub(crate) async fn some_time(&mut self) {
        let pause = Duration::from_micros(self.random.fork().u64(..RUN * 1000));
        tokio::time::sleep(pause).await;
    }

    async fn time(&self) -> DateTime<Utc> {
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.pool).await.expect("asking for the time")
    }
}
