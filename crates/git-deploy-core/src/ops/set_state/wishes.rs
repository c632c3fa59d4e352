//! What is wished for branches in the queue.

use std::collections::BTreeSet;

use super::SetError;
use crate::git::GitError;
use crate::ids::RefName;
use crate::note::Note;
use crate::ops::view::View;

/// What is wished for branches in the queue. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// A new place: larger numbers come first.
    pub priority: Option<i64>,
    /// The branch that has to be deployed before; an inner `None` waits for nobody any more.
    pub after: Option<Option<RefName>>,
    /// Why it is not to be deployed just now; an inner `None` lets it go on.
    pub hold: Option<Option<String>>,
}

impl Wishes {
    /// A note with these wishes; the others are those that it had.
    pub(super) fn written_to(&self, note: Note) -> Note {
        let after = |after: &Option<RefName>| after.as_ref().map(|name| name.short().to_owned());
        Note {
            priority: self.priority.or(note.priority),
            after: self.after.as_ref().map_or(note.after, after),
            hold: self.hold.clone().unwrap_or(note.hold),
            ..note
        }
    }
}

/// Refuses branches that would wait for themselves, by way of those that `after` waits for.
pub(super) fn check_order(view: &View<'_>, branches: &[RefName], after: &RefName) -> Result<(), SetError> {
    let (mut left, mut known) = (vec![after.clone()], BTreeSet::new());
    while let Some(next) = left.pop() {
        if branches.contains(&next) {
            return Err(SetError::AfterItself { branch: next, after: after.clone() });
        }
        let note = view.authority_branch(&next)?.and_then(|branch| branch.note);
        if known.insert(next) {
            left.extend(note.iter().flat_map(Note::awaited).filter_map(|name| RefName::branch(name).ok()));
        }
    }
    Ok(())
}

/// What was wished for a branch in the queue, where somebody may want to wish it again for another commit of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wished {
    /// Its place.
    pub priority: Option<i64>,
    /// The branches that have to be deployed before, as far as they are there.
    pub after: Vec<RefName>,
    /// Why it was on hold.
    pub hold: Option<String>,
}

impl Wished {
    /// What a note says of that.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn of(view: &View<'_>, note: &Note) -> Result<Self, GitError> {
        let mut after = Vec::new();
        for name in note.awaited().filter_map(|name| RefName::branch(name).ok()) {
            if view.branch_tip(&name)?.is_some() {
                after.push(name);
            }
        }
        Ok(Self { priority: note.priority, after, hold: note.hold.clone() })
    }
}
