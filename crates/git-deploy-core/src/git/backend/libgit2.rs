//! Objects and refs in process, with libgit2.

mod moving;
mod unwritten;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, ReferenceType};

use super::listing::{self, Entries, Listing};
use super::program::{self, GitProgram, Promised};
use super::{Backend, Paths, Ref, Refs, Variables};
use crate::git::aside::Aside;
use crate::git::object::{Kind, Object};
use crate::git::refs::RefUpdate;
use crate::git::{GitError, Identity};
use crate::ids::{ObjectId, RefName};
use crate::machine;
use unwritten::Unwritten;

/// How often an object is written before that has failed. A `git gc` that runs beside takes folders of objects away which are
/// empty, also one that an object is to be moved to just then.
const WRITE_TRIES: usize = 5;

/// The configuration by which git waits for the disk, or does not (git-config(1)).
const WAITS_FOR_DISK: [&str; 2] = ["core.fsync", "core.fsyncobjectfiles"];

pub(in crate::git) struct Libgit2 {
    repository: git2::Repository,
    paths: Paths,
    config: Listing,
    /// Brings objects that a partial clone left behind.
    promisor: Promised,
    /// Where new objects go, if they are not to be kept.
    aside: Option<Aside>,
    /// Those of them that need not be there yet.
    unwritten: Unwritten,
    /// Whether objects are looked for there.
    looks_aside: Cell<bool>,
}

impl Libgit2 {
    /// Opens the repository that the environment and the current folder name; `None` if it is one that libgit2 cannot
    /// read.
    pub(in crate::git) fn open() -> Result<Option<Self>, git2::Error> {
        Self::opened(git2::Repository::open_from_env())
    }

    /// Opens the repository in that folder, in the same way.
    pub(in crate::git) fn open_at(path: &Path) -> Result<Option<Self>, git2::Error> {
        let opened = Self::opened(git2::Repository::open_bare(path))?;
        opened.iter().try_for_each(|opened| machine::give_objects(&opened.repository))?;
        Ok(opened)
    }

    fn opened(found: Result<git2::Repository, git2::Error>) -> Result<Option<Self>, git2::Error> {
        let repository = match found {
            Ok(repository) => repository,
            // A bad value that git itself understands, an extension that libgit2 does not know, an owner that it
            // judges otherwise: the git program decides.
            Err(error) if error.code() != ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Whether an object is what it is called was found out when it came here. Git does not do that again whenever it reads
        // one, either, and of large trees it takes longer than reading them.
        git2::opts::strict_hash_verification(false);
        // Git itself looks there only where it serves others; libgit2 would take no ref for what it is called.
        repository.remove_namespace()?;
        let paths = Paths {
            git_dir: repository.path().to_owned(),
            common_dir: repository.commondir().to_owned(),
            work_tree: repository.workdir().map(Path::to_owned),
        };
        Ok(Some(Self::with(repository, paths, None)))
    }

    fn with(repository: git2::Repository, paths: Paths, aside: Option<Aside>) -> Self {
        let (config, promisor, unwritten) = (Listing::default(), Promised::default(), Unwritten::default());
        Self { repository, paths, config, promisor, aside, unwritten, looks_aside: Cell::new(false) }
    }

    /// The same repository opened once more, whose objects may be others.
    fn opened_again(&self) -> Result<git2::Repository, git2::Error> {
        let repository = git2::Repository::open(&self.paths.git_dir)?;
        repository.remove_namespace()?;
        Ok(repository)
    }

    /// Reads from the folder aside and, behind it, from where objects are otherwise: from when something is there. To look
    /// there first takes about as long as to read an object.
    fn look_aside(&self) -> Result<(), GitError> {
        let Some(aside) = self.aside.as_ref().filter(|_| !self.looks_aside.get()) else { return Ok(()) };
        let look = || {
            let beside = git2::Repository::open_bare(aside.folder())?;
            let odb = beside.odb()?;
            let there = self.paths.common_dir.join("objects");
            odb.add_disk_alternate(&there.to_string_lossy())?;
            self.repository.set_odb(&odb)
        };
        look().map_err(GitError::libgit2("cannot look for objects aside".to_owned()))?;
        self.looks_aside.set(true);
        Ok(())
    }
}

impl Libgit2 {
    fn entries(&self) -> Result<Rc<Entries>, GitError> {
        self.config.entries(|| match config_from_environment() {
            true => listing::of_program(),
            false => {
                self.read_entries().map_err(GitError::libgit2("cannot read git's configuration".to_owned()))
            }
        })
    }

    fn read_entries(&self) -> Result<Entries, git2::Error> {
        let config = self.repository.config()?.snapshot()?;
        let mut entries = Entries::new();
        config.entries(None)?.for_each(|entry| {
            let value = if entry.has_value() { entry.value_bytes() } else { &[] };
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            entries.push((text(entry.name_bytes()), text(value)));
        })?;
        Ok(entries)
    }

    fn write_at_once(&self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError> {
        let error = || GitError::libgit2(cannot_write(kind));
        let odb = self.repository.odb().map_err(error())?;
        let mut written = odb.write(object_type(kind), data);
        for _ in 1..WRITE_TRIES {
            match &written {
                Err(error) if error.class() == ErrorClass::Os => written = odb.write(object_type(kind), data),
                _ => break,
            }
        }
        written.map(object_id).map_err(error())
    }

    /// Writes what is not written yet, all of it.
    fn write_all(&self) -> Result<(), GitError> {
        self.unwritten.write(|object| self.write_aside(object))
    }

    /// Writes what is not written yet of these objects and of all that they lead to.
    fn write_what_leads_from(&self, ids: &[ObjectId]) -> Result<(), GitError> {
        self.unwritten.write_from(ids, |object| self.write_aside(object))
    }

    fn write_aside(&self, object: &Object) -> Result<(), GitError> {
        // Before that it would go to where it is to stay.
        self.look_aside()?;
        self.write_at_once(object.kind, &object.data).map(drop)
    }

    /// What is to be known of an object. Where it is not, git may have written it aside.
    fn look_for<T>(
        &self,
        id: ObjectId,
        look: impl Fn(&git2::Odb<'_>, Oid) -> Result<T, git2::Error>,
    ) -> Result<Option<T>, GitError> {
        let oid = oid(id)?;
        let find = || found_object(look(&self.repository.odb().map_err(unreadable(id))?, oid), id);
        match find()? {
            None if self.aside.is_some() && !self.looks_aside.get() => {
                self.look_aside()?;
                find()
            }
            found => Ok(found),
        }
    }

    /// Whether what is written must have reached the disk, as only git knows how it is to.
    fn waits_for_disk(&self) -> Result<bool, GitError> {
        let entries = self.entries()?;
        let last = |key| listing::values(&entries, key).pop();
        let waits =
            |key| last(key).is_some_and(|value| !["none", "false", "no", "off", "0"].contains(&&*value));
        Ok(WAITS_FOR_DISK.into_iter().any(waits))
    }

    /// Whether objects may be missing because a remote has promised them.
    fn is_partial(&self) -> Result<bool, GitError> {
        for remote in self.remotes()? {
            if self.config(&format!("remote.{remote}.promisor"))?.last().is_some_and(|value| value != "false")
            {
                return Ok(true);
            }
        }
        Ok(!self.config("extensions.partialclone")?.is_empty())
    }
}

/// Whether git's configuration comes from places that libgit2 does not look at.
fn config_from_environment() -> bool {
    std::env::vars_os().any(|(key, _)| key.to_str().is_some_and(|key| key.starts_with("GIT_CONFIG")))
}

fn oid(id: ObjectId) -> Result<Oid, GitError> {
    Oid::from_bytes(id.as_bytes()).map_err(GitError::libgit2(format!("cannot use object id '{id}'")))
}

fn object_id(oid: Oid) -> ObjectId {
    ObjectId::from_bytes(oid.as_bytes()).unwrap_or_else(|| unreachable!("libgit2 gives ids of 20 bytes"))
}

fn found<T>(result: Result<T, git2::Error>, what: impl FnOnce() -> String) -> Result<Option<T>, GitError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(GitError::libgit2(what())(error)),
    }
}

fn unreadable(id: ObjectId) -> impl FnOnce(git2::Error) -> GitError {
    move |error| GitError::Read { id, error: std::io::Error::other(error.message().to_owned()) }
}

fn found_object<T>(result: Result<T, git2::Error>, id: ObjectId) -> Result<Option<T>, GitError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(unreadable(id)(error)),
    }
}

fn cannot_write(kind: Kind) -> String {
    format!("cannot write a {}", kind.as_str())
}

fn object_type(kind: Kind) -> ObjectType {
    match kind {
        Kind::Blob => ObjectType::Blob,
        Kind::Tree => ObjectType::Tree,
        Kind::Commit => ObjectType::Commit,
        Kind::Tag => ObjectType::Tag,
    }
}

fn kind(object: ObjectType) -> Option<Kind> {
    match object {
        ObjectType::Blob => Some(Kind::Blob),
        ObjectType::Tree => Some(Kind::Tree),
        ObjectType::Commit => Some(Kind::Commit),
        ObjectType::Tag => Some(Kind::Tag),
        ObjectType::Any => None,
    }
}

impl Backend for Libgit2 {
    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn null_id(&self) -> ObjectId {
        object_id(Oid::ZERO_SHA1)
    }

    fn is_in_process(&self) -> bool {
        self.aside.is_some() || machine::is_simulated() || !self.waits_for_disk().unwrap_or(true)
    }

    fn stands_aside(&self) -> Option<&Aside> {
        self.aside.as_ref()
    }

    fn variables(&self) -> Result<&Variables, GitError> {
        self.write_all()?;
        Ok(self.aside.as_ref().map_or(&[], Aside::variables))
    }

    fn variables_for(&self, ids: &[ObjectId]) -> Result<&Variables, GitError> {
        self.write_what_leads_from(ids)?;
        Ok(self.aside.as_ref().map_or(&[], Aside::variables))
    }

    fn aside(&self, aside: Aside) -> Box<dyn Backend> {
        // libgit2 takes no other path.
        let is_utf8 = self.paths.common_dir.to_str().is_some();
        let can_be_in_process = is_utf8 && !machine::is_simulated() && !Aside::is_nested();
        match can_be_in_process.then(|| self.opened_again()) {
            Some(Ok(repository)) => Box::new(Self::with(repository, self.paths.clone(), Some(aside))),
            _ => Box::new(GitProgram::aside(self.paths.clone(), self.null_id(), aside)),
        }
    }

    fn read(&self, id: ObjectId) -> Result<Option<Object>, GitError> {
        if let Some(object) = self.unwritten.read(id) {
            return Ok(Some(object));
        }
        let read =
            |odb: &git2::Odb<'_>, id| odb.read(id).map(|object| (object.kind(), object.data().to_vec()));
        let Some((found, data)) = self.look_for(id, read)? else {
            // libgit2 fetches nothing; git does where the clone is partial.
            return if self.is_partial()? { self.promisor.read(id, self.variables()?) } else { Ok(None) };
        };
        Ok(kind(found).map(|kind| Object { kind, data }))
    }

    fn size(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, GitError> {
        if let Some((kind, size)) = self.unwritten.size(id) {
            return Ok(Some((kind, size as u64)));
        }
        let Some((size, object)) = self.look_for(id, |odb, id| odb.read_header(id))? else {
            return if self.is_partial()? { self.promisor.size(id, self.variables()?) } else { Ok(None) };
        };
        Ok(kind(object).map(|kind| (kind, size as u64)))
    }

    fn write(&self, kind: Kind, data: &[u8]) -> Result<ObjectId, GitError> {
        if !self.is_in_process() {
            return program::write(kind, data, self.variables()?);
        }
        if self.aside.is_none() {
            return self.write_at_once(kind, data);
        }
        let id = Oid::hash_object(object_type(kind), data).map_err(GitError::libgit2(cannot_write(kind)))?;
        if self.unwritten.add(object_id(id), kind, data) {
            self.write_all()?;
        }
        Ok(object_id(id))
    }

    fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        if let Some(simulated) = machine::resolve(name) {
            return Ok(simulated);
        }
        let what = || format!("cannot read ref '{name}'");
        Ok(found(self.repository.refname_to_id(name.as_str()), what)?.map(object_id))
    }

    fn symbolic_target(&self, name: &str) -> Result<Option<RefName>, GitError> {
        let what = || format!("cannot read ref '{name}'");
        let reference = found(self.repository.find_reference(name), what)?;
        let target = reference.as_ref().and_then(git2::Reference::symbolic_target_bytes);
        let target = target.and_then(|target| std::str::from_utf8(target).ok());
        Ok(target.and_then(|target| RefName::new(target).ok()))
    }

    fn reflog(&self, name: &str) -> Option<Vec<(ObjectId, String)>> {
        if machine::is_simulated() {
            return None;
        }
        // Where there is none libgit2 would make one, and git write to it from then on.
        if !self.repository.reference_has_log(name).ok()? {
            return Some(Vec::new());
        }
        let log = self.repository.reflog(name).ok()?;
        let entry = |entry: git2::ReflogEntry<'_>| {
            let why = entry.message_bytes().map(String::from_utf8_lossy);
            (object_id(entry.id_new()), why.unwrap_or_default().into_owned())
        };
        Some(log.iter().map(entry).collect())
    }

    fn refs(&self, prefix: &str) -> Result<Refs, GitError> {
        if let Some(simulated) = machine::refs(prefix) {
            let named = simulated.into_iter().map(|(name, target)| Ref { name, target, symbolic: false });
            return Ok(Refs { named: named.collect(), not_utf8: 0 });
        }
        let what = || format!("cannot list refs '{prefix}*'");
        let references =
            self.repository.references_glob(&format!("{prefix}*")).map_err(GitError::libgit2(what()))?;
        let mut refs = Refs::default();
        for reference in references {
            let reference = reference.map_err(GitError::libgit2(what()))?;
            let Ok(name) = reference.name() else {
                refs.not_utf8 += 1;
                continue;
            };
            let Ok(name) = RefName::new(name) else { continue };
            let symbolic = reference.kind() == Some(ReferenceType::Symbolic);
            let target = match reference.target() {
                Some(target) => Some(object_id(target)),
                None => self.resolve(&name)?,
            };
            // A symbolic ref to a branch that is not born yet leads nowhere.
            refs.named.extend(target.map(|target| Ref { name, target, symbolic }));
        }
        refs.named.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(refs)
    }

    fn moves_refs(&self) -> bool {
        self.aside.is_none() && !machine::is_simulated() && self.may_move()
    }

    fn move_ref(&self, update: &RefUpdate, reflog: &str, who: &Identity) -> bool {
        self.move_in_process(update, reflog, who).is_some()
    }

    fn config(&self, key: &str) -> Result<Vec<String>, GitError> {
        Ok(listing::values(&*self.entries()?, key))
    }

    fn remotes(&self) -> Result<Vec<String>, GitError> {
        Ok(listing::remotes(&*self.entries()?))
    }

    fn forget_config(&self) {
        self.config.forget();
    }

    fn is_bare(&self) -> Result<bool, GitError> {
        Ok(self.repository.is_bare())
    }

    fn is_common_bare(&self) -> Result<bool, GitError> {
        let no_search = git2::RepositoryOpenFlags::NO_SEARCH;
        match git2::Repository::open_ext(&self.paths.common_dir, no_search, std::iter::empty::<&Path>()) {
            Ok(common) => Ok(common.is_bare()),
            Err(_) => program::is_bare_at(&self.paths.common_dir),
        }
    }

    fn merge_base(&self, one: ObjectId, two: ObjectId) -> Result<Option<ObjectId>, GitError> {
        self.write_what_leads_from(&[one, two])?;
        match self.repository.merge_base(oid(one)?, oid(two)?) {
            Ok(base) => Ok(Some(object_id(base))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            // It also reads who made a commit and when, and ends where somebody has written that wrongly. Git does not.
            Err(_) => program::merge_base(one, two, self.variables()?),
        }
    }
}
