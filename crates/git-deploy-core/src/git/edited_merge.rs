//! Merges that are not what git makes of their parents: a rebase leaves out what they change themselves.

use crate::git::merge_tree::{MergeTree, Merged};
use crate::git::object::Commit;
use crate::git::{GitError, Repository};
use crate::ids::CommitId;

impl Repository {
    /// The first merge that a commit has, and none of others, with changes of its own: a conflict that was resolved, something
    /// that was edited, or more than two parents, which git merges in another way.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn edited_merge(&self, tip: CommitId, others: &[CommitId]) -> Result<Option<CommitId>, GitError> {
        let call = self.git(["rev-list", "--merges", "--topo-order", "--reverse"])?.arg(tip.to_string());
        let call = call.args(others.iter().map(|other| format!("^{other}"))).arg("--");
        let listed = call.text()?;
        if listed.is_empty() {
            return Ok(None);
        }
        // Who only looks writes nothing. Where there is no place aside git says so of each merge, which is none that it made then.
        let aside = if self.is_aside() { None } else { self.with_objects_aside().ok() };
        let git = MergeTree::new(aside.as_ref().unwrap_or(self))?;
        for line in listed.lines() {
            let merge = line.parse().map(CommitId).map_err(|_| call.unreadable(line))?;
            if is_edited(&self.commit(merge)?, &git)? {
                return Ok(Some(merge));
            }
        }
        Ok(None)
    }
}

fn is_edited(merge: &Commit, git: &MergeTree<'_>) -> Result<bool, GitError> {
    let [ours, theirs] = merge.parents[..] else { return Ok(true) };
    match git.merge(ours, theirs) {
        Ok(Merged::Clean(tree)) => Ok(tree != merge.tree),
        // It was made all the same, at another time.
        Err(error @ GitError::MergeTimeLimit { .. }) => Err(error),
        Ok(Merged::Conflict(_)) | Err(_) => Ok(true),
    }
}
