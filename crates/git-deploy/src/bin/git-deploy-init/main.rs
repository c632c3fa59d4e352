//! `git deploy-init`: sets a repository up for deployments, or undoes it.

mod runner;
mod scripts;
mod told;

use std::process::ExitCode;

use git_deploy_cli::args::Init;
use git_deploy_cli::{CommandError, Exit, Shell, run, warn_of_refspec};
use git_deploy_core::config::counting_remote;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::init::{self, Request};

fn main() -> ExitCode {
    run(|arguments: Init, shell| {
        let repository = Repository::open()?;
        if let Some(runner) = arguments.runner()? {
            return runner::write(&repository, runner, shell);
        }
        if arguments.remove { remove(&repository, shell) } else { set_up(&repository, &arguments, shell) }
    })
}

fn set_up(repository: &Repository, arguments: &Init, shell: &mut Shell) -> Result<Exit, CommandError> {
    let scripts = if arguments.no_hooks { &[][..] } else { &scripts::ALL };
    let requested = [(arguments.server, "pre-receive"), (arguments.post_commit, "post-commit")];
    let requested: Vec<&str> =
        requested.into_iter().filter_map(|(asked, hook)| asked.then_some(hook)).collect();
    let request = Request { scripts, requested: &requested, starter: arguments.starter };
    let steps = init::init(repository, request)?;
    told::set_up(&steps, shell);
    warn_of_refspec(repository, counting_remote(repository)?.ok().as_ref(), shell)?;
    Ok(if steps.iter().any(init::Step::is_in_the_way) { Exit::No } else { Exit::Done })
}

fn remove(repository: &Repository, shell: &mut Shell) -> Result<Exit, CommandError> {
    let undone = init::remove(repository, &scripts::ALL)?;
    told::removed(&undone, shell);
    Ok(Exit::Done)
}
