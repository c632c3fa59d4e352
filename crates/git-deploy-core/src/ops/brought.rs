//! What a deployment has brought, and whether a history still has it.

use crate::git::GitError;
use crate::ids::CommitId;
use crate::ledger::Deployment;
use crate::ops::under_way::{UnderWayError, attempt};
use crate::ops::view::View;
use crate::revert::Brought;

/// The commits that a deployment brought: those that lead from one commit to another.
pub(super) struct Stretch {
    /// What was there before; none where that is not known.
    pub(super) before: Option<CommitId>,
    /// The last of them.
    pub(super) commit: CommitId,
}

impl Stretch {
    /// A deployment brought what came between base as it was then and its commit; where a commit of base itself was named,
    /// what came since the deployment before.
    pub(super) fn of(view: &View<'_>, deployment: &Deployment) -> Result<Self, UnderWayError> {
        let commit = deployment.commit;
        let base = attempt(view, &deployment.id)?.map(|attempt| attempt.base);
        let previous = match &deployment.previous {
            Some(id) => view.ledger()?.find(id).map(|previous| previous.commit),
            None => None,
        };
        for before in [base, previous].into_iter().flatten() {
            if before != commit && view.repository.is_ancestor(before, commit)? {
                return Ok(Self { before: Some(before), commit });
            }
        }
        Ok(Self { before: None, commit })
    }

    /// Whether the history of a commit has them, and has not taken them back.
    pub(super) fn is_in(&self, view: &View<'_>, tip: CommitId) -> Result<bool, GitError> {
        let (repository, commit) = (view.repository, self.commit);
        if !repository.is_ancestor(commit, tip)? {
            return Ok(false);
        }
        let mut commits = repository.log(self.before, commit)?;
        if self.before.is_none() {
            commits.retain(|logged| logged.id == commit);
        }
        let before = self.before.map(|before| repository.commit(before)).transpose()?;
        let after = repository.log(Some(commit), tip)?;
        let brought = Brought { commits: &commits, before: before.map(|commit| commit.tree), after: &after };
        Ok(!brought.is_taken_back())
    }
}
