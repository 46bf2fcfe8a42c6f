//! Several real daemons on one database, and what a seed lets happen to them.
//!
//! The seed decides what happens, to whom, and after how long; the machine decides what the
//! daemons are doing by then. A test that fails prints the seed and what was done.

mod events;

use std::time::{Duration, Instant};

use actingweb_maintd::schedule::Schedule;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use fastrand::Rng;
use sqlx::PgPool;

use super::daemon::{Daemon, Maintd};
use super::eventually;
use super::ledger::{Killed, Ledger, is_process};
use super::witness::Witness;

/// How long the leases of a fleet last, which is how long it stands still after a kill.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// When the jobs of a fleet are due.
const SCHEDULE: &str = "every 1s";

/// Daemons on one database.
pub(crate) struct Fleet<'a> {
    seed: u64,
    random: Rng,
    pool: PgPool,
    launch: Box<dyn FnMut(&mut Rng) -> Maintd + 'a>,
    members: Vec<Member>,
    baseline: Option<DateTime<Utc>>,
    killed: Vec<Killed>,
    begun: Instant,
    /// What was done so far, and when.
    story: Vec<String>,
}

/// A place in the fleet, which is taken by one process after another.
#[derive(Debug)]
enum Member {
    Up(Daemon),
    /// Stopped by a signal.
    Stopped(Daemon, Instant),
    Down,
}

impl<'a> Fleet<'a> {
    /// Starts `size` daemons, each as `launch` wants it, with a short lease and a short schedule.
    /// `pool` is the test's own way to their database.
    pub(crate) async fn start(
        pool: &PgPool,
        seed: u64,
        size: usize,
        launch: impl FnMut(&mut Rng) -> Maintd + 'a,
    ) -> Self {
        let mut fleet = Self {
            seed,
            random: Rng::with_seed(seed),
            pool: pool.clone(),
            launch: Box::new(launch),
            members: Vec::new(),
            baseline: None,
            killed: Vec::new(),
            begun: Instant::now(),
            story: Vec::new(),
        };
        for index in 0..size {
            fleet.members.push(Member::Down);
            fleet.start_again(index);
            if fleet.baseline.is_none() {
                fleet.baseline = Some(fleet.first_slot_known().await);
            }
        }
        fleet
    }

    /// Fills the place `index` with a new process.
    pub(crate) fn start_again(&mut self, index: usize) {
        assert!(matches!(self.members[index], Member::Down), "{index} is taken");
        let mut random = self.random.fork();
        let daemon = (self.launch)(&mut random)
            .env("MAINTD_LEASE__TTL", humantime::format_duration(LEASE).to_string())
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", SCHEDULE)
            // Many fleets share one server.
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__MIN_SIZE", "1")
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__MAX_SIZE", "5")
            .start();
        self.tell(format!("{index} is process {}", daemon.pid()));
        self.members[index] = Member::Up(daemon);
    }

    /// Waits until a daemon that is up has a run open, and returns its place.
    pub(crate) async fn somebody_at_work(&self) -> usize {
        let mut at_work = None;
        eventually("a run to be open", async || {
            let holders = self.holders().await;
            at_work = self.members.iter().position(|member| match member {
                Member::Up(daemon) => holders.iter().any(|holder| is_process(holder, process(daemon))),
                _ => false,
            });
            at_work.is_some()
        })
        .await;
        at_work.expect("it was waited for")
    }

    /// Lets the fleet finish its work, ends it, and returns what it leaves behind.
    pub(crate) async fn rest(mut self) -> Ledger {
        for index in 0..self.members.len() {
            if matches!(self.members[index], Member::Stopped(..)) {
                self.resume(index);
            }
        }
        if self.members.iter().all(|member| matches!(member, Member::Down)) {
            self.start_again(0);
        }
        let witness = Witness::of(&self.pool);
        let now = witness.now().await;
        eventually("every expired row to be gone", async || witness.fate(now).await.expired_and_left == 0).await;
        eventually("the runs of the dead to be closed", async || {
            let living: Vec<u32> = (0..self.members.len()).filter_map(|index| self.process(index)).collect();
            self.holders().await.iter().all(|holder| living.iter().any(|process| is_process(holder, *process)))
        })
        .await;
        for index in 0..self.members.len() {
            if !matches!(self.members[index], Member::Down) {
                self.terminate(index);
            }
        }
        let schedule = Schedule::parse(SCHEDULE, Tz::UTC).expect("a schedule");
        Ledger::read(&self.pool, &schedule, self.baseline, now, &self.killed).await
    }

    /// The holders of the runs that are open.
    async fn holders(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT holder FROM maintd.runs WHERE outcome IS NULL")
            .fetch_all(&self.pool)
            .await
            .expect("reading the open runs")
    }

    /// The first slot that the daemons have remembered, as early as it can be seen.
    async fn first_slot_known(&self) -> DateTime<Utc> {
        let mut known = None;
        eventually("a first slot to be known", async || {
            known = sqlx::query_scalar("SELECT min(last_slot) FROM maintd.leases")
                .fetch_one(&self.pool)
                .await
                .expect("reading the last slot");
            known.is_some()
        })
        .await;
        known.expect("it was waited for")
    }

    fn process(&self, index: usize) -> Option<u32> {
        match &self.members[index] {
            Member::Up(daemon) | Member::Stopped(daemon, _) => Some(process(daemon)),
            Member::Down => None,
        }
    }

    fn tell(&mut self, what: String) {
        self.story.push(format!("{:7.3} {what}", self.begun.elapsed().as_secs_f64()));
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows how it can be repeated")]
            {
                eprintln!("the seed was {}, and this was done:\n{}", self.seed, self.story.join("\n"));
            }
        }
    }
}

fn process(daemon: &Daemon) -> u32 {
    daemon.pid().as_raw().unsigned_abs()
}
