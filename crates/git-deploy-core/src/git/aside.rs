//! A look at what a rebase would make, where nothing may be written: as on a server while a push waits, or of a disk that is
//! read-only.
//!
//! New objects go to a folder of their own, and what git writes to otherwise, which is its quarantine then, is only read.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::backend::Variables;
use super::program::{Call, git};
use super::{GitError, Repository};

/// Where git writes objects.
const OBJECTS: &str = "GIT_OBJECT_DIRECTORY";

/// Where else it reads them.
const ALTERNATES: &str = "GIT_ALTERNATE_OBJECT_DIRECTORIES";

impl Repository {
    /// The same repository and work tree, in which new objects are seen by nobody else, and go away with this value.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn with_objects_aside(&self) -> Result<Self, GitError> {
        let aside = Aside::new(&self.paths().common_dir)?;
        Ok(Self::with(self.backend.aside(aside)))
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
        fs::create_dir(&new).map_err(GitError::file(&new))?;
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
}
