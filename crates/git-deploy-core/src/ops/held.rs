//! Who holds a branch. Its note says why, and who made it deployable; who made it wait is whoever wrote that into the notes.

use jiff::Timestamp;

use crate::branch::Branch;
use crate::git::GitError;
use crate::git::notes::NotesError;
use crate::ids::CommitId;
use crate::note::Note;
use crate::ops::history::{seconds, who};
use crate::ops::view::View;

/// How many actions are gone back to find out who it was.
const FAR: usize = 5000;

/// Who holds a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Their name and address.
    pub by: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Who wrote the hold that stands in a branch's note, as the history of the notes has it: of that note, or of the one that a
/// rebase has made it from. None where it is not held, or history does not go so far back.
///
/// # Errors
/// When that history cannot be read.
pub fn holder(view: &View<'_>, branch: &Branch) -> Result<Option<Holder>, GitError> {
    let (Some(hold), Some(mut at), Some(mut note)) = (branch.hold(), view.notes.commit, branch.note.clone())
    else {
        return Ok(None);
    };
    let mut on = branch.tip;
    for _ in 0..FAR {
        let action = match view.repository.commit(at) {
            Err(GitError::Missing { shallow: true, .. }) => return Ok(None),
            action => action?,
        };
        let mut earlier = None;
        for parent in &action.parents {
            earlier = earlier.or(held_before(view, *parent, [Some(on), note.rebased_from], hold)?);
        }
        match earlier {
            Some(earlier) => (at, on, note) = earlier,
            None => {
                let since = Timestamp::from_second(seconds(&action)).ok();
                return Ok(Some(Holder { by: who(&action), since }));
            }
        }
    }
    Ok(None)
}

/// Where it was held before an action: the action before that, the commit, and its note.
fn held_before(
    view: &View<'_>,
    parent: CommitId,
    commits: [Option<CommitId>; 2],
    hold: &str,
) -> Result<Option<(CommitId, CommitId, Note)>, GitError> {
    let notes = match view.repository.notes_at(Some(parent)) {
        Err(GitError::Missing { shallow: true, .. }) => return Ok(None),
        notes => notes?,
    };
    for commit in commits.into_iter().flatten() {
        let note = match notes.get(commit) {
            Ok(note) => note,
            // What could not be read held nothing.
            Err(NotesError::Git(error)) => return Err(error),
            Err(NotesError::Note { .. } | NotesError::TooLarge { .. } | NotesError::Contended) => None,
        };
        if let Some(note) = note.filter(|note| note.hold.as_deref() == Some(hold)) {
            return Ok(Some((parent, commit, note)));
        }
    }
    Ok(None)
}
