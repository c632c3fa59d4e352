//! Branches that come from approved commits to others: on a new commit a branch is in development again, and leaves the
//! queue.

use super::HookError;
use crate::git::Repository;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::copied::own_note;
use crate::ops::fetched;
use crate::ops::set_state::Wished;
use crate::ops::view::View;
use crate::state::State;

/// What becomes of a branch that leaves an approved commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// What it was: staged or deployable, or withdrawn.
    pub was: State,
    /// What it is now.
    pub now: State,
}

/// A branch of ours that has left an approved commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftApproved {
    /// The branch.
    pub branch: RefName,
    /// What became of it.
    pub left: Left,
    /// Whether it came to a merge, which nothing rebases.
    pub is_merge: bool,
    /// What there is to know of that merge where the remote has made it, or has got it.
    pub there: Option<MergedThere>,
    /// The remote that has the approved commit still, as far as is known without asking it: there that counts.
    pub remote: Option<String>,
    /// What was wished for it there.
    pub wished: Wished,
}

/// A merge into a branch that stands on the remote, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedThere {
    /// The remote.
    pub remote: String,
    /// Base, where it counts.
    pub base: RefName,
    /// The merge, which is the last commit of the branch here and there.
    pub tip: CommitId,
    /// A merge among its commits that changes something itself, which no rebase keeps.
    pub edited: Option<CommitId>,
}

/// A branch that a push takes from an approved commit to one that makes it something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftByPush {
    /// The branch.
    pub branch: RefName,
    /// The commit that it comes to.
    pub pushed: CommitId,
    /// What becomes of it.
    pub left: Left,
    /// Whether it comes to a merge, which nothing rebases.
    pub is_merge: bool,
    /// A merge among its commits that changes something itself, which no rebase keeps.
    pub edited: Option<CommitId>,
    /// Base, where it counts.
    pub base: RefName,
    /// Where the branch stands then, if ours of that name has not got what is pushed: what is said here of the one is not
    /// said of the other.
    pub apart: Option<RefName>,
    /// The commit that it comes to, where no branch of its name is here.
    pub unnamed: Option<CommitId>,
    /// The approved commit, where it is not left by a step forward, and mostly not meant to be left.
    pub instead: Option<CommitId>,
    /// What was wished for it there.
    pub wished: Wished,
}

/// What becomes of a branch that leaves a commit for another, by what is said of it on either; nothing if that is not worth a
/// word. `is_forward`: it keeps the commits that it had, so that whoever has decided anew knew of them.
pub(super) fn becomes(was: Option<State>, now: Option<State>, is_forward: bool) -> Option<Left> {
    // Who sets it back to what was approved before brings into the queue what was withdrawn since.
    let is_back = was == Some(State::Development) && !is_forward && now.is_some_and(State::is_rebased);
    let was = was.filter(|was| was.is_rebased() || is_back)?;
    let now = match now {
        // Told by itself.
        Some(State::Broken) => return None,
        Some(_) if is_forward => return None,
        // Only on base a branch is deployed.
        None | Some(State::Deployed) => State::Development,
        Some(now) => now,
    };
    (now != was).then_some(Left { was, now })
}

/// Whether a branch of ours has come from an approved commit to one that nobody has decided about.
fn left_approved(
    view: &View<'_>,
    branch: RefName,
    before: CommitId,
    tip: CommitId,
) -> Result<Option<LeftApproved>, HookError> {
    let note = |commit| -> Result<Option<Note>, NotesError> {
        Ok(own_note(&view.notes, commit)?.filter(|note| note.speaks_for(&branch, true)))
    };
    let Some(left_note) = note(before)?.filter(|note| note.state.is_rebased()) else { return Ok(None) };
    let (was, now) = (Some(left_note.state), note(tip)?.map(|note| note.state));
    let Some(left) = becomes(was, now, true) else { return Ok(None) };
    // What base has got has left already.
    if view.is_on_base(before)? {
        return Ok(None);
    }
    let is_merge = view.repository.commit(tip)?.parents.len() > 1;
    let remote = fetched::still_at(view, &branch, before)?.map(|tracking| tracking.remote().to_owned());
    let there = if is_merge { merged_there(view, &branch, tip)? } else { None };
    let wished = Wished::of(view, &left_note)?;
    Ok(Some(LeftApproved { branch, left, is_merge, there, remote, wished }))
}

/// Whether the remote stands on the same merge, as after a button of a forge was pressed there.
fn merged_there(view: &View<'_>, branch: &RefName, tip: CommitId) -> Result<Option<MergedThere>, HookError> {
    let Some(tracking) = fetched::still_at(view, branch, tip)? else { return Ok(None) };
    let known: Vec<CommitId> = view.base_tip()?.into_iter().collect();
    let edited = view.repository.edited_merge(tip, &known)?;
    let (remote, base) = (tracking.remote().to_owned(), view.settings.authority(&view.settings.base));
    Ok(Some(MergedThere { remote, base, tip, edited }))
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
    let Some(before) = repository.commit(tip)?.parents.first().copied() else { return Ok(None) };
    let Some(left) = left_approved(&view, branch, before, tip)? else { return Ok(None) };
    // An amend of what stood on the approved commit has not left that: it was left before.
    let stood = repository.find_commit("@{1}")?;
    Ok(Some(left).filter(|_| stood.is_none_or(|stood| stood == before)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Broken, Deployable, Deployed, Development, Staged};

    #[test]
    fn what_somebody_comes_to_who_leaves_an_approved_commit_is_told_where_nobody_can_have_meant_it() {
        let left = |was, now| Some(Left { was, now });
        for was in [Staged, Deployable] {
            for is_forward in [true, false] {
                assert_eq!(becomes(Some(was), None, is_forward), left(was, Development));
                assert_eq!(becomes(Some(was), Some(was), is_forward), None);
                assert_eq!(becomes(Some(was), Some(Broken), is_forward), None);
            }
            for now in [Staged, Deployable, Development, Deployed] {
                assert_eq!(becomes(Some(was), Some(now), true), None);
            }
            for now in [Development, Deployed] {
                assert_eq!(becomes(Some(was), Some(now), false), left(was, Development));
            }
        }
        assert_eq!(becomes(Some(Deployable), Some(Staged), false), left(Deployable, Staged));
        assert_eq!(becomes(Some(Staged), Some(Deployable), false), left(Staged, Deployable));
        for now in [Staged, Deployable] {
            assert_eq!(becomes(Some(Development), Some(now), false), left(Development, now));
            assert_eq!(becomes(Some(Development), Some(now), true), None);
        }
        for was in [None, Some(Development), Some(Broken), Some(Deployed)] {
            assert_eq!(becomes(was, None, false), None);
        }
    }
}
