use super::*;

const NOW: i64 = 1_800_000_000;

fn found(state: NativeTtl, ends: Ends, mode: Mode, sweeps: bool) -> Vec<(String, Severity)> {
    let defects = defects(&Seen { state, refusal: None, ends }, mode, sweeps, NOW);
    assert!(defects.iter().all(|finding| !finding.what.is_empty() && !finding.remedy.is_empty()));
    defects.into_iter().map(|finding| (finding.kind, finding.severity)).collect()
}

fn on() -> NativeTtl {
    NativeTtl::On(TTL_ATTRIBUTE.to_owned())
}

fn kind(kind: &str, severity: Severity) -> Vec<(String, Severity)> {
    vec![(kind.to_owned(), severity)]
}

#[test]
fn what_works_is_no_finding() {
    let ends = Ends { examined: 100, oldest: Some(NOW - SLOWEST), ..Ends::default() };
    for sweeps in [true, false] {
        assert_eq!(found(on(), ends, Mode::Check, sweeps), []);
        assert_eq!(found(NativeTtl::Starting(TTL_ATTRIBUTE.to_owned()), Ends::default(), Mode::Check, sweeps), []);
    }
}

#[test]
fn a_backend_that_cannot_has_no_findings() {
    let ends = Ends { not_numbers: 1, too_old: 1, oldest: Some(1), ..Ends::default() };
    assert_eq!(found(NativeTtl::Never, ends, Mode::Check, true), []);
}

#[test]
fn what_is_off_is_worse_when_nobody_sweeps() {
    for state in [NativeTtl::Off, NativeTtl::Stopping] {
        assert_eq!(found(state.clone(), Ends::default(), Mode::Check, true), kind("off", Severity::Warning));
        assert_eq!(found(state, Ends::default(), Mode::Check, false), kind("off", Severity::Critical));
    }
}

#[test]
fn another_attribute_is_the_wrong_one() {
    for state in [NativeTtl::On("expires".to_owned()), NativeTtl::Starting("TTL_TIMESTAMP".to_owned())] {
        // Rows that are still there are no wonder.
        let ends = Ends { oldest: Some(NOW - 10 * SLOWEST), ..Ends::default() };
        assert_eq!(found(state, ends, Mode::Enable, true), kind("wrong_attribute", Severity::Critical));
    }
}

#[test]
fn a_refusal_is_told() {
    let refusal = Some("AccessDeniedException".to_owned());
    let seen = Seen { state: NativeTtl::Off, refusal, ends: Ends::default() };
    let found = defects(&seen, Mode::Enable, true, NOW);
    assert!(found[0].what.contains("AccessDeniedException") && found[0].remedy.contains("policy"), "{found:?}");
}

#[test]
fn rows_that_never_go_are_counted() {
    let ends = Ends { not_numbers: 2, not_seconds: 1, too_old: 3, ..Ends::default() };
    let seen = Seen { state: on(), refusal: None, ends };
    let found = defects(&seen, Mode::Check, false, NOW);
    let short: Vec<_> = found.iter().map(|finding| (finding.kind.as_str(), finding.severity, finding.rows)).collect();
    assert_eq!(
        short,
        [
            ("not_a_number", Severity::Critical, Some(2)),
            ("not_in_seconds", Severity::Critical, Some(1)),
            ("too_old", Severity::Critical, Some(3)),
        ]
    );
    assert!(found[0].what.starts_with("2 rows have") && found[1].what.starts_with("1 row has"));
    let swept = defects(&seen, Mode::Check, true, NOW);
    assert_eq!(swept[2].severity, Severity::Warning, "this job deletes them");
}

#[test]
fn what_has_been_there_for_too_long_says_that_nothing_happens() {
    let ends = Ends { oldest: Some(NOW - SLOWEST - 1), ..Ends::default() };
    assert_eq!(found(on(), ends, Mode::Check, false), kind("stalled", Severity::Critical));
    assert_eq!(found(on(), ends, Mode::Check, true), kind("stalled", Severity::Warning));
    // Where it is off, that is all there is to say.
    assert_eq!(found(NativeTtl::Off, ends, Mode::Check, false), kind("off", Severity::Critical));
    assert_eq!(found(NativeTtl::Starting(TTL_ATTRIBUTE.to_owned()), ends, Mode::Check, false), []);
}
