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

/// Connections that each daemon's pool may have. Many fleets share one server.
pub(crate) const POOL: usize = 5;

/// When the jobs of a fleet are due.
const SCHEDULE: &str = "every 1s";

/// Makes the process for a place.
type Launch<'a> = Box<dyn FnMut(usize, &mut Rng) -> Maintd + 'a>;

/// Daemons on one database.
pub(crate) struct Fleet<'a> {
    seed: u64,
    random: Rng,
    pool: PgPool,
    launch: Launch<'a>,
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
    /// Starts `size` daemons, with a short lease and a short schedule. `launch` is asked for each
    /// process by its place; `pool` is the test's own way to their database.
    pub(crate) async fn start(
        pool: &PgPool,
        seed: u64,
        size: usize,
        launch: impl FnMut(usize, &mut Rng) -> Maintd + 'a,
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
        for _ in 0..size {
            fleet.join();
            if fleet.baseline.is_none() {
                fleet.baseline = Some(fleet.first_slot_known().await);
            }
        }
        fleet
    }

    /// Adds one more daemon, and returns its place.
    pub(crate) fn join(&mut self) -> usize {
        let index = self.members.len();
        self.members.push(Member::Down);
        self.start_again(index);
        index
    }

    /// Fills the place `index` with a new process.
    pub(crate) fn start_again(&mut self, index: usize) {
        assert!(matches!(self.members[index], Member::Down), "{index} is taken");
        let mut random = self.random.fork();
        let daemon = (self.launch)(index, &mut random)
            .env("MAINTD_LEASE__TTL", humantime::format_duration(LEASE).to_string())
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", SCHEDULE)
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__MIN_SIZE", "1")
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__MAX_SIZE", POOL.to_string())
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__TIMEOUT", "2s")
            .start();
        self.tell(format!("{index} is process {}", daemon.pid()));
        self.members[index] = Member::Up(daemon);
    }

    /// The daemon in the place `index`.
    pub(crate) fn daemon(&self, index: usize) -> &Daemon {
        match &self.members[index] {
            Member::Up(daemon) | Member::Stopped(daemon, _) => daemon,
            Member::Down => panic!("nothing runs in the place {index}"),
        }
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

    /// Whether the daemon in the place `index` has a run open.
    pub(crate) async fn has_open_run(&self, index: usize) -> bool {
        let process = self.process(index);
        self.holders().await.iter().any(|holder| process.is_some_and(|process| is_process(holder, process)))
    }

    /// Waits until a run of the daemon in the place `index` was marked lost by another.
    pub(crate) async fn taken_over_from(&self, index: usize) {
        let holder = format!("%/{}", process(self.daemon(index)));
        eventually("the run to be taken over", async || {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM maintd.runs mine JOIN maintd.runs next USING (deployment, backend, job) \
                     WHERE mine.holder LIKE $1 AND mine.outcome = 'lost' \
                         AND next.term > mine.term AND next.holder NOT LIKE $1)",
            )
            .bind(&holder)
            .fetch_one(&self.pool)
            .await
            .expect("reading the runs")
        })
        .await;
    }

    /// Ends all daemons but one, lets that finish the work, ends it as well, and returns what they
    /// leave behind.
    pub(crate) async fn rest(mut self) -> Ledger {
        let mut last = None;
        for index in 0..self.members.len() {
            if matches!(self.members[index], Member::Stopped(..)) {
                self.resume(index);
            }
            match self.members[index] {
                Member::Up(_) if last.is_some() => self.terminate(index),
                Member::Up(_) => last = Some(index),
                _ => {}
            }
        }
        let last = last.unwrap_or_else(|| {
            self.start_again(0);
            0
        });
        let witness = Witness::of(&self.pool);
        let now = witness.now().await;
        eventually("every expired row to be gone", async || witness.fate(now).await.expired_and_left == 0).await;
        let alive = self.process(last).expect("it is up");
        eventually("the runs of the dead to be closed", async || {
            self.holders().await.iter().all(|holder| is_process(holder, alive))
        })
        .await;
        self.terminate(last);
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
            known = sqlx::query_scalar("SELECT min(last_slot) FROM maintd.leases WHERE job = 'ttl_cleanup'")
                .fetch_one(&self.pool)
                .await
                .expect("reading the last slot");
            known.is_some()
        })
        .await;
        known.expect("it was waited for")
    }

    /// The process in the place `index`, if there is one.
    pub(crate) fn process(&self, index: usize) -> Option<u32> {
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
