//! What is wished for branches in the queue.

use super::SetError;
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
    let mut waited_for = vec![after.clone()];
    while let Some(last) = waited_for.last() {
        if branches.contains(last) {
            return Err(SetError::AfterItself { branch: last.clone(), after: after.clone() });
        }
        let branch = view.authority_branch(last)?;
        let next = branch.and_then(|branch| branch.note?.after).and_then(|name| RefName::branch(&name).ok());
        match next.filter(|next| !waited_for.contains(next)) {
            Some(next) => waited_for.push(next),
            None => break,
        }
    }
    Ok(())
}
