//! `git deploy`: one deployment.

mod failures;
mod observer;
mod report;
mod site;

use std::process::ExitCode;

use git_deploy_cli::args::Deploy;
use git_deploy_cli::{CommandError, Exit, Shell};
use git_deploy_core::git::Repository;
use git_deploy_core::ops::deploy::{DeployRequest, Deployer};

use observer::Events;

fn main() -> ExitCode {
    git_deploy_cli::run::<Deploy>(|args, shell| deploy(&args, shell))
}

fn deploy(args: &Deploy, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let target = args.target.as_ref().map(|target| {
        let text = target.to_str().map(str::to_owned);
        text.ok_or_else(|| CommandError::no(format!("'{}' is not UTF-8", target.to_string_lossy())))
    });
    let request = DeployRequest { target: target.transpose()?, environment: args.env.clone() };
    let events = Events::new(shell, args.json);
    let outcome = {
        let interrupt = git_deploy_cli::interrupt()?;
        let deployer = Deployer { repository: &repository, site: &site::Plain, observer: &events, interrupt };
        if args.dry_run {
            let planned = deployer.dry_run(&request);
            return planned.map_err(failures::explain).map(|planned| report::dry_run(planned, &events));
        }
        match (args.resume, args.abort) {
            (true, _) => deployer.resume(),
            (_, true) => deployer.abort(),
            (false, false) => deployer.deploy(&request),
        }
    };
    match outcome {
        Ok(report) => Ok(report::finished(&report, &events)),
        Err(error) => {
            let error = failures::explain(error);
            report::failed(&error, &events);
            Err(error)
        }
    }
}
