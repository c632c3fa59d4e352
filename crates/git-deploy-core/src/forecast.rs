//! When what is queued will have landed, as far as the past can tell. Pure.
//!
//! It is told as if somebody works the queue off without a pause from now on, and nobody else comes in between. Medians are
//! used, because one deployment that waited for hours says nothing about the others, and what is said to people is rounded
//! to what that is worth.

use std::collections::HashSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::ids::{DeploymentId, RefName};
use crate::ledger::{Deployment, Outcome};
use crate::queue::{Place, Wait};

/// How many deployments of the past an estimate rests upon at most.
pub const BASIS: usize = 20;

/// How long the latest deployments to one environment took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Those that succeeded, the shortest first.
    successes: Vec<SignedDuration>,
    /// Those that failed, the shortest first.
    failures: Vec<SignedDuration>,
}

impl Past {
    /// Whether a deployment says something about those to come: ways back and those that somebody ended do not, nor does one
    /// whose clocks went backwards.
    pub fn counts(deployment: &Deployment) -> bool {
        deployment.rollback.is_none()
            && deployment.outcome != Outcome::Aborted
            && deployment.finished >= deployment.started
    }

    /// The past that these deployments are.
    pub fn of<'d>(deployments: impl IntoIterator<Item = &'d Deployment>) -> Self {
        let mut past = Self::default();
        for deployment in deployments.into_iter().filter(|deployment| Self::counts(deployment)) {
            let times = match deployment.outcome {
                Outcome::Success => &mut past.successes,
                Outcome::Failure | Outcome::Aborted => &mut past.failures,
            };
            times.push(deployment.started.duration_until(deployment.finished));
        }
        past.successes.sort();
        past.failures.sort();
        past
    }

    /// The share of deployments that succeeded.
    fn share(&self) -> f64 {
        self.successes.len() as f64 / (self.successes.len() + self.failures.len()).max(1) as f64
    }

    /// How long one goes on that has taken so long already and succeeds.
    fn rest(&self, taken: SignedDuration) -> SignedDuration {
        let longer = self.successes.partition_point(|time| *time <= taken);
        median(&self.successes[longer..]).map_or(SignedDuration::ZERO, |whole| whole - taken)
    }
}

/// The one in the middle; the longer one of two.
fn median(times: &[SignedDuration]) -> Option<SignedDuration> {
    times.get(times.len() / 2).copied()
}

/// How long a candidate takes through all environments that it goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// If it succeeds.
    pub success: SignedDuration,
    /// Until the next one begins, on average: some fail.
    pub turn: SignedDuration,
    /// How many successes this rests upon, in the environment that has the fewest.
    pub basis: usize,
}

impl Estimate {
    /// An estimate by what each environment has seen, in the order in which a candidate comes to them. None where nothing
    /// has succeeded in one of them.
    pub fn of(line: &[Past]) -> Option<Self> {
        let mut estimate = Self {
            success: SignedDuration::ZERO,
            turn: SignedDuration::ZERO,
            basis: line.iter().map(|past| past.successes.len()).min()?,
        };
        let mut reached = 1.0;
        for past in line {
            let (success, share) = (median(&past.successes)?, past.share());
            let failure = median(&past.failures).unwrap_or_default();
            estimate.success += success;
            estimate.turn += (success.mul_f64(share) + failure.mul_f64(1.0 - share)).mul_f64(reached);
            reached *= share;
        }
        Some(estimate)
    }
}

/// A deployment that has no verdict yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Which.
    pub id: DeploymentId,
    /// Its branch.
    pub branch: Option<RefName>,
    /// When it began.
    pub started: Timestamp,
    /// Where to, as the place in the line of environments; none for one that is not in it.
    pub environment: Option<usize>,
    /// Whether it has done all but land, which waits for a person.
    pub waits: bool,
}

/// What a forecast rests upon besides the queue.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the environments have seen, in the order in which a candidate comes to them; the last one lands.
    pub line: &'a [Past],
    /// What has no verdict yet.
    pub running: &'a [Running],
    /// Whether the queue is held, and the branch that is taken nevertheless.
    pub held: bool,
    /// The branch that is taken although the queue is held.
    pub passes: Option<&'a RefName>,
    /// The present.
    pub now: Timestamp,
}

/// When a branch lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// About then.
    Lands {
        /// When its deployment begins, or began.
        starts: Timestamp,
        /// When it has landed.
        lands: Timestamp,
        /// How many deployments of the past this rests upon.
        basis: usize,
    },
    /// Nobody can tell.
    Unknown(Unknown),
}

/// Why nobody can tell when a branch lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// No deployment has succeeded yet.
    NoPast,
    /// The branch waits for a decision, or for a branch of which it cannot be told either.
    Waits,
    /// The queue is held.
    Held,
    /// A deployment waits for somebody to land it.
    Stopped(DeploymentId),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPast => f.write_str("nothing was deployed successfully yet"),
            Self::Waits => f.write_str("somebody has to decide first"),
            Self::Held => f.write_str("the queue is held"),
            Self::Stopped(id) => write!(f, "{id} is verified, not landed"),
        }
    }
}

/// When each branch of a queue lands, in the order of the queue.
pub fn forecast(places: &[Place], known: Known<'_>) -> Vec<Expected> {
    let all = |why: Unknown| vec![Expected::Unknown(why); places.len()];
    if let Some(stopped) = known.running.iter().find(|running| running.waits) {
        return all(Unknown::Stopped(stopped.id.clone()));
    }
    let Some(estimate) = Estimate::of(known.line) else { return all(Unknown::NoPast) };
    let mut expected = all(if known.held { Unknown::Held } else { Unknown::Waits });
    let mut landed: HashSet<&str> = HashSet::new();
    let mut free = known.now;
    for running in known.running {
        let lands = later(known.now, rest(running, &known));
        free = free.max(lands);
        let Some(branch) = &running.branch else { continue };
        landed.insert(branch.short());
        if let Some(place) = places.iter().position(|place| place.branch == *branch) {
            expected[place] = Expected::Lands { starts: running.started, lands, basis: estimate.basis };
        }
    }
    let is_open = |place: &Place| {
        let passes = Some(&place.branch) == known.passes;
        let waits_for_others = matches!(place.waits, None | Some(Wait::After(_) | Wait::Behind(_)));
        !landed.contains(place.branch.short()) && if known.held { passes } else { passes || waits_for_others }
    };
    let mut left: Vec<usize> = (0..places.len()).filter(|index| is_open(&places[*index])).collect();
    while let Some(next) = left.iter().position(|index| match &places[*index].waits {
        Some(Wait::After(name)) => landed.contains(name.as_str()),
        _ => true,
    }) {
        let index = left.remove(next);
        landed.insert(places[index].branch.short());
        let lands = later(free, estimate.success);
        expected[index] = Expected::Lands { starts: free, lands, basis: estimate.basis };
        free = later(free, estimate.turn);
    }
    expected
}

/// How long it takes until what runs has come through the environments that are left to it.
fn rest(running: &Running, known: &Known<'_>) -> SignedDuration {
    let taken = running.started.duration_until(known.now).max(SignedDuration::ZERO);
    let Some((here, later)) = running.environment.and_then(|at| known.line.get(at..)?.split_first()) else {
        return SignedDuration::ZERO;
    };
    here.rest(taken) + Estimate::of(later).map_or(SignedDuration::ZERO, |estimate| estimate.success)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// How long something takes, rounded as people say it.
pub fn about(time: SignedDuration) -> String {
    let minutes = rounded(time).as_mins();
    match minutes {
        0 => "less than a minute".to_owned(),
        1..120 => format!("{minutes} min"),
        120..2880 if minutes % 60 == 30 => format!("{}.5 h", minutes / 60),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}

/// A time to come, in UTC, rounded by how far away it is: `14:05Z`, or the day.
pub fn about_when(time: Timestamp, now: Timestamp) -> String {
    let away = now.duration_until(time);
    if away >= SignedDuration::from_hours(24) {
        return time.strftime("%Y-%m-%d").to_string();
    }
    let step = step(away).as_secs();
    let seconds = (time.as_second() + step / 2).div_euclid(step) * step;
    Timestamp::from_second(seconds).unwrap_or(time).strftime("%H:%MZ").to_string()
}

/// To what times of this length are rounded.
fn step(time: SignedDuration) -> SignedDuration {
    match time.as_mins() {
        ..10 => SignedDuration::from_mins(1),
        10..120 => SignedDuration::from_mins(5),
        120..2880 => SignedDuration::from_mins(30),
        _ => SignedDuration::from_hours(24),
    }
}

fn rounded(time: SignedDuration) -> SignedDuration {
    let step = step(time).as_secs();
    SignedDuration::from_secs((time.as_secs().max(0) + step / 2) / step * step)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Place {
            branch: RefName::branch(name).unwrap(),
            tip: "1".repeat(40).parse().unwrap(),
            since: None,
            by: None,
            priority: 0,
            waits,
        }
    }

    fn behind(name: &str) -> Place {
        place(name, Some(Wait::Behind(RefName::branch("a").unwrap())))
    }

    fn known(line: &[Past]) -> Known<'_> {
        Known { line, running: &[], held: false, passes: None, now: at(0) }
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
        let line = [past(&[10], &[])];
        let places = [place("a", None), behind("b"), behind("c")];
        assert_eq!(times(&forecast(&places, known(&line))), [Some((0, 10)), Some((10, 20)), Some((20, 30))]);
    }

    #[test]
    fn what_runs_already_is_not_counted_again_and_may_take_longer_than_most() {
        let line = [past(&[10, 10, 30], &[])];
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
        let line = [past(&[10], &[])];
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
    fn of_a_queue_that_is_held_only_who_passes_lands() {
        let line = [past(&[10], &[])];
        let places = [place("a", None), behind("b")];
        let b = RefName::branch("b").unwrap();
        let held = Known { held: true, passes: Some(&b), ..known(&line) };
        let expected = forecast(&places, held);
        assert_eq!(expected[0], Expected::Unknown(Unknown::Held));
        assert_eq!(times(&expected)[1], Some((0, 10)));
    }

    #[test]
    fn without_a_past_or_behind_what_waits_for_a_person_nothing_is_told() {
        let places = [place("a", None)];
        assert_eq!(forecast(&places, known(&[])), [Expected::Unknown(Unknown::NoPast)]);
        let line = [past(&[10], &[])];
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
}
