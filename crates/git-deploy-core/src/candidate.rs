//! What may be deployed: a commit that somebody approved, rebased on base.
//!
//! A [`Candidate`] can be made nowhere else than here, so that nothing that was not approved can reach an environment.

use crate::approval::{Decided, NotApproved};
use crate::attempt::Attempt;
use crate::branch::Branch;
use crate::ids::{CommitId, RefName};
use crate::ledger::Deployment;
use crate::note::Note;
use crate::state::State;

/// A queued branch as rebased for deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    branch: Option<RefName>,
    approved: CommitId,
    commit: CommitId,
    base: CommitId,
    /// What was signed, where base asks for that.
    signed: Option<Decided>,
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
    /// Nobody who may has approved it.
    #[error("'{branch}' is not approved: {why}")]
    NotSigned {
        /// The branch.
        branch: RefName,
        /// Why not.
        why: NotApproved,
    },
}

impl Candidate {
    /// The tip of a deployable branch, as it was rebased on base. `judged`: what was found of its signed approval, for these
    /// very commits; none where base asks for no signature.
    ///
    /// # Errors
    /// When the branch is not deployable, or not approved by somebody who may.
    pub fn of_branch(
        branch: &Branch,
        rebased: CommitId,
        base: CommitId,
        judged: Option<Result<Decided, NotApproved>>,
    ) -> Result<Self, NoCandidate> {
        let name = branch.name.clone();
        match (branch.state(), judged.transpose()) {
            (State::Deployable, Ok(signed)) => {
                Ok(Self { branch: Some(name), approved: branch.tip, commit: rebased, base, signed })
            }
            (State::Deployable, Err(why)) => Err(NoCandidate::NotSigned { branch: name, why }),
            (state, _) => Err(NoCandidate::NotApproved { branch: name, state }),
        }
    }

    /// Whether a note still approves it as it did when it was made.
    pub fn is_approved_by(&self, note: &Note) -> bool {
        let is_free = note.state == State::Deployable && note.hold.is_none();
        is_free && (self.signed.is_none() || Decided::of(note) == self.signed)
    }

    /// A commit that is on base already, which is approved by being there. The caller has found it to be there.
    pub fn on_base(commit: CommitId, base: CommitId) -> Self {
        Self { branch: None, approved: commit, commit, base, signed: None }
    }

    /// A commit that was deployed successfully before, which is approved by that.
    pub fn deployed_before(deployment: &Deployment, base: CommitId) -> Self {
        Self { branch: None, approved: deployment.commit, commit: deployment.commit, base, signed: None }
    }

    /// What an attempt was claimed for: it was a candidate then.
    pub fn of_attempt(attempt: &Attempt) -> Self {
        Self {
            branch: attempt.branch.clone(),
            approved: attempt.approved,
            commit: attempt.candidate,
            base: attempt.base,
            signed: None,
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
