//! Holds of others on what a branch goes on from: a decision about that takes none of them away unasked.

use std::fmt;

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

/// Refuses to take branches past such a hold. Who says whether they are on hold decides about that.
pub(super) fn check(repository: &Repository, request: &SetRequest) -> Result<(), SetError> {
    if !request.state.is_rebased() || request.stays || request.wishes.hold.is_some() {
        return Ok(());
    }
    let (view, mut refused) = (View::new(repository)?, Vec::new());
    for branch in &request.branches {
        if let Some(there) = held_there(&view, branch)? {
            let (branch, there) = (branch.clone(), Box::new(there));
            refused.push(SetError::HeldThere { branch, to: request.state, there });
        }
    }
    SetError::all_of(refused)
}

fn held_there(view: &View<'_>, name: &RefName) -> Result<Option<HeldThere>, SetError> {
    let Some((on, held)) = decided_last(view, name)? else { return Ok(None) };
    // What stays on its commit keeps its hold.
    let Some(note) = held.note.as_ref().filter(|note| note.hold.is_some()) else { return Ok(None) };
    let wished = Wished::of(view, note)?;
    let me = view.repository.identity().ok().map(|me| me.who().to_owned());
    let is_me = |by: &Option<Holder>| me.is_some() && by.as_ref().map(|by| &by.by) == me.as_ref();
    let (mut at, mut by) = (held.clone(), holder(view, &held)?);
    while is_me(&by) {
        // Whoever keeps a hold has not put it there.
        let below = view.own_line(at.tip).into_iter().skip(1).find_map(|commit| answer(view, name, commit));
        let Some(below) = below.filter(|below| below.hold() == held.hold()) else { return Ok(None) };
        (by, at) = (holder(view, &below)?, below);
    }
    Ok(Some(HeldThere { on, wished, holder: by }))
}

/// What a branch stands on, or was, as it was decided about last; none where that is what it is.
fn decided_last(view: &View<'_>, name: &RefName) -> Result<Option<(Earlier, Branch)>, GitError> {
    let Some(tip) = view.branch_tip(name)? else { return Ok(None) };
    let decided = |commit: CommitId| answer(view, name, commit);
    if let Some(decided) = view.own_line(tip).into_iter().find_map(decided) {
        return Ok((decided.tip != tip).then_some((Earlier::Below(decided.tip), decided)));
    }
    let was = match view.repository.tip(name)? {
        Some(_) => view.repository.reflog(name.as_str(), LOOKED_AT)?,
        None => Vec::new(),
    };
    let left = was.into_iter().map(|(commit, _)| commit).filter(|commit| *commit != tip).find_map(decided);
    match left {
        // What it still stands on, below commits of others, they have seen.
        Some(left) if !view.is_on_base(left.tip)? && !view.repository.is_ancestor(left.tip, tip)? => {
            Ok(Some((Earlier::Left(left.tip), left)))
        }
        _ => Ok(None),
    }
}

/// The branch as it was at a commit, if what was decided about it there says whether it is on hold: of what is not to be deployed
/// nobody is asked that.
fn answer(view: &View<'_>, name: &RefName, commit: CommitId) -> Option<Branch> {
    let note = view.notes.get(commit).ok().flatten().filter(|note| note.refs.contains(name))?;
    let answers = note.hold.is_some() || note.state != State::Development;
    answers.then(|| Branch::derive(name.clone(), commit, Some(note), false, OnBase::No))
}
