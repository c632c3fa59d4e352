//! `git deploy-log`: shows the ledger.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use git_deploy_cli::args::{self, Format};
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{CommandError, Exit, Shell, Text, plan, shell, shell_word};
use git_deploy_core::git::Repository;
use git_deploy_core::ids::{DeploymentId, RefName};
use git_deploy_core::ledger::{Deployment, Outcome};
use git_deploy_core::ops::view::View;
use jiff::Timestamp;

fn main() -> ExitCode {
    git_deploy_cli::run(|arguments: args::Log, shell| log(&arguments, shell))
}

fn log(arguments: &args::Log, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let ledger = view.ledger()?;
    let is_wanted = |deployment: &&Deployment| {
        arguments.env.as_ref().is_none_or(|environment| deployment.environment.as_str() == environment)
    };
    let mut deployments: Vec<&Deployment> = ledger.deployments.iter().filter(is_wanted).collect();
    newest_first(&mut deployments);
    deployments.truncate(arguments.max_count.unwrap_or(usize::MAX));
    match arguments.output.format() {
        Format::Human => {
            print(&deployments, arguments.common.verbose > 0, shell);
            if deployments.is_empty() && arguments.max_count != Some(0) {
                say_nothing_is_there(arguments.env.as_deref(), &ledger.deployments, shell);
            }
        }
        Format::Porcelain { nul } => {
            deployments.iter().for_each(|deployment| shell.record(record(deployment), nul));
        }
        Format::Json => deployments.iter().for_each(|deployment| shell.json(&object(deployment))),
    }
    for error in &ledger.unreadable {
        shell.warn(error);
        shell.hint(format!("look at it with: git show {}", shell_word(&error.tag.to_string())));
    }
    Ok(Exit::Done)
}

/// Sorts deployments by when they finished, but those of one environment by their numbers: whoever had them need not have had
/// the same time.
fn newest_first(deployments: &mut [&Deployment]) {
    deployments.sort_by_key(|deployment| (deployment.id.environment.clone(), deployment.id.number));
    let mut latest = None;
    let mut ended: BTreeMap<&DeploymentId, Timestamp> = BTreeMap::new();
    for deployment in deployments.iter() {
        let id = &deployment.id;
        let before = latest.filter(|(environment, _)| *environment == &id.environment).map(|(_, time)| time);
        let time = before.map_or(deployment.finished, |before| deployment.finished.max(before));
        latest = Some((&id.environment, time));
        ended.insert(id, time);
    }
    deployments.sort_by_key(|deployment| Reverse((ended[&deployment.id], deployment.id.number)));
}

/// Says that no deployment is shown, and where there are some.
fn say_nothing_is_there(environment: Option<&str>, all: &[Deployment], shell: &mut Shell) {
    let Some(environment) = environment.filter(|_| !all.is_empty()) else {
        return shell.note("nothing was deployed yet");
    };
    shell.note(format!("nothing was deployed to '{environment}' yet"));
    let known: BTreeSet<&str> = all.iter().map(|deployment| deployment.environment.as_str()).collect();
    let known: Vec<&str> = known.into_iter().collect();
    shell.hint(format!("there were deployments to: {}", known.join(", ")));
}

fn print(deployments: &[&Deployment], is_whole: bool, shell: &mut Shell) {
    let reason = |deployment: &Deployment| {
        let reason = deployment.reason.as_deref().unwrap_or_default();
        let skipped = deployment.skip.as_ref().map(plan::skipped);
        let words: Vec<&str> = [skipped.as_deref(), Some(reason)]
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect();
        let words = words.join("; ");
        if is_whole { words } else { shell::brief(&words) }
    };
    let mut table = Table::new();
    for deployment in deployments {
        let style = match deployment.outcome {
            Outcome::Success => shell::GOOD,
            Outcome::Failure | Outcome::Aborted => shell::BAD,
        };
        table.row([
            Text::new().styled(shell::NAME, &deployment.id),
            Text::new().styled(style, deployment.outcome),
            Text::from(&deployment.environment),
            Text::new().styled(shell::COMMIT, deployment.commit.brief()),
            Text::from(deployment.finished),
            Text::from(source(deployment)),
            Text::from(reason(deployment)),
        ]);
    }
    table.print(shell);
}

/// The branch that it came from, or where it went back to.
fn source(deployment: &Deployment) -> String {
    match (&deployment.branch, &deployment.rollback) {
        (_, Some(to)) => format!("back to {to}"),
        (Some(branch), None) => branch.short().to_owned(),
        (None, None) => String::new(),
    }
}

fn record(deployment: &Deployment) -> [String; 6] {
    [
        deployment.id.to_string(),
        deployment.outcome.to_string(),
        deployment.environment.to_string(),
        deployment.commit.to_string(),
        deployment.finished.to_string(),
        deployment.rollback.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}

fn object(deployment: &Deployment) -> Object {
    let images: Vec<Object> = deployment.images.iter().map(|image| plan::image(image)).collect();
    let skip = deployment.skip.as_ref();
    let keys = ["tag", "result", "environment", "commit", "finished"];
    let fields = keys.into_iter().zip(record(deployment));
    fields
        .fold(Object::new(), |object, (key, value)| object.with(key, value))
        .with_known("branch", deployment.branch.as_ref().map(RefName::short))
        .with("started", deployment.started.to_string())
        .with_known("reason", deployment.reason.as_deref())
        .with_known("previous", deployment.previous.as_ref().map(ToString::to_string))
        .with_known("rollback", deployment.rollback.as_ref().map(ToString::to_string))
        .with_known("left", deployment.left())
        .with_known("skipped", skip.map(|skip| &skip.what[..]))
        .with_known("skip-reason", skip.map(|skip| skip.reason.as_str()))
        .with_known("approved-by", deployment.approved_by.as_deref())
        .with_known("approved-deployment", deployment.approved_deployment.as_ref().map(ToString::to_string))
        .with_known("images", (!images.is_empty()).then_some(images))
}
