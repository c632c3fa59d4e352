//! What is open where somebody wants to go back. It is given up as by `--abort`, which goes back to the last success: who
//! asked for no more than that has what was asked for, and one step further would skip what is good.

use super::pick::Pick;
use super::row::Passage;
use super::run::Run;
use super::{Context, DeployError, DeployRequest, Deployer, Rollback, Verdict};
use crate::attempt::Attempt;
use crate::candidate::Candidate;
use crate::config::deploy_toml::Environment;
use crate::deployment::{Event, Phase};
use crate::ids::DeploymentId;
use crate::ledger::Outcome;
use crate::ops::under_way::under_way;

/// What becomes of a deployment that was left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is gone on with.
    Finished,
    /// It is given up, which goes back to the last success.
    GivenUp,
}

impl Deployer<'_> {
    /// Nothing is given up for the sake of a deployment that cannot be gone back to.
    pub(super) fn check_way_back(&self, request: &DeployRequest) -> Result<(), DeployError> {
        match &request.rollback {
            Some(rollback @ Rollback::To(_)) => {
                Context::new(self)?.pick_rollback(rollback, request).map(drop)
            }
            Some(Rollback::Previous) | None => Ok(()),
        }
    }

    /// Whether the environment is where the user wants to go back to, now that this deployment has ended without success.
    /// Who was told of its end before wants to go further.
    pub(super) fn gone_back_by(
        &self,
        request: &DeployRequest,
        verdict: Verdict,
    ) -> Result<Result<Verdict, Verdict>, DeployError> {
        let Some(rollback) = request.rollback.as_ref().filter(|_| verdict.outcome != Outcome::Success) else {
            return Ok(Err(verdict));
        };
        // The ledger has the verdict by now.
        let context = Context::new(self)?;
        let environment = context.rollback_environment(rollback, request)?;
        let is_there = environment.name == verdict.environment && !verdict.was_told;
        let stands = context.stands_undisturbed(environment)?.filter(|_| is_there);
        let wanted = match rollback {
            Rollback::Previous => None,
            Rollback::To(id) => Some(context.applied_by(id)?),
        };
        Ok(match stands.filter(|stands| wanted.as_ref().is_none_or(|wanted| wanted == stands)) {
            Some(stands) => Ok(Verdict { stands_again: Some(stands), ..verdict }),
            None => Err(verdict),
        })
    }
}

impl Context<'_> {
    /// The deployment whose bytes stand there, unless one that failed since has left something.
    fn stands_undisturbed(&self, environment: &Environment) -> Result<Option<DeploymentId>, DeployError> {
        let ledger = self.view.ledger()?;
        let is_left = ledger.left(&environment.name).is_some();
        let latest = ledger.latest_success(&environment.name).filter(|_| !is_left);
        Ok(latest.map(|latest| latest.applied().clone()))
    }

    /// Whether what is open is in the way of somebody who wants to go back: not where it is that very way back.
    pub(super) fn is_in_the_way_back(
        &self,
        request: &DeployRequest,
        attempt: &Attempt,
    ) -> Result<bool, DeployError> {
        let Some(rollback) = &request.rollback else { return Ok(false) };
        let is_there = self.rollback_environment(rollback, request)?.name == attempt.environment;
        let verdict = Verdict::of(attempt.clone(), Outcome::Failure);
        Ok(is_there && !self.deployer.is_asked_for(self, request, &verdict)?)
    }

    /// What was begun and has no verdict, and nobody works on.
    pub(super) fn left_open(&self) -> Result<Vec<Attempt>, DeployError> {
        let mut left = Vec::new();
        for attempt in under_way(&self.view)? {
            let found = self.under_way(attempt)?;
            left.extend(found.is_left.then_some(found.attempt));
        }
        Ok(left)
    }

    /// What ending a deployment that was left open would deploy, if that is all that the user asks for. Whatever else would
    /// be ended first is said.
    pub(super) fn pick_open(
        &self,
        request: &DeployRequest,
    ) -> Result<Option<(DeploymentId, Ending, Pick)>, DeployError> {
        for attempt in self.left_open()? {
            let Some(environment) = self.deploy_toml.environment(attempt.environment.as_str()) else {
                continue;
            };
            let is_given_up = self.is_in_the_way_back(request, &attempt)?;
            let (id, environment) = (attempt.id.clone(), environment.clone());
            if is_given_up && let Some(back) = self.pick_way_back(request, &environment)? {
                return Ok(Some((id, Ending::GivenUp, back)));
            }
            if !is_given_up
                && self.deployer.is_asked_for(
                    self,
                    request,
                    &Verdict::of(attempt.clone(), Outcome::Failure),
                )?
            {
                let (candidate, rollback) = (Candidate::of_attempt(&attempt), attempt.rollback);
                // As whoever goes on with it believes it.
                let retry_jobs = self.jobs_to_retry(&attempt.retry_jobs, Some(request));
                let passage = Passage { retry_jobs, ..Passage::default() };
                let pick = Pick { candidate, environment, dropped: Vec::new(), rollback, passage };
                return Ok(Some((id, Ending::Finished, pick)));
            }
            let ended = if is_given_up { "given up" } else { "finished" };
            self.deployer.observer.warn(&format!(
                "{id}, which an earlier run left behind, would be {ended} first: this is compared with what stands now"
            ));
        }
        Ok(None)
    }

    /// The last success, if giving up what is open brings the environment where the user wants it.
    fn pick_way_back(
        &self,
        request: &DeployRequest,
        environment: &Environment,
    ) -> Result<Option<Pick>, DeployError> {
        let Some(stands) = self.stands_undisturbed(environment)? else { return Ok(None) };
        let wanted = match &request.rollback {
            Some(Rollback::To(id)) => self.applied_by(id)?,
            Some(Rollback::Previous) | None => stands.clone(),
        };
        let latest = self.view.ledger()?.latest_success(&environment.name).filter(|_| wanted == stands);
        Ok(latest.map(|latest| Pick {
            candidate: Candidate::deployed_before(latest, self.base_tip),
            environment: environment.clone(),
            dropped: Vec::new(),
            rollback: Some(stands),
            passage: Passage::default(),
        }))
    }
}

impl Run<'_> {
    /// Ends what another run left behind: finishes it, or gives it up for somebody who wants to go back.
    pub(super) fn end_for(self, request: &DeployRequest) -> Result<Verdict, DeployError> {
        let (deployer, id) = (self.deployer, self.attempt().id.clone());
        let was_told = self.pending_verdict()?.is_some();
        let landed = self.attempt().phase == Phase::Verified && self.candidate_landed()?;
        if was_told || landed || !self.context.is_in_the_way_back(request, self.attempt())? {
            deployer.observer.step("Resuming", &format!("{id}, which an earlier run left behind"));
            return self.resume().map(|verdict| Verdict { was_told, ..verdict });
        }
        deployer.observer.step("Aborting", &format!("{id}, which an earlier run left behind"));
        self.drive(Event::BackAsked)
    }
}
