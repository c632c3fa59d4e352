//! Whether an approval was ended: withdrawn, or used up by a landing, as the history of the notes has it.
//!
//! Whoever can write notes can write the older ones again, on any commit, and can take a line of rebases apart, but cannot
//! write into the past. So all of that is asked for what took the place of the decision, wherever it stood then.

use std::collections::BTreeSet;

use crate::approval::{Decided, NotApproved};
use crate::git::notes::{FAR, Notes};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DecisionId, DeploymentId, ObjectId};
use crate::note::Note;
use crate::state::{Decision, State};
use crate::sync::active;

/// What became of decisions since they were made.
pub struct Past<'a> {
    /// The notes, with their history.
    pub notes: &'a Notes<'a>,
    /// Whether a deployment has landed, as the ledger has it: a note alone may say anything.
    pub has_landed: &'a dyn Fn(&DeploymentId) -> Result<bool, GitError>,
}

impl Past<'_> {
    /// Why the approved decision in a note holds no more, if it does not.
    pub(super) fn ended(
        &self,
        repository: &Repository,
        decided: &Decided,
        tip: CommitId,
        note: &Note,
    ) -> Result<Option<NotApproved>, GitError> {
        let Some(notes) = self.notes.commit else { return Ok(None) };
        if repository.is_cut_off(notes)? {
            return Ok(Some(NotApproved::CutOff));
        }
        let mut made = active(note);
        made.retain(|(_, made)| {
            made.approval == note.approval && Decided::of(made).as_ref() == Some(decided)
        });
        let on_line = self.notes.ever_on(&line(self.notes, tip, note, decided.commit))?;
        let anywhere = self.notes.ever_naming(&decided.refs)?;
        let is_it = |other: &Note| made.iter().any(|(_, made)| is_same(made, other));
        let (mut its, mut stood): (BTreeSet<DecisionId>, Vec<ObjectId>) = Default::default();
        for (blob, said) in &anywhere {
            let of_note: Vec<_> = active(said).into_iter().filter(|(_, other)| is_it(other)).collect();
            stood.extend(Some(*blob).filter(|_| !of_note.is_empty()));
            its.extend(of_note.into_iter().map(|(id, _)| id));
        }
        // Whoever writes a note by hand does not say what that replaces.
        let instead = self.notes.ever_instead_of(&stood)?;
        let anywhere: Vec<Note> = anywhere.into_iter().map(|(_, said)| said).collect();
        let signed: BTreeSet<DecisionId> =
            made.iter().map(|(id, _)| *id).chain(decided.replaces.iter().copied()).collect();
        let replaces_it = |said: &&Note| said.replaces.iter().any(|id| its.contains(id));
        let later = on_line.iter().chain(&instead).chain(anywhere.iter().filter(replaces_it));
        let later = later.flat_map(active).filter(|(id, _)| !signed.contains(id));
        let holds = |made: &Note| made.rev > decided.rev || made.decision() != Some(Decision::Deployable);
        if let Some(rev) = later.filter(|(_, made)| holds(made)).map(|(_, made)| made.rev).max() {
            return Ok(Some(NotApproved::Superseded(rev)));
        }
        // One that says development and nothing else is no decision, but not what was approved, either.
        let is_careful = |made: Decision| made != Decision::Deployable;
        let undecided = instead.iter().filter(|said| active(said).is_empty());
        if undecided.filter_map(Note::decision).any(is_careful) {
            return Ok(Some(NotApproved::Superseded(0)));
        }
        let landed = anywhere.iter().filter(|said| said.state == State::Deployed);
        for said in landed.filter(|said| active(said).iter().any(|(_, made)| is_it(made))) {
            if let Some(id) = &said.deployment
                && (self.has_landed)(id)?
            {
                return Ok(Some(NotApproved::Landed(id.clone())));
            }
        }
        Ok(None)
    }
}

/// Whether two notes with the keys of a decision alone have the same one: it may have been copied without its signature, or
/// with other words beside that.
fn is_same(one: &Note, other: &Note) -> bool {
    let unsigned = |note: &Note| Note { approved: None, approval: None, ..note.clone() };
    (one.approval.is_some() && one.approval == other.approval) || unsigned(one) == unsigned(other)
}

/// The commits that the one of a note was rebased from, as far as notes tell.
fn line(notes: &Notes<'_>, tip: CommitId, note: &Note, approved: CommitId) -> Vec<CommitId> {
    let mut line = vec![tip];
    let mut from = note.rebased_from;
    while let Some(commit) = from.filter(|commit| !line.contains(commit) && line.len() < FAR) {
        line.push(commit);
        from = notes.get(commit).ok().flatten().and_then(|note| note.rebased_from);
    }
    for commit in [Some(approved), note.root].into_iter().flatten() {
        if !line.contains(&commit) {
            line.push(commit);
        }
    }
    line
}

/// All that was ever said in notes on a commit, and on those that it was rebased from.
///
/// # Errors
/// When the history of the notes cannot be read.
pub(in crate::ops) fn said_of(notes: &Notes<'_>, tip: CommitId, note: &Note) -> Result<Vec<Note>, GitError> {
    notes.ever_on(&line(notes, tip, note, note.approved.unwrap_or(tip)))
}
