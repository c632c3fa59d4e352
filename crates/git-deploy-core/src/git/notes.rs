//! The tree of notes: reading one, reading all, writing some, in the shape that git itself gives it.
//!
//! A notes tree maps object ids to blobs. Small ones are flat; where an id space is well filled git puts the first two
//! digits of the ids into folders ("fan-out"), see `notes.c`. libgit2 never does, and neither `git notes` nor libgit2
//! survive concurrent writers, so both the tree and the compare-and-swap are ours.

use std::collections::BTreeMap;

use crate::git::object::{self, Commit, FILE, FOLDER, Kind, TreeEntry};
use crate::git::refs::{Expected, RefUpdate, RefsError, backoff};
use crate::git::{GitError, Identity, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::note::{Note, NoteError};

/// The name of the notes ref.
pub const NOTES_REF: &str = "refs/notes/deploy";

/// How many times a write is tried against other writers before it gives up.
const WRITE_TRIES: u32 = 200;

/// What is to become of notes: a new text, or `None` to take the note away.
pub type Edits = BTreeMap<CommitId, Option<Vec<u8>>>;

/// A note that is there but cannot be read.
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
            let Some(commit) = notes.commit_with(&edit, identity).map_err(NotesError::Git)? else {
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
        for entry in self.repository.tree(tree)? {
            let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
            let path = format!("{prefix}{name}");
            if entry.is_folder() {
                if name.len() == 2 && is_hex(name) {
                    self.collect(entry.id, &path, found)?;
                }
            } else if let Ok(commit) = path.parse() {
                // The same id flat and in a folder: the flat one is what a look-up finds, and is seen last here.
                let kept = found.entry(commit).or_insert(entry.id);
                if prefix.is_empty() {
                    *kept = entry.id;
                }
            }
        }
        Ok(())
    }

    /// Makes the commit that these notes become by an edit; `None` if they already are so.
    ///
    /// # Errors
    /// When an object cannot be read or written.
    pub fn commit_with(&self, edit: &NotesEdit, identity: &Identity) -> Result<Option<CommitId>, GitError> {
        let mut edits = BTreeMap::new();
        for (commit, text) in &edit.edits {
            let blob = text.as_ref().map(|text| self.repository.write(Kind::Blob, text)).transpose()?;
            edits.insert(commit.to_string(), blob);
        }
        let tree = write_level(self.repository, self.tree, edits)?;
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
        self.repository.write_commit(&commit).map(Some)
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

/// One level of the tree, taken apart.
#[derive(Default)]
struct Level {
    /// Notes that stand here, by the rest of the id.
    notes: BTreeMap<String, ObjectId>,
    /// Folders of the fan-out.
    folders: BTreeMap<String, ObjectId>,
    /// What is no note; kept.
    others: Vec<TreeEntry>,
}

impl Level {
    /// `rest` is how many digits of an id are left on this level.
    fn read(repository: &Repository, tree: Option<ObjectId>, rest: usize) -> Result<Self, GitError> {
        let mut level = Self::default();
        let entries = tree.map(|tree| repository.tree(tree)).transpose()?.unwrap_or_default();
        for entry in entries {
            match std::str::from_utf8(&entry.name) {
                Ok(name) if is_hex(name) && entry.is_folder() && name.len() == 2 && rest > 2 => {
                    level.folders.insert(name.to_owned(), entry.id);
                }
                Ok(name) if is_hex(name) && !entry.is_folder() && name.len() == rest => {
                    level.notes.insert(name.to_owned(), entry.id);
                }
                _ => level.others.push(entry),
            }
        }
        Ok(level)
    }

    /// git's rule: a level is fanned out when below each of the sixteen next digits stands more than one note.
    fn is_crowded(&self) -> bool {
        let mut counts = [0_u32; 16];
        for name in self.notes.keys() {
            let digit = name.as_bytes()[0];
            let value = if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
            counts[usize::from(value)] += 1;
        }
        counts.iter().all(|count| *count > 1)
    }
}

/// Writes a level with edits, whose keys are what is left of the ids; `None` when nothing is left.
fn write_level(
    repository: &Repository,
    tree: Option<ObjectId>,
    edits: BTreeMap<String, Option<ObjectId>>,
) -> Result<Option<ObjectId>, GitError> {
    let Some(rest) = edits.keys().next().map(String::len) else { return Ok(tree) };
    let mut level = Level::read(repository, tree, rest)?;
    // An edit of a note that stands further down must reach it there, so that no id ever stands twice.
    let mut below: BTreeMap<String, BTreeMap<String, Option<ObjectId>>> = BTreeMap::new();
    let mut push_down = |name: &str, blob| {
        below.entry(name[..2].to_owned()).or_default().insert(name[2..].to_owned(), blob);
    };
    for (name, blob) in edits {
        match blob {
            Some(blob) if level.folders.is_empty() => drop(level.notes.insert(name, blob)),
            _ => {
                level.notes.remove(&name);
                if !level.folders.is_empty() {
                    push_down(&name, blob);
                }
            }
        }
    }
    if rest > 2 && (!level.folders.is_empty() || level.is_crowded()) {
        for (name, blob) in std::mem::take(&mut level.notes) {
            push_down(&name, Some(blob));
        }
    }
    for (name, edits) in below {
        let folder = level.folders.remove(&name);
        level.folders.extend(write_level(repository, folder, edits)?.map(|folder| (name, folder)));
    }
    let file = |mode: &[u8], (name, id): (String, ObjectId)| TreeEntry {
        mode: mode.to_vec(),
        name: name.into(),
        id,
    };
    let mut entries = level.others;
    entries.extend(level.notes.into_iter().map(|note| file(FILE, note)));
    entries.extend(level.folders.into_iter().map(|folder| file(FOLDER, folder)));
    if entries.is_empty() {
        return Ok(None);
    }
    repository.write(Kind::Tree, &object::tree_bytes(entries)).map(Some)
}
