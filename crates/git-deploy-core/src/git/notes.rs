//! The tree of notes: reading one, reading all, writing some, in the shape that git itself gives it.
//!
//! A notes tree maps object ids to blobs. Small ones are flat; where an id space is well filled git puts the first two
//! digits of the ids into folders ("fan-out"), see `notes.c`. libgit2 never does, and neither `git notes` nor libgit2
//! survive concurrent writers, so both the tree and the compare-and-swap are ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::git::object::{self, Commit, FILE, FOLDER, Kind, TreeEntry};
use crate::git::refs::{Expected, RefUpdate, RefsError, backoff};
use crate::git::{GitError, Identity, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::note::{MAX_BYTES, Note, NoteError};

/// The name of the notes ref.
pub const NOTES_REF: &str = "refs/notes/deploy";

/// How many times a write is tried against other writers before it gives up.
const WRITE_TRIES: u32 = 200;

/// What is to become of notes: a new text, or `None` to take the note away.
pub type Edits = BTreeMap<CommitId, Option<Vec<u8>>>;

/// A note that is there but cannot be read, or that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum NotesError {
    /// The note itself is wrong.
    #[error("note on commit '{commit}' is malformed: {error}")]
    Note {
        /// The commit that it stands on.
        commit: CommitId,
        /// What is wrong.
        error: NoteError,
    },
    /// Nobody could read the note again.
    #[error(
        "note on commit '{commit}' is not written: it would have {bytes} bytes, and at most {MAX_BYTES} are read"
    )]
    TooLarge {
        /// The commit that it would stand on.
        commit: CommitId,
        /// How long it would be.
        bytes: usize,
    },
    /// Other writers were faster every time.
    #[error("notes could not be written: other processes kept writing to '{NOTES_REF}'")]
    Contended,
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// The notes as they stood at one moment.
pub struct Notes<'a> {
    repository: &'a Repository,
    /// The commit on the notes ref; none if there are no notes.
    pub commit: Option<CommitId>,
    tree: Option<ObjectId>,
}

/// The ref that the notes stand in.
pub fn notes_ref() -> RefName {
    RefName::new(NOTES_REF).unwrap_or_else(|_| unreachable!("it is a valid name"))
}

impl Repository {
    /// The notes of this repository as they stand now.
    ///
    /// # Errors
    /// When the notes ref or its commit cannot be read.
    pub fn notes(&self) -> Result<Notes<'_>, GitError> {
        self.notes_at(self.tip(&notes_ref())?)
    }

    /// The notes as a commit of a notes ref has them.
    ///
    /// # Errors
    /// When that commit cannot be read.
    pub fn notes_at(&self, commit: Option<CommitId>) -> Result<Notes<'_>, GitError> {
        let tree = commit.map(|commit| self.commit(commit).map(|commit| commit.tree)).transpose()?;
        Ok(Notes { repository: self, commit, tree })
    }

    /// Writes notes as one commit, whatever others write meanwhile.
    ///
    /// `edit` is given the notes as they stand and returns what to change and the message that says which action it
    /// was; it is called again whenever another writer was faster. No edits, no commit. `others` are parents besides
    /// the notes as they stand, which a merge has. Returns the commit that the ref stands at.
    ///
    /// # Errors
    /// Those of `edit`; when the ref cannot be written.
    pub fn write_notes<E: From<NotesError>>(
        &self,
        identity: &Identity,
        mut edit: impl FnMut(&Notes<'_>) -> Result<NotesEdit, E>,
    ) -> Result<Option<CommitId>, E> {
        for tries in 1..=WRITE_TRIES {
            let notes = self.notes().map_err(NotesError::Git)?;
            let edit = edit(&notes)?;
            let Some(commit) = notes.commit_with(&edit, identity)? else {
                return Ok(notes.commit);
            };
            let update = notes.update_to(commit);
            let subject = edit.message.lines().next().unwrap_or_default();
            match self.update_refs(&[update], &format!("notes: {subject}")) {
                Ok(()) => return Ok(Some(commit)),
                Err(RefsError::Moved(_)) => std::thread::sleep(backoff(tries)),
                Err(RefsError::Git(error)) => return Err(NotesError::Git(error).into()),
            }
        }
        Err(NotesError::Contended.into())
    }
}

/// One action on notes.
#[derive(Debug, Default)]
pub struct NotesEdit {
    /// What changes.
    pub edits: Edits,
    /// Which action it is; the commit's message.
    pub message: String,
    /// A second history of notes that is contained in the result.
    pub merged: Option<CommitId>,
}

impl NotesEdit {
    /// Adds a note.
    pub fn set(&mut self, commit: CommitId, note: &Note) {
        self.edits.insert(commit, Some(note.to_string().into_bytes()));
    }
}

impl Notes<'_> {
    /// The bytes of the note on a commit.
    ///
    /// # Errors
    /// When a tree or the note cannot be read.
    pub fn bytes(&self, commit: CommitId) -> Result<Option<Vec<u8>>, GitError> {
        let hex = commit.to_string();
        let mut rest = hex.as_str();
        let mut tree = self.tree;
        while let Some(id) = tree {
            let entries = self.repository.tree(id)?;
            let find = |name: &str| entries.iter().find(|entry| entry.name == name.as_bytes());
            if let Some(entry) = find(rest).filter(|entry| !entry.is_folder()) {
                return self.repository.read(entry.id, Kind::Blob).map(Some);
            }
            if rest.len() <= 2 {
                break;
            }
            tree = find(&rest[..2]).filter(|entry| entry.is_folder()).map(|entry| entry.id);
            rest = &rest[2..];
        }
        Ok(None)
    }

    /// The note on a commit.
    ///
    /// # Errors
    /// When it is there but malformed, or cannot be read.
    pub fn get(&self, commit: CommitId) -> Result<Option<Note>, NotesError> {
        let bytes = self.bytes(commit)?;
        bytes.map(|bytes| Note::parse(&bytes).map_err(|error| NotesError::Note { commit, error })).transpose()
    }

    /// All notes: which blob stands on which commit. Whatever else is in the tree is passed over.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn all(&self) -> Result<BTreeMap<CommitId, ObjectId>, GitError> {
        let mut found = BTreeMap::new();
        if let Some(tree) = self.tree {
            self.collect(tree, "", &mut found)?;
        }
        Ok(found)
    }

    fn collect(
        &self,
        tree: ObjectId,
        prefix: &str,
        found: &mut BTreeMap<CommitId, ObjectId>,
    ) -> Result<(), GitError> {
        let (folders, files): (Vec<_>, Vec<_>) =
            self.repository.tree(tree)?.into_iter().partition(TreeEntry::is_folder);
        // The same id at two depths: the upper one is what a look-up finds.
        for entry in files.iter().chain(&folders) {
            let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
            let path = format!("{prefix}{name}");
            if entry.is_folder() {
                if name.len() == 2 && is_hex(name) {
                    self.collect(entry.id, &path, found)?;
                }
            } else if let Ok(commit) = path.parse() {
                found.entry(commit).or_insert(entry.id);
            }
        }
        Ok(())
    }

    /// Makes the commit that these notes become by an edit; `None` if they already are so.
    ///
    /// # Errors
    /// When a note would be too large to be read again; when an object cannot be read or written.
    pub fn commit_with(&self, edit: &NotesEdit, identity: &Identity) -> Result<Option<CommitId>, NotesError> {
        let size = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
        let too_large = edit.edits.iter().find(|(_, text)| size(text) > MAX_BYTES);
        // A merge takes what others have written as it is.
        if let (Some((commit, text)), None) = (too_large, edit.merged) {
            return Err(NotesError::TooLarge { commit: *commit, bytes: size(text) });
        }
        let tree = self.tree_with(&edit.edits)?;
        let merges = edit.merged.is_some_and(|merged| Some(merged) != self.commit);
        if tree == self.tree && !merges {
            return Ok(None);
        }
        let tree = match tree {
            Some(tree) => tree,
            None => self.repository.write_tree(Vec::new())?,
        };
        let parents = self.commit.into_iter().chain(edit.merged.filter(|_| merges)).collect();
        let who = identity.as_str().as_bytes().to_vec();
        let message = format!("{}\n", edit.message.trim_end()).into_bytes();
        let commit =
            Commit { tree, parents, author: who.clone(), committer: who, extra: Vec::new(), message };
        Ok(Some(self.repository.write_commit(&commit)?))
    }

    fn tree_with(&self, edits: &Edits) -> Result<Option<ObjectId>, GitError> {
        let Some(digits) = edits.keys().next().map(|commit| commit.0.as_bytes().len() * 2) else {
            return Ok(self.tree);
        };
        let mut opened = Opened::new(self.repository, self.tree, digits)?;
        for (commit, text) in edits {
            let blob = text.as_ref().map(|text| self.repository.write(Kind::Blob, text)).transpose()?;
            opened.edit(&commit.to_string(), blob)?;
        }
        opened.write("", true)
    }

    /// The move of the notes ref from these notes to a commit made by [`Notes::commit_with`].
    pub fn update_to(&self, commit: CommitId) -> RefUpdate {
        RefUpdate {
            name: notes_ref(),
            old: Expected::seen(self.commit.map(|commit| commit.0)),
            new: Some(commit.0),
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A notes tree, opened as far as edits reach. All names are beginnings or wholes of ids, without slashes.
struct Opened<'a> {
    repository: &'a Repository,
    /// How many digits an id has.
    digits: usize,
    notes: BTreeMap<String, ObjectId>,
    /// Folders that nothing was looked up in.
    closed: BTreeMap<String, ObjectId>,
    /// What is no note, by the folder that it stands in; kept.
    others: BTreeMap<String, Vec<TreeEntry>>,
}

impl<'a> Opened<'a> {
    fn new(repository: &'a Repository, tree: Option<ObjectId>, digits: usize) -> Result<Self, GitError> {
        let (notes, closed, others) = Default::default();
        let mut opened = Self { repository, digits, notes, closed, others };
        if let Some(tree) = tree {
            opened.open("", tree)?;
        }
        Ok(opened)
    }

    fn open(&mut self, prefix: &str, tree: ObjectId) -> Result<(), GitError> {
        let rest = self.digits - prefix.len();
        for entry in self.repository.tree(tree)? {
            match std::str::from_utf8(&entry.name).ok().filter(|name| is_hex(name)) {
                Some(name) if entry.is_folder() && name.len() == 2 && rest > 2 => {
                    self.closed.insert(format!("{prefix}{name}"), entry.id);
                }
                Some(name) if !entry.is_folder() && name.len() == rest => {
                    // A second one, further down, is not what a look-up finds.
                    self.notes.entry(format!("{prefix}{name}")).or_insert(entry.id);
                }
                _ => self.others.entry(prefix.to_owned()).or_default().push(entry),
            }
        }
        // Notes beside the folder that they should stand in: a writer without fan-out was here.
        let beside = |(name, _): &(&String, &ObjectId)| below(&self.notes, name).next().is_some();
        let mixed: Vec<String> =
            below(&self.closed, prefix).filter(beside).map(|(name, _)| name.clone()).collect();
        for name in mixed {
            if let Some(tree) = self.closed.remove(&name) {
                self.open(&name, tree)?;
            }
        }
        Ok(())
    }

    /// Takes the next folder below a prefix that is to be opened.
    fn take_closed(&mut self, prefix: &str) -> Option<(String, ObjectId)> {
        let name = below(&self.closed, prefix).next()?.0.clone();
        self.closed.remove_entry(&name)
    }

    /// Opens the folders that the note would stand in, so that no id ever stands twice, and writes it.
    fn edit(&mut self, id: &str, blob: Option<ObjectId>) -> Result<(), GitError> {
        for end in (2..self.digits).step_by(2) {
            if let Some(tree) = self.closed.remove(&id[..end]) {
                self.open(&id[..end], tree)?;
            }
        }
        match blob {
            Some(blob) => self.notes.insert(id.to_owned(), blob),
            None => self.notes.remove(id),
        };
        Ok(())
    }

    /// git's rule (`determine_fanout` in `notes.c`): a level has folders where below each of the sixteen next digits
    /// stands more than one note, or a folder that need not be opened.
    fn is_crowded(&self, prefix: &str) -> bool {
        let next = |digit: u32| format!("{prefix}{digit:x}");
        let taken = |entry: &TreeEntry| entry.name.len() == 2 && !entry.is_folder();
        let clash = self.others.get(prefix).is_some_and(|others| others.iter().any(taken));
        prefix.len() + 2 < self.digits
            && !clash
            && (0..16).map(next).all(|next| {
                below(&self.closed, &next).next().is_some() || below(&self.notes, &next).nth(1).is_some()
            })
    }

    /// Writes what stands below a prefix; `None` when nothing does. Without `with_notes` the notes stand further up.
    fn write(&mut self, prefix: &str, with_notes: bool) -> Result<Option<ObjectId>, GitError> {
        let has_folders = with_notes && self.is_crowded(prefix);
        if with_notes && !has_folders {
            while let Some((name, tree)) = self.take_closed(prefix) {
                self.open(&name, tree)?;
            }
        }
        let mut entries = self.others.get(prefix).cloned().unwrap_or_default();
        let mut folders: BTreeSet<String> =
            self.others.keys().filter_map(|folder| folder_below(prefix, folder)).collect();
        if has_folders {
            let names = below(&self.notes, prefix).chain(below(&self.closed, prefix));
            folders.extend(names.filter_map(|(name, _)| folder_below(prefix, name)));
        } else if with_notes {
            let note = |(name, id): (&String, &ObjectId)| entry(FILE, &name[prefix.len()..], *id);
            entries.extend(below(&self.notes, prefix).map(note));
        }
        for folder in folders {
            let tree = match self.closed.get(&folder) {
                Some(tree) if has_folders => Some(*tree),
                _ => self.write(&folder, has_folders)?,
            };
            entries.extend(tree.map(|tree| entry(FOLDER, &folder[prefix.len()..], tree)));
        }
        if entries.is_empty() {
            return Ok(None);
        }
        self.repository.write(Kind::Tree, &object::tree_bytes(entries)).map(Some)
    }
}

/// What begins with a prefix.
fn below<'m, T>(names: &'m BTreeMap<String, T>, prefix: &str) -> impl Iterator<Item = (&'m String, &'m T)> {
    let prefix = prefix.to_owned();
    names.range(prefix.clone()..).take_while(move |(name, _)| name.starts_with(&prefix))
}

/// The folder right below a prefix in which something stands.
fn folder_below(prefix: &str, name: &str) -> Option<String> {
    name.get(..prefix.len() + 2).filter(|folder| folder.starts_with(prefix)).map(str::to_owned)
}

fn entry(mode: &[u8], name: &str, id: ObjectId) -> TreeEntry {
    TreeEntry { mode: mode.to_vec(), name: name.into(), id }
}
