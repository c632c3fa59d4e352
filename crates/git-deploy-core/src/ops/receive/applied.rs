//! Whether branches of environments go to what a deployment to these has applied, with success: others deploy what stands
//! there.

use std::collections::BTreeSet;
use std::mem::take;

use super::Receiver;
use crate::attempt::{Attempt, rendered_ref};
use crate::git::GitError;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId};
use crate::ledger::{Deployment, Outcome};
use crate::receive::Push;

impl Receiver<'_> {
    /// Finds it out for all that a push moves.
    pub(super) fn read_applied(&self, push: &mut Push) -> Result<(), GitError> {
        let mut rendered = take(&mut push.rendered);
        for moved in &mut rendered {
            let Some(after) = moved.after else { continue };
            moved.is_applied = self.is_applied(push, &moved.environment, after)?;
        }
        push.rendered = rendered;
        Ok(())
    }

    fn is_applied(&self, push: &Push, environment: &EnvironmentName, at: ObjectId) -> Result<bool, GitError> {
        let brought = push.kept.iter().filter(|((of, _), kept)| {
            of == environment && kept.after.as_ref().is_some_and(|kept| *kept == Ok(at))
        });
        let mut numbers: BTreeSet<u64> = brought.map(|((_, number), _)| *number).collect();
        numbers.extend(self.standing.kept(environment, at)?);
        if !numbers.is_empty() && self.standing.is_blank()? {
            return Ok(true);
        }
        for id in numbers.into_iter().flat_map(|number| DeploymentId::of_number(environment, number)) {
            if self.has_succeeded(push, &id, environment)?
                && self.may_have_applied(push, &id, environment, at)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a deployment to an environment has ended with success, before the push or by it.
    fn has_succeeded(
        &self,
        push: &Push,
        id: &DeploymentId,
        environment: &EnvironmentName,
    ) -> Result<bool, GitError> {
        let has =
            |verdict: &Deployment| verdict.outcome == Outcome::Success && verdict.environment == *environment;
        Ok(match self.standing.tip(&id.tag())? {
            Some(tag) => self.deployment(id, tag)?.is_ok_and(|verdict| has(&verdict)),
            None => push.brought(id).is_some_and(has),
        })
    }

    /// A deployment that goes back applies the files of the one that it goes back to. Of others it is not known what they
    /// would have to apply: only rendering tells.
    fn may_have_applied(
        &self,
        push: &Push,
        id: &DeploymentId,
        environment: &EnvironmentName,
        at: ObjectId,
    ) -> Result<bool, GitError> {
        let claim = self.claim(push, id)?.filter(|claim| claim.environment == *environment);
        let Some(back_to) = claim.and_then(|claim| claim.rollback) else { return Ok(true) };
        let Ok(kept) = rendered_ref(environment, &back_to) else { return Ok(false) };
        let Some(kept) = self.standing.tip(&kept)? else { return Ok(false) };
        let tree = |at| self.repository.commit(CommitId(at)).map(|commit| commit.tree);
        Ok(tree(kept)? == tree(at)?)
    }

    /// A claim as it would stand after the push.
    fn claim(&self, push: &Push, id: &DeploymentId) -> Result<Option<Attempt>, GitError> {
        if let Some(claim) = push.moved_claim(id) {
            return Ok(Some(claim.clone()));
        }
        let stands = self.standing.tip(&id.attempt())?;
        Ok(stands.map(|at| self.attempt(id, at)).transpose()?.and_then(Result::ok))
    }
}
