//! Why no branch was moved.

use super::{DecidedThere, HeldThere, MAX_MESSAGE, Wished};
use crate::approval::NotApproved;
use crate::git::GitError;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, RefName};
use crate::ops::approve::ApproveError;
use crate::ops::view::{LandedElsewhere, ViewError};
use crate::rebase::{Conflict, RebaseError, Skip};
use crate::revert::TakenBack;
use crate::state::{Refused, State};

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The move is none that a user may make.
    #[error("cannot set '{}' to {to}: {why}", .branch.short())]
    Refused {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Why not.
        why: Refused,
    },
    /// There is nothing to wish for a branch that is in another state.
    #[error("'{}' is {state}, not {wanted}", .branch.short())]
    NotThere {
        /// The branch.
        branch: RefName,
        /// Its state.
        state: State,
        /// The state that it should be in.
        wanted: State,
    },
    /// It would never be its turn.
    #[error("cannot deploy '{}' after '{}': it would wait for itself", .branch.short(), .after.short())]
    AfterItself {
        /// The branch.
        branch: RefName,
        /// The branch that it was to wait for.
        after: RefName,
    },
    /// Its commits came just now.
    #[error("cannot set '{}' to {to}: commit '{}' has come just now, and nobody here has seen it", .branch.short(), .now.brief())]
    Unseen {
        /// The branch.
        branch: RefName,
        /// Its commit before.
        was: Option<CommitId>,
        /// Its commit.
        now: CommitId,
        /// Where it was to go.
        to: State,
    },
    /// Somebody else has decided otherwise, and nobody here was told.
    #[error("cannot set '{}' to {to}: {there}", .branch.short())]
    DecidedThere {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// What was decided.
        there: Box<DecidedThere>,
    },
    /// Somebody else holds what it goes on from.
    #[error("cannot set '{}' to {to}: {there}", .branch.short())]
    HeldThere {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// What is on hold.
        there: Box<HeldThere>,
    },
    /// The message would make the note unreadable.
    #[error("cannot set {0}: the message is longer than {MAX_MESSAGE} bytes")]
    MessageTooLong(State),
    /// Base is where branches land.
    #[error("cannot set the state of '{}': it is the base that branches land on", .0.short())]
    Base(RefName),
    /// It is what a deployment writes.
    #[error("cannot set the state of '{}': the rendered manifests of an environment are kept in it", .0.short())]
    Rendered(RefName),
    /// There is nothing to deploy.
    #[error("cannot set '{}' to {to}: it has no commits beyond base '{onto}'", .branch.short())]
    Empty {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Base, as the user can name it.
        onto: String,
    },
    /// Base has all of it as somebody else's rebase made it.
    #[error("cannot set '{}' to {to}: it has landed{}: yours is the commit before its rebase", .branch.short(), landed_as(.landed))]
    Landed {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// As what it has landed.
        landed: Box<LandedElsewhere>,
    },
    /// Base has had all of it, and no rebase brings that again.
    #[error("cannot set '{}' to {to}: '{}' has had all of it, and has taken {} back with {}", .branch.short(), .taken.base.short(), .taken.much(), .taken.reverts())]
    TakenBack {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// What base has done with it.
        taken: Box<TakenBack>,
    },
    /// Base has had what it begins with, and the rest alone does not rebase.
    #[error(
        "cannot set '{}' to {to}: '{}' has had what it begins with, and has taken {} back with {}; what is newer cannot be rebased cleanly without that",
        .branch.short(), .taken.base.short(), .taken.much(), .taken.reverts()
    )]
    BeginningTakenBack {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// What base has done with it.
        taken: Box<TakenBack>,
    },
    /// It would be broken.
    #[error("cannot set '{}' to {to}: it cannot be rebased cleanly on '{onto}'", .branch.short())]
    Conflicts {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// Base, as the user can name it.
        onto: String,
        /// Where the rebase stopped.
        conflict: Conflict,
    },
    /// The rebase leaves such branches alone.
    #[error("cannot set '{}' to {to}: {why}", .branch.short())]
    NotRebased {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// What it was to be rebased on, as the user would name it.
        onto: String,
        /// Why not.
        why: Skip,
    },
    /// This is so for several branches, and none of them stays what it was to be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<SetError>),
    /// The commit's note speaks for another branch in another state.
    #[error("cannot set '{}' to {to}: its commit is also the tip of '{}', which is {state}", .branch.short(), .other.short())]
    Shared {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// The other branch.
        other: RefName,
        /// Its state.
        state: State,
    },
    /// The commit's note speaks for another branch too, of which something else was said.
    #[error(
        "cannot set '{}' to {to} with other words or wishes: its commit is also the tip of '{}', and one note speaks for both",
        .branch.short(),
        .other.short()
    )]
    SharedWords {
        /// The branch.
        branch: RefName,
        /// Where it was to go.
        to: State,
        /// The other branch.
        other: RefName,
    },
    /// Base does not let the user approve.
    #[error("cannot approve '{}': {why}", .branch.short())]
    MayNotApprove {
        /// The branch.
        branch: RefName,
        /// Why not.
        why: NotApproved,
    },
    /// Base asks for a signature, and there is none.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// Branches could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The check could not be made.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// The notes could not be written.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl SetError {
    /// What is wrong with several branches, if anything is.
    pub(super) fn all_of(mut refused: Vec<Self>) -> Result<(), Self> {
        match refused.len() {
            0 => Ok(()),
            1 => refused.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(refused)),
        }
    }

    /// The branches about which somebody else has decided otherwise, as this says.
    pub(super) fn decided_there(&self) -> Vec<&RefName> {
        match self {
            Self::DecidedThere { branch, .. } => vec![branch],
            Self::Several(errors) => errors.iter().flat_map(Self::decided_there).collect(),
            _ => Vec::new(),
        }
    }

    /// The branches that go on from what somebody holds, with what was wished for that.
    pub fn held_there(&self) -> Vec<(&RefName, &Wished)> {
        match self {
            Self::HeldThere { branch, there, .. } => vec![(branch, &there.wished)],
            Self::Several(errors) => errors.iter().flat_map(Self::held_there).collect(),
            _ => Vec::new(),
        }
    }

    /// The branches that have to be rebased by hand.
    pub fn for_hands(&self) -> Vec<&RefName> {
        match self {
            Self::Conflicts { branch, .. } => vec![branch],
            Self::NotRebased { branch, why, .. } if why.is_for_hands() => vec![branch],
            Self::Several(errors) => errors.iter().flat_map(Self::for_hands).collect(),
            _ => Vec::new(),
        }
    }
}

fn landed_as(landed: &LandedElsewhere) -> String {
    landed.deployment.as_ref().map(|id| format!(" as '{id}'")).unwrap_or_default()
}

impl From<crate::config::ConfigError> for SetError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::View(error.into())
    }
}
