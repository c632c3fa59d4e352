//! What is known of the remote that counts without asking it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use crate::git::notes::{FAR, NOTES_REF, Notes, NotesError};
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::note::Note;
use crate::ops::copied::own_note;
use crate::ops::sync;
use crate::ops::view::View;
use crate::sync::{NoteTexts, merge};

/// The remote whose states were fetched and are not merged into ours, if there is one.
///
/// # Errors
/// When refs or their history cannot be read.
pub fn unmerged<'v>(view: &'v View<'_>) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let Some(theirs) = sync::fetched_notes(view.repository, tracking)? else { return Ok(None) };
    let is_merged = match view.notes.commit {
        // Mostly they are the same, and then nothing else is read.
        Some(ours) => ours == theirs || view.repository.is_ancestor(theirs, ours)?,
        None => false,
    };
    Ok((!is_merged).then_some(tracking))
}

/// Notes as they are when what was fetched is merged into them.
pub(super) struct Merging<'n, 'a> {
    ours: &'n Notes<'a>,
    /// What was fetched; none if that is merged already.
    theirs: Notes<'a>,
    /// What came of each commit that was asked for, and of those that it was rebased from: none of their notes is read twice.
    merged: RefCell<HashMap<CommitId, Option<Note>>>,
}

impl<'n, 'a> Merging<'n, 'a> {
    pub(super) fn new(ours: &'n Notes<'a>, theirs: Notes<'a>) -> Self {
        Self { ours, theirs, merged: RefCell::default() }
    }

    /// Whether nobody has said anything on either side.
    pub(super) fn is_empty(&self) -> bool {
        self.ours.commit.is_none() && self.theirs.commit.is_none()
    }

    /// The note on a commit, by what both sides say of it and of those that it was rebased from. Where there is something to
    /// merge, what cannot be read says nothing.
    ///
    /// # Errors
    /// When notes cannot be read.
    pub(super) fn note(&self, commit: CommitId) -> Result<Option<Note>, NotesError> {
        if self.theirs.commit.is_none() {
            return own_note(self.ours, commit);
        }
        if let Some(known) = self.merged.borrow().get(&commit) {
            return Ok(known.clone());
        }
        let line = self.line(commit)?;
        let texts = |side: usize| -> NoteTexts {
            let said = line.iter().filter_map(|(commit, notes)| Some((*commit, notes[side].as_ref()?)));
            said.map(|(commit, note)| (commit, note.to_string().into_bytes())).collect()
        };
        let merged = merge(&texts(0), &texts(1));
        let note = |commit| merged.get(commit).and_then(|text| Note::parse(text).ok());
        let mut known = self.merged.borrow_mut();
        known.extend(line.keys().map(|commit| (*commit, note(commit))));
        Ok(known.get(&commit).cloned().flatten())
    }

    /// A commit and those that it was rebased from, as far as one note leads to the next, with what each side says.
    fn line(&self, commit: CommitId) -> Result<BTreeMap<CommitId, [Option<Note>; 2]>, NotesError> {
        let read = |notes: &Notes<'_>, commit| match own_note(notes, commit) {
            Err(NotesError::Note { .. }) => Ok(None),
            note => note,
        };
        let (mut line, mut next) = (BTreeMap::new(), vec![commit]);
        while let Some(commit) = next.pop().filter(|_| line.len() < FAR) {
            if line.contains_key(&commit) {
                continue;
            }
            let notes = [read(self.ours, commit)?, read(&self.theirs, commit)?];
            next.extend(notes.iter().flatten().filter_map(|note| note.rebased_from));
            line.insert(commit, notes);
        }
        Ok(line)
    }
}

/// The remote that was never asked for its states, if that is so: then what is decided there looks as if nobody had.
///
/// # Errors
/// When refs cannot be read.
pub fn never_fetched<'v>(view: &'v View<'_>) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    Ok((!sync::was_asked(view.repository, tracking)?).then_some(tracking))
}

/// The remote from which a plain `git fetch` brought a deployment's tag, and nothing else: what it applied, and what came since
/// of holds, approvals and deployments under way, is known only when the remote is asked for that.
///
/// # Errors
/// When refs cannot be read.
pub fn tag_alone<'v>(view: &'v View<'_>, id: &DeploymentId) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    // One that was deployed here while the remote was away has its attempt here.
    for name in [tracking.of(&id.tag()), tracking.of(&id.attempt()), Some(id.attempt())] {
        if name.map_or(Ok(None), |name| view.repository.resolve(&name))?.is_some() {
            return Ok(None);
        }
    }
    Ok(Some(tracking))
}

/// The remote that has a branch of this name, if it had one when it was last fetched.
///
/// # Errors
/// When refs cannot be read.
pub fn remote_of<'v>(view: &'v View<'_>, branch: &RefName) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let there = tracking.of(branch).map_or(Ok(None), |name| view.repository.tip(&name))?;
    Ok(there.map(|_| tracking))
}

/// The remote on which a branch stood at a commit when it was last fetched: what is decided about that counts there until
/// somebody pushes.
///
/// # Errors
/// When refs cannot be read.
pub fn still_at<'v>(
    view: &'v View<'_>,
    branch: &RefName,
    commit: CommitId,
) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let there = tracking.of(branch).map_or(Ok(None), |name| view.repository.tip(&name))?;
    Ok(there.filter(|there| *there == commit).map(|_| tracking))
}

/// What somebody has taken back on the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBack {
    /// The branch was set back to a commit that ours has, too: a push of ours is a step forward for git.
    To(CommitId),
    /// The branch was deleted.
    Deleted,
}

/// Whether the remote had a commit of a branch, or an earlier one that is in it, as far as is known here, and somebody has taken
/// that back there: nothing but a push from here would bring it there again, with what was decided about it.
///
/// # Errors
/// When refs, reflogs or the configuration cannot be read.
pub fn taken_back(
    view: &View<'_>,
    branch: &RefName,
    commit: CommitId,
) -> Result<Option<TakenBack>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let Some(there) = tracking.of(branch).filter(|_| *branch != view.settings.base) else { return Ok(None) };
    let Some(theirs) = view.repository.tip(&there)? else {
        return Ok(sync::was_deleted(view.repository, tracking, branch)?.then_some(TakenBack::Deleted));
    };
    let is_below = theirs != commit && view.repository.is_ancestor(theirs, commit)?;
    let had_it = || {
        let more: Vec<CommitId> = view.repository.gained(Some(theirs), commit)?.into_iter().collect();
        view.repository.was_at(&there, &more)
    };
    Ok((is_below && had_it()?).then_some(TakenBack::To(theirs)))
}

/// What was merged into a branch of ours since it was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// Base: only a rebase on that takes the merge out again.
    Base,
    /// Something else, mostly what the remote has of the branch.
    Other,
    /// Anything, and this merge changes something itself, which a rebase would leave out.
    Edited(CommitId),
}

/// What was merged into a branch of ours that the remote has an earlier commit of, if anything was. Whether that has what somebody
/// has taken out there is asked before ([`taken_back`]).
///
/// # Errors
/// When git cannot walk there.
pub fn merged(view: &View<'_>, ours: CommitId, theirs: CommitId) -> Result<Option<Merged>, GitError> {
    let (Some(base_tip), repository) = (view.base_tip()?, view.repository) else { return Ok(None) };
    if !repository.has_merges(ours, &[base_tip, theirs])? {
        return Ok(None);
    }
    match repository.edited_merge(ours, &[base_tip, theirs]) {
        Ok(None) => {}
        Ok(Some(merge)) => return Ok(Some(Merged::Edited(merge))),
        // It may have changes of its own.
        Err(GitError::MergeTimeLimit { .. }) => return Ok(Some(Merged::Edited(ours))),
        Err(error) => return Err(error),
    }
    let fork = repository.merge_base(ours, base_tip)?;
    let is_there = fork.map_or(Ok(true), |fork| repository.is_ancestor(fork, theirs))?;
    Ok(Some(if is_there { Merged::Other } else { Merged::Base }))
}

/// The refspec by which each `git fetch` writes over our states, and so over those that were not published yet.
///
/// # Errors
/// When the configuration cannot be read.
pub fn overwriting(repository: &Repository, tracking: &Tracking) -> Result<Option<String>, GitError> {
    let refspecs = repository.config_all(&format!("remote.{}.fetch", tracking.remote()))?;
    Ok(refspecs.into_iter().find(|refspec| writes_over(refspec, NOTES_REF)))
}

/// Whether a refspec of a fetch moves a ref, wherever that stands (`gitrefspecs`).
fn writes_over(refspec: &str, name: &str) -> bool {
    let to = refspec.strip_prefix('+').and_then(|refspec| refspec.split_once(':')).map(|(_, to)| to);
    to.is_some_and(|to| match to.split_once('*') {
        Some((before, after)) => {
            name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after) && !rest.is_empty())
        }
        None => to == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refspec_that_forces_what_it_brings_upon_our_states_is_found() {
        for over in ["+refs/notes/*:refs/notes/*", "+refs/*:refs/*", "+refs/notes/deploy:refs/notes/deploy"] {
            assert!(writes_over(over, NOTES_REF), "{over}");
        }
        for beside in [
            "+refs/heads/*:refs/remotes/origin/*",
            "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*",
            "refs/notes/*:refs/notes/*",
            "+refs/notes/commits:refs/notes/commits",
            "^refs/notes/deploy",
        ] {
            assert!(!writes_over(beside, NOTES_REF), "{beside}");
        }
    }
}
