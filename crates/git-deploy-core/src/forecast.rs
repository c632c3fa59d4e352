//! When what is queued will have landed, as far as the past can tell. Pure.
//!
//! It is told as if somebody works the queue off without a pause from now on, and nobody else comes in between. Medians are
//! used, because one deployment that waited for hours says nothing about the others, and what is said to people is rounded
//! to what that is worth.

use std::collections::HashSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::config::deploy_toml::Environment;
use crate::ids::{DeploymentId, EnvironmentName, RefName};
use crate::ledger::{Deployment, Outcome};
use crate::queue::{Place, turns, waits_for_others};

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    pub fn of<'p>(line: impl IntoIterator<Item = &'p Past, IntoIter: Clone>) -> Option<Self> {
        let line = line.into_iter();
        let mut estimate = Self {
            success: SignedDuration::ZERO,
            turn: SignedDuration::ZERO,
            basis: line.clone().map(|past| past.successes.len()).min()?,
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

/// An environment that a candidate comes to.
#[derive(Debug, Clone)]
pub struct Leg<'a> {
    /// What base says of it.
    pub environment: &'a Environment,
    /// What it has seen.
    pub past: Past,
}

/// How far a branch has come that is in the queue.
#[derive(Debug, Clone, Copy)]
pub struct Come<'a> {
    /// The branch.
    pub branch: &'a RefName,
    /// How many environments of the line are behind it.
    pub stages: usize,
    /// Whether it may go on to the next one, where that asks for an approval.
    pub approved: bool,
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
    /// The environments, in the order in which a candidate comes to them; the last one lands.
    pub line: &'a [Leg<'a>],
    /// Who stands in one of them already. That counts for whoever is taken next, and for nobody else: what comes in between is
    /// deployed there instead.
    pub come: Option<Come<'a>>,
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
    /// Nothing can be deployed, such as for a mistake in base's `deploy.toml`.
    Unusable,
    /// The branch waits for a decision, or for a branch of which it cannot be told either.
    Waits,
    /// The queue is held.
    Held,
    /// Somebody has to approve that it goes on to this environment, or that one before it does.
    Approval(EnvironmentName),
    /// Nothing is deployed to this environment, and no end of that can be seen.
    Frozen(EnvironmentName),
    /// A deployment waits for somebody to land it.
    Stopped(DeploymentId),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPast => f.write_str("nothing was deployed successfully yet"),
            Self::Unusable => f.write_str("nothing can be deployed"),
            Self::Waits => f.write_str("somebody has to decide first"),
            Self::Held => f.write_str("the queue is held"),
            Self::Approval(environment) => write!(f, "it waits for approval to go to '{environment}'"),
            Self::Frozen(environment) => write!(f, "nothing is deployed to '{environment}'"),
            Self::Stopped(id) => write!(f, "{id} is verified, and has no verdict yet"),
        }
    }
}

/// When each branch of a queue lands, in the order of the queue.
pub fn forecast(places: &[Place], known: Known<'_>) -> Vec<Expected> {
    let all = |why: Unknown| vec![Expected::Unknown(why); places.len()];
    if let Some(stopped) = known.running.iter().find(|running| running.waits) {
        return all(Unknown::Stopped(stopped.id.clone()));
    }
    let Some(estimate) = Estimate::of(known.line.iter().map(|leg| &leg.past)) else {
        return all(Unknown::NoPast);
    };
    let basis = estimate.basis;
    let mut expected = all(if known.held { Unknown::Held } else { Unknown::Waits });
    let mut landed: HashSet<&str> = HashSet::new();
    let mut free = Ok(known.now);
    for running in known.running {
        let lands = known.rest(running);
        free = free.and_then(|free| Ok(free.max(lands.clone()?)));
        let Some(branch) = &running.branch else { continue };
        landed.insert(branch.short());
        if let Some(place) = places.iter().position(|place| place.branch == *branch) {
            expected[place] = match lands {
                Ok(lands) => Expected::Lands { starts: running.started, lands, basis },
                Err(why) => Expected::Unknown(why),
            };
        }
    }
    let is_open = |place: &Place| {
        let passes = Some(&place.branch) == known.passes;
        let is_taken = if known.held { passes } else { passes || waits_for_others(place) };
        is_taken && !landed.contains(place.branch.short())
    };
    let mut come = known.come.filter(|_| known.running.is_empty());
    for index in turns(places, landed.clone(), is_open) {
        let come = come.take().filter(|come| come.branch == &places[index].branch);
        (expected[index], free) = known.goes(free, come, basis);
    }
    expected
}

impl Known<'_> {
    /// When somebody lands whose turn it is at a time, and when the next one's is.
    fn goes(
        &self,
        free: Result<Timestamp, Unknown>,
        come: Option<Come<'_>>,
        basis: usize,
    ) -> (Expected, Result<Timestamp, Unknown>) {
        let (stages, approved) = come.map_or((0, false), |come| (come.stages, come.approved));
        let line = &self.line[stages.min(self.line.len())..];
        let starts = match (free, line.first()) {
            (Ok(free), Some(first)) => first.open(free),
            (free, _) => free,
        };
        let lands = starts.clone().and_then(|starts| through(line, starts, approved));
        // Whoever fails makes room earlier; but what stands still for a freeze or an approval stands in the way until then.
        let turn = Estimate::of(line.iter().map(|leg| &leg.past)).unwrap_or_default();
        let saved = turn.success - turn.turn;
        let next = lands.clone().map(|lands| later(lands, -saved));
        match (starts, lands) {
            (Ok(starts), Ok(lands)) => (Expected::Lands { starts, lands, basis }, next),
            (_, Err(why)) | (Err(why), _) => (Expected::Unknown(why), next),
        }
    }

    /// When what runs has come through the environments that are left to it.
    fn rest(&self, running: &Running) -> Result<Timestamp, Unknown> {
        let taken = running.started.duration_until(self.now).max(SignedDuration::ZERO);
        let Some((here, left)) = running.environment.and_then(|at| self.line.get(at..)?.split_first()) else {
            return Ok(self.now);
        };
        through(left, later(self.now, here.past.rest(taken)), false)
    }
}

impl Leg<'_> {
    /// From when on something is deployed there at a time, or later.
    fn open(&self, time: Timestamp) -> Result<Timestamp, Unknown> {
        match self.environment.frozen(time) {
            None => Ok(time),
            Some(frozen) => frozen.until.ok_or_else(|| Unknown::Frozen(self.environment.name.clone())),
        }
    }
}

/// When somebody is through these environments who begins at a time. `approved`: may go to the first of them.
fn through(line: &[Leg<'_>], starts: Timestamp, approved: bool) -> Result<Timestamp, Unknown> {
    let mut time = starts;
    for (index, leg) in line.iter().enumerate() {
        if leg.environment.approval && !(approved && index == 0) {
            return Err(Unknown::Approval(leg.environment.name.clone()));
        }
        time = later(leg.open(time)?, median(&leg.past.successes).unwrap_or_default());
    }
    Ok(time)
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
mod tests;
