//! What a `git rebase` that is under way says of itself.
//!
//! Git tells its hook `post-rewrite` which commits became which, and no branches. Those stand in files that it keeps for
//! its own next call, and that shell prompts and editors read too; what is not there is not known.

use std::io::ErrorKind;
use std::path::Path;

use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};

/// A branch that moves, or has just moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchMove {
    /// The branch.
    pub branch: RefName,
    /// Where it stood.
    pub old: CommitId,
    /// Where it stands, or will in a moment.
    pub new: CommitId,
}

impl Repository {
    /// The branches that the rebase under way in this work tree moves to their new commits, of which `head` is the last:
    /// the one that is rebased, and those that move with it (`--update-refs`). `None`: nothing says.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn moved_by_rebase(&self, head: CommitId) -> Result<Option<Vec<BranchMove>>, GitError> {
        for folder in ["rebase-merge", "rebase-apply"] {
            let folder = self.paths().git_dir.join(folder);
            let Some(name) = read(&folder.join("head-name"))? else { continue };
            let old = read(&folder.join("orig-head"))?.unwrap_or_default();
            // Where no branch is rebased it is called 'detached HEAD'.
            let own = branch_move(name.trim_end(), old.trim_end(), &head.to_string());
            let others = read(&folder.join("update-refs"))?.unwrap_or_default();
            return Ok(Some(own.into_iter().chain(listed(&others)).collect()));
        }
        Ok(None)
    }
}

fn read(path: &Path) -> Result<Option<String>, GitError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GitError::file(path)(error)),
    }
}

/// Three lines a branch: its name, where it stood, where it goes. One that the user has taken out goes to no commit.
fn listed(text: &str) -> Vec<BranchMove> {
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks_exact(3).filter_map(|lines| branch_move(lines[0], lines[1], lines[2])).collect()
}

fn branch_move(name: &str, old: &str, new: &str) -> Option<BranchMove> {
    let branch = RefName::new(name).ok().filter(|name| name.branch_name().is_some())?;
    let commit = |id: &str| id.parse().ok().filter(|id: &CommitId| !id.0.is_null());
    Some(BranchMove { branch, old: commit(old)?, new: commit(new)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_listed_in_three_lines_each() {
        let (one, two, none) = ("1".repeat(40), "2".repeat(40), "0".repeat(40));
        let text = format!(
            "refs/heads/a\n{one}\n{two}\nrefs/heads/gone\n{one}\n{none}\nrefs/tags/t\n{one}\n{two}\nrefs/heads/b\n{one}\n"
        );
        let listed = listed(&text);
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].branch.as_str(), "refs/heads/a");
        assert_eq!((listed[0].old, listed[0].new), (one.parse().unwrap(), two.parse().unwrap()));
    }
}
