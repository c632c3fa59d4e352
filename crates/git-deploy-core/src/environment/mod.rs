//! Where a candidate is deployed to.
//!
//! [`Driver`] is the seam between a deployment and what it deploys to. The embedded one is [`rendered`]: the manifests
//! are committed to a branch, and nothing but git is needed.

pub mod rendered;

use crate::candidate::Candidate;
use crate::deployment::{Failure, Phase};
use crate::git::Identity;
use crate::ids::{CommitId, DeploymentId};
use crate::land::Change;

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
}

/// Makes objects of a commit's manifests: reads its tree, sets images, asks the rules.
pub trait Renderer {
    /// The objects of this commit. Equal commits give equal bytes.
    ///
    /// # Errors
    /// When the manifests cannot be read, or a rule forbids them.
    fn render(&self, commit: CommitId) -> Result<Rendered, Failure>;
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

/// What a deployment would do, object by object. Making it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Effect and title of each object, those that are created first, those that are deleted last.
    pub objects: Vec<(Effect, String)>,
}

impl Plan {
    /// How many objects it does this to.
    pub fn count(&self, effect: Effect) -> usize {
        self.objects.iter().filter(|(planned, _)| *planned == effect).count()
    }
}

/// What is being deployed under which number.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// The number.
    pub id: &'a DeploymentId,
    /// What is deployed.
    pub candidate: &'a Candidate,
    /// Who deploys, and when.
    pub identity: &'a Identity,
}

/// An environment that can be deployed to.
///
/// Every method can be called again after a crash and then ends with the same.
pub trait Driver {
    /// How far a deployment has come, where the environment itself keeps that; `None` where the attempt does.
    ///
    /// # Errors
    /// When the environment cannot be asked.
    fn phase(&self, id: &DeploymentId) -> Result<Option<Phase>, Failure>;

    /// What applying would do.
    ///
    /// # Errors
    /// When the objects cannot be applied here, or the environment cannot be asked.
    fn plan(&self, rendered: &Rendered) -> Result<Plan, Failure>;

    /// Brings the environment to the objects: things are created before they are deleted. Returns the commit that keeps
    /// the applied bytes, one file an object.
    ///
    /// # Errors
    /// When it failed; [`Driver::restore`] then goes back.
    fn apply(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, Failure>;

    /// Waits until the environment is as the objects say.
    ///
    /// # Errors
    /// When it will not become so, or did not in time.
    fn verify(&self, work: Work<'_>, applied: CommitId, renderer: &dyn Renderer) -> Result<(), Failure>;

    /// Goes back to what was applied before.
    ///
    /// # Errors
    /// When that failed too: the environment is then degraded.
    fn restore(&self, work: Work<'_>, previous: Option<CommitId>) -> Result<(), Failure>;

    /// The environment's own refs that move together with the verdict of success.
    ///
    /// # Errors
    /// When they cannot be read.
    fn landing_changes(&self, applied: CommitId) -> Result<Vec<Change>, Failure>;

    /// The refs that are to be there as soon as something was applied.
    ///
    /// # Errors
    /// When they cannot be read.
    fn applied_changes(&self, id: &DeploymentId, applied: CommitId) -> Result<Vec<Change>, Failure>;
}
