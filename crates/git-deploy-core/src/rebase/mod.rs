//! Rebasing branches with git's own verdicts, without a work tree.
//!
//! An [`Engine`] takes branches and gives a [`Verdict`] for each, having made the new commits in the object database.
//! It moves no ref and writes no note: that is for who called it. Verdict and trees are those of `git rebase
//! --no-fork-point <onto> <branch>` by the same git with `rebase.*` unset, but for what the design states:
//!
//! - A commit is dropped as already upstream only if its diff is equal with its whitespace too. What then remains to be
//!   picked may conflict where git's would not: an approval must not lose a line in silence.
//! - A branch of several commits that base has had as one, as by `git merge --squash`, and has taken back by `git revert` counts as
//!   there as well, as it would if it were one commit: whoever took it back has decided later.
//! - A branch with merge commits is skipped, where git would flatten it.
//! - Message, encoding and foreign headers keep their bytes, where git recodes and cleans. Signatures that no longer
//!   hold go; with `commit.gpgSign` there are new ones.
//! - The committer stays, or is the one that is configured, with the old date, so that equal inputs give equal ids.
//! - A branch that would keep no commit does not move.
//! - Replacement objects (`git replace`) are not looked at: what is deployed is what is there.

mod engine;
mod history;
mod patch;
mod plan;
mod rewrite;
mod sign;
mod trees;
mod upstream;

use std::fmt;

pub use engine::MergeTreeEngine;
pub(crate) use upstream::{brought_at_once, without_those_again};

use crate::git::GitError;
use crate::git::version::Version;
use crate::ids::{CommitId, RefName};

/// A branch to be rebased: the commits of `upstream..tip` are put onto `onto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The branch, for messages.
    pub name: RefName,
    /// Its last commit.
    pub tip: CommitId,
    /// What it was made from: its commits, and what equals one of theirs, are not picked.
    pub upstream: CommitId,
    /// Where it is to stand.
    pub onto: CommitId,
}

impl Request {
    /// The usual request: to bring a branch onto the tip of base.
    pub fn onto_base(name: RefName, tip: CommitId, base: CommitId) -> Self {
        Self { name, tip, upstream: base, onto: base }
    }
}

/// Who becomes the committer of the commits that a rebase changes. The date stays the old one in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committer {
    /// Whoever it was.
    Keep,
    /// This one: `Name <mail>`.
    Is(String),
}

impl Committer {
    /// The committer that is configured, if one is.
    pub fn configured(who: Option<String>) -> Self {
        who.map_or(Self::Keep, Self::Is)
    }
}

/// What came of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stands where it is to stand.
    Current,
    /// It can move.
    Rebased(Rebased),
    /// It cannot be rebased cleanly.
    Broken(Conflict),
    /// It is left as it is.
    Skipped(Skip),
}

/// The new commits of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebased {
    /// The last of them.
    pub tip: CommitId,
    /// Old commits that are upstream already or became empty, oldest first.
    pub dropped: Vec<CommitId>,
    /// Old and new commit, oldest first, where they differ.
    pub rewritten: Vec<(CommitId, CommitId)>,
}

/// Where a rebase stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The old commit that does not apply.
    pub commit: CommitId,
    /// The paths that conflict, quoted as git quotes paths. There may be none: git knows conflicts that belong to no
    /// path.
    pub paths: Vec<String>,
}

/// Why a branch is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// It has, or would keep, no commit that is not upstream.
    Landed,
    /// It has a merge commit, the first of them this one.
    Merges(CommitId),
    /// Likewise, and this one changes something itself, which a rebase would leave out.
    EditedMerge(CommitId),
    /// It has no history in common with the upstream: it begins with this root commit.
    Unrelated(CommitId),
    /// It has a commit in which jj keeps a conflict, which only jj can read and mend.
    Unresolved(CommitId),
    /// It could not be judged, for this reason, in one line.
    Failed(String),
    /// It could not be judged because this clone lacks some of its history.
    Shallow(String),
}

impl Skip {
    /// Whether somebody can rebase it by hand all the same.
    pub fn is_for_hands(&self) -> bool {
        matches!(self, Self::Merges(_) | Self::Unrelated(_))
    }

    /// It and base have nothing in common in this clone, which may only lack the beginning of both.
    pub fn cut_off() -> Self {
        Self::Shallow(
            "this is a shallow clone, without the commit that it and base have in common".to_owned(),
        )
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landed => f.write_str("it has no commit that is not upstream already"),
            Self::Merges(merge) => write!(f, "it contains merge commit '{}'", merge.brief()),
            Self::EditedMerge(merge) => {
                write!(f, "it contains merge commit '{}', which changes something itself", merge.brief())
            }
            Self::Unrelated(root) => {
                write!(f, "it has no history in common: it begins with root commit '{}'", root.brief())
            }
            Self::Unresolved(commit) => write!(f, "jj keeps a conflict in commit '{}'", commit.brief()),
            Self::Failed(reason) | Self::Shallow(reason) => write!(f, "it could not be rebased: {reason}"),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        write!(f, "commit '{}' does not apply", self.commit.brief())?;
        for (index, path) in self.paths.iter().take(SHOWN).enumerate() {
            f.write_str(if index == 0 { ": conflict in " } else { ", " })?;
            write!(f, "'{path}'")?;
        }
        match self.paths.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub enum RebaseError {
    /// The git program cannot do what is needed.
    #[error("git {found} is too old: a rebase needs git {}", Version::OLDEST)]
    TooOld {
        /// What is there.
        found: Version,
    },
    /// Git or its configuration cannot be used.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// What rebases branches: branches in, verdicts out, new commits in the object database.
pub trait Engine {
    /// Judges each branch; the verdicts are in the order of the requests. A failure that concerns one branch is that
    /// branch's verdict.
    ///
    /// # Errors
    /// When no branch can be judged.
    fn rebase(&mut self, requests: &[Request]) -> Result<Vec<Verdict>, RebaseError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> CommitId {
        "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
    }

    #[test]
    fn a_conflict_names_its_first_paths() {
        let conflict = |paths: &[&str]| {
            Conflict { commit: id(), paths: paths.iter().map(|path| (*path).to_owned()).collect() }
                .to_string()
        };
        assert_eq!(conflict(&[]), "commit '0123456789' does not apply");
        assert_eq!(conflict(&["a", "b"]), "commit '0123456789' does not apply: conflict in 'a', 'b'");
        let many = conflict(&["1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(
            many,
            "commit '0123456789' does not apply: conflict in '1', '2', '3', '4', '5' and 2 more"
        );
    }

    #[test]
    fn a_skip_says_why() {
        assert_eq!(Skip::Merges(id()).to_string(), "it contains merge commit '0123456789'");
    }
}
