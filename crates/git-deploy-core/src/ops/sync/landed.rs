//! Taking back what landed. Nothing leaves deployed; a note that somebody removed, or wrote over, after it came from the
//! remote is in our history alone, where no merge finds it, and a server would take none of our notes any more.

use std::collections::BTreeMap;

use super::SyncError;
use crate::git::notes::{Notes, NotesEdit};
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::note::Note;
use crate::ops::receive::changed_notes;
use crate::state::State;
use crate::sync::{self, NoteTexts};

/// Writes what the remote's notes, which ours contain, say of what landed, and ours no longer do. Returns whether there was
/// anything.
///
/// # Errors
/// When notes cannot be read or written.
pub(super) fn take_back(
    repository: &Repository,
    tracking: &Tracking,
    theirs: CommitId,
) -> Result<bool, SyncError> {
    if lost(repository, &repository.notes()?, theirs)?.is_empty() {
        return Ok(false);
    }
    let message = format!("take back from {} what has landed", tracking.remote());
    repository.write_notes(&repository.identity()?, |notes| -> Result<NotesEdit, SyncError> {
        let mut edit = NotesEdit { message: message.clone(), ..NotesEdit::default() };
        edit.edits
            .extend(lost(repository, notes, theirs)?.into_iter().map(|(commit, text)| (commit, Some(text))));
        Ok(edit)
    })?;
    Ok(true)
}

/// The notes that have to be written.
fn lost(repository: &Repository, ours: &Notes<'_>, theirs: CommitId) -> Result<NoteTexts, GitError> {
    let (Some(tree), theirs) = (ours.tree(), repository.commit(theirs)?.tree) else {
        return Ok(NoteTexts::new());
    };
    // What is no tree of notes is somebody else's to mend.
    let changes = changed_notes::changes(repository, Some(theirs), tree)?.unwrap_or_default();
    let (mut here, mut there) = (BTreeMap::new(), BTreeMap::new());
    for change in changes {
        let Some(landed) = change.note_before().filter(|note| note.state == State::Deployed) else {
            continue;
        };
        if change.note_after().is_some_and(|note| note.is_ok_and(|note| sync::keeps_verdict(&landed, &note)))
        {
            continue;
        }
        // Whoever wrote over it had seen the landing: what that would decide comes too late.
        let said = change.note_after().and_then(Result::ok).map(undecided);
        here.extend(said.map(|note| (change.commit, note.to_string().into_bytes())));
        there.extend(change.before.and_then(Result::ok).map(|text| (change.commit, text)));
    }
    Ok(sync::missing(&here, &there))
}

/// What a note says besides decisions.
fn undecided(note: Note) -> Note {
    let Note { deployment, result, images, unknown, .. } = note;
    Note { deployment, result, images, unknown, ..Note::new(State::Development) }
}
