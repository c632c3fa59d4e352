//! Deployment tags that a push would change, and which of two is the one that was claimed.

use super::{DEPLOYMENT_TAGS, HookError, PushedRef};
use crate::config::counting_remote;
use crate::git::{GitError, Repository};
use crate::ids::{DeploymentId, ObjectId, RefName};
use crate::ops::sync;

/// A deployment tag that a push would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// The tag.
    pub name: RefName,
    /// Where it stands on the remote.
    pub old: ObjectId,
    /// Where it would go; `None` deletes it.
    pub new: Option<ObjectId>,
}

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

/// The deployment tags that a push would move or delete. Tags that are new on the remote are none of these.
pub fn changed_tags(pushed: &[PushedRef]) -> Vec<TagChange> {
    let tags = pushed.iter().filter(|pushed| pushed.name.as_str().starts_with(DEPLOYMENT_TAGS));
    let changed = tags.filter(|pushed| pushed.old != pushed.new);
    let change = |PushedRef { name, new, old }: &PushedRef| {
        Some(TagChange { name: name.clone(), old: (*old)?, new: *new })
    };
    changed.filter_map(change).collect()
}

/// How our tag stands to the remote's where a push would put the one in the place of the other; none where it is not ours that it
/// would put there.
///
/// # Errors
/// When tags, claims or the configuration cannot be read.
pub fn differing(
    repository: &Repository,
    remote: &str,
    change: &TagChange,
) -> Result<Option<Differing>, HookError> {
    let (ours, theirs) = (repository.resolve(&change.name)?, change.old);
    let Some(ours) = ours.filter(|ours| Some(*ours) == change.new) else { return Ok(None) };
    let id = change.name.as_str().strip_prefix("refs/tags/").and_then(|name| name.parse().ok());
    let tracking = counting_remote(repository)?.ok().filter(|tracking| tracking.remote() == remote);
    let is_claimed = |target: ObjectId| match (&tracking, &id) {
        (Some(tracking), Some(id)) => sync::is_claimed(repository, tracking, id as &DeploymentId, target),
        _ => Ok(None),
    };
    Ok(Some(match (is_claimed(ours)?, is_claimed(theirs)?) {
        (Some(false), Some(true)) => Differing::TheirsIsClaimed,
        (Some(true), Some(false)) => Differing::OursIsClaimed,
        _ => unclear(repository, ours, theirs)?,
    }))
}

fn unclear(repository: &Repository, ours: ObjectId, theirs: ObjectId) -> Result<Differing, GitError> {
    let commit = |target: ObjectId| repository.find_commit(&target.to_string());
    Ok(match (commit(ours)?, commit(theirs)?) {
        (Some(our_commit), Some(their_commit)) if our_commit != their_commit => {
            Differing::Unclear { ours: our_commit.0, theirs: their_commit.0 }
        }
        _ => Differing::Unclear { ours, theirs },
    })
}
