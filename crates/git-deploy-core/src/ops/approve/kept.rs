//! Keeping approved commits: a branch that was rebased is compared with them, also by a clone that was made since, and nothing
//! else leads to them any more.
//!
//! Whoever moves a branch away from its approved commit makes `refs/deploy/approved/<commit>`; the runner takes it away when
//! no branch has that approval any more.

use std::collections::HashSet;

use crate::branch::Branch;
use crate::git::refs::{RefUpdate, RefsError};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::land::Change;
use crate::note::Note;
use crate::state::State;

/// Where approved commits are kept.
const KEPT: &str = "refs/deploy/approved/";

/// The commit that a signed note needs for as long as it counts.
fn needed(note: &Note) -> Option<CommitId> {
    note.approved.filter(|_| note.approval.is_some())
}

/// The commit that has to be kept for a branch: it stands on another one.
pub(in crate::ops) fn needed_by(branch: &Branch) -> Option<CommitId> {
    let note = branch.note.as_ref().filter(|_| branch.state() != State::Deployed);
    note.and_then(needed).filter(|commit| *commit != branch.tip)
}

/// Whether a commit is kept where a ref that counts is read.
///
/// # Errors
/// When refs cannot be read.
pub(in crate::ops) fn is_kept(
    repository: &Repository,
    place: impl Fn(&RefName) -> RefName,
    commit: CommitId,
) -> Result<bool, GitError> {
    let name = kept_ref(commit);
    name.map_or(Ok(false), |name| Ok(repository.resolve(&place(&name))?.is_some()))
}

/// The ref that keeps a commit; none for a name that git does not take.
fn kept_ref(commit: CommitId) -> Option<RefName> {
    RefName::new(format!("{KEPT}{commit}")).ok()
}

/// What has to be made, together with the moves of branches that have these notes, so that no approved commit is lost.
/// `place` says where a ref that counts is read.
///
/// # Errors
/// When refs cannot be read.
pub(in crate::ops) fn keeping<'n>(
    repository: &Repository,
    place: impl Fn(&RefName) -> RefName,
    notes: impl IntoIterator<Item = &'n Note>,
) -> Result<Vec<Change>, GitError> {
    let mut changes: Vec<Change> = Vec::new();
    for commit in notes.into_iter().filter_map(needed) {
        let Some(name) = kept_ref(commit) else { continue };
        let is_known = changes.iter().any(|change| change.name == name);
        // A clone that never had it cannot keep it.
        if is_known || repository.resolve(&place(&name))?.is_some() || repository.find(commit.0)?.is_none() {
            continue;
        }
        changes.push(Change::create(name, commit.0));
    }
    Ok(changes)
}

/// The same in this clone alone.
///
/// # Errors
/// When refs cannot be written.
pub(in crate::ops) fn keep_here<'n>(
    repository: &Repository,
    notes: impl IntoIterator<Item = &'n Note>,
) -> Result<(), GitError> {
    let changes = keeping(repository, RefName::clone, notes)?;
    let updates: Vec<RefUpdate> = changes.iter().map(Change::as_update).collect();
    update(repository, &updates)
}

/// The commits that are kept below `prefix` (that of our own refs, or of those that were fetched).
///
/// # Errors
/// When refs cannot be read.
fn kept_below(repository: &Repository, prefix: &str) -> Result<Vec<(RefName, CommitId)>, GitError> {
    let kept = repository.refs(&format!("{prefix}approved/"))?.into_iter();
    Ok(kept.filter_map(|kept| Some((kept_ref(CommitId(kept.target))?, CommitId(kept.target)))).collect())
}

/// The commits that this clone keeps.
///
/// # Errors
/// When refs cannot be read.
pub(in crate::ops) fn kept_here(repository: &Repository) -> Result<Vec<(RefName, CommitId)>, GitError> {
    kept_below(repository, "refs/deploy/")
}

/// What is kept below `prefix` and no branch needs any more.
///
/// # Errors
/// When refs cannot be read.
pub(in crate::ops) fn needless<'b>(
    repository: &Repository,
    prefix: &str,
    branches: impl IntoIterator<Item = &'b Branch>,
) -> Result<Vec<Change>, GitError> {
    let kept = kept_below(repository, prefix)?;
    let undeployed = branches.into_iter().filter(|branch| branch.state() != State::Deployed);
    let notes = undeployed.filter_map(|branch| branch.note.as_ref());
    let needed: HashSet<CommitId> = notes.filter_map(needed).collect();
    let needless = kept.into_iter().filter(|(_, commit)| !needed.contains(commit));
    Ok(needless.map(|(name, commit)| Change::delete(name, commit.0)).collect())
}

/// Takes away what this clone keeps and no branch needs any more.
///
/// # Errors
/// When refs cannot be written.
pub(in crate::ops) fn forget_here<'b>(
    repository: &Repository,
    branches: impl IntoIterator<Item = &'b Branch>,
) -> Result<(), GitError> {
    let changes = needless(repository, "refs/deploy/", branches)?;
    let updates: Vec<RefUpdate> = changes.iter().map(Change::as_update).collect();
    update(repository, &updates)
}

fn update(repository: &Repository, updates: &[RefUpdate]) -> Result<(), GitError> {
    match repository.update_refs(updates, "deploy: approved") {
        // Somebody else has done it.
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error),
    }
}
