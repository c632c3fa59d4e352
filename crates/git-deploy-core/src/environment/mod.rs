//! Where a candidate is deployed to.
//!
//! [`Driver`] is the seam between a deployment and what it deploys to. The embedded one is [`rendered`]: the manifests
//! are committed to a branch, and nothing but git is needed.

pub mod kept;
pub mod rendered;
mod status;

use std::collections::BTreeSet;

use crate::attempt::Lock;
use crate::candidate::Candidate;
use crate::deployment::{Close, Failure};
use crate::git::Identity;
use crate::ids::{CommitId, DeploymentId};
use crate::interrupt::Interrupt;
use crate::land::Change;
use crate::ledger::{Deployment, Outcome};

pub use status::{Author, Difference, Drift, Left, Leftover, ObjectName, Status, Tidied, Upkeep, Workload};

/// One object of a candidate's manifests, ready to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedObject {
    /// Its file, relative, unique in the set.
    pub path: String,
    /// Kind, namespace and name, for people.
    pub title: String,
    /// The final bytes.
    pub bytes: Vec<u8>,
    /// Whether its values must not be kept in git.
    pub secret: bool,
}

/// The manifests of a candidate, ready to be applied: one file an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The objects, by path.
    pub objects: Vec<RenderedObject>,
    /// The images of configured names that they use: name, tag and digest.
    pub images: Vec<String>,
    /// What the rules found and let pass.
    pub warnings: Vec<String>,
    /// What was made of the manifests that those who wrote them may not expect, though it is as it should be.
    pub remarks: Vec<String>,
}

/// What is wanted of images before objects are made that name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images<'a> {
    /// What is not there is made.
    Made,
    /// What is there is named with its digest; whoever only looks makes nothing.
    Named,
    /// Those that were verified in another environment, as `name:tag@digest`; what is not among them is made. Another digest
    /// than the verified one is refused.
    Verified(&'a [String]),
    /// Nothing is asked or made: a run before has written down these, as `name:tag@digest`, and applied them.
    Recorded(&'a [String]),
}

/// What was made of a commit's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// All were there, or there are none.
    Nothing,
    /// One at least, which takes long.
    Some,
}

/// Makes objects of a commit's manifests: reads its tree, sets images, asks the rules.
pub trait Renderer {
    /// Finds the images of this commit for the renderings that follow. Making them takes long: the pulse is beaten meanwhile.
    ///
    /// # Errors
    /// When one cannot be made.
    fn prepare(&self, _commit: CommitId, _images: Images<'_>, _pulse: &dyn Pulse) -> Result<Made, Failure> {
        Ok(Made::Nothing)
    }

    /// The objects of this commit. Equal commits give equal bytes.
    ///
    /// # Errors
    /// When the manifests cannot be read, or a rule forbids them.
    fn render(&self, commit: CommitId) -> Result<Rendered, Failure>;
}

/// Says of an object's bytes what only whoever understands manifests can.
pub trait Describe {
    /// What the object in a file is known by.
    fn name(&self, path: &str, bytes: &[u8]) -> ObjectName;

    /// The difference between two states as a unified diff, if there is any; `None` where the object is not there. Values
    /// of Secrets are masked.
    fn diff(&self, path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Option<String>;
}

/// What becomes of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is not there yet.
    Create,
    /// It is there and differs.
    Change,
    /// It is there as it should be.
    Keep,
    /// It is there and no longer wanted.
    Delete,
}

impl Effect {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Keep => "keep",
            Self::Delete => "delete",
        }
    }
}

/// What becomes of one object, and how it changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedObject {
    /// What becomes of it.
    pub effect: Effect,
    /// Which.
    pub object: ObjectName,
    /// Whether the environment was asked and agreed; what cannot be tried yet is not validated.
    pub validated: bool,
    /// The difference as a unified diff, where it is known and not empty. Values of Secrets are masked.
    pub diff: Option<String>,
}

/// What a deployment would do, object by object. Making it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Those that are created first, those that are deleted last.
    pub objects: Vec<PlannedObject>,
    /// What is no longer wanted and stays for a while.
    pub stays: Vec<Left>,
}

impl Plan {
    /// How many objects it does this to.
    pub fn count(&self, effect: Effect) -> usize {
        self.objects.iter().filter(|planned| planned.effect == effect).count()
    }

    /// Whether anything would be different.
    pub fn changes_anything(&self) -> bool {
        self.objects.iter().any(|planned| planned.effect != Effect::Keep)
    }
}

/// Asked every moment by whatever takes long.
pub trait Pulse {
    /// Keeps alive what the run holds. `false`: the run has to stop, and why is known to it.
    fn beat(&self) -> bool;
}

impl Pulse for Interrupt {
    fn beat(&self) -> bool {
        self.check().is_ok()
    }
}

/// What is being deployed under which number.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// The number.
    pub id: &'a DeploymentId,
    /// What is deployed.
    pub candidate: &'a Candidate,
    /// Who deploys, and when.
    pub identity: &'a Identity,
    /// To be asked at least once a second by whatever takes long.
    pub pulse: &'a dyn Pulse,
}

/// What base itself has, rendered for the environment: every candidate has that in common with all others. Asked only where a
/// refusal has to be judged, or an image is new; none where base does not render, has nothing, or has the candidate already.
pub type OfBase<'a> = dyn Fn() -> Option<Rendered> + 'a;

/// What git knows of an environment.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The repository's first commit; none where it is not known, as in a shallow clone.
    pub root: Option<CommitId>,
    /// The latest deployment that succeeded there.
    pub latest: Option<Deployment>,
    /// The commit that keeps what that one applied, where it is kept.
    pub kept: Option<CommitId>,
    /// All numbers that are known, be it of a verdict or of a claim.
    pub known: BTreeSet<DeploymentId>,
    /// Those of them that have no verdict yet: what they have begun is no failure.
    pub open: BTreeSet<DeploymentId>,
    /// Whether a person named what is to be deployed, rather than the queue.
    pub named: bool,
    /// The deployment that somebody wants to go back to.
    pub back_to: Option<DeploymentId>,
    /// One-time jobs that run again although they failed, as the deployment that is begun or taken up has it.
    pub retry_jobs: Vec<String>,
}

/// Judges who holds an environment, by what only the machine and the repository of this run know.
pub trait Custody {
    /// What this run writes where it holds something.
    ///
    /// # Errors
    /// When the repository cannot be read.
    fn lock(&self) -> Result<Lock, Failure>;

    /// Whether a holder is gone: its process is dead, or this very `value` at `place` was watched unchanged for twice the
    /// time that it may stay so.
    ///
    /// # Errors
    /// When the repository cannot be read.
    fn is_gone(&self, lock: &Lock, place: &str, value: &str) -> Result<bool, Failure>;
}

/// Why an environment cannot be taken for a deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Somebody deploys there.
    #[error("{} on '{}' deploys there just now", .0.by, .0.host)]
    Held(Box<Lock>),
    /// It cannot be asked, or is not the environment that the ledger speaks of.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// The files that a deployment before this one was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its number.
    pub id: DeploymentId,
    /// The commit that keeps them.
    pub kept: CommitId,
}

/// Whether an environment answers that could not be asked a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// It does not, or is no longer this run's to ask.
    Not,
    /// At once: it was hardly away.
    AtOnce,
    /// Again, after it was away for a while.
    Again,
}

/// What became of the environment after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// It stands as it did before.
    Back,
    /// It was left as it is, for this reason.
    Left(String),
}

/// An environment that can be deployed to. One is made for each run.
///
/// Every method can be called again after a crash and then ends with the same.
pub trait Driver {
    /// Looks whether a deployment could begin, without changing anything: before a number is claimed.
    ///
    /// # Errors
    /// When somebody else deploys there, or the environment cannot be asked or is another one.
    fn check(&self, standing: &Standing, custody: &dyn Custody) -> Result<(), NotTaken>;

    /// Has `custody` see who holds the environment, and nothing else: who has to be watched for dead is watched from then on.
    ///
    /// # Errors
    /// As for [`Driver::check`].
    fn watch(
        &self,
        _standing: &Standing,
        _custody: &dyn Custody,
        _pulse: &dyn Pulse,
    ) -> Result<(), NotTaken> {
        Ok(())
    }

    /// Takes the environment for a deployment, until [`Driver::end`]. Returns what the ledger is to know it by.
    ///
    /// # Errors
    /// As for [`Driver::check`].
    fn begin(
        &self,
        work: Work<'_>,
        standing: &Standing,
        custody: &dyn Custody,
    ) -> Result<Option<String>, NotTaken>;

    /// The verdict that an earlier run had found for this deployment when it died while going back.
    ///
    /// # Errors
    /// When the environment cannot be asked.
    fn verdict_before(&self, id: &DeploymentId) -> Result<Option<Close>, Failure>;

    /// What applying would do.
    ///
    /// # Errors
    /// When the objects cannot be applied here, or the environment cannot be asked. What `base` has, too, is not the
    /// candidate's fault.
    fn plan(&self, rendered: &Rendered, base: &OfBase<'_>, pulse: &dyn Pulse) -> Result<Plan, Failure>;

    /// What stands there, compared with what was applied last. Changes nothing.
    ///
    /// # Errors
    /// When the environment cannot be asked.
    fn status(&self, standing: &Standing, kept: &Rendered, pulse: &dyn Pulse) -> Result<Status, Failure>;

    /// What is there of the set. Changes nothing.
    ///
    /// # Errors
    /// When the environment cannot be asked.
    fn remains(&self, _standing: &Standing, _pulse: &dyn Pulse) -> Result<Leftover, Failure> {
        Ok(Leftover::default())
    }

    /// Whether something that is no longer wanted was kept for long enough, and when the next of it will have been. Changes
    /// nothing.
    ///
    /// # Errors
    /// As for [`Driver::check`].
    fn upkeep(
        &self,
        _standing: &Standing,
        _custody: &dyn Custody,
        _pulse: &dyn Pulse,
    ) -> Result<Upkeep, NotTaken> {
        Ok(Upkeep::default())
    }

    /// Deletes what was kept for long enough, holding the environment as a deployment does. What could not be deleted is told
    /// in the result.
    ///
    /// # Errors
    /// As for [`Driver::check`].
    fn tidy(
        &self,
        _standing: &Standing,
        _custody: &dyn Custody,
        _pulse: &dyn Pulse,
    ) -> Result<Tidied, NotTaken> {
        Ok(Tidied::default())
    }

    /// Makes the commit that keeps the bytes that are going to be applied, one file an object. Moves no ref.
    ///
    /// # Errors
    /// When it cannot be written.
    fn keep(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, Failure>;

    /// The refs that keep that commit.
    ///
    /// # Errors
    /// When they cannot be read.
    fn kept_changes(&self, id: &DeploymentId, kept: CommitId) -> Result<Vec<Change>, Failure>;

    /// Brings the environment to the objects. Nothing is deleted yet.
    ///
    /// # Errors
    /// When it failed; [`Driver::restore`] then goes back.
    fn apply(&self, work: Work<'_>, rendered: &Rendered) -> Result<(), Failure>;

    /// Waits until the environment is as the objects say, then deletes what is no longer among them.
    ///
    /// # Errors
    /// When it will not become so, or did not in time.
    fn verify(&self, work: Work<'_>, kept: CommitId, renderer: &dyn Renderer) -> Result<(), Failure>;

    /// Waits until an environment answers again that could not be asked, but not longer than whoever deploys is ready to wait.
    ///
    /// # Errors
    /// When the run has to stop.
    fn outlast(&self, _pulse: &dyn Pulse) -> Result<Answers, Failure> {
        Ok(Answers::Not)
    }

    /// Goes back to what was applied before, because of this verdict. `failed` keeps what this deployment was going to
    /// apply, if it came that far.
    ///
    /// # Errors
    /// When that failed too: the environment is then degraded.
    fn restore(
        &self,
        work: Work<'_>,
        previous: Option<&Previous>,
        failed: Option<CommitId>,
        close: &Close,
    ) -> Result<Restored, Failure>;

    /// The environment's own refs that move together with the verdict of success.
    ///
    /// # Errors
    /// When they cannot be read, or the environment is no longer ours.
    fn landing_changes(&self, kept: CommitId) -> Result<Vec<Change>, Failure>;

    /// Gives the environment back, once the verdict stands. What fails here is found by the next run.
    fn end(&self, work: Work<'_>, outcome: Outcome);

    /// Gives the environment back without a verdict: whoever goes on with the deployment takes it again.
    fn let_go(&self) {}
}
