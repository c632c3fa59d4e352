//! `git deploy-state set`

use std::collections::BTreeMap;
use std::ffi::OsStr;

use git_deploy_cli::args::Set;
use git_deploy_cli::{
    Again, CommandError, Exit, Shell, ShellObserver, Text, published, push_again, put_upon, say_again, shell,
    shell_word, typed_name,
};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ids::{CommitId, DeploymentId, RefName};
use git_deploy_core::ops::set_state::{Change, SetError, SetRequest, Wished, Wishes, set_state};
use git_deploy_core::ops::under_way::under_way;
use git_deploy_core::ops::view::{View, ViewError, named_branches};
use git_deploy_core::state::State;

use crate::{describe, differs, words};

/// Moves branches to another state, all of them or none.
pub(crate) fn set(arguments: Set, shell: &mut Shell) -> Result<Exit, CommandError> {
    // What is begun is ended: a state is set or it is not.
    let interrupt = git_deploy_cli::interrupt_soon()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    let branches = named_branches(&repository, &words(&arguments.branches)?)?;
    let state = arguments.state;
    // One that says nothing takes away what was said: it is not written.
    let message =
        arguments.message.map(|message| if message.trim().is_empty() { String::new() } else { message });
    let after = arguments.after.as_ref().map(|word| wished_before(&repository, word)).transpose()?;
    let hold = arguments.hold.map(|why| Some(why.trim().to_owned()).filter(|why| !why.is_empty()));
    if state == State::Development && matches!(hold, Some(Some(_))) {
        return Err(CommandError::usage(
            "a branch in development is not deployed anyway: --hold goes with deployable or staged",
        ));
    }
    let wishes = Wishes { priority: arguments.priority, after, hold };
    let request = SetRequest { state, branches, message, wishes, stays: false };
    let outcome = match set_state(&repository, &request, &ShellObserver::new(shell)) {
        Err(error) => return Err(refusal(&repository, &request, error)),
        Ok(outcome) => outcome,
    };
    let is_any_rebased = outcome.changes.iter().any(|change| change.to.is_rebased());
    let view = is_any_rebased.then(|| View::new(&repository).ok()).flatten();
    for change in &outcome.changes {
        let name = Text::new().styled(shell::NAME, change.branch.short()).plain(": ");
        let text = match change.from == change.to {
            true => name.plain("still ").joined(describe::state(change.to)).plain(told_anew(&request)),
            false => {
                let name = name.joined(describe::state(change.from)).plain(" -> ");
                name.joined(describe::state(change.to)).plain(told_hold(view.as_ref(), change))
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
    if !outcome.on_its_way.is_empty() {
        told_how_it_ends(&View::new(&repository)?, &outcome.on_its_way, shell)?;
    }
    told_unapproved(&outcome.unapproved, shell);
    for (name, there) in &outcome.passed_holds {
        shell.note(format!("'{}' does not wait, though {there}", name.short()));
        let (why, name) =
            (shell_word(there.wished.hold.as_deref().unwrap_or_default()), shell_word(name.short()));
        shell.hint(format!("to hold it again: git deploy-queue hold --reason={why} {name}"));
    }
    for (name, taken) in &outcome.beheaded {
        let (name, base, by) = (name.short(), taken.base.short(), taken.reverts());
        let much = if taken.is_whole { "them" } else { "some of them" };
        shell.warn(format!(
            "only the newer commits of '{name}' are to be deployed: '{base}' has had the others, and has taken {much} back with {by}"
        ));
    }
    if !outcome.already.is_empty() {
        told_already(&View::new(&repository)?, &outcome.already, state, shell)?;
    }
    // A withdrawal reaches what counts, wherever that is.
    if state.is_rebased() {
        let view = View::new(&repository)?;
        for name in outcome.changes.iter().map(|change| &change.branch).chain(&outcome.already) {
            differs::note_one(&view, &view.listed_branch(name)?.0, differs::Asked::ToSet, shell)?;
        }
    }
    published(&repository, outcome, shell)
}

/// Says of branches that they wait for their approval again, which was for one that has left, too.
fn told_unapproved(unapproved: &[RefName], shell: &mut Shell) {
    for branch in unapproved {
        shell.warn(format!(
            "'{}' is not approved any more, and waits: what was signed was for the other branch, too",
            branch.short()
        ));
    }
    let names: Vec<String> = unapproved.iter().map(|branch| shell_word(branch.short())).collect();
    if !names.is_empty() {
        shell.hint(format!(
            "who may approve does it again with: git deploy-state set deployable {}",
            names.join(" ")
        ));
    }
}

/// Says of branches that nothing had to be written about them, and why one of them does not move all the same.
fn told_already(
    view: &View<'_>,
    already: &[RefName],
    state: State,
    shell: &mut Shell,
) -> Result<(), CommandError> {
    for name in already {
        let text = format!("'{}' is {state} already", name.short());
        match view.listed_branch(name)?.0.hold() {
            Some(why) => {
                shell.note(format!("{text}, and on hold: {why}"));
                let word = shell_word(name.short());
                shell.hint(format!("have it deployed in its turn with: git deploy-queue release {word}"));
            }
            None => shell.note(text),
        }
    }
    Ok(())
}

/// The branch that a word names which has to be deployed before; none for a word that names nothing.
fn wished_before(repository: &Repository, word: &OsStr) -> Result<Option<RefName>, CommandError> {
    if word.is_empty() {
        return Ok(None);
    }
    let view = View::new(repository)?;
    let name = view.named_branch(Some(typed_name(word)?))?;
    if name == view.settings.base {
        return Err(CommandError::no(format!(
            "cannot deploy after '{}': it is the base that branches land on, and nothing lands after that",
            name.short()
        ))
        .hint("name a branch that is to be deployed before"));
    }
    // One that is not there would be waited for by nobody.
    match view.branch_tip(&name)? {
        Some(_) => Ok(Some(name)),
        None => Err(ViewError::NoBranch(name).into()),
    }
}

/// That a branch is not to be deployed just now, whatever it was set to.
fn told_hold(view: Option<&View<'_>>, change: &Change) -> String {
    let held = || view?.listed_branch(&change.branch).ok()?.0.hold().map(str::to_owned);
    // What its developer keeps is not deployed anyway.
    let why = if change.to.is_rebased() { held() } else { None };
    why.map(|why| format!(", on hold: {why}")).unwrap_or_default()
}

/// What is new about a state that stays.
fn told_anew(request: &SetRequest) -> String {
    let message = request.message.as_deref().map(|message| match message.is_empty() {
        true => "without a message".to_owned(),
        false => "with a new message".to_owned(),
    });
    let priority = request.wishes.priority.map(|_| "with a new priority".to_owned());
    let after = request.wishes.after.as_ref().map(|after| match after {
        Some(after) => format!("after '{}'", after.short()),
        None => "after no other branch".to_owned(),
    });
    let hold = request.wishes.hold.as_ref().map(|why| match why {
        Some(why) => format!("on hold: {why}"),
        None => "on hold no more".to_owned(),
    });
    let told: Vec<String> = [message, priority, after, hold].into_iter().flatten().collect();
    match told.is_empty() {
        true => ", decided anew".to_owned(),
        false => format!(", {}", told.join(", ")),
    }
}

/// Says how a deployment ends that a withdrawal came too late for.
fn told_how_it_ends(
    view: &View<'_>,
    on_its_way: &[(RefName, DeploymentId)],
    shell: &mut Shell,
) -> Result<(), CommandError> {
    if view.rules()?.is_some() {
        shell.hint(
            "that is so for a run that is at work; one that was stopped goes no further: git deploy --abort",
        );
        return Ok(());
    }
    // What cannot be read about that is told by whoever looks at the queue.
    let under_way = under_way(view).unwrap_or_default();
    if under_way.iter().any(|attempt| on_its_way.iter().any(|(_, id)| *id == attempt.id)) {
        shell.hint("it ends when it has landed or failed; to end it before that, stop the run that is at work, then: git deploy --abort");
    }
    Ok(())
}

/// A branch that the remote has and that was mended here must get there, too.
fn refusal(repository: &Repository, request: &SetRequest, error: SetError) -> CommandError {
    let again = |branch| {
        let view = View::new(repository).ok()?;
        let mend = put_upon(&view.settings.authority(&view.settings.base), branch);
        Some((push_again(&view, branch).ok()??, mend))
    };
    let say_again = say_again(&error, request, &wished(repository, &error));
    let next: Vec<(Again, String)> = error.for_hands().into_iter().filter_map(again).collect();
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
    let error = next.into_iter().fold(error, |error, (next, mend)| match next {
        Again::Push(push) => error.hint(format!("and push it: {push}")),
        Again::First(first) => error.hint(format!("but first: {first}")),
        Again::Instead(instead) => error.hint_instead(&mend, instead),
    });
    say_again.into_iter().fold(error, CommandError::hint)
}

/// What was wished for branches that have to become other commits first.
fn wished(repository: &Repository, error: &SetError) -> BTreeMap<RefName, Wished> {
    let Ok(view) = View::new(repository) else { return BTreeMap::new() };
    let of_one = |branch: &RefName| {
        let note = view.listed_branch(branch).ok()?.0.note?;
        let wished = Wished::of(&view, &note).ok().filter(|wished| *wished != Wished::default())?;
        Some((branch.clone(), wished))
    };
    error.for_hands().into_iter().filter_map(of_one).collect()
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
