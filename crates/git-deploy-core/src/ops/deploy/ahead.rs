//! Preparing the next branch while another one is on its way: it is rebased as if that one had landed, its images are made,
//! and its manifests are held to the rules.
//!
//! The same rebase gives the same commit when the other one has landed (see [`crate::rebase`]), and images are named after
//! their commit. So nothing is kept of it and nothing handed over: the deployment of that commit finds its images there. If
//! the other one fails, the branch is rebased on something else, and nobody asks for what was prepared.

use super::{Context, DeployError, Deployer};
use crate::attempt::Attempt;
use crate::candidate::Candidate;
use crate::deployment::{Blame, Failure};
use crate::environment::Images;
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ops::hold::queue_hold;
use crate::ops::under_way::under_way;
use crate::queue::Wait;

/// The next branch, prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// The branch.
    pub branch: RefName,
    /// What it is when what is under way has landed.
    pub commit: CommitId,
    /// What is under way.
    pub upon: DeploymentId,
    /// Why it could not be deployed, which is its own fault. It hears of it when it is its turn.
    pub refused: Option<Failure>,
    /// What the rules let pass.
    pub warnings: Vec<String>,
}

/// Why nothing is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NothingAhead {
    /// There is nothing to be ahead of: nothing is under way, or base has moved away from it, or it is no longer approved.
    #[error("no branch is being deployed here, or it could not land as it is")]
    NothingUnderWay,
    /// Nobody is behind it who could be taken then.
    #[error("no branch in the queue could be deployed next")]
    NobodyBehind,
}

impl Deployer<'_> {
    /// Prepares the branch that is next when what is under way has landed. Claims nothing and moves no branch: all of it is
    /// looked at again when it is its turn. What the remote has is not asked for again, because a run in this very repository is
    /// at work.
    ///
    /// # Errors
    /// When it cannot be found out what is next, or when something that is nobody's fault keeps it from being prepared.
    pub fn prepare_ahead(&self) -> Result<Result<Ahead, NothingAhead>, DeployError> {
        let context = Context::to_look(self)?;
        let Some(leader) = context.leader()? else { return Ok(Err(NothingAhead::NothingUnderWay)) };
        // Who may do what is said by base as it is: what is under way may yet fail.
        let context = Context { base_tip: leader.candidate, ..context };
        let Some((branch, candidate)) = context.next_behind(&leader)? else {
            return Ok(Err(NothingAhead::NobodyBehind));
        };
        let (commit, upon) = (candidate.commit(), leader.id);
        self.observer.step("Trying", &format!("'{}' ({}) upon {upon}", branch.short(), commit.brief()));
        let tried = context.try_out(&candidate);
        self.interrupt.check()?;
        let ahead = |refused, warnings| Ahead { branch, commit, upon, refused, warnings };
        match tried {
            Ok(warnings) => Ok(Ok(ahead(None, warnings))),
            Err(DeployError::Plan(failure)) if failure.blame == Blame::Branch => {
                Ok(Ok(ahead(Some(failure), Vec::new())))
            }
            Err(error) => Err(error),
        }
    }
}

impl Context<'_> {
    /// The deployment of a branch that a run in this repository is about, if it is of what that run takes it for: whoever can
    /// push can write an attempt, and what stands upon it runs the branch's own steps.
    fn leader(&self) -> Result<Option<Attempt>, DeployError> {
        let Some((id, _)) = self.deployer.remembered() else { return Ok(None) };
        let mut under_way = under_way(&self.view)?.into_iter();
        let Some(attempt) = under_way.find(|attempt| attempt.id == id && attempt.rollback.is_none()) else {
            return Ok(None);
        };
        let branch = attempt.branch.as_ref().map(|name| self.view.authority_branch(name)).transpose()?;
        let Some(branch) = branch.flatten() else { return Ok(None) };
        let candidate = not_taken(self.candidate_of(&branch, true))?;
        let is_it = candidate.is_some_and(|(candidate, _)| candidate.commit() == attempt.candidate);
        Ok(Some(attempt).filter(|_| is_it))
    }

    /// The first in the queue, as it is when that deployment has landed, that could be taken then.
    fn next_behind(&self, leader: &Attempt) -> Result<Option<(RefName, Candidate)>, DeployError> {
        if queue_hold(self.repository(), &self.view.settings)?.is_some() || self.rolled_back()?.is_some() {
            return Ok(None);
        }
        let branches = self.view.authority_branches()?.branches;
        for place in self.view.order_unapproved(&branches)? {
            let could_be_next = matches!(place.waits, None | Some(Wait::Behind(_)));
            if leader.branch.as_ref() == Some(&place.branch) || !could_be_next {
                continue;
            }
            let Some(branch) = branches.iter().find(|branch| branch.name == place.branch) else { continue };
            let candidate = self.candidate_of(branch, true);
            if let Err(DeployError::Broken { paths, .. }) = &candidate {
                // Nothing is decided by that: what is under way may yet fail.
                let (name, upon, paths) = (place.branch.short(), &leader.id, paths.join("', '"));
                let told = format!("'{name}' would be broken when {upon} has landed: conflict in '{paths}'");
                self.deployer.observer.note(&told);
            }
            if let Some((candidate, _)) = not_taken(candidate)? {
                return Ok(Some((place.branch, candidate)));
            }
        }
        Ok(None)
    }

    /// Makes images and objects of a candidate. Returns what the rules let pass.
    fn try_out(&self, candidate: &Candidate) -> Result<Vec<String>, DeployError> {
        let (commit, base) = (candidate.commit(), candidate.base());
        let environment = self.next_environment(commit)?;
        let renderer = self.renderer(environment).map_err(DeployError::Plan)?;
        renderer.prepare(commit, Images::Made, self.deployer.interrupt).map_err(DeployError::Plan)?;
        Ok(self.render(environment, None, commit, base).map_err(DeployError::Plan)?.warnings)
    }
}

/// Who cannot be taken is told so when it is its turn, if it is so then.
fn not_taken<T>(candidate: Result<T, DeployError>) -> Result<Option<T>, DeployError> {
    match candidate {
        Ok(candidate) => Ok(Some(candidate)),
        Err(
            DeployError::Broken { .. }
            | DeployError::NotDeployable { .. }
            | DeployError::NotTaken { .. }
            | DeployError::TakenBack { .. }
            | DeployError::NotApproved { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
