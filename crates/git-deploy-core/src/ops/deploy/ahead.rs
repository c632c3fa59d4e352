//! Preparing the next branch while another one is on its way: it is rebased as if that one had landed, its images are made,
//! and its manifests are held to the rules.
//!
//! The same rebase gives the same commit when the other one has landed (see [`crate::rebase`]), and images are named after
//! their commit. So nothing is kept of it and nothing handed over: the deployment of that commit finds its images there. If
//! the other one fails, the branch is rebased on something else, and nobody asks for what was prepared.

use super::pick::Pick;
use super::{Context, DeployError, DeployRequest, Deployer};
use crate::attempt::Attempt;
use crate::deployment::{Blame, Failure};
use crate::ids::{CommitId, DeploymentId, RefName};
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
    /// There is nothing to be ahead of.
    #[error("no branch is being deployed")]
    NothingUnderWay,
    /// Base has moved, so that what is under way cannot land as it is.
    #[error("what is being deployed does not stand on base any more")]
    BesideBase,
    /// Nobody is behind it who could be taken then.
    #[error("no branch in the queue could be deployed next")]
    NobodyBehind,
}

impl Deployer<'_> {
    /// Prepares the branch that is next when what is under way has landed. Claims nothing, moves no ref and writes no note:
    /// all of it is looked at again when it is its turn. What the remote has is not asked for again, because a run in this
    /// very repository is at work.
    ///
    /// # Errors
    /// When it cannot be found out what is next, or when something that is nobody's fault keeps it from being prepared.
    pub fn prepare_ahead(&self) -> Result<Result<Ahead, NothingAhead>, DeployError> {
        let context = Context::to_look(self)?;
        let Some(leader) = context.leader()? else { return Ok(Err(NothingAhead::NothingUnderWay)) };
        if !self.repository.is_ancestor(context.base_tip, leader.candidate)? {
            return Ok(Err(NothingAhead::BesideBase));
        }
        // Who may do what is said by base as it is: what is under way may yet fail.
        let context = Context { base_tip: leader.candidate, ..context };
        let Some(pick) = context.pick_behind(&leader)? else { return Ok(Err(NothingAhead::NobodyBehind)) };
        let (commit, base) = (pick.candidate.commit(), pick.candidate.base());
        let Some(branch) = pick.candidate.branch().cloned() else {
            return Ok(Err(NothingAhead::NobodyBehind));
        };
        let what = format!("'{}' ({}) upon {}", branch.short(), commit.brief(), leader.id);
        self.observer.step("Trying", &what);
        let rendered =
            context.make_images(&pick).and_then(|_| context.render(&pick.environment, None, commit, base));
        self.interrupt.check()?;
        let ahead = |refused, warnings| Ahead { branch, commit, upon: leader.id, refused, warnings };
        match rendered {
            Ok(rendered) => Ok(Ok(ahead(None, rendered.warnings))),
            Err(failure) if failure.blame == Blame::Branch => Ok(Ok(ahead(Some(failure), Vec::new()))),
            Err(failure) => Err(DeployError::Plan(failure)),
        }
    }
}

impl Context<'_> {
    /// The deployment of a branch that is under way, and lands if all goes well.
    fn leader(&self) -> Result<Option<Attempt>, DeployError> {
        let lands = |attempt: &Attempt| attempt.branch.is_some() && attempt.rollback.is_none();
        Ok(under_way(&self.view)?.into_iter().find(lands))
    }

    /// The first in the queue, as it is when that deployment has landed, that could be taken then.
    fn pick_behind(&self, leader: &Attempt) -> Result<Option<Pick>, DeployError> {
        self.check_hold()?;
        if self.rolled_back()?.is_some() {
            return Ok(None);
        }
        let branches = self.view.authority_branches()?.branches;
        for place in self.view.order_unapproved(&branches)? {
            if leader.branch.as_ref() == Some(&place.branch)
                || !matches!(place.waits, None | Some(Wait::Behind(_)))
            {
                continue;
            }
            let Some(branch) = branches.iter().find(|branch| branch.name == place.branch) else { continue };
            match self.pick_branch(branch, &DeployRequest::default(), true) {
                Ok(pick) => return Ok(Some(pick)),
                // It is told so when it is its turn, if it is so then.
                Err(
                    DeployError::Broken { .. }
                    | DeployError::NotTaken { .. }
                    | DeployError::NotApproved { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
