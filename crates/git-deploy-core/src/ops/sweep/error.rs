//! Why nothing could be judged, or moved.

use super::brief;
use crate::config::ConfigError;
use crate::git::GitError;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, RefName};
use crate::ops::Interrupted;
use crate::ops::sync::SyncError;
use crate::ops::view::ViewError;
use crate::rebase::RebaseError;

/// A branch that stands elsewhere than its work tree.
#[derive(Debug, thiserror::Error)]
#[error("'{branch}' stands at {new}, and its work tree '{tree}' could not follow from {old}: {}", brief(.error))]
pub struct Behind {
    /// The branch.
    pub branch: String,
    /// Where its work tree stands.
    pub old: CommitId,
    /// Where it stands itself.
    pub new: CommitId,
    /// The folder.
    pub tree: String,
    /// Why.
    pub error: GitError,
}

/// Why branches could not be rebased.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Another one is under way.
    #[error("another 'git deploy-rebase' works in this repository (process {0})")]
    AnotherSweep(String),
    /// The user asked to stop before anything was moved.
    #[error("interrupted: no branch was moved")]
    Interrupted {
        /// The signal.
        signal: i32,
    },
    /// There is no such branch here.
    #[error("there is no local branch '{0}'")]
    NoBranch(RefName),
    /// Nothing was recorded.
    #[error("there is no rebase that could be undone")]
    NothingToUndo,
    /// None has that number.
    #[error("there is no rebase {0} that could be undone")]
    NoSuchSweep(u64),
    /// A record cannot be read.
    #[error("cannot undo: '{0}' is no record of a rebase")]
    Record(RefName),
    /// A work tree did not follow its branch, and the branch cannot be moved back.
    #[error(transparent)]
    Behind(Box<Behind>),
    /// Branches could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Nothing could be judged.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// Notes could not be merged.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<NotesError> for SweepError {
    fn from(error: NotesError) -> Self {
        Self::View(error.into())
    }
}

impl From<ConfigError> for SweepError {
    fn from(error: ConfigError) -> Self {
        Self::View(error.into())
    }
}

impl From<Interrupted> for SweepError {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted { signal: interrupted.signal }
    }
}
