//! Merges that are not what git makes of their parents: a rebase leaves out what they change themselves.

use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

impl Repository {
    /// The first merge that a commit has, and none of others, with changes of its own: a conflict that was resolved, something
    /// that was edited, or more than two parents, which git merges in another way.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn edited_merge(&self, tip: CommitId, others: &[CommitId]) -> Result<Option<CommitId>, GitError> {
        let call = self.git(["rev-list", "--merges", "--topo-order", "--reverse"]).arg(tip.to_string());
        let call = call.args(others.iter().map(|other| format!("^{other}"))).arg("--");
        let listed = call.text()?;
        // Who only looks writes nothing. Where there is no place aside git says so of each merge, which is none that it made then.
        let aside = if listed.is_empty() || self.is_aside() { None } else { self.with_objects_aside().ok() };
        for line in listed.lines() {
            let merge = line.parse().map(CommitId).map_err(|_| call.unreadable(line))?;
            if self.is_edited(merge, aside.as_ref().unwrap_or(self))? {
                return Ok(Some(merge));
            }
        }
        Ok(None)
    }

    fn is_edited(&self, merge: CommitId, aside: &Self) -> Result<bool, GitError> {
        let commit = self.commit(merge)?;
        let [ours, theirs] = commit.parents[..] else { return Ok(true) };
        let merged = aside
            .git(["merge-tree", "--write-tree", "--no-messages"])
            .args([ours, theirs].map(|parent| parent.to_string()))
            .output()?;
        let tree = String::from_utf8_lossy(&merged.stdout).trim_end().parse::<ObjectId>();
        Ok(!merged.status.success() || tree != Ok(commit.tree))
    }
}
