//! Why something could not be read from or written to git.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::broken::BrokenRef;
use super::held::HeldLock;
use super::nowhere::Nowhere;
use super::object::Malformed;
use super::program::ProgramError;
use super::refs::RefInTheWay;
use super::{attributes, merge_tree, notes};
use crate::ids::{CommitId, IdError, ObjectId, RefName};

/// Why something could not be read from or written to git.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no repository here.
    #[error("not a git repository (or any of the folders above)")]
    NoRepository,
    /// What names a repository names none.
    #[error(transparent)]
    Nowhere(Nowhere),
    /// libgit2 failed.
    #[error("{what}: {}", .error.message())]
    Libgit2 {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: git2::Error,
    },
    /// The git program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// An object could not be read.
    #[error("cannot read object '{id}': {error}")]
    Read {
        /// The object.
        id: ObjectId,
        /// Why.
        error: std::io::Error,
    },
    /// An object that must be there is not.
    #[error("object '{id}' is missing{}", if *.shallow { " (this is a shallow or partial clone)" } else { "" })]
    Missing {
        /// The object.
        id: ObjectId,
        /// Whether it may be there in the repository that this one was cloned from.
        shallow: bool,
    },
    /// An object that a remote has promised to a partial clone, and does not send.
    #[error("object '{id}' is not in this partial clone, and could not be fetched: {why}")]
    Promised {
        /// The object.
        id: ObjectId,
        /// What git said.
        why: String,
    },
    /// An object is of another kind than it must be.
    #[error("object '{id}' is no {wanted}")]
    Kind {
        /// The object.
        id: ObjectId,
        /// What it was taken for.
        wanted: &'static str,
    },
    /// An object is larger than anybody needs it to be.
    #[error("object '{id}' has {size} bytes, and at most {most} are read")]
    TooLarge {
        /// The object.
        id: ObjectId,
        /// How many bytes it has.
        size: u64,
        /// How many it may have.
        most: usize,
    },
    /// A commit has more attributes than anybody needs.
    #[error(
        "commit '{of}' has more than {} files '.gitattributes', or {} MB of them: so much is not copied",
        attributes::MOST_FILES,
        attributes::MOST_BYTES >> 20
    )]
    Attributes {
        /// The commit.
        of: CommitId,
    },
    /// A merge took too long.
    #[error(
        "merging commit '{}' did not end within {} s and was ended{}",
        .commit.brief(), .limit.as_secs(), merge_tree::looked_at(.drivers)
    )]
    MergeTimeLimit {
        /// What was to be merged.
        commit: CommitId,
        /// How long that had.
        limit: Duration,
        /// The merge drivers that are configured, by their names.
        drivers: Vec<String>,
    },
    /// A key of git's configuration has a value that is none of its.
    #[error("'{key}' is '{value}', and must be {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The bytes of an object are not what its kind demands.
    #[error("object '{id}': {error}")]
    Malformed {
        /// The object.
        id: ObjectId,
        /// What is wrong.
        error: Malformed,
    },
    /// Git gave a name that is none.
    #[error("{what}: {error}")]
    Id {
        /// What it was to be.
        what: &'static str,
        /// What is wrong.
        error: IdError,
    },
    /// The notes ref leads to what is no history of notes.
    #[error("notes ref '{}' cannot be used: {error}", notes::NOTES_REF)]
    NotesRef {
        /// What is wrong with what it leads to.
        error: Box<GitError>,
        /// The commit that it led to before, if its reflog says so.
        before: Option<CommitId>,
    },
    /// A ref has no value.
    #[error("{0}")]
    BrokenRef(Box<BrokenRef>),
    /// A ref cannot be moved because of a lock file.
    #[error("cannot lock '{name}': {lock}")]
    Locked {
        /// The ref.
        name: RefName,
        /// The file.
        lock: Box<HeldLock>,
    },
    /// A ref cannot be made because of another one.
    #[error(transparent)]
    RefInTheWay(Box<RefInTheWay>),
    /// The index of a work tree cannot be written because of a lock file.
    #[error("cannot lock the index of '{tree}': {lock}")]
    IndexLocked {
        /// The work tree.
        tree: String,
        /// The file.
        lock: Box<HeldLock>,
    },
    /// Git's configuration cannot be written because of a lock file.
    #[error("cannot lock the configuration: {0}")]
    ConfigLocked(Box<HeldLock>),
    /// A file or folder of git's may hold what is looked for, and cannot be read.
    #[error("cannot read '{}': {error}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file beside git's own could not be read or written.
    #[error("cannot use '{path}': {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

impl GitError {
    pub(super) fn libgit2(what: String) -> impl FnOnce(git2::Error) -> Self {
        move |error| Self::Libgit2 { what, error }
    }

    /// The lock file that is in the way, if that is what is wrong.
    #[must_use]
    pub fn lock(&self) -> Option<&HeldLock> {
        match self {
            Self::Locked { lock, .. } | Self::IndexLocked { lock, .. } | Self::ConfigLocked(lock) => {
                Some(lock)
            }
            _ => None,
        }
    }

    /// An error about a file that we keep in the repository.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path, error }
    }
}
