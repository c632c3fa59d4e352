//! Deployment tags that a push would change.

use super::{DEPLOYMENT_TAGS, HookError, PushedRef};
use crate::config::counting_remote;
use crate::git::Repository;
use crate::ids::{ObjectId, RefName};
use crate::ops::sync::{self, Differing};

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
    Ok(Some(match (&tracking, &id) {
        (Some(tracking), Some(id)) => sync::differing(repository, tracking, id, ours, theirs)?,
        _ => Differing::unclear(repository, ours, theirs)?,
    }))
}
