//! The user's work trees: which branch is checked out where, whether it may follow, and letting it follow.
//!
//! A work tree is touched only when its branch is moved by us, nothing in it is changed, and no rebase, merge or bisect
//! is under way in it.

use std::path::{Path, PathBuf};

use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};

/// A branch that is checked out somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOut {
    /// The branch.
    pub branch: RefName,
    /// The folder.
    pub path: PathBuf,
}

/// Why a work tree cannot follow its branch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Files or the index are changed.
    #[error("'{0}' has uncommitted changes")]
    Dirty(String),
    /// Git is in the middle of something there.
    #[error("'{path}' is in the middle of a {operation}")]
    Under {
        /// The folder.
        path: String,
        /// What is under way.
        operation: &'static str,
    },
    /// The folder is gone.
    #[error("work tree '{0}' is not there")]
    Gone(String),
}

/// What git keeps in a repository while something is under way.
const OPERATIONS: [(&str, &str); 6] = [
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
];

impl Repository {
    /// The branches that are checked out in this repository's work trees, also those that a rebase in progress will
    /// come back to.
    ///
    /// # Errors
    /// When git cannot list them.
    pub fn checked_out(&self) -> Result<Vec<CheckedOut>, GitError> {
        let printed = git(["worktree", "list", "--porcelain"]).run()?;
        let mut found = Vec::new();
        let mut path = PathBuf::new();
        for line in String::from_utf8_lossy(&printed).lines() {
            if let Some(folder) = line.strip_prefix("worktree ") {
                path = PathBuf::from(folder);
            } else if let Some(branch) = line.strip_prefix("branch ") {
                found.extend(
                    RefName::new(branch).ok().map(|branch| CheckedOut { branch, path: path.clone() }),
                );
            } else if line == "detached" {
                found.extend(rebased_branch(&path)?.map(|branch| CheckedOut { branch, path: path.clone() }));
            }
        }
        Ok(found)
    }
}

/// The branch that a rebase under way in a work tree has taken off its head.
fn rebased_branch(path: &Path) -> Result<Option<RefName>, GitError> {
    let Some(git_dir) = git_dir(path)? else { return Ok(None) };
    let names = ["rebase-merge/head-name", "rebase-apply/head-name"];
    let name = names.iter().find_map(|name| std::fs::read_to_string(git_dir.join(name)).ok());
    Ok(name.and_then(|name| RefName::new(name.trim_end()).ok()))
}

fn git_dir(path: &Path) -> Result<Option<PathBuf>, GitError> {
    if !path.is_dir() {
        return Ok(None);
    }
    let call = git(["rev-parse", "--absolute-git-dir"]).in_work_tree(path);
    Ok(Some(PathBuf::from(call.text()?)))
}

impl CheckedOut {
    /// Why the work tree cannot follow, if it cannot.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn busy(&self) -> Result<Option<Busy>, GitError> {
        let path = self.path.display().to_string();
        let Some(git_dir) = git_dir(&self.path)? else { return Ok(Some(Busy::Gone(path))) };
        let under = OPERATIONS.iter().find(|(file, _)| git_dir.join(file).exists());
        if let Some((_, operation)) = under {
            return Ok(Some(Busy::Under { path, operation }));
        }
        let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none"];
        let changes = git(status).in_work_tree(&self.path).run()?;
        Ok((!changes.is_empty()).then_some(Busy::Dirty(path)))
    }

    /// Brings index and files from one commit to another, as a checkout would: an untracked file in the way is never
    /// overwritten. Doing it again changes nothing.
    ///
    /// # Errors
    /// When something in the work tree is in the way: then nothing was changed.
    pub fn follow(&self, old: CommitId, new: CommitId) -> Result<(), GitError> {
        let (old, new) = (old.to_string(), new.to_string());
        // `read-tree` trusts the index about which files are unchanged, so that is brought up to date first.
        git(["update-index", "-q", "--refresh"]).in_work_tree(&self.path).output()?;
        git(["read-tree", "-m", "-u", &old, &new]).in_work_tree(&self.path).run()?;
        Ok(())
    }

    /// Whether index and files could be brought from one commit to another.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn could_follow(&self, old: CommitId, new: CommitId) -> Result<bool, GitError> {
        let (old, new) = (old.to_string(), new.to_string());
        git(["update-index", "-q", "--refresh"]).in_work_tree(&self.path).output()?;
        let output =
            git(["read-tree", "-m", "-u", "--dry-run", &old, &new]).in_work_tree(&self.path).output()?;
        Ok(output.status.success())
    }
}
