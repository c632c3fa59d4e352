//! Which of two tags of one deployment is the one that was claimed.

use std::fmt;

use super::gone::is_claimed;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{DeploymentId, ObjectId, RefName};

/// How a tag of ours stands to the one of the same name that the remote has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Differing {
    /// The remote's is that of the deployment that was claimed there, and ours is not.
    TheirsIsClaimed,
    /// Ours is, and the remote's is not.
    OursIsClaimed,
    /// Nobody can tell from here. What both are on, or they themselves where that does not tell them apart.
    Unclear {
        /// Ours.
        ours: ObjectId,
        /// The remote's.
        theirs: ObjectId,
    },
}

/// A deployment's tag that is not the same here and on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingTag {
    /// The deployment.
    pub id: DeploymentId,
    /// The remote.
    pub remote: String,
    /// Where the remote's was fetched to.
    pub theirs: RefName,
    /// How ours stands to it.
    pub how: Differing,
}

impl fmt::Display for DifferingTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, remote, .. } = self;
        write!(f, "tag '{id}' is not the same here and on '{remote}': a deployment tag must never be moved")
    }
}

impl Differing {
    /// What both are where nothing says which is right.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(in crate::ops) fn unclear(
        repository: &Repository,
        ours: ObjectId,
        theirs: ObjectId,
    ) -> Result<Self, GitError> {
        let commit = |target: ObjectId| repository.find_commit(&target.to_string());
        Ok(match (commit(ours)?, commit(theirs)?) {
            (Some(our_commit), Some(their_commit)) if our_commit != their_commit => {
                Self::Unclear { ours: our_commit.0, theirs: their_commit.0 }
            }
            _ => Self::Unclear { ours, theirs },
        })
    }
}

/// How a tag of ours stands to the one of the same name that the remote has.
///
/// # Errors
/// When tags or claims cannot be read.
pub(in crate::ops) fn differing(
    repository: &Repository,
    tracking: &Tracking,
    id: &DeploymentId,
    ours: ObjectId,
    theirs: ObjectId,
) -> Result<Differing, GitError> {
    let is_claimed = |target| is_claimed(repository, tracking, id, target);
    match (is_claimed(ours)?, is_claimed(theirs)?) {
        (Some(false), Some(true)) => Ok(Differing::TheirsIsClaimed),
        (Some(true), Some(false)) => Ok(Differing::OursIsClaimed),
        _ => Differing::unclear(repository, ours, theirs),
    }
}
