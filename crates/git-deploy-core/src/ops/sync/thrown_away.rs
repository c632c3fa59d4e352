//! States that a `git fetch` has thrown away: where a refspec lets it write over ours, those go that were not published yet. The
//! reflog has them still.

use super::{SyncError, merge};
use crate::git::Repository;
use crate::git::notes::{NOTES_REF, notes_ref};
use crate::git::push::Tracking;
use crate::ids::CommitId;
use crate::ops::Observer;
use crate::ops::fetched::overwriting;

/// How many moves of the notes ref are looked through: whoever fetches so is told of it each time.
const MOVES: u8 = 50;

/// Merges back what was thrown away, and tells that.
///
/// # Errors
/// When notes cannot be read or written.
pub(super) fn take_back(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    if overwriting(repository, tracking)?.is_none() {
        return Ok(());
    }
    let Some(tip) = repository.tip(&notes_ref())? else { return Ok(()) };
    let mut is_back = false;
    for lost in thrown_away(repository)? {
        if repository.commit(lost).is_ok() && !repository.is_ancestor(lost, tip)? {
            is_back |= merge(repository, tracking, lost)?;
        }
    }
    if is_back {
        observer.note("what 'git fetch' had thrown away of the states here is merged back");
    }
    Ok(())
}

/// Where the notes ref stood when a fetch moved it, as its reflog says.
fn thrown_away(repository: &Repository) -> Result<Vec<CommitId>, SyncError> {
    let moves = repository.reflog(NOTES_REF, MOVES)?;
    let by_fetch = moves.windows(2).filter(|pair| pair[0].1.starts_with("fetch"));
    Ok(by_fetch.map(|pair| pair[1].0).collect())
}
