//! An environment that cannot be asked in the middle of a deployment: it is waited for, and then the deployment stays where it
//! is, without a verdict. Nothing was found out about it; whoever takes it up again goes on.

use std::rc::Rc;
use std::time::Duration;

use super::finish::leave;
use super::run::Run;
use super::{DeployError, Verdict};
use crate::attempt::Attempt;
use crate::deployment::{Action, Blame, Close, Event, Failure, Phase, Step, next};
use crate::environment::Answers;
use crate::ledger::Outcome;
use crate::machine;

/// How often in a row an environment may fail to answer that answers when it is asked why: then it is not away, and whatever it is
/// decides.
const RELAPSES: u32 = 3;

/// How often a run takes its environment again: with one that comes and goes another one may have more luck, later.
const MOST: u32 = 10;

/// What an environment has been like that did not answer.
#[derive(Debug, Default)]
pub(super) struct Silences {
    /// How often it was taken again, in all.
    times: u32,
    /// How often in a row it answered at once when it had just not.
    relapses: u32,
    /// For how long it was waited for, in all.
    waited: Duration,
}

/// What follows from whether an environment answers that did not.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// It is taken again.
    TakeAgain,
    /// It was not away: what it came to is a failure.
    Fail,
    /// There is no verdict before it can be asked.
    Leave,
}

impl Silences {
    /// What follows after `waited` more, where no more than `patience` is waited in all.
    fn then(&mut self, answers: Answers, waited: Duration, patience: Duration) -> Then {
        if answers == Answers::Again {
            self.waited += waited;
        }
        match answers {
            // However often it was there at once: now it is not.
            Answers::Not => return Then::Leave,
            Answers::AtOnce => self.relapses += 1,
            Answers::Again => self.relapses = 0,
        }
        if self.relapses > RELAPSES {
            return Then::Fail;
        }
        self.times += 1;
        if self.times > MOST || self.waited >= patience { Then::Leave } else { Then::TakeAgain }
    }

    /// The deployment gets on: whatever hinders it from now on begins anew.
    pub(super) fn gets_on(&mut self) {
        self.relapses = 0;
    }
}

impl Run<'_> {
    /// Waits until the environment answers, takes it again, and goes on with what the attempt says.
    ///
    /// # Errors
    /// When it stays away: the deployment is left as it is.
    pub(super) fn outlast(&mut self, failure: Failure) -> Result<Event, DeployError> {
        let was_away = self.was_away(&failure);
        if !self.or_let_go(was_away)? {
            return Ok(Event::Failed(failure.decided()));
        }
        let found = self.take_again(failure, None);
        let found = self.or_let_go(found)?;
        Ok(found.map_or(Event::TakenUp(self.attempt().phase), Event::FoundBefore))
    }

    /// Goes back, however often the environment falls silent meanwhile.
    ///
    /// # Errors
    /// When it stays away: no verdict is written, and whoever takes the deployment up again goes back then.
    pub(super) fn restore_or_leave(&mut self, close: &mut Close) -> Result<(), DeployError> {
        self.silences.gets_on();
        while let Some(failure) = self.restore(close)? {
            self.remember_found(close)?;
            if !self.was_away(&failure)? {
                self.not_gone_back(close, &failure);
                break;
            }
            self.take_again(failure, Some(close))?;
        }
        Ok(())
    }

    /// Waits until the environment answers; whether that it did not is all that was wrong.
    fn was_away(&mut self, failure: &Failure) -> Result<bool, DeployError> {
        self.check_interrupt()?;
        let begun = machine::uptime();
        let answers = self.with_driver(|driver, work| driver.outlast(work.pulse))?.unwrap_or(Answers::Not);
        let (waited, patience) = (machine::uptime().saturating_sub(begun), self.claimed.environment.timeout);
        match self.silences.then(answers, waited, patience) {
            Then::TakeAgain => Ok(true),
            Then::Fail => Ok(false),
            Then::Leave => Err(self.undecided(failure.clone())),
        }
    }

    /// Takes the environment with a driver that knows nothing of before, as a run does that takes up what another one has left.
    /// Returns the verdict that was found before; `found` is one that this run has found.
    ///
    /// # Errors
    /// When it cannot go on: whoever takes the deployment up again finds out what becomes of it.
    fn take_again(&mut self, failure: Failure, found: Option<&Close>) -> Result<Option<Close>, DeployError> {
        self.say("Resuming", ", now that the environment answers");
        let taken = self.begin_again().and_then(|before| self.confirm(failure, found).map(|()| before));
        let taken = taken.or_else(|error| self.check_interrupt().and(Err(error)));
        taken.map_err(|error| left(error).map_or_else(|ended| ended, |failure| self.undecided(failure)))
    }

    fn begin_again(&mut self) -> Result<Option<Close>, DeployError> {
        let driver = self.context.driver(&self.claimed.environment, self.errand);
        let former = std::mem::replace(&mut self.driver, Rc::from(driver.map_err(DeployError::Plan)?));
        // What the next one does not come to hold is given back by whoever has it still.
        self.begin().inspect_err(|_| former.let_go())
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
            // It is written when the environment is taken again; whoever takes it up before that finds out the same. Not what
            // a person has asked for, who can ask again, and must not be told that it is done.
            Err(DeployError::NotRecorded { .. }) if close.outcome != Outcome::Aborted => Ok(()),
            recorded => recorded,
        }
    }

    fn with_found(&self, close: &Close) -> Attempt {
        Attempt {
            outcome: Some(close.outcome),
            blame: Some(close.blame),
            reason: Some(close.reason.clone()),
            timed_out: close.timed_out,
            again: close.again,
            hint: close.hint.clone(),
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
            again: attempt.again,
            timed_out: attempt.timed_out,
            hint: attempt.hint.clone(),
        })
    }
}

/// Why an environment could not be taken again, where the deployment stays where it is; else how its run ends.
fn left(error: DeployError) -> Result<Failure, DeployError> {
    match error {
        DeployError::Undecided { .. } | DeployError::LostLock(_) | DeployError::Interrupted { .. } => {
            Err(error)
        }
        DeployError::Plan(failure) => Ok(failure),
        error => Ok(Failure::of_nobody(Step::Plan, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_cannot_be_taken_again_stays_where_it_is_with_the_reason_and_what_to_do() {
        let denied = Failure::of_nobody(Step::Plan, "forbidden").hint(Some("ask for it")).fatal();
        assert_eq!(left(DeployError::Plan(denied.clone())).unwrap(), denied);
        let (by, host) = ("Ada".to_owned(), "shore".to_owned());
        let deployment = "deployment-0005".parse().ok();
        let held = left(DeployError::Locked { by, host, deployment }).unwrap();
        assert_eq!(held.reason, "Ada on 'shore' deploys just now (deployment-0005)");
        let lost = DeployError::LostLock("deployment-0004".parse().unwrap());
        assert!(matches!(left(lost), Err(DeployError::LostLock(_))), "somebody else goes on with it");
    }

    #[test]
    fn what_answers_at_once_again_and_again_fails_and_what_is_away_never_does() {
        let mut silences = Silences::default();
        let mut then = |answers| silences.then(answers, SECOND, HOUR);
        for _ in 0..RELAPSES {
            assert_eq!(then(Answers::AtOnce), Then::TakeAgain);
        }
        assert_eq!(then(Answers::Not), Then::Leave, "it is away now, whatever it was before");
        assert_eq!(then(Answers::AtOnce), Then::Fail);
        assert_eq!(then(Answers::Not), Then::Leave);
        assert_eq!(then(Answers::Again), Then::TakeAgain);
        assert_eq!(then(Answers::AtOnce), Then::TakeAgain, "they are counted in a row");
    }

    #[test]
    fn a_deployment_that_gets_on_has_all_its_patience_again() {
        let mut silences = Silences { relapses: RELAPSES, ..Silences::default() };
        silences.gets_on();
        assert_eq!(silences.then(Answers::AtOnce, SECOND, HOUR), Then::TakeAgain);
    }

    #[test]
    fn an_environment_that_comes_and_goes_is_left_to_another_run_at_last() {
        let mut silences = Silences::default();
        for _ in 0..MOST {
            silences.gets_on();
            assert_eq!(silences.then(Answers::Again, SECOND, HOUR), Then::TakeAgain);
        }
        assert_eq!(silences.then(Answers::Again, SECOND, HOUR), Then::Leave);
    }

    #[test]
    fn one_that_comes_and_goes_is_waited_for_no_longer_in_all_than_one_that_is_away() {
        let mut silences = Silences::default();
        assert_eq!(silences.then(Answers::Again, HOUR / 2, HOUR), Then::TakeAgain);
        silences.gets_on();
        assert_eq!(silences.then(Answers::Again, HOUR / 2, HOUR), Then::Leave);
    }
}
