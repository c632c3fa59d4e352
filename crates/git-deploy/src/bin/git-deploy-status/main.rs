//! `git deploy-status`: what runs where.

mod people;
mod programs;
mod remains;

use std::process::ExitCode;

use git_deploy::site::{DriverOptions, Sites};
use git_deploy_cli::args::{self, Format};
use git_deploy_cli::{
    CommandError, Exit, Onlooker, Shell, note_tags_alone, note_unmerged, shell_word, warn_of_note,
};
use git_deploy_core::environment::Author;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::deploy::{Deployer, EnvironmentStatus, Health, Overview};
use git_deploy_core::ops::view::View;

fn main() -> ExitCode {
    git_deploy_cli::run::<args::Status>(|arguments, shell| {
        let repository = Repository::open()?;
        let overview = look(&repository, &arguments, shell)?;
        match arguments.output.format() {
            Format::Human => people::show(&overview, &arguments.common, shell),
            Format::Porcelain { nul } => programs::records(&overview, nul, shell),
            Format::Json => programs::objects(&overview, shell),
        }
        overview.malformed.iter().for_each(|error| warn_of_note(error, shell));
        for error in &overview.unreadable {
            shell.warn(error);
            shell.hint(format!("look at it with: git show {}", shell_word(&error.tag.to_string())));
        }
        let view = View::new(&repository)?;
        note_unmerged(&view, shell)?;
        note_tags_alone(&view, shell)?;
        Ok(exit_of(&overview.environments))
    })
}

fn look(
    repository: &Repository,
    arguments: &args::Status,
    shell: &mut Shell,
) -> Result<Overview, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    repository.stop_on(interrupt);
    let observer = Onlooker::new(shell);
    // Nothing is taken over: what somebody else manages by now is part of what there is to see.
    let options = DriverOptions { force_conflicts: true, ..DriverOptions::default() };
    let site = Sites::new(&observer, options);
    let deployer = Deployer { repository, site: &site, observer: &observer, interrupt };
    Ok(deployer.status(arguments.env.as_deref())?)
}

/// What is known to be wrong is an answer, whatever else could not be found out.
fn exit_of(environments: &[EnvironmentStatus]) -> Exit {
    let healths = || environments.iter().map(EnvironmentStatus::health);
    match () {
        () if healths().any(Health::is_trouble) => Exit::No,
        () if healths().any(|health| health == Health::Unknown) => Exit::TryAgain,
        () => Exit::Done,
    }
}

/// Whose a difference is, in one word where there is one: a deployment, or the tool or program that wrote it.
fn author(by: &Author) -> Option<String> {
    match by {
        Author::Person(tool) => tool.clone(),
        Author::Program(name) => Some(name.clone()),
        Author::Deployment(id) => id.as_ref().map(ToString::to_string),
    }
}
