//! `git deploy-queue hold` and `release`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use git_deploy_cli::{
    CommandError, Exit, Shell, ShellObserver, Text, published, say_again, shell, typed_name,
};
use git_deploy_core::git::Repository;
use git_deploy_core::hold::QueueHold;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::hold::hold_queue;
use git_deploy_core::ops::set_state::{SetError, SetRequest, Wishes, set_state};
use git_deploy_core::ops::under_way::under_way;
use git_deploy_core::ops::view::View;
use git_deploy_core::state::State;

/// Holds branches, or the queue where none is named, for a reason; lets them go on where there is none.
pub(crate) fn hold(
    words: &[OsString],
    reason: Option<&str>,
    shell: &mut Shell,
) -> Result<Exit, CommandError> {
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        return Err(CommandError::usage("the reason says nothing").hint("say why: --reason=<text>"));
    }
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    match words.is_empty() {
        true => hold_all(&repository, reason, shell),
        false => hold_branches(&repository, words, reason, shell),
    }
}

fn hold_all(repository: &Repository, reason: Option<&str>, shell: &mut Shell) -> Result<Exit, CommandError> {
    let before = hold_queue(repository, reason, &ShellObserver::new(shell))?;
    match (reason, before) {
        (Some(reason), before) => {
            shell.status("Held", Text::from("the queue: ").plain(reason));
            before.iter().for_each(|before| shell.note(format!("it was held before {}", for_what(before))));
            // What cannot be read about that is told by whoever looks at the queue.
            for attempt in under_way(&View::new(repository)?).into_iter().flatten() {
                shell.note(format!(
                    "{} is under way: it goes on if it has begun to change anything",
                    attempt.id
                ));
            }
        }
        (None, Some(before)) => {
            shell.status("Released", Text::from(format!("the queue, which was held {}", for_what(&before))));
        }
        (None, None) => shell.note("the queue is not held"),
    }
    Ok(Exit::Done)
}

fn for_what(hold: &QueueHold) -> String {
    match hold.since {
        Some(since) => format!("by {} since {since}: {}", hold.by, hold.reason),
        None => hold.reason.clone(),
    }
}

fn hold_branches(
    repository: &Repository,
    words: &[OsString],
    reason: Option<&str>,
    shell: &mut Shell,
) -> Result<Exit, CommandError> {
    let view = View::new(repository)?;
    let named = |word: &OsString| Ok(view.named_branch(Some(typed_name(word)?))?);
    let branches = words.iter().map(named).collect::<Result<Vec<RefName>, CommandError>>()?;
    let request = SetRequest {
        state: State::Deployable,
        branches,
        message: None,
        wishes: Wishes { hold: Some(reason.map(|reason| reason.trim().to_owned())), ..Wishes::default() },
        stays: true,
    };
    let outcome = set_state(repository, &request, &ShellObserver::new(shell))
        .map_err(|error| refusal(error, &request))?;
    for change in &outcome.changes {
        let name = Text::new().styled(shell::NAME, change.branch.short());
        match reason {
            Some(reason) => shell.status("Held", name.plain(": ").plain(reason)),
            None => shell.status("Released", name),
        }
    }
    for (name, deployment) in &outcome.on_its_way {
        let name = name.short();
        shell.warn(format!("that comes too late for {deployment}, which is on its way with '{name}'"));
    }
    published(repository, outcome, shell)
}

fn refusal(error: SetError, request: &SetRequest) -> CommandError {
    let again = say_again(&error, request, &BTreeMap::new());
    let hints: &[&str] = match error {
        SetError::NotThere { .. } => &["only branches in the queue can be held"],
        // What would be left of the approval is a claim of somebody who may not approve.
        SetError::MayNotApprove { .. } | SetError::Approve(_) => &[
            "hold the whole queue with: git deploy-queue hold --reason=<text>",
            "or take the branch out of it with: git deploy-state set staged <branch>",
        ],
        _ => &[],
    };
    let error = again.into_iter().fold(CommandError::from(error), CommandError::hint);
    hints.iter().copied().fold(error, CommandError::hint)
}
