//! Decisions that come to the note of what has landed: a merge of notes brings one that was made where nobody knew of the
//! landing.
//!
//! It stands then in a note that does not speak of the landing: an earlier one on that commit or on what it was rebased from,
//! or one on any other commit of that line.

use std::collections::BTreeSet;

use super::Receiver;
use crate::git::GitError;
use crate::ids::CommitId;
use crate::note::Note;
use crate::ops::approve;
use crate::receive::Push;
use crate::state::State;
use crate::sync::decide_alike;

/// The commits to whose notes such a decision comes. Where none does, as nearly always, nothing is read.
pub(super) fn decisions(receiver: &Receiver<'_>, push: &Push) -> Result<BTreeSet<CommitId>, GitError> {
    let mut found = BTreeSet::new();
    let Some(pushed) = &push.notes else { return Ok(found) };
    let changes = pushed.changes.iter().flatten();
    let asked: Vec<(CommitId, Note)> =
        changes.filter_map(|change| Some((change.commit, change.decides_anew()?))).collect();
    if asked.is_empty() || !pushed.forward {
        return Ok(found);
    }
    let notes = receiver.standing.notes(pushed.after)?;
    let is_it = |said: &Note, note: &Note| said.state != State::Deployed && decide_alike(said, note);
    for (commit, note) in &asked {
        let said = approve::said_of(&notes, *commit, note)?;
        found.extend(said.iter().any(|said| is_it(said, note)).then_some(*commit));
    }
    if found.len() == asked.len() {
        return Ok(found);
    }
    for (commit, blob) in notes.all()? {
        let Some(said) =
            receiver.repository.note_bytes(blob)?.ok().and_then(|bytes| Note::parse(&bytes).ok())
        else {
            continue;
        };
        let of = |(other, note): &&(CommitId, Note)| *other != commit && is_it(&said, note);
        found.extend(asked.iter().filter(of).map(|(commit, _)| *commit));
    }
    Ok(found)
}
