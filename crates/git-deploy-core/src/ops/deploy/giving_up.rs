//! What is open where somebody wants to go back. It is given up as by `--abort`, which goes back to the last success: who
//! asked for no more than that has what was asked for, and one step further would skip what is good.

use super::run::Run;
use super::{Context, DeployError, DeployRequest, Deployer, Rollback, Verdict};
use crate::attempt::Attempt;
use crate::config::deploy_toml::Environment;
use crate::deployment::{Event, Phase};
use crate::ids::DeploymentId;
use crate::ledger::Outcome;

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
