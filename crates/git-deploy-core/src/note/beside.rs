//! Decisions beside the one that a note shows, each in one line: its note, quoted as git quotes paths.

use super::Note;
use crate::git::object::{quote_path, unquote_path};
use crate::state::State;

impl Note {
    /// The same decision where nothing was found out about the commit.
    pub(super) fn without_verdict(&self) -> Self {
        let state = self.decision().map_or(self.state, State::from);
        Self { state, was: None, onto: None, conflicts: Vec::new(), ..self.clone() }
    }

    /// The note in one line.
    pub(super) fn quoted(&self) -> String {
        quote_path(self.to_string().as_bytes())
    }

    /// Reads such a line; none if it is no decision, or says more than one, or says it otherwise than it would be written.
    pub(super) fn of_quoted(quoted: &str) -> Option<Self> {
        // A text of lines is never without quotes; and with them each level within another one doubles what it escapes, so
        // that there are never many of them.
        let text = unquote_path(quoted).filter(|_| quoted.starts_with('"'))?;
        let note = Self::parse(&text).ok()?;
        let alone = Self {
            root: None,
            rebased_from: None,
            rebased_to: None,
            dropped: Vec::new(),
            deployment: None,
            result: None,
            images: Vec::new(),
            replaces: Vec::new(),
            beside: Vec::new(),
            unknown: Vec::new(),
            ..note.clone()
        };
        let is_decision = note.decision().is_some() && note.state != State::Deployed;
        (is_decision && note == alone && note.to_string().as_bytes() == text).then_some(note)
    }
}
