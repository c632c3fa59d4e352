//! `git deploy-state set`

use git_deploy_cli::args::Set;
use git_deploy_cli::{CommandError, Exit, Shell, ShellObserver, Text, push_again, shell};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::set_state::{Outcome, Publication, SetError, SetRequest, set_state};
use git_deploy_core::ops::view::View;

use crate::{describe, named};

/// Moves branches to another state, all of them or none.
pub(crate) fn set(arguments: Set, shell: &mut Shell) -> Result<Exit, CommandError> {
    // What is begun is ended: a state is set or it is not.
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    let branches = named(&View::new(&repository)?, &arguments.branches)?;
    let state = arguments.state;
    let request = SetRequest { state, branches, message: arguments.message, priority: arguments.priority };
    let outcome = match set_state(&repository, &request, &ShellObserver::new(shell)) {
        Err(error) => return Err(refusal(&repository, error)),
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
    published(outcome, shell)
}

/// What is new about a state that stays.
fn told_anew(request: &SetRequest) -> &'static str {
    match (&request.message, request.priority) {
        (Some(_), Some(_)) => ", with a new message and priority",
        (Some(_), None) => ", with a new message",
        (None, Some(_)) => ", with a new priority",
        (None, None) => ", decided anew",
    }
}

/// A branch that the remote has and that was mended here must get there, too.
fn refusal(repository: &Repository, error: SetError) -> CommandError {
    let next = match &error {
        SetError::Conflicts { branch, .. } => {
            View::new(repository).ok().and_then(|view| push_again(&view, branch).ok().flatten())
        }
        _ => None,
    };
    let error = CommandError::from(error);
    match next {
        Some(next) => error.hint(format!("and push it: {next}")),
        None => error,
    }
}

/// Says whether others can see it.
fn published(outcome: Outcome, shell: &mut Shell) -> Result<Exit, CommandError> {
    let is_changed = !outcome.changes.is_empty();
    match outcome.publication {
        Publication::NotNeeded => {}
        Publication::Done => shell.verbose(1, "published"),
        Publication::SwitchedOff if is_changed => {
            shell.note("not published: 'deploy.publish' is false");
            shell.hint("publish it with: git deploy-sync");
        }
        Publication::NotPushed(branches) if is_changed => {
            let names: Vec<&str> = branches.iter().map(RefName::short).collect();
            let subject = match names.as_slice() {
                [name] => format!("the last commit of '{name}' is"),
                names => format!("the last commits of '{}' are", names.join("', '")),
            };
            shell.note(format!("not published: {subject} not on the remote"));
            shell.hint("the state is published when the branch is pushed, or with: git deploy-sync");
        }
        Publication::SwitchedOff | Publication::NotPushed(_) => {}
        Publication::Failed(error) => {
            return Err(CommandError::from(error)
                .at(Exit::TryAgain)
                .context("the state is set, but could not be published")
                .hint("publish it later with: git deploy-sync"));
        }
    }
    Ok(Exit::Done)
}
