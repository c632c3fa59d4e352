//! Finding a repository, and the back end that can read it.

use std::cell::OnceCell;
use std::path::Path;

use super::backend::{Backend, GitProgram, Libgit2};
use super::{GitError, Repository, nowhere, sharing};

impl Repository {
    /// Opens the repository that the environment (`GIT_DIR` and the others) and the current folder name.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn open() -> Result<Self, GitError> {
        // What is relative in it is so to the current folder; libgit2 takes it for relative to the git folder.
        if std::env::var_os("GIT_WORK_TREE").is_some() {
            return Self::open_with_program();
        }
        match Libgit2::open() {
            Ok(Some(libgit2)) if may_be_refused(&libgit2) => Self::open_with_program(),
            Ok(Some(libgit2)) => Ok(Self::with(Box::new(libgit2))),
            Ok(None) => Self::open_with_program(),
            Err(_) => Err(nowhere::explain(GitError::NoRepository)),
        }
    }

    /// Opens the bare repository in a folder, whatever the environment says, by libgit2. The git program, which is called for
    /// some of what it does, looks into the current folder all the same: for a machine whose git knows better
    /// ([`crate::machine`]).
    ///
    /// # Errors
    /// When there is none that libgit2 can open.
    pub fn open_at(path: &Path) -> Result<Self, GitError> {
        let opened = Libgit2::open_at(path).ok().flatten().ok_or(GitError::NoRepository)?;
        Ok(Self::with(Box::new(opened)))
    }

    /// Opens it with the back end that calls the git program, whatever libgit2 could do.
    ///
    /// # Errors
    /// When git finds no repository.
    pub fn open_with_program() -> Result<Self, GitError> {
        Ok(Self::with(Box::new(GitProgram::open().map_err(nowhere::explain)?)))
    }

    pub(super) fn with(backend: Box<dyn Backend>) -> Self {
        // Who cannot read the configuration is told by whatever needs it first.
        let configured = backend.config("core.sharedrepository").ok().and_then(|mut values| values.pop());
        configured.as_deref().into_iter().for_each(sharing::share);
        Self {
            backend,
            stop: OnceCell::new(),
            remote_time_limit: OnceCell::new(),
            identity: OnceCell::new(),
            bare: OnceCell::new(),
        }
    }
}

/// Whether git may refuse to use a repository that libgit2 has opened: a bare one that nobody has named, as it could lie among
/// the files of another one, where `safe.bareRepository` says so. Whose word that is only git knows.
fn may_be_refused(libgit2: &Libgit2) -> bool {
    let is_found = std::env::var_os("GIT_DIR").is_none() && libgit2.paths().work_tree.is_none();
    is_found && !libgit2.config("safe.barerepository").is_ok_and(|values| values.is_empty())
}
