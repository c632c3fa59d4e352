//! Going back because somebody asks for it: a deployment with a number of its own, of bytes that were applied before.
//!
//! Base does not move: it still has what was rolled back. Until it takes that back the queue is held, because whatever
//! comes next from it stands on base and would bring it again. So it is with each environment that leads to the one that lands;
//! and a branch that was gone back from there and has not landed is not taken by itself again (see [`crate::queue::Wait`]).

use std::collections::HashSet;

use super::pick::Pick;
use super::row::Passage;
use super::{Context, DeployError, DeployRequest, Deployer, Rollback};
use crate::candidate::Candidate;
use crate::config::deploy_toml::Environment;
use crate::git::GitError;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::ledger::{Deployment, Outcome};
use crate::ops::brought::Stretch;

/// Somebody went back, and what was gone back from is still on base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// Where.
    pub environment: EnvironmentName,
    /// The deployment that was gone back to.
    pub to: DeploymentId,
    /// The deployment that went back.
    pub by: DeploymentId,
    /// The commits that were rolled back, newest first, as git takes them: `<before>..<commit>`, or one commit.
    pub commits: Vec<String>,
    /// The branch in the queue that takes them back and goes before all others, where somebody has looked for it.
    pub taken_back_by: Option<RefName>,
}

impl Deployer<'_> {
    /// What holds the queue, if somebody has gone back from what base still has.
    ///
    /// # Errors
    /// When git cannot be read.
    pub fn held(&self) -> Result<Option<RolledBack>, DeployError> {
        Context::to_look(self)?.rolled_back()
    }
}

impl Context<'_> {
    /// The deployment to go back to, as a candidate.
    pub(super) fn pick_rollback(
        &self,
        rollback: &Rollback,
        request: &DeployRequest,
    ) -> Result<Pick, DeployError> {
        let environment = self.rollback_environment(rollback, request)?.clone();
        let to = match rollback {
            Rollback::Previous => self.success_before(&environment)?,
            Rollback::To(id) => self.success_named(&environment, id)?,
        };
        let of = to.applied().clone();
        if self.kept(&environment, &of).map_err(DeployError::Plan)?.is_none() {
            let why = format!("what {of} applied is not kept any more");
            return Err(no_way(&environment, &why));
        }
        let candidate = Candidate::deployed_before(&to, self.base_tip);
        Ok(Pick {
            candidate,
            environment,
            dropped: Vec::new(),
            rollback: Some(of),
            passage: Passage::default(),
        })
    }

    /// The environment that is named, by itself or by the deployment; else the one that lands.
    pub(super) fn rollback_environment(
        &self,
        rollback: &Rollback,
        request: &DeployRequest,
    ) -> Result<&Environment, DeployError> {
        if let Some(name) = &request.environment {
            return self.named_environment(name);
        }
        let of_deployment = match rollback {
            Rollback::Previous => None,
            Rollback::To(id) => {
                self.view.ledger()?.find(id).map(|deployment| deployment.environment.as_str())
            }
        };
        match of_deployment {
            Some(name) => self.named_environment(name),
            None => Ok(self.deploy_toml.landing_environment()),
        }
    }

    /// The deployment whose bytes a deployment applied: itself, unless it was a way back.
    pub(super) fn applied_by(&self, id: &DeploymentId) -> Result<DeploymentId, GitError> {
        Ok(self.view.ledger()?.find(id).map_or(id, Deployment::applied).clone())
    }

    fn success_named(&self, environment: &Environment, id: &DeploymentId) -> Result<Deployment, DeployError> {
        let known = self.view.ledger()?.find(id);
        let known = known.ok_or_else(|| no_way(environment, &format!("there is no {id}")))?;
        if known.environment != environment.name {
            let why = format!("{id} is a deployment to '{}'", known.environment);
            return Err(no_way(environment, &why));
        }
        if known.outcome != Outcome::Success {
            return Err(no_way(environment, &format!("{id} did not succeed")));
        }
        Ok(known.clone())
    }

    /// What stood there before what stands there now. Whoever goes back twice goes back further, and what was rolled back is
    /// never gone back to by itself. Where a failed deployment has left what it made, that is what stands there.
    fn success_before(&self, environment: &Environment) -> Result<Deployment, DeployError> {
        let (ledger, name) = (self.view.ledger()?, &environment.name);
        let latest = ledger
            .latest_success(name)
            .ok_or_else(|| no_way(environment, "nothing was deployed there successfully"))?;
        if ledger.left(name).is_some() {
            return Ok(latest.clone());
        }
        let mut stands = latest.applied();
        loop {
            let Some(before) = ledger.success_before(name, stands.number) else {
                return Err(no_way(environment, &format!("there is no success before {stands}")));
            };
            if before.commit != latest.commit {
                return Ok(before.clone());
            }
            stands = &before.id;
        }
    }

    /// What holds the queue: a way back from commits that base still has. Naming a branch is a person's decision and goes on.
    pub(super) fn rolled_back(&self) -> Result<Option<RolledBack>, DeployError> {
        // Where it lands first: that is what most depends on.
        for environment in self.deploy_toml.row().into_iter().rev() {
            let Some((back, left)) = self.left_of_undone(environment, self.base_tip)? else { continue };
            let mut commits: Vec<String> = left
                .iter()
                .map(|undone| match undone.before {
                    Some(before) => format!("{}..{}", before.brief(), undone.commit.brief()),
                    None => undone.commit.brief(),
                })
                .collect();
            // What stood there more than once is reverted once.
            let mut told = HashSet::new();
            commits.retain(|range| told.insert(range.clone()));
            let (to, by) = (back.applied().clone(), back.id.clone());
            return Ok(Some(RolledBack {
                environment: environment.name.clone(),
                to,
                by,
                commits,
                taken_back_by: None,
            }));
        }
        Ok(None)
    }

    /// Whether a commit still has something of what was rolled back.
    pub(super) fn brings_back(&self, tip: CommitId) -> Result<bool, DeployError> {
        for environment in self.deploy_toml.row() {
            if self.left_of_undone(environment, tip)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a commit still has of what somebody has gone back from in an environment, newest first, with the way back. Where it
    /// holds the very files that were gone back to all is taken back, be it by taking back what had taken it back before.
    fn left_of_undone(
        &self,
        environment: &Environment,
        tip: CommitId,
    ) -> Result<Option<(&Deployment, Vec<Stretch>)>, DeployError> {
        let Some((back, undone)) = self.view.gone_back_from(&environment.name)? else { return Ok(None) };
        let tree = |commit| self.repository().commit(commit).map(|commit| commit.tree);
        if tree(tip)? == tree(back.commit)? {
            return Ok(None);
        }
        let mut left = Vec::new();
        for undone in undone {
            let undone = Stretch::of(&self.view, undone)?;
            if undone.is_in(&self.view, tip)? {
                left.push(undone);
            }
        }
        Ok((!left.is_empty()).then_some((back, left)))
    }
}

fn no_way(environment: &Environment, why: &str) -> DeployError {
    DeployError::NoWayBack { environment: environment.name.clone(), why: why.to_owned() }
}
