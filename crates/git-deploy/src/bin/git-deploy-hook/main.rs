//! `git deploy-hook`: what the hook scripts call.
//!
//! A hook runs within somebody else's command. What goes wrong in here is told and stops nothing; pre-push answers no only
//! to a deployment tag that would be moved or deleted, and to what would take away what all clones share. On a server it is the other
//! way round: pre-receive takes nothing that it cannot judge.

mod received;
mod told;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Read;
use std::process::ExitCode;

use git_deploy_cli::args::Hook;
use git_deploy_cli::{CommandError, Exit, Shell, run};
use git_deploy_core::git::Repository;
use git_deploy_core::git::push::WITHIN;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::carry::{self, Action};
use git_deploy_core::ops::hooks::{self, HookError, KNOWN_HOOKS, PushedRef, TagChange};
use git_deploy_core::ops::receive::receive;
use git_deploy_core::ops::sync::Differing;
use git_deploy_image::without_credentials;

fn main() -> ExitCode {
    run(|arguments: Hook, shell| {
        // Whoever pushes could say of any push that it is one of ours.
        if arguments.hook == "pre-receive" {
            return pre_receive(shell);
        }
        // A push or merge of our own: whoever makes it has seen to everything.
        if std::env::var_os(WITHIN).is_some() {
            return Ok(Exit::Done);
        }
        match arguments.hook.as_str() {
            "pre-push" => pre_push(&arguments.arguments, shell),
            "post-merge" => Ok(post_merge(shell)),
            "post-rewrite" => post_rewrite(&arguments.arguments, shell),
            "post-commit" => Ok(post_commit(shell)),
            name if KNOWN_HOOKS.contains(&name) => Ok(Exit::Done),
            name => Err(CommandError::usage(format!("git has no hook '{name}'"))
                .hint("git-deploy does something in pre-push, post-merge, post-rewrite, post-commit and pre-receive")),
        }
    })
}

fn pre_push(arguments: &[OsString], shell: &mut Shell) -> Result<Exit, CommandError> {
    let Some(remote) = arguments.first() else {
        return Err(CommandError::usage(
            "pre-push needs the name of the remote, as git gives it to the hook",
        )
        .hint("in a hook: git-deploy-hook pre-push \"$@\""));
    };
    let Some(input) = input("what is pushed", shell) else { return Ok(Exit::Done) };
    let pushed = hooks::pushed_refs(&input);
    let remote = remote.to_string_lossy();
    // A password that somebody pushes with is nothing for a log.
    let named = without_credentials(&remote);
    let changed = hooks::changed_tags(&pushed);
    if !changed.is_empty() {
        return Err(told::refusal(&named, &changed, &differing(&remote, &changed)));
    }
    let deleted = hooks::deleted_records(&pushed);
    if !deleted.is_empty() {
        return Err(told::refused_deletion(&named, &deleted));
    }
    let to: Vec<Cow<'_, str>> = arguments.iter().take(2).map(|word| word.to_string_lossy()).collect();
    let to: Vec<&str> = to.iter().map(|word| &**word).collect();
    // What cannot be found out of that is told below.
    if hooks::is_mirror(&to, &pushed).unwrap_or(false) {
        return Err(told::refused_mirror(&named));
    }
    match look_and_publish(&to, &pushed, shell) {
        Ok(true) => return Err(told::refused_states(&named)),
        Ok(false) => {}
        Err(error) => {
            told::failure("git-deploy cannot look at this push", error, shell);
            // What is configured wrongly lets nobody take anything out.
            let goes_on = Repository::open().and_then(|repository| hooks::goes_on(&repository, &pushed));
            if goes_on.is_ok_and(|goes_on| goes_on == Some(false)) {
                return Err(told::refused_states(&named));
            }
        }
    }
    Ok(Exit::Done)
}

/// How tags of ours that would be moved on a remote stand to those that it has. What cannot be found out is not told.
fn differing(remote: &str, changed: &[TagChange]) -> Vec<(RefName, Differing)> {
    let found = Repository::open()
        .map_err(HookError::from)
        .and_then(|repository| hooks::differing(&repository, remote, changed, told::MANY));
    found.unwrap_or_default()
}

/// Returns whether the push takes states out, which is to be refused.
fn look_and_publish(to: &[&str], pushed: &[PushedRef], shell: &mut Shell) -> Result<bool, HookError> {
    let repository = Repository::open()?;
    let observer = told::Heard::default();
    let said = hooks::pre_push(&repository, to, pushed, &observer);
    // First: what others have taken back is nothing to be advised on.
    observer.tell(shell);
    let said = said?;
    let takes_states_out = said.takes_states_out;
    told::pre_push(to.first().copied().unwrap_or_default(), said, shell);
    Ok(takes_states_out)
}

/// What git writes to the hook; `None` if it cannot be read, which is told.
fn input(what: &str, shell: &mut Shell) -> Option<Vec<u8>> {
    let mut input = Vec::new();
    let read = std::io::stdin().read_to_end(&mut input);
    read.map_err(|error| shell.warn(format!("git-deploy: cannot read {what}: {error}"))).ok()?;
    Some(input)
}

fn post_rewrite(arguments: &[OsString], shell: &mut Shell) -> Result<Exit, CommandError> {
    let Some(action) = arguments.first() else {
        return Err(CommandError::usage(
            "post-rewrite needs to know what rewrote commits, as git gives it to the hook",
        )
        .hint("in a hook: git-deploy-hook post-rewrite \"$@\""));
    };
    let Some(input) = input("what was rewritten", shell) else { return Ok(Exit::Done) };
    let rewrites = carry::rewrites(&input);
    let carried = action.to_str().and_then(Action::from_word).map(|action| {
        Repository::open()
            .map_err(HookError::from)
            .and_then(|repository| carry::carry(&repository, action, &rewrites))
    });
    match carried {
        None => {}
        Some(Ok(said)) => told::post_rewrite(said, shell),
        Some(Err(error)) => told::failure(told::NOT_CARRIED, error, shell),
    }
    Ok(Exit::Done)
}

fn pre_receive(shell: &mut Shell) -> Result<Exit, CommandError> {
    let mut input = Vec::new();
    std::io::stdin()
        .read_to_end(&mut input)
        .map_err(|error| CommandError::fatal(format!("cannot read what is pushed: {error}")))?;
    // New objects are where the git program alone is sure to find them.
    let refusals = receive(&Repository::open_with_program()?, &input)?;
    received::refused(&refusals, shell);
    Ok(if refusals.is_empty() { Exit::Done } else { Exit::No })
}

fn post_merge(shell: &mut Shell) -> Exit {
    match Repository::open().map_err(HookError::from).and_then(|repository| hooks::post_merge(&repository)) {
        Ok(said) => told::post_merge(&said, shell),
        Err(error) => told::failure("git-deploy cannot look at your branches", error, shell),
    }
    Exit::Done
}

fn post_commit(shell: &mut Shell) -> Exit {
    match Repository::open().map_err(HookError::from).and_then(|repository| hooks::post_commit(&repository)) {
        Ok(Some(left)) => told::post_commit(&left, shell),
        Ok(None) => {}
        Err(error) => told::failure("git-deploy cannot look at this commit", error, shell),
    }
    Exit::Done
}
