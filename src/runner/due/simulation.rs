//! Whatever happens to two daemons, every slot has one fate: a model of the store and of what is
//! asked of it, and any order of events.

use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::storage::Paused;
use crate::work::Outcome;

const TTL: TimeDelta = TimeDelta::seconds(10);
const RETRIES: u32 = 2;

/// The lease's row, the history and the slots that were passed over.
#[derive(Debug, Default)]
struct Store {
    now: DateTime<Utc>,
    baseline: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    schedule: Option<String>,
    open: Option<DateTime<Utc>>,
    attempts: u32,
    retry_at: Option<DateTime<Utc>>,
    busy_since: Option<DateTime<Utc>>,
    released_at: Option<DateTime<Utc>>,
    /// The run that has the lease, by its place in the history.
    holder: Option<usize>,
    expires_at: DateTime<Utc>,
    paused: Option<Paused>,
    runs: Vec<Ran>,
    passed: Vec<Passed>,
}

#[derive(Debug)]
struct Ran {
    slot: Option<DateTime<Utc>>,
    attempts: u32,
    retries: u32,
    from: DateTime<Utc>,
    /// Until when it has kept its lease.
    kept: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    outcome: Option<Outcome>,
}

impl Store {
    fn is_held(&self) -> bool {
        self.holder.is_some() && self.expires_at > self.now
    }

    fn standing(&self) -> Standing {
        let wait = self.retry_at.map(|at| at - self.now).and_then(|wait| wait.to_std().ok()).unwrap_or_default();
        let busy_until = self.holder.map_or(self.released_at, |_| Some(self.expires_at.min(self.now)));
        let held = self.holder.filter(|_| self.is_held());
        Standing {
            now: self.now,
            last_slot: self.last,
            schedule: self.schedule.clone(),
            open: self.open.map(|slot| OpenSlot { slot, attempts: self.attempts, wait }),
            busy: self.busy_since.zip(busy_until),
            held: held.map(|run| Held { holder: String::new(), since: self.runs[run].from }),
            paused: self.paused.clone(),
        }
    }

    fn write_passed(&mut self, conclusion: &Conclusion) {
        for (index, passed) in conclusion.passed.iter().enumerate() {
            let goes_on = index == 0 && conclusion.goes_on;
            let is_before = |before: &&mut Passed| before.last == conclusion.since && before.reason == passed.reason;
            match self.passed.iter_mut().find(is_before).filter(|_| goes_on) {
                Some(before) => (before.last, before.count) = (passed.last, before.count + passed.count),
                None => self.passed.push(*passed),
            }
        }
    }

    fn pass(&mut self, conclusion: &Conclusion) -> bool {
        if self.last != Some(conclusion.since) || self.is_held() {
            return false;
        }
        (self.last, self.schedule) = (Some(conclusion.until), Some(conclusion.schedule.clone()));
        (self.open, self.attempts, self.retry_at) = (None, 0, None);
        self.write_passed(conclusion);
        true
    }

    /// The run that was begun, if the lease could be had.
    fn claim(&mut self, due: Option<&Due>) -> Option<usize> {
        let must_wait = |due: &Due| self.open == Some(due.slot) && self.retry_at.is_some_and(|at| at > self.now);
        if self.is_held()
            || self.paused.is_some()
            || due.is_some_and(|due| must_wait(due) || self.last != Some(due.before.since))
        {
            return None;
        }
        let mut attempts = self.attempts;
        if let Some(run) = self.holder {
            let left_behind = &mut self.runs[run];
            (left_behind.outcome, left_behind.until) = (Some(Outcome::Lost), Some(self.now));
            attempts += u32::from(left_behind.slot.is_some());
        }
        let goes_on = due.is_some_and(|due| self.open == Some(due.slot));
        if let Some(due) = due {
            attempts = if goes_on { attempts } else { 0 };
            let is_exhausted = attempts > due.retries;
            self.write_passed(&due.before);
            (self.schedule, self.retry_at) = (Some(due.before.schedule.clone()), None);
            if self.holder.take().is_some() {
                self.released_at = Some(self.expires_at);
            }
            if is_exhausted {
                (self.last, self.open, self.attempts) = (Some(due.slot), None, 0);
                return None;
            }
            (self.last, self.open, self.attempts) = (Some(due.before.until), Some(due.slot), attempts);
        }
        if !goes_on {
            self.busy_since = Some(self.now);
        }
        let slot = due.map(|due| due.slot);
        let retries = due.map_or(0, |due| due.retries);
        self.runs.push(Ran {
            slot,
            attempts,
            retries,
            from: self.now,
            kept: self.now + TTL,
            until: None,
            outcome: None,
        });
        (self.holder, self.expires_at, self.released_at) = (Some(self.runs.len() - 1), self.now + TTL, None);
        self.holder
    }

    fn finish(&mut self, run: usize, outcome: Outcome) {
        if self.holder != Some(run) {
            return;
        }
        let Ran { slot, attempts, retries, .. } = self.runs[run];
        match outcome {
            _ if slot.is_none() => {}
            Outcome::Failed if attempts < retries => {
                self.attempts += 1;
                self.retry_at = Some(self.now + TTL * 2_i32.pow(attempts));
            }
            Outcome::Partial | Outcome::Lost => {}
            _ => (self.last, self.open, self.attempts) = (self.last.max(slot), None, 0),
        }
        (self.runs[run].outcome, self.runs[run].until) = (Some(outcome), Some(self.now));
        (self.holder, self.released_at) = (None, Some(self.now));
    }
}

/// A process.
#[derive(Debug, Default)]
struct Daemon {
    is_up: bool,
    /// By a signal.
    is_stopped: bool,
    /// It cannot reach the store.
    is_cut_off: bool,
    run: Option<usize>,
    blocked: Option<Blocked>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(i64),
    Start(usize),
    Kill(usize),
    Stop(usize),
    Continue(usize),
    CutOff(usize),
    Reach(usize),
    /// It looks what is due, or, if it is running something, that ends.
    Act(usize, Outcome),
    Manual(usize),
    Pause,
    Resume,
}

struct World {
    policy: Policy,
    store: Store,
    daemons: [Daemon; 2],
}

impl World {
    fn new(policy: Policy) -> Self {
        let store = Store { now: "2026-03-12T12:00:00Z".parse().unwrap(), ..Store::default() };
        let mut world = Self { policy, store, daemons: [Daemon::default(), Daemon::default()] };
        world.meet(Event::Start(0));
        world
    }

    fn meet(&mut self, event: Event) {
        match event {
            Event::Pass(milliseconds) => {
                let was_held = self.store.is_held();
                self.store.now += TimeDelta::milliseconds(milliseconds);
                let keeps = |daemon: &Daemon| was_held && !daemon.is_stopped && !daemon.is_cut_off;
                for daemon in self.daemons.iter().filter(|daemon| keeps(daemon)) {
                    if let Some(run) = daemon.run.filter(|run| self.store.holder == Some(*run)) {
                        self.store.expires_at = self.store.now + TTL;
                        self.store.runs[run].kept = self.store.expires_at;
                    }
                }
            }
            Event::Start(index) if !self.daemons[index].is_up => {
                self.daemons[index] = Daemon { is_up: true, ..Daemon::default() };
                self.look(index);
            }
            Event::Kill(index) => self.daemons[index] = Daemon::default(),
            Event::Stop(index) => self.daemons[index].is_stopped = true,
            Event::Continue(index) => self.daemons[index].is_stopped = false,
            Event::CutOff(index) => self.daemons[index].is_cut_off = true,
            Event::Reach(index) => self.daemons[index].is_cut_off = false,
            Event::Act(index, outcome) => self.act(index, outcome),
            Event::Manual(index) if self.is_there(index) && self.daemons[index].run.is_none() => {
                self.daemons[index].run = self.store.claim(None);
            }
            Event::Pause => {
                let paused = Paused { by: String::new(), since: self.store.now };
                self.store.paused.get_or_insert(paused);
            }
            Event::Resume => self.store.paused = None,
            Event::Start(_) | Event::Manual(_) => {}
        }
    }

    fn is_there(&self, index: usize) -> bool {
        let Daemon { is_up, is_stopped, is_cut_off, .. } = self.daemons[index];
        is_up && !is_stopped && !is_cut_off
    }

    fn act(&mut self, index: usize, outcome: Outcome) {
        let Daemon { is_up, is_stopped, is_cut_off, .. } = self.daemons[index];
        if !is_up || is_stopped {
            return;
        }
        if let Some(run) = self.daemons[index].run.take()
            && !is_cut_off
        {
            self.store.finish(run, outcome);
            if outcome == Outcome::Partial {
                self.daemons[index] = Daemon::default();
                return;
            }
        }
        self.look(index);
    }

    /// What an attempt does until a run begins.
    fn look(&mut self, index: usize) {
        let now = self.store.now;
        let latest = self.policy.latest(now).expect("a slot");
        if self.daemons[index].is_cut_off {
            let blocked = Blocked { since: latest, reason: Reason::Unavailable };
            self.daemons[index].blocked.get_or_insert(blocked);
            return;
        }
        for _ in 0..8 {
            match next(&self.policy, &self.store.standing(), self.daemons[index].blocked, now) {
                Next::Nothing | Next::Held(_) => break,
                Next::Wait(wait) => {
                    assert!(wait > Duration::ZERO);
                    break;
                }
                Next::TurnBack { .. } => panic!("no clock was wrong"),
                Next::Begin(slot) => {
                    (self.store.last, self.store.baseline) = (Some(slot), Some(slot));
                    self.store.schedule = Some(self.policy.schedule.describe());
                }
                Next::Pass(conclusion) => {
                    assert!(self.store.pass(&conclusion), "nobody was quicker: {conclusion:?}");
                }
                Next::Run(due) => {
                    assert!(due.slot + self.policy.delay <= now, "{} is not due", due.slot);
                    self.daemons[index].run = self.store.claim(Some(&due));
                    if self.daemons[index].run.is_some() {
                        break;
                    }
                }
            }
        }
        self.daemons[index].blocked = None;
    }

    /// Lets everything come to its end.
    fn rest(&mut self) {
        self.meet(Event::Resume);
        for index in [0, 1] {
            for event in [Event::Continue(index), Event::Reach(index), Event::Start(index)] {
                self.meet(event);
            }
        }
        for _ in 0..200 {
            for index in [0, 1] {
                self.meet(Event::Act(index, Outcome::Succeeded));
            }
            if self.store.holder.is_none() && self.store.open.is_none() {
                assert!(self.store.last >= self.policy.latest(self.store.now), "something due is left undone");
                return;
            }
            self.meet(Event::Pass(5_000));
        }
        panic!("it never came to rest: {:#?}", self.store);
    }

    fn judge(&self) {
        let Store { runs, passed, .. } = &self.store;
        let schedule = &self.policy.schedule;
        let (baseline, last) = self.store.baseline.zip(self.store.last).expect("the schedule has begun");
        let mut fates: BTreeMap<DateTime<Utc>, Vec<String>> = BTreeMap::new();
        let mut done: BTreeMap<DateTime<Utc>, Outcome> = BTreeMap::new();
        for run in runs {
            let Some(slot) = run.slot else { continue };
            let outcome = run.outcome.expect("it has ended");
            let before = done.insert(slot, outcome);
            assert_ne!(before, Some(Outcome::Succeeded), "{slot} ran again");
            fates.insert(slot, vec!["ran".to_owned()]);
        }
        let mut passed = passed.clone();
        passed.sort_by_key(|passed| passed.first);
        for stretch in &passed {
            let slots: Vec<_> =
                schedule.upcoming(stretch.first - SECOND, 100_000).take_while(|slot| *slot <= stretch.last).collect();
            assert_eq!(slots.len() as u64, stretch.count, "{stretch:?}");
            assert_eq!((slots.first(), slots.last()), (Some(&stretch.first), Some(&stretch.last)));
            for slot in slots {
                fates.entry(slot).or_default().push(stretch.reason.name().to_owned());
                self.judge_reason(slot, stretch.reason);
            }
        }
        for slot in schedule.upcoming(baseline, 100_000).take_while(|slot| *slot <= last) {
            let fate = fates.remove(&slot).unwrap_or_default();
            assert_eq!(fate.len(), 1, "{slot}: {fate:?}");
        }
        assert!(fates.is_empty(), "slots beyond {baseline} and {last}: {fates:?}");
    }

    /// What fell due during a run is told to have, and nothing else is.
    fn judge_reason(&self, slot: DateTime<Utc>, reason: Reason) {
        if self.store.runs.iter().any(|run| run.slot.is_none()) {
            // A run by hand in between hides the one before it.
            return;
        }
        let due = slot + self.policy.delay;
        let ends = |run: &Ran| run.until.expect("it has ended");
        let fell_due = |until: DateTime<Utc>, run: &Ran| run.from < due && due <= until;
        let runs = &self.store.runs;
        match reason {
            Reason::Running => {
                assert!(runs.iter().any(|run| fell_due(ends(run), run)), "{slot} fell due during no run");
            }
            // A run that could not keep its lease was perhaps not there any more.
            Reason::Downtime => {
                let during = runs.iter().find(|run| fell_due(ends(run).min(run.kept), run));
                assert!(during.is_none(), "{slot} fell due during {during:?}");
            }
            _ => {}
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop::sample::select(vec![
        Outcome::Succeeded,
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Partial,
        Outcome::Lost,
    ]);
    let daemon = 0..2_usize;
    prop_oneof![
        4 => (0..15_000_i64).prop_map(Event::Pass),
        2 => (0..300_000_i64).prop_map(Event::Pass),
        9 => (daemon.clone(), outcome).prop_map(|(daemon, outcome)| Event::Act(daemon, outcome)),
        3 => daemon.clone().prop_map(Event::Start),
        1 => daemon.clone().prop_map(Event::Kill),
        1 => daemon.clone().prop_map(Event::Stop),
        1 => daemon.clone().prop_map(Event::Continue),
        1 => daemon.clone().prop_map(Event::CutOff),
        1 => daemon.clone().prop_map(Event::Reach),
        1 => daemon.prop_map(Event::Manual),
        1 => Just(Event::Pause),
        1 => Just(Event::Resume),
    ]
}

/// What a policy is made from; short to read when a simulation fails.
#[derive(Clone, Debug)]
struct Settings {
    schedule: &'static str,
    delay: i64,
    window: Option<&'static str>,
    catch_up: CatchUp,
}

impl Settings {
    fn policy(&self) -> Policy {
        Policy {
            schedule: Schedule::parse(self.schedule, Tz::UTC).unwrap(),
            delay: TimeDelta::seconds(self.delay),
            zone: Tz::UTC,
            catch_up: self.catch_up,
            window: self.window.map(|window| window.parse().unwrap()),
            retries: RETRIES,
        }
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let schedule = prop::sample::select(vec!["every 5s", "every 1m", "*/2 * * * *"]);
    let delay = prop::sample::select(vec![0, 0, 20, 90]);
    let window = prop::sample::select(vec![None, None, Some("12:00-12:03,12:05-12:09,12:20-13:10")]);
    let catch_up = prop::sample::select(vec![CatchUp::Latest, CatchUp::Latest, CatchUp::None]);
    (schedule, delay, window, catch_up).prop_map(|(schedule, delay, window, catch_up)| Settings {
        schedule,
        delay,
        window,
        catch_up,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_slot_has_one_fate_whatever_happens(settings in settings(), events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new(settings.policy());
        for event in events {
            world.meet(event);
        }
        world.rest();
        world.judge();
    }
}
