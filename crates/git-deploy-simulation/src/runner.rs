//! A runner: what `git deploy-queue run --watch` does, again and again, in one process after the other.

use std::rc::Rc;
use std::time::Duration;

use git_deploy_core::config::Settings;
use git_deploy_core::deployment::Blame;
use git_deploy_core::git::{Ref, Repository};
use git_deploy_core::ids::CommitId;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::machine::Machine;
use git_deploy_core::ops::deploy::{DeployError, DeployRequest, Deployer, Report};
use git_deploy_core::ops::sweep::{SweepError, sweep_authority};
use git_deploy_core::ops::{Interrupt, Observer, sync};
use git_deploy_core::runner::{Next, Runner, Turn};

use crate::host::Host;
use crate::site::Place;

/// The longest time between two looks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Works the queue off until it dies.
pub(crate) fn watch(host: &Rc<Host>) {
    let mut policy = Runner::watching(INTERVAL);
    let mut work = Work { host, swept: None, idle: None };
    loop {
        let turn = work.turn().unwrap_or_else(|why| {
            host.world.tell(host.me, &format!("trouble: {why}"));
            Turn::Trouble
        });
        match policy.after(&turn) {
            Next::Turn => {}
            Next::Wait(time) => host.sleep(time),
            Next::End(_) => unreachable!("who watches stays"),
        }
    }
}

struct Work<'a> {
    host: &'a Rc<Host>,
    swept: Option<CommitId>,
    idle: Option<Vec<Ref>>,
}

impl Work<'_> {
    fn turn(&mut self) -> Result<Turn, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let repository = Repository::open_at(&self.host.clone).map_err(|error| text(&error))?;
        let settings = Settings::read(&repository).map_err(|error| text(&error))?;
        let observer = Listener(self.host);
        if let Some(tracking) = &settings.remote {
            sync::fetch(&repository, tracking, &observer).map_err(|error| text(&error))?;
        }
        let stands = repository.refs("refs/").map_err(|error| text(&error))?;
        if self.idle.as_ref() == Some(&stands) {
            return Ok(Turn::Unchanged);
        }
        let interrupt = Interrupt::default();
        let base = settings.base_tip(&repository).map_err(|error| text(&error))?;
        if self.swept != Some(base) {
            match sweep_authority(&repository, &observer, &interrupt) {
                Ok(_) => self.swept = Some(base),
                Err(SweepError::AnotherSweep(_)) => {}
                Err(error) => return Err(text(&error)),
            }
        }
        let stands = repository.refs("refs/").map_err(|error| text(&error))?;
        let site = Place { host: Rc::clone(self.host) };
        let deployer =
            Deployer { repository: &repository, site: &site, observer: &observer, interrupt: &interrupt };
        let report = deployer.deploy(&DeployRequest::default());
        // Whatever came of it: this run changes nothing more.
        self.host.world.promises(|promises, _| promises.rests(self.host.me));
        let turn = match report {
            Ok(Report::Nothing(_)) => Turn::Nothing,
            Ok(Report::Finished(verdict)) => {
                self.host.world.tell(
                    self.host.me,
                    &format!("{} {:?} {:?}", verdict.id, verdict.outcome, verdict.reason),
                );
                deployer.told();
                match (verdict.outcome, verdict.blame) {
                    (Outcome::Success, _) => Turn::Landed,
                    (_, Some(Blame::Branch)) => Turn::Failed(format!("{:?}", verdict.branch)),
                    _ => Turn::Trouble,
                }
            }
            Err(DeployError::Held { .. }) => Turn::Held,
            Err(error) => return Err(text(&error)),
        };
        self.idle = Some(stands).filter(|_| turn == Turn::Nothing);
        Ok(turn)
    }
}

/// Makes what happens a part of the story.
pub(crate) struct Listener<'a>(pub(crate) &'a Host);

impl Observer for Listener<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.0.world.tell(self.0.me, &format!("{verb} {text}"));
    }

    fn warn(&self, text: &str) {
        self.step("warning:", text);
    }
}
