//! The tree of notes: reading one, reading all, writing some, in the shape that git itself gives it.
//!
//! A notes tree maps object ids to blobs. Small ones are flat; where an id space is well filled git puts the first two
//! digits of the ids into folders ("fan-out"), see `notes.c`. libgit2 never does, and neither `git notes` nor libgit2
//! survive concurrent writers, so both the tree and the compare-and-swap are ours.

mod many;
mod opened;
mod placed;
mod said;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::git::object::{Commit, Kind, TreeEntry};
use crate::git::refs::{Expected, Mover, RefUpdate, RefsError, backoff};
use crate::git::{GitError, Identity, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::note::{MAX_BYTES, Note, NoteError};
use crate::sync::NoteTexts;

use opened::Opened;
use said::Said;

pub use placed::NoteBlob;

/// The name of the notes ref.
pub const NOTES_REF: &str = "refs/notes/deploy";

/// How many rebases of a commit are gone back.
pub const FAR: usize = 1000;

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

/// A note that was read: the blob, and its bytes.
type ReadNote = (NoteBlob, Vec<u8>);

/// The notes as they stood at one moment. A copy knows what was read by the others.
#[derive(Clone)]
pub struct Notes<'a> {
    repository: &'a Repository,
    /// The commit on the notes ref; none if there are no notes.
    pub commit: Option<CommitId>,
    tree: Option<ObjectId>,
    /// The trees that were looked into, because each look-up goes through the upper ones.
    opened: Rc<RefCell<HashMap<ObjectId, Rc<[TreeEntry]>>>>,
    /// The note that was read last, because several questions about a branch read it.
    last: Rc<RefCell<Option<ReadNote>>>,
    /// All that they ever said, once that was asked.
    said: Rc<OnceCell<Said>>,
    /// Notes that they once were, which may know already what was said up to then.
    before: Option<Rc<Self>>,
    /// Whether what they ever said may be kept for the next time.
    keeps: bool,
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
        let tip = self.tip(&notes_ref())?;
        let notes = self.notes_at(tip).map(|notes| Notes { keeps: !self.is_aside(), ..notes });
        notes.map_err(|error| match error {
            GitError::Kind { .. }
            | GitError::Missing { .. }
            | GitError::Read { .. }
            | GitError::Malformed { .. } => GitError::NotesRef {
                before: tip.and_then(|tip| self.before(NOTES_REF, tip)),
                error: Box::new(error),
            },
            error => error,
        })
    }

    /// The notes as a commit of a notes ref has them.
    ///
    /// # Errors
    /// When that commit cannot be read.
    pub fn notes_at(&self, commit: Option<CommitId>) -> Result<Notes<'_>, GitError> {
        let tree = commit.map(|commit| self.commit(commit).map(|commit| commit.tree)).transpose()?;
        let (opened, last, said) = Default::default();
        Ok(Notes { repository: self, commit, tree, opened, last, said, before: None, keeps: false })
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
        edit: impl FnMut(&Notes<'_>) -> Result<NotesEdit, E>,
    ) -> Result<Option<CommitId>, E> {
        self.write_notes_by(identity, None, edit)
    }

    /// Starts a git for what will be written in all likelihood, before it is known what: that takes as long as to find it out.
    /// The reflog gets this subject.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn write_notes_soon(&self, subject: &str) -> Result<NotesWriter<'_>, NotesError> {
        let mover = self.start_moving(&format!("notes: {subject}")).map_err(NotesError::Git)?;
        Ok(NotesWriter { repository: self, mover })
    }

    fn write_notes_by<E: From<NotesError>>(
        &self,
        identity: &Identity,
        mut started: Option<Mover<'_>>,
        mut edit: impl FnMut(&Notes<'_>) -> Result<NotesEdit, E>,
    ) -> Result<Option<CommitId>, E> {
        for tries in 1..=WRITE_TRIES {
            let notes = self.notes().map_err(NotesError::Git)?;
            let edit = edit(&notes)?;
            if edit.changes_nothing() {
                return Ok(notes.commit);
            }
            let subject = edit.message.lines().next().unwrap_or_default();
            // Git starts while the objects are written.
            let start = || self.start_moving(&format!("notes: {subject}")).map_err(NotesError::Git);
            let mover = started.take().map_or_else(start, Ok)?;
            let Some(commit) = notes.commit_with(&edit, identity)? else {
                return Ok(notes.commit);
            };
            match mover.update(&[notes.update_to(commit)]) {
                Ok(()) => return Ok(Some(commit)),
                Err(RefsError::Moved(_)) => crate::machine::sleep(backoff(tries)),
                Err(RefsError::Git(error)) => return Err(NotesError::Git(error).into()),
            }
        }
        Err(NotesError::Contended.into())
    }
}

/// A git that waits to be told what to write. If it never is, nothing is.
#[must_use]
pub struct NotesWriter<'a> {
    repository: &'a Repository,
    mover: Mover<'a>,
}

impl NotesWriter<'_> {
    /// Writes notes, as [`Repository::write_notes`].
    ///
    /// # Errors
    /// As there.
    pub fn write<E: From<NotesError>>(
        self,
        identity: &Identity,
        edit: impl FnMut(&Notes<'_>) -> Result<NotesEdit, E>,
    ) -> Result<Option<CommitId>, E> {
        self.repository.write_notes_by(identity, Some(self.mover), edit)
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
    fn changes_nothing(&self) -> bool {
        self.edits.is_empty() && self.merged.is_none()
    }

    /// Adds a note.
    pub fn set(&mut self, commit: CommitId, note: &Note) {
        self.edits.insert(commit, Some(note.on(commit).to_string().into_bytes()));
    }
}

impl Notes<'_> {
    /// The notes as a later commit of their ref has them. Of what they ever said only that is looked for which came since.
    ///
    /// # Errors
    /// When that commit cannot be read.
    pub fn later(&self, commit: CommitId) -> Result<Self, GitError> {
        let later = self.repository.notes_at(Some(commit))?;
        Ok(Self { before: Some(Rc::new(self.clone())), ..later })
    }

    /// What is the note on a commit.
    fn blob(&self, commit: CommitId) -> Result<Option<NoteBlob>, GitError> {
        let hex = commit.to_string();
        let mut rest = hex.as_str();
        let (mut tree, mut found) = (self.tree, None);
        while let Some(id) = tree {
            let entries = self.open(id)?;
            let find = |name: &str| find(&entries, name);
            if let Some(entry) = find(rest).filter(|entry| entry.is_file()) {
                NoteBlob::place(&mut found, entry.id);
            }
            if rest.len() <= 2 {
                break;
            }
            tree = find(&rest[..2]).filter(|entry| entry.is_folder()).map(|entry| entry.id);
            rest = &rest[2..];
        }
        Ok(found)
    }

    /// The note on a commit whose blob is known.
    ///
    /// # Errors
    /// When it is malformed, or cannot be read.
    pub fn read(&self, commit: CommitId, blob: NoteBlob) -> Result<Note, NotesError> {
        let malformed = |error| NotesError::Note { commit, error };
        let mut last = self.last.borrow_mut();
        let known = last.take().filter(|(known, _)| *known == blob).map(|(_, bytes)| bytes);
        let bytes = match known {
            Some(bytes) => bytes,
            None => self.repository.note_bytes(blob)?.map_err(malformed)?,
        };
        let note = Note::parse(&bytes).map_err(malformed);
        *last = Some((blob, bytes));
        note
    }

    fn open(&self, tree: ObjectId) -> Result<Rc<[TreeEntry]>, GitError> {
        if let Some(entries) = self.opened.borrow().get(&tree) {
            return Ok(Rc::clone(entries));
        }
        let entries: Rc<[TreeEntry]> = self.repository.tree(tree)?.into();
        self.opened.borrow_mut().insert(tree, Rc::clone(&entries));
        Ok(entries)
    }

    /// The tree that they stand in.
    pub fn tree(&self) -> Option<ObjectId> {
        self.tree
    }

    /// The bytes of the note on a commit; none where they cannot be those of a note.
    ///
    /// # Errors
    /// When a tree or the note cannot be read.
    pub fn bytes(&self, commit: CommitId) -> Result<Option<Vec<u8>>, GitError> {
        let bytes = self.blob(commit)?.map(|blob| self.repository.note_bytes(blob)).transpose()?;
        Ok(bytes.and_then(Result::ok))
    }

    /// The note on a commit.
    ///
    /// # Errors
    /// When it is there but malformed, or cannot be read.
    pub fn get(&self, commit: CommitId) -> Result<Option<Note>, NotesError> {
        self.blob(commit)?.map(|blob| self.read(commit, blob)).transpose()
    }

    /// The notes on what the commit of a note was rebased from, as far back as one leads to the other. A branch may be set
    /// back to these commits, so that nothing must stay there that was withdrawn.
    ///
    /// # Errors
    /// When a note cannot be read; one that is malformed ends the line.
    pub fn rebased_from(&self, note: &Note) -> Result<NoteTexts, NotesError> {
        let mut line = NoteTexts::new();
        let mut from = note.rebased_from;
        while let Some(commit) = from.filter(|commit| line.len() < FAR && !line.contains_key(commit)) {
            let before = match self.get(commit) {
                Err(NotesError::Note { .. }) => None,
                before => before?,
            };
            let Some(before) = before else { break };
            line.insert(commit, before.to_string().into_bytes());
            from = before.rebased_from;
        }
        Ok(line)
    }

    /// All notes: what stands on which commit. Whatever else is in the tree is passed over.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn all(&self) -> Result<BTreeMap<CommitId, NoteBlob>, GitError> {
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
        found: &mut BTreeMap<CommitId, NoteBlob>,
    ) -> Result<(), GitError> {
        let (folders, others): (Vec<_>, Vec<_>) =
            self.repository.tree(tree)?.into_iter().partition(TreeEntry::is_folder);
        let files = others.into_iter().filter(TreeEntry::is_file);
        // The upper ones first, as a look-up finds them.
        for entry in files.chain(folders) {
            let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
            let path = format!("{prefix}{name}");
            if entry.is_folder() {
                if name.len() == 2 && is_hex(name) {
                    self.collect(entry.id, &path, found)?;
                }
            } else if let Ok(commit) = path.parse() {
                NoteBlob::put(found.entry(commit).or_insert_with(|| entry.id.into()), entry.id);
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
        let mut opened = Opened::new(self, digits)?;
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

/// The entry of a name of hexadecimal digits. In git's order, in which the name of a folder ends with a slash, it stands
/// where plain comparing finds it, because a slash is less than any digit.
fn find<'e>(entries: &'e [TreeEntry], name: &str) -> Option<&'e TreeEntry> {
    let place = entries.binary_search_by(|entry| entry.name.as_slice().cmp(name.as_bytes()));
    place.ok().map(|place| &entries[place])
}

/// Whether a name has only the digits that ids are written with.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
