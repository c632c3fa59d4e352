//! What may be deployed: a commit that somebody approved, rebased on base.
//!
//! A [`Candidate`] can be made nowhere else than here, so that nothing that was not approved can reach an environment.

use crate::attempt::Attempt;
use crate::branch::Branch;
use crate::ids::{CommitId, RefName};
use crate::ledger::Deployment;
use crate::state::State;

/// A queued branch as rebased for deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    branch: Option<RefName>,
    approved: CommitId,
    commit: CommitId,
    base: CommitId,
}

/// Why a branch is no candidate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCandidate {
    /// Nobody approved its tip.
    #[error("'{branch}' is {state}, not deployable")]
    NotApproved {
        /// The branch.
        branch: RefName,
        /// The state that it is in.
        state: State,
    },
}

impl Candidate {
    /// The tip of a deployable branch, as it was rebased on base.
    ///
    /// # Errors
    /// When the branch is not deployable.
    pub fn of_branch(branch: &Branch, rebased: CommitId, base: CommitId) -> Result<Self, NoCandidate> {
        match branch.state() {
            State::Deployable => {
                Ok(Self { branch: Some(branch.name.clone()), approved: branch.tip, commit: rebased, base })
            }
            state => Err(NoCandidate::NotApproved { branch: branch.name.clone(), state }),
        }
    }

    /// A commit that is on base already, which is approved by being there. The caller has found it to be there.
    pub fn on_base(commit: CommitId, base: CommitId) -> Self {
        Self { branch: None, approved: commit, commit, base }
    }

    /// A commit that was deployed successfully before, which is approved by that.
    pub fn deployed_before(deployment: &Deployment, base: CommitId) -> Self {
        Self { branch: None, approved: deployment.commit, commit: deployment.commit, base }
    }

    /// What an attempt was claimed for: it was a candidate then.
    pub fn of_attempt(attempt: &Attempt) -> Self {
        Self {
            branch: attempt.branch.clone(),
            approved: attempt.approved,
            commit: attempt.candidate,
            base: attempt.base,
        }
    }

    /// The branch that it came from.
    pub fn branch(&self) -> Option<&RefName> {
        self.branch.as_ref()
    }

    /// The commit that was approved.
    pub fn approved(&self) -> CommitId {
        self.approved
    }

    /// The commit that is deployed.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// The base that it stands on.
    pub fn base(&self) -> CommitId {
        self.base
    }
}
