//! What a deployment has brought, and whether a history still has it.

use crate::git::GitError;
use crate::ids::CommitId;
use crate::ledger::Deployment;
use crate::ops::under_way::{UnderWayError, attempt};
use crate::ops::view::View;
use crate::revert::{Brought, Logged};

/// What came after some commits on the way to a tip: history is walked once for all of them.
pub(super) struct After {
    /// The commit that it comes after, which is before all the others.
    first: CommitId,
    tip: CommitId,
    /// Newest first.
    commits: Vec<Logged>,
}

impl After {
    /// What came after the first of them.
    pub(super) fn of(view: &View<'_>, first: CommitId, tip: CommitId) -> Result<Self, GitError> {
        Ok(Self { first, tip, commits: view.repository.log(Some(first), tip)? })
    }

    /// What came after one of them; none where it is not among them.
    fn since(&self, commit: CommitId) -> Option<&[Logged]> {
        if commit == self.first {
            return Some(&self.commits);
        }
        let at = self.commits.iter().position(|logged| logged.id == commit)?;
        Some(&self.commits[..at])
    }
}

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
        let is_there = view.repository.is_ancestor(self.commit, tip)?;
        Ok(is_there && self.is_left(view, &After::of(view, self.commit, tip)?)?)
    }

    /// Whether history has not taken them back that has them.
    pub(super) fn is_left(&self, view: &View<'_>, after: &After) -> Result<bool, GitError> {
        let (repository, commit) = (view.repository, self.commit);
        let commits = match self.before {
            Some(before) => repository.log(Some(before), commit)?,
            None => {
                let only = repository.commit(commit)?;
                let (parent, message) = (only.parents.first().copied(), only.message_text());
                vec![Logged { id: commit, tree: only.tree, parent, message }]
            }
        };
        let before = self.before.map(|before| repository.commit(before)).transpose()?;
        // One that does not come after the first has to be asked for by itself.
        let other;
        let after = match after.since(commit) {
            Some(after) => after,
            None => {
                other = repository.log(Some(commit), after.tip)?;
                &other[..]
            }
        };
        let brought = Brought { commits: &commits, before: before.map(|commit| commit.tree), after };
        Ok(!brought.is_taken_back())
    }
}
