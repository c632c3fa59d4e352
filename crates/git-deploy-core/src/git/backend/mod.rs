//! How objects and refs are read, and objects written: in process with libgit2 where that can open the repository,
//! else (reftable, SHA-256) with the git program.
//!
//! Neither moves a ref unless [`super::refs`] lets it.

mod libgit2;
mod listing;
mod program;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::git::aside::Aside;
use crate::git::object::{Kind, Object};
use crate::git::refs::RefUpdate;
use crate::git::{GitError, Identity};
use crate::ids::{ObjectId, RefName};

pub(super) use libgit2::Libgit2;
pub(super) use program::GitProgram;

/// Variables for the git program.
pub(in crate::git) type Variables = [(&'static str, OsString)];

/// A ref as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// Its full name.
    pub name: RefName,
    /// The object that it leads to, not peeled.
    pub target: ObjectId,
    /// Whether it leads there through another ref.
    pub symbolic: bool,
}

/// Refs that are listed.
#[derive(Debug, Default)]
pub struct Refs {
    /// Those that we can name.
    pub named: Vec<Ref>,
    /// How many there are besides whose names are not UTF-8: no note can speak of them.
    pub not_utf8: usize,
}

/// Where a repository lies.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The repository of this work tree: `$GIT_DIR`.
    pub git_dir: PathBuf,
    /// What all work trees share: `$GIT_COMMON_DIR`.
    pub common_dir: PathBuf,
    /// The work tree; none in a bare repository.
    pub work_tree: Option<PathBuf>,
}

/// What every back end can do.
pub(super) trait Backend {
    /// Where the repository lies.
    fn paths(&self) -> &Paths;
    /// An id of the kind that the repository uses.
    fn null_id(&self) -> ObjectId;
    /// Whether objects are written without starting a program for each.
    fn is_in_process(&self) -> bool {
        false
    }
    /// Where new objects go, if they are not to be seen by anybody else.
    fn stands_aside(&self) -> Option<&Aside> {
        None
    }
    /// What a call of the git program has to be given that writes objects, or reads those that were written here: all of them are
    /// where it finds them.
    fn variables(&self) -> Result<&Variables, GitError> {
        Ok(self.stands_aside().map_or(&[], Aside::variables))
    }
    /// The same for a call that reads nothing but what these objects lead to.
    fn variables_for(&self, _ids: &[ObjectId]) -> Result<&Variables, GitError> {
        self.variables()
    }
    /// The same repository with a folder of its own for new objects.
    fn aside(&self, aside: Aside) -> Box<dyn Backend> {
        Box::new(GitProgram::aside(self.paths().clone(), self.null_id(), aside))
    }
    /// Reads an object.
    fn read(&self, id: ObjectId) -> Result<Option<Object>, GitError>;
    /// What an object is, and how many bytes it has, without reading them.
    fn size(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, GitError>;
    /// Writes an object; one that is there already is left as it is.
    fn write(&self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError>;
    /// The object that a ref leads to.
    fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError>;
    /// What a symbolic ref (or `HEAD`) names; none if it is not symbolic.
    fn symbolic_target(&self, name: &str) -> Result<Option<RefName>, GitError>;
    /// What a ref has led to, the latest first, each with the reason for the move to it, as far as that is here without asking git.
    fn reflog(&self, _name: &str) -> Option<Vec<(ObjectId, String)>> {
        None
    }
    /// All refs whose name begins with `prefix`, which ends with a slash or with the beginning of a name, by name.
    fn refs(&self, prefix: &str) -> Result<Refs, GitError>;
    /// Whether a ref can be moved here so that nobody could tell it from git: there is no hook, for one.
    fn moves_refs(&self) -> bool {
        false
    }
    /// Moves a ref where [`Self::moves_refs`]. `false` if something is in the way: git is asked then, and says what.
    fn move_ref(&self, _update: &RefUpdate, _reflog: &str, _who: &Identity) -> bool {
        false
    }
    /// Values of a configuration key, least important first. Names are lower case but for a subsection.
    fn config(&self, key: &str) -> Result<Vec<String>, GitError>;
    /// Reads the configuration anew when it is asked for again.
    fn forget_config(&self);
    /// The names of the remotes.
    fn remotes(&self) -> Result<Vec<String>, GitError>;
    /// Whether the repository is bare.
    fn is_bare(&self) -> Result<bool, GitError>;
    /// Whether what all work trees share is a bare repository, from whichever of them it is asked.
    fn is_common_bare(&self) -> Result<bool, GitError>;
    /// The best common ancestor of two commits.
    fn merge_base(&self, one: ObjectId, two: ObjectId) -> Result<Option<ObjectId>, GitError>;
}
