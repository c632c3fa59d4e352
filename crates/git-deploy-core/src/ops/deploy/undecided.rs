//! An environment that cannot be asked in the middle of a deployment: it is waited for, and then the deployment stays where it
//! is, without a verdict. Nothing was found out about it; whoever takes it up again goes on.

use std::rc::Rc;

use super::finish::leave;
use super::run::Run;
use super::{DeployError, Verdict};
use crate::attempt::Attempt;
use crate::deployment::{Action, Blame, Close, Event, Failure, Phase, next};
use crate::environment::Answers;

/// How often an environment may fail to answer that answers when it is asked why: then it is not away, and whatever it is decides.
const RELAPSES: u32 = 3;

impl Run<'_> {
    /// Waits until the environment answers, takes it again, and goes on with what the attempt says.
    ///
    /// # Errors
    /// When it stays away: the deployment is left as it is.
    pub(super) fn outlast(&mut self, failure: Failure) -> Result<Event, DeployError> {
        if !self.may_relapse() {
            return Ok(Event::Failed(failure.decided()));
        }
        let found = self.take_again(failure, None)?;
        Ok(found.map_or(Event::TakenUp(self.attempt().phase), Event::FoundBefore))
    }

    /// Goes back, however often the environment falls silent meanwhile.
    ///
    /// # Errors
    /// When it stays away: no verdict is written, and whoever takes the deployment up again goes back then.
    pub(super) fn restore_or_leave(&mut self, close: &mut Close) -> Result<(), DeployError> {
        while let Some(failure) = self.restore(close)? {
            self.remember_found(close)?;
            self.take_again(failure, Some(close))?;
        }
        Ok(())
    }

    /// Whether one that does not answer may only be away.
    pub(super) fn may_relapse(&self) -> bool {
        self.relapses < RELAPSES
    }

    /// Waits until the environment answers, and takes it with a driver that knows nothing of before, as a run does that takes
    /// up what another one has left. Returns the verdict that was found before; `found` is one that this run has found.
    fn take_again(&mut self, failure: Failure, found: Option<&Close>) -> Result<Option<Close>, DeployError> {
        self.check_interrupt()?;
        match self.with_driver(|driver, work| driver.outlast(work.pulse))? {
            Ok(Answers::Not) | Err(_) => return Err(self.undecided(failure)),
            Ok(Answers::AtOnce) => self.relapses += 1,
            Ok(Answers::Again) => self.relapses = 0,
        }
        self.say("Resuming", ", now that the environment answers");
        let driver = self.context.driver(&self.claimed.environment, self.errand);
        self.driver = Rc::from(driver.map_err(DeployError::Plan)?);
        let before = self.begin().map_err(|error| self.left_open(error))?;
        self.confirm(failure, found)?;
        Ok(before)
    }

    /// Makes sure in git that nobody has gone on with it: a run that could not write there for long enough is taken for dead, and
    /// an environment that another one has had and given back since does not say so.
    fn confirm(&mut self, failure: Failure, found: Option<&Close>) -> Result<(), DeployError> {
        let attempt = found.map_or_else(|| self.attempt().clone(), |found| self.with_found(found));
        match self.record(attempt, Vec::new()) {
            Err(DeployError::NotRecorded { .. }) => Err(self.undecided(failure)),
            recorded => recorded,
        }
    }

    /// An environment that could not even be taken leaves the deployment where it is, too.
    pub(super) fn left_open(&self, error: DeployError) -> DeployError {
        match error {
            DeployError::Plan(failure) if failure.undecided => self.undecided(failure),
            error => error,
        }
    }

    /// Ends it as aborted without its environment, which is left as it is.
    pub(super) fn abort_unasked(self, failure: &Failure) -> Result<Verdict, DeployError> {
        let phase = self.attempt().phase;
        let Action::Close(mut close) = next(phase, Event::AbortAsked) else {
            return Err(DeployError::Plan(failure.clone()));
        };
        close.restore = false;
        if phase > Phase::Claimed {
            let why = format!("left as it is, because it could not be asked: {}", failure.reason);
            self.deployer.observer.warn(&format!("the environment was {why}"));
            leave(&mut close, why);
        }
        self.close(close)
    }

    fn undecided(&self, failure: Failure) -> DeployError {
        DeployError::Undecided { id: self.attempt().id.clone(), phase: self.attempt().phase, failure }
    }

    /// Writes down the verdict with which it goes back: the environment, which would remember it, cannot be told.
    fn remember_found(&mut self, close: &Close) -> Result<(), DeployError> {
        match self.record(self.with_found(close), Vec::new()) {
            // It is written when the environment is taken again; whoever takes it up before that may find something else.
            Err(DeployError::NotRecorded { .. }) => Ok(()),
            recorded => recorded,
        }
    }

    fn with_found(&self, close: &Close) -> Attempt {
        Attempt {
            outcome: Some(close.outcome),
            blame: Some(close.blame),
            reason: Some(close.reason.clone()),
            timed_out: close.timed_out,
            ..self.attempt().clone()
        }
    }

    /// The verdict with which a run went back that could not come to the end of that.
    pub(super) fn found(&self) -> Option<Close> {
        let attempt = self.attempt();
        let is_open = matches!(attempt.phase, Phase::Applying | Phase::Verified);
        let outcome = attempt.outcome.filter(|_| is_open)?;
        Some(Close {
            outcome,
            blame: attempt.blame.unwrap_or(Blame::Nobody),
            reason: attempt.reason.clone().unwrap_or_default(),
            left: None,
            restore: true,
            again: false,
            timed_out: attempt.timed_out,
            hint: None,
        })
    }
}
