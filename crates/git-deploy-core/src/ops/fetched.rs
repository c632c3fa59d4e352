//! What is known of the remote that counts without asking it.

use crate::git::GitError;
use crate::git::push::Tracking;
use crate::ids::RefName;
use crate::ops::sync;
use crate::ops::view::View;

/// The remote whose states were fetched and are not merged into ours, if there is one.
///
/// # Errors
/// When refs or their history cannot be read.
pub fn unmerged<'v>(view: &'v View<'_>) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let Some(theirs) = sync::fetched_notes(view.repository, tracking)? else { return Ok(None) };
    let is_merged = match view.notes.commit {
        // Mostly they are the same, and then nothing else is read.
        Some(ours) => ours == theirs || view.repository.is_ancestor(theirs, ours)?,
        None => false,
    };
    Ok((!is_merged).then_some(tracking))
}

/// The remote that was never asked for its states, if that is so: then what is decided there looks as if nobody had.
///
/// # Errors
/// When refs cannot be read.
pub fn never_fetched<'v>(view: &'v View<'_>) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    Ok((!sync::was_asked(view.repository, tracking)?).then_some(tracking))
}

/// The remote that has a branch of this name, if it had one when it was last fetched.
///
/// # Errors
/// When refs cannot be read.
pub fn remote_of<'v>(view: &'v View<'_>, branch: &RefName) -> Result<Option<&'v Tracking>, GitError> {
    let Some(tracking) = &view.settings.remote else { return Ok(None) };
    let there = tracking.of(branch).map_or(Ok(None), |name| view.repository.tip(&name))?;
    Ok(there.map(|_| tracking))
}
