//! Telling the user what the core's operations do on the way.

use std::cell::RefCell;
use std::time::Instant;

use git_deploy_core::ops::Observer;
use git_deploy_core::ops::sync::{DifferingTag, Withdrawn};

use crate::{Progress, Shell, tell_differing};

/// Hands what an operation tells on to the shell: warnings always, steps only to somebody who asked for more.
pub struct ShellObserver<'a> {
    shell: RefCell<&'a mut Shell>,
    /// How many branches are judged, from when on that is shown.
    judged: RefCell<Option<Progress>>,
    begun: Instant,
}

impl<'a> ShellObserver<'a> {
    /// Tells it to this shell.
    pub fn new(shell: &'a mut Shell) -> Self {
        Self { shell: RefCell::new(shell), judged: RefCell::default(), begun: Instant::now() }
    }
}

/// Hands what an operation tells on to a shell only where somebody asked for more: for commands that only look, whose answer
/// is all that counts.
pub struct Onlooker<'a>(RefCell<&'a mut Shell>);

impl<'a> Onlooker<'a> {
    /// Tells it to this shell.
    pub fn new(shell: &'a mut Shell) -> Self {
        Self(RefCell::new(shell))
    }
}

impl Observer for Onlooker<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.0.borrow_mut().verbose(1, format!("{verb} {text}"));
    }

    fn warn(&self, text: &str) {
        self.0.borrow_mut().verbose(1, text);
    }

    fn note(&self, text: &str) {
        self.0.borrow_mut().verbose(1, text);
    }
}

impl Observer for ShellObserver<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.shell.borrow_mut().verbose(1, format!("{verb} {text}"));
    }

    fn warn(&self, text: &str) {
        self.shell.borrow_mut().warn(text);
    }

    fn note(&self, text: &str) {
        self.shell.borrow_mut().note(text);
    }

    fn judged(&self, done: usize, total: usize) {
        let mut shell = self.shell.borrow_mut();
        let mut judged = self.judged.borrow_mut();
        let begin = || Progress::since(self.begun, "Rebasing branches", Some(total));
        judged.get_or_insert_with(begin).update(&mut shell, done);
        if done == total {
            judged.take().into_iter().for_each(|progress| progress.finish(&mut shell));
        }
    }

    fn tag_differs(&self, tag: &DifferingTag) {
        tell_differing(tag, &mut self.shell.borrow_mut());
    }

    fn withdrawn(&self, withdrawn: &[Withdrawn]) {
        self.shell.borrow_mut().withdrawn(withdrawn);
    }
}
