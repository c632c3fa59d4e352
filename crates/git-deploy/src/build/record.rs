//! The digests of a commit's images in its note.

use std::cell::RefCell;
use std::collections::BTreeSet;

use git_deploy_core::git::notes::{NotesEdit, NotesError};
use git_deploy_core::ids::CommitId;

use super::{Error, Image, Maker};

impl Maker<'_> {
    /// Writes the digests into the commit's note, if it has one.
    pub(super) fn record(&self, commit: CommitId, images: &[Image]) -> Result<(), Error> {
        let pinned: Vec<&Image> = images.iter().filter(|image| image.digest.is_some()).collect();
        if pinned.is_empty() {
            return Ok(());
        }
        let replaced = RefCell::new(BTreeSet::new());
        let identity = self.repository.identity()?;
        self.repository.write_notes::<NotesError>(&identity, |notes| {
            let mut edit =
                NotesEdit { message: format!("images of {}", commit.brief()), ..NotesEdit::default() };
            if let Some(mut note) = notes.get(commit)? {
                let before = note.images.clone();
                for image in &pinned {
                    let is_of = |old: &String| {
                        old.strip_prefix(&image.name.to_string()).is_some_and(|rest| rest.starts_with('@'))
                    };
                    let (old, kept): (Vec<_>, Vec<_>) = note.images.drain(..).partition(is_of);
                    note.images = kept;
                    note.images.push(image.pinned());
                    replaced.borrow_mut().extend(old.into_iter().filter(|old| *old != image.pinned()));
                }
                if note.images != before {
                    edit.set(commit, &note);
                }
            }
            Ok(edit)
        })?;
        for old in replaced.into_inner() {
            let why = "which is what its note said until now";
            self.observer
                .warn(&format!("the registry has another image under that name than '{old}', {why}"));
        }
        Ok(())
    }
}
