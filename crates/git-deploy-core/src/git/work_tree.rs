//! The user's work trees: which branch is checked out where, whether it may follow, and letting it follow.
//!
//! A work tree is touched only when its branch is moved by us, nothing in it is changed, and no rebase, merge or bisect
//! is under way in it.

mod half;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::git::held::HeldLock;
use crate::git::program::{Call, git};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};

/// A branch that is checked out somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOut {
    /// The branch.
    pub branch: RefName,
    /// The folder.
    pub path: PathBuf,
    /// Where git keeps what belongs to the work tree; none if the folder is gone.
    git_dir: Option<PathBuf>,
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
    /// Another git writes the index, or died while it did.
    #[error("'{path}' cannot follow: its index is locked: {lock}")]
    Locked {
        /// The folder.
        path: String,
        /// The lock file.
        lock: HeldLock,
    },
    /// Something else, in git's words.
    #[error("'{path}' cannot follow: {why}")]
    InTheWay {
        /// The folder.
        path: String,
        /// What git says.
        why: String,
    },
}

impl Busy {
    /// The lock file that is in the way, if that is what is wrong.
    #[must_use]
    pub fn lock(&self) -> Option<&HeldLock> {
        match self {
            Self::Locked { lock, .. } => Some(lock),
            Self::Dirty(_) | Self::Under { .. } | Self::Gone(_) | Self::InTheWay { .. } => None,
        }
    }
}

/// How long another git is waited for that writes an index: most need a moment only. An older lock is held by one that waits
/// itself, as for an editor, or by nobody.
const WAITED: Duration = Duration::from_secs(2);

/// What git keeps in a repository while something is under way.
const OPERATIONS: [(&str, &str); 7] = [
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("sequencer", "cherry-pick or revert"),
    ("BISECT_LOG", "bisect"),
];

/// What is under way in the work tree of a folder of git.
fn operation(git_dir: &Path) -> Option<&'static str> {
    OPERATIONS.iter().find(|(file, _)| git_dir.join(file).exists()).map(|(_, operation)| *operation)
}

impl Repository {
    /// What is under way here, such as `rebase`.
    pub fn operation(&self) -> Option<&'static str> {
        operation(&self.paths().git_dir)
    }

    /// The branches that are checked out in this repository's work trees, also those that a rebase or bisect under way
    /// will come back to.
    ///
    /// # Errors
    /// When git cannot list them.
    pub fn checked_out(&self) -> Result<Vec<CheckedOut>, GitError> {
        let printed = git(["worktree", "list", "--porcelain", "-z"]).run()?;
        let mut found = Vec::new();
        for (index, lines) in records(&printed).into_iter().enumerate() {
            let mut head = None;
            let mut path = PathBuf::new();
            for line in lines {
                if let Some(folder) = line.strip_prefix(b"worktree ") {
                    path = path_from(folder);
                } else if let Some(name) = line.strip_prefix(b"branch ") {
                    head = std::str::from_utf8(name).ok().and_then(|name| RefName::new(name).ok());
                }
            }
            let git_dir = match self.own_work_tree(index) {
                Some(top) => {
                    // Without a slash at its end.
                    path = top.components().collect();
                    Some(self.paths().git_dir.clone())
                }
                None => git_dir(&path)?,
            };
            let held = git_dir.as_deref().map(branches_held).unwrap_or_default();
            let names: BTreeSet<RefName> = head.into_iter().chain(held).collect();
            found.extend(names.into_iter().map(|branch| CheckedOut {
                branch,
                path: path.clone(),
                git_dir: git_dir.clone(),
            }));
        }
        Ok(found)
    }

    /// The folders of all work trees of this repository, as git lists them.
    ///
    /// # Errors
    /// When git cannot list them.
    pub fn work_trees(&self) -> Result<Vec<PathBuf>, GitError> {
        let printed = git(["worktree", "list", "--porcelain", "-z"]).run()?;
        let lines = records(&printed).into_iter().flatten();
        Ok(lines.filter_map(|line| line.strip_prefix(b"worktree ")).map(path_from).collect())
    }

    /// The folder of the first work tree, if that is the one we are in: git itself guesses it from where the repository
    /// lies, wrongly for a submodule and wherever `core.worktree` or `GIT_WORK_TREE` names another.
    fn own_work_tree(&self, index: usize) -> Option<&Path> {
        let paths = self.paths();
        let is_main = index == 0 && paths.git_dir == paths.common_dir;
        paths.work_tree.as_deref().filter(|_| is_main)
    }

    /// Brings the index and files of a work tree from one commit to another, as a checkout would: an untracked file in the
    /// way is never overwritten. Doing it again changes nothing, and ends what a process that died in the middle of it had
    /// begun.
    ///
    /// # Errors
    /// When something in the work tree is in the way: then nothing was changed. Or when there is no room for its files:
    /// [`Repository::follow_back`] takes away those that were written.
    pub fn follow(&self, place: &CheckedOut, old: CommitId, new: CommitId) -> Result<(), GitError> {
        let _intent = place.git_dir.as_deref().map(|git_dir| self.intend_index(git_dir)).transpose()?;
        self.wait_for_index(place);
        place.follow(old, new).map_err(|error| match self.index_lock(place) {
            Some(lock) => {
                GitError::IndexLocked { tree: place.path.display().to_string(), lock: Box::new(lock) }
            }
            None => error,
        })
    }

    /// Takes back what [`Repository::follow`] did before it failed: index and files are those of `old` again. Returns false,
    /// having changed nothing, where somebody has worked on them.
    ///
    /// # Errors
    /// When git cannot say what stands there, or a file cannot be taken away.
    pub fn follow_back(&self, place: &CheckedOut, old: CommitId, new: CommitId) -> Result<bool, GitError> {
        let Some(added) = place.half_way(old, new)? else { return Ok(false) };
        // That makes the room for what comes then.
        added.iter().try_for_each(|path| place.take_away(path))?;
        let _intent = place.git_dir.as_deref().map(|git_dir| self.intend_index(git_dir)).transpose()?;
        place.become_those_of(old)
    }

    /// The lock file on the index of a work tree, if there is one.
    fn index_lock(&self, place: &CheckedOut) -> Option<HeldLock> {
        self.held_file(place.git_dir.as_ref()?.join("index.lock"))
    }

    fn wait_for_index(&self, place: &CheckedOut) {
        let until = Instant::now() + WAITED;
        while self.index_lock(place).is_some_and(|lock| lock.age < WAITED) && Instant::now() < until {
            std::thread::sleep(WAITED / 100);
        }
    }

    /// Why a work tree could not follow its branch from one commit to another, if it could not.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn cannot_follow(
        &self,
        place: &CheckedOut,
        old: CommitId,
        new: CommitId,
    ) -> Result<Option<Busy>, GitError> {
        if let Some(busy) = place.busy()? {
            return Ok(Some(busy));
        }
        // Bringing the index up to date writes it.
        let _intent = place.git_dir.as_deref().map(|git_dir| self.intend_index(git_dir)).transpose()?;
        self.wait_for_index(place);
        let Some(why) = place.in_the_way(old, new)? else { return Ok(None) };
        let path = place.path.display().to_string();
        Ok(Some(match self.index_lock(place) {
            Some(lock) => Busy::Locked { path, lock },
            None => Busy::InTheWay { path, why },
        }))
    }
}

/// The records of `git worktree list -z`: lines that end with NUL, with an empty one after each.
fn records(printed: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut records = vec![Vec::new()];
    for line in printed.split(|byte| *byte == 0) {
        match records.last_mut() {
            Some(record) if !line.is_empty() => record.push(line),
            _ => records.push(Vec::new()),
        }
    }
    records.retain(|record: &Vec<&[u8]>| !record.is_empty());
    records
}

fn path_from(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// The branches that something under way in a work tree has taken off its head and will come back to or move.
fn branches_held(git_dir: &Path) -> Vec<RefName> {
    let read = |name: &str| std::fs::read_to_string(git_dir.join(name)).unwrap_or_default();
    let rebased = read("rebase-merge/head-name") + &read("rebase-apply/head-name");
    // Those of `git rebase --update-refs` stand on every third line.
    let updated = read("rebase-merge/update-refs");
    // Without `refs/heads/`, or the commit where the head was detached before.
    let bisected = read("BISECT_START");
    let bisected = RefName::branch(bisected.trim_end()).ok();
    let names = rebased.lines().chain(updated.lines().step_by(3));
    names.filter_map(|name| RefName::new(name).ok()).chain(bisected).collect()
}

fn git_dir(path: &Path) -> Result<Option<PathBuf>, GitError> {
    if !path.is_dir() {
        return Ok(None);
    }
    let output = git(["rev-parse", "--absolute-git-dir"]).in_work_tree(path).output()?;
    // A folder that was made anew, or a main repository without files of its own.
    Ok(output.status.success().then(|| path_from(output.stdout.trim_ascii_end())))
}

impl CheckedOut {
    /// A call of git in this work tree.
    fn git<const N: usize>(&self, args: [&str; N]) -> Call {
        let call = git(args).in_work_tree(&self.path);
        match &self.git_dir {
            Some(git_dir) => call.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", &self.path),
            None => call,
        }
    }

    /// Why the work tree cannot follow, if it cannot.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn busy(&self) -> Result<Option<Busy>, GitError> {
        let path = self.path.display().to_string();
        let Some(git_dir) = &self.git_dir else { return Ok(Some(Busy::Gone(path))) };
        if let Some(operation) = operation(git_dir) {
            return Ok(Some(Busy::Under { path, operation }));
        }
        // What is changed inside of a submodule is not touched; that it stands at another commit would be.
        let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"];
        let changes = self.git(status).run()?;
        Ok((!changes.is_empty()).then_some(Busy::Dirty(path)))
    }

    /// Why index and files could not be brought from one commit to another, in git's words; `None` if they could.
    fn in_the_way(&self, old: CommitId, new: CommitId) -> Result<Option<String>, GitError> {
        self.refresh()?;
        let call = self.git(["read-tree", "-m", "-u", "--no-recurse-submodules", "--dry-run"]);
        let output = call.args([old.to_string(), new.to_string()]).output()?;
        if output.status.success() {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("git does not say why");
        Ok(Some(why.trim_start_matches("error: ").trim_start_matches("fatal: ").to_owned()))
    }

    fn follow(&self, old: CommitId, new: CommitId) -> Result<(), GitError> {
        self.refresh()?;
        let call = self.git(["read-tree", "-m", "-u", "--no-recurse-submodules"]);
        let call = call.args([old.to_string(), new.to_string()]);
        let output = call.output()?;
        // Whatever keeps this from being ended, git has said it.
        if output.status.success() || self.end(old, new).unwrap_or_default() {
            return Ok(());
        }
        Err(call.failed(&output).into())
    }

    /// Ends what was broken off after some files had been written and before the index was. Returns false where it cannot.
    fn end(&self, old: CommitId, new: CommitId) -> Result<bool, GitError> {
        Ok(self.half_way(old, new)?.is_some() && self.become_those_of(new)?)
    }

    /// `read-tree` trusts the index about which files are unchanged, so that is brought up to date first.
    fn refresh(&self) -> Result<(), GitError> {
        self.git(["update-index", "-q", "--refresh"]).output()?;
        Ok(())
    }

    /// Whether the index is that of a commit.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn index_is(&self, commit: CommitId) -> Result<bool, GitError> {
        let call = self.git(["diff-index", "--cached", "--quiet", "--ignore-submodules=none"]);
        Ok(call.args([commit.to_string().as_str(), "--"]).yes()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_trees_are_taken_apart_whatever_their_folders_are_called() {
        let printed = b"worktree /a\nb\0HEAD 1\0branch refs/heads/x\0\0worktree /c\0bare\0\0";
        let records = records(printed);
        assert_eq!(records.len(), 2);
        assert_eq!(records[0], [&b"worktree /a\nb"[..], b"HEAD 1", b"branch refs/heads/x"]);
        assert_eq!(records[1], [&b"worktree /c"[..], b"bare"]);
    }
}
