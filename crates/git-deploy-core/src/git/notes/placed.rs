//! Where the note on a commit stands in the tree: a writer without fan-out may have left a second one beside the folders.
//!
//! Git reads both as one text, and writes that with its next note. So do we: of two states it makes a note that is malformed, and
//! counts for nothing until somebody decides, where taking either could let hold what was withdrawn in the other.

use crate::git::object::Kind;
use crate::git::{GitError, Repository};
use crate::ids::ObjectId;
use crate::note::{MAX_BYTES, NoteError};

/// What is the note on a commit: a blob, and another one where a second text stands further down in the tree. A third text says
/// nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoteBlob {
    upper: ObjectId,
    lower: Option<ObjectId>,
}

impl From<ObjectId> for NoteBlob {
    fn from(upper: ObjectId) -> Self {
        Self { upper, lower: None }
    }
}

impl NoteBlob {
    /// Whether a blob is part of it.
    pub fn holds(self, blob: ObjectId) -> bool {
        self.upper == blob || self.lower == Some(blob)
    }

    /// Adds a blob that is found below what was found.
    pub(super) fn place(found: &mut Option<Self>, blob: ObjectId) {
        found.get_or_insert_with(|| blob.into()).put(blob);
    }

    /// The same where something was found. One text is one note, wherever it stands.
    pub(super) fn put(&mut self, blob: ObjectId) {
        if blob != self.upper {
            self.lower.get_or_insert(blob);
        }
    }
}

impl Repository {
    /// The bytes of what stands for a note. Inside: what is wrong with it, where it is nothing that could be one; of
    /// a blob that is too large only the size is read, and one that is lost costs nobody the other notes.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub fn note_bytes(&self, blob: impl Into<NoteBlob>) -> Result<Result<Vec<u8>, NoteError>, GitError> {
        let NoteBlob { upper, lower } = blob.into();
        let Some(lower) = lower else { return self.blob_bytes(upper) };
        Ok(match (self.blob_bytes(lower)?, self.blob_bytes(upper)?) {
            (Ok(lower), Ok(upper)) => match joined(lower, &upper) {
                both if both.len() > MAX_BYTES => Err(NoteError::TooLarge(both.len() as u64)),
                both => Ok(both),
            },
            (Err(error), _) | (_, Err(error)) => Err(error),
        })
    }

    fn blob_bytes(&self, blob: ObjectId) -> Result<Result<Vec<u8>, NoteError>, GitError> {
        match self.read_at_most(blob, Kind::Blob, MAX_BYTES) {
            Err(GitError::TooLarge { size, .. }) => Ok(Err(NoteError::TooLarge(size))),
            Err(error @ (GitError::Kind { .. } | GitError::Missing { .. } | GitError::Read { .. })) => {
                let is_lost = !matches!(error, GitError::Kind { .. });
                Ok(Err(NoteError::Object(error.to_string(), is_lost)))
            }
            bytes => bytes.map(Ok),
        }
    }

    /// One blob for two that stand for one note, for whoever writes the tree anew.
    pub(super) fn joined_note(&self, upper: ObjectId, lower: ObjectId) -> Result<ObjectId, GitError> {
        match (self.blob_bytes(lower)?, self.blob_bytes(upper)?) {
            _ if lower == upper => Ok(upper),
            (Ok(lower), Ok(upper)) => self.write(Kind::Blob, &joined(lower, &upper)),
            // What cannot be read counts for nothing either.
            (Err(_), _) => Ok(lower),
            (Ok(_), Err(_)) => Ok(upper),
        }
    }
}

/// Two texts as git joins them (`combine_notes_concatenate` in `notes.c`).
fn joined(mut lower: Vec<u8>, upper: &[u8]) -> Vec<u8> {
    if lower.is_empty() || upper.is_empty() {
        return if lower.is_empty() { upper.to_vec() } else { lower };
    }
    if lower.last() == Some(&b'\n') {
        lower.pop();
    }
    lower.extend(b"\n\n");
    lower.extend(upper);
    lower
}
