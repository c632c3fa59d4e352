//! A look at what a rebase would make, where nothing may be written: as on a server while a push waits, or of a disk that is
//! read-only.
//!
//! New objects go to a folder of their own, and what git writes to otherwise, which is its quarantine then, is only read.
//! Beside them stand the `.gitattributes` of one commit: of a bare repository `git merge-tree` knows none.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

use super::backend::{Paths, Variables};
use super::object::Kind;
use super::program::{Call, git};
use super::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// Where git writes objects.
const OBJECTS: &str = "GIT_OBJECT_DIRECTORY";

/// Where else it reads them.
const ALTERNATES: &str = "GIT_ALTERNATE_OBJECT_DIRECTORIES";

/// The files that say how others are merged.
const ATTRIBUTES: &str = ".gitattributes";

/// The longest of these that is read, in bytes: as long as git reads them at most (`attr.h`).
const MOST_ATTRIBUTES: usize = 100 * 1024 * 1024;

impl Repository {
    /// The same repository, in which new objects are seen by nobody else, and go away with this value. Files are merged as
    /// the attributes of `base` say.
    ///
    /// # Errors
    /// When there is no place for them, or `base` cannot be read.
    pub fn aside(&self, base: CommitId) -> Result<Self, GitError> {
        let aside = Aside::new(&self.paths().common_dir)?;
        for (path, blob) in attributes(base)? {
            let bytes = self.read_at_most(blob, Kind::Blob, MOST_ATTRIBUTES)?;
            let path = aside.tree().join(path);
            path.parent().map(fs::create_dir_all).transpose().map_err(GitError::file(&path))?;
            fs::write(&path, bytes).map_err(GitError::file(&path))?;
        }
        let paths = Paths { work_tree: Some(aside.tree()), ..self.paths().clone() };
        Ok(Self::with(self.backend.aside(paths, aside)))
    }

    /// The same repository and work tree, in which new objects are seen by nobody else, and go away with this value.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn with_objects_aside(&self) -> Result<Self, GitError> {
        let aside = Aside::new(&self.paths().common_dir)?;
        Ok(Self::with(self.backend.aside(self.paths().clone(), aside)))
    }

    /// Whether what is written here is seen by nobody else.
    pub(crate) fn is_aside(&self) -> bool {
        !self.backend.variables().is_empty()
    }

    /// A call of git that sees the objects that were written here.
    pub(crate) fn git<const N: usize>(&self, args: [&str; N]) -> Call {
        git(args).envs(self.backend.variables())
    }
}

/// The attributes' files of a commit. Symbolic links are none, as in git.
fn attributes(commit: CommitId) -> Result<Vec<(PathBuf, ObjectId)>, GitError> {
    let call = git(["ls-tree", "-r", "-z", "--full-tree"]).arg(commit.to_string());
    let printed = call.run()?;
    Ok(printed.split(|byte| *byte == 0).filter_map(attributes_file).collect())
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

/// The folder, which goes away with this value.
pub(super) struct Aside {
    variables: Vec<(&'static str, OsString)>,
    folder: TempDir,
}

impl Aside {
    fn new(common_dir: &Path) -> Result<Self, GitError> {
        let folder = tempfile::Builder::new().prefix("git-deploy-").tempdir();
        let folder = folder.map_err(GitError::file(&env::temp_dir()))?;
        let new = folder.path().join("objects");
        for made in [&new, &folder.path().join("tree")] {
            fs::create_dir(made).map_err(GitError::file(made))?;
        }
        let stand = env::var_os(OBJECTS).map_or_else(|| common_dir.join("objects"), PathBuf::from);
        let mut alternates = listed(stand.as_os_str());
        if let Some(more) = env::var_os(ALTERNATES).filter(|more| !more.is_empty()) {
            alternates.push(":");
            alternates.push(more);
        }
        Ok(Self { variables: vec![(OBJECTS, new.into()), (ALTERNATES, alternates)], folder })
    }

    /// What has git write there.
    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The folder that has the one for objects, as a repository has it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether objects are written elsewhere than in a repository already, as in a server's quarantine.
    pub(super) fn is_nested() -> bool {
        [OBJECTS, ALTERNATES].iter().any(|key| env::var_os(key).is_some())
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }
}

/// A path as it stands in a list of them: in quotes where git would read it as more than one.
fn listed(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    if !bytes.contains(&b':') && !bytes.starts_with(b"\"") {
        return path.to_owned();
    }
    let mut quoted = vec![b'"'];
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_list_is_one_path() {
        for (path, expected) in [
            ("/srv/shop.git/objects", "/srv/shop.git/objects"),
            ("/srv/a:b\\\"c", "\"/srv/a:b\\\\\\\"c\""),
            ("\"x", "\"\\\"x\""),
        ] {
            assert_eq!(listed(path.as_ref()), expected);
        }
    }

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
