//! What a runner says: lines with times for people, objects with times for programs.

use std::cell::{OnceCell, RefCell};
use std::time::{Duration, Instant};

use git_deploy_cli::{CommandError, Shell};
use git_deploy_core::ops::{Interrupt, Observer};
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use crate::on_event::OnEvent;

/// How long a command that hears of an event may go on when the runner is asked to end: somebody waits for these words.
const GRACE: Duration = Duration::from_secs(5);

/// The log of one runner.
pub(crate) struct Log<'a> {
    shell: RefCell<&'a mut Shell>,
    is_json: bool,
    on_event: OnEvent,
    interrupt: &'a Interrupt,
}

impl<'a> Log<'a> {
    pub(crate) fn new(
        shell: &'a mut Shell,
        is_json: bool,
        on_event: OnEvent,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { shell: RefCell::new(shell), is_json, on_event, interrupt }
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
        let asked = OnceCell::new();
        let is_cancelled = || {
            let is_asked = !is_end && self.interrupt.check().is_err();
            is_asked && asked.get_or_init(Instant::now).elapsed() >= GRACE
        };
        for problem in self.on_event.tell(&event, &is_cancelled) {
            shell.warn(problem);
        }
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
}
