//! `git deploy-state set`

use git_deploy_cli::args::Set;
use git_deploy_cli::{
    CommandError, Exit, Shell, ShellObserver, Text, name_remote, push_again, remotes_in_words, shell,
};
use git_deploy_core::config::{NoRemote, counting_remote};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ids::{CommitId, RefName};
use git_deploy_core::ops::set_state::{Outcome, Publication, SetError, SetRequest, set_state};
use git_deploy_core::ops::sync::{SyncError, broken_as_fetched};
use git_deploy_core::ops::view::{View, ViewError};

use crate::{describe, named};

/// Moves branches to another state, all of them or none.
pub(crate) fn set(arguments: Set, shell: &mut Shell) -> Result<Exit, CommandError> {
    // What is begun is ended: a state is set or it is not.
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    let branches = named(&View::new(&repository)?, &arguments.branches)?;
    let state = arguments.state;
    // One that says nothing takes away what was said: it is not written.
    let message =
        arguments.message.map(|message| if message.trim().is_empty() { String::new() } else { message });
    let request = SetRequest { state, branches, message, priority: arguments.priority };
    let outcome = match set_state(&repository, &request, &ShellObserver::new(shell)) {
        Err(error) => return Err(refusal(&repository, &request, error)),
        Ok(outcome) => outcome,
    };
    for change in &outcome.changes {
        let name = Text::new().styled(shell::NAME, change.branch.short()).plain(": ");
        let text = match change.from == change.to {
            true => name.plain("still ").joined(describe::state(change.to)).plain(told_anew(&request)),
            false => {
                name.joined(describe::state(change.from)).plain(" -> ").joined(describe::state(change.to))
            }
        };
        shell.status("Set", text);
    }
    for (name, deployment) in &outcome.on_its_way {
        shell.warn(format!(
            "that comes too late for {deployment}, which is on its way with '{}'",
            name.short()
        ));
    }
    for name in &outcome.already {
        shell.note(format!("'{}' is {state} already", name.short()));
    }
    published(&repository, outcome, shell)
}

/// What is new about a state that stays.
fn told_anew(request: &SetRequest) -> &'static str {
    match (&request.message, request.priority) {
        (Some(message), None) if message.is_empty() => ", without a message",
        (Some(message), Some(_)) if message.is_empty() => ", without a message, with a new priority",
        (Some(_), Some(_)) => ", with a new message and priority",
        (Some(_), None) => ", with a new message",
        (None, Some(_)) => ", with a new priority",
        (None, None) => ", decided anew",
    }
}

/// A branch that the remote has and that was mended here must get there, too.
fn refusal(repository: &Repository, request: &SetRequest, error: SetError) -> CommandError {
    let next = match &error {
        SetError::Conflicts { branch, .. } => {
            View::new(repository).ok().and_then(|view| push_again(&view, branch).ok().flatten())
        }
        _ => None,
    };
    let unreadable = match &error {
        SetError::View(ViewError::Notes(NotesError::Note { commit, .. }))
        | SetError::Notes(NotesError::Note { commit, .. }) => whose(repository, request, *commit),
        _ => None,
    };
    let mut error = CommandError::from(error);
    if let Some(branch) = unreadable {
        // Nobody knows what would be lost by writing over it.
        error = error.context(format!("cannot set '{}' to {}", branch.short(), request.state));
    }
    match next {
        Some(next) => error.hint(format!("and push it: {next}")),
        None => error,
    }
}

/// The branch of a request that stands on a commit, here or where it counts.
fn whose(repository: &Repository, request: &SetRequest, commit: CommitId) -> Option<RefName> {
    let view = View::new(repository).ok()?;
    let mut branches = request.branches.iter();
    let is_on = |branch: &RefName| {
        let places = [branch.clone(), view.settings.authority(branch)];
        places.iter().any(|place| repository.tip(place).ok().flatten() == Some(commit))
    };
    branches.find(|branch| is_on(branch)).cloned()
}

/// Says whether others can see it.
fn published(repository: &Repository, outcome: Outcome, shell: &mut Shell) -> Result<Exit, CommandError> {
    let is_changed = !outcome.changes.is_empty();
    match outcome.publication {
        Publication::NotNeeded if is_changed => {
            // Whoever has remotes and no word on which counts does not know that nobody else hears of it.
            if let Err(why @ NoRemote::Several) = counting_remote(repository)? {
                let remotes = remotes_in_words(repository)?;
                shell.note(format!("not published: none of the remotes {remotes} counts"));
                shell.hint(name_remote(why));
            }
        }
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
    let remote = View::new(repository)?.settings.remote;
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
