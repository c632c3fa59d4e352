//! Whose attributes count where files are merged: those of the commit that a change is applied to, as if it were checked out.
//!
//! `git merge-tree` reads them from the work tree, where anything may be checked out, and knows none of a bare repository.
//! From 2.41 on it can be told a commit. Where it cannot, it is called in the work tree as long as that has the same
//! attributes, and else in a folder that has them and stands in for it ([`folder`]). Of what is not tracked there only a file at
//! the top is looked for: others count, as they do for git itself; one that is told counts none of them. Of a symbolic link
//! one that is told reads where it leads.
//!
//! With `merge.renormalize` git takes the `.gitattributes` at the top as the merge itself leaves it, before that of the work
//! tree. One that is told does not, and in a bare repository it ends with a bug of its own. So then it is not told.
//!
//! Who has `attr.tree` in the configuration wants that to count, as it does for git itself. Where that is HEAD, git means what is
//! checked out when a rebase begins: a verdict would be another at each look. Then it is passed over.
//!
//! A merge driver runs where git is called: at the top of the work tree, or in such a folder, which is empty where there is no
//! work tree. Never in the repository itself, or in a server's work tree: a branch chooses the paths that a driver is told. In a
//! folder nothing else of the work tree is there, so that what is named by a path from its top is not found.

mod folder;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use self::folder::Folders;
use super::backend::Paths;
use super::object::Kind;
use super::program::{Call, git};
use super::version::Version;
use super::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};
use crate::interrupt::Interrupt;

/// The first git that can be told whose attributes count (`--attr-source`).
const TOLD: Version = Version::new(2, 41);

/// The first that can be told it by its configuration (`attr.tree`): the option becomes a variable of all that git starts, and a
/// git that a merge driver calls in another repository, where there is no such commit, finds no attributes then.
const CONFIGURED: Version = Version::new(2, 43);

/// That variable.
const SOURCE: &str = "GIT_ATTR_SOURCE";

/// What is set where a server judges a push (git-receive-pack(1)).
const QUARANTINE: &str = "GIT_QUARANTINE_PATH";

/// The files that say how others are merged.
pub(crate) const ATTRIBUTES: &str = ".gitattributes";

/// All of them, wherever they stand.
const ALL: &str = ":(top,glob)**/.gitattributes";

/// How many of them are copied of a commit, and how many bytes of them are read.
pub(super) const MOST_FILES: usize = 10_000;
pub(super) const MOST_BYTES: usize = 64 * 1024 * 1024;

/// How many commits it is remembered of where git finds their attributes, and how many folders are kept for others to come.
const KEPT: usize = 16;

/// The tree that has nothing, which git knows where nobody has written it: with SHA-1 and with SHA-256.
const EMPTY_TREES: [&str; 2] = [
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
];

/// The attributes' files of a commit, in git's order: where they stand, and what they are.
type Files = Vec<(PathBuf, ObjectId)>;

/// Begins calls of git in which the attributes of some commit count.
pub(super) struct Attributes<'a> {
    repository: &'a Repository,
    version: Version,
    /// The top of the work tree, if there is one that a driver may run in.
    top: Option<&'a Path>,
    can_be_told: bool,
    /// Whether the user has named what is checked out as that whose attributes count.
    follows_head: bool,
    /// What was found out of commits, and why nothing can be. Each is asked for once, since there may be a merge for each of many
    /// branches: what is checked out or edited meanwhile is not looked at again, nor is it where git is told.
    places: RefCell<HashMap<CommitId, Result<Place, GitError>>>,
    /// The commit that others were last compared with.
    known: Cell<Option<CommitId>>,
    /// The attributes' files that are tracked in the work tree.
    tracked: OnceCell<Vec<PathBuf>>,
    folders: Folders<'a>,
}

/// Where git finds the attributes of a commit that it cannot be told.
#[derive(Clone)]
enum Place {
    /// They are checked out in this work tree.
    WorkTree(PathBuf),
    /// They stand in this folder.
    Folder(Arc<TempDir>),
}

impl<'a> Attributes<'a> {
    /// # Errors
    /// When the configuration cannot be read.
    pub(super) fn new(repository: &'a Repository, version: Version) -> Result<Self, GitError> {
        // Nothing, which git takes for off, is listed like a key without a value, which is on: to tell none is right with both.
        let is_off =
            |value: &str| ["false", "no", "off", "0"].iter().any(|off| value.eq_ignore_ascii_case(off));
        let renormalizes = repository.config("merge.renormalize")?.is_some_and(|value| !is_off(&value));
        let own = repository.config("attr.tree")?.filter(|_| version >= CONFIGURED);
        let follows_head = own.as_deref().is_some_and(is_of_head);
        let has_own = own.is_some() && !follows_head;
        let can_be_told = version >= TOLD && !renormalizes && !has_own;
        let (places, known) = (RefCell::default(), Cell::default());
        let (tracked, folders) = (OnceCell::new(), Folders::new(repository));
        let top = top(repository);
        Ok(Self { repository, version, top, can_be_told, follows_head, places, known, tracked, folders })
    }

    /// A call of git at the top of the work tree, or of what stands in for it, without a command as yet.
    ///
    /// # Errors
    /// When the files of that commit cannot be read, or put anywhere, or the user has asked to stop.
    pub(super) fn call(&self, of: CommitId, interrupt: &Interrupt) -> Result<Call, GitError> {
        let call = match self.can_be_told {
            true => self.told(of, interrupt)?,
            false => {
                let call = match self.place(of, interrupt)? {
                    Place::WorkTree(top) => at(self.repository, &top),
                    Place::Folder(folder) => self.folders.call(folder)?,
                };
                if self.follows_head { call.args(["-c", "attr.tree="]) } else { call }
            }
        };
        Ok(call.without(SOURCE))
    }

    /// A commit with the same attributes that was asked for before, if the last one has them: two commits are compared sooner
    /// than all files of one are looked through.
    ///
    /// # Errors
    /// When they cannot be compared.
    pub(super) fn alike(&self, of: CommitId) -> Result<CommitId, GitError> {
        if !self.can_be_told {
            if let Some(known) = self.known.get()
                && differences(self.repository, &["--quiet"], &known.to_string(), of)?.yes()?
            {
                return Ok(known);
            }
            self.known.set(Some(of));
        }
        Ok(of)
    }

    fn told(&self, of: CommitId, interrupt: &Interrupt) -> Result<Call, GitError> {
        let call = match self.top {
            Some(top) => at(self.repository, top),
            None => self.folders.call(self.folders.folder(Files::new(), of, interrupt)?)?,
        };
        Ok(match self.version >= CONFIGURED {
            true => call.arg("-c").arg(format!("attr.tree={of}")),
            false => call.arg(format!("--attr-source={of}")),
        })
    }

    fn place(&self, of: CommitId, interrupt: &Interrupt) -> Result<Place, GitError> {
        if let Some(found) = self.places.borrow().get(&of).and_then(once_more) {
            return found;
        }
        let found = self.find(of, interrupt);
        let mut places = self.places.borrow_mut();
        if places.len() >= KEPT {
            places.clear();
        }
        places.extend(once_more(&found).map(|found| (of, found)));
        found
    }

    fn find(&self, of: CommitId, interrupt: &Interrupt) -> Result<Place, GitError> {
        let files = files(self.repository, of)?;
        match self.top {
            Some(top) if self.are_checked_out(top, &files, of)? => Ok(Place::WorkTree(top.to_owned())),
            _ => self.folders.folder(files, of, interrupt).map(Place::Folder),
        }
    }

    /// Whether git finds these in the work tree, and no others.
    fn are_checked_out(&self, top: &Path, files: &Files, of: CommitId) -> Result<bool, GitError> {
        let wanted: HashSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
        let tracked = self.tracked(top)?.iter().map(PathBuf::as_path);
        // Git follows no link to attributes.
        let is_file = |path: &Path| fs::symlink_metadata(top.join(path)).is_ok_and(|found| found.is_file());
        let mut others = tracked.chain([Path::new(ATTRIBUTES)]).filter(|path| !wanted.contains(path));
        if others.any(is_file) || !files.iter().all(|(path, _)| is_file(path)) {
            return Ok(false);
        }
        for (path, blob) in files {
            let Ok(there) = fs::read(top.join(path)) else { return Ok(false) };
            let wanted = read(self.repository, *blob, MOST_BYTES, of)?;
            // They may be checked out with other ends of lines, which mean nothing in them.
            if there != wanted && lines(&there).ne(lines(&wanted)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn tracked(&self, top: &Path) -> Result<&[PathBuf], GitError> {
        if let Some(tracked) = self.tracked.get() {
            return Ok(tracked);
        }
        // What is tracked is in the index: nothing has to watch the files for that.
        let call = at(self.repository, top).args(["-c", "core.fsmonitor=false", "--no-literal-pathspecs"]);
        let call = call.args(["ls-files", "-z", "--", ALL]);
        let printed = call.run()?;
        let paths = printed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let paths = paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect();
        Ok(self.tracked.get_or_init(|| paths))
    }
}

/// Whether a commit is named by HEAD.
fn is_of_head(name: &str) -> bool {
    let rest = name.strip_prefix("HEAD").or_else(|| name.strip_prefix('@'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['~', '^', ':', '@', '{']))
}

/// What was found, unless it is worth to look again.
fn once_more(found: &Result<Place, GitError>) -> Option<Result<Place, GitError>> {
    match found {
        Ok(place) => Some(Ok(place.clone())),
        Err(error) => folder::again(error).map(Err),
    }
}

/// The top of the work tree, unless what is pushed is judged: for the hooks of a server git takes the repository itself for one,
/// and nobody has asked for what is merged there, or written, as yet.
fn top(repository: &Repository) -> Option<&Path> {
    let Paths { git_dir, common_dir, work_tree } = repository.paths();
    let is_own = |top: &&Path| [git_dir, common_dir].into_iter().any(|own| top.starts_with(own));
    work_tree.as_deref().filter(|top| !is_own(top) && env::var_os(QUARANTINE).is_none())
}

/// A call of git at the top of a work tree.
pub(super) fn at(repository: &Repository, top: &Path) -> Call {
    let call = git([OsStr::new("-C"), top.as_os_str(), OsStr::new("--git-dir")]);
    call.arg(&repository.paths().git_dir).arg("--work-tree").arg(top)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A call that tells of these files alone of a commit: how they differ from those of another one.
fn differences(
    repository: &Repository,
    options: &[&str],
    from: &str,
    of: CommitId,
) -> Result<Call, GitError> {
    let call = repository.git(["--no-literal-pathspecs", "diff-tree", "-r", "-z", "--no-renames"])?;
    Ok(call.args(options).args([from, &of.to_string(), "--", ALL]))
}

/// The same of all that a commit has.
fn listing(repository: &Repository, options: &[&str], of: CommitId) -> Result<Call, GitError> {
    let empty = EMPTY_TREES[usize::from(repository.null_id().as_bytes().len() > 20)];
    differences(repository, options, empty, of)
}

/// Reads one of them, unless it is larger than there is room for.
fn read(repository: &Repository, blob: ObjectId, room: usize, of: CommitId) -> Result<Vec<u8>, GitError> {
    repository.read_at_most(blob, Kind::Blob, room).map_err(|error| match error {
        GitError::TooLarge { .. } => GitError::Attributes { of },
        error => error,
    })
}

/// The attributes' files of a commit. Symbolic links are none, as in git.
fn files(repository: &Repository, of: CommitId) -> Result<Files, GitError> {
    let printed = listing(repository, &["--raw"], of)?.run()?;
    let mut fields = printed.split(|byte| *byte == 0);
    let mut files = Files::new();
    while let (Some(what), Some(path)) = (fields.next(), fields.next()) {
        files.extend(attributes_file(what, path));
    }
    Ok(files)
}

/// A file, as it is told: `:000000 100644 <null> <blob> A`, and its path.
fn attributes_file(what: &[u8], path: &[u8]) -> Option<(PathBuf, ObjectId)> {
    let mut words = std::str::from_utf8(what).ok()?.split(' ').skip(1);
    let is_file = words.next()?.starts_with("100");
    let id = words.nth(1)?.parse().ok()?;
    let path = Path::new(OsStr::from_bytes(path));
    let is_one = path.file_name().is_some_and(|name| name == ATTRIBUTES);
    (is_file && is_one && stays(path)).then(|| (path.to_owned(), id))
}

/// Whether a path leads nowhere else: whoever made a tree may have put anything into it.
fn stays(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_the_tree_are_attributes() {
        let id = "1".repeat(40);
        let path = |mode: &str, path: &str| {
            let what = format!(":000000 {mode} {} {id} A", "0".repeat(40));
            attributes_file(what.as_bytes(), path.as_bytes()).map(|(path, _)| path)
        };
        assert_eq!(path("100644", "a/.gitattributes"), Some("a/.gitattributes".into()));
        for (mode, other) in [
            ("120000", ".gitattributes"),
            ("100644", "a.gitattributes"),
            ("100644", "../.gitattributes"),
            ("100644", "/.gitattributes"),
        ] {
            assert_eq!(path(mode, other), None, "{mode} {other}");
        }
        assert_eq!(attributes_file(b"", b".gitattributes"), None);
    }

    #[test]
    fn ends_of_lines_mean_nothing() {
        assert!(lines(b"a\r\nb\r\n").eq(lines(b"a\nb\n")));
        assert!(lines(b"a\r\n").ne(lines(b"b\n")) && lines(b"a\n").ne(lines(b"a\nb\n")));
    }
}
