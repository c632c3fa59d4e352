//! Everything that is read from and written to git: the only input and output of this crate.
//!
//! [`Repository`] reads objects, refs and configuration and writes objects. Refs are moved by [`refs`] alone, others'
//! refs by [`push`] alone.

mod backend;
pub mod export;
pub mod hooks;
pub mod intent;
pub mod log;
pub mod merge_tree;
pub mod notes;
pub mod object;
pub mod program;
pub mod push;
pub mod refs;
pub mod setup;
pub mod version;
pub mod work_tree;

use std::cell::OnceCell;
use std::path::Path;

pub use backend::{Paths, Ref};

use self::backend::{Backend, GitProgram, Libgit2};
use self::object::{Commit, Kind, Malformed, Object, TreeEntry};
use self::program::{ProgramError, git};
use crate::ids::{CommitId, IdError, ObjectId, RefName};
use crate::interrupt::Interrupt;

/// Why something could not be read from or written to git.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no repository here.
    #[error("not a git repository (or any of the folders above)")]
    NoRepository,
    /// libgit2 failed.
    #[error("{what}: {}", .error.message())]
    Libgit2 {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: git2::Error,
    },
    /// The git program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// An object could not be read.
    #[error("cannot read object '{id}': {error}")]
    Read {
        /// The object.
        id: ObjectId,
        /// Why.
        error: std::io::Error,
    },
    /// An object that must be there is not.
    #[error("object '{id}' is missing{}", if *.shallow { " (this is a shallow or partial clone)" } else { "" })]
    Missing {
        /// The object.
        id: ObjectId,
        /// Whether it may be there in the repository that this one was cloned from.
        shallow: bool,
    },
    /// An object is of another kind than it must be.
    #[error("object '{id}' is no {wanted}")]
    Kind {
        /// The object.
        id: ObjectId,
        /// What it was taken for.
        wanted: &'static str,
    },
    /// The bytes of an object are not what its kind demands.
    #[error("object '{id}': {error}")]
    Malformed {
        /// The object.
        id: ObjectId,
        /// What is wrong.
        error: Malformed,
    },
    /// Git gave a name that is none.
    #[error("{what}: {error}")]
    Id {
        /// What it was to be.
        what: &'static str,
        /// What is wrong.
        error: IdError,
    },
    /// A file beside git's own could not be read or written.
    #[error("cannot use '{path}': {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

impl GitError {
    fn libgit2(what: String) -> impl FnOnce(git2::Error) -> Self {
        move |error| Self::Libgit2 { what, error }
    }

    /// An error about a file that we keep in the repository.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path, error }
    }
}

/// A repository: objects, refs and configuration.
pub struct Repository {
    backend: Box<dyn Backend>,
    /// When to give up waiting for a remote.
    stop: OnceCell<Interrupt>,
    /// Who commits, once git was asked.
    identity: OnceCell<Identity>,
}

impl Repository {
    /// Opens the repository that the environment (`GIT_DIR` and the others) and the current folder name.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn open() -> Result<Self, GitError> {
        match Libgit2::open() {
            Ok(Some(libgit2)) => {
                Ok(Self { backend: Box::new(libgit2), stop: OnceCell::new(), identity: OnceCell::new() })
            }
            Ok(None) => Self::open_with_program(),
            Err(_) => Err(GitError::NoRepository),
        }
    }

    /// Opens it with the back end that calls the git program, whatever libgit2 could do.
    ///
    /// # Errors
    /// When git finds no repository.
    pub fn open_with_program() -> Result<Self, GitError> {
        Ok(Self { backend: Box::new(GitProgram::open()?), stop: OnceCell::new(), identity: OnceCell::new() })
    }

    /// Gives up waiting for a remote when the user asks to stop.
    pub fn stop_on(&self, interrupt: &Interrupt) {
        self.stop.get_or_init(|| interrupt.clone());
    }

    /// Where it lies.
    pub fn paths(&self) -> &Paths {
        self.backend.paths()
    }

    /// The folder for what we keep beside git's own files: locks and journals.
    pub fn deploy_dir(&self) -> std::path::PathBuf {
        self.paths().common_dir.join("deploy")
    }

    /// An id of the length that the repository uses, which means "no object".
    pub fn null_id(&self) -> ObjectId {
        self.backend.null_id()
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the object database cannot be read.
    pub fn find(&self, id: ObjectId) -> Result<Option<Object>, GitError> {
        self.backend.read(id)
    }

    /// Reads the bytes of an object that must be there.
    ///
    /// # Errors
    /// When it is missing or of another kind.
    pub fn read(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, GitError> {
        match self.find(id)? {
            Some(object) if object.kind == kind => Ok(object.data),
            Some(_) => Err(GitError::Kind { id, wanted: kind.as_str() }),
            None => Err(GitError::Missing { id, shallow: self.paths().common_dir.join("shallow").exists() }),
        }
    }

    /// Reads a commit.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn commit(&self, id: CommitId) -> Result<Commit, GitError> {
        let data = self.read(id.0, Kind::Commit)?;
        Commit::parse(&data).map_err(|error| GitError::Malformed { id: id.0, error })
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn tree(&self, id: ObjectId) -> Result<Vec<TreeEntry>, GitError> {
        let data = self.read(id, Kind::Tree)?;
        object::parse_tree(&data, id).map_err(|error| GitError::Malformed { id, error })
    }

    /// Writes an object.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub fn write(&self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError> {
        self.backend.write(kind, data)
    }

    /// Writes a commit.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub fn write_commit(&self, commit: &Commit) -> Result<CommitId, GitError> {
        self.write(Kind::Commit, &commit.to_bytes()).map(CommitId)
    }

    /// Writes a tree.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub fn write_tree(&self, entries: Vec<TreeEntry>) -> Result<ObjectId, GitError> {
        self.write(Kind::Tree, &object::tree_bytes(entries))
    }

    /// The object that a ref leads to.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        self.backend.resolve(name)
    }

    /// The commit that a branch leads to.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn tip(&self, name: &RefName) -> Result<Option<CommitId>, GitError> {
        Ok(self.resolve(name)?.map(CommitId))
    }

    /// The ref that a symbolic ref names.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn symbolic_target(&self, name: &str) -> Result<Option<RefName>, GitError> {
        self.backend.symbolic_target(name)
    }

    /// All refs whose names begin with `prefix`, by name.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn refs(&self, prefix: &str) -> Result<Vec<Ref>, GitError> {
        self.backend.refs(prefix)
    }

    /// The value of a configuration key that counts.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn config(&self, key: &str) -> Result<Option<String>, GitError> {
        Ok(self.config_all(key)?.pop())
    }

    /// All values of a configuration key.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn config_all(&self, key: &str) -> Result<Vec<String>, GitError> {
        self.backend.config(key)
    }

    /// The names of the remotes.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn remotes(&self) -> Result<Vec<String>, GitError> {
        self.backend.remotes()
    }

    /// Whether the repository is bare.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn is_bare(&self) -> Result<bool, GitError> {
        self.backend.is_bare()
    }

    /// The best common ancestor of two commits.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn merge_base(&self, one: CommitId, two: CommitId) -> Result<Option<CommitId>, GitError> {
        Ok(self.backend.merge_base(one.0, two.0)?.map(CommitId))
    }

    /// Whether one commit is the other or comes before it.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn is_ancestor(&self, ancestor: CommitId, descendant: CommitId) -> Result<bool, GitError> {
        Ok(ancestor == descendant || self.merge_base(ancestor, descendant)? == Some(ancestor))
    }

    /// The commit that the user means by a revision such as `login~2`.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn find_commit(&self, revision: &str) -> Result<Option<CommitId>, GitError> {
        let call = git(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{revision}^{{commit}}"));
        let output = call.output()?;
        if !output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim_end().parse().map(Some).map_err(|error| GitError::Id { what: "a commit", error })
    }

    /// The entry at a path of a tree.
    ///
    /// # Errors
    /// When a tree on the way cannot be read.
    pub fn entry(&self, tree: ObjectId, path: &str) -> Result<Option<TreeEntry>, GitError> {
        let mut tree = tree;
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
        while let Some(part) = parts.next() {
            let entry = self.tree(tree)?.into_iter().find(|entry| entry.name == part.as_bytes());
            match entry {
                Some(entry) if parts.peek().is_none() => return Ok(Some(entry)),
                Some(entry) if entry.is_folder() => tree = entry.id,
                _ => return Ok(None),
            }
        }
        Ok(Some(TreeEntry { mode: object::FOLDER.to_vec(), name: Vec::new(), id: tree }))
    }

    /// Who commits just now, when and where: what git would write into a commit.
    ///
    /// # Errors
    /// When git does not know who the user is, with git's own advice.
    pub fn identity(&self) -> Result<Identity, GitError> {
        if let Some(known) = self.identity.get() {
            return Ok(known.now());
        }
        let call = git(["var", "GIT_COMMITTER_IDENT"]);
        let text = call.text()?;
        let identity = Identity::parse(&text).ok_or_else(|| call.unreadable(text))?;
        // A date that is set stays; else a run asks git once who it is, and its own clock when.
        if std::env::var_os("GIT_COMMITTER_DATE").is_some() {
            return Ok(identity);
        }
        Ok(self.identity.get_or_init(|| identity).clone())
    }
}

/// Name, mail and moment, as they stand in a commit: `Ada <ada@example.org> 1763640000 +0100`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    text: String,
    who: usize,
    seconds: i64,
}

impl Identity {
    /// For whoever only looks, and need not be anybody for that.
    pub(crate) fn of_nobody() -> Self {
        let who = "nobody <nobody@localhost>";
        Self { text: format!("{who} 0 +0000"), who: who.len(), seconds: 0 }
    }

    fn parse(text: &str) -> Option<Self> {
        let who = text.rfind('>')? + 1;
        let seconds = text[who..].split_whitespace().next()?.parse().ok()?;
        Some(Self { text: text.to_owned(), who, seconds })
    }

    /// The same person at this moment.
    fn now(&self) -> Self {
        let seconds = jiff::Timestamp::now().as_second();
        let zone = self.text[self.who..].split_whitespace().nth(1).unwrap_or("+0000");
        Self { text: format!("{} {seconds} {zone}", self.who()), who: self.who, seconds }
    }

    /// The whole text, as it stands in a commit.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Name and mail alone.
    pub fn who(&self) -> &str {
        &self.text[..self.who]
    }

    /// The moment.
    pub fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}
