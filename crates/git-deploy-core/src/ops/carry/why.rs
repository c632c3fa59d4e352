//! Why a state is not carried, in words.

use std::fmt;

use super::Difference;
use crate::ids::{CommitId, RefName};
use crate::rebase::{Conflict, Skip};
use crate::revert::TakenBack;

/// Why a state is not carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// What was deployed is on base, and what the branch has now is not.
    Deployed,
    /// It was broken on this base, and does not stand on it now; with what that has taken back of its beginning.
    NotOn(RefName, Option<Box<TakenBack>>),
    /// Our own rebase would bring nothing of it: base has had all of it, and has taken it back.
    TakenBack(Box<TakenBack>),
    /// Our own rebase would have left it alone.
    Skipped(Skip),
    /// Our own rebase would have ended in a conflict, which somebody has resolved.
    Conflict(Conflict),
    /// Our own rebase would have dropped a commit that is still there.
    Dropped(CommitId),
    /// It stands on commits of our own base which the base that counts has not.
    Unpushed {
        /// The base that we have.
        ours: RefName,
        /// The base that counts.
        counts: RefName,
    },
    /// Our own rebase would have made something else.
    Differs(Difference),
    /// The new commit has a note of another branch.
    Clash(String),
    /// It could not be written.
    Unwritten,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployed => f.write_str("what it has now was not"),
            Self::NotOn(base, _) => write!(f, "does not stand on '{}'", base.short()),
            Self::TakenBack(taken) => {
                write!(f, "'{}' has had all of it, and has taken {} back", taken.base.short(), taken.much())
            }
            Self::Skipped(skip) => skip.fmt(f),
            Self::Conflict(conflict) => {
                let how =
                    "resolved by hand, with options, or without a commit that base has but for white space";
                write!(f, "its rebase was not one that git does by itself, but {how}: {conflict}")
            }
            Self::Unpushed { ours, counts } => {
                let (ours, counts) = (ours.short(), counts.short());
                write!(f, "stands on commits of '{ours}' that '{counts}', the base that counts, has not")
            }
            Self::Dropped(commit) => write!(f, "base has commit '{}' already", commit.brief()),
            Self::Differs(difference) => difference.fmt(f),
            Self::Clash(text) => f.write_str(text),
            Self::Unwritten => f.write_str("that could not be carried"),
        }
    }
}
