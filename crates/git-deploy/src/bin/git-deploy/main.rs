//! `git deploy`: one deployment.

mod observer;
mod report;

use std::process::ExitCode;

use git_deploy::build::Means;
use git_deploy::site::{DriverOptions, Sites};
use git_deploy_cli::args::Deploy;
use git_deploy_cli::{CommandError, Exit, Shell, note_no_remote, printable, typed_name};
use git_deploy_core::git::Repository;
use git_deploy_core::ledger::Skip;
use git_deploy_core::ops::Interrupt;
use git_deploy_core::ops::deploy::{DeployError, DeployRequest, Deployer, Report, Rollback};

use observer::Events;
use report::Why;

fn main() -> ExitCode {
    git_deploy_cli::run::<Deploy>(|args, shell| deploy(&args, shell))
}

fn deploy(args: &Deploy, shell: &mut Shell) -> Result<Exit, CommandError> {
    let events = Events::new(shell, args.json);
    let (why, error) = match begin(args) {
        Ok((repository, request, means, interrupt)) => {
            let options = DriverOptions {
                force_conflicts: args.force_conflicts,
                new_cluster: args.new_cluster,
                retry_jobs: args.retry_job.clone(),
                leftover: false,
            };
            if !args.json && !args.ahead && !args.tidy {
                events.shell(|shell| note_no_remote(&repository, shell));
            }
            let site = Sites::new(&events, options).build_nothing(args.no_build).build_by(means);
            let deployer = Deployer { repository: &repository, site: &site, observer: &events, interrupt };
            let done = match args.tidy {
                true => deployer.tidy().map(|tidy| report::tidied(tidy, &events)),
                false => act(args, &request, &deployer, &events).map(Ok),
            };
            match done {
                Ok(exit) => return exit,
                Err(error) => (Why::of(&error), error.into()),
            }
        }
        Err(error) => (Why::default(), error),
    };
    // Whoever reads `--json` gets a last line whatever happens.
    let of = match (args.ahead, args.tidy) {
        (true, _) => "ahead",
        (_, true) => "tidy",
        (false, false) => "verdict",
    };
    report::failed(&error, why, of, &events);
    Err(error)
}

fn begin(args: &Deploy) -> Result<(Repository, DeployRequest, Means, &'static Interrupt), CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let repository = Repository::open()?;
    let target = args.target.as_deref().map(typed_name).transpose()?.map(str::to_owned);
    repository.stop_on(interrupt);
    repository.limit_remotes()?;
    let request = DeployRequest {
        target,
        environment: args.env.clone(),
        rollback: rollback(args)?,
        skip: skip(args)?,
        retry_jobs: args.retry_job.clone(),
    };
    let means = Means::of(args.builder.as_deref(), args.common.verbose);
    let means = means.map_err(|error| CommandError::usage(error.to_string()))?;
    Ok((repository, request, means, interrupt))
}

/// What the user wants to go past, and why.
fn skip(args: &Deploy) -> Result<Option<Skip>, CommandError> {
    let Some(reason) = args.reason.as_deref().map(str::trim) else { return Ok(None) };
    if reason.is_empty() {
        return Err(CommandError::usage("the reason says nothing").hint("say why: --reason=<text>"));
    }
    Ok(Some(Skip { what: args.skip.clone(), reason: reason.to_owned() }))
}

/// Which deployment the user wants to go back to.
fn rollback(args: &Deploy) -> Result<Option<Rollback>, CommandError> {
    match args.rollback.as_deref() {
        None => Ok(None),
        Some("") => Ok(Some(Rollback::Previous)),
        Some(id) => id.parse().map(|id| Some(Rollback::To(id))).map_err(|_| {
            CommandError::usage(format!("'{}' is not the name of a deployment", printable(id.as_bytes())))
                .hint("see them with: git deploy-log")
        }),
    }
}

fn act(
    args: &Deploy,
    request: &DeployRequest,
    deployer: &Deployer<'_>,
    events: &Events<'_>,
) -> Result<Exit, DeployError> {
    if args.dry_run {
        let diffs = args.common.verbose > 0 && !args.common.quiet;
        let planned = deployer.dry_run(request)?;
        if planned.is_err() {
            deployer.check_environment(request)?;
        }
        return Ok(report::dry_run(planned, diffs, events));
    }
    if args.ahead {
        return Ok(report::ahead(&deployer.prepare_ahead()?, events));
    }
    let report = match (args.resume, args.abort) {
        (true, _) => deployer.resume(request),
        (_, true) => deployer.abort(),
        (false, false) => deployer.deploy(request),
    };
    let report = report?;
    if matches!(report, Report::Nothing(_)) {
        deployer.check_environment(request)?;
    }
    let exit = report::finished(&report, events);
    deployer.told();
    // What cannot be found out about that changes nothing of the verdict.
    if report::is_way_back(&report)
        && let Ok(Some(held)) = deployer.held()
    {
        report::held(&held, events);
    }
    Ok(exit)
}
