//! A look at what a rebase would make, where nothing may be written: as on a server while a push waits, or of a disk that is
//! read-only.
//!
//! New objects go to a folder of their own, and what git writes to otherwise, which is its quarantine then, is only read. So it is
//! for a rebase of many branches, too: what comes of it is taken over at once ([`Repository::keep`]).

use std::collections::HashSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::backend::Variables;
use super::program::{Call, ProgramError, git};
use super::{GitError, Repository};
use crate::ids::CommitId;

/// From how many objects on they become one pack: as many as git takes for what a fetch brings (`transfer.unpackLimit`).
const UNPACK_LIMIT: usize = 100;

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
        let aside = Aside::new(&self.paths().common_dir, false)?;
        Ok(Self::with(self.backend.aside(aside)))
    }

    /// Likewise, until some of them are [kept](Self::keep).
    ///
    /// # Errors
    /// When there is no place for them.
    pub(crate) fn with_objects_until_kept(&self) -> Result<Self, GitError> {
        let aside = Aside::new(&self.paths().common_dir, true)?;
        Ok(Self::with(self.backend.aside(aside)))
    }

    /// Whether what is written here is seen by nobody else.
    pub(crate) fn is_aside(&self) -> bool {
        self.backend.stands_aside().is_some()
    }

    /// Whether nothing of what is written here is to stay.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.backend.stands_aside().is_some_and(|aside| !aside.is_for_keeping)
    }

    /// Puts into the repository what was written aside of these commits and is needed beside what others have that are there: all
    /// or nothing, and as one pack where it is much. Thousands of files, one for each object, would slow down all that reads
    /// after that.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn keep(&self, commits: &[CommitId], others: &[CommitId]) -> Result<(), GitError> {
        let Some(aside) = self.backend.stands_aside() else { return Ok(()) };
        let written = aside.written()?;
        if written.is_empty() || commits.is_empty() {
            return Ok(());
        }
        let revisions = commits.iter().map(|commit| format!("{commit}\n"));
        let revisions: String = revisions.chain(others.iter().map(|commit| format!("^{commit}\n"))).collect();
        let listed = self.git(["rev-list", "--objects", "--stdin"]).input(revisions).run()?;
        // Git lists what others have that these do not begin from, too.
        let is_written = |line: &&[u8]| {
            let id = line.split(|byte| *byte == b' ').next();
            id.is_some_and(|id| written.contains(id))
        };
        let lines: Vec<&[u8]> = listed.split(|byte| *byte == b'\n').filter(is_written).collect();
        // All of them may be there since an earlier try.
        if lines.is_empty() {
            return Ok(());
        }
        let put = match lines.len() < UNPACK_LIMIT {
            true => ["unpack-objects", "-q"],
            false => ["index-pack", "--stdin"],
        };
        let pack = duct::cmd("git", ["pack-objects", "--stdout", "-q", "--delta-base-offset"]);
        let pack = pack.stdin_bytes([lines.join(&b'\n'), vec![b'\n']].concat());
        let pack = aside.variables().iter().fold(pack, |pack, (key, value)| pack.env(key, value));
        let output = pack
            .pipe(duct::cmd("git", put).stdout_null())
            .stderr_capture()
            .unchecked()
            .run()
            .map_err(ProgramError::Start)?;
        let call = git(put);
        if output.status.success() { Ok(()) } else { Err(call.failed(&output).into()) }
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
    is_for_keeping: bool,
}

impl Aside {
    fn new(common_dir: &Path, is_for_keeping: bool) -> Result<Self, GitError> {
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
        let variables = vec![(OBJECTS, new.into()), (ALTERNATES, alternates)];
        Ok(Self { variables, folder, is_for_keeping })
    }

    /// What has git write there.
    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The names of the objects that were written there, each of which is a file.
    fn written(&self) -> Result<HashSet<Vec<u8>>, GitError> {
        let objects = self.folder().join("objects");
        let list = |folder: &Path| fs::read_dir(folder).map_err(GitError::file(folder));
        let mut written = HashSet::new();
        for folder in list(&objects)?.filter_map(Result::ok).filter(|entry| entry.file_name().len() == 2) {
            let files = list(&folder.path())?.filter_map(Result::ok);
            written.extend(
                files.map(|file| [folder.file_name().as_bytes(), file.file_name().as_bytes()].concat()),
            );
        }
        Ok(written)
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
