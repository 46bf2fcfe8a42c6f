//! Clocks that are set, that drift, that are asked rarely and that answer late.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const SKEW: Duration = Duration::from_secs(30);
const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// Two machines whose clocks tests can set, and the watch that looks at them.
struct World {
    watch: ClockWatch,
    /// Time that really passed.
    now: Duration,
    local: TimeDelta,
    server: TimeDelta,
}

impl World {
    fn new(max_skew: Duration) -> Self {
        let (local, server) = (TimeDelta::zero(), TimeDelta::zero());
        Self { watch: ClockWatch::new(max_skew), now: Duration::from_secs(5000), local, server }
    }

    /// A world that was looked at, as are all to begin with.
    fn watched() -> Self {
        let mut world = Self::new(SKEW);
        assert_eq!(world.look(), None);
        world.pass(60 * SECOND);
        world
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn wall(&self, ahead: TimeDelta) -> DateTime<Utc> {
        DateTime::from_timestamp(1_773_300_000, 0).unwrap() + delta(self.now) + ahead
    }

    /// Looks at the clocks: the question takes `there`, the answer `back`.
    fn look_within(&mut self, there: Duration, back: Duration) -> Option<Distrust> {
        let asked = self.now;
        self.pass(there);
        let server = self.wall(self.server);
        self.pass(back);
        let local = self.wall(self.local);
        self.watch.observe(Observation { asked, server, local, answered: self.now })
    }

    fn look(&mut self) -> Option<Distrust> {
        self.look_within(Duration::from_micros(200), Duration::from_micros(300))
    }

    /// Looks each second until there is nothing to complain of, and returns how long that took.
    fn look_until_trusted(&mut self) -> Duration {
        let begin = self.now;
        while self.look().is_some() {
            assert!(self.now < begin + Duration::from_secs(24 * 60 * 60), "it never ends");
            self.pass(SECOND);
        }
        self.now - begin
    }
}

fn is_apart(distrust: &Option<Distrust>) -> bool {
    matches!(distrust, Some(Distrust::Apart { .. }))
}

fn is_jump(distrust: &Option<Distrust>) -> bool {
    matches!(distrust, Some(Distrust::Jumped { .. }))
}

#[track_caller]
fn assert_jumped(distrust: Option<Distrust>, by_local: Option<TimeDelta>, by_server: Option<TimeDelta>) {
    let near = |jump: Option<TimeDelta>, by: Option<TimeDelta>| match (jump, by) {
        (Some(jump), Some(by)) => (jump - by).abs() < TimeDelta::seconds(1),
        (jump, by) => jump == by,
    };
    match distrust {
        Some(Distrust::Jumped { local, server, .. }) if near(local, by_local) && near(server, by_server) => {}
        other => panic!("{by_local:?} and {by_server:?} became {other:?}"),
    }
}

#[test]
fn clocks_that_agree_are_trusted() {
    let mut world = World::watched();
    for minutes in [0, 1, 5, 60, 3 * 24 * 60] {
        world.pass(minutes * 60 * SECOND);
        assert_eq!(world.look(), None);
    }
}

#[test]
fn clocks_that_are_apart_are_not_trusted_until_they_agree() {
    for ahead in [45, -45] {
        let mut world = World::new(SKEW);
        world.local = TimeDelta::seconds(ahead);
        let told = world.look().unwrap().to_string();
        let place = if ahead > 0 { "45s ahead of" } else { "45s behind" };
        assert_eq!(
            told,
            format!(
                "this machine's clock is {place} the database's, and clock.max_skew allows 30s: jobs that delete rest \
                 until one of them is put right"
            )
        );
        // Also between two looks, and for ever.
        world.pass(3600 * SECOND);
        assert!(world.watch.distrust(world.now).is_some());
        // Put right by less than a jump.
        world.local = TimeDelta::seconds(ahead.signum() * 20);
        assert_eq!(world.look(), None);
    }
}

#[test]
fn a_limit_is_a_limit() {
    for (ahead, is_trusted) in [(29_990, true), (-29_990, true), (30_010, false), (-30_010, false)] {
        let mut world = World::new(SKEW);
        world.local = TimeDelta::milliseconds(ahead);
        assert_eq!(world.look().is_none(), is_trusted, "{ahead}");
    }
}

#[test]
fn an_answer_that_took_long_proves_less() {
    let mut world = World::new(SKEW);
    world.server = TimeDelta::seconds(40);
    assert_eq!(world.look_within(SECOND, 15 * SECOND), None);
    assert!(is_apart(&world.look()));
    // What was known does not get better by asking badly.
    assert!(is_apart(&world.look_within(SECOND, 15 * SECOND)));
    // But even so it can be too much.
    let mut world = World::watched();
    world.server = TimeDelta::seconds(-60);
    assert!(is_apart(&world.look_within(20 * SECOND, SECOND)));
}

#[test]
fn a_jump_of_this_machine_s_clock_is_noticed_and_disagrees() {
    for by in [HOUR, -HOUR, DAY, -DAY] {
        let mut world = World::watched();
        world.local = by;
        assert!(
            matches!(world.look(), Some(Distrust::Apart { ahead, .. }) if (ahead - by).abs() < TimeDelta::seconds(1))
        );
        world.pass(5 * SECOND);
        world.local = TimeDelta::zero();
        assert_jumped(world.look(), Some(-by), None);
        assert!(world.look_until_trusted() > 290 * SECOND);
    }
}

#[test]
fn a_failover_to_a_server_whose_clock_is_off_is_noticed() {
    for by in [HOUR, -HOUR, DAY, -DAY] {
        let mut world = World::watched();
        world.server = by;
        assert!(
            matches!(world.look(), Some(Distrust::Apart { ahead, .. }) if (ahead + by).abs() < TimeDelta::seconds(1))
        );
        // This machine follows the server, as both were told a wrong time.
        world.pass(5 * SECOND);
        world.local = by;
        assert_jumped(world.look(), Some(by), None);
        world.look_until_trusted();
        // And back to one that is right, together.
        world.pass(3600 * SECOND);
        (world.local, world.server) = (TimeDelta::zero(), TimeDelta::zero());
        assert_jumped(world.look(), Some(-by), Some(-by));
    }
}

#[test]
fn clocks_that_jump_together_rest_for_ten_times_the_limit() {
    for by in [HOUR, -HOUR, DAY, -DAY] {
        let mut world = World::watched();
        (world.local, world.server) = (by, by);
        assert_jumped(world.look(), Some(by), Some(by));
        let noticed = world.now;
        assert!(world.watch.distrust(noticed + 300 * SECOND - Duration::from_millis(1)).is_some());
        assert_eq!(world.watch.distrust(noticed + 300 * SECOND), None);
        world.pass(300 * SECOND);
        assert_eq!(world.look(), None);
        assert_eq!(world.look(), None);
    }
}

#[test]
fn a_second_jump_begins_the_rest_anew() {
    let mut world = World::watched();
    (world.local, world.server) = (HOUR, HOUR);
    assert_jumped(world.look(), Some(HOUR), Some(HOUR));
    world.pass(200 * SECOND);
    (world.local, world.server) = (TimeDelta::zero(), TimeDelta::zero());
    assert_jumped(world.look(), Some(-HOUR), Some(-HOUR));
    assert!(world.look_until_trusted() > 299 * SECOND);
}

#[test]
fn a_jump_is_told_with_its_direction_its_age_and_its_end() {
    let told = |local: TimeDelta, server: TimeDelta, age: Duration| {
        // So much apart that none of the jumps makes it too much.
        let mut world = World::new(SKEW);
        world.server = TimeDelta::seconds(-20);
        assert_eq!(world.look(), None);
        world.pass(60 * SECOND);
        (world.local, world.server) = (world.local + local, world.server + server);
        world.look().unwrap();
        world.watch.distrust(world.now + age).unwrap().to_string()
    };
    let (hour, none) = (HOUR, TimeDelta::zero());
    assert_eq!(
        told(hour, hour, 20 * SECOND),
        "this machine's clock jumped 1h ahead and the database's 1h ahead 20s ago: jobs that delete rest until \
         2026-03-12T09:49:20Z"
    );
    assert_eq!(
        told(TimeDelta::seconds(-40), none, Duration::from_millis(1540)),
        "this machine's clock jumped 40s back 1s 500ms ago: jobs that delete rest until 2026-03-12T08:48:40Z"
    );
    assert_eq!(
        told(none, TimeDelta::milliseconds(40_300), Duration::ZERO),
        "the database's clock jumped 40s ahead just now: jobs that delete rest until 2026-03-12T08:49:20Z"
    );
}

#[test]
fn a_jump_is_noticed_wherever_it_falls_among_the_readings() {
    // Before the question, before the server reads its clock, before the answer, after everything.
    for place in 0..4 {
        for by in [HOUR, -HOUR] {
            let mut world = World::watched();
            let step = |world: &mut World, at: u32| {
                if at == place {
                    (world.local, world.server) = (world.local + by, world.server + by);
                }
            };
            step(&mut world, 0);
            let asked = world.now;
            step(&mut world, 1);
            let server = world.wall(world.server);
            world.pass(Duration::from_micros(500));
            step(&mut world, 2);
            let local = world.wall(world.local);
            let answered = world.now;
            step(&mut world, 3);
            let first = world.watch.observe(Observation { asked, server, local, answered });
            assert_eq!(first.is_some(), place < 3, "{place}");
            world.pass(SECOND);
            assert!(is_jump(&world.look()), "{place}");
            world.pass(301 * SECOND);
            assert_eq!(world.look(), None, "{place}");
        }
    }
}

#[test]
fn a_jump_while_nobody_could_ask_well_is_noticed_afterwards() {
    let mut world = World::watched();
    world.pass(SECOND);
    (world.local, world.server) = (TimeDelta::minutes(5), TimeDelta::minutes(5));
    // The process was stopped for an hour while it asked.
    assert_eq!(world.look_within(SECOND, 3600 * SECOND), None);
    world.pass(SECOND);
    assert_jumped(world.look(), Some(TimeDelta::minutes(5)), Some(TimeDelta::minutes(5)));
}

#[test]
fn sleep_and_leap_seconds_are_no_jumps() {
    let mut world = World::watched();
    // The steady clock runs while the machine sleeps.
    world.pass(8 * 3600 * SECOND);
    assert_eq!(world.look(), None);
    for max_skew in [Duration::from_millis(500), SECOND, SKEW] {
        for leap in [TimeDelta::seconds(1), TimeDelta::seconds(-1)] {
            let mut world = World::new(max_skew);
            assert_eq!(world.look(), None);
            world.pass(60 * SECOND);
            (world.local, world.server) = (leap, leap);
            assert_eq!(world.look(), None, "{max_skew:?}");
        }
    }
    let mut world = World::watched();
    world.server = TimeDelta::seconds(1);
    assert_eq!(world.look(), None);
}

#[test]
fn clocks_that_are_slewed_do_not_jump() {
    let mut world = World::watched();
    // In a day, by which nobody asked, 500 parts per million are 43 seconds.
    world.pass(24 * 3600 * SECOND);
    (world.local, world.server) = (TimeDelta::seconds(43), TimeDelta::seconds(43));
    assert_eq!(world.look(), None);
    world.pass(60 * SECOND);
    (world.local, world.server) = (TimeDelta::seconds(86), TimeDelta::seconds(86));
    assert!(world.look().is_some());
}

#[test]
fn an_answer_that_was_overtaken_says_nothing_new() {
    let mut world = World::watched();
    let before = world.wall(TimeDelta::zero());
    let (asked, answered) = (world.now, world.now + SECOND);
    world.pass(5 * SECOND);
    (world.local, world.server) = (HOUR, HOUR);
    let newer = world.look();
    assert_jumped(newer.clone(), Some(HOUR), Some(HOUR));
    assert_eq!(world.watch.observe(Observation { asked, server: before, local: before, answered }), newer);
    world.pass(SECOND);
    assert_jumped(world.look(), Some(HOUR), Some(HOUR));
}

/// How long a question and its answer take, in microseconds.
fn trip() -> impl Strategy<Value = (u64, u64)> {
    prop_oneof![4 => (0..5_000_u64, 0..5_000_u64), 1 => (0..20_000_000_u64, 0..20_000_000_u64)]
}

proptest! {
    #[test]
    fn clocks_that_only_drift_within_the_limit_are_trusted(
        ppm in (-400..=400_i64, -400..=400_i64),
        start in (-10_000..=10_000_i64, -10_000..=10_000_i64),
        looks in prop::collection::vec((0..7200_u32, trip()), 1..30),
    ) {
        let mut world = World::new(SKEW);
        let begin = world.now;
        for (wait, (there, back)) in looks {
            world.pass(wait * SECOND);
            // By turns, so that they stay within the limit of each other.
            let passed = (world.now - begin).as_secs() as i64;
            let drift = |ppm: i64, start| {
                let period = passed.rem_euclid(40_000);
                TimeDelta::milliseconds(start) + TimeDelta::microseconds(ppm * period.min(40_000 - period))
            };
            (world.local, world.server) = (drift(ppm.0, start.0), drift(ppm.1, start.1));
            prop_assume!((world.local - world.server).abs() <= delta(SKEW));
            let distrust = world.look_within(Duration::from_micros(there), Duration::from_micros(back));
            prop_assert_eq!(distrust, None);
        }
    }

    #[test]
    fn any_jump_beyond_the_limit_makes_them_rest_and_go_on_again(
        by in prop_oneof![31..100_000_i64, -100_000..-31_i64],
        which in prop::sample::select(vec![(true, false), (false, true), (true, true)]),
        before in prop::collection::vec((0..600_u32, trip()), 0..10),
        late in 0..600_u32,
    ) {
        let mut world = World::watched();
        for (wait, (there, back)) in before {
            world.pass(wait * SECOND);
            prop_assert_eq!(world.look_within(Duration::from_micros(there), Duration::from_micros(back)), None);
        }
        prop_assert_eq!(world.look(), None);
        let by = TimeDelta::seconds(by);
        world.local += if which.0 { by } else { TimeDelta::zero() };
        world.server += if which.1 { by } else { TimeDelta::zero() };
        world.pass(late * SECOND);
        prop_assert!(world.look().is_some());
        let noticed = world.now;
        // Clocks that are apart by then are put right together with the other one.
        if which.0 != which.1 {
            prop_assert!(is_apart(&world.look()));
            (world.local, world.server) = (by, by);
            prop_assert!(is_jump(&world.look()));
        }
        let end = world.now + REST * SKEW;
        while world.now + SECOND < end {
            prop_assert!(world.look().is_some());
            world.pass(10 * SECOND);
        }
        world.pass(20 * SECOND);
        prop_assert_eq!(world.look(), None);
        prop_assert!(world.now > noticed + REST * SKEW);
    }

    #[test]
    fn clocks_that_are_apart_by_more_than_a_question_explains_are_not_trusted(
        ahead in prop_oneof![30_001..10_000_000_i64, -10_000_000..-30_001_i64],
        (there, back) in trip(),
    ) {
        let mut world = World::new(SKEW);
        world.local = TimeDelta::milliseconds(ahead);
        let distrust = world.look_within(Duration::from_micros(there), Duration::from_micros(back));
        let explained = Duration::from_micros(2 * (there + back));
        if world.local.abs() > delta(SKEW + explained) {
            prop_assert!(is_apart(&distrust));
        }
    }
}
