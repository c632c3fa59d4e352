//! `git deploy-sync`: exchanges states and deployments with a remote.

use std::ffi::OsStr;
use std::process::ExitCode;

use git_deploy_cli::{
    CommandError, Exit, Shell, ShellObserver, args, name_remote, none_counts, printable, warn_of_notes,
    warn_of_refspec,
};
use git_deploy_core::config::{NoRemote, counting_remote};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::git::push::Tracking;
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::sync::{Exchange, check, fetch_only, full, preview};
use git_deploy_core::ops::view::View;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Sync, shell| sync(&arguments, shell))
}

fn sync(arguments: &args::Sync, shell: &mut Shell) -> Result<Exit, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    repository.stop_on(interrupt);
    let tracking = tracking(&repository, arguments.remote.as_deref())?;
    let exchange = if arguments.dry_run {
        fetch_only(&repository, &tracking, &ShellObserver::new(shell))?;
        if !arguments.restore {
            check(&repository, &tracking, &ShellObserver::new(shell))?;
        }
        preview(&repository, &tracking)?
    } else {
        full(&repository, &tracking, arguments.restore, &ShellObserver::new(shell))?
    };
    tell(&exchange, tracking.remote(), arguments.dry_run, shell);
    let unreadable =
        exchange.unreadable.into_iter().map(|(commit, error)| NotesError::Note { commit, error });
    let unreadable: Vec<NotesError> = unreadable.collect();
    if !unreadable.is_empty() {
        warn_of_notes(&View::new(&repository)?, &unreadable, shell)?;
    }
    warn_of_refspec(&repository, Some(&tracking), shell)?;
    Ok(Exit::Done)
}

/// The remote to exchange with: the named one, else the one that counts.
fn tracking(repository: &Repository, name: Option<&OsStr>) -> Result<Tracking, CommandError> {
    let Some(name) = name else {
        return counting_remote(repository)?.or_else(|why| Err(no_remote(repository, why)?));
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

fn no_remote(repository: &Repository, why: NoRemote) -> Result<CommandError, CommandError> {
    let there = match why {
        NoRemote::Nowhere => "there is no remote to exchange states with".to_owned(),
        NoRemote::Configured | NoRemote::Bare | NoRemote::Several => none_counts(repository)?,
    };
    Ok(CommandError::fatal(there).hint(name_remote(why)))
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
