//! Everything that is read from and written to git: the only input and output of this crate.
//!
//! [`Repository`] reads objects, refs and configuration and writes objects. Refs are moved by [`refs`] alone, others'
//! refs by [`push`] alone.

mod aside;
pub(crate) mod attributes;
mod backend;
pub mod broken;
pub(crate) mod chains;
mod edited_merge;
mod error;
pub mod export;
pub mod held;
pub mod hooks;
mod identity;
pub mod intent;
pub(crate) mod kept;
pub mod log;
pub mod merge_tree;
pub mod notes;
pub mod nowhere;
pub mod object;
mod open;
pub mod program;
pub mod push;
pub mod rebase_state;
pub mod refs;
pub mod setup;
pub(crate) mod sharing;
pub mod sign;
pub mod trouble;
pub mod verify;
pub mod version;
pub mod work_tree;

use std::cell::OnceCell;
use std::time::Duration;

pub use backend::{Paths, Ref, Refs};
pub use error::GitError;
pub use identity::Identity;

use self::backend::Backend;
use self::object::{Commit, Kind, Object, TreeEntry};
use self::program::git;
use crate::config::parse_duration;
use crate::ids::{CommitId, ObjectId, RefName};
use crate::interrupt::Interrupt;

/// How long a fetch or push may take where nobody looks: more than any that gets on.
const REMOTE_TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A repository: objects, refs and configuration.
pub struct Repository {
    backend: Box<dyn Backend>,
    /// When to give up waiting for a remote.
    stop: OnceCell<Interrupt>,
    /// How long it is waited for.
    remote_time_limit: OnceCell<Duration>,
    /// Who commits, once git was asked.
    identity: OnceCell<Identity>,
    /// Whether it is bare at its root, once that was asked.
    bare: OnceCell<bool>,
}

impl Repository {
    /// Gives up waiting for a remote when the user asks to stop.
    pub fn stop_on(&self, interrupt: &Interrupt) {
        self.stop.get_or_init(|| interrupt.clone());
    }

    /// Gives up waiting for a remote when a fetch or push has taken as long as `deploy.remoteTimeLimit` says, or ten minutes: for
    /// whoever may wait where nobody looks, and keeps others from deploying meanwhile.
    ///
    /// # Errors
    /// When the configuration cannot be read, or has no duration there.
    pub fn limit_remotes(&self) -> Result<(), GitError> {
        let limit = self.duration("deploy.remoteTimeLimit")?.unwrap_or(REMOTE_TIME_LIMIT);
        self.remote_time_limit.get_or_init(|| limit);
        Ok(())
    }

    /// Where it lies.
    pub fn paths(&self) -> &Paths {
        self.backend.paths()
    }

    /// The folder for what we keep beside git's own files: locks and journals.
    pub fn deploy_dir(&self) -> std::path::PathBuf {
        self.paths().common_dir.join("deploy")
    }

    /// Whether objects are written without starting a program for each.
    pub(crate) fn is_in_process(&self) -> bool {
        self.backend.is_in_process()
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
        self.looked_for(id, self.backend.read(id))
    }

    /// Reads the bytes of an object that must be there.
    ///
    /// # Errors
    /// When it is missing or of another kind.
    pub fn read(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, GitError> {
        match self.find(id)? {
            Some(object) if object.kind == kind => Ok(object.data),
            Some(_) => Err(GitError::Kind { id, wanted: kind.as_str() }),
            None => Err(self.missing(id)),
        }
    }

    /// The same for an object that others write and that is small where it is right: of a larger one only the size is read.
    ///
    /// # Errors
    /// When it is missing, of another kind, or larger than `most` bytes.
    pub fn read_at_most(&self, id: ObjectId, kind: Kind, most: usize) -> Result<Vec<u8>, GitError> {
        match self.looked_for(id, self.backend.size(id))? {
            Some((found, _)) if found != kind => Err(GitError::Kind { id, wanted: kind.as_str() }),
            Some((_, size)) if size > most as u64 => Err(GitError::TooLarge { id, size, most }),
            Some(_) => self.read(id, kind),
            None => Err(self.missing(id)),
        }
    }

    fn missing(&self, id: ObjectId) -> GitError {
        GitError::Missing { id, shallow: self.paths().common_dir.join("shallow").exists() }
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

    /// Writes a commit that holds nothing but a text, and keeps its parents alive.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub fn write_record(
        &self,
        who: &Identity,
        parents: Vec<CommitId>,
        text: &str,
    ) -> Result<CommitId, GitError> {
        let who = who.as_str().as_bytes().to_vec();
        let tree = self.write_tree(Vec::new())?;
        let message = text.as_bytes().to_vec();
        let commit =
            Commit { tree, parents, author: who.clone(), committer: who, extra: Vec::new(), message };
        self.write_commit(&commit)
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
        self.backend.resolve(name).map_err(|error| self.with_broken_ref(name.as_str(), error))
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
        Ok(self.all_refs(prefix)?.named)
    }

    /// The same, with how many there are that we cannot name.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn all_refs(&self, prefix: &str) -> Result<Refs, GitError> {
        self.backend.refs(prefix).map_err(|error| self.with_broken_ref(prefix, error))
    }

    /// The name of the branch that is checked out, where it is not UTF-8.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub fn head_not_utf8(&self) -> Result<Option<Vec<u8>>, GitError> {
        let target = git(["symbolic-ref", "--quiet", "HEAD"]).answer()?;
        let short = |target: Vec<u8>| {
            let target = target.trim_ascii_end();
            target.strip_prefix(b"refs/heads/").unwrap_or(target).to_vec()
        };
        Ok(target.filter(|target| std::str::from_utf8(target).is_err()).map(short))
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

    /// The duration that a configuration key has.
    ///
    /// # Errors
    /// When the configuration cannot be read, or it has another value.
    pub(crate) fn duration(&self, key: &'static str) -> Result<Option<Duration>, GitError> {
        let Some(value) = self.config(&key.to_ascii_lowercase())? else { return Ok(None) };
        let wanted = "a duration such as '90s', '10m' or '1h30m'";
        parse_duration(&value).map(Some).ok_or(GitError::Value { key, value, wanted })
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

    /// Whether the repository is bare, or the one that this work tree is linked to: a linked work tree itself never is.
    ///
    /// # Errors
    /// When git cannot say.
    pub fn is_bare_at_root(&self) -> Result<bool, GitError> {
        if let Some(bare) = self.bare.get() {
            return Ok(*bare);
        }
        let Paths { git_dir, common_dir, work_tree } = self.paths();
        let bare = match git_dir == common_dir {
            true => work_tree.is_none() && self.is_bare()?,
            false => self.backend.is_common_bare()?,
        };
        Ok(*self.bare.get_or_init(|| bare))
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
        Ok(Some(TreeEntry { mode: object::FOLDER.into(), name: Vec::new(), id: tree }))
    }
}
