//! Verdicts that nobody was told, because the run that reached them died before it could; and whether a verdict that was
//! found on the way is an answer to what the user asked for.

use std::path::PathBuf;

use super::keeping::Keeper;
use super::{Context, DeployError, DeployRequest, Deployer, Errand, Rollback, Verdict};
use crate::attempt::Attempt;
use crate::candidate::Candidate;
use crate::deployment::Phase;
use crate::environment::{NotTaken, Work};
use crate::git::GitError;
use crate::ids::DeploymentId;
use crate::ledger::Outcome;

impl Deployer<'_> {
    /// Where the deployment stands whose verdict nobody was told yet.
    fn untold_path(&self) -> PathBuf {
        self.repository.deploy_dir().join("untold")
    }

    /// Remembers whose verdict is to be told, so that one that is reached by a run which then dies is not lost; and where it
    /// goes back to, if that is meant.
    pub(super) fn remember(&self, attempt: &Attempt, back_is_meant: bool) -> Result<(), DeployError> {
        let path = self.untold_path();
        let back = attempt.rollback.as_ref().filter(|_| back_is_meant);
        let text: String =
            [Some(&attempt.id), back].into_iter().flatten().map(|id| format!("{id}\n")).collect();
        std::fs::write(&path, text).map_err(GitError::file(&path))?;
        Ok(())
    }

    /// The deployment that a run in this repository is about, or was when it died, and where that was meant to go back to.
    pub(super) fn remembered(&self) -> Option<(DeploymentId, Option<DeploymentId>)> {
        let text = std::fs::read_to_string(self.untold_path()).ok()?;
        let mut ids = text.lines().map_while(|line| line.parse().ok());
        Some((ids.next()?, ids.next()))
    }

    /// The verdict was told.
    pub fn told(&self) {
        // If it stays it is told once more.
        drop(std::fs::remove_file(self.untold_path()));
    }

    /// The verdict of a deployment that ended without anybody being told. Its environment is given back if the run that
    /// died had no time for that either.
    pub(super) fn untold(&self, context: &Context<'_>) -> Result<Option<Verdict>, DeployError> {
        let Some((id, _)) = self.remembered() else { return Ok(None) };
        let attempt = context.attempt(&id)?.filter(|attempt| attempt.phase == Phase::Finished);
        let Some((outcome, attempt)) = attempt.and_then(|attempt| Some((attempt.outcome?, attempt))) else {
            return Ok(None);
        };
        if let Err(error) = self.give_back(context, &attempt, outcome) {
            self.observer.warn(&format!("'{}' could not be given back: {error}", attempt.environment));
        }
        Ok(Some(Verdict::of(attempt, outcome)))
    }

    /// Whether a verdict that was found on the way is the one that the user wants.
    pub(super) fn is_asked_for(
        &self,
        context: &Context<'_>,
        request: &DeployRequest,
        verdict: &Verdict,
    ) -> Result<bool, DeployError> {
        if let Some(rollback) = &request.rollback {
            // Whoever asks again to go back because the first time was stopped wants to go back once.
            let same = match (rollback, &verdict.rollback) {
                (_, None) => false,
                (Rollback::Previous, Some(_)) => true,
                (Rollback::To(id), Some(of)) => context.applied_by(id)? == *of,
            };
            let environment = context.rollback_environment(rollback, request)?;
            return Ok(same && environment.name == verdict.environment);
        }
        let same_target = match (&request.target, &verdict.branch) {
            (None, _) => true,
            (Some(target), Some(branch)) => target == branch.as_str() || target == branch.short(),
            (Some(target), None) => self.repository.find_commit(target)? == Some(verdict.commit),
        };
        let named = request.environment.as_deref();
        Ok(same_target && named.is_none_or(|name| name == verdict.environment.as_str()))
    }

    /// Whether a way back that was left behind is meant: it is the one that the user asks for, or a run in this clone has been
    /// at it. That is asked where base says who may approve: whoever can push can write a claim that goes back.
    pub(super) fn means_back(
        &self,
        context: &Context<'_>,
        request: &DeployRequest,
        attempt: &Attempt,
    ) -> Result<bool, DeployError> {
        let Some(to) = attempt.rollback.as_ref().filter(|_| context.rules.is_some()) else { return Ok(true) };
        let begun = self.remembered();
        if begun.is_some_and(|(id, back)| id == attempt.id && back.as_ref() == Some(to)) {
            return Ok(true);
        }
        let Some(rollback) = &request.rollback else { return Ok(false) };
        let pick = context.pick_rollback(rollback, request)?;
        Ok(pick.environment.name == attempt.environment && pick.rollback.as_ref() == Some(to))
    }

    /// Whether an attempt that another run left behind is what the user named. Whoever takes the head of the queue has named
    /// nothing.
    pub(super) fn errand(
        &self,
        context: &Context<'_>,
        request: &DeployRequest,
        attempt: &Attempt,
    ) -> Result<Errand, DeployError> {
        let is_named = request.target.is_some() || request.rollback.is_some();
        let verdict = Verdict::of(attempt.clone(), Outcome::Failure);
        let is_meant = is_named && self.is_asked_for(context, request, &verdict)?;
        Ok(if is_meant { Errand::Asked } else { Errand::Leftover })
    }

    /// Gives back an environment that the run which died may hold. Whoever has it since is left alone.
    fn give_back(
        &self,
        context: &Context<'_>,
        attempt: &Attempt,
        outcome: Outcome,
    ) -> Result<(), DeployError> {
        let environment = context.deploy_toml.environment(attempt.environment.as_str());
        let Some(environment) = environment else { return Ok(()) };
        let driver = context.driver(environment, Errand::Leftover).map_err(DeployError::Plan)?;
        let standing = context.standing(environment)?;
        let candidate = Candidate::of_attempt(attempt);
        let custody = Keeper { context, run: &attempt.run, id: Some(&attempt.id) };
        let identity = self.repository.identity()?;
        let work =
            Work { id: &attempt.id, candidate: &candidate, identity: &identity, pulse: self.interrupt };
        match driver.begin(work, &standing, &custody) {
            Ok(_) => driver.end(work, outcome),
            Err(NotTaken::Held(_)) => {}
            Err(NotTaken::Failed(failure)) => return Err(DeployError::Plan(failure)),
        }
        Ok(())
    }
}
