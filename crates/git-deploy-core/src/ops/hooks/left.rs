//! Commits on top of approved ones: with them a branch is in development again, and leaves the queue.

use super::{HookError, Push, Warning};
use crate::git::Repository;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::copied::own_note;
use crate::ops::view::View;
use crate::state::State;

/// A commit that has left an approved one behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftApproved {
    /// The branch, which is in development now.
    pub branch: RefName,
    /// What it was.
    pub was: State,
    /// Whether it is a merge, which nothing rebases.
    pub is_merge: bool,
}

/// A branch that a push takes from an approved commit to one that nobody has decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftByPush {
    /// What has left.
    pub left: LeftApproved,
    /// Base, where it counts.
    pub base: RefName,
    /// The approved commit, where something else is pushed over it than what stands here under that name: mostly that is not
    /// meant.
    pub instead: Option<CommitId>,
}

/// Whether a push takes a branch from an approved commit to one that nobody has decided about, be that a step forward or not.
pub(super) fn by_push(
    push: &Push<'_>,
    branch: &RefName,
    before: CommitId,
    tip: CommitId,
) -> Result<Option<LeftByPush>, HookError> {
    let repository = push.view.repository;
    let left = match left_approved(push.view, |commit| push.merged_note(commit), branch.clone(), before, tip)
    {
        // Told by itself.
        Err(HookError::Notes(NotesError::Note { .. })) => None,
        left => left?,
    };
    let Some(left) = left.filter(|_| *branch != push.view.settings.base) else { return Ok(None) };
    // What has landed has left already.
    if push.base_has(before)? {
        return Ok(None);
    }
    let instead = match (repository.tip(branch)?, push.if_here(before)?) {
        (Some(here), Some(approved))
            if !repository.is_ancestor(approved, tip)? && !repository.is_ancestor(tip, here)? =>
        {
            Some(approved)
        }
        _ => None,
    };
    let base = push.view.settings.authority(&push.view.settings.base);
    Ok(Some(LeftByPush { left, base, instead }))
}

/// Whether a push deletes a branch that was staged or deployable.
pub(super) fn by_deletion(
    push: &Push<'_>,
    branch: &RefName,
    before: CommitId,
) -> Result<Option<Warning>, HookError> {
    let note = match push.merged_note(before) {
        // Told by whoever lists the branches.
        Err(NotesError::Note { .. }) => None,
        note => note?,
    };
    let was = note.filter(|note| note.state.is_rebased() && note.speaks_for(branch, true));
    let Some(note) = was.filter(|_| *branch != push.view.settings.base) else { return Ok(None) };
    let tip = push.if_here(before)?;
    let elsewhere = tip.map_or(Ok(None), |tip| push.view.landed_elsewhere(branch, tip))?;
    if elsewhere.is_some() || push.base_has(before)? {
        return Ok(None);
    }
    Ok(Some(Warning::Deleted { branch: branch.clone(), was: note.state, tip }))
}

/// Whether a branch that was staged or deployable has come to a commit that nobody has decided about.
fn left_approved(
    view: &View<'_>,
    note: impl Fn(CommitId) -> Result<Option<Note>, NotesError>,
    branch: RefName,
    before: CommitId,
    tip: CommitId,
) -> Result<Option<LeftApproved>, HookError> {
    let state = |commit| -> Result<Option<State>, NotesError> {
        Ok(note(commit)?.filter(|note| note.speaks_for(&branch, true)).map(|note| note.state))
    };
    let Some(was) = state(before)?.filter(|was| was.is_rebased()) else { return Ok(None) };
    if state(tip)?.is_some() {
        return Ok(None);
    }
    let is_merge = view.repository.commit(tip)?.parents.len() > 1;
    Ok(Some(LeftApproved { branch, was, is_merge }))
}

/// Looks whether the commit that was just made stands on one that was staged or deployable. One in its place (`git commit
/// --amend`) is told of by post-rewrite.
///
/// # Errors
/// When commits or notes cannot be read.
pub fn post_commit(repository: &Repository) -> Result<Option<LeftApproved>, HookError> {
    let view = View::new(repository)?;
    // No state was ever set here.
    if view.notes.commit.is_none() {
        return Ok(None);
    }
    let Some(branch) = view.current_branch()? else { return Ok(None) };
    let Some(tip) = repository.tip(&branch)? else { return Ok(None) };
    let before = repository.commit(tip)?.parents.first().copied();
    let note = |commit| own_note(&view.notes, commit);
    before.map_or(Ok(None), |before| left_approved(&view, note, branch, before, tip))
}

/// Whether the merge has brought a branch that was approved to a commit that nobody has decided about.
pub(super) fn by_merge(view: &View<'_>, base_tip: CommitId) -> Result<Option<LeftApproved>, HookError> {
    let (repository, branch) = (view.repository, view.current_branch()?);
    let Some(branch) = branch.filter(|branch| *branch != view.settings.base) else { return Ok(None) };
    let (Some(before), Some(tip)) = (repository.find_commit("ORIG_HEAD")?, repository.tip(&branch)?) else {
        return Ok(None);
    };
    // A squash moves nothing, and what is on base now has landed.
    let has_moved = before != tip && repository.is_ancestor(before, tip)?;
    if !has_moved || repository.is_ancestor(tip, base_tip)? {
        return Ok(None);
    }
    match left_approved(view, |commit| own_note(&view.notes, commit), branch, before, tip) {
        // Told where all branches are looked at.
        Err(HookError::Notes(NotesError::Note { .. })) => Ok(None),
        left => left,
    }
}
