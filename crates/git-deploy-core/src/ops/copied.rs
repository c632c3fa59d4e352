//! Notes that stand on another commit than the one that was decided about, where nothing has led from the one to the other:
//! git copies them so where `notes.rewriteRef` says it, whatever has changed in between. They count for nothing.
//!
//! What git-deploy writes shows that: it says on which commit it was decided, or, of what a rebase made, which commit that is.
//! What people write need not say either.

use crate::git::notes::{Notes, NotesError};
use crate::ids::CommitId;
use crate::note::{Note, NoteError};
use crate::sync::is_one_line;

/// What is wrong with a note that was made for another commit.
///
/// What a rebase makes says where it comes from, and what it is; what stands on the commit that a line of rebases began with
/// was decided about a commit of that line.
///
/// # Errors
/// When notes cannot be read.
pub(super) fn fault(
    notes: &Notes<'_>,
    commit: CommitId,
    note: &Note,
) -> Result<Option<NotesError>, NotesError> {
    let made_for = |other| NotesError::Note { commit, error: NoteError::Copied(other) };
    if let Some(other) = note.copied_from(commit) {
        return Ok(Some(made_for(other)));
    }
    let Some(approved) = note.approved.filter(|at| *at != commit && note.rebased_from.is_none()) else {
        return Ok(None);
    };
    let there = match notes.get(approved) {
        Err(NotesError::Note { .. }) => None,
        there => there?,
    };
    let is_ours = there.is_some_and(|there| is_one_line((commit, note), (approved, &there)));
    Ok((!is_ours).then(|| made_for(approved)))
}

/// The note that was read on a commit.
///
/// # Errors
/// When it was made for another one; when notes cannot be read.
pub(super) fn checked(
    notes: &Notes<'_>,
    commit: CommitId,
    note: Option<Note>,
) -> Result<Option<Note>, NotesError> {
    let fault = note.as_ref().map_or(Ok(None), |note| fault(notes, commit, note))?;
    fault.map_or(Ok(note), Err)
}

/// The note on a commit; none where that was made for another one.
///
/// # Errors
/// When notes cannot be read.
pub(super) fn own_note(notes: &Notes<'_>, commit: CommitId) -> Result<Option<Note>, NotesError> {
    let Some(note) = notes.get(commit)? else { return Ok(None) };
    Ok(fault(notes, commit, &note)?.is_none().then_some(note))
}
