//! Whose attributes count where files are merged: those of the commit that a change is applied to, as if it were checked out.
//!
//! `git merge-tree` reads them from the work tree, where anything may be checked out, and knows none of a bare repository.
//! From 2.41 on it can be told a commit. For an older one a folder is made that has that commit's `.gitattributes`, and stands
//! in for the work tree.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

use super::object::Kind;
use super::program::{Call, git};
use super::version::Version;
use super::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// The first git that can be told whose attributes count (`--attr-source`).
const TOLD: Version = Version::new(2, 41);

/// The files that say how others are merged.
pub(crate) const ATTRIBUTES: &str = ".gitattributes";

/// The longest of these that is read, in bytes: as long as git reads them at most (`attr.h`).
const MOST: usize = 100 * 1024 * 1024;

/// Begins calls of git in which the attributes of some commit count.
pub(super) struct Attributes<'a> {
    repository: &'a Repository,
    is_told: bool,
    /// The folders, where git cannot be told.
    folders: RefCell<HashMap<CommitId, TempDir>>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(repository: &'a Repository, version: Version) -> Self {
        Self { repository, is_told: version >= TOLD, folders: RefCell::default() }
    }

    /// A call of git at the top of the work tree, if there is one, without a command as yet.
    ///
    /// # Errors
    /// When the files of that commit cannot be read, or put anywhere.
    pub(super) fn call(&self, of: CommitId) -> Result<Call, GitError> {
        let paths = self.repository.paths();
        let at = |top: &Path| {
            let call = git([OsStr::new("-C"), top.as_os_str(), OsStr::new("--git-dir")]);
            call.arg(&paths.git_dir).arg("--work-tree").arg(top)
        };
        if !self.is_told {
            return Ok(at(&self.folder(of)?));
        }
        let call = paths.work_tree.as_deref().map_or_else(|| git::<OsString>([]), at);
        Ok(call.arg(format!("--attr-source={of}")))
    }

    fn folder(&self, of: CommitId) -> Result<PathBuf, GitError> {
        if let Some(folder) = self.folders.borrow().get(&of) {
            return Ok(folder.path().to_owned());
        }
        let folder = tempfile::Builder::new().prefix("git-deploy-").tempdir();
        let folder = folder.map_err(GitError::file(&env::temp_dir()))?;
        for (path, blob) in self.files(of)? {
            let bytes = self.repository.read_at_most(blob, Kind::Blob, MOST)?;
            let path = folder.path().join(path);
            path.parent().map(fs::create_dir_all).transpose().map_err(GitError::file(&path))?;
            fs::write(&path, bytes).map_err(GitError::file(&path))?;
        }
        let path = folder.path().to_owned();
        self.folders.borrow_mut().insert(of, folder);
        Ok(path)
    }

    /// The attributes' files of a commit. Symbolic links are none, as in git.
    fn files(&self, of: CommitId) -> Result<Vec<(PathBuf, ObjectId)>, GitError> {
        let call = self.repository.git(["ls-tree", "-r", "-z", "--full-tree"]).arg(of.to_string());
        let printed = call.run()?;
        Ok(printed.split(|byte| *byte == 0).filter_map(attributes_file).collect())
    }
}

fn attributes_file(line: &[u8]) -> Option<(PathBuf, ObjectId)> {
    let line = line.strip_prefix(b"100")?;
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let path = Path::new(OsStr::from_bytes(&line[tab + 1..]));
    // Whoever made the tree may have put anything into it.
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    let is_one = path.file_name().is_some_and(|name| name == ATTRIBUTES);
    let id = std::str::from_utf8(&line[..tab]).ok()?.split(' ').next_back()?.parse().ok()?;
    (stays && is_one).then(|| (path.to_owned(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_the_tree_are_attributes() {
        let id = "1".repeat(40);
        let path = |line: &str| attributes_file(line.replace("ID", &id).as_bytes()).map(|(path, _)| path);
        assert_eq!(path("100644 blob ID\ta/.gitattributes"), Some("a/.gitattributes".into()));
        for line in [
            "120000 blob ID\t.gitattributes",
            "100644 blob ID\ta.gitattributes",
            "100644 blob ID\t../.gitattributes",
            "100644 blob ID\t/.gitattributes",
            "",
        ] {
            assert_eq!(path(line), None, "{line}");
        }
    }
}
