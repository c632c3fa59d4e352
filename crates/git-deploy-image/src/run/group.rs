//! A program and all that it starts, as one group of processes that ends as a whole: also where this process is killed.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// What ends the group gently shall not end whoever ends it for certain.
const GUARD: &str = r#"trap '' HUP INT TERM
read -r _
if [ "$1" ]; then
  for file in $(grep -lsF -e "$1" /proc/[0-9]*/environ); do
    process=${file#/proc/}
    kill -s KILL "${process%/environ}"
  done
fi
kill -s KILL 0"#;

/// Leads a group of processes and ends all of it when nobody holds this any more, as when this process is killed: that alone
/// closes the pipe that it reads from.
///
/// What leaves the group on purpose (`setsid`) is reached by its environment alone.
pub(super) struct Group {
    guard: Child,
    /// Nobody else's as long as `guard` was not waited for.
    id: Pid,
}

impl Group {
    /// Begins a group with nobody in it but its guard. Where there is a mark, the guard ends also what has that in its
    /// environment, wherever it is, when this process is killed.
    pub(super) fn start(mark: Option<&str>) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh", mark.unwrap_or_default()]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        let guard = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("there is no 'sh' to watch over it: {error}"))
        })?;
        let id = i32::try_from(guard.id()).ok().and_then(Pid::from_raw);
        Ok(Self { id: id.ok_or_else(|| io::Error::other("it has no process group"))?, guard })
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
    }
}
