//! An object that the history of our states names, and that is lost here, as after a loss of power: git can send nothing that leads
//! to it.

use std::fmt;

use super::SyncError;
use crate::git::notes::NOTES_REF;
use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};
use crate::ops::view::View;

/// What is lost, and what is to go on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The first that was found.
    pub object: ObjectId,
    /// The commit whose note that is still.
    pub noted: Option<CommitId>,
    /// The states that the remote has, which ours continue.
    pub theirs: Option<CommitId>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot publish '{NOTES_REF}': object '{}' in its history is lost", self.object)
    }
}

/// # Errors
/// When something that has to be pushed is lost.
pub(super) fn find(
    repository: &Repository,
    ours: CommitId,
    theirs: Option<CommitId>,
) -> Result<(), SyncError> {
    // What a partial clone has left behind is not lost.
    if View::new(repository).is_ok_and(|view| view.lacks_objects().unwrap_or(true)) {
        return Ok(());
    }
    let call = git(["rev-list", "--objects", "--missing=print", "--no-object-names"]);
    let call = call.arg(ours.to_string()).args(theirs.map(|theirs| format!("^{theirs}"))).arg("--");
    // Where git itself cannot say, the push has said why.
    let Ok(printed) = call.text() else { return Ok(()) };
    let mut lost = printed.lines().filter_map(|line| line.strip_prefix('?')?.parse::<ObjectId>().ok());
    let Some(object) = lost.next() else { return Ok(()) };
    let noted = noted(repository, ours, object)?;
    Err(SyncError::Lost(Box::new(Lost { object, noted, theirs })))
}

/// The commit whose note an object is.
fn noted(repository: &Repository, ours: CommitId, object: ObjectId) -> Result<Option<CommitId>, GitError> {
    let notes = repository.notes_at(Some(ours))?.all()?;
    Ok(notes.into_iter().find(|(_, blob)| blob.holds(object)).map(|(commit, _)| commit))
}
