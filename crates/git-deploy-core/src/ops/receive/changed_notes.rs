//! The notes that differ between two trees: of what both have nothing is read.
//!
//! A note may stand in several places of a tree, and then a look-up finds the upper one. So the trees say only which
//! commits' notes may differ, and each of these is looked up in both.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::git::notes::{Notes, NotesError, is_hex};
use crate::git::object::TreeEntry;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};
use crate::note::Note;
use crate::ops::copied;
use crate::receive::{NoteChange, NoteText};
use crate::state::State;

/// The entries of a tree by name; of two with one name the first is found.
type Entries = HashMap<Vec<u8>, TreeEntry>;

/// The notes that differ; the inner error says why the trees cannot be read as notes.
pub(in crate::ops) fn changes(
    repository: &Repository,
    before: Option<ObjectId>,
    after: ObjectId,
) -> Result<Result<Vec<NoteChange>, String>, GitError> {
    let trees = Trees::new(repository);
    let (mut commits, mut odd) = (BTreeSet::new(), None);
    trees.differing(before, Some(after), "", &mut |found| match found {
        Found::Note(commit) => drop(commits.insert(commit)),
        Found::Odd(why) => drop(odd.get_or_insert(why)),
    })?;
    if trees.visited.get() > MOST_FOLDERS {
        return Ok(Err(format!("more than {MOST_FOLDERS} of its folders would change")));
    }
    if let Some(why) = odd {
        return Ok(Err(why));
    }
    let mut changes = Vec::new();
    for commit in commits {
        let (stood, comes) = (trees.all(before, commit)?, trees.all(Some(after), commit)?);
        // Git itself would read both as one.
        let is_doubled = comes.len() > stood.len().max(1);
        let (stood, comes) = (stood.into_iter().next(), comes.into_iter().next());
        // One that only changes its place stays what it is.
        let what = |entry: &Option<TreeEntry>| entry.as_ref().map(|entry| (entry.mode.clone(), entry.id));
        if what(&stood) == what(&comes) && !is_doubled {
            continue;
        }
        let text = |entry: Option<TreeEntry>| entry.map(|entry| text(repository, &entry)).transpose();
        let comes = if is_doubled { Some(Err("it would have two notes".to_owned())) } else { text(comes)? };
        changes.push(NoteChange { commit, before: text(stood)?, after: comes, becomes_copy: false });
    }
    Ok(Ok(changes))
}

/// Finds out which notes were made for other commits than those that they stand on, by all that stand there with them. What
/// such a note said counts for nothing, so that nobody has to keep it; but nothing is done to what has landed.
pub(super) fn find_copies(
    changes: &mut [NoteChange],
    before: &Notes<'_>,
    after: &Notes<'_>,
) -> Result<(), GitError> {
    for change in changes {
        let (stood, comes) = (change.note_before(), change.note_after().and_then(Result::ok));
        let was_copy = stood.as_ref().map_or(Ok(false), |note| is_copy(before, change.commit, note))?;
        let is_copy = comes.map_or(Ok(false), |note| is_copy(after, change.commit, &note))?;
        change.becomes_copy = is_copy && !was_copy;
        if was_copy && stood.is_some_and(|note| note.state != State::Deployed) {
            change.before = None;
        }
    }
    Ok(())
}

/// Whether a note counts for nothing on a commit.
pub(super) fn is_copy(notes: &Notes<'_>, commit: CommitId, note: &Note) -> Result<bool, GitError> {
    match copied::fault(notes, commit, note) {
        Err(NotesError::Git(error)) => Err(error),
        fault => Ok(!matches!(fault, Ok(None))),
    }
}

/// The note on one commit.
pub(super) fn note(
    repository: &Repository,
    notes: &Notes<'_>,
    commit: CommitId,
) -> Result<Option<NoteText>, GitError> {
    let trees = Trees::new(repository);
    trees.find(notes.tree(), commit)?.map(|entry| text(repository, &entry)).transpose()
}

/// What a note says. Bytes that nobody reads are not read here either.
fn text(repository: &Repository, entry: &TreeEntry) -> Result<NoteText, GitError> {
    if !entry.mode.starts_with(b"100") {
        return Ok(Err("it is no file".to_owned()));
    }
    Ok(repository.note_bytes(entry.id)?.map_err(|error| error.to_string()))
}

/// What is found where two trees differ.
enum Found {
    /// A commit whose note may differ.
    Note(CommitId),
    /// Why git would not write so what comes: it could hide a note, or be joined with one later.
    Odd(String),
}

/// Trees, each read once.
struct Trees<'a> {
    repository: &'a Repository,
    visited: Cell<u32>,
    read: RefCell<HashMap<ObjectId, Rc<Entries>>>,
}

impl<'a> Trees<'a> {
    fn new(repository: &'a Repository) -> Self {
        Self { repository, visited: Cell::new(0), read: RefCell::default() }
    }

    fn entries(&self, tree: ObjectId) -> Result<Rc<Entries>, GitError> {
        if let Some(entries) = self.read.borrow().get(&tree) {
            return Ok(Rc::clone(entries));
        }
        let mut entries = Entries::new();
        for entry in self.repository.tree(tree)? {
            entries.entry(entry.name.clone()).or_insert(entry);
        }
        let entries = Rc::new(entries);
        self.read.borrow_mut().insert(tree, Rc::clone(&entries));
        Ok(entries)
    }

    fn entries_of(&self, tree: Option<ObjectId>) -> Result<Rc<Entries>, GitError> {
        tree.map_or_else(|| Ok(Rc::default()), |tree| self.entries(tree))
    }

    /// Tells of what differs between the trees of two folders.
    fn differing(
        &self,
        one: Option<ObjectId>,
        two: Option<ObjectId>,
        prefix: &str,
        tell: &mut impl FnMut(Found),
    ) -> Result<(), GitError> {
        if one == two {
            return Ok(());
        }
        self.visited.set(self.visited.get() + 1);
        if self.visited.get() > MOST_FOLDERS {
            return Ok(());
        }
        if let Some(two) = two
            && !self.is_in_order(two)?
        {
            tell(Found::Odd("the entries of a folder are not in order".to_owned()));
        }
        let (one, two) = (self.entries_of(one)?, self.entries_of(two)?);
        for name in one.keys().chain(two.keys().filter(|name| !one.contains_key(*name))) {
            let (mine, theirs) = (one.get(name), two.get(name));
            if mine == theirs {
                continue;
            }
            let name = String::from_utf8_lossy(name);
            let path = format!("{prefix}{name}");
            if theirs.is_some_and(|theirs| !self.is_place(prefix, &name, theirs)) {
                let path = format!("{}{name}", folders(prefix));
                tell(Found::Odd(format!("'{path}' is no place in which git writes a note")));
                continue;
            }
            if [mine, theirs].into_iter().flatten().any(|entry| !entry.is_folder()) {
                path.parse::<CommitId>().into_iter().for_each(|commit| tell(Found::Note(commit)));
            }
            let folder = |entry: &TreeEntry| entry.is_folder().then_some(entry.id);
            if name.len() == 2 && path.len() < DEEPEST {
                self.differing(mine.and_then(folder), theirs.and_then(folder), &path, tell)?;
            }
        }
        Ok(())
    }

    /// Whether git writes a note, or a folder with notes, under this name: the digits of an id, two to each folder.
    fn is_place(&self, prefix: &str, name: &str, entry: &TreeEntry) -> bool {
        let (digits, length) = (self.repository.null_id().to_string().len(), prefix.len() + name.len());
        let fits = if entry.is_folder() { name.len() == 2 && length < digits } else { length == digits };
        fits && is_hex(name)
    }

    /// Whether a tree has its entries as git writes them: in order, and each name once.
    fn is_in_order(&self, tree: ObjectId) -> Result<bool, GitError> {
        let slash = |entry: &TreeEntry| if entry.is_folder() { &b"/"[..] } else { b"" };
        let key = |entry: &TreeEntry| [&entry.name[..], slash(entry)].concat();
        Ok(self.repository.tree(tree)?.is_sorted_by(|one, two| key(one) < key(two)))
    }

    /// The entry of a note, as a look-up finds it.
    fn find(&self, tree: Option<ObjectId>, commit: CommitId) -> Result<Option<TreeEntry>, GitError> {
        Ok(self.all(tree, commit)?.into_iter().next())
    }

    /// The entries of all notes on one commit, the upper ones first.
    fn all(&self, tree: Option<ObjectId>, commit: CommitId) -> Result<Vec<TreeEntry>, GitError> {
        let hex = commit.to_string();
        let (mut rest, mut tree, mut found) = (hex.as_str(), tree, Vec::new());
        while let Some(id) = tree {
            let entries = self.entries(id)?;
            found.extend(entries.get(rest.as_bytes()).filter(|entry| !entry.is_folder()).cloned());
            if rest.len() <= 2 {
                break;
            }
            let folder = entries.get(&rest.as_bytes()[..2]).filter(|entry| entry.is_folder());
            tree = folder.map(|entry| entry.id);
            rest = &rest[2..];
        }
        Ok(found)
    }
}

/// The folders that these digits stand for, as a path.
fn folders(prefix: &str) -> String {
    let pairs = prefix.as_bytes().chunks(2).map(String::from_utf8_lossy);
    pairs.map(|pair| format!("{pair}/")).collect()
}

/// How many digits of an id stand in folders at most.
const DEEPEST: usize = 64;

/// The most folders that are looked into. Git makes 256 for 100,000 notes; a tree that names one folder again and again
/// would have more than anybody can walk through.
const MOST_FOLDERS: u32 = 100_000;
