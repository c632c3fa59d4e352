//! Several branches on one commit, of which one note speaks.

use super::{SetError, SetRequest};
use crate::branch::Branch;
use crate::git::Identity;
use crate::ids::RefName;
use crate::note::Note;
use crate::record::plain;
use crate::state::State;

/// A decision about a commit whose note speaks for other branches too: one more may join them, and one may leave.
pub(super) fn share(
    mut note: Note,
    others: &[RefName],
    branch: &Branch,
    request: &SetRequest,
    identity: &Identity,
    rev: u64,
) -> Result<Note, SetError> {
    if request.state == note.state {
        if let Some(other) = others.iter().find(|other| !request.branches.contains(other))
            && says_otherwise(&note, request)
        {
            let (branch, to, other) = (branch.name.clone(), request.state, other.clone());
            return Err(SetError::SharedWords { branch, to, other });
        }
        if !note.refs.contains(&branch.name) {
            // What is said of a commit is said of all its branches; it was decided for this one by whoever brings it.
            note.by = Some(plain(identity.who()));
        }
        note.refs = others.iter().chain([&branch.name]).cloned().collect();
        note.since = note.since.or(Some(identity.time()));
        note.message = request.message.clone().or(note.message);
        note = request.wishes.written_to(note);
        note.approved = Some(branch.tip);
    } else if request.state == State::Development {
        note.refs = others.to_vec();
    } else {
        let (branch, to) = (branch.name.clone(), request.state);
        let other = others.first().unwrap_or(&branch).clone();
        return Err(SetError::Shared { branch, to, other, state: note.state });
    }
    note.rev = rev;
    // It was made for other branches than these.
    note.approval = None;
    Ok(note)
}

/// Whether a request would change what is said of the others that the note speaks for. To hold all of them is only careful, and
/// what is held together goes on together.
fn says_otherwise(note: &Note, request: &SetRequest) -> bool {
    let wished = Note { hold: note.hold.clone(), ..request.wishes.written_to(note.clone()) };
    // Without a message there is nothing to take away.
    let message = request.message.as_ref().filter(|message| !message.is_empty());
    let says = request.message.is_some() && message != note.message.as_ref();
    says || (wished.priority.unwrap_or(0), &wished.after) != (note.priority.unwrap_or(0), &note.after)
}
