//! What a stretch of history says.

use std::collections::HashSet;

use crate::git::program::{Call, git};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::revert::{Logged, WORDS};

impl Repository {
    /// The commits of `from..tip`, newest first; all up to `tip` where there is no `from`.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn log(&self, from: Option<CommitId>, tip: CommitId) -> Result<Vec<Logged>, GitError> {
        let format = ["rev-list", "--topo-order", "--no-commit-header", "--format=%H %T %P%n%B%x00"];
        let call = git(format).arg(tip.to_string()).args(from.map(|from| format!("^{from}"))).arg("--");
        all_logged(&call)
    }

    /// The commits of `from..tip` that say that they revert others, newest first.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn reverts(&self, from: CommitId, tip: CommitId) -> Result<Vec<Logged>, GitError> {
        let format = ["rev-list", "--topo-order", "--no-commit-header", "--format=%H %T %P%n%B%x00"];
        let words =
            ["--fixed-strings".to_owned(), format!("--grep={WORDS}"), tip.to_string(), format!("^{from}")];
        all_logged(&git(format).args(words).arg("--"))
    }

    /// The commits of `from..tip` on the line of first parents, newest first.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn first_parents(&self, from: CommitId, tip: CommitId) -> Result<Vec<CommitId>, GitError> {
        ids(&git(["rev-list", "--first-parent"]).arg(tip.to_string()).arg(format!("^{from}")).arg("--"))
    }

    /// The commits that `tip` has, and `other` has not, and that are equal to one that only `other` has, as git compares what
    /// commits change.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn equal_to(&self, tip: CommitId, other: CommitId) -> Result<Vec<CommitId>, GitError> {
        let call =
            git(["rev-list", "--cherry-mark", "--left-only"]).arg(format!("{tip}...{other}")).arg("--");
        let listed = call.text()?;
        let equal = listed.lines().filter_map(|line| line.strip_prefix('='));
        equal.map(|id| id.parse().map_err(|_| call.unreadable(id).into())).collect()
    }

    /// The commits of `from..tip`, which is what a branch gets that goes from the one to the other; all up to `tip` where there
    /// is no `from`.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn gained(&self, from: Option<CommitId>, tip: CommitId) -> Result<HashSet<CommitId>, GitError> {
        let call = git(["rev-list"]).arg(tip.to_string()).args(from.map(|from| format!("^{from}"))).arg("--");
        Ok(ids(&call)?.into_iter().collect())
    }

    /// The commits after `from` that lead from there to `tip`.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn between(&self, from: CommitId, tip: CommitId) -> Result<Vec<CommitId>, GitError> {
        ids(&git(["rev-list", "--ancestry-path"]).arg(tip.to_string()).arg(format!("^{from}")).arg("--"))
    }

    /// Those of some commits that the history up to `tip` has: one walk for all of them.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn among(&self, commits: &[CommitId], tip: CommitId) -> Result<HashSet<CommitId>, GitError> {
        let asked: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
        let call = git(["rev-list", "--stdin"]).input(format!("^{tip}\n{asked}"));
        let beyond = call.text()?;
        let beyond: HashSet<&str> = beyond.lines().collect();
        Ok(commits.iter().copied().filter(|commit| !beyond.contains(&*commit.to_string())).collect())
    }
}

impl Repository {
    /// Whether a commit has a merge that none of others has.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn has_merges(&self, tip: CommitId, others: &[CommitId]) -> Result<bool, GitError> {
        let call = git(["rev-list", "--merges", "--max-count=1"]);
        let others = others.iter().map(|other| format!("^{other}"));
        let found = call.arg(tip.to_string()).args(others).arg("--").text()?;
        Ok(!found.is_empty())
    }
}

/// What git writes into the reflog of a ref that follows a branch of a remote when it has pushed that (`transport.c`).
const PUSHED: &str = "update by push";

impl Repository {
    /// The commits that this clone brought a branch of a remote to, as far as the reflog goes of the ref that follows it: git
    /// writes there what it has pushed, and what it has fetched.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub fn pushed_to(&self, there: &RefName) -> Result<HashSet<CommitId>, GitError> {
        let entries =
            git(["log", "--walk-reflogs", "--format=%H %gs", "--end-of-options", there.as_str(), "--"]);
        let entries = entries.run()?;
        let pushed = |entry: &str| {
            let (id, how) = entry.split_once(' ')?;
            id.parse().ok().filter(|_| how == PUSHED).map(CommitId)
        };
        Ok(String::from_utf8_lossy(&entries).lines().filter_map(pushed).collect())
    }

    /// Whether a ref was once at one of these commits, as far as its reflog goes.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub fn was_at(&self, name: &RefName, commits: &[CommitId]) -> Result<bool, GitError> {
        let is_one = |id: &str| id.parse().is_ok_and(|id| commits.contains(&CommitId(id)));
        // One without a reflog has no entries.
        let entries = git(["rev-list", "--walk-reflogs", "--end-of-options", name.as_str(), "--"]).run()?;
        let entries = String::from_utf8_lossy(&entries);
        if entries.lines().any(is_one) {
            return Ok(true);
        }
        // What the oldest entry leads away from, such as where a clone found the branch; git fails where that was nothing.
        let before = git(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}@{{{}}}", entries.lines().count()))
            .output()?;
        Ok(is_one(String::from_utf8_lossy(&before.stdout).trim_end()))
    }
}

impl Repository {
    /// Whether this clone has only the end of the history of a commit: it is a shallow one, and that ends at its boundary.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn is_cut_off(&self, tip: CommitId) -> Result<bool, GitError> {
        self.begins_at_the_boundary(&tip.to_string())
    }

    /// Whether what two commits do not have in common is not all here: it may be that only this clone does not know where they
    /// parted.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn is_cut_off_between(&self, one: CommitId, two: CommitId) -> Result<bool, GitError> {
        self.begins_at_the_boundary(&format!("{one}...{two}"))
    }

    fn begins_at_the_boundary(&self, commits: &str) -> Result<bool, GitError> {
        if !self.is_shallow() {
            return Ok(false);
        }
        let path = self.paths().common_dir.join("shallow");
        let boundary = std::fs::read_to_string(&path).map_err(GitError::file(&path))?;
        let call = git(["rev-list", "--max-parents=0"]).without_grafts();
        let first = call.arg(commits).arg("--").text()?;
        let is_there = |commit: &str| boundary.lines().any(|line| line == commit);
        Ok(first.lines().any(is_there))
    }
}

/// The ids that a call prints, one a line.
fn ids(call: &Call) -> Result<Vec<CommitId>, GitError> {
    let printed = call.text()?;
    printed.lines().map(|id| id.parse().map_err(|_| call.unreadable(id).into())).collect()
}

fn all_logged(call: &Call) -> Result<Vec<Logged>, GitError> {
    let text = String::from_utf8_lossy(&call.run()?).into_owned();
    text.split('\0')
        .map(|entry| entry.trim_start_matches('\n'))
        .filter(|entry| !entry.is_empty())
        .map(|entry| logged(entry).ok_or_else(|| call.unreadable(entry).into()))
        .collect()
}

fn logged(entry: &str) -> Option<Logged> {
    let (ids, message) = entry.split_once('\n').unwrap_or((entry, ""));
    let mut ids = ids.split(' ').filter(|id| !id.is_empty());
    Some(Logged {
        id: ids.next()?.parse().ok()?,
        tree: ids.next()?.parse().ok()?,
        parent: ids.next().map(str::parse).transpose().ok()?,
        message: message.to_owned(),
    })
}
