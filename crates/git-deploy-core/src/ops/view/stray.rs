//! Notes that people write where nobody looks for states.

use super::View;
use crate::branch::Branch;
use crate::git::GitError;
use crate::ids::{CommitId, RefName};
use crate::state::State;

impl View<'_> {
    /// What was written by hand into git's default notes, where nobody looks for states: the state that it names, where
    /// the branch is in another one.
    ///
    /// # Errors
    /// When these notes cannot be read.
    pub fn stray_note(&self, branch: &Branch) -> Result<Option<State>, GitError> {
        let Some(tip) = self.default_notes()? else { return Ok(None) };
        // Others' notes: what is wrong with them keeps nobody from a state.
        let Ok(notes) = self.repository.notes_at(Some(tip)) else { return Ok(None) };
        let text = notes.bytes(branch.tip)?.unwrap_or_default();
        let first = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
        let state = first.split_once(':').filter(|(key, _)| key.trim() == "state");
        let state =
            state.and_then(|(_, word)| word.split("//").next().unwrap_or_default().trim().parse().ok());
        Ok(state.filter(|state| *state != branch.state()))
    }

    fn default_notes(&self) -> Result<Option<CommitId>, GitError> {
        if let Some(tip) = self.default_notes.get() {
            return Ok(*tip);
        }
        let tip = self.repository.tip(&default_notes_ref())?;
        Ok(*self.default_notes.get_or_init(|| tip))
    }
}

/// Where `git notes` writes when it is not told otherwise.
fn default_notes_ref() -> RefName {
    RefName::new("refs/notes/commits").unwrap_or_else(|_| unreachable!("it is a valid name"))
}
