//! What somebody who pushes should know, and the states that go with the push.

mod by_hand;
mod others;

use super::left::{self, Left, LeftByPush};
use super::{HookError, PushedRef, Unpublished, elsewhere};
use crate::git::notes::{NotesError, notes_ref};
use crate::git::object::Kind;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::note::Note;
use crate::ops::Observer;
use crate::ops::fetched::{Merging, TakenBack, taken_back, unmerged};
use crate::ops::set_state::Wished;
use crate::ops::sweep::{Apart, Standing, SweepError, standing};
use crate::ops::sync::{self, SyncError};
use crate::ops::view::{LandedElsewhere, View};
use crate::revert;
use crate::state::State;

pub use others::{Replaced, Unheld};

/// Something that somebody who pushes should know.
#[derive(Debug)]
pub enum Warning {
    /// A branch is broken.
    Broken {
        /// The branch.
        branch: RefName,
        /// The commit that is pushed.
        pushed: CommitId,
        /// What it cannot be rebased on: base where it counts.
        base: RefName,
        /// The paths that conflict.
        paths: Vec<String>,
        /// What base has had of it, and has taken back.
        taken: Option<revert::TakenBack>,
    },
    /// The runner has rebased a branch on the remote; ours still stands where it was.
    Rebased(RefName),
    /// A branch was rewritten here by its developer, and git refuses to push what is no step forward.
    RewrittenHere(RefName, CommitId),
    /// The remote has on a branch what ours has not got, and neither was made from the other.
    Apart {
        /// The branch.
        branch: RefName,
        /// How it was fetched.
        there: RefName,
        /// The commit that was fetched.
        theirs: CommitId,
        /// Base, where it counts.
        base: RefName,
        /// What there is to do about that.
        apart: Apart,
    },
    /// What is pushed has landed as a rebase made it: the remote would get the commits from before that again.
    Landed(RefName, LandedElsewhere),
    /// The remote has a commit on a branch that is not here. Git refuses to push over that, unless it is forced.
    Moved {
        /// The branch.
        branch: RefName,
        /// A state that it is in there by what is known, in which the runner rebases it.
        state: State,
        /// What it would be by force, if it is known to be another there.
        forced: Option<State>,
    },
    /// The push brings a branch back that somebody has set back or deleted on the remote, as it was decided about before.
    Back {
        /// The branch.
        branch: RefName,
        /// What it is again.
        state: State,
        /// What was done there.
        taken: TakenBack,
    },
    /// The push puts something else in the place of what somebody else has decided on.
    Replaced(Replaced),
    /// The push ends that a branch is on hold, which came after what it brings was decided.
    Unheld(Unheld),
    /// The push takes a branch from an approved commit to one that makes it something else.
    Left(LeftByPush),
    /// The push sets base back to before what was deployed.
    SetBack {
        /// Base.
        base: RefName,
        /// The deployments that landed on what it has no more.
        lost: Vec<DeploymentId>,
    },
    /// The push brings all of a branch to base, without a deployment.
    ByHand {
        /// The branch.
        branch: RefName,
        /// What it was.
        was: State,
        /// Base, as the remote has it.
        base: RefName,
    },
    /// The push deletes a branch that was staged or deployable.
    Deleted {
        /// The branch.
        branch: RefName,
        /// What it was.
        was: State,
        /// The commit that it stood on, if that is here.
        tip: Option<CommitId>,
    },
    /// A note cannot be read.
    Note(NotesError),
}

/// What there is to say about a push.
#[derive(Debug, Default)]
pub struct PrePush {
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Whether states had to be published, and how that went.
    pub published: Option<Result<(), SyncError>>,
    /// Why states were not to be published, where one would think so.
    pub unpublished: Option<Unpublished>,
    /// Whether the push, if it is one by force, takes out of the notes that all clones share what others have decided.
    pub takes_states_out: bool,
}

/// Looks at what is pushed, and publishes the states of branches if it goes to the remote that counts. `to` is what git tells the
/// hook of where the push goes: a name or a place, and the place.
///
/// # Errors
/// When the repository or its configuration cannot be read.
pub fn pre_push(
    repository: &Repository,
    to: &[&str],
    pushed: &[PushedRef],
    observer: &dyn Observer,
) -> Result<PrePush, HookError> {
    let view = View::new(repository)?;
    let goes_on = goes_on(repository, pushed)?;
    let remote = to.first().copied().unwrap_or_default();
    let Some(tracking) = view.settings.remote.clone().filter(|tracking| tracking.remote() == remote) else {
        let unpublished = elsewhere::unpublished(&view, remote, pushed)?;
        let is_there = |tracking| elsewhere::goes_to(repository, tracking, to);
        let takes_states_out =
            goes_on == Some(false) && view.settings.remote.as_ref().map_or(Ok(false), is_there)?;
        return Ok(PrePush { unpublished, takes_states_out, ..PrePush::default() });
    };
    // What is no commit holds no notes, and is told where they are published.
    let fetched = match unmerged(&view) {
        Ok(Some(tracking)) => sync::fetched_notes(repository, tracking)?,
        Ok(None) | Err(_) => None,
    };
    let push = Push { view: &view, notes: Merging::new(&view.notes, repository.notes_at(fetched)?) };
    let branches: Vec<&PushedRef> =
        pushed.iter().filter(|pushed| pushed.name.branch_name().is_some()).collect();
    let mut said = PrePush::default();
    let by_hand = by_hand::landed(&push, &branches)?;
    for pushed in &branches {
        said.warnings.extend(push.warnings(pushed, by_hand.contains_key(&pushed.name))?);
        if pushed.new.is_some() {
            sync::is_pushed_again(repository, &tracking, &pushed.name)?;
        }
    }
    let base = &view.settings.base;
    let told = |(branch, was)| Warning::ByHand { branch, was, base: base.clone() };
    said.warnings.extend(by_hand.into_iter().map(told));
    // What git itself refuses because the remote is ahead it does not tell the hook, and then that is mostly all.
    if pushed.is_empty() {
        said.warnings.extend(push.current_branch(&tracking)?);
    }
    if goes_on != Some(true) {
        said.published = publish(repository, &tracking, &branches, observer);
    }
    // What has come with that, too.
    said.warnings.extend(others::unheld(repository, &branches).into_iter().map(Warning::Unheld));
    if goes_on == Some(false) {
        // Git keeps what has come there since it asked, and refuses the notes alone: where they were published just now.
        let is_elsewhere = sync::fetched_notes(repository, &tracking)?
            .is_some_and(|there| pushed_notes(pushed).and_then(|notes| notes.old) != Some(there.0));
        said.takes_states_out = !(matches!(said.published, Some(Ok(()))) && is_elsewhere);
    }
    Ok(said)
}

/// The notes that all clones share, if they are pushed.
fn pushed_notes(pushed: &[PushedRef]) -> Option<&PushedRef> {
    pushed.iter().find(|pushed| pushed.name == notes_ref())
}

/// Whether the push itself brings the notes there, with all that the remote has; none if it does not touch them. What comes there
/// meanwhile git keeps.
///
/// # Errors
/// When history cannot be read.
pub fn goes_on(repository: &Repository, pushed: &[PushedRef]) -> Result<Option<bool>, GitError> {
    let Some(PushedRef { new: Some(new), old, .. }) = pushed_notes(pushed) else { return Ok(None) };
    let Some(old) = old else { return Ok(Some(true)) };
    for id in [old, new] {
        if repository.find(*id)?.is_none_or(|found| found.kind != Kind::Commit) {
            return Ok(Some(false));
        }
    }
    Ok(Some(repository.is_ancestor(CommitId(*old), CommitId(*new))?))
}

/// A push to the remote that counts.
struct Push<'a> {
    view: &'a View<'a>,
    /// With those of the remote as they were last fetched.
    notes: Merging<'a, 'a>,
}

/// A branch that a push takes from one commit to another, with what the notes say of either.
struct Step<'p> {
    branch: &'p RefName,
    old: CommitId,
    new: CommitId,
    before: Option<Note>,
    after: Option<Note>,
}

impl Push<'_> {
    fn warnings(&self, pushed: &PushedRef, is_on_base: bool) -> Result<Vec<Warning>, HookError> {
        let (branch, old) = (&pushed.name, pushed.old.map(CommitId));
        let Some(new) = pushed.new.map(CommitId) else {
            let old = old.filter(|_| !is_on_base);
            let deleted = old.map_or(Ok(None), |old| self.deleted(branch, old))?;
            return Ok(deleted.into_iter().collect());
        };
        let mut warnings = Vec::new();
        // Before what it was rebased from, which is read with it.
        let after = match self.notes.note(new) {
            Err(error @ NotesError::Note { .. }) => {
                warnings.push(Warning::Note(error));
                None
            }
            note => note?,
        };
        if let Some(note) = after.as_ref().filter(|note| said_of(branch, note) == Some(State::Broken)) {
            let settings = &self.view.settings;
            let (base, paths) = (settings.authority(&settings.base), note.conflicts.clone());
            let taken = self.beginning_taken_back(branch, new);
            warnings.push(Warning::Broken { branch: branch.clone(), pushed: new, base, paths, taken });
        }
        if let Some(landed) = self.view.landed_elsewhere(branch, new)? {
            warnings.push(Warning::Landed(branch.clone(), landed));
            return Ok(warnings);
        }
        warnings.extend(self.back(pushed, new, after.as_ref())?);
        if let Some(old) = old {
            let step = Step { branch, old, new, before: self.note_of_old(old)?, after };
            if self.if_here(old)?.is_none() {
                warnings.extend(self.moved(&step)?);
            } else if *branch == self.view.settings.base {
                warnings.extend(self.set_back(old, new)?);
            } else {
                let rebased = self.overwrites(&step)?;
                warnings.extend(rebased.then(|| Warning::Rebased(branch.clone())));
                let left = if is_on_base { None } else { self.left(&step)? };
                warnings.extend(left.map(Warning::Left));
                warnings.extend(self.replaced(&step)?.map(Warning::Replaced));
            }
        }
        Ok(warnings)
    }

    /// What base has had of a branch, and has taken back, if that is what is pushed of it. What cannot be found out of that is told
    /// by whoever decides about it.
    fn beginning_taken_back(&self, branch: &RefName, new: CommitId) -> Option<revert::TakenBack> {
        let is_here = self.view.branch_tip(branch).ok()? == Some(new);
        if is_here { self.view.beginning_taken_back(branch, new).ok()? } else { None }
    }

    /// Whether a push sets base back to before what was deployed.
    fn set_back(&self, old: CommitId, new: CommitId) -> Result<Option<Warning>, HookError> {
        let repository = self.view.repository;
        if repository.is_ancestor(old, new)? {
            return Ok(None);
        }
        let gone = repository.gained(Some(new), old)?;
        let landed = self.view.ledger()?.deployments.iter().rev().filter(|deployment| deployment.landed());
        let lost: Vec<DeploymentId> = landed
            .filter(|deployment| gone.contains(&deployment.commit))
            .map(|deployment| deployment.id.clone())
            .collect();
        let base = self.view.settings.base.clone();
        Ok((!lost.is_empty()).then_some(Warning::SetBack { base, lost }))
    }

    /// Whether a push brings back what somebody has taken back on the remote.
    fn back(
        &self,
        pushed: &PushedRef,
        new: CommitId,
        after: Option<&Note>,
    ) -> Result<Option<Warning>, HookError> {
        let branch = &pushed.name;
        let state = after.and_then(|note| said_of(branch, note)).filter(|state| state.is_rebased());
        let Some(state) = state else { return Ok(None) };
        let taken = match (pushed.old.map(CommitId), taken_back(self.view, branch, new)?) {
            (None, Some(TakenBack::Deleted)) => TakenBack::Deleted,
            // It may have been set back since the last fetch.
            (Some(old), _) if self.was_set_back(branch, old, new)? => TakenBack::To(old),
            _ => return Ok(None),
        };
        Ok(Some(Warning::Back { branch: branch.clone(), state, taken }))
    }

    /// Whether the remote had a commit on a branch, or one below it, as it was fetched or pushed, and has an earlier one now.
    fn was_set_back(&self, branch: &RefName, old: CommitId, new: CommitId) -> Result<bool, HookError> {
        let repository = self.view.repository;
        if old == new || self.if_here(old)?.is_none() || !repository.is_ancestor(old, new)? {
            return Ok(false);
        }
        let there = self.view.settings.authority(branch);
        if repository.tip(&there)?.is_none() {
            return Ok(false);
        }
        let more: Vec<CommitId> = repository.gained(Some(old), new)?.into_iter().collect();
        Ok(repository.was_at(&there, &more)?)
    }

    /// The note on a commit that the remote has. One that cannot be read is told of by whoever lists the branches.
    fn note_of_old(&self, old: CommitId) -> Result<Option<Note>, NotesError> {
        match self.notes.note(old) {
            Err(NotesError::Note { .. }) => Ok(None),
            note => note,
        }
    }

    /// Whether what stands on the remote was put there by a rebase that ours knows nothing of. What has no commit in common
    /// with that is a history that was rewritten as a whole: to follow would bring the old one back.
    fn overwrites(&self, step: &Step<'_>) -> Result<bool, HookError> {
        let is_rebase = step.before.as_ref().is_some_and(|note| note.rebased_from.is_some());
        Ok(is_rebase
            && !self.view.repository.is_ancestor(step.old, step.new)?
            && self.view.repository.merge_base(step.old, step.new)?.is_some()
            && !self.is_on_base(step.new)?
            && self.standing(step.branch, step.new)? != Some(Standing::RewrittenHere))
    }

    /// How a commit that is ours of a branch stands to what was last fetched of it.
    fn standing(&self, branch: &RefName, ours: CommitId) -> Result<Option<Standing>, HookError> {
        let view = self.view;
        if view.repository.tip(branch)? != Some(ours) {
            return Ok(None);
        }
        match standing(view, &view.listed_branch(branch)?.0) {
            Ok(standing) => Ok(Some(standing)),
            Err(SweepError::Git(error)) => Err(error.into()),
            // What cannot be found out is told by a rebase.
            Err(_) => Ok(None),
        }
    }

    /// Whether a push takes a branch from an approved commit to one that makes it something else, be that a step forward or
    /// not.
    fn left(&self, step: &Step<'_>) -> Result<Option<LeftByPush>, HookError> {
        let Step { branch, old, new, .. } = *step;
        let state = |note: &Option<Note>| said_of(branch, note.as_ref()?);
        let (was, now) = (state(&step.before), state(&step.after));
        let (view, repository) = (self.view, self.view.repository);
        // A step forward never leaves more than another one: mostly history need not be asked which it is.
        if left::becomes(was, now, false).is_none() || *branch == view.settings.base {
            return Ok(None);
        }
        let is_forward = repository.is_ancestor(old, new)?;
        let Some(Left { was, now }) = left::becomes(was, now, is_forward) else { return Ok(None) };
        let since = |note: &Option<Note>| note.as_ref().and_then(|note| note.since);
        let is_back = || -> Result<bool, GitError> {
            Ok(since(&step.before) >= since(&step.after) && repository.is_ancestor(new, old)?)
        };
        // Who has approved it since it was withdrawn, or something else, has decided that.
        if was == State::Development && !is_back()? {
            return Ok(None);
        }
        // What has landed has left already.
        if view.is_on_base(old)? {
            return Ok(None);
        }
        let here = repository.tip(branch)?;
        let is_apart =
            here.map_or(Ok(false), |here| Ok::<_, GitError>(!repository.is_ancestor(new, here)?))?;
        // Whoever rewrites a branch of his own has not lost anything.
        let is_meant = is_forward || !is_apart && now == State::Development;
        let authority = |name| view.settings.authority(name);
        let is_merge = repository.commit(new)?.parents.len() > 1;
        let known: Vec<CommitId> = view.base_tip()?.into_iter().chain([old]).collect();
        let edited = match is_merge.then(|| repository.edited_merge(new, &known)) {
            // It may have changes of its own.
            Some(Err(GitError::MergeTimeLimit { .. })) => Some(new),
            edited => edited.transpose()?.flatten(),
        };
        let wished =
            step.before.as_ref().map_or_else(|| Ok(Wished::default()), |note| Wished::of(view, note))?;
        Ok(Some(LeftByPush {
            branch: branch.clone(),
            pushed: new,
            left: Left { was, now },
            is_merge,
            edited,
            base: authority(&view.settings.base),
            apart: is_apart.then(|| authority(branch)),
            unnamed: here.is_none().then_some(new),
            instead: (!is_meant).then_some(old),
            wished,
        }))
    }

    /// Whether a push deletes a branch that was staged or deployable.
    fn deleted(&self, branch: &RefName, old: CommitId) -> Result<Option<Warning>, HookError> {
        let was = self.note_of_old(old)?.and_then(|note| said_of(branch, &note));
        let was = was.filter(|was| was.is_rebased() && *branch != self.view.settings.base);
        let (Some(was), tip) = (was, self.if_here(old)?) else { return Ok(None) };
        let has_landed = |tip| -> Result<bool, HookError> {
            Ok(self.view.landed_elsewhere(branch, tip)?.is_some() || self.view.is_on_base(tip)?)
        };
        if tip.map_or(Ok(false), has_landed)? {
            return Ok(None);
        }
        Ok(Some(Warning::Deleted { branch: branch.clone(), was, tip }))
    }

    /// Whether a commit stands on base where that counts: somebody has rebased it as the runner would have.
    fn is_on_base(&self, commit: CommitId) -> Result<bool, HookError> {
        let base_tip = self.view.base_tip()?;
        Ok(base_tip.map_or(Ok(false), |base_tip| self.view.repository.is_ancestor(base_tip, commit))?)
    }

    /// A commit of the remote, if it is here.
    fn if_here(&self, commit: CommitId) -> Result<Option<CommitId>, HookError> {
        Ok(self.view.repository.find(commit.0)?.map(|_| commit))
    }

    fn current_branch(&self, tracking: &Tracking) -> Result<Option<Warning>, HookError> {
        let Some(branch) = self.view.current_branch()? else { return Ok(None) };
        let repository = self.view.repository;
        let Some(there) = tracking.of(&branch) else { return Ok(None) };
        let tips = (repository.tip(&branch)?, repository.tip(&there)?);
        let (Some(ours), Some(theirs)) = tips else { return Ok(None) };
        if ours == theirs || repository.is_ancestor(theirs, ours)? || branch == self.view.settings.base {
            return Ok(None);
        }
        if let Some(landed) = self.view.landed_elsewhere(&branch, ours)? {
            return Ok(Some(Warning::Landed(branch, landed)));
        }
        // Behind the remote there is nothing to push, and where nobody has decided nothing to say.
        if self.note_of_old(theirs)?.is_none() {
            return Ok(None);
        }
        Ok(match self.standing(&branch, ours)? {
            Some(Standing::Behind) => None,
            Some(Standing::RebasedThere) => Some(Warning::Rebased(branch)),
            Some(Standing::RewrittenHere | Standing::RebasedHere) => {
                Some(Warning::RewrittenHere(branch, theirs))
            }
            standing => {
                let apart = match standing {
                    Some(Standing::Apart(apart)) => apart,
                    _ => Apart::Look,
                };
                let base = self.view.settings.authority(&self.view.settings.base);
                Some(Warning::Apart { branch, there, theirs, base, apart })
            }
        })
    }
}

/// What a note says of a branch.
fn said_of(branch: &RefName, note: &Note) -> Option<State> {
    note.speaks_for(branch, true).then_some(note.state)
}

/// Publishes our notes if the remote has others, as far as that can be said without asking it.
fn publish(
    repository: &Repository,
    tracking: &Tracking,
    branches: &[&PushedRef],
    observer: &dyn Observer,
) -> Option<Result<(), SyncError>> {
    let heads: Vec<(RefName, CommitId)> =
        branches.iter().filter_map(|pushed| Some((pushed.name.clone(), CommitId(pushed.new?)))).collect();
    let publish = || -> Result<bool, SyncError> {
        let ours = repository.tip(&notes_ref())?;
        let is_new = ours.is_some() && ours != sync::fetched_notes(repository, tracking)?;
        let published = is_new && sync::publish_notes(repository, tracking, observer)?;
        sync::publish_approved(repository, tracking, &heads)?;
        Ok(published)
    };
    match publish() {
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(error) => Some(Err(error)),
    }
}
