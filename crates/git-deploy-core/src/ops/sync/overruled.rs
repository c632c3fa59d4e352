//! Who decided something that a merge of notes has not let hold is told so: nothing else would show it.

use std::collections::BTreeSet;

use super::SyncError;
use crate::git::Repository;
use crate::git::notes::notes_ref;
use crate::ids::{CommitId, ObjectId, RefName};
use crate::note::Note;
use crate::ops::Observer;
use crate::ops::history::differences;
use crate::sync::active;

/// Tells the user of own decisions that hold no more since our notes stood on `before`, because somebody decided more
/// carefully who had not seen them.
///
/// # Errors
/// When notes cannot be read.
pub(super) fn tell(
    repository: &Repository,
    before: Option<CommitId>,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    let (Some(before), Some(after)) = (before, repository.tip(&notes_ref())?) else { return Ok(()) };
    if before == after {
        return Ok(());
    }
    // Who has no name has decided nothing.
    let Ok(identity) = repository.identity() else { return Ok(()) };
    let who = identity.who().to_owned();
    let tree = |commit| repository.commit(commit).map(|commit| Some(commit.tree));
    let note = |blob: Option<ObjectId>| match blob.map(|blob| repository.note_bytes(blob)).transpose() {
        Ok(bytes) => Ok(bytes.and_then(Result::ok).and_then(|bytes| Note::parse(&bytes).ok())),
        Err(error) => Err(error),
    };
    let mut told = BTreeSet::new();
    for (old, new) in differences(repository, tree(before)?, tree(after)?)?.into_values() {
        let Some(old) = note(old)?.filter(|old| old.by.as_ref() == Some(&who)) else { continue };
        let Some(new) = note(new)? else { continue };
        for branch in withdrawn(&old, &new) {
            // The same stands in the notes on all commits of a line.
            if told.insert(branch.clone()) {
                let by = new.by.as_deref().unwrap_or("somebody");
                let by = by.split_once(" <").map_or(by, |(name, _)| name);
                let why = new.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                observer.note(&format!("'{}' was set to {} by {by}{why}", branch.short(), new.state));
            }
        }
    }
    Ok(())
}

/// The branches whose decision stands now beside one that did not see it and is more careful.
fn withdrawn<'n>(old: &'n Note, new: &'n Note) -> impl Iterator<Item = &'n RefName> {
    let stands = old.beside.is_empty()
        && active(old).iter().all(|(id, _)| active(new).iter().any(|(other, _)| other == id));
    let is_less = new.decision() > old.decision();
    old.refs.iter().filter(move |name| stands && (is_less || !new.refs.contains(name)))
}
