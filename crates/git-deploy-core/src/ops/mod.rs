//! The use cases: what a command does, put together from the pure modules and [`crate::git`].
//!
//! Each reads what it needs, lets a pure function decide, and writes in an order that leaves something true behind at
//! every step. None of them prints: what is worth telling is returned, or given to an [`Observer`] on the way.

pub mod approve;
mod brought;
pub mod carry;
mod copied;
pub mod deploy;
pub mod fetched;
pub mod held;
pub mod history;
pub mod hold;
pub mod hooks;
pub mod init;
pub mod outlook;
pub mod promote;
pub mod receive;
pub mod set_state;
pub mod stale;
pub mod standstill;
pub mod story;
pub mod sweep;
pub mod sync;
pub mod transact;
pub mod under_way;
pub mod view;
pub mod work_off;

use crate::git::notes::NotesError;
use sweep::Fate;
use sync::{DifferingTag, Withdrawn, told_withdrawn};
use view::View;

pub use crate::interrupt::{Interrupt, Interrupted, before_a_wait};

/// Told what happens on the way, by the operations that take long.
pub trait Observer {
    /// A step begins or ended: a verb, as in `Landing`, and what it is done to.
    fn step(&self, verb: &str, text: &str);
    /// Something that the user should know, though it stops nothing.
    fn warn(&self, text: &str);
    /// Something that explains what happens, though nothing is wrong.
    fn note(&self, text: &str) {
        self.step("Note", text);
    }
    /// A deployment's tag that is not the same here and on a remote, and is left.
    fn tag_differs(&self, tag: &DifferingTag) {
        self.warn(&tag.to_string());
    }
    /// Branches of ours that somebody has taken back, as came to be known just now.
    fn withdrawn(&self, withdrawn: &[Withdrawn]) {
        told_withdrawn(withdrawn).iter().for_each(|line| self.warn(line));
    }
    /// Notes that cannot be read, of branches that therefore count as in development.
    fn unreadable(&self, _view: &View<'_>, notes: &[NotesError]) {
        notes.iter().for_each(|error| self.warn(&error.to_string()));
    }
    /// So many of these branches are judged.
    fn judged(&self, _done: usize, _total: usize) {}
    /// What has become of a branch that is kept on base.
    fn rebased(&self, outcome: &sweep::Outcome) {
        tell_rebased(self, outcome);
    }
    /// A line that a program wrote, such as one that builds an image: which program or what it is about, and the line.
    fn wrote(&self, program: &str, line: &str) {
        self.step(program, &format!("| {line}"));
    }
    /// What a program wrote last that failed, which was told line by line before. For whoever was shown none of it.
    fn wrote_last(&self, _program: &str, _lines: &[String]) {}
}

/// Tells in words what has become of a branch that is kept on base, if anything has.
pub fn tell_rebased(observer: &(impl Observer + ?Sized), outcome: &sweep::Outcome) {
    let name = outcome.branch.short();
    match &outcome.fate {
        Fate::Rebased => observer.step("Rebased", &format!("'{name}'")),
        Fate::Broken { reason, was_broken: false, .. } => {
            observer.warn(&format!("'{name}' is broken: {reason}"));
        }
        Fate::Current | Fate::Restored | Fate::Broken { .. } | Fate::Skipped { .. } => {}
    }
}
