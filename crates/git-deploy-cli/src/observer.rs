//! Telling the user what the core's operations do on the way.

use std::cell::RefCell;

use git_deploy_core::ops::Observer;
use git_deploy_core::ops::sync::DifferingTag;

use crate::{Shell, tell_differing};

/// Hands what an operation tells on to the shell: warnings always, steps only to somebody who asked for more.
pub struct ShellObserver<'a>(RefCell<&'a mut Shell>);

impl<'a> ShellObserver<'a> {
    /// Tells it to this shell.
    pub fn new(shell: &'a mut Shell) -> Self {
        Self(RefCell::new(shell))
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
        self.0.borrow_mut().verbose(1, format!("{verb} {text}"));
    }

    fn warn(&self, text: &str) {
        self.0.borrow_mut().warn(text);
    }

    fn note(&self, text: &str) {
        self.0.borrow_mut().note(text);
    }

    fn tag_differs(&self, tag: &DifferingTag) {
        tell_differing(tag, &mut self.0.borrow_mut());
    }
}
