//! Going back because somebody asks for it: a deployment with a number of its own, of bytes that were applied before.

use super::pick::Pick;
use super::{Context, DeployError, DeployRequest, Rollback};
use crate::candidate::Candidate;
use crate::config::deploy_toml::Environment;
use crate::ids::CommitId;
use crate::ledger::{Deployment, Outcome};

impl Context<'_> {
    /// The deployment to go back to, as a candidate.
    pub(super) fn pick_rollback(
        &self,
        rollback: &Rollback,
        request: &DeployRequest,
    ) -> Result<Pick, DeployError> {
        let environment = match &request.environment {
            Some(name) => self.named_environment(name)?.clone(),
            None => self.deploy_toml.landing_environment().clone(),
        };
        let to = match rollback {
            Rollback::Previous => self.success_before(&environment)?,
            Rollback::To(id) => {
                let known = self.view.ledger()?.deployments.iter().find(|deployment| deployment.id == *id);
                let why = match known {
                    None => Some(format!("there is no {id}")),
                    Some(found) if found.environment != environment.name => {
                        Some(format!("{id} is a deployment to '{}'", found.environment))
                    }
                    Some(found) if found.outcome != Outcome::Success => Some(format!("{id} did not succeed")),
                    Some(_) => None,
                };
                match (known, why) {
                    (Some(found), None) => found.clone(),
                    (_, why) => return Err(no_way(&environment, &why.unwrap_or_default())),
                }
            }
        };
        // Bytes that were applied twice are those of the first time.
        let of = to.rollback.clone().unwrap_or_else(|| to.id.clone());
        self.kept_files(&environment, &of).map_err(DeployError::Plan)?;
        let candidate = Candidate::deployed_before(&to, self.base_tip);
        Ok(Pick { candidate, environment, dropped: Vec::new(), rollback: Some(of) })
    }

    /// The success before the one that stands there. Whoever goes back twice goes back further.
    fn success_before(&self, environment: &Environment) -> Result<Deployment, DeployError> {
        let latest = self
            .latest_success(environment)?
            .ok_or_else(|| no_way(environment, "nothing was deployed there successfully"))?;
        let stands = latest.rollback.as_ref().unwrap_or(&latest.id);
        let before = self.view.ledger()?.deployments.iter().filter(|deployment| {
            deployment.environment == environment.name
                && deployment.outcome == Outcome::Success
                && deployment.rollback.is_none()
                && deployment.id.number < stands.number
                && deployment.commit != latest.commit
        });
        before
            .max_by_key(|deployment| deployment.id.number)
            .cloned()
            .ok_or_else(|| no_way(environment, &format!("there is no success before {stands}")))
    }

    /// A rollback holds the queue until base has a revert: what comes next from the queue stands on what was gone back
    /// from, and would bring it back. Naming a branch is a person's decision and goes on.
    pub(super) fn refuse_while_rolled_back(&self) -> Result<(), DeployError> {
        let environment = self.deploy_toml.landing_environment();
        let Some(latest) = self.latest_success(environment)? else { return Ok(()) };
        let Some(to) = &latest.rollback else { return Ok(()) };
        let undone: Vec<CommitId> = self
            .view
            .ledger()?
            .deployments
            .iter()
            .filter(|deployment| {
                deployment.environment == environment.name
                    && deployment.outcome == Outcome::Success
                    && deployment.rollback.is_none()
                    && deployment.id.number > to.number
                    && deployment.id.number < latest.id.number
            })
            .map(|deployment| deployment.commit)
            .collect();
        for commit in undone {
            let on_base = self.repository().is_ancestor(commit, self.base_tip)?;
            if on_base && !self.repository().is_reverted(commit, self.base_tip)? {
                return Err(DeployError::RolledBack {
                    environment: environment.name.clone(),
                    to: to.clone(),
                    by: latest.id.clone(),
                });
            }
        }
        Ok(())
    }
}

fn no_way(environment: &Environment, why: &str) -> DeployError {
    DeployError::NoWayBack { environment: environment.name.clone(), why: why.to_owned() }
}
