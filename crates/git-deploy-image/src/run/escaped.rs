//! What a program started that has left its group on purpose (`setsid`, a daemon), found by a variable in its environment
//! that nobody else's has. What takes that variable away as well is not found.

use std::env;
use std::hash::{BuildHasher, RandomState};
#[cfg(target_os = "linux")]
use std::{
    thread,
    time::{Duration, Instant},
};

/// The variable. Who runs within another run has both marks in it, so that the outer one finds it too.
pub(crate) const VARIABLE: &str = "GIT_DEPLOY_RUN";

/// How long is waited for what was told to end: what waits for a disk that does not answer ends when that does.
#[cfg(target_os = "linux")]
const PATIENCE: Duration = Duration::from_secs(2);
#[cfg(target_os = "linux")]
const PAUSE: Duration = Duration::from_millis(2);

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
#[cfg(target_os = "linux")]
pub(super) fn end(mark: &str) {
    use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    // What is told to end is there for another moment, and may have started something just before.
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        let marked = marked(mark);
        if marked.is_empty() {
            return;
        }
        for process in marked {
            // What is behind it is this process alone, also when another one gets its number.
            let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { continue };
            if has(process, mark) {
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Nothing says there what another process has in its environment.
#[cfg(not(target_os = "linux"))]
pub(super) fn end(_mark: &str) {}

#[cfg(target_os = "linux")]
fn marked(mark: &str) -> Vec<rustix::process::Pid> {
    use rustix::process::Pid;

    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let id = |entry: std::fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    entries.filter_map(id).filter(|process| has(*process, mark)).collect()
}

/// Whether a process has it in its environment; that of others cannot be read.
#[cfg(target_os = "linux")]
fn has(process: rustix::process::Pid, mark: &str) -> bool {
    let path = format!("/proc/{}/environ", process.as_raw_pid());
    let environment = std::fs::read(path).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| {
        let value = entry.strip_prefix(VARIABLE.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| value.split(|byte| *byte == b':').any(|of| of == mark.as_bytes()))
    })
}
