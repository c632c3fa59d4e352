//! A runner: what `git deploy-queue run --watch` does, again and again, in one process after the other.

use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use git_deploy_core::config::ConfigError;
use git_deploy_core::deployment::Blame;
use git_deploy_core::git::{GitError, Repository};
use git_deploy_core::ledger::Outcome;
use git_deploy_core::machine::Machine;
use git_deploy_core::ops::deploy::{DeployError, DeployRequest, Deployer, Report};
use git_deploy_core::ops::sweep::SweepError;
use git_deploy_core::ops::sync::SyncError;
use git_deploy_core::ops::view::ViewError;
use git_deploy_core::ops::work_off::{Event, Hands, work_off};
use git_deploy_core::ops::{Interrupt, Interrupted, Observer};
use git_deploy_core::runner::{Runner, Turn};

use crate::host::Host;
use crate::site::Place;

/// The longest time between two looks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Works the queue off until it dies.
pub(crate) fn watch(host: &Rc<Host>) {
    let worker = Worker { host, listener: Listener(host), interrupt: Interrupt::default() };
    let ended = work_off(&worker, Runner::watching(INTERVAL));
    unreachable!("who watches stays: {:?}", ended.map_err(|Trouble(why)| why));
}

struct Worker<'a> {
    host: &'a Rc<Host>,
    listener: Listener<'a>,
    interrupt: Interrupt,
}

/// Why a turn came to nothing.
struct Trouble(String);

macro_rules! trouble_by {
    ($($error:ty),*) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })*
    };
}

trouble_by!(ConfigError, GitError, SyncError, SweepError, ViewError, Interrupted);

impl Hands for Worker<'_> {
    type Error = Trouble;

    fn open(&self) -> Result<Repository, Trouble> {
        Ok(Repository::open_at(&self.host.clone)?)
    }

    fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    fn deploy(&self, repository: &Repository) -> Result<Turn, Trouble> {
        let site = Place { host: Rc::clone(self.host) };
        let deployer =
            Deployer { repository, site: &site, observer: &self.listener, interrupt: &self.interrupt };
        let report = deployer.deploy(&DeployRequest::default());
        // Whatever came of it: this run changes nothing more.
        self.host.world.promises(|promises, _| promises.rests(self.host.me));
        Ok(match report {
            Ok(Report::Nothing(_)) => Turn::Nothing,
            Ok(Report::Finished(verdict)) => {
                self.tell(format!("{} {:?} {:?}", verdict.id, verdict.outcome, verdict.reason));
                deployer.told();
                match (verdict.outcome, verdict.blame) {
                    (Outcome::Success, _) => Turn::Landed,
                    (_, Some(Blame::Branch)) => Turn::Failed(format!("{:?}", verdict.branch)),
                    _ => Turn::Trouble,
                }
            }
            Err(error) => {
                self.tell(format!("comes to no verdict: {error}"));
                match error {
                    error if error.waits().is_some() => Turn::Held,
                    DeployError::Broken { branch, .. } => Turn::Failed(format!("{branch}")),
                    _ => Turn::Trouble,
                }
            }
        })
    }

    fn wait(&self, time: Duration) -> Result<bool, Interrupted> {
        self.host.sleep(time);
        Ok(false)
    }

    fn may_pass(&self, _: &Trouble) -> bool {
        true
    }

    fn happened(&self, event: Event<'_, Trouble>) {
        match event {
            Event::Swept(outcome) => {
                self.tell(format!("{} '{}'", outcome.fate.word(), outcome.branch.short()));
            }
            Event::Left(place) => self.tell(format!("leaves '{}' in the queue", place.branch.short())),
            Event::Failed(Trouble(why)) | Event::Untidied(Trouble(why)) => {
                self.tell(format!("trouble: {why}"));
            }
            Event::Again(_) | Event::Unhindered => {}
        }
    }
}

impl Worker<'_> {
    fn tell(&self, what: impl Display) {
        self.host.world.tell(self.host.me, &what.to_string());
    }
}

impl Observer for Worker<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.listener.step(verb, text);
    }

    fn warn(&self, text: &str) {
        self.listener.warn(text);
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
