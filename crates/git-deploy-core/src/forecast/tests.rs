//! What is told of queues whose past is known.

use super::*;
use crate::config::deploy_toml::DeployToml;
use crate::queue::Wait;

const NOW: i64 = 1_795_176_000;

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn at(after: i64) -> Timestamp {
    Timestamp::from_second(NOW + after * 60).unwrap()
}

fn deployment(outcome: Outcome, took: i64) -> Deployment {
    let verdict = format!(
        "x\n\nEnvironment: a\nCommit: {}\nStarted: {}\nFinished: {}\nResult: {outcome}\n",
        "1".repeat(40),
        at(0),
        at(took)
    );
    Deployment::parse("deployment-0001".parse().unwrap(), &verdict).unwrap()
}

fn past(successes: &[i64], failures: &[i64]) -> Past {
    let times = |outcome, times: &[i64]| -> Vec<Deployment> {
        times.iter().map(|took| deployment(outcome, *took)).collect()
    };
    let (one, other) = (times(Outcome::Success, successes), times(Outcome::Failure, failures));
    Past::of(one.iter().chain(&other))
}

fn place(name: &str, waits: Option<Wait>) -> Place {
    let after = match &waits {
        Some(Wait::After(name)) => vec![name.clone()],
        _ => Vec::new(),
    };
    Place {
        branch: RefName::branch(name).unwrap(),
        tip: "1".repeat(40).parse().unwrap(),
        line: "1".repeat(40).parse().unwrap(),
        since: None,
        by: None,
        priority: 0,
        waits,
        after,
    }
}

fn behind(name: &str) -> Place {
    place(name, Some(Wait::Behind(RefName::branch("a").unwrap())))
}

fn known<'a>(line: &'a [Leg<'a>]) -> Known<'a> {
    Known { line, come: None, running: &[], held: false, passes: None, now: at(0) }
}

/// An environment that lands, with these keys and tables, and one before it.
fn toml(keys: &str) -> DeployToml {
    DeployToml::parse(&format!(
        "[environment.staging]\nkind = 'rendered'\n[environment.live]\nkind = 'rendered'\nafter = 'staging'\n\
         lands = true\n{keys}"
    ))
    .unwrap()
}

/// A line of the last of its environments, one for each past.
fn line<'a>(toml: &'a DeployToml, pasts: &[Past]) -> Vec<Leg<'a>> {
    let environments = ["staging", "live"].map(|name| toml.environment(name).unwrap());
    let last = &environments[2 - pasts.len()..];
    let legs = last.iter().zip(pasts);
    legs.map(|(environment, past)| Leg { environment, past: past.clone() }).collect()
}

/// From and to, in minutes from now; none where nobody can tell.
fn times(expected: &[Expected]) -> Vec<Option<(i64, i64)>> {
    let from_now = |time: &Timestamp| at(0).duration_until(*time).as_mins();
    let times = |expected: &Expected| match expected {
        Expected::Lands { starts, lands, .. } => Some((from_now(starts), from_now(lands))),
        Expected::Unknown(_) => None,
    };
    expected.iter().map(times).collect()
}

fn running(branch: &str, started: i64) -> Running {
    Running {
        id: "deployment-0009".parse().unwrap(),
        branch: Some(RefName::branch(branch).unwrap()),
        started: at(started),
        environment: Some(0),
        waits: false,
    }
}

#[test]
fn one_that_took_for_ever_changes_nothing_and_what_failed_is_counted_apart() {
    let estimate = Estimate::of(&[past(&[10, 6000, 12], &[2])]).unwrap();
    assert_eq!((estimate.success, estimate.basis), (minutes(12), 3));
    // Three of four take 12 minutes, the fourth one two.
    assert_eq!(estimate.turn, SignedDuration::from_secs(9 * 60 + 30));
}

#[test]
fn what_somebody_ended_or_went_back_to_says_nothing() {
    let mut back = deployment(Outcome::Success, 1);
    back.rollback = Some("deployment-0001".parse().unwrap());
    let backwards = deployment(Outcome::Success, -5);
    let aborted = deployment(Outcome::Aborted, 1);
    assert_eq!(Past::of([&back, &backwards, &aborted]), Past::default());
}

#[test]
fn environments_in_a_row_are_gone_through_one_after_the_other() {
    let line = [past(&[4, 4], &[1, 1]), past(&[10], &[])];
    let estimate = Estimate::of(&line).unwrap();
    assert_eq!((estimate.success, estimate.basis), (minutes(14), 1));
    // Half of them never come to the second one.
    assert_eq!(estimate.turn, SignedDuration::from_secs(150 + 300));
    assert_eq!(Estimate::of(&[past(&[4], &[]), past(&[], &[3])]), None);
    assert_eq!(Estimate::of(&[]), None);
}

#[test]
fn each_one_lands_after_those_before_it() {
    let toml = toml("");
    let line = line(&toml, &[past(&[10], &[])]);
    let places = [place("a", None), behind("b"), behind("c")];
    assert_eq!(times(&forecast(&places, known(&line))), [Some((0, 10)), Some((10, 20)), Some((20, 30))]);
}

#[test]
fn what_runs_already_is_not_counted_again_and_may_take_longer_than_most() {
    let toml = toml("");
    let line = line(&toml, &[past(&[10, 10, 30], &[])]);
    let places = [place("a", None), behind("b")];
    let with = |started| {
        let running = [running("a", started)];
        times(&forecast(&places, Known { running: &running, ..known(&line) }))
    };
    assert_eq!(with(-4), [Some((-4, 6)), Some((6, 16))]);
    // Longer than most, but not than all: it is like those that took longer.
    assert_eq!(with(-12), [Some((-12, 18)), Some((18, 28))]);
    assert_eq!(with(-40), [Some((-40, 0)), Some((0, 10))]);
}

#[test]
fn whoever_is_held_is_passed_and_nobody_can_tell_when_he_lands() {
    let toml = toml("");
    let line = line(&toml, &[past(&[10], &[])]);
    let places = [
        place("held", Some(Wait::Held("sale".into()))),
        place("after-held", Some(Wait::After("held".into()))),
        place("after-b", Some(Wait::After("b".into()))),
        place("a", None),
        behind("b"),
        behind("c"),
    ];
    let expected = forecast(&places, known(&line));
    // As soon as 'b' has landed the one that waits for it comes before 'c', whose turn is later.
    let want = [None, None, Some((20, 30)), Some((0, 10)), Some((10, 20)), Some((30, 40))];
    assert_eq!(times(&expected), want);
    assert_eq!(expected[0], Expected::Unknown(Unknown::Waits));
}

#[test]
fn whoever_waits_for_several_lands_after_the_last_of_them() {
    let toml = toml("");
    let line = line(&toml, &[past(&[10], &[])]);
    let both = Place { after: vec!["a".into(), "c".into()], ..place("both", Some(Wait::After("a".into()))) };
    let expected = forecast(&[place("a", None), both, behind("b"), behind("c")], known(&line));
    assert_eq!(times(&expected), [Some((0, 10)), Some((30, 40)), Some((10, 20)), Some((20, 30))]);
}

#[test]
fn of_a_queue_that_is_held_only_who_passes_lands() {
    let toml = toml("");
    let line = line(&toml, &[past(&[10], &[])]);
    let places = [place("a", None), behind("b")];
    let b = RefName::branch("b").unwrap();
    let held = Known { held: true, passes: Some(&b), ..known(&line) };
    let expected = forecast(&places, held);
    assert_eq!(expected[0], Expected::Unknown(Unknown::Held));
    assert_eq!(times(&expected)[1], Some((0, 10)));
}

#[test]
fn where_nothing_is_deployed_for_a_while_it_lands_after_that() {
    // It is noon, and at one it is over; until two others are through staging already.
    let toml = toml(
        "[[environment.live.freeze]]\nfrom = '2026-11-20'\nto = '2026-11-20T13:00'\ntime-zone = 'UTC'\n",
    );
    let (line, places) = (line(&toml, &[past(&[4], &[]), past(&[10], &[])]), [place("a", None), behind("b")]);
    // The second one begins when the first has landed, because that stands in staging until then.
    assert_eq!(times(&forecast(&places, known(&line))), [Some((0, 70)), Some((70, 84))]);
    let alone = &line[1..];
    assert_eq!(times(&forecast(&places, known(alone))), [Some((60, 70)), Some((70, 80))]);
}

#[test]
fn where_no_end_of_a_freeze_can_be_seen_nobody_can_tell() {
    let toml = toml(
        "[[environment.live.freeze]]\nfrom = 'Mon 00:00'\nto = 'Thu 00:00'\ntime-zone = 'UTC'\n\
         [[environment.live.freeze]]\nfrom = 'Thu 00:00'\nto = 'Mon 00:00'\ntime-zone = 'UTC'\n",
    );
    let line = line(&toml, &[past(&[10], &[])]);
    let expected = forecast(&[place("a", None)], known(&line));
    assert_eq!(expected, [Expected::Unknown(Unknown::Frozen("live".parse().unwrap()))]);
}

#[test]
fn who_stands_in_an_environment_is_not_deployed_there_again() {
    let (toml, a) = (toml(""), RefName::branch("a").unwrap());
    let line = line(&toml, &[past(&[4], &[]), past(&[10], &[])]);
    let come = Some(Come { branch: &a, stages: 1, approved: false });
    let places = [place("a", None), behind("b")];
    let staged = Known { come, ..known(&line) };
    assert_eq!(times(&forecast(&places, staged)), [Some((0, 10)), Some((10, 24))]);
    // Unless another one goes first, which is deployed there instead.
    let places = [place("b", None), behind("a")];
    assert_eq!(times(&forecast(&places, staged)), [Some((0, 14)), Some((14, 28))]);
}

#[test]
fn whoever_needs_an_approval_has_no_time_and_those_behind_neither() {
    let (toml, a) = (toml("approval = true\n"), RefName::branch("a").unwrap());
    let line = line(&toml, &[past(&[4], &[]), past(&[10], &[])]);
    let places = [place("a", None), behind("b")];
    let waits = Expected::Unknown(Unknown::Approval("live".parse().unwrap()));
    let missing = Some(Come { branch: &a, stages: 1, approved: false });
    for come in [None, missing] {
        assert_eq!(forecast(&places, Known { come, ..known(&line) }), [waits.clone(), waits.clone()]);
    }
    let given = Some(Come { branch: &a, stages: 1, approved: true });
    let expected = forecast(&places, Known { come: given, ..known(&line) });
    assert_eq!(times(&expected), [Some((0, 10)), None]);
}

#[test]
fn without_a_past_or_behind_what_waits_for_a_person_nothing_is_told() {
    let places = [place("a", None)];
    assert_eq!(forecast(&places, known(&[])), [Expected::Unknown(Unknown::NoPast)]);
    let toml = toml("");
    let line = line(&toml, &[past(&[10], &[])]);
    let stopped = [Running { waits: true, ..running("a", -4) }];
    let expected = forecast(&places, Known { running: &stopped, ..known(&line) });
    assert_eq!(expected, [Expected::Unknown(Unknown::Stopped(stopped[0].id.clone()))]);
}

#[test]
fn nothing_is_said_more_exactly_than_it_is_known() {
    let told = |seconds| about(SignedDuration::from_secs(seconds));
    let times = [-5, 29, 31, 569, 632, 90 * 60, 150 * 60, 3 * 3600 + 60, 75 * 3600];
    let words = [
        "less than a minute",
        "less than a minute",
        "1 min",
        "9 min",
        "10 min",
        "90 min",
        "2.5 h",
        "3 h",
        "3 days",
    ];
    assert_eq!(times.map(told), words);
    let when = |seconds| {
        about_when(Timestamp::from_second(NOW + seconds).unwrap(), Timestamp::from_second(NOW).unwrap())
    };
    // It is noon.
    assert_eq!(
        [60, 89, 12 * 60, 150 * 60 + 59, 50 * 3600].map(when),
        ["12:01Z", "12:01Z", "12:10Z", "14:30Z", "2026-11-22"]
    );
}
