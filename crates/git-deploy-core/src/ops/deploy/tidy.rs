//! Between two deployments: deleting what is no longer wanted and was kept for as long as `prune` says.
//!
//! It is looked first, which takes nothing. Only where something is to be deleted the environment is taken as for a
//! deployment: its lock in git, which keeps others from claiming a number, and what the driver holds. Nothing is done while
//! a deployment is under way or somebody has to decide something first.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::keeping::{Keeper, RENEWAL};
use super::locks::new_run;
use super::{Context, DeployError, Deployer, Errand, Hold};
use crate::attempt::environment_lock;
use crate::config::deploy_toml::{DeployToml, Environment, Prune, Target};
use crate::deployment::{Failure, Step};
use crate::environment::{NotTaken, ObjectName, Pulse, Tidied};
use crate::git::notes::{Notes, NotesEdit};
use crate::ids::{EnvironmentName, ObjectId, RefName};
use crate::land::Change;
use crate::machine;
use crate::ops::transact::Transacted;
use crate::ops::under_way::under_way;

/// Something that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub object: ObjectName,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Tidy {
    /// What was deleted.
    pub deleted: Vec<Deleted>,
    /// When there will be something to do again, where that is known.
    pub next: Option<Timestamp>,
    /// What could not be looked at or deleted: the first cause.
    pub undone: Option<DeployError>,
}

impl Tidy {
    /// In how long there will be something to do again.
    pub fn next_in(&self) -> Option<Duration> {
        let until = |next: Timestamp| next.duration_since(machine::now());
        self.next.map(|next| Duration::try_from(until(next)).unwrap_or_default())
    }

    fn add(&mut self, environment: &EnvironmentName, tidied: Result<Tidied, DeployError>) {
        let tidied = match tidied {
            Ok(tidied) => tidied,
            Err(error) => {
                self.undone.get_or_insert(error);
                return;
            }
        };
        let deleted = |object| Deleted { environment: environment.clone(), object };
        self.deleted.extend(tidied.deleted.into_iter().map(deleted));
        self.next = self.next.into_iter().chain(tidied.next).min();
        if let Some(failure) = tidied.undone {
            self.undone.get_or_insert(DeployError::Plan(failure));
        }
    }
}

/// Whether an environment keeps for a while what is no longer wanted there.
pub fn keeps_for_a_while(deploy_toml: &DeployToml) -> bool {
    deploy_toml.environments().iter().any(keeps)
}

fn keeps(environment: &Environment) -> bool {
    matches!(environment.prune, Prune::After(_)) && matches!(environment.target, Target::Cluster { .. })
}

impl Deployer<'_> {
    /// Deletes what was kept for long enough, in all environments that keep something for a while and at which nobody is at
    /// work. What hinders it in one keeps no other from it.
    ///
    /// # Errors
    /// When git cannot be read, or the user asked to stop.
    pub fn tidy(&self) -> Result<Tidy, DeployError> {
        // Who is at work in this repository looks itself when there is nothing to deploy.
        let _run_lock = match self.begin() {
            Err(DeployError::AnotherRun(_)) => {
                return Ok(Tidy { next: left_to_others().next, ..Tidy::default() });
            }
            begun => begun?,
        };
        let context = Context::new(self)?;
        let mut tidy = Tidy::default();
        let holds = context.holds()?;
        let waits_for_somebody = |hold: &Hold| matches!(hold, Hold::Asked(_) | Hold::RolledBack(_));
        if !under_way(&context.view)?.is_empty() || holds.iter().any(waits_for_somebody) {
            return Ok(tidy);
        }
        let is_degraded = |name: &EnvironmentName| {
            holds.iter().any(|hold| matches!(hold, Hold::Degraded { environment, .. } if environment == name))
        };
        for environment in context.deploy_toml.environments().iter().filter(|environment| keeps(environment))
        {
            let name = &environment.name;
            if let Some(frozen) = environment.frozen(machine::now()) {
                let next =
                    frozen.until.or_else(|| machine::now().checked_add(SignedDuration::from_hours(1)).ok());
                tidy.add(name, Ok(Tidied { next, ..Tidied::default() }));
                continue;
            }
            if is_degraded(name) || context.moved_from(environment)?.is_some() {
                continue;
            }
            tidy.add(name, context.tidy(environment));
            self.interrupt.check()?;
        }
        Ok(tidy)
    }
}

impl Context<'_> {
    fn tidy(&self, environment: &Environment) -> Result<Tidied, DeployError> {
        let driver = self.driver(environment, Errand::Asked).map_err(DeployError::Plan)?;
        let standing = self.standing(environment)?;
        let run = new_run();
        let custody = Keeper { context: self, run: &run, id: None };
        let upkeep = match driver.upkeep(&standing, &custody, self.deployer.interrupt) {
            Err(NotTaken::Held(_)) => {
                self.watch_locks(environment);
                return Ok(left_to_others());
            }
            upkeep => upkeep?,
        };
        if !upkeep.is_due {
            return Ok(Tidied { next: upkeep.next, ..Tidied::default() });
        }
        self.deployer.observer.step("Tidying", &format!("'{}'", environment.name));
        let Some(held) = HeldLock::take(self, environment, &run)? else {
            self.watch_environment(environment, None);
            return Ok(left_to_others());
        };
        let tidied = driver.tidy(&standing, &custody, &held);
        if tidied.is_err() {
            driver.let_go();
        }
        let stopped = held.give_back();
        match (tidied, stopped) {
            (Err(NotTaken::Held(_)), _) => Ok(left_to_others()),
            // Why it had to stop says more than that it was stopped.
            (Err(_), Err(stopped)) => Err(stopped),
            (tidied, _) => tidied.map_err(DeployError::from),
        }
    }

    /// Moves a lock alone. Whether nobody else was faster.
    fn move_lock(&self, label: &str, change: &Change) -> Result<bool, DeployError> {
        let nothing = |_: &Notes<'_>| Ok(NotesEdit::default());
        let failed = |why: String| DeployError::Plan(Failure::of_nobody(Step::Plan, why));
        let name = change.name.clone();
        match self.transactor().transact(label, nothing, |_| vec![change.clone()])? {
            Transacted::Done => Ok(true),
            Transacted::Moved(_) => Ok(false),
            Transacted::Refused(why) | Transacted::Unable(why) => {
                Err(failed(format!("cannot move '{name}': {why}")))
            }
        }
    }
}

/// Who is at work there, deploys or tidies up: that is looked at when they have ended, or died.
fn left_to_others() -> Tidied {
    Tidied { next: machine::now().checked_add(SignedDuration::from_mins(1)).ok(), ..Tidied::default() }
}

/// The lock of an environment that is tidied up, kept alive meanwhile.
struct HeldLock<'a> {
    context: &'a Context<'a>,
    run: &'a str,
    name: RefName,
    at: Cell<Option<ObjectId>>,
    renewed: Cell<Duration>,
    stopped: RefCell<Option<DeployError>>,
}

impl<'a> HeldLock<'a> {
    /// Takes it, unless somebody else has it.
    fn take(
        context: &'a Context<'a>,
        environment: &Environment,
        run: &'a str,
    ) -> Result<Option<Self>, DeployError> {
        let change = match context.take(environment_lock(&environment.name)?, run, None) {
            Err(DeployError::Locked { .. }) => return Ok(None),
            change => change?,
        };
        if !context.move_lock("tidy: lock", &change)? {
            return Ok(None);
        }
        Ok(Some(Self {
            context,
            run,
            name: change.name,
            at: Cell::new(change.new),
            renewed: Cell::new(machine::uptime()),
            stopped: RefCell::default(),
        }))
    }

    fn renew(&self) -> Result<(), DeployError> {
        self.context.deployer.interrupt.check()?;
        if machine::uptime() < self.renewed.get() + RENEWAL {
            return Ok(());
        }
        self.renewed.set(machine::uptime());
        let new = self.context.write_lock(self.run, None)?.0;
        let change = Change::update(self.name.clone(), self.at.get(), new);
        if !self.context.move_lock("tidy: lock", &change)? {
            self.at.set(None);
            let why = "the lock was taken over by somebody else: nothing more was deleted";
            return Err(DeployError::Plan(Failure::of_nobody(Step::Plan, why)));
        }
        self.at.set(Some(new));
        Ok(())
    }

    /// Gives it back, and says why what was done under it had to stop, if it had to.
    fn give_back(self) -> Result<(), DeployError> {
        let given_back = match self.at.get() {
            Some(at) => self.context.move_lock("tidy: unlock", &Change::delete(self.name.clone(), at)),
            None => Ok(true),
        };
        if let Some(stopped) = self.stopped.into_inner() {
            return Err(stopped);
        }
        if let Err(error) = given_back {
            // The next run takes it over.
            self.context.deployer.observer.warn(&format!("the lock could not be given back: {error}"));
        }
        Ok(())
    }
}

impl Pulse for HeldLock<'_> {
    fn beat(&self) -> bool {
        if self.stopped.borrow().is_some() {
            return false;
        }
        match self.renew() {
            Ok(()) => true,
            Err(error) => {
                *self.stopped.borrow_mut() = Some(error);
                false
            }
        }
    }
}
