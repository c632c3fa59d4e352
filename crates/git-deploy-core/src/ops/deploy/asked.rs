//! Whether a verdict that was found on the way is an answer to what the user asked for.

use super::{Context, DeployError, DeployRequest, Deployer, Rollback, Verdict};

impl Deployer<'_> {
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
}
