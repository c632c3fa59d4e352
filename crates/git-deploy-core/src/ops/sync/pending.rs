//! What deployments left here while the remote was away, or before there was one.

use std::collections::HashSet;

use super::{SyncError, push_and_follow, unreachable};
use crate::attempt::Attempt;
use crate::deployment::Phase;
use crate::git::push::{Lease, PushRef, Pushed, Refusals, Tracking};
use crate::git::refs::Expected;
use crate::git::{GitError, Ref, Repository};
use crate::ids::{DeploymentId, RefName};
use crate::ledger::TagError;
use crate::ops::Observer;
use crate::ops::view::{View, read_deployment};

/// The deployment tags that are here and not on a remote: those that can be read, and those that only are called so, which are the
/// user's own.
pub(super) fn tags(
    repository: &Repository,
    tracking: &Tracking,
) -> Result<(Vec<Ref>, Vec<TagError>), GitError> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    let theirs: HashSet<RefName> =
        repository.refs(&tracking.tags())?.into_iter().map(|kept| kept.name).collect();
    for tag in repository.refs("refs/tags/deployment-")? {
        let Some(id) = DeploymentId::from_tag(&tag.name) else { continue };
        if tracking.of(&tag.name).is_some_and(|kept| theirs.contains(&kept)) {
            continue;
        }
        match read_deployment(repository, id, tag.target)? {
            Ok(_) => ours.push(tag),
            Err(error) => others.push(error),
        }
    }
    Ok((ours, others))
}

/// Pushes it: tags, attempts, what was applied, and the branches that it was applied to. Tells of tags that are no deployments'.
/// Returns what was refused.
///
/// # Errors
/// When git cannot be run or the remote cannot be reached.
pub(super) fn push(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<Option<Refusals>, SyncError> {
    let (mut ours, others) = tags(repository, tracking)?;
    for error in others {
        observer.warn(&format!("tag '{}' stays here, as it is no deployment's: {}", error.tag, error.what));
    }
    let mut pending = Vec::new();
    ours.extend(repository.refs("refs/deploy/attempts/")?);
    ours.extend(repository.refs("refs/deploy/rendered/")?);
    let rendered = View::new(repository).and_then(|view| view.rendered_branches()).unwrap_or_default();
    let heads = repository.refs("refs/heads/")?;
    ours.extend(heads.into_iter().filter(|head| rendered.contains(&head.name)));
    for ours in ours {
        // A verdict goes there together with its attempt, notes and locks, by the next run.
        if DeploymentId::from_tag(&ours.name)
            .is_some_and(|id| is_open(repository, tracking, &id).unwrap_or(true))
        {
            continue;
        }
        let kept = tracking.of(&ours.name).map_or(Ok(None), |name| repository.resolve(&name))?;
        if kept.is_none() {
            let lease = Lease::From(Expected::Absent);
            pending.push(PushRef { name: ours.name, new: Some(ours.target), lease });
        }
    }
    match push_and_follow(repository, tracking, &pending)? {
        Pushed::Done => Ok(None),
        Pushed::Unreachable(said) => Err(unreachable(tracking, &said)),
        Pushed::Refused(refusals) => Ok(Some(refusals)),
    }
}

/// Whether a remote has an attempt of this number that has no verdict yet.
fn is_open(repository: &Repository, tracking: &Tracking, id: &DeploymentId) -> Result<bool, GitError> {
    let attempt = tracking.of(&id.attempt()).map_or(Ok(None), |name| repository.tip(&name))?;
    let Some(attempt) = attempt else { return Ok(false) };
    let text = repository.commit(attempt)?.message_text();
    Ok(Attempt::parse(id.clone(), &text).is_ok_and(|attempt| attempt.phase != Phase::Finished))
}
