//! `git deploy-diff`: what a deployment would change.

use std::process::ExitCode;

use git_deploy::site::{DriverOptions, Sites};
use git_deploy_cli::args::{self, Format};
use git_deploy_cli::shell::Object;
use git_deploy_cli::{CommandError, Exit, Shell, ShellObserver, plan, typed_name};
use git_deploy_core::environment::Effect;
use git_deploy_core::git::Repository;
use git_deploy_core::ops::deploy::{Deployer, Diff, DiffRequest};

fn main() -> ExitCode {
    git_deploy_cli::run::<args::Diff>(|arguments, shell| {
        let diff = compare(&arguments, shell)?;
        match arguments.output.format() {
            Format::Human if arguments.name_only => names(&diff, shell),
            Format::Human => {
                plan::diffs(&diff.plan, shell);
                if arguments.common.verbose > 0 && !arguments.common.quiet {
                    plan::kept(&diff.plan, shell);
                }
            }
            Format::Porcelain { nul } => records(&diff, nul, shell),
            Format::Json => objects(&diff, shell),
        }
        say(&diff, shell);
        Ok(if diff.plan.changes_anything() { Exit::No } else { Exit::Done })
    })
}

fn compare(arguments: &args::Diff, shell: &mut Shell) -> Result<Diff, CommandError> {
    let repository = Repository::open()?;
    let interrupt = git_deploy_cli::interrupt()?;
    repository.stop_on(interrupt);
    let commit = arguments.commit.as_deref().map(typed_name).transpose()?.map(str::to_owned);
    let request = DiffRequest { commit, environment: arguments.env.clone() };
    let observer = ShellObserver::new(shell);
    let options = DriverOptions {
        force_conflicts: arguments.force_conflicts,
        new_cluster: arguments.new_cluster,
        ..DriverOptions::default()
    };
    let site = Sites::new(&observer, options);
    let deployer = Deployer { repository: &repository, site: &site, observer: &observer, interrupt };
    Ok(deployer.diff(&request)?)
}

fn names(diff: &Diff, shell: &mut Shell) {
    for planned in diff.plan.objects.iter().filter(|planned| planned.effect != Effect::Keep) {
        shell.line(planned.object.word());
    }
}

fn records(diff: &Diff, nul: bool, shell: &mut Shell) {
    for planned in &diff.plan.objects {
        let validated = if planned.validated { "validated" } else { "unvalidated" };
        shell.record([planned.effect.as_str(), &planned.object.word(), validated], nul);
    }
}

fn objects(diff: &Diff, shell: &mut Shell) {
    let count = |effect| diff.plan.count(effect);
    let head = Object::new()
        .with("environment", diff.environment.as_str())
        .with("commit", diff.commit.to_string())
        .with("candidate", diff.candidate.to_string())
        .with("stands", diff.stands.as_ref().map(ToString::to_string))
        .with("created", count(Effect::Create))
        .with("changed", count(Effect::Change))
        .with("deleted", count(Effect::Delete))
        .with("unchanged", count(Effect::Keep))
        .with("warnings", diff.warnings.as_slice());
    shell.json(&head);
    diff.plan.objects.iter().for_each(|planned| shell.json(&plan::object(planned)));
}

/// What is said beside it: to what it is compared, and how much there is of it.
fn say(diff: &Diff, shell: &mut Shell) {
    diff.warnings.iter().for_each(|warning| shell.warn(warning.as_str()));
    if let Some(lock) = &diff.holder {
        shell.warn(format!(
            "{} on '{}' deploys there just now: that may change the answer",
            lock.by, lock.host
        ));
    }
    if let Some(open) = &diff.left_open {
        shell.warn(format!(
            "{open} was stopped there, and the next run ends it first: that may change the answer"
        ));
    }
    let rebased = if diff.candidate == diff.commit { "" } else { ", rebased" };
    let stands = match &diff.stands {
        Some(id) => format!("where {id} stands"),
        None => "where nothing was deployed yet".to_owned(),
    };
    let count = |effect, word: &str| format!("{} {word}", diff.plan.count(effect));
    let counts = [
        count(Effect::Create, "created"),
        count(Effect::Change, "changed"),
        count(Effect::Delete, "deleted"),
        count(Effect::Keep, "unchanged"),
    ];
    shell.note(format!(
        "commit {}{rebased} in '{}', {stands}: {}",
        diff.candidate.brief(),
        diff.environment,
        counts.join(", ")
    ));
}
