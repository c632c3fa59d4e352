//! Approved commits that branches have moved away from: whoever judges a branch compares it with them.

use super::{SyncError, push_and_follow};
use crate::branch::Branch;
use crate::git::Repository;
use crate::git::push::{Lease, PushRef, Tracking};
use crate::git::refs::Expected;
use crate::ids::{CommitId, RefName};
use crate::ops::approve::{ApproveError, is_rebase_of, kept};
use crate::ops::copied::own_note;
use crate::ops::view::{View, ViewError};

/// Keeps what branches need of the commits that are here and that nothing keeps on the remote, and pushes it. `pushed` are
/// branches that go there with this. Only what the remote has as a branch, or has of one: nobody publishes commits by a
/// decision about them.
///
/// # Errors
/// When branches cannot be read, or the remote not be asked.
pub(in crate::ops) fn publish(
    repository: &Repository,
    tracking: &Tracking,
    pushed: &[(RefName, CommitId)],
) -> Result<(), SyncError> {
    let of_view = |error: ViewError| SyncError::View(Box::new(error));
    let view = guarded(repository, tracking).map_err(of_view)?;
    let published = view.as_ref().map(|view| keep_lost(view, pushed)).transpose().map_err(of_view)?;
    let mut pushes = Vec::new();
    for (name, commit) in kept::kept_here(repository)? {
        let Some(there) = tracking.of(&name).filter(|there| *there != name) else { continue };
        if repository.resolve(&there)?.is_some() {
            continue;
        }
        let is_made_of = || match view.as_ref().zip(published.as_ref()) {
            Some((view, published)) => is_made_of(view, published, commit).map_err(of_view),
            None => Ok(false),
        };
        if is_there(repository, tracking, commit)? || is_made_of()? {
            pushes.push(PushRef { name, new: Some(commit.0), lease: Lease::From(Expected::Absent) });
        }
    }
    if !pushes.is_empty() {
        // Somebody else may have been faster; and without it the branch waits, and says why.
        push_and_follow(repository, tracking, &pushes)?;
    }
    Ok(())
}

/// What is known of the remote that counts, if this is that one and base says who may approve: otherwise nobody compares
/// anything there. What cannot be read is told by whoever asks for it.
fn guarded<'r>(repository: &'r Repository, tracking: &Tracking) -> Result<Option<View<'r>>, ViewError> {
    let view = match View::new(repository) {
        Err(ViewError::Config(_)) => return Ok(None),
        view => view?,
    };
    let counts = view.settings.remote.as_ref().is_some_and(|remote| remote.remote() == tracking.remote());
    Ok((counts && matches!(view.rules(), Ok(Some(_)))).then_some(view))
}

/// Keeps here what branches need and nothing keeps where they count. Returns the branches that the remote has, or gets.
fn keep_lost(view: &View<'_>, pushed: &[(RefName, CommitId)]) -> Result<Vec<Branch>, ViewError> {
    let mut there = view.authority_branches()?.branches;
    let here = view.local_branches()?.branches;
    let mut lost = Vec::new();
    for branch in there.iter().chain(&here) {
        if let Some(commit) = kept::needed_by(branch)
            && !kept::is_kept(view.repository, |name| view.settings.authority(name), commit)?
        {
            lost.extend(&branch.note);
        }
    }
    kept::keep_here(view.repository, lost)?;
    let is_pushed = |branch: &Branch| pushed.contains(&(branch.name.clone(), branch.tip));
    there.extend(here.into_iter().filter(is_pushed));
    Ok(there)
}

/// Whether a remote has a commit on the branch that was approved with it.
fn is_there(repository: &Repository, tracking: &Tracking, commit: CommitId) -> Result<bool, SyncError> {
    let note = own_note(&repository.notes()?, commit).ok().flatten();
    for name in note.iter().flat_map(|note| &note.refs).filter_map(|name| tracking.of(name)) {
        if let Some(head) = repository.tip(&name)?
            && repository.is_ancestor(commit, head)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a branch that is published is a rebase of a commit, which brings nothing then that is not there.
fn is_made_of(view: &View<'_>, published: &[Branch], commit: CommitId) -> Result<bool, ViewError> {
    let Some(base_tip) = view.base_tip()? else { return Ok(false) };
    for branch in published.iter().filter(|branch| kept::needed_by(branch) == Some(commit)) {
        if is_rebase_of(view.repository, commit, &branch.name, branch.tip, base_tip)
            .map_err(ApproveError::from)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
