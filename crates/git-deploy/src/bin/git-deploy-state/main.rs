//! `git deploy-state`: shows and changes the deployment state of branches.

mod describe;
mod differs;
mod get;
mod list;
mod log;
mod set;
mod stale;

use std::ffi::OsString;
use std::process::ExitCode;

use git_deploy_cli::args::{self, StateCommand};
use git_deploy_cli::{CommandError, typed_name};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::view::named_branch;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::State, shell| match arguments.into_command()? {
        StateCommand::Get(arguments) => get::get(&arguments, shell),
        StateCommand::Set(arguments) => set::set(arguments, shell),
        StateCommand::List(arguments) => list::list(&arguments, shell),
        StateCommand::Log(arguments) => log::log(&arguments, shell),
    })
}

/// The branches that the user named, or the current one.
fn named(repository: &Repository, words: &[OsString]) -> Result<Vec<RefName>, CommandError> {
    if words.is_empty() {
        return Ok(vec![named_branch(repository, None)?]);
    }
    words.iter().map(|word| named_one(repository, word)).collect()
}

fn named_one(repository: &Repository, word: &OsString) -> Result<RefName, CommandError> {
    Ok(named_branch(repository, Some(typed_name(word)?))?)
}
