//! Keeping what a run holds while something takes long, and judging who holds what.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::locks::new_run;
use super::run::Run;
use super::{Context, DeployError};
use crate::attempt::{Attempt, LOCK_TTL, Lock};
use crate::deployment::{Failure, Phase, Step};
use crate::environment::{Custody, Pulse};
use crate::git::notes::NotesEdit;
use crate::ids::DeploymentId;
use crate::land::Change;
use crate::machine;
use crate::ops::transact::Transacted;

/// How often locks in git are renewed: three times within the time that they may stay unchanged.
pub(super) const RENEWAL: Duration = Duration::from_secs(LOCK_TTL / 3);

/// How who ends programs ends a runner: a person, who has Ctrl-C, may want to say what becomes of what was begun.
const SIGTERM: i32 = 15;

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

impl Run<'_> {
    pub(super) fn check_interrupt(&self) -> Result<(), DeployError> {
        self.deployer.interrupt.check().map_err(|interrupted| DeployError::Interrupted {
            signal: interrupted.signal,
            id: Some(self.attempt().id.clone()),
            phase: Some(self.attempt().phase),
        })
    }

    /// What a step came to: who was told to terminate in it, or leaves it without a verdict, gives back what it holds; so does
    /// whoever has lost some of it, since another one waits for the rest.
    pub(super) fn or_let_go<T>(&mut self, done: Result<T, DeployError>) -> Result<T, DeployError> {
        let is_told = self.deployer.interrupt.check().is_err_and(|told| told.signal == SIGTERM);
        let is_left = matches!(
            done,
            Err(DeployError::Undecided { .. } | DeployError::NotLanded { .. } | DeployError::LostLock(_))
        );
        if done.is_err() && (is_told || is_left) {
            self.let_go();
        }
        done
    }

    /// The same of a step. How far that has come may not be written down, or nobody knows whether it is: nothing was done that is
    /// not, and nothing more is done now.
    pub(super) fn recorded_or_let_go<T>(&mut self, done: Result<T, DeployError>) -> Result<T, DeployError> {
        if matches!(done, Err(DeployError::NotRecorded { .. })) {
            self.let_go();
            return done;
        }
        self.or_let_go(done)
    }

    /// Gives back what it holds, and leaves the deployment as it is: whoever goes on with it elsewhere need not wait until this
    /// run was watched for dead. Where that fails, that is what happens.
    pub(super) fn let_go(&mut self) {
        self.driver.let_go();
        // No number that stands anywhere else: the attempt has to move with the locks, and nobody works on it.
        let attempt = Attempt { run: new_run(), ..self.attempt().clone() };
        let locks = [Some(&self.claimed.lock), self.claimed.base_lock.as_ref()];
        let given_back = locks.into_iter().flatten().map(|(name, at)| Change::delete(name.clone(), *at));
        let given_back: Vec<Change> = given_back.collect();
        let at = self.claimed.attempt_at;
        let written = self.context.write_attempt(&attempt).and_then(|written| {
            let attempt_moves = Change::update(attempt.id.attempt(), Some(at), written.0);
            let changes = || given_back.iter().cloned().chain([attempt_moves.clone()]).collect();
            let (label, identity) = (format!("{}: let go", attempt.id), self.deployer.repository.identity()?);
            Ok(self.transactor(&identity).transact(&label, |_| Ok(NotesEdit::default()), |_| changes())?)
        });
        if matches!(written, Ok(Transacted::Done)) {
            self.say("Leaving", " to whoever goes on");
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
    /// What for; none to tidy up.
    pub(super) id: Option<&'a DeploymentId>,
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
