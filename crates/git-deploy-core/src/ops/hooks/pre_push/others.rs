//! What others have put on the remote where a push goes.

use super::{Push, PushedRef, Step, Warning, said_of};
use crate::branch::{Branch, OnBase};
use crate::git::Repository;
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::held::{Holder, holder};
use crate::ops::hooks::{HookError, left};
use crate::ops::sweep::Standing;
use crate::ops::view::View;
use crate::state::State;

/// How many of the commits that a branch was are looked at.
const LOOKED_AT: u8 = 50;

/// What somebody else has decided on, and a push takes from where it counts, with something else that is decided on in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The branch.
    pub branch: RefName,
    /// Its commit.
    pub old: CommitId,
    /// What comes in its place.
    pub new: CommitId,
    /// What it is there.
    pub state: State,
    /// Who has set it so.
    pub by: String,
}

/// A hold of somebody else that is on what a push replaces, and not on what it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheld {
    /// The branch.
    pub branch: RefName,
    /// Why it is on hold.
    pub hold: String,
    /// Who has held it.
    pub holder: Holder,
}

/// The holds that a push ends, where they came after the decision that is pushed: whoever made that was not asked about them. What
/// cannot be found out of that ends no push.
pub(super) fn unheld(repository: &Repository, pushed: &[&PushedRef]) -> Vec<Unheld> {
    let Ok(view) = View::new(repository) else { return Vec::new() };
    pushed.iter().filter_map(|pushed| unheld_by(&view, pushed)).collect()
}

fn unheld_by(view: &View<'_>, PushedRef { name: branch, old, new }: &PushedRef) -> Option<Unheld> {
    let old = CommitId((*old)?);
    let [before, after] = [old, CommitId((*new)?)].map(|commit| view.notes.get(commit).ok().flatten());
    let (before, after) = (before?, after?);
    let goes_on = |note| said_of(branch, note).is_some_and(State::is_rebased);
    let hold = before.hold.clone().filter(|_| after.hold.is_none() && goes_on(&before) && goes_on(&after))?;
    let held = Branch::derive(branch.clone(), old, Some(before), false, OnBase::No);
    let holder = holder(view, &held).ok()??;
    let me = view.repository.identity().ok()?;
    let is_asked = holder.by == me.who() || holder.since <= after.since;
    (!is_asked).then(|| Unheld { branch: branch.clone(), hold, holder })
}

impl Push<'_> {
    /// What of somebody else's a push replaces that was not made from it, as where two have mended one branch. Where the branch
    /// becomes something else by that, this is told anyway.
    pub(super) fn replaced(&self, step: &Step<'_>) -> Result<Option<Replaced>, HookError> {
        let Step { branch, old, new, before: Some(before), after: Some(after) } = step else {
            return Ok(None);
        };
        let Some(state) = said_of(branch, before).filter(|state| state.is_rebased()) else { return Ok(None) };
        let me = self.view.repository.identity().ok().map(|me| me.who().to_owned());
        let by = before.by.clone().filter(|by| Some(by) != me.as_ref());
        let is_apart = said_of(branch, after) == Some(state) && before.line(*old) != after.line(*new);
        let Some(by) = by.filter(|_| is_apart) else { return Ok(None) };
        if self.view.repository.is_ancestor(*old, *new)?
            || !matches!(self.standing(branch, *new)?, Some(Standing::Apart(_)))
        {
            return Ok(None);
        }
        // What the branch was here before it first was what comes: that was made from it, as by an amend.
        let log = self.view.repository.reflog(branch.as_str(), LOOKED_AT)?;
        let was_old = log.iter().rposition(|(was, _)| was == old);
        let was_new = log.iter().rposition(|(was, _)| was == new);
        if was_old.is_some_and(|was_old| was_new.is_none_or(|was_new| was_new < was_old)) {
            return Ok(None);
        }
        Ok(Some(Replaced { branch: (*branch).clone(), old: *old, new: *new, state, by }))
    }

    /// What there is to say of a branch on which the remote has something that was not fetched yet.
    pub(super) fn moved(&self, step: &Step<'_>) -> Result<Option<Warning>, HookError> {
        let Step { branch, before, after, .. } = step;
        let is_state =
            |note: &Option<Note>| said_of(branch, note.as_ref()?).filter(|state| state.is_rebased());
        let moved = |state, forced| Some(Warning::Moved { branch: (*branch).clone(), state, forced });
        if let Some(was) = is_state(before) {
            let now = after.as_ref().and_then(|note| said_of(branch, note));
            return Ok(moved(was, left::becomes(Some(was), now, false).map(|left| left.now)));
        }
        // The note may be on what the remote had when it was fetched.
        let fetched = self.view.repository.tip(&self.view.settings.authority(branch))?;
        let fetched = fetched.map_or(Ok(None), |fetched| self.note_of_old(fetched))?;
        Ok([after, &fetched].into_iter().find_map(is_state).and_then(|state| moved(state, None)))
    }
}
