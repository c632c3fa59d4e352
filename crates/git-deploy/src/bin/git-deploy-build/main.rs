//! `git deploy-build`: makes the images of a commit.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::process::ExitCode;

use git_deploy::build::{Error, Image, Made, Maker, Means, Plan};
use git_deploy_cli::args::{self, Format};
use git_deploy_cli::shell::Object;
use git_deploy_cli::{CommandError, Exit, Shell, printable};
use git_deploy_core::git::Repository;
use git_deploy_core::git::work_tree::Busy;
use git_deploy_core::ids::CommitId;
use git_deploy_core::ops::Observer;
use git_deploy_image::Cause;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Build, shell| build(&arguments, shell))
}

fn build(arguments: &args::Build, shell: &mut Shell) -> Result<Exit, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    let commit = named_commit(&repository, arguments.commit.as_deref())?;
    let plan = Plan::of(&repository, commit).map_err(said)?;
    plan.remark.iter().for_each(|remark| shell.note(remark.as_str()));
    if plan.images.is_empty() {
        shell.note(format!(
            "nothing to build: there is no [[image]] in deploy.toml of commit '{}'",
            commit.brief()
        ));
        shell.hint(
            "add one with 'name', the last part of the image's name, and 'context', the directory with its Containerfile",
        );
        return Ok(Exit::Done);
    }
    if arguments.print_names {
        plan.images.iter().for_each(|image| shell.line(image.name.to_string()));
        return Ok(Exit::Done);
    }
    repository.stop_on(interrupt);
    let means = Means::of(arguments.builder.as_deref(), arguments.common.verbose);
    let means = means.map_err(|error| CommandError::usage(error.to_string()))?;
    let told = Told(RefCell::new(shell));
    let tell = |image: &str, line: &str| told.0.borrow_mut().status(image, format!("| {line}"));
    let maker = Maker {
        repository: &repository,
        means,
        observer: &told,
        tell: &tell,
        cancelled: &|| interrupt.check().is_err(),
    };
    let made = maker.make(&plan);
    // Whatever a program that was ended says of it: the user wanted to stop.
    interrupt.check()?;
    let images = made.map_err(said)?;
    say(&repository, arguments, &images, shell);
    images.iter().for_each(|image| print(image, arguments.output.format(), shell));
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

/// What may surprise whoever looks for it in the images.
fn say(repository: &Repository, arguments: &args::Build, images: &[Image], shell: &mut Shell) {
    if arguments.output.format() != Format::Human {
        return;
    }
    let is_built = images.iter().any(|image| image.made == Made::Now);
    if is_built && arguments.commit.is_none() && is_changed(repository) {
        shell.note("what is changed and not committed is not in the images");
    }
}

/// Whether the work tree differs from its branch, as far as git says that.
fn is_changed(repository: &Repository) -> bool {
    let places = repository.checked_out().unwrap_or_default();
    let here = places.iter().find(|place| repository.paths().work_tree.as_deref() == Some(&place.path));
    here.is_some_and(|place| matches!(place.busy(), Ok(Some(Busy::Dirty(_)))))
}

fn print(image: &Image, format: Format, shell: &mut Shell) {
    let (name, digest) = (image.name.to_string(), image.digest.as_ref().map(ToString::to_string));
    match format {
        Format::Human => match digest {
            Some(digest) => shell.line(format!("{name} {digest}")),
            None => shell.line(name),
        },
        Format::Porcelain { nul } => {
            shell.record([image.made.as_str(), &name, &digest.unwrap_or_default()], nul);
        }
        Format::Json => {
            let object =
                Object::new().with("made", image.made.as_str()).with("name", name).with("digest", digest);
            shell.json(&object);
        }
    }
}

fn said(error: Error) -> CommandError {
    let hint = error.hint();
    let exit = match error.cause() {
        Some(Cause::Commit) => Exit::No,
        Some(Cause::Passing) => Exit::TryAgain,
        Some(Cause::Setup) | None => Exit::Fatal,
    };
    let said = match error {
        Error::Config(error) => return error.into(),
        Error::Git(error) => return error.into(),
        Error::Notes(error) => return error.into(),
        error => CommandError::fatal(error.in_one_line()).at(exit),
    };
    match hint {
        Some(hint) => said.hint(hint),
        None => said,
    }
}

/// Steps are told to everybody: building takes long.
struct Told<'a>(RefCell<&'a mut Shell>);

impl Observer for Told<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.0.borrow_mut().status(verb, text);
    }

    fn warn(&self, text: &str) {
        self.0.borrow_mut().warn(text);
    }

    fn note(&self, text: &str) {
        self.0.borrow_mut().note(text);
    }

    fn wrote_last(&self, program: &str, lines: &[String]) {
        self.0.borrow_mut().wrote_last(program, lines);
    }
}
