//! What a program started that has left its group on purpose (`setsid`, a daemon). It is found by a variable in its
//! environment that nobody else's has, or by the folder that is the root of all files for it. What takes that away as well
//! is not found, and where no system says such things of a process nothing is.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// The variable. Who runs within another run has both marks in it, so that the outer one finds it too.
pub(crate) const VARIABLE: &str = "GIT_DEPLOY_RUN";

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
    let is_of_it = |entry: &[u8]| {
        let value = entry.strip_prefix(VARIABLE.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| value.split(|byte| *byte == b':').any(|of| of == mark.as_bytes()))
    };
    linux::end(&|process| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(is_of_it)
    });
}

/// Ends all that sees no other files than some below that folder, as what runs in a chroot there.
pub(crate) fn end_below(folder: &Path) {
    let Ok(folder) = folder.canonicalize() else { return };
    linux::end(&|process| {
        std::fs::read_link(process.join("root")).is_ok_and(|root| root.starts_with(&folder))
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    /// How long is waited for what was told to end: what waits for a disk that does not answer ends when that does.
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(2);

    /// Ends those processes: it is asked of each by its folder in `/proc`, where what is of others cannot be read.
    pub(super) fn end(is_one: &dyn Fn(&Path) -> bool) {
        // What is told to end is there for another moment, and may have started something just before.
        let asked = Instant::now();
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
                // What is behind it is this process alone, also when another one gets its number.
                let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
                if is_one(&process) {
                    let _ = pidfd_send_signal(&handle, Signal::KILL);
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
    pub(super) fn end(_is_one: &dyn Fn(&std::path::Path) -> bool) {}
}
