//! Which branches a merge has to do with: those that are behind base now, and those that are on it.

use std::cell::OnceCell;
use std::collections::HashSet;

use super::concerned::Concerned;
use super::{HookError, LeftApproved, left};
use crate::branch::{Branch, Status};
use crate::git::chains::Chains;
use crate::git::notes::NotesError;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ops::view::{LandedElsewhere, View};
use crate::revert::TakenBack;
use crate::state::State;

/// A branch of ours that base has left behind, or has taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It is kept rebased, and base is ahead of it.
    Behind(RefName, State),
    /// It cannot be rebased; with the paths that conflict.
    Broken(RefName, Vec<String>),
    /// It has landed.
    Landed(RefName, DeploymentId),
    /// It has landed as a rebase elsewhere made it, and still stands at the commits from before.
    LandedElsewhere(RefName, LandedElsewhere),
    /// A base has got all of it without a deployment; with what it was.
    Merged(RefName, State, MergedInto),
    /// Base has had all of it, and has taken that back; with what it was, where that was no deployment.
    TakenBack(RefName, Option<State>, TakenBack),
}

/// Which base has got a branch without a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergedInto {
    /// That of the remote, which counts.
    Theirs,
    /// Ours, which counts, as there is no remote.
    Ours,
    /// Ours, and that of the remote will when ours is pushed.
    Unpushed,
}

/// What there is to say after a merge.
#[derive(Debug)]
pub struct PostMerge {
    /// Base, where it counts.
    pub base: RefName,
    /// The branches that there is something to say about, by name.
    pub branches: Vec<Passed>,
    /// The branch that the merge went into, if that has left an approved commit.
    pub left: Option<LeftApproved>,
    /// Notes that cannot be read.
    pub malformed: Vec<NotesError>,
}

/// Looks which of our branches are behind base or on it, and whether the one that is checked out has left the queue.
///
/// # Errors
/// When branches or notes cannot be read.
pub fn post_merge(repository: &Repository) -> Result<PostMerge, HookError> {
    let view = View::new(repository)?;
    let base = view.settings.authority(&view.settings.base);
    let mut said = PostMerge { base, branches: Vec::new(), left: None, malformed: Vec::new() };
    // No state was ever set here: nothing can be staged, and nothing has landed.
    if view.notes.commit.is_none() {
        return Ok(said);
    }
    let Some(base_tip) = repository.tip(&said.base)? else { return Ok(said) };
    said.left = left::by_merge(&view, base_tip)?;
    let merge = Merge::new(&view, base_tip)?;
    // A branch that stands on base is not behind it, can be rebased, and has not landed: of many all are mostly so.
    let mut chains = Chains::on(base_tip);
    let found = view.local_branches_where(|_, tip| {
        merge.of.contains(&tip) || merge.unpushed.contains(&tip) || !chains.reach(repository, tip)
    })?;
    said.malformed = found.malformed;
    for branch in &found.branches {
        said.branches.extend(passed(&view, &merge, branch)?);
    }
    for branch in unpushed_elsewhere(&view, &merge)? {
        let is_told =
            said.branches.iter().any(|told| matches!(told, Passed::Merged(name, ..) if *name == branch.name));
        if !is_told {
            said.branches.push(Passed::Merged(branch.name.clone(), branch.state(), MergedInto::Unpushed));
        }
    }
    Ok(said)
}

/// Branches as they count that are decided on, of which our base has got all by a merge that is not pushed: there may be none of
/// that name here.
fn unpushed_elsewhere(view: &View<'_>, merge: &Merge<'_>) -> Result<Vec<Branch>, HookError> {
    if merge.unpushed.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (tip, names) in view.heads_by_tip()? {
        if !merge.unpushed.contains(&tip) || !merge.brought(tip)? {
            continue;
        }
        for name in names.iter().filter(|name| **name != view.settings.base) {
            let Some(branch) = view.authority_branch(name).ok().flatten() else { continue };
            let is_decided = branch.state().is_rebased() || branch.state() == State::Broken;
            found.extend(is_decided.then_some(branch));
        }
    }
    found.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(found)
}

/// What there is to say of a branch.
fn passed(view: &View<'_>, merge: &Merge<'_>, branch: &Branch) -> Result<Option<Passed>, HookError> {
    let Branch { name, tip, status, .. } = branch.clone();
    if let Some(landed) = view.landed_elsewhere(&name, tip)? {
        return match taken_back(view, merge, branch, (landed.commit, None))? {
            None => {
                let came = merge.brought(landed.commit)?;
                Ok(came.then_some(Passed::LandedElsewhere(name, landed)))
            }
            taken => Ok(taken),
        };
    }
    let state = status.state();
    let is_decided = state.is_rebased() || state == State::Broken;
    if is_decided && merge.unpushed.contains(&tip) && merge.brought(tip)? {
        return Ok(Some(Passed::Merged(name, state, MergedInto::Unpushed)));
    }
    Ok(match status {
        Status::Staged | Status::Deployable => {
            (!view.repository.is_ancestor(merge.base_tip, tip)?).then_some(Passed::Behind(name, state))
        }
        Status::Broken { paths } => Some(Passed::Broken(name, paths)),
        Status::Deployed { deployment } => match taken_back(view, merge, branch, (tip, None))? {
            None => merge.brought(tip)?.then_some(Passed::Landed(name, deployment)),
            taken => taken,
        },
        Status::Merged { noted, .. } => {
            let into = if view.settings.remote.is_some() { MergedInto::Theirs } else { MergedInto::Ours };
            match taken_back(view, merge, branch, (tip, Some(noted)))? {
                None => {
                    let is_new = merge.brought(tip)? && !merge.was_told(view, tip)?;
                    is_new.then_some(Passed::Merged(name, noted, into))
                }
                taken => taken,
            }
        }
        Status::Development => None,
    })
}

/// What base has taken back of a branch, which base has got as this commit, if the merge brought that here; with what it was.
fn taken_back(
    view: &View<'_>,
    merge: &Merge<'_>,
    branch: &Branch,
    (landed, was): (CommitId, Option<State>),
) -> Result<Option<Passed>, HookError> {
    let Some(concerned) = merge.concerned()? else { return Ok(None) };
    // What base has got as other commits is known to the branch's own question alone.
    if view.is_on_base(landed)? && !concerned.is(landed) {
        return Ok(None);
    }
    let Some(taken) = view.taken_back(branch)? else { return Ok(None) };
    for by in &taken.by {
        if merge.brought(*by)? {
            return Ok(Some(Passed::TakenBack(branch.name.clone(), was, taken)));
        }
    }
    Ok(None)
}

/// The merge that has just been made.
struct Merge<'v> {
    repository: &'v Repository,
    /// Base, where it counts.
    base_tip: CommitId,
    /// Where the branch is now that is checked out, and what came together there.
    of: Vec<CommitId>,
    /// Whether that is our base.
    is_into_base: bool,
    /// What our base has and the one that counts has not, if it is ours that was merged into.
    unpushed: HashSet<CommitId>,
    /// What the branch has got by it, once that was asked.
    brought: OnceCell<HashSet<CommitId>>,
    /// Whom that can concern of those that base has, if it reverts anything, once that was asked.
    reverts: OnceCell<Option<Concerned>>,
}

impl<'v> Merge<'v> {
    fn new(view: &View<'v>, base_tip: CommitId) -> Result<Self, GitError> {
        let repository = view.repository;
        let current = view.current_branch()?;
        let tip = current.as_ref().map_or(Ok(None), |branch| repository.tip(branch))?;
        let is_into_base = current.as_ref() == Some(&view.settings.base);
        let (mut of, mut unpushed) = (Vec::new(), HashSet::new());
        if let Some(tip) = tip {
            of = [vec![tip], repository.commit(tip)?.parents].concat();
            if is_into_base && tip != base_tip {
                unpushed = repository.gained(Some(base_tip), tip)?;
            }
        }
        let (brought, reverts) = (OnceCell::new(), OnceCell::new());
        Ok(Self { repository, base_tip, of, is_into_base, unpushed, brought, reverts })
    }

    /// Whether it was told before that base has a commit: when our own got it.
    fn was_told(&self, view: &View<'_>, commit: CommitId) -> Result<bool, GitError> {
        if self.is_into_base {
            return Ok(false);
        }
        let ours = self.repository.tip(&view.settings.base)?;
        ours.map_or(Ok(false), |ours| self.repository.is_ancestor(commit, ours))
    }

    /// Whom the commits that the merge brought can concern that revert others: mostly there are none, and then no branch is asked
    /// further.
    fn concerned(&self) -> Result<Option<&Concerned>, GitError> {
        if let Some(known) = self.reverts.get() {
            return Ok(known.as_ref());
        }
        let ends = (self.repository.find_commit("ORIG_HEAD")?, self.repository.find_commit("HEAD")?);
        let (Some(before), Some(after)) = ends else { return Ok(None) };
        let reverts = self.repository.reverts(before, after)?;
        let found = match reverts.is_empty() {
            true => None,
            false => Some(Concerned::by(self.repository, &reverts, self.base_tip)?),
        };
        Ok(self.reverts.get_or_init(|| found).as_ref())
    }

    /// Whether the merge brought a commit here. One that was here before was told when it came.
    fn brought(&self, commit: CommitId) -> Result<bool, GitError> {
        if let Some(brought) = self.brought.get() {
            return Ok(brought.contains(&commit));
        }
        let (before, after) =
            (self.repository.find_commit("ORIG_HEAD")?, self.repository.find_commit("HEAD")?);
        let brought = after.map_or(Ok(HashSet::new()), |after| self.repository.gained(before, after))?;
        Ok(self.brought.get_or_init(|| brought).contains(&commit))
    }
}
