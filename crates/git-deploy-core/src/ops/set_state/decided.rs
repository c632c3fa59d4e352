//! What others decided about a branch before somebody here did, and nobody here was told: it is not to be overridden by that.

use std::fmt;

use super::SetError;
use crate::branch::Branch;
use crate::git::notes::NotesError;
use crate::ids::RefName;
use crate::ops::sync::Decided;
use crate::ops::view::{View, ViewError};
use crate::state::State;

/// A decision that came with what was fetched just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedThere(pub Decided);

impl fmt::Display for DecidedThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decided { state, since, by, why, earlier } = &self.0;
        let about = earlier.map_or("it".to_owned(), |earlier| earlier.told("it"));
        write!(f, "nobody here was told that {about} is {state}")?;
        since.map_or(Ok(()), |since| write!(f, " since {since}"))?;
        by.as_ref().map_or(Ok(()), |by| write!(f, ", set by {by}"))?;
        why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// What is known here of decisions about a branch: ours, and that of the remote where that is another one.
pub(super) struct Known([Option<Branch>; 2]);

impl Known {
    /// # Errors
    /// When refs or notes cannot be read. A note that cannot be read says nothing here.
    pub(super) fn of(view: &View<'_>, name: &RefName) -> Result<Self, SetError> {
        let readable = |branch: Result<Option<Branch>, ViewError>| match branch {
            Err(ViewError::NoBranch(_) | ViewError::Notes(NotesError::Note { .. })) => Ok(None),
            branch => branch,
        };
        let ours = readable(view.branch(name).map(|(branch, _)| Some(branch)))?;
        Ok(Self([ours, readable(view.authority_branch(name))?]))
    }

    /// What was decided since, and is not what is asked for.
    pub(super) fn overridden(&self, now: &Self, to: State) -> Option<DecidedThere> {
        let known: Vec<_> = self.0.iter().flatten().filter_map(decision).collect();
        let came = now.0.iter().flatten().filter(|branch| {
            decision(branch).is_some_and(|decision| !known.contains(&decision))
                && branch.state() != to
                && is_decided(branch)
        });
        came.filter_map(|branch| Some(DecidedThere(Decided::of(branch.state(), branch.note.clone()?)))).next()
    }
}

/// Whether somebody has decided what a branch is: of what base has by now nobody has decided that it is in development.
fn is_decided(branch: &Branch) -> bool {
    let noted = branch.note.as_ref().map(|note| note.state);
    branch.state().decision().is_some() && noted == Some(branch.state())
}

/// What makes one decision about a branch another than the one before.
fn decision(branch: &Branch) -> Option<(State, u64, Option<String>, Option<String>)> {
    let note = branch.note.as_ref()?;
    Some((branch.state(), note.rev, note.by.clone(), note.message.clone()))
}
