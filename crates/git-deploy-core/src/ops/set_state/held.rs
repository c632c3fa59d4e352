//! Holds of others on what a branch stands on, which came before a decision of ours: nobody here was told that it is to wait.

use std::fmt;

use super::{SetError, Wished};
use crate::branch::{Branch, OnBase};
use crate::git::GitError;
use crate::ids::{CommitId, RefName};
use crate::ops::held::{Holder, holder};
use crate::ops::view::View;

/// A hold that came with what was fetched just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldThere {
    /// The commit that it is of.
    pub on: CommitId,
    /// What was wished for it: that it waits, and why, among that.
    pub wished: Wished,
    /// Who has held it.
    pub holder: Option<Holder>,
}

impl HeldThere {
    pub(super) fn of(view: &View<'_>, held: &Branch) -> Result<Option<Self>, SetError> {
        let Some(note) = held.note.as_ref().filter(|_| held.hold().is_some()) else { return Ok(None) };
        Ok(Some(Self { on: held.tip, wished: Wished::of(view, note)?, holder: holder(view, held)? }))
    }
}

impl fmt::Display for HeldThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, wished, holder } = self;
        write!(f, "nobody here was told that '{}', which it stands on, is on hold", on.brief())?;
        let since = holder.as_ref().and_then(|holder| holder.since);
        since.map_or(Ok(()), |since| write!(f, " since {since}"))?;
        holder.as_ref().map_or(Ok(()), |holder| write!(f, ", by {}", holder.by))?;
        write!(f, ": {}", wished.hold.as_deref().unwrap_or_default())
    }
}

/// What a branch stands on, as it was decided about last, where that is on hold: of the branch itself a decision keeps the hold.
pub(super) fn held_below(view: &View<'_>, name: &RefName) -> Result<Option<Branch>, GitError> {
    let Some(tip) = view.branch_tip(name)? else { return Ok(None) };
    let of_its_own = |commit: CommitId| {
        let note = view.notes.get(commit).ok().flatten().filter(|note| note.refs.contains(name))?;
        Some(Branch::derive(name.clone(), commit, Some(note), false, OnBase::No))
    };
    let decided = view.own_line(tip).into_iter().find_map(of_its_own);
    Ok(decided.filter(|decided| decided.tip != tip && decided.hold().is_some()))
}
