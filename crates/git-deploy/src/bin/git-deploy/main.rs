//! `git deploy`: one deployment.

mod failures;
mod observer;
mod report;
mod site;

use std::process::ExitCode;

use git_deploy_cli::args::Deploy;
use git_deploy_cli::{CommandError, Exit, Shell, typed_name};
use git_deploy_core::git::Repository;
use git_deploy_core::ops::deploy::{DeployRequest, Deployer};

use observer::Events;

fn main() -> ExitCode {
    git_deploy_cli::run::<Deploy>(|args, shell| deploy(&args, shell))
}

fn deploy(args: &Deploy, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let target = args.target.as_deref().map(typed_name).transpose()?;
    let request = DeployRequest { target: target.map(str::to_owned), environment: args.env.clone() };
    let events = Events::new(shell, args.json);
    let interrupt = git_deploy_cli::interrupt()?;
    repository.stop_on(interrupt);
    let deployer = Deployer { repository: &repository, site: &site::Plain, observer: &events, interrupt };
    let outcome = if args.dry_run {
        deployer.dry_run(&request).map(|planned| report::dry_run(planned, &events))
    } else {
        let report = match (args.resume, args.abort) {
            (true, _) => deployer.resume(),
            (_, true) => deployer.abort(),
            (false, false) => deployer.deploy(&request),
        };
        report.map(|report| {
            let exit = report::finished(&report, &events);
            deployer.told();
            exit
        })
    };
    outcome.map_err(|error| {
        let blame = failures::blame(&error);
        let error = failures::explain(error);
        report::failed(&error, blame, &events);
        error
    })
}
