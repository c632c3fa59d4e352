//! Decisions that count no more: they stand on a commit that their branch has left.
//!
//! Nothing takes a note away when a branch gets a new commit, another name, or an end: an approval covers exactly the commits
//! that it was given for, and counts again if the branch is set back to them. Until then somebody may want to know of it.

use std::collections::{HashMap, HashSet};

use crate::git::notes::NotesError;
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::view::{View, ViewError};
use crate::state::{Decision, State};

/// A decision that counts no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The branch that it was made for.
    pub branch: RefName,
    /// The commit that it stands on, the last one of its line of rebases.
    pub commit: CommitId,
    /// The note there.
    pub note: Note,
    /// Where the branch is now; none if there is no such branch any more.
    pub now: Option<CommitId>,
    /// Branches on that commit that it does not speak for, such as the same one under another name.
    pub there: Vec<RefName>,
}

/// Decisions that count no more, by branch, and notes that could not be read.
///
/// Of each line of rebases the one with the highest `rev`; none of a line that was deployed or withdrawn, and none where the
/// branch has a decision that counts.
///
/// # Errors
/// When refs or notes cannot be read.
pub fn stale(view: &View<'_>) -> Result<(Vec<Stale>, Vec<NotesError>), ViewError> {
    let (mut latest, mut malformed) = (HashMap::<(RefName, CommitId), (CommitId, Note)>::new(), Vec::new());
    let mut landed = HashSet::new();
    for commit in view.notes.all()?.into_keys() {
        let note = match view.notes.get(commit) {
            Ok(Some(note)) => note,
            Ok(None) => continue,
            Err(error @ NotesError::Note { .. }) => {
                malformed.push(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let line = note.line(commit);
        if note.state == State::Deployed {
            landed.insert(line);
        }
        for branch in &note.refs {
            let known = latest.entry((branch.clone(), line)).or_insert_with(|| (commit, note.clone()));
            if (note.rev, note.since) > (known.1.rev, known.1.since) {
                *known = (commit, note.clone());
            }
        }
    }
    let (mut found, on_tips) = (Vec::new(), view.heads_by_tip()?);
    for ((branch, line), (commit, note)) in latest {
        let is_open = note.decision().is_some_and(|made| made != Decision::Development);
        if !is_open || landed.contains(&line) {
            continue;
        }
        let tips = tips(view, &branch)?;
        if tips.contains(&commit) || counts(view, &branch, &tips)? {
            continue;
        }
        let on_commit = on_tips.get(&commit).cloned().unwrap_or_default();
        let (under_another_name, there): (Vec<_>, Vec<_>) =
            on_commit.into_iter().partition(|other| note.refs.contains(other));
        if tips.is_empty() && !under_another_name.is_empty() {
            continue;
        }
        found.push(Stale { branch, commit, note, now: tips.first().copied(), there });
    }
    found.sort_by(|one, two| (&one.branch, one.note.since).cmp(&(&two.branch, two.note.since)));
    Ok((found, malformed))
}

/// Where a branch is: first where it counts, then here.
fn tips(view: &View<'_>, branch: &RefName) -> Result<Vec<CommitId>, ViewError> {
    let tips = [view.settings.authority(branch), branch.clone()].map(|name| view.repository.tip(&name));
    Ok(tips.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

/// Whether somebody decided on the branch as it is.
fn counts(view: &View<'_>, branch: &RefName, tips: &[CommitId]) -> Result<bool, ViewError> {
    for tip in tips {
        if view.notes.get(*tip).ok().flatten().is_some_and(|note| note.refs.contains(branch)) {
            return Ok(true);
        }
    }
    Ok(false)
}
