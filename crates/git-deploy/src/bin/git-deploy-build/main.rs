//! `git deploy-build`: names the images of a commit.

use std::ffi::OsStr;
use std::process::ExitCode;

use git_deploy::images;
use git_deploy_cli::{CommandError, Exit, OrExit as _, Shell, args, printable};
use git_deploy_core::config::deploy_toml::DeployToml;
use git_deploy_core::config::{DEPLOY_TOML, Settings, deploy_toml_of};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::CommitId;
use git_deploy_image::ImageName;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Build, shell| build(&arguments, shell))
}

fn build(arguments: &args::Build, shell: &mut Shell) -> Result<Exit, CommandError> {
    if !arguments.print_names {
        return Err(CommandError::fatal("building images is not in this version yet")
            .hint("the names that they would have: git deploy-build --print-names"));
    }
    let repository = Repository::open()?;
    let commit = named_commit(&repository, arguments.commit.as_deref())?;
    for name in image_names(&repository, commit)? {
        shell.line(name);
    }
    Ok(Exit::Done)
}

fn named_commit(repository: &Repository, revision: Option<&OsStr>) -> Result<CommitId, CommandError> {
    let Some(revision) = revision else {
        let unborn = || CommandError::fatal("there are no commits yet").hint("commit something first");
        return repository.find_commit("HEAD")?.ok_or_else(unborn);
    };
    let missing =
        || CommandError::fatal(format!("there is no commit '{}'", printable(revision.as_encoded_bytes())));
    match revision.to_str() {
        Some(revision) => repository.find_commit(revision)?.ok_or_else(missing),
        None => Err(missing()),
    }
}

/// Which images there are is the commit's own affair; how they are called is the project's, so that a branch cannot name
/// its images like somebody else's.
fn image_names(repository: &Repository, commit: CommitId) -> Result<Vec<ImageName>, CommandError> {
    let short = commit.brief();
    let own = deploy_toml_of(repository, commit, &short)?.ok_or_else(|| {
        CommandError::fatal(format!("there is no '{DEPLOY_TOML}' in commit '{short}'"))
            .hint("write one with: git deploy-init")
    })?;
    let settings = Settings::read(repository)?;
    let base = match repository.tip(&settings.authority(&settings.base))? {
        Some(tip) => deploy_toml_of(repository, tip, settings.base.short())?,
        None => None,
    };
    let rules: &DeployToml = base.as_ref().filter(|base| base.image_name.is_some()).unwrap_or(&own);
    if !own.images.is_empty() && rules.image_name.is_none() {
        return Err(CommandError::fatal(format!("the images of commit '{short}' have no name"))
            .hint(format!("add a section [image-name] to '{DEPLOY_TOML}'")));
    }
    let images = images::of_commit(&own, rules, commit).or_exit(Exit::Fatal)?;
    Ok(images.into_iter().map(|image| image.name).collect())
}
