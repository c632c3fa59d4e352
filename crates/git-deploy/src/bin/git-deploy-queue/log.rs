//! What a runner says: lines with times for people, objects with times for programs.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use git_deploy_cli::{CommandError, Shell, differing};
use git_deploy_core::ops::sync::DifferingTag;
use git_deploy_core::ops::{Interrupt, Observer};
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use crate::on_event::OnEvent;

/// How long commands that hear of events may go on in all when the runner is asked to end: somebody waits for these words.
const GRACE: Duration = Duration::from_secs(5);

/// The log of one runner.
pub(crate) struct Log<'a> {
    shell: RefCell<&'a mut Shell>,
    is_json: bool,
    on_event: OnEvent,
    interrupt: &'a Interrupt,
    patience: Patience,
}

/// Since when the runner is asked to end, as far as that was seen.
#[derive(Default)]
struct Patience(Cell<Option<Instant>>);

impl Patience {
    /// Whether whoever hears of an event has had time enough.
    fn is_over(&self, now: Instant) -> bool {
        let since = self.0.get().unwrap_or(now);
        self.0.set(Some(since));
        now.duration_since(since) >= GRACE
    }
}

impl<'a> Log<'a> {
    pub(crate) fn new(
        shell: &'a mut Shell,
        is_json: bool,
        on_event: OnEvent,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { shell: RefCell::new(shell), is_json, on_event, interrupt, patience: Patience::default() }
    }

    /// Tells an event: the object to a program, the text to people, if there is one that they do not know yet.
    pub(crate) fn tell(&self, mut event: Value, text: Option<&str>) {
        event["time"] = now().into();
        let mut shell = self.shell.borrow_mut();
        if self.is_json {
            shell.json(&event);
        } else if let Some(text) = text {
            shell.status(now(), text);
        }
        // The last word is also for whoever asked it to end.
        let is_end = event["event"] == "end";
        let is_asked = || !is_end && self.interrupt.check().is_err();
        let is_cancelled = || is_asked() && self.patience.is_over(Instant::now());
        for problem in self.on_event.tell(&event, &is_cancelled) {
            shell.warn(problem);
        }
    }

    /// Whether a program reads.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Tells a line that was written for people, with the label of what wrote it. What programs are told by an event they are not told again.
    pub(crate) fn line(&self, label: &str, line: &str) {
        let is_told = ["warning: ", "error: ", "fatal: "].iter().any(|label| line.starts_with(label));
        if !(self.is_json && is_told) {
            let text = format!("{label}{line}");
            self.tell(json!({ "event": "line", "text": text }), Some(&text));
        }
    }
}

/// The last word of a runner that is asked to end for the second time, to a program: nobody else is there to say it.
pub(crate) fn last_word(signal: i32) -> String {
    let code = CommandError::interrupted(signal).exit().code();
    let event =
        json!({ "event": "end", "exit": code, "reason": "ends at once: interrupted again", "time": now() });
    format!("{event}\n")
}

fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

impl Observer for Log<'_> {
    fn step(&self, verb: &str, text: &str) {
        let step = verb.to_lowercase();
        self.tell(json!({ "event": "step", "step": step, "text": text }), Some(&format!("{step} {text}")));
    }

    fn warn(&self, text: &str) {
        self.tell(json!({ "event": "warning", "text": text }), Some(&format!("warning: {text}")));
    }

    fn note(&self, text: &str) {
        self.tell(json!({ "event": "note", "text": text }), Some(text));
    }

    fn tag_differs(&self, tag: &DifferingTag) {
        self.warn(&tag.to_string());
        differing(tag).iter().for_each(|hint| self.line("", &format!("hint: {hint}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_to_end_waits_for_all_that_hears_of_events_no_longer_than_for_one() {
        let (patience, asked) = (Patience::default(), Instant::now());
        let is_over = [0, 3, 4, 6].map(|seconds| patience.is_over(asked + Duration::from_secs(seconds)));
        assert_eq!(is_over, [false, false, false, true]);
        assert!(patience.is_over(asked + GRACE));
    }
}
