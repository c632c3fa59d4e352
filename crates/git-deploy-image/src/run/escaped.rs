//! What a program started that has left its group on purpose (`setsid`, a daemon). It is found by a variable in its
//! environment that nobody else's has, or by the folder that is the root of all files for it. What takes that away as well
//! is not found, and where no system says such things of a process nothing is.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

/// The variable. Who runs within another run has both marks in it, so that the outer one finds it too.
pub(crate) const VARIABLE: &str = "GIT_DEPLOY_RUN";

/// How long what is asked to end has for that.
const GRACE: Duration = Duration::from_secs(1);

/// What tells a program, and all that it starts, from all others.
pub struct Mark(String);

impl Mark {
    /// One that no other run has.
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        Self(new_mark())
    }

    /// The variable that a program of that run has to be given, and its value.
    pub fn variable(&self) -> (&'static str, String) {
        (VARIABLE, value(&self.0))
    }

    /// Ends all that a program of that run has started and that is still there, where the system says which that is (Linux). It is
    /// asked first, so that it can take its locks and what else it has written away.
    pub fn end_started_by(&self, program: u32) {
        let program = program.to_string();
        end_marked_but(&self.0, GRACE, &|process| process.file_name().is_some_and(|id| *id == *program));
    }
}

/// A mark that no other run has.
pub(super) fn new_mark() -> String {
    let random = |of: &str| RandomState::new().hash_one(of);
    format!("{}-{:016x}{:016x}", std::process::id(), random("high"), random("low"))
}

/// What the variable is for a program of that run.
pub(super) fn value(mark: &str) -> String {
    match env::var(VARIABLE) {
        Ok(outer) if !outer.is_empty() => format!("{outer}:{mark}"),
        _ => mark.to_owned(),
    }
}

/// Ends all that has the mark.
pub(super) fn end_marked(mark: &str) {
    end_marked_but(mark, Duration::ZERO, &|_| false);
}

fn end_marked_but(mark: &str, grace: Duration, is_left: &dyn Fn(&Path) -> bool) {
    let is_of_it = |entry: &[u8]| {
        let value = entry.strip_prefix(VARIABLE.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| value.split(|byte| *byte == b':').any(|of| of == mark.as_bytes()))
    };
    linux::end(grace, &|process| {
        if is_left(process) {
            return false;
        }
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(is_of_it)
    });
}

/// Ends all that sees no other files than some below that folder, as what runs in a chroot there.
pub(crate) fn end_below(folder: &Path) {
    let Ok(folder) = folder.canonicalize() else { return };
    linux::end(Duration::ZERO, &|process| {
        std::fs::read_link(process.join("root")).is_ok_and(|root| root.starts_with(&folder))
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    /// How long is waited for what was told to end: what waits for a disk that does not answer ends when that does.
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(2);

    /// Ends those processes: it is asked of each by its folder in `/proc`, where what is of others cannot be read. What is not
    /// ended within that grace after it was asked to is ended for certain.
    pub(super) fn end(grace: Duration, is_one: &dyn Fn(&Path) -> bool) {
        // What is told to end is there for another moment, and may have started something just before.
        let asked = Instant::now();
        let mut told = HashSet::new();
        let is_over = || asked.elapsed() >= PATIENCE;
        while !is_over() {
            let mut is_found = false;
            for (id, process) in all() {
                // Each may take its time to say what it is.
                if is_over() {
                    return;
                }
                if !is_one(&process) {
                    continue;
                }
                is_found = true;
                let is_asked = asked.elapsed() < grace;
                if is_asked && !told.insert(id) {
                    continue;
                }
                // What is behind it is this process alone, also when another one gets its number.
                let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
                if is_one(&process) {
                    let signal = if is_asked { Signal::TERM } else { Signal::KILL };
                    let _ = pidfd_send_signal(&handle, signal);
                }
            }
            if !is_found {
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    fn all() -> impl Iterator<Item = (Pid, PathBuf)> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let id = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            Some((id, entry.path()))
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    pub(super) fn end(_grace: std::time::Duration, _is_one: &dyn Fn(&std::path::Path) -> bool) {}
}
