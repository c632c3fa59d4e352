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
    pub now: Option<Now>,
    /// Branches on that commit that it does not speak for, such as the same one under another name.
    pub there: Vec<RefName>,
}

/// Where a branch is that has left a decision behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// The ref: the branch itself, or what was last fetched of it.
    pub at: RefName,
    /// Its commit.
    pub tip: CommitId,
    /// Whether it has left alone: of ours and the remote's the other one is still where it was decided.
    pub alone: bool,
}

/// A line of rebases on which somebody has decided about a branch.
struct Line {
    /// The commit with the highest `rev`, and its note.
    commit: CommitId,
    note: Note,
    /// All commits of the line on which it was decided.
    commits: Vec<CommitId>,
}

impl Line {
    fn add(&mut self, commit: CommitId, note: &Note) {
        self.commits.push(commit);
        if (note.rev, note.since) > (self.note.rev, self.note.since) {
            (self.commit, self.note) = (commit, note.clone());
        }
    }
}

/// Decisions that count no more, by branch, and notes that could not be read.
///
/// Of each line of rebases the one with the highest `rev`; none of a line that was deployed, or that base has by
/// other means, none of a line that was withdrawn unless the branch was set back to an older approval, and none where the branch has another decision that counts and is newer. Where the branch was set back to an
/// older one, or ours and the remote's branch differ, and one is still where it was decided, the decision was left if the branch
/// was there once.
///
/// # Errors
/// When refs or notes cannot be read.
pub fn stale(view: &View<'_>) -> Result<(Vec<Stale>, Vec<NotesError>), ViewError> {
    let (mut lines, mut malformed) = (HashMap::<(RefName, CommitId), Line>::new(), Vec::new());
    let mut landed = HashSet::new();
    for (commit, blob) in view.notes.all()? {
        let note = match view.notes.read(commit, blob) {
            Ok(note) => note,
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
            let new = || Line { commit, note: note.clone(), commits: Vec::new() };
            lines.entry((branch.clone(), line)).or_insert_with(new).add(commit, &note);
        }
    }
    let (mut found, on_tips) = (Vec::new(), view.heads_by_tip()?);
    for ((branch, root), line) in lines {
        let Some(made) = line.note.decision().filter(|_| !landed.contains(&root)) else { continue };
        let Some(now) = left(view, &branch, &line, made)? else { continue };
        let Line { commit, note, .. } = line;
        let mut there = on_tips.get(&commit).cloned().unwrap_or_default();
        there.retain(|other| !note.refs.contains(other));
        found.push(Stale { branch, commit, note, now, there });
    }
    // Of what base has by other means than a deployment nothing is left to decide. It has none that is lost.
    let mut there = Vec::new();
    for stale in &found {
        there.extend(view.repository.find(stale.commit.0)?.map(|_| stale.commit));
    }
    view.look_on_base(&there)?;
    found.retain(|stale| !there.contains(&stale.commit) || !view.is_on_base(stale.commit).unwrap_or(false));
    found.sort_by(|one, two| (&one.branch, one.note.since).cmp(&(&two.branch, two.note.since)));
    Ok((found, malformed))
}

/// Where a branch is that has left the commit of a decision, if it has; inside, none if it is nowhere.
fn left(
    view: &View<'_>,
    branch: &RefName,
    line: &Line,
    made: Decision,
) -> Result<Option<Option<Now>>, ViewError> {
    let is_withdrawn = made == Decision::Development;
    let mut elsewhere = Vec::new();
    let (mut stays, mut is_decided_anew, mut has_older) = (false, false, false);
    for (at, tip) in places(view, branch)? {
        if tip == line.commit {
            stays = true;
            continue;
        }
        let counts = counting(view, branch, tip);
        is_decided_anew |= counts.as_ref().is_some_and(|note| note.since >= line.note.since);
        has_older |= counts.is_some();
        elsewhere.push((Now { at, tip, alone: false }, counts));
    }
    if !stays && is_decided_anew {
        return Ok(None);
    }
    if is_withdrawn {
        // What was withdrawn is missed only where it is queued again.
        let is_approved = |note: &Note| note.state.is_rebased();
        elsewhere.retain(|(_, counts)| counts.as_ref().is_some_and(is_approved));
    } else if !stays && !has_older {
        return Ok(Some(elsewhere.into_iter().map(|(now, _)| now).next()));
    }
    // What was decided anew has not been left, but taken the place of.
    elsewhere.retain(|(_, counts)| counts.as_ref().is_none_or(|note| note.since < line.note.since));
    for (now, counts) in elsewhere {
        // What goes on from there, and was decided on before, has not left it: nobody has set that one back.
        if stays && counts.is_some() && view.repository.is_ancestor(line.commit, now.tip)? {
            continue;
        }
        // One that was never there has left nothing: it is older, or what was decided is not pushed.
        if view.repository.was_at(&now.at, &line.commits)? {
            return Ok(Some(Some(Now { alone: stays, ..now })));
        }
    }
    Ok(None)
}

/// Where a branch is: first where it counts, then here.
fn places(view: &View<'_>, branch: &RefName) -> Result<Vec<(RefName, CommitId)>, ViewError> {
    let mut places = Vec::new();
    for name in [view.settings.authority(branch), branch.clone()] {
        if !places.iter().any(|(known, _)| *known == name) {
            places.extend(view.repository.tip(&name)?.map(|tip| (name, tip)));
        }
    }
    Ok(places)
}

/// What somebody decided on the branch as it is there.
fn counting(view: &View<'_>, branch: &RefName, tip: CommitId) -> Option<Note> {
    view.notes.get(tip).ok().flatten().filter(|note| note.refs.contains(branch))
}
