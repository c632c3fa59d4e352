//! What several commands say about the remote that counts.

use git_deploy_core::ids::RefName;
use git_deploy_core::ops::fetched::{remote_of, unmerged};
use git_deploy_core::ops::view::View;

use crate::{CommandError, Shell, shell_word};

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

/// How a branch that was rebased by hand gets to the remote, if that has it.
///
/// # Errors
/// When refs cannot be read.
pub fn push_again(view: &View<'_>, branch: &RefName) -> Result<Option<String>, CommandError> {
    let command = |remote: &str| {
        format!("git push --force-with-lease {} {}", shell_word(remote), shell_word(branch.short()))
    };
    Ok(remote_of(view, branch)?.map(|tracking| command(tracking.remote())))
}
