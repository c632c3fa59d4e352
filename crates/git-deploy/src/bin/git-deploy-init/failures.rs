//! What an error of setting up means to the user.

use git_deploy_cli::{CommandError, Exit};
use git_deploy_core::config::ConfigError;
use git_deploy_core::git::GitError;
use git_deploy_core::ops::init::InitError;

pub(crate) fn init(error: InitError) -> CommandError {
    let hint = match &error {
        InitError::Git(GitError::NoRepository)
        | InitError::Config(ConfigError::Git(GitError::NoRepository)) => {
            Some("begin one: git init -b master")
        }
        InitError::Config(ConfigError::Remote(_)) => {
            Some("name a remote that there is: git config deploy.remote <remote>")
        }
        InitError::Config(_) | InitError::Git(_) => None,
    };
    let error = CommandError::new(Exit::Fatal, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
