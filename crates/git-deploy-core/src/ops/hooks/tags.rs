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

/// How tags of ours stand to the remote's where a push would put the ones in the place of the others, of the first `most` changes.
///
/// # Errors
/// When tags, claims or the configuration cannot be read.
pub fn differing(
    repository: &Repository,
    remote: &str,
    changes: &[TagChange],
    most: usize,
) -> Result<Vec<(RefName, Differing)>, HookError> {
    let tracking = counting_remote(repository)?.ok().filter(|tracking| tracking.remote() == remote);
    let mut found = Vec::new();
    for TagChange { name, old: theirs, new } in changes.iter().take(most) {
        // What is not ours would replace nothing of ours.
        let Some(ours) = repository.resolve(name)?.filter(|ours| Some(*ours) == *new) else { continue };
        let id = name.as_str().strip_prefix("refs/tags/").and_then(|name| name.parse().ok());
        let how = match (&tracking, &id) {
            (Some(tracking), Some(id)) => sync::differing(repository, tracking, id, ours, *theirs)?,
            _ => Differing::unclear(repository, ours, *theirs)?,
        };
        found.push((name.clone(), how));
    }
    Ok(found)
}
