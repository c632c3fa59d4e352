//! Folders that have the attributes of a commit, and stand in for the work tree where something else is checked out.
//!
//! Beside them stands where the submodules of the work tree are: git merges what two branches did with one only where it finds
//! it.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::{Files, KEPT, MOST_BYTES, MOST_FILES, at, listing, read, stays};
use crate::git::program::{Call, ProgramError};
use crate::git::{GitError, Repository};
use crate::ids::CommitId;
use crate::interrupt::Interrupt;

/// How the index names a submodule.
const GITLINK: &[u8] = b"160000 ";

/// All folders of one repository.
pub(super) struct Folders<'a> {
    repository: &'a Repository,
    /// Commits that have the same files share one.
    made: RefCell<HashMap<Files, Arc<TempDir>>>,
    /// Why none can be made.
    no_place: RefCell<Option<GitError>>,
    /// The submodules that are checked out: where they stand, and where their repositories are.
    submodules: OnceCell<Vec<(PathBuf, PathBuf)>>,
}

impl<'a> Folders<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        let (made, no_place, submodules) = (RefCell::default(), RefCell::default(), OnceCell::new());
        Self { repository, made, no_place, submodules }
    }

    /// The folder that has these files, which are those of a commit.
    ///
    /// # Errors
    /// When they cannot be read, or put anywhere, or the user has asked to stop.
    pub(super) fn folder(
        &self,
        files: Files,
        of: CommitId,
        interrupt: &Interrupt,
    ) -> Result<Arc<TempDir>, GitError> {
        if let Some(made) = self.made.borrow().get(&files) {
            return Ok(Arc::clone(made));
        }
        if let Some(error) = self.no_place.borrow().as_ref().and_then(again) {
            return Err(error);
        }
        let folder = Arc::new(self.make(&files, of, interrupt)?);
        let mut made = self.made.borrow_mut();
        // Those that calls need stay.
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(files, Arc::clone(&folder));
        Ok(folder)
    }

    /// A call of git there.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub(super) fn call(&self, folder: Arc<TempDir>) -> Result<Call, GitError> {
        let call = at(self.repository, folder.path()).needs(folder);
        let paths = self.repository.paths();
        let named = self.repository.config("core.attributesfile")?.map(OsString::from);
        // What is relative in the configuration is so to the top of the work tree.
        let is_relative =
            |named: &OsString| !matches!(named.as_bytes().first(), None | Some(b'/' | b'~' | b'%' | b':'));
        let Some(named) = named.filter(is_relative) else { return Ok(call) };
        let mut set = OsString::from("core.attributesFile=");
        set.push(paths.work_tree.as_ref().unwrap_or(&paths.git_dir).join(named));
        Ok(call.arg("-c").arg(set))
    }

    fn make(&self, files: &Files, of: CommitId, interrupt: &Interrupt) -> Result<TempDir, GitError> {
        if files.len() > MOST_FILES {
            return Err(GitError::Attributes { of });
        }
        let folder = tempfile::Builder::new().prefix("git-deploy-").tempdir();
        let folder = folder.map_err(GitError::file(&env::temp_dir()));
        // Only that keeps others from being made: a path that cannot be written is its commit's own.
        let folder = folder.inspect_err(|error| drop(self.no_place.replace(again(error))))?;
        if !files.is_empty() && self.repository.is_partial()? {
            // It fetches what is not there, all at once; each that is read would be fetched by itself.
            listing(self.repository, &["--numstat"], of)?.run()?;
        }
        let mut room = MOST_BYTES;
        for (path, blob) in files {
            let stopped = |_| ProgramError::Stopped { command: "git merge-tree".to_owned() };
            interrupt.check().map_err(stopped)?;
            let bytes = read(self.repository, *blob, room, of)?;
            room -= bytes.len();
            write(&folder.path().join(path), &bytes)?;
        }
        for (path, repository) in self.submodules()? {
            let bytes = [b"gitdir: ", repository.as_os_str().as_bytes(), b"\n"].concat();
            write(&folder.path().join(path).join(".git"), &bytes)?;
        }
        Ok(folder)
    }

    fn submodules(&self) -> Result<&[(PathBuf, PathBuf)], GitError> {
        if let Some(found) = self.submodules.get() {
            return Ok(found);
        }
        let found = match &self.repository.paths().work_tree {
            Some(top) => {
                let call = at(self.repository, top).args(["-c", "core.fsmonitor=false"]);
                let listed = call.args(["ls-files", "--stage", "-z"]).run()?;
                listed.split(|byte| *byte == 0).filter_map(|line| submodule(top, line)).collect()
            }
            None => Vec::new(),
        };
        Ok(self.submodules.get_or_init(|| found))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    path.parent().map(fs::create_dir_all).transpose().map_err(GitError::file(path))?;
    fs::write(path, bytes).map_err(GitError::file(path))
}

/// A submodule that is checked out, if this line of the index is of one.
fn submodule(top: &Path, line: &[u8]) -> Option<(PathBuf, PathBuf)> {
    let line = line.strip_prefix(GITLINK)?;
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let path = Path::new(OsStr::from_bytes(&line[tab + 1..]));
    let there = top.join(path);
    let dot_git = there.join(".git");
    let repository = match fs::symlink_metadata(&dot_git).ok()?.is_dir() {
        true => dot_git,
        false => {
            let text = fs::read(&dot_git).ok()?;
            let named = text.strip_prefix(b"gitdir: ")?.trim_ascii_end().to_vec();
            there.join(OsString::from_vec(named))
        }
    };
    stays(path).then(|| (path.to_owned(), repository))
}

/// The same error once more, if it would be the same for whoever tries again.
pub(super) fn again(error: &GitError) -> Option<GitError> {
    match error {
        GitError::File { path, error } => {
            let error = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            Some(GitError::File { path: path.clone(), error })
        }
        GitError::Missing { id, shallow } => Some(GitError::Missing { id: *id, shallow: *shallow }),
        GitError::Kind { id, wanted } => Some(GitError::Kind { id: *id, wanted }),
        GitError::Attributes { of } => Some(GitError::Attributes { of: *of }),
        _ => None,
    }
}
