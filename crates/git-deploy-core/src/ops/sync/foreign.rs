//! Files in the place of states: the ref that holds those was led to another commit, and all clones would get what is there.

use super::SyncError;
use crate::git::object::TreeEntry;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;

/// Refuses what is no note in our states where the remote's have none of that name.
pub(super) fn refuse(
    repository: &Repository,
    ours: CommitId,
    theirs: Option<CommitId>,
) -> Result<(), SyncError> {
    let found = foreign(repository, ours)?;
    if found.is_empty() {
        return Ok(());
    }
    let known = theirs.map_or_else(|| Ok(Vec::new()), |theirs| foreign(repository, theirs))?;
    match found.into_iter().find(|name| !known.contains(name)) {
        Some(name) => Err(SyncError::NoStates { path: String::from_utf8_lossy(&name).into_owned() }),
        None => Ok(()),
    }
}

/// The names at the top of a tree of notes that are none: notes stand under object ids, taken apart after each second digit.
fn foreign(repository: &Repository, notes: CommitId) -> Result<Vec<Vec<u8>>, GitError> {
    let entries = repository.tree(repository.commit(notes)?.tree)?;
    let is_note = |entry: &TreeEntry| {
        let name = String::from_utf8_lossy(&entry.name);
        match entry.is_folder() {
            true => name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
            false => name.parse::<CommitId>().is_ok(),
        }
    };
    Ok(entries.into_iter().filter(|entry| !is_note(entry)).map(|entry| entry.name).collect())
}
