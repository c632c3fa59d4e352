//! `git deploy-sync`: exchanges states and deployments with a remote.

use std::ffi::OsStr;
use std::process::ExitCode;

use git_deploy_cli::{CommandError, Exit, Shell, ShellObserver, args, printable};
use git_deploy_core::config::Settings;
use git_deploy_core::git::Repository;
use git_deploy_core::git::push::Tracking;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::sync::{Exchange, fetch_only, full, preview};

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Sync, shell| sync(&arguments, shell))
}

fn sync(arguments: &args::Sync, shell: &mut Shell) -> Result<Exit, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    let tracking = tracking(&repository, arguments.remote.as_deref())?;
    let exchange = if arguments.dry_run {
        fetch_only(&repository, &tracking)?;
        preview(&repository, &tracking)?
    } else {
        full(&repository, &tracking, &ShellObserver::new(shell))?
    };
    tell(&exchange, tracking.remote(), arguments.dry_run, shell);
    Ok(Exit::Done)
}

/// The remote to exchange with: the named one, else the one that counts.
fn tracking(repository: &Repository, name: Option<&OsStr>) -> Result<Tracking, CommandError> {
    let Some(name) = name else {
        return Settings::read(repository)?.remote.ok_or_else(|| {
            CommandError::fatal("there is no remote to exchange states with").hint(
                "add one with 'git remote add origin <url>', or name one: git config deploy.remote <remote>",
            )
        });
    };
    let known = repository.remotes()?;
    match name.to_str().filter(|name| known.iter().any(|remote| remote == name)) {
        Some(name) => Ok(Tracking::new(name)),
        None => {
            let shown = printable(name.as_encoded_bytes());
            let error = CommandError::fatal(format!("there is no remote '{shown}'"));
            Err(match known.is_empty() {
                true => error.hint("add one with: git remote add <name> <url>"),
                false => error.hint(format!("there are: {}", known.join(", "))),
            })
        }
    }
}

fn tell(exchange: &Exchange, remote: &str, is_dry_run: bool, shell: &mut Shell) {
    if *exchange == Exchange::default() {
        shell.note(format!("nothing to exchange with '{remote}'"));
        return;
    }
    let (received, published) = match is_dry_run {
        true => ("Would merge", "Would push"),
        false => ("Merged", "Pushed"),
    };
    let counted = |count: usize| match count {
        1 => "1 state".to_owned(),
        count => format!("{count} states"),
    };
    if exchange.notes_received > 0 {
        shell.status(received, format!("{} of '{remote}'", counted(exchange.notes_received)));
    }
    for tag in &exchange.tags_received {
        shell.status(received, format!("tag '{}' of '{remote}'", RefName::short(tag)));
    }
    if exchange.notes_published > 0 {
        shell.status(published, format!("{} to '{remote}'", counted(exchange.notes_published)));
    }
    for tag in &exchange.tags_published {
        shell.status(published, format!("tag '{}' to '{remote}'", RefName::short(tag)));
    }
}
