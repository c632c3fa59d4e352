//! The ledger: one annotated tag for each deployment.
//!
//! The tag's subject is the verdict, its body are trailers, so that `git tag -n`, `git show` and
//! `git for-each-ref --format='%(trailers)'` can read it without this program.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::record::{Lines, Record, RecordError};

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Somebody ended it.
    Aborted,
    /// It failed.
    Failure,
    /// It landed, or stands in an environment that does not land.
    Success,
}

impl Outcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
        }
    }

    /// The subject of the tag.
    pub fn subject(self) -> &'static str {
        match self {
            Self::Success => "Successfully Deployed",
            Self::Failure | Self::Aborted => "Failed Deployment",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the result of a deployment: it must be success, failure or aborted")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(word: &str) -> Result<Self, UnknownOutcome> {
        [Self::Success, Self::Failure, Self::Aborted]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or_else(|| UnknownOutcome(word.to_owned()))
    }
}

/// What a window in which nothing is deployed is called by whoever skips it.
pub const FREEZE: &str = "freeze";

/// What somebody went past that should have come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Environments, and `freeze` for the time at which nothing was to be deployed.
    pub what: Vec<String>,
    /// Why, in their words.
    pub reason: String,
}

impl Skip {
    /// Whether it is said of this that it is skipped.
    pub(crate) fn has(&self, what: &str) -> bool {
        self.what.iter().any(|skipped| skipped == what)
    }

    /// The same with the reason of whoever says again that all of it is skipped; none for who does not.
    pub(crate) fn given_again(&self, given: Option<&Self>) -> Option<Self> {
        let given = given.filter(|given| self.what.iter().all(|what| given.has(what)))?;
        Some(Self { what: self.what.clone(), reason: given.reason.clone() })
    }

    /// Writes it into a record under these keys.
    pub(crate) fn write(skip: Option<&Self>, record: &mut Record, [what, reason]: [&str; 2]) {
        if let Some(skip) = skip {
            record.all(what, &skip.what);
            record.line(reason, &skip.reason);
        }
    }

    /// Reads it again.
    pub(crate) fn read(lines: &Lines<'_>, keys: [&'static str; 2]) -> Result<Option<Self>, RecordError> {
        let what: Vec<String> = lines.all(keys[0])?;
        let reason = lines.maybe(keys[1])?.unwrap_or_default();
        Ok((!what.is_empty()).then_some(Self { what, reason }))
    }
}

/// The trailers of it.
const SKIP: [&str; 2] = ["Skipped", "Skip-Reason"];

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name, which is the tag's.
    pub id: DeploymentId,
    /// How it ended.
    pub outcome: Outcome,
    /// Where to.
    pub environment: EnvironmentName,
    /// The candidate.
    pub commit: CommitId,
    /// The branch that it came from; none for a commit that was named itself.
    pub branch: Option<RefName>,
    /// Name, tag and digest of each image.
    pub images: Vec<String>,
    /// When the number was claimed.
    pub started: Timestamp,
    /// When the verdict was found.
    pub finished: Timestamp,
    /// Why it failed or was aborted.
    pub reason: Option<String>,
    /// What a failure left in the environment, where that was not brought back to what stood there before.
    pub left: Option<String>,
    /// The deployment that stood in this environment before.
    pub previous: Option<DeploymentId>,
    /// The earlier deployment whose bytes were applied again, if this is a way back that somebody asked for.
    pub rollback: Option<DeploymentId>,
    /// UID of the ApplySet's parent in the cluster; none without a cluster.
    pub cluster: Option<String>,
    /// What was skipped on the way there.
    pub skip: Option<Skip>,
    /// Who approved that it goes on from the environment before.
    pub approved_by: Option<String>,
    /// The deployment that had verified it there, which is what was approved.
    pub approved_deployment: Option<DeploymentId>,
}

impl Deployment {
    /// The deployment whose bytes were applied: this one, unless it was a way back.
    pub fn applied(&self) -> &DeploymentId {
        self.rollback.as_ref().unwrap_or(&self.id)
    }

    /// Whether it brought its commit onto base.
    pub fn landed(&self) -> bool {
        self.id.environment.is_none() && self.outcome == Outcome::Success && self.rollback.is_none()
    }

    /// What a failure left in the environment, where that was not brought back to what stood there before.
    pub fn left(&self) -> Option<&str> {
        self.left.as_deref()
    }

    /// The message of the tag.
    pub fn message(&self) -> String {
        let mut record = Record::new(self.outcome.subject());
        record.line("Environment", &self.environment);
        record.line("Commit", self.commit);
        record.maybe("Branch", self.branch.as_ref().map(RefName::short));
        record.all("Image", &self.images);
        record.line("Started", self.started);
        record.line("Finished", self.finished);
        record.line("Result", self.outcome);
        record.maybe("Reason", self.reason.as_ref());
        record.maybe("Left", self.left.as_ref());
        record.maybe("Previous", self.previous.as_ref());
        record.maybe("Rollback", self.rollback.as_ref());
        record.maybe("Cluster", self.cluster.as_ref());
        Skip::write(self.skip.as_ref(), &mut record, SKIP);
        record.maybe("Approved-By", self.approved_by.as_ref());
        record.maybe("Approved-Deployment", self.approved_deployment.as_ref());
        record.finish()
    }

    /// Reads the message of a tag. Trailers that are not known are passed over.
    ///
    /// # Errors
    /// When a trailer that every deployment has is missing, or one cannot be read.
    pub fn parse(id: DeploymentId, message: &str) -> Result<Self, TagError> {
        Self::read(&id, &Lines::of(message)).map_err(|error| TagError { tag: id, what: error.to_string() })
    }

    fn read(id: &DeploymentId, trailers: &Lines<'_>) -> Result<Self, RecordError> {
        let branch: Option<String> = trailers.maybe("Branch")?;
        let branch = branch.map(|short| {
            RefName::branch(&short).map_err(|_| RecordError::Value { key: "Branch", value: short })
        });
        Ok(Self {
            id: id.clone(),
            outcome: trailers.need("Result")?,
            environment: trailers.need("Environment")?,
            commit: trailers.need("Commit")?,
            branch: branch.transpose()?,
            images: trailers.all("Image")?,
            started: trailers.need("Started")?,
            finished: trailers.need("Finished")?,
            reason: trailers.maybe("Reason")?,
            left: trailers.maybe("Left")?,
            previous: trailers.maybe("Previous")?,
            rollback: trailers.maybe("Rollback")?,
            cluster: trailers.maybe("Cluster")?,
            skip: Skip::read(trailers, SKIP)?,
            approved_by: trailers.maybe("Approved-By")?,
            approved_deployment: trailers.maybe("Approved-Deployment")?,
        })
    }
}

/// A tag with the name of a deployment whose message is not one's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tag '{tag}' cannot be read as a deployment: {what}")]
pub struct TagError {
    /// The tag.
    pub tag: DeploymentId,
    /// What is wrong.
    pub what: String,
}

/// All deployments that have a tag.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Those that can be read, by name.
    pub deployments: Vec<Deployment>,
    /// Tags with the name of a deployment that cannot be read.
    pub unreadable: Vec<TagError>,
}

impl Ledger {
    /// The deployment of that name.
    pub fn find(&self, id: &DeploymentId) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == *id)
    }

    /// The latest deployment into an environment, however it ended.
    pub fn latest(&self, environment: &EnvironmentName) -> Option<&Deployment> {
        let there = self.deployments.iter().filter(|deployment| deployment.environment == *environment);
        there.max_by_key(|deployment| age(&deployment.id))
    }

    /// The latest deployment since the last success that has left something there: whatever failed after it before it
    /// changed anything has not mended that.
    pub fn left(&self, environment: &EnvironmentName) -> Option<&Deployment> {
        let success = self.latest_success(environment).map_or(0, |success| success.id.number);
        let since = self
            .deployments
            .iter()
            .filter(|deployment| deployment.environment == *environment && deployment.id.number > success);
        since.filter(|deployment| deployment.left().is_some()).max_by_key(|deployment| age(&deployment.id))
    }

    /// The deployments into an environment that succeeded.
    pub fn successes(&self, environment: &EnvironmentName) -> impl Iterator<Item = &Deployment> {
        self.deployments.iter().filter(move |deployment| {
            deployment.environment == *environment && deployment.outcome == Outcome::Success
        })
    }

    /// The latest of them.
    pub fn latest_success(&self, environment: &EnvironmentName) -> Option<&Deployment> {
        self.successes(environment).max_by_key(|deployment| age(&deployment.id))
    }

    /// The latest of them before a number.
    pub fn success_before(&self, environment: &EnvironmentName, number: u64) -> Option<&Deployment> {
        let before = self.successes(environment).filter(|deployment| deployment.id.number < number);
        before.max_by_key(|deployment| age(&deployment.id))
    }

    /// What somebody has gone back from in an environment: the way back, if that is what stands there, and the deployments that
    /// it undid, newest first.
    pub fn gone_back_from(&self, environment: &EnvironmentName) -> Option<(&Deployment, Vec<&Deployment>)> {
        let back = self.latest_success(environment)?;
        let to = back.rollback.as_ref()?;
        let is_between = |deployment: &&Deployment| {
            deployment.rollback.is_none()
                && age(&deployment.id) > age(to)
                && age(&deployment.id) < age(&back.id)
        };
        let mut undone: Vec<&Deployment> = self.successes(environment).filter(is_between).collect();
        undone.sort_by_key(|deployment| std::cmp::Reverse(age(&deployment.id)));
        Some((back, undone))
    }

    /// What somebody has gone back from in an environment since it was deployed there the last time, newest first, whatever came
    /// there later: the latest success of a commit, and the first way back that went further back than what that applied.
    pub fn undone(&self, environment: &EnvironmentName) -> Vec<(&Deployment, &Deployment)> {
        let mut successes: Vec<&Deployment> = self.successes(environment).collect();
        successes.sort_by_key(|deployment| std::cmp::Reverse(age(&deployment.id)));
        let (mut seen, mut undone) = (HashSet::new(), Vec::new());
        let mut backs: Vec<(&DeploymentId, &Deployment)> = Vec::new();
        for deployment in successes {
            let goes_past = |to: &DeploymentId| age(to) < age(deployment.applied());
            // Those that are known by now came later.
            let mut passing = backs.iter().rev().filter(|(to, _)| goes_past(to));
            if seen.insert(deployment.commit) {
                undone.extend(passing.next().map(|(_, back)| (deployment, *back)));
            }
            backs.extend(deployment.rollback.as_ref().map(|to| (to, deployment)));
        }
        undone
    }

    /// The numbers that are taken, also those of tags that cannot be read.
    pub fn ids(&self) -> impl Iterator<Item = &DeploymentId> {
        let unreadable = self.unreadable.iter().map(|error| &error.tag);
        self.deployments.iter().map(|deployment| &deployment.id).chain(unreadable)
    }
}

/// What tells of two deployments to one environment which is the later one. Both of its names may have the same number, where it
/// has landed for a while and has not for another: then the one with its name in it counts as the later one, everywhere.
pub(crate) fn age(id: &DeploymentId) -> (u64, Option<&EnvironmentName>) {
    (id.number, id.environment.as_ref())
}

/// The number after the highest of those that are known with the same prefix.
pub fn next_number<'a>(
    known: impl IntoIterator<Item = &'a DeploymentId>,
    environment: Option<&EnvironmentName>,
) -> DeploymentId {
    let highest =
        known.into_iter().filter(|id| id.environment.as_ref() == environment).map(|id| id.number).max();
    DeploymentId { environment: environment.cloned(), number: highest.unwrap_or(0) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Deployment {
        Deployment {
            id: "deployment-0002".parse().unwrap(),
            outcome: Outcome::Failure,
            environment: "rendered".parse().unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            branch: Some(RefName::branch("feature/login").unwrap()),
            images: vec!["a/b:c".into(), "a/d:c@sha256:0".into()],
            started: "2026-11-20T12:00:00Z".parse().unwrap(),
            finished: "2026-11-20T12:00:05Z".parse().unwrap(),
            reason: Some("lint: image 'nginx' has no tag".into()),
            left: Some("not gone back from: the image is gone".into()),
            previous: Some("deployment-0001".parse().unwrap()),
            rollback: None,
            cluster: None,
            skip: Some(Skip {
                what: vec!["staging".into(), "freeze".into()],
                reason: "the shop is down".into(),
            }),
            approved_by: Some("Ada <ada@example.org>".into()),
            approved_deployment: Some("deployment-staging-0004".parse().unwrap()),
        }
    }

    #[test]
    fn a_tag_says_the_verdict_first_and_comes_back_as_written() {
        let message = deployment().message();
        assert!(message.starts_with("Failed Deployment\n\nEnvironment: rendered\n"), "{message}");
        assert_eq!(Deployment::parse(deployment().id, &message).unwrap(), deployment());
    }

    #[test]
    fn a_reason_cannot_bring_a_trailer_of_its_own() {
        let hostile = Deployment { reason: Some("x\nResult: success".into()), ..deployment() };
        assert_eq!(
            Deployment::parse(hostile.id.clone(), &hostile.message()).unwrap().outcome,
            Outcome::Failure
        );
    }

    #[test]
    fn words_that_a_cluster_says_leave_nothing_behind() {
        for words in ["; left as it is: no", "; going back failed: no"] {
            let quoted = Deployment {
                reason: Some(format!("apply: the server said: x{words}")),
                left: None,
                ..deployment()
            };
            let read = Deployment::parse(quoted.id.clone(), &quoted.message()).unwrap();
            assert_eq!(read.left(), None, "{words}");
        }
    }

    #[test]
    fn a_tag_that_lacks_a_trailer_is_refused_by_name() {
        let error =
            Deployment::parse(deployment().id, "Successfully Deployed\n\nEnvironment: a\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "tag 'deployment-0002' cannot be read as a deployment: it has no line 'Result:'"
        );
    }

    fn ledger() -> Ledger {
        let entry = |id: &str, environment: &str, outcome| Deployment {
            id: id.parse().unwrap(),
            environment: environment.parse().unwrap(),
            outcome,
            ..deployment()
        };
        // By name: the tenth thousand comes before what it follows.
        let deployments = vec![
            entry("deployment-0001", "rendered", Outcome::Success),
            entry("deployment-10000", "rendered", Outcome::Success),
            entry("deployment-10001", "rendered", Outcome::Failure),
            entry("deployment-9999", "rendered", Outcome::Success),
            entry("deployment-rendered-10000", "rendered", Outcome::Success),
            entry("deployment-staging-20000", "staging", Outcome::Aborted),
        ];
        let unreadable = vec![TagError { tag: "deployment-10002".parse().unwrap(), what: String::new() }];
        Ledger { deployments, unreadable }
    }

    #[test]
    fn the_latest_is_that_with_the_highest_number_in_its_environment() {
        let (ledger, rendered) = (ledger(), "rendered".parse().unwrap());
        let number = |found: Option<&Deployment>| found.map(|deployment| deployment.id.number);
        assert_eq!(number(ledger.latest(&rendered)), Some(10001));
        assert_eq!(number(ledger.latest_success(&rendered)), Some(10000));
        assert_eq!(number(ledger.success_before(&rendered, 10000)), Some(9999));
        assert_eq!(number(ledger.success_before(&rendered, 1)), None);
        let staging = "staging".parse().unwrap();
        assert_eq!(number(ledger.latest(&staging)), Some(20000));
        assert_eq!(number(ledger.latest_success(&staging)), None);
    }

    #[test]
    fn of_two_with_one_number_the_same_is_the_later_one_in_whatever_order_they_are_read() {
        let (mut ledger, rendered) = (ledger(), "rendered".parse().unwrap());
        for _ in 0..2 {
            let latest = ledger.latest_success(&rendered).map(|latest| latest.id.to_string());
            assert_eq!(latest.as_deref(), Some("deployment-rendered-10000"));
            ledger.deployments.reverse();
        }
    }

    #[test]
    fn what_was_gone_back_from_stays_so_until_it_comes_again() {
        let commit = |letter: &str| letter.repeat(40).parse().unwrap();
        let success = |number: u64, of: &str, to: Option<u64>| Deployment {
            id: format!("deployment-rendered-{number:04}").parse().unwrap(),
            commit: commit(of),
            outcome: Outcome::Success,
            rollback: to.map(|to| format!("deployment-rendered-{to:04}").parse().unwrap()),
            ..deployment()
        };
        let undone = |deployments: &[Deployment]| {
            let ledger = Ledger { deployments: deployments.to_vec(), unreadable: Vec::new() };
            let found = ledger.undone(&"rendered".parse().unwrap());
            found.iter().map(|(undone, by)| (undone.id.number, by.id.number)).collect::<Vec<_>>()
        };
        let a_b_a = [success(1, "a", None), success(2, "b", None), success(3, "a", Some(1))];
        let and = |further: &[Deployment]| undone(&[&a_b_a[..], further].concat());
        assert_eq!(undone(&a_b_a[..2]), []);
        assert_eq!(and(&[]), [(2, 3)]);
        assert_eq!(and(&[success(4, "c", None)]), [(2, 3)], "others have passed it");
        assert_eq!(and(&[success(4, "b", None)]), [], "somebody has named it");
        assert_eq!(and(&[success(4, "b", Some(2))]), [], "somebody went forward again, away from nothing");
        assert_eq!(and(&[success(4, "b", Some(2)), success(5, "a", Some(1))]), [(4, 5)]);
        assert_eq!(and(&[success(4, "c", None), success(5, "a", Some(1))]), [(4, 5), (2, 3)]);
        assert_eq!(and(&[Deployment { outcome: Outcome::Failure, ..success(4, "b", None) }]), [(2, 3)]);
    }

    #[test]
    fn a_tag_that_cannot_be_read_takes_its_number_nevertheless() {
        assert_eq!(next_number(ledger().ids(), None).to_string(), "deployment-10003");
        assert!(ledger().find(&"deployment-10001".parse().unwrap()).is_some());
        assert!(ledger().find(&"deployment-10002".parse().unwrap()).is_none());
    }

    #[test]
    fn numbers_count_for_each_prefix() {
        let known: Vec<DeploymentId> = ["deployment-0009", "deployment-0002", "deployment-staging-0004"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        assert_eq!(next_number(&known, None).to_string(), "deployment-0010");
        assert_eq!(
            next_number(&known, Some(&"staging".parse().unwrap())).to_string(),
            "deployment-staging-0005"
        );
        assert_eq!(next_number(&known, Some(&"demo".parse().unwrap())).to_string(), "deployment-demo-0001");
    }
}
