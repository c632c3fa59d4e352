//! Commits on top of approved ones: with them a branch is in development again, and leaves the queue.

use super::HookError;
use crate::git::Repository;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, RefName};
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

/// Whether a push takes a branch from an approved commit further to one that nobody has decided about.
pub(super) fn by_push(
    view: &View<'_>,
    branch: &RefName,
    before: CommitId,
    tip: CommitId,
) -> Result<Option<LeftApproved>, HookError> {
    let repository = view.repository;
    if *branch == view.settings.base || repository.find(before.0)?.is_none() {
        return Ok(None);
    }
    match left_approved(view, branch.clone(), before, tip) {
        // What is no step forward is no commit on top of the approved one.
        Ok(Some(left)) => Ok(repository.is_ancestor(before, tip)?.then_some(left)),
        // Told by itself.
        Err(HookError::Notes(NotesError::Note { .. })) => Ok(None),
        left => left,
    }
}

/// Whether a branch that was staged or deployable has come to a commit that nobody has decided about.
fn left_approved(
    view: &View<'_>,
    branch: RefName,
    before: CommitId,
    tip: CommitId,
) -> Result<Option<LeftApproved>, HookError> {
    let state = |commit| -> Result<Option<State>, NotesError> {
        let note = own_note(&view.notes, commit)?;
        Ok(note.filter(|note| note.speaks_for(&branch, true)).map(|note| note.state))
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
    before.map_or(Ok(None), |before| left_approved(&view, branch, before, tip))
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
    match left_approved(view, branch, before, tip) {
        // Told where all branches are looked at.
        Err(HookError::Notes(NotesError::Note { .. })) => Ok(None),
        left => left,
    }
}
