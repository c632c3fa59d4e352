//! A hold of the whole queue: as long as it stands nobody is taken from it.
//!
//! It is a ref of its own, `refs/deploy/hold`, so that every runner sees it and nobody's approval is touched. Its commit
//! holds nothing but a text: who holds, since when, and why.

use jiff::Timestamp;

use crate::ids::RefName;
use crate::record::{Lines, Record, RecordError};

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 8 * 1024;

/// Why the queue is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHold {
    /// Who holds it.
    pub by: String,
    /// Since when; none where that cannot be read.
    pub since: Option<Timestamp>,
    /// Why, in their words.
    pub reason: String,
}

impl QueueHold {
    /// The text of the commit on [`hold_ref`].
    pub fn to_text(&self) -> String {
        let mut record = Record::new("the queue is held");
        record.line("by", &self.by);
        record.maybe("since", self.since);
        record.line("reason", &self.reason);
        record.finish()
    }

    /// Reads that text.
    ///
    /// # Errors
    /// When a key is missing, or a value cannot be read.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let lines = Lines::of(text);
        Ok(Self { by: lines.need("by")?, since: Some(lines.need("since")?), reason: lines.need("reason")? })
    }

    /// One whose text cannot be read: somebody meant to hold the queue.
    pub(crate) fn unreadable(why: &str) -> Self {
        Self { by: "somebody".to_owned(), since: None, reason: format!("its reason cannot be read: {why}") }
    }
}

/// The ref that holds the queue.
pub fn hold_ref() -> RefName {
    RefName::new("refs/deploy/hold").unwrap_or_else(|_| unreachable!("it is a valid name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let hold = QueueHold {
            by: "Ada <ada@example.org>".into(),
            since: "2026-11-20T12:00:00Z".parse().ok(),
            reason: "the shop: sale".into(),
        };
        assert_eq!(QueueHold::parse(&hold.to_text()), Ok(hold.clone()));
        let lines = QueueHold { reason: "one\ntwo".into(), ..hold };
        assert_eq!(QueueHold::parse(&lines.to_text()).unwrap().reason, "one two");
    }

    #[test]
    fn what_says_too_little_cannot_be_read() {
        assert_eq!(QueueHold::parse("the queue is held\n\nby: Ada\n"), Err(RecordError::Missing("since")));
    }
}
