//! What a program wrote last, for whoever did not see it while it worked.

use std::cell::RefCell;
use std::collections::VecDeque;

use git_deploy_core::ops::Observer;

/// How many lines are enough to see what went wrong.
const KEPT: usize = 10;

/// The last lines of the program that wrote last.
#[derive(Default)]
pub(super) struct LastLines(RefCell<(String, VecDeque<String>)>);

impl LastLines {
    /// Keeps a line, in place of what another program wrote.
    pub(super) fn hear(&self, program: &str, line: &str) {
        let mut heard = self.0.borrow_mut();
        let (who, lines) = &mut *heard;
        if who != program {
            program.clone_into(who);
            lines.clear();
        }
        if line.trim().is_empty() {
            return;
        }
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// Tells what is kept.
    pub(super) fn tell(&self, observer: &dyn Observer) {
        let (program, lines) = self.0.take();
        observer.wrote_last(&program, &Vec::from(lines));
    }
}
