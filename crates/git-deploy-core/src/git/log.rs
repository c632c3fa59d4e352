//! What a stretch of history says.

use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::revert::Logged;

impl Repository {
    /// The commits of `from..tip`, newest first; all up to `tip` where there is no `from`.
    ///
    /// # Errors
    /// When git cannot walk there.
    pub fn log(&self, from: Option<CommitId>, tip: CommitId) -> Result<Vec<Logged>, GitError> {
        let format = ["rev-list", "--topo-order", "--no-commit-header", "--format=%H %T %P%n%B%x00"];
        let call = git(format).arg(tip.to_string()).args(from.map(|from| format!("^{from}"))).arg("--");
        let text = String::from_utf8_lossy(&call.run()?).into_owned();
        text.split('\0')
            .map(|entry| entry.trim_start_matches('\n'))
            .filter(|entry| !entry.is_empty())
            .map(|entry| logged(entry).ok_or_else(|| call.unreadable(entry).into()))
            .collect()
    }
}

impl Repository {
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
        if !self.is_shallow() {
            return Ok(false);
        }
        let path = self.paths().common_dir.join("shallow");
        let boundary = std::fs::read_to_string(&path).map_err(GitError::file(&path))?;
        let first = git(["rev-list", "--max-parents=0"]).arg(tip.to_string()).arg("--").text()?;
        let is_there = |commit: &str| boundary.lines().any(|line| line == commit);
        Ok(first.lines().any(is_there))
    }
}

/// How deep the folders of a notes tree are looked into; git makes the third level for millions of notes.
const FAN_OUT: usize = 3;

/// All that the notes on some commits ever were, as the history of a notes ref has it: blobs, and the folders around them.
///
/// # Errors
/// When git cannot walk there.
pub fn versions_of_notes(notes: Option<CommitId>, commits: &[CommitId]) -> Result<Vec<ObjectId>, GitError> {
    let Some(notes) = notes.filter(|_| !commits.is_empty()) else { return Ok(Vec::new()) };
    let paths = commits.iter().flat_map(|commit| (0..=FAN_OUT).map(|depth| path_of_note(*commit, depth)));
    let call = git(["--literal-pathspecs", "rev-list", "--objects", "--no-object-names", "--full-history"]);
    let call = call.arg(notes.to_string()).arg("--").args(paths);
    let text = call.text()?;
    let ids: Option<Vec<ObjectId>> = text.lines().map(|line| line.trim().parse().ok()).collect();
    Ok(ids.ok_or_else(|| call.unreadable("a line that is no object"))?)
}

/// All that notes ever were, as the history of a notes ref has it, whatever they stood on: blobs.
///
/// # Errors
/// When git cannot walk there.
pub fn all_versions_of_notes(notes: CommitId) -> Result<Vec<ObjectId>, GitError> {
    let call = git(["rev-list", "--objects", "--no-object-names", "--filter=object:type=blob"]);
    // By this filter the commit itself is printed, too, because it was named.
    let call = call.arg("--filter-provided-objects").arg(notes.to_string()).arg("--");
    let text = call.text()?;
    let ids: Option<Vec<ObjectId>> = text.lines().map(|line| line.trim().parse().ok()).collect();
    Ok(ids.ok_or_else(|| call.unreadable("a line that is no object"))?)
}

/// Where a note stands in a tree with so many levels of folders.
fn path_of_note(commit: CommitId, depth: usize) -> String {
    let digits = commit.to_string();
    let mut path = String::with_capacity(digits.len() + depth);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 2 == 0 && index <= 2 * depth {
            path.push('/');
        }
        path.push(digit);
    }
    path
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stands_in_folders_of_two_digits() {
        let commit: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        assert_eq!(path_of_note(commit, 0), commit.to_string());
        assert_eq!(path_of_note(commit, 1), "01/23456789abcdef0123456789abcdef01234567");
        assert_eq!(path_of_note(commit, 3), "01/23/45/6789abcdef0123456789abcdef01234567");
    }
}
