//! Telling the user, or the program that reads `--json`, what happens on the way.

use std::cell::RefCell;

use git_deploy::rebased::event;
use git_deploy_cli::{Shell, tell_differing, warn_of_note, warn_of_notes};
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ops::sweep::Outcome;
use git_deploy_core::ops::sync::{DifferingTag, Withdrawn, told_withdrawn};
use git_deploy_core::ops::view::View;
use git_deploy_core::ops::{Observer, tell_rebased};
use serde_json::{Value, json};

/// Hands events on to the shell.
pub(crate) struct Events<'a> {
    shell: RefCell<&'a mut Shell>,
    json: bool,
}

impl<'a> Events<'a> {
    pub(crate) fn new(shell: &'a mut Shell, json: bool) -> Self {
        Self { shell: RefCell::new(shell), json }
    }

    /// Whether a program reads.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Uses the shell.
    pub(crate) fn shell<T>(&self, say: impl FnOnce(&mut Shell) -> T) -> T {
        say(&mut self.shell.borrow_mut())
    }

    /// Prints one object for the program that reads.
    pub(crate) fn object(&self, object: &Value) {
        self.shell(|shell| shell.json(object));
    }
}

impl Observer for Events<'_> {
    fn step(&self, verb: &str, text: &str) {
        if self.json {
            // A line without a verb of its own goes on with what was seen.
            let step = if verb.is_empty() { "seen".to_owned() } else { verb.to_lowercase() };
            self.object(&json!({ "event": "step", "step": step, "text": text }));
        } else {
            self.shell(|shell| shell.status(verb, text));
        }
    }

    fn rebased(&self, outcome: &Outcome) {
        match event(outcome).filter(|_| self.json) {
            Some(event) => self.object(&event),
            None => tell_rebased(self, outcome),
        }
    }

    fn wrote(&self, program: &str, line: &str) {
        if self.json {
            self.step("log", &format!("{program} | {line}"));
        } else {
            self.shell(|shell| shell.status(program, format!("| {line}")));
        }
    }

    fn warn(&self, text: &str) {
        if self.json {
            self.object(&json!({ "event": "warning", "text": text }));
        }
        self.shell(|shell| shell.warn(text));
    }

    fn tag_differs(&self, tag: &DifferingTag) {
        match self.json {
            true => self.warn(&tag.to_string()),
            false => self.shell(|shell| tell_differing(tag, shell)),
        }
    }

    fn unreadable(&self, view: &View<'_>, notes: &[NotesError]) {
        for error in notes.iter().filter(|_| self.json) {
            self.object(&json!({ "event": "warning", "text": error.to_string() }));
        }
        // Without the branches on their commits they are told all the same.
        if self.shell(|shell| warn_of_notes(view, notes, shell)).is_err() {
            notes.iter().for_each(|error| self.shell(|shell| warn_of_note(error, shell)));
        }
    }

    fn note(&self, text: &str) {
        if self.json {
            self.object(&json!({ "event": "note", "text": text }));
        } else {
            self.shell(|shell| shell.note(text));
        }
    }

    fn withdrawn(&self, withdrawn: &[Withdrawn]) {
        for line in told_withdrawn(withdrawn).iter().filter(|_| self.json) {
            self.object(&json!({ "event": "warning", "text": line }));
        }
        self.shell(|shell| shell.withdrawn(withdrawn));
    }

    fn wrote_last(&self, program: &str, lines: &[String]) {
        // It is in the steps otherwise.
        if !self.json {
            self.shell(|shell| shell.wrote_last(program, lines));
        }
    }
}
