//! A program and all that it starts, as one group of processes that ends as a whole: also where this process is killed.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// What ends the group gently shall not end whoever ends it for certain.
const GUARD: &str = "trap '' HUP INT TERM; read -r _; kill -s KILL 0";
/// Ends what has the mark in its environment, and what that has started meanwhile. It is outside of the group, which so ends
/// at once: some process here, of whoever it is, may not say what is in its environment.
const SEEKER: &str = r#"trap '' HUP INT TERM
read -r _
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for file in $(grep -lsF -e "$1" /proc/[0-9]*/environ); do
    process=${file#/proc/}
    kill -s KILL "${process%/environ}" && found=1
  done
  [ "$found" ] || exit 0
done"#;

/// Leads a group of processes and ends all of it when nobody holds this any more, as when this process is killed: that alone
/// closes the pipe that it reads from.
///
/// What leaves the group on purpose (`setsid`) is reached by its environment alone.
pub(super) struct Group {
    guard: Child,
    /// Nobody else's as long as `guard` was not waited for.
    id: Pid,
    /// For what has left the group.
    seeker: Option<Child>,
}

impl Group {
    /// Begins a group with nobody in it but its guard. Where there is a mark, also what has that in its environment is ended,
    /// wherever it is, when this process is killed.
    pub(super) fn start(mark: Option<&str>) -> io::Result<Self> {
        let guard = watcher(GUARD, "")?;
        let id = i32::try_from(guard.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("it has no process group"))?;
        let mut group = Self { guard, id, seeker: None };
        group.seeker = mark.map(|mark| watcher(SEEKER, mark)).transpose()?;
        Ok(group)
    }

    /// Starts a program in it.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        command.process_group(self.id.as_raw_pid()).spawn()
    }

    /// Asks all of them to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all of them, the guard included.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // What is not there any more needs no end.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // Nobody could be told.
        let _ = self.guard.wait();
        if let Some(seeker) = &mut self.seeker {
            // Before it sees that nobody holds it any more.
            let _ = seeker.kill();
            let _ = seeker.wait();
        }
    }
}

/// Starts what waits, in a group of its own, for this process to end.
fn watcher(script: &str, argument: &str) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", argument]).process_group(0).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("there is no 'sh' to watch over it: {error}")))
}
