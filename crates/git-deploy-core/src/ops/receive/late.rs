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
use crate::sync::Unsaid;

/// The commits to whose notes nothing but such decisions comes. Where none does, as nearly always, nothing is read.
pub(super) fn decisions(receiver: &Receiver<'_>, push: &Push) -> Result<BTreeSet<CommitId>, GitError> {
    let mut found = BTreeSet::new();
    let Some(pushed) = &push.notes else { return Ok(found) };
    let changes = pushed.changes.iter().flatten();
    let mut asked: Vec<(CommitId, Note, Unsaid)> = changes
        .filter_map(|change| Some((change.commit, change.note_after()?.ok()?, change.decides_anew()?)))
        .collect();
    if asked.is_empty() || !pushed.forward {
        return Ok(found);
    }
    let notes = receiver.standing.notes(pushed.after)?;
    let is_before = |said: &Note| said.state != State::Deployed;
    for (commit, note, unsaid) in &mut asked {
        let said = approve::said_of(&notes, *commit, note)?;
        said.iter().filter(|said| is_before(said)).for_each(|said| unsaid.hear(said));
    }
    let is_said = |(commit, _, unsaid): &(CommitId, Note, Unsaid)| unsaid.is_empty().then_some(*commit);
    found.extend(asked.iter().filter_map(is_said));
    if found.len() == asked.len() {
        return Ok(found);
    }
    for (commit, blob) in notes.all()? {
        let bytes = receiver.repository.note_bytes(blob)?.ok();
        let Some(said) = bytes.and_then(|bytes| Note::parse(&bytes).ok()).filter(is_before) else { continue };
        let others = asked.iter_mut().filter(|(other, ..)| *other != commit);
        others.for_each(|(.., unsaid)| unsaid.hear(&said));
    }
    found.extend(asked.iter().filter_map(is_said));
    Ok(found)
}
