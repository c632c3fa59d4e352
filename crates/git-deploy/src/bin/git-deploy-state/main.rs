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

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::State, shell| match arguments.into_command()? {
        StateCommand::Get(arguments) => get::get(&arguments, shell),
        StateCommand::Set(arguments) => set::set(arguments, shell),
        StateCommand::List(arguments) => list::list(&arguments, shell),
        StateCommand::Log(arguments) => log::log(&arguments, shell),
    })
}

/// The words by which the user names branches; none names the current one.
fn words(typed: &[OsString]) -> Result<Vec<Option<&str>>, CommandError> {
    match typed {
        [] => Ok(vec![None]),
        typed => typed.iter().map(|word| typed_name(word).map(Some)).collect(),
    }
}
