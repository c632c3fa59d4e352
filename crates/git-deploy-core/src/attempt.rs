//! The claim of a number, which is also the journal of its deployment, and the lock that goes with it: text to value.
//!
//! Both are commits, so that they can be pushed and moved by compare-and-swap like anything else in git, and so that
//! `git log refs/deploy/attempts/deployment-0001` shows them.

use jiff::Timestamp;

use crate::deployment::{Blame, Phase};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, IdError, RefName};
use crate::ledger::{Outcome, Skip};
use crate::record::{Lines, Record, RecordError};

/// A deployment that was begun. Everything that is claimed ends with a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its name, which is that of the ref and of the tag to come.
    pub id: DeploymentId,
    /// Where to.
    pub environment: EnvironmentName,
    /// The branch; none for a commit that was named itself.
    pub branch: Option<RefName>,
    /// What is deployed.
    pub candidate: CommitId,
    /// What was approved: the commit that the candidate was made from.
    pub approved: CommitId,
    /// Base when the candidate was made.
    pub base: CommitId,
    /// The deployment that stood in the environment before.
    pub previous: Option<DeploymentId>,
    /// When the number was claimed.
    pub started: Timestamp,
    /// Who claimed it.
    pub by: String,
    /// The run that claimed it, or took it over last.
    pub run: String,
    /// How far it has come.
    pub phase: Phase,
    /// Images, once they are known.
    pub images: Vec<String>,
    /// What the environment was given: the commit with the rendered files.
    pub rendered: Option<CommitId>,
    /// The verdict, once it is finished.
    pub outcome: Option<Outcome>,
    /// Whose fault it is, if it did not succeed.
    pub blame: Option<Blame>,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// What it left in the environment, where that could not be brought back.
    pub left: Option<String>,
    /// Whether it only did not succeed in time.
    pub timed_out: bool,
    /// Whether its branch is to be rebased and deployed at once under the next number.
    pub again: bool,
    /// What a person can do about it.
    pub hint: Option<String>,
    /// The earlier deployment whose bytes are applied again, if somebody asked to go back.
    pub rollback: Option<DeploymentId>,
    /// What the environment's cluster is known by, once it was asked.
    pub cluster: Option<String>,
    /// What somebody skipped that should have come first.
    pub skip: Option<Skip>,
    /// Who approved that it goes on from the environment before.
    pub approved_by: Option<String>,
    /// The deployment that had verified it there, which is what was approved.
    pub approved_deployment: Option<DeploymentId>,
    /// One-time jobs that run again although they failed, as whoever began it has asked: believed as [`Self::skip`] is.
    pub retry_jobs: Vec<String>,
    /// Lines with keys that this version does not know; whoever takes the deployment over keeps them.
    pub unknown: Vec<String>,
}

/// The keys that this version knows.
const KEYS: [&str; 26] = [
    "phase",
    "environment",
    "branch",
    "candidate",
    "approved",
    "base",
    "previous",
    "started",
    "by",
    "run",
    "image",
    "rendered",
    "result",
    "blame",
    "reason",
    "left",
    "timed-out",
    "again",
    "hint",
    "rollback",
    "cluster",
    "skipped",
    "skip-reason",
    "approved-by",
    "approved-deployment",
    "retry-job",
];

/// The keys of what was skipped.
const SKIP: [&str; 2] = ["skipped", "skip-reason"];

impl Attempt {
    /// The text of the commit on `refs/deploy/attempts/<id>`.
    pub fn to_text(&self) -> String {
        let mut record = Record::new(&format!("{}: {}", self.id, self.phase));
        record.line("phase", self.phase);
        record.line("environment", &self.environment);
        record.maybe("branch", self.branch.as_ref());
        record.line("candidate", self.candidate);
        record.line("approved", self.approved);
        record.line("base", self.base);
        record.maybe("previous", self.previous.as_ref());
        record.line("started", self.started);
        record.line("by", &self.by);
        record.line("run", &self.run);
        record.all("image", &self.images);
        record.maybe("rendered", self.rendered);
        record.maybe("result", self.outcome);
        record.maybe("blame", self.blame.map(Blame::as_str));
        record.maybe("reason", self.reason.as_ref());
        record.maybe("left", self.left.as_ref());
        record.maybe("timed-out", self.timed_out.then_some(true));
        record.maybe("again", self.again.then_some(true));
        record.maybe("hint", self.hint.as_ref());
        record.maybe("rollback", self.rollback.as_ref());
        record.maybe("cluster", self.cluster.as_ref());
        Skip::write(self.skip.as_ref(), &mut record, SKIP);
        record.maybe("approved-by", self.approved_by.as_ref());
        record.maybe("approved-deployment", self.approved_deployment.as_ref());
        record.all("retry-job", &self.retry_jobs);
        record.verbatim(&self.unknown);
        record.finish()
    }

    /// Reads that text.
    ///
    /// # Errors
    /// When a key is missing that every attempt has, or a value cannot be read.
    pub fn parse(id: DeploymentId, text: &str) -> Result<Self, RecordError> {
        let lines = Lines::of(text);
        let phase: String = lines.need("phase")?;
        let blame: Option<String> = lines.maybe("blame")?;
        Ok(Self {
            environment: lines.need("environment")?,
            branch: lines.maybe("branch")?,
            candidate: lines.need("candidate")?,
            approved: lines.need("approved")?,
            base: lines.need("base")?,
            previous: lines.maybe("previous")?,
            started: lines.need("started")?,
            by: lines.need("by")?,
            run: lines.need("run")?,
            phase: phase.parse().map_err(|()| RecordError::Value { key: "phase", value: phase })?,
            images: lines.all("image")?,
            rendered: lines.maybe("rendered")?,
            outcome: lines.maybe("result")?,
            blame: blame.as_deref().map(Blame::parse),
            reason: lines.maybe("reason")?,
            left: lines.maybe("left")?,
            timed_out: lines.maybe("timed-out")?.unwrap_or(false),
            again: lines.maybe("again")?.unwrap_or(false),
            hint: lines.maybe("hint")?,
            rollback: lines.maybe("rollback")?,
            cluster: lines.maybe("cluster")?,
            skip: Skip::read(&lines, SKIP)?,
            approved_by: lines.maybe("approved-by")?,
            approved_deployment: lines.maybe("approved-deployment")?,
            retry_jobs: lines.all("retry-job")?,
            unknown: lines.others(&KEYS),
            id,
        })
    }

    /// The parents of the commit: they keep alive what a later run needs.
    pub fn parents(&self) -> Vec<CommitId> {
        let mut parents = vec![self.candidate];
        for commit in [Some(self.approved), Some(self.base), self.rendered].into_iter().flatten() {
            if !parents.contains(&commit) {
                parents.push(commit);
            }
        }
        parents
    }
}

/// Who holds a lock. Times of day are not compared: a value that somebody watches unchanged for twice `ttl` seconds on a
/// clock of their own is dead, and so is one of the same boot whose process is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The run that holds it.
    pub run: String,
    /// Who started that run.
    pub by: String,
    /// The machine.
    pub host: String,
    /// The boot of the machine, as the kernel names it; empty where it has no name.
    pub boot: String,
    /// The repository that the run works in: a random name that it has given itself.
    pub clone: String,
    /// The process on that machine.
    pub pid: u32,
    /// What it is held for.
    pub deployment: Option<DeploymentId>,
    /// Seconds that it may stay unchanged.
    pub ttl: u64,
}

/// Seconds that a lock may stay unchanged.
pub const LOCK_TTL: u64 = 60;

impl Lock {
    /// The text of the commit on the lock's ref.
    pub fn to_text(&self) -> String {
        let mut record = Record::new(&format!("held by {}", self.by));
        record.line("run", &self.run);
        record.line("by", &self.by);
        record.line("host", &self.host);
        record.line("boot", &self.boot);
        record.line("clone", &self.clone);
        record.line("pid", self.pid);
        record.maybe("deployment", self.deployment.as_ref());
        record.line("ttl", self.ttl);
        record.finish()
    }

    /// Reads that text.
    ///
    /// # Errors
    /// When a key is missing that every lock has, or a value cannot be read.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let lines = Lines::of(text);
        Ok(Self {
            run: lines.need("run")?,
            by: lines.need("by")?,
            host: lines.need("host")?,
            boot: lines.maybe("boot")?.unwrap_or_default(),
            clone: lines.maybe("clone")?.unwrap_or_default(),
            pid: lines.need("pid")?,
            deployment: lines.maybe("deployment")?,
            ttl: lines.need("ttl")?,
        })
    }
}

/// The lock of deployments into one environment.
///
/// # Errors
/// Never for a checked name; the type says so because it is put together from text.
pub fn environment_lock(environment: &EnvironmentName) -> Result<RefName, IdError> {
    RefName::new(format!("refs/deploy/lock/env/{environment}"))
}

/// The lock of landing on base.
///
/// # Errors
/// Never; see [`environment_lock`].
pub fn base_lock() -> Result<RefName, IdError> {
    RefName::new("refs/deploy/lock/base")
}

/// Where the objects that a deployment applied are kept.
///
/// # Errors
/// Never for a checked name; see [`environment_lock`].
pub fn rendered_ref(environment: &EnvironmentName, id: &DeploymentId) -> Result<RefName, IdError> {
    RefName::new(format!("refs/deploy/rendered/{environment}/{:04}", id.number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        let commit = |digit: &str| digit.repeat(40).parse().unwrap();
        Attempt {
            id: "deployment-0007".parse().unwrap(),
            environment: "rendered".parse().unwrap(),
            branch: Some(RefName::branch("login").unwrap()),
            candidate: commit("1"),
            approved: commit("2"),
            base: commit("3"),
            previous: Some("deployment-0006".parse().unwrap()),
            started: "2026-11-20T12:00:00Z".parse().unwrap(),
            by: "Ada <ada@example.org>".into(),
            run: "0f0f".into(),
            phase: Phase::Applying,
            images: vec!["a/b:c".into()],
            rendered: Some(commit("4")),
            outcome: Some(Outcome::Failure),
            blame: Some(Blame::Branch),
            reason: Some("lint: x".into()),
            left: Some("left as it is: a migration ran".into()),
            timed_out: true,
            again: true,
            hint: Some("ask for it".into()),
            rollback: Some("deployment-0005".parse().unwrap()),
            cluster: Some("b7e6".into()),
            skip: Some(Skip { what: vec!["staging".into()], reason: "the shop is down".into() }),
            approved_by: Some("Eve <eve@example.org>".into()),
            approved_deployment: Some("deployment-staging-0004".parse().unwrap()),
            retry_jobs: vec!["migrate".into(), "index-0a1b".into()],
            unknown: Vec::new(),
        }
    }

    #[test]
    fn an_attempt_comes_back_as_written() {
        assert_eq!(Attempt::parse(attempt().id, &attempt().to_text()).unwrap(), attempt());
    }

    #[test]
    fn an_attempt_of_a_newer_version_is_read_and_keeps_what_that_wrote() {
        let text = format!("{}future: 1\n", attempt().to_text());
        let read = Attempt::parse(attempt().id, &text).unwrap();
        assert_eq!(read.to_text(), text);
        assert_eq!(Attempt { unknown: Vec::new(), ..read }, attempt());
    }

    #[test]
    fn an_attempt_keeps_alive_what_a_later_run_needs() {
        assert_eq!(attempt().parents().len(), 4);
        let same = Attempt { approved: attempt().candidate, rendered: None, ..attempt() };
        assert_eq!(same.parents(), [same.candidate, same.base]);
    }

    #[test]
    fn a_lock_comes_back_as_written_and_one_of_a_newer_version_is_read() {
        let lock = Lock {
            run: "0f".into(),
            by: "Ada <ada@example.org>".into(),
            host: "box".into(),
            boot: String::new(),
            clone: "cafe".into(),
            pid: 7,
            deployment: Some("deployment-0007".parse().unwrap()),
            ttl: LOCK_TTL,
        };
        assert_eq!(Lock::parse(&lock.to_text()).unwrap(), lock);
        assert_eq!(Lock::parse(&format!("{}future: 1\n", lock.to_text())).unwrap(), lock);
        assert!(Lock::parse("held by x\n\nrun: 1\n").is_err());
    }
}
