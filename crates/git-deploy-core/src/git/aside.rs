//! A look at what a rebase would make, where nothing may be written: as on a server while a push waits, or of a disk that is
//! read-only.
//!
//! New objects go to a folder of their own, and what git writes to otherwise, which is its quarantine then, is only read. So it is
//! for a rebase of many branches, too: what comes of it is taken over together ([`Repository::keep`]).

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::attributes::at;
use super::backend::Variables;
use super::program::{Call, git};
use super::{GitError, Repository, kept};
use crate::ids::{CommitId, ObjectId};

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
        let folder = tempfile::Builder::new().prefix("git-deploy-").tempdir();
        let folder = folder.map_err(GitError::file(&env::temp_dir()))?;
        Ok(Self::with(self.backend.aside(Aside::new(folder, &self.paths().common_dir, None)?)))
    }

    /// Likewise, until some of them are [kept](Self::keep): there may be very many, for which a folder in memory is no place. It is
    /// called as git calls its own, and a `git gc` removes what has stood there for weeks.
    ///
    /// # Errors
    /// When there is no place for them.
    pub(crate) fn with_objects_until_kept(&self) -> Result<Self, GitError> {
        let common_dir = &self.paths().common_dir;
        let objects = objects_of(common_dir);
        self.clear_dead_asides();
        let folder = tempfile::Builder::new().prefix(kept::ASIDE).tempdir_in(&objects);
        let folder = folder.map_err(GitError::file(&objects))?;
        let held = kept::hold(folder.path()).map_err(GitError::file(folder.path()))?;
        Ok(Self::with(self.backend.aside(Aside::new(folder, common_dir, held)?)))
    }

    /// Removes what processes that have died have left aside.
    pub(crate) fn clear_dead_asides(&self) {
        kept::clear_dead(&objects_of(&self.paths().common_dir));
    }

    /// Whether what is written here is seen by nobody else.
    pub(crate) fn is_aside(&self) -> bool {
        self.backend.stands_aside().is_some()
    }

    /// Whether nothing of what is written here is to stay.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.backend.stands_aside().is_some_and(|aside| aside.held.is_none())
    }

    /// A call of git that sees the objects that were written here.
    ///
    /// # Errors
    /// When they cannot be put where git finds them.
    pub(crate) fn git<const N: usize>(&self, args: [&str; N]) -> Result<Call, GitError> {
        Ok(git(args).envs(self.backend.variables()?))
    }

    /// Likewise, of one that lists what these commits lead to, and looks at nothing else. Unless it is told not to, git writes each
    /// line by itself.
    ///
    /// # Errors
    /// As [`Self::git`].
    pub(crate) fn git_listing<const N: usize>(
        &self,
        commits: &[CommitId],
        args: [&str; N],
    ) -> Result<Call, GitError> {
        let ids: Vec<ObjectId> = commits.iter().map(|commit| commit.0).collect();
        let variables = self.backend.variables_for(&ids)?;
        // What git fetches goes where new objects go.
        let variables = match self.backend.stands_aside() {
            Some(aside) if !self.is_partial()? => aside.variables_to_read(),
            _ => variables,
        };
        Ok(git(args).env("GIT_FLUSH", "0").envs(variables))
    }

    /// Likewise at the top of the work tree: paths mean the same wherever the user is.
    ///
    /// # Errors
    /// As [`Self::git`].
    pub(crate) fn git_at_top<const N: usize>(&self, args: [&str; N]) -> Result<Call, GitError> {
        match &self.paths().work_tree {
            Some(top) => Ok(at(self, top).args(args).envs(self.backend.variables()?)),
            None => self.git(args),
        }
    }
}

/// The folder, which goes away with this value.
pub(super) struct Aside {
    variables: Vec<(&'static str, OsString)>,
    to_read: Vec<(&'static str, OsString)>,
    folder: TempDir,
    /// What says that its process lives, if something of it may be kept.
    held: Option<File>,
}

/// Where a repository has its objects.
pub(super) fn objects_of(common_dir: &Path) -> PathBuf {
    env::var_os(OBJECTS).map_or_else(|| common_dir.join("objects"), PathBuf::from)
}

impl Aside {
    fn new(folder: TempDir, common_dir: &Path, held: Option<File>) -> Result<Self, GitError> {
        let at = |name: &str| folder.path().join(name);
        let new = at("objects");
        // It is all that libgit2 takes for a repository: what makes one copies the user's template to it, whole.
        for folder in [&new, &at("refs")] {
            fs::create_dir(folder).map_err(GitError::file(folder))?;
        }
        fs::write(at("HEAD"), "ref: refs/heads/none\n").map_err(GitError::file(&at("HEAD")))?;
        let more = env::var_os(ALTERNATES).filter(|more| !more.is_empty());
        let before_more = |first: &Path| {
            let mut alternates = listed(first.as_os_str());
            if let Some(more) = &more {
                alternates.push(":");
                alternates.push(more);
            }
            (ALTERNATES, alternates)
        };
        let to_read = vec![before_more(&new)];
        let variables = vec![before_more(&objects_of(common_dir)), (OBJECTS, new.into())];
        Ok(Self { variables, to_read, folder, held })
    }

    /// What has git write there.
    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// What has git find there what it does not find where objects are otherwise. Git looks for each object in the first place
    /// before it looks in another, unless it is an old one, and here nearly nothing is in this one.
    pub(super) fn variables_to_read(&self) -> &Variables {
        &self.to_read
    }

    /// Whether an object was written there, as a file of its own.
    pub(super) fn has_file(&self, id: &[u8]) -> bool {
        let Some((folder, file)) = id.split_at_checked(2) else { return false };
        self.objects().join(OsStr::from_bytes(folder)).join(OsStr::from_bytes(file)).exists()
    }

    /// Where objects are written.
    pub(super) fn objects(&self) -> PathBuf {
        self.folder().join("objects")
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
