//! `git deploy-hook`: what the hook scripts call.
//!
//! A hook runs within somebody else's command. What goes wrong in here is told and stops nothing; only pre-push ever
//! answers no, to a deployment tag that would be moved or deleted.

mod told;

use std::ffi::OsString;
use std::io::Read;
use std::process::ExitCode;

use git_deploy_cli::args::Hook;
use git_deploy_cli::{CommandError, Exit, Shell, run};
use git_deploy_core::git::Repository;
use git_deploy_core::git::push::WITHIN;
use git_deploy_core::ops::hooks::{self, HookError, KNOWN_HOOKS, PushedRef};

fn main() -> ExitCode {
    run(|arguments: Hook, shell| {
        // A push or merge of our own: whoever makes it has seen to everything.
        if std::env::var_os(WITHIN).is_some() {
            return Ok(Exit::Done);
        }
        match arguments.hook.as_str() {
            "pre-push" => pre_push(&arguments.arguments, shell),
            "post-merge" => Ok(post_merge(shell)),
            name if KNOWN_HOOKS.contains(&name) => Ok(Exit::Done),
            name => Err(CommandError::usage(format!("git has no hook '{name}'"))
                .hint("git-deploy does something in pre-push and post-merge")),
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
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut input) {
        shell.warn(format!("git-deploy: cannot read what is pushed: {error}"));
        return Ok(Exit::Done);
    }
    let pushed = hooks::pushed_refs(&input);
    let remote = remote.to_string_lossy();
    let changed = hooks::changed_tags(&pushed);
    if !changed.is_empty() {
        return Err(told::refusal(&remote, &changed));
    }
    if let Err(error) = look_and_publish(&remote, &pushed, shell) {
        told::failure("git-deploy cannot look at this push", error, shell);
    }
    Ok(Exit::Done)
}

fn look_and_publish(remote: &str, pushed: &[PushedRef], shell: &mut Shell) -> Result<(), HookError> {
    let repository = Repository::open()?;
    let observer = told::Heard::default();
    let said = hooks::pre_push(&repository, remote, pushed, &observer)?;
    told::pre_push(remote, said, shell);
    observer.tell(shell);
    Ok(())
}

fn post_merge(shell: &mut Shell) -> Exit {
    match Repository::open().map_err(HookError::from).and_then(|repository| hooks::post_merge(&repository)) {
        Ok(said) => told::post_merge(&said, shell),
        Err(error) => told::failure("git-deploy cannot look at your branches", error, shell),
    }
    Exit::Done
}
