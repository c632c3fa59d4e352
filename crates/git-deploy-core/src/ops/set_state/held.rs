//! Holds of others on what a branch goes on from: a decision about that takes none of them away unasked.

use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;

use super::{SetError, SetRequest, Wished};
use crate::branch::{Branch, OnBase};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::ops::held::{Holder, holder};
use crate::ops::sync::Earlier;
use crate::ops::view::View;
use crate::state::State;

/// How many of the commits that a branch was are asked, where it stands on none that was decided about.
const LOOKED_AT: u8 = 50;

/// A hold of somebody else on what a branch was decided about last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldThere {
    /// The commit that it is of.
    pub on: Earlier,
    /// What was wished for it: that it waits, and why, among that.
    pub wished: Wished,
    /// Who has held it.
    pub holder: Option<Holder>,
}

impl fmt::Display for HeldThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, wished, holder } = self;
        write!(f, "{} is on hold", on.told("it"))?;
        let since = holder.as_ref().and_then(|holder| holder.since);
        since.map_or(Ok(()), |since| write!(f, " since {since}"))?;
        holder.as_ref().map_or(Ok(()), |holder| write!(f, ", by {}", holder.by))?;
        write!(f, ": {}", wished.hold.as_deref().unwrap_or_default())
    }
}

/// Refuses to take branches past such a hold. Who says whether they are on hold decides about that. Returns the holds below
/// commits of others, which is for nobody to ask about: they are to be told.
pub(super) fn check(
    repository: &Repository,
    request: &SetRequest,
) -> Result<Vec<(RefName, HeldThere)>, SetError> {
    let (mut refused, mut passed) = (Vec::new(), Vec::new());
    if !request.state.is_rebased() || request.stays || request.wishes.hold.is_some() {
        return Ok(passed);
    }
    let view = View::new(repository)?;
    for branch in &request.branches {
        let past = Past::of(&view, branch)?;
        let Some(last) = past.decided_last()? else {
            passed.extend(past.passed_over()?.map(|there| (branch.clone(), there)));
            continue;
        };
        if let Some(there) = held_there(&past, last)? {
            let (branch, there) = (branch.clone(), Box::new(there));
            refused.push(SetError::HeldThere { branch, to: request.state, there });
        }
    }
    SetError::all_of(refused).map(|()| passed)
}

fn held_there(past: &Past<'_, '_>, (on, held): (Earlier, Branch)) -> Result<Option<HeldThere>, SetError> {
    // What stays on its commit keeps its hold.
    let Some(note) = held.note.as_ref().filter(|note| note.hold.is_some()) else { return Ok(None) };
    // Whoever keeps a hold has not put it there.
    let mut by = past.holder(&held);
    if past.is_me(&by) {
        let (mut first, mut seen) = (held.clone(), HashSet::from([held.tip]));
        while let Some((_, before)) = past.before(first.tip)?
            && before.hold() == held.hold()
            && seen.insert(before.tip)
        {
            first = before;
        }
        by = past.holder(&first);
    }
    if past.is_me(&by) {
        return Ok(None);
    }
    Ok(Some(HeldThere { on, wished: Wished::of(past.view, note)?, holder: by }))
}

/// What a branch was, as far as that says whether it is on hold.
struct Past<'v, 'r> {
    view: &'v View<'r>,
    name: &'v RefName,
    me: Option<String>,
    tip: Option<CommitId>,
    /// The commits that it was here, the latest first.
    log: Vec<CommitId>,
}

impl<'v, 'r> Past<'v, 'r> {
    fn of(view: &'v View<'r>, name: &'v RefName) -> Result<Self, GitError> {
        let me = view.repository.identity().ok().map(|me| me.who().to_owned());
        let log = match view.repository.tip(name)? {
            Some(_) => view.repository.reflog(name.as_str(), LOOKED_AT)?,
            None => Vec::new(),
        };
        let log = log.into_iter().map(|(commit, _)| commit).collect();
        Ok(Self { view, name, me, tip: view.branch_tip(name)?, log })
    }

    /// What it was before, as it was decided about last; none where that is what it is.
    fn decided_last(&self) -> Result<Option<(Earlier, Branch)>, GitError> {
        match self.tip {
            Some(tip) if self.answer(tip).is_none() => self.before(tip),
            _ => Ok(None),
        }
    }

    /// The last answer from before it was a commit: of what that was made from, as by an amend, else of what it stands on. Of what
    /// others have made nobody here is asked, nor of what they have put their commits upon.
    fn before(&self, at: CommitId) -> Result<Option<(Earlier, Branch)>, GitError> {
        let found = self.log.iter().position(|was| *was == at);
        let behind = found.map_or(&[][..], |found| &self.log[found + 1..]);
        let is_own = self.me.as_ref().is_some_and(|me| self.view.is_committed_by(at, me));
        let (mut left, mut since) = (None, None);
        for was in behind.iter().filter(|was| is_own && **was != at) {
            let Some(answer) = self.answer(*was) else { continue };
            if !self.view.is_on_base(*was)? && !self.view.repository.is_ancestor(*was, at)? {
                left = Some((Earlier::Left(*was), answer));
                break;
            }
            // It goes on from that, whoever has put commits between.
            since = since.or_else(|| Some(self.said(&answer)));
        }
        left = left.filter(|(_, left)| since.is_none_or(|since| self.said(left) > since));
        let below = self.view.own_line(at).into_iter().skip(1).find_map(|commit| self.answer(commit));
        let below = below.map(|below| (Earlier::Below(below.tip), below));
        Ok(match (left, below) {
            // The later word counts.
            (Some(left), Some(below)) if self.said(&left.1) >= self.said(&below.1) => Some(left),
            (left, None) => left,
            (_, below) => below,
        })
    }

    /// Since when an answer is given; of two at once one that holds is the later.
    fn said(&self, answer: &Branch) -> (Option<Timestamp>, bool) {
        let since = answer.note.as_ref().and_then(|note| note.since);
        match answer.hold() {
            Some(_) => (self.holder(answer).and_then(|holder| holder.since).max(since), true),
            None => (since, false),
        }
    }

    /// Who holds it, as far as the history of the notes is here.
    fn holder(&self, held: &Branch) -> Option<Holder> {
        holder(self.view, held).ok().flatten()
    }

    /// A hold below commits of others, where nothing has been decided since.
    fn passed_over(&self) -> Result<Option<HeldThere>, SetError> {
        let Some(tip) = self.tip.filter(|tip| self.answer(*tip).is_none()) else { return Ok(None) };
        let held = self.view.whole_line(tip).into_iter().find_map(|commit| self.answer(commit));
        let Some((held, note)) = held.and_then(|held| Some((held.clone(), held.note?))) else {
            return Ok(None);
        };
        if note.hold.is_none() {
            return Ok(None);
        }
        let (on, holder) = (Earlier::Below(held.tip), self.holder(&held));
        Ok(Some(HeldThere { on, wished: Wished::of(self.view, &note)?, holder }))
    }

    fn is_me(&self, by: &Option<Holder>) -> bool {
        self.me.is_some() && by.as_ref().map(|by| &by.by) == self.me.as_ref()
    }

    /// The branch as it was at a commit, if what was decided about it there says whether it is on hold: of what is not to be
    /// deployed nobody is asked that.
    fn answer(&self, commit: CommitId) -> Option<Branch> {
        let note = self.view.notes.get(commit).ok().flatten().filter(|note| note.refs.contains(self.name))?;
        let answers = note.hold.is_some() || note.state != State::Development;
        answers.then(|| Branch::derive(self.name.clone(), commit, Some(note), false, OnBase::No))
    }
}
