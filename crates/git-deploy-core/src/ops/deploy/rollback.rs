//! Going back because somebody asks for it: a deployment with a number of its own, of bytes that were applied before.
//!
//! Base does not move: it still has what was rolled back. Until it takes that back the queue is held, because whatever
//! comes next from it stands on base and would bring it again. So it is with each environment that leads to the one that lands;
//! and a branch that was gone back from there and has not landed is not taken by itself again (see [`crate::queue::Wait`]).

use super::pick::Pick;
use super::row::Passage;
use super::{Context, DeployError, DeployRequest, Deployer, Rollback};
use crate::candidate::Candidate;
use crate::config::deploy_toml::Environment;
use crate::git::GitError;
use crate::ids::{CommitId, DeploymentId, EnvironmentName};
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
            let Some((back, undone)) = self.view.gone_back_from(&environment.name)? else { continue };
            if self.has_the_files_of(self.base_tip, back)? {
                continue;
            }
            let mut commits = Vec::new();
            for undone in undone {
                let undone = Stretch::of(&self.view, undone)?;
                if undone.is_in(&self.view, self.base_tip)? {
                    let commit = undone.commit.brief();
                    let range = match undone.before {
                        Some(before) => format!("{}..{commit}", before.brief()),
                        None => commit,
                    };
                    // What stood there more than once is reverted once.
                    if !commits.contains(&range) {
                        commits.push(range);
                    }
                }
            }
            if !commits.is_empty() {
                let (environment, to, by) =
                    (environment.name.clone(), back.applied().clone(), back.id.clone());
                return Ok(Some(RolledBack { environment, to, by, commits }));
            }
        }
        Ok(None)
    }

    /// Whether a commit still has something of what was rolled back.
    pub(super) fn brings_back(&self, tip: CommitId) -> Result<bool, DeployError> {
        for environment in self.deploy_toml.row() {
            let Some((back, undone)) = self.view.gone_back_from(&environment.name)? else { continue };
            if self.has_the_files_of(tip, back)? {
                continue;
            }
            for undone in undone {
                if Stretch::of(&self.view, undone)?.is_in(&self.view, tip)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a commit holds the very files that somebody went back to: then whatever was undone is taken back, be it by taking
    /// back what had taken it back before.
    fn has_the_files_of(&self, tip: CommitId, back: &Deployment) -> Result<bool, DeployError> {
        let tree = |commit| self.repository().commit(commit).map(|commit| commit.tree);
        Ok(tree(tip)? == tree(back.commit)?)
    }
}

fn no_way(environment: &Environment, why: &str) -> DeployError {
    DeployError::NoWayBack { environment: environment.name.clone(), why: why.to_owned() }
}
