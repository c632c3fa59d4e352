//! Keeping what a run holds while something takes long, and judging who holds what.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::run::Run;
use super::{Context, DeployError};
use crate::attempt::{LOCK_TTL, Lock};
use crate::deployment::{Failure, Phase, Step};
use crate::environment::{Custody, Pulse};
use crate::ids::DeploymentId;
use crate::machine;

/// How often locks in git are renewed: three times within the time that they may stay unchanged.
const RENEWAL: Duration = Duration::from_secs(LOCK_TTL / 3);

/// Renews the locks of a run, and hears the user's wish to stop.
pub(super) struct Heart<'r, 'a> {
    run: RefCell<&'r mut Run<'a>>,
    renewed: Cell<Duration>,
    warned: Cell<bool>,
    stopped: RefCell<Option<DeployError>>,
}

impl<'r, 'a> Heart<'r, 'a> {
    pub(super) fn new(run: &'r mut Run<'a>) -> Self {
        Self {
            run: RefCell::new(run),
            renewed: Cell::new(machine::uptime()),
            warned: Cell::new(false),
            stopped: RefCell::new(None),
        }
    }

    /// Why the run has to stop, if it has to.
    pub(super) fn stopped(self) -> Option<DeployError> {
        self.stopped.into_inner()
    }

    fn renew(&self) -> Result<(), DeployError> {
        let mut run = self.run.borrow_mut();
        run.check_interrupt()?;
        if machine::uptime() < self.renewed.get() + RENEWAL {
            return Ok(());
        }
        self.renewed.set(machine::uptime());
        let attempt = run.attempt().clone();
        match run.record(attempt, Vec::new()) {
            // A remote that is away takes the lock from nobody: the environment's own is what fences, and whatever is
            // written to git later is refused if somebody else was there.
            Err(DeployError::NotRecorded { why, .. }) => {
                if !self.warned.replace(true) {
                    run.deployer.observer.warn(&format!("the lock is not renewed: {why}"));
                }
                Ok(())
            }
            renewed => renewed,
        }
    }
}

impl Pulse for Heart<'_, '_> {
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

/// Judges the holder of an environment by what this repository and this machine know.
pub(super) struct Keeper<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) run: &'a str,
    pub(super) id: &'a DeploymentId,
}

impl Custody for Keeper<'_> {
    fn lock(&self) -> Result<Lock, Failure> {
        self.context.lock(self.run, self.id).map_err(of_git)
    }

    fn is_gone(&self, lock: &Lock, place: &str, value: &str) -> Result<bool, Failure> {
        // Who has written its verdict writes nothing more: it died, or is just about to give back what it holds.
        let attempt =
            lock.deployment.as_ref().map(|id| self.context.attempt(id)).transpose().map_err(of_git)?;
        let has_ended = attempt
            .flatten()
            .is_some_and(|attempt| attempt.phase == Phase::Finished && attempt.run == lock.run);
        Ok(has_ended || self.context.is_gone(lock, place, value).map_err(of_git)?)
    }
}

pub(super) fn of_git(error: impl Into<DeployError>) -> Failure {
    Failure::of_nobody(Step::Plan, error.into().to_string())
}
