//! Work trees that stand between two commits: bringing files from one to the other was broken off, by a signal or for want
//! of room.
//!
//! They are brought to either end only where nothing of anybody's work is in them: each file that differs has what git would
//! write for one of the two commits, or the beginning of it, or is not there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{CheckedOut, path_from};
use crate::git::GitError;
use crate::ids::CommitId;

/// How git calls the mode of what is not there.
const ABSENT: &[u8] = b"000000";

/// How git calls the mode of a symbolic link.
const LINK: &[u8] = b"120000";

/// How git calls the mode of a submodule, whose files are not touched.
const SUBMODULE: &[u8] = b"160000";

/// What a tree or an index has at a path: mode and id, as git prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: Vec<u8>,
    id: String,
}

impl Entry {
    fn is_file(&self) -> bool {
        self.mode != ABSENT && self.mode != SUBMODULE
    }
}

/// Paths that differ between two sides, with what each of them has.
type Differing = BTreeMap<Vec<u8>, [Entry; 2]>;

/// Reads what `git diff-tree --raw -z` and its like print: `:<mode> <mode> <id> <id> <letter>`, then the path.
fn differing(printed: &[u8]) -> Differing {
    let words: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
    let entries = words.chunks_exact(2).filter_map(|pair| {
        let line = std::str::from_utf8(pair[0].strip_prefix(b":")?).ok()?;
        let mut fields = line.split(' ');
        let mut next = || fields.next().map(str::to_owned);
        let (modes, ids) = ([next()?, next()?], [next()?, next()?]);
        let [old_mode, new_mode] = modes.map(String::into_bytes);
        let [old_id, new_id] = ids;
        let sides = [Entry { mode: old_mode, id: old_id }, Entry { mode: new_mode, id: new_id }];
        Some((pair[1].to_vec(), sides))
    });
    entries.collect()
}

impl CheckedOut {
    /// The paths that only `new` has, where the index is still that of `old`, and nobody has worked on the files since they
    /// began to be brought from one to the other.
    pub(super) fn half_way(&self, old: CommitId, new: CommitId) -> Result<Option<Vec<Vec<u8>>>, GitError> {
        if !self.index_is(old)? {
            return Ok(None);
        }
        let between =
            self.git(["diff-tree", "-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none"]);
        let between = differing(&between.args([old, new].map(|commit| commit.to_string())).run()?);
        let dirty = self.git(["diff-files", "-z", "--raw", "--ignore-submodules=all"]);
        let dirty = differing(&dirty.run()?);
        let added = between.iter().filter(|(_, [old, _])| !old.is_file()).map(|(path, _)| path.clone());
        let added: Vec<Vec<u8>> = added.collect();
        for path in dirty.keys().chain(&added) {
            let was = dirty.get(path).map(|[indexed, _]| indexed);
            let is_to_be = between.get(path).map(|[_, new]| new);
            if !self.is_of_git(path, &between, &[was, is_to_be])? {
                return Ok(None);
            }
        }
        Ok(Some(added))
    }

    /// Makes index and files those of a commit, whatever they are.
    pub(super) fn become_those_of(&self, commit: CommitId) -> Result<bool, GitError> {
        let call = self.git(["read-tree", "--reset", "-u", "--no-recurse-submodules"]);
        Ok(call.arg(commit.to_string()).output()?.status.success())
    }

    /// Whether there is nothing at a path, or a beginning of what git would write for one of these.
    fn is_of_git(
        &self,
        path: &[u8],
        between: &Differing,
        entries: &[Option<&Entry>],
    ) -> Result<bool, GitError> {
        let Some(file) = self.found(path) else { return Ok(true) };
        let kind = file.symlink_metadata().map_err(GitError::file(&file))?;
        if kind.is_dir() {
            // Of a folder that takes the place of a file, or the other way round, the files are looked at by themselves.
            let below = [path, b"/"].concat();
            return Ok(between.keys().any(|path| path.starts_with(&below)));
        }
        for entry in entries.iter().flatten().filter(|entry| entry.is_file()) {
            if kind.is_symlink() == (entry.mode == LINK) && self.begins(&file, path, entry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the bytes of a file are a beginning of what git would write for an entry.
    fn begins(&self, file: &Path, path: &[u8], entry: &Entry) -> Result<bool, GitError> {
        if entry.mode == LINK {
            let target = fs::read_link(file).map_err(GitError::file(file))?;
            return Ok(self.git(["cat-file", "blob"]).arg(&entry.id).run()? == target.as_os_str().as_bytes());
        }
        let bytes = fs::read(file).map_err(GitError::file(file))?;
        if bytes.is_empty() {
            return Ok(true);
        }
        let mut of_path = std::ffi::OsString::from("--path=");
        of_path.push(path_from(path));
        let written = self.git(["cat-file", "--filters"]).arg(of_path).arg(&entry.id).run()?;
        Ok(written.starts_with(&bytes))
    }

    /// Removes a file, and the folders that have none any more.
    pub(super) fn take_away(&self, path: &[u8]) -> Result<(), GitError> {
        let Some(file) = self.found(path) else { return Ok(()) };
        if !file.is_symlink() && file.is_dir() {
            return Ok(());
        }
        fs::remove_file(&file).map_err(GitError::file(&file))?;
        let folders = file.ancestors().skip(1).take_while(|folder| *folder != self.path);
        // The first that is not empty ends it.
        let _ = folders.map(fs::remove_dir).take_while(Result::is_ok).count();
        Ok(())
    }

    /// The file at a path, if there is one: not behind a symbolic link, which may lead anywhere.
    fn found(&self, path: &[u8]) -> Option<PathBuf> {
        let file = self.path.join(path_from(path));
        let mut folders = file.ancestors().skip(1).take_while(|folder| *folder != self.path);
        let is_within = folders.all(|folder| folder.symlink_metadata().is_ok_and(|found| found.is_dir()));
        (is_within && file.symlink_metadata().is_ok()).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_modes_and_ids_by_path() {
        let printed = b":100644 000000 aa 00 D\0a b\0:000000 120000 00 bb A\0c\nd\0";
        let differing = differing(printed);
        let [old, new] = &differing[&b"a b"[..]];
        assert_eq!((old.is_file(), new.is_file(), old.id.as_str()), (true, false, "aa"));
        let [old, new] = &differing[&b"c\nd"[..]];
        assert_eq!((old.is_file(), new.mode.as_slice(), new.id.as_str()), (false, LINK, "bb"));
    }
}
