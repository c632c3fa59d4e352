//! Whether others can see what was decided.

use git_deploy_core::config::{Settings, counting_remote};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::set_state::{Outcome, Publication};
use git_deploy_core::ops::sync::{SyncError, broken_as_fetched};

use crate::{CommandError, Exit, Shell, note_no_remote, warn_of_refspec};

/// Says whether others can see it.
///
/// # Errors
/// When they cannot, or that could not be found out.
pub fn published(repository: &Repository, outcome: Outcome, shell: &mut Shell) -> Result<Exit, CommandError> {
    let is_changed = !outcome.changes.is_empty();
    warn_of_refspec(repository, counting_remote(repository)?.ok().as_ref(), shell)?;
    note_no_remote(repository, shell);
    match outcome.publication {
        Publication::Done => shell.verbose(1, "published"),
        Publication::SwitchedOff if is_changed => {
            shell.note("not published: 'deploy.publish' is false");
            hint_to_publish(repository, "publish it with: git deploy-sync", shell)?;
        }
        Publication::NotPushed(branches) if is_changed => {
            let names: Vec<&str> = branches.iter().map(RefName::short).collect();
            let subject = match names.as_slice() {
                [name] => format!("the last commit of '{name}' is"),
                names => format!("the last commits of '{}' are", names.join("', '")),
            };
            shell.note(format!("not published: {subject} not on the remote"));
            let when_pushed = "the state is published when the branch is pushed, or with: git deploy-sync";
            hint_to_publish(repository, when_pushed, shell)?;
        }
        Publication::NotNeeded | Publication::SwitchedOff | Publication::NotPushed(_) => {}
        Publication::Failed(error) => {
            // Where the remote's states were set back, what to do about that comes first, and publishes it.
            let later =
                (!matches!(error, SyncError::Broken(_))).then_some("publish it later with: git deploy-sync");
            let error = CommandError::from(error)
                .at(Exit::TryAgain)
                .context("the state is set, but could not be published");
            return Err(later.into_iter().fold(error, CommandError::hint));
        }
    }
    Ok(Exit::Done)
}

/// Says how the state gets to the remote, also where that takes more because its states were set back meanwhile.
fn hint_to_publish(repository: &Repository, usual: &str, shell: &mut Shell) -> Result<(), CommandError> {
    let remote = Settings::read(repository)?.remote;
    let broken = remote.map_or(Ok(None), |tracking| broken_as_fetched(repository, &tracking))?;
    let Some(broken) = broken else {
        shell.hint(usual);
        return Ok(());
    };
    let error = CommandError::from(SyncError::Broken(Box::new(broken)));
    shell.warn(error.message());
    error.hints().iter().for_each(|hint| shell.hint(hint));
    Ok(())
}
