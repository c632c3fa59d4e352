//! What several commands say about states that were fetched.

use git_deploy_core::ops::fetched::unmerged;
use git_deploy_core::ops::view::View;

use crate::{CommandError, Shell};

/// Says so where a plain `git fetch` brought states that do not count here yet.
///
/// # Errors
/// When refs cannot be read.
pub fn note_unmerged(view: &View<'_>, shell: &mut Shell) -> Result<(), CommandError> {
    if let Some(tracking) = unmerged(view)? {
        let remote = tracking.remote();
        shell.note(format!("states of '{remote}' were fetched and are not merged: git deploy-sync"));
    }
    Ok(())
}
