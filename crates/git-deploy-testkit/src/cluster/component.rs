//! One process of the control plane.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::kubectl::Kubectl;
use super::supervisor::Group;

const PAUSE: Duration = Duration::from_millis(2);

/// A process of the control plane, which a test may kill and start again. What others use is theirs too: do this to
/// a cluster of your own ([`Cluster::start_own`](super::Cluster::start_own)).
#[derive(Debug)]
pub struct Component {
    name: &'static str,
    program: PathBuf,
    /// The command that runs it somewhere else, `nsenter` with its arguments.
    behind: Vec<String>,
    /// Whether that stays and waits for it.
    has_parent: bool,
    arguments: Vec<String>,
    directory: PathBuf,
    group: Group,
    /// Says when it answers; the others are of use at once.
    probe: Option<(SocketAddr, Kubectl)>,
    child: Mutex<Option<Child>>,
}

impl Component {
    pub(super) fn new(name: &'static str, program: PathBuf, directory: PathBuf, group: Group) -> Self {
        Self {
            name,
            program,
            behind: Vec::new(),
            has_parent: false,
            arguments: Vec::new(),
            directory,
            group,
            probe: None,
            child: Mutex::new(None),
        }
    }

    pub(super) fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Runs it by that command, which becomes it.
    pub(super) fn behind(mut self, command: Vec<String>) -> Self {
        self.behind = command;
        self
    }

    /// Runs it by that command, which waits for it.
    pub(super) fn below(mut self, command: Vec<String>) -> Self {
        self.has_parent = true;
        self.behind(command)
    }

    pub(super) fn probe(mut self, address: SocketAddr, kubectl: Kubectl) -> Self {
        self.probe = Some((address, kubectl));
        self
    }

    /// Starts it, and does not wait.
    pub(super) fn launch(&self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut words = self.behind.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        *self.child() = Some(self.group.spawn(&mut command, &self.directory)?);
        Ok(())
    }

    /// Starts it after its end, with what it stored and on the port it had, and waits until it answers.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(&self) {
        self.launch().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name));
        self.wait_until_it_answers();
    }

    pub(super) fn wait_until_it_answers(&self) {
        let Some((address, kubectl)) = &self.probe else { return };
        super::eventually(&format!("{} answers", self.name), || {
            self.assert_alive();
            // Asking for a connection first: a kubectl takes the time from those that are starting.
            TcpStream::connect(address).is_ok() && kubectl.is_ready()
        });
    }

    /// Ends it, if it runs, and starts it again.
    pub fn restart(&self) {
        self.kill();
        self.start();
    }

    /// Ends it at once (`kill -9`) and waits for its end.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Asks it to end and waits until it did.
    pub fn stop(&self) {
        self.end(Signal::TERM);
    }

    /// Stops it from doing anything, answering included; its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether the process is there, paused or not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match self.child().as_mut() {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => false,
        }
    }

    pub(super) fn assert_alive(&self) {
        assert!(self.is_alive(), "{} ended:\n{}", self.name, self.log());
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map_or_else(
            |error| format!("no log: {error}"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    fn end(&self, signal: Signal) {
        self.signal(signal);
        if let Some(mut child) = self.child().take() {
            self.wait_for(&mut child);
        }
    }

    /// Until it has ended. Whoever stands before a program (`nsenter`) stops when that does, in its own time: also when the
    /// program goes on already, and then sees no end of it.
    fn wait_for(&self, child: &mut Child) {
        let started = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(_)) => return,
                Ok(None) if started.elapsed() < super::PATIENCE => {}
                ended => {
                    let _ = child.kill();
                    panic!("{} does not end: {ended:?}", self.name);
                }
            }
            if self.has_parent {
                let _ = kill_process(Pid::from_child(child), Signal::CONT);
            }
            thread::sleep(PAUSE);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child().as_ref() {
            let started = Pid::from_child(child);
            let program = if self.has_parent { only_child(started) } else { None };
            // It may have ended by itself.
            let _ = kill_process(program.unwrap_or(started), signal);
            if signal == Signal::CONT {
                // Who waits for it stops with it.
                let _ = kill_process(started, signal);
            }
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join(self.name).with_extension("log")
    }
}

/// Who was started by that process, if it has done so.
fn only_child(parent: Pid) -> Option<Pid> {
    let id = parent.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    Pid::from_raw(children.trim().parse().ok()?)
}

impl Drop for Component {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::supervisor::{Supervisor, new_directory};
    use super::*;

    #[test]
    fn one_ends_below_a_command_that_was_stopped_after_it_went_on() {
        let directory = new_directory().expect("can be made");
        let supervisor = Supervisor::start(&directory, false).expect("can be started");
        let stops_itself = r#""$@" & kill -STOP $$; wait"#;
        let parent = ["/bin/sh", "-c", stops_itself, "parent"].map(str::to_owned);
        let component = Component::new("sleep", "sleep".into(), directory, supervisor.group())
            .below(parent.into())
            .args(["1000"]);
        for end in [Component::kill, Component::stop] {
            component.launch().expect("can be started");
            let is_stopped = || {
                let parent = Pid::from_child(component.child().as_ref().expect("runs"));
                let stat =
                    fs::read_to_string(format!("/proc/{}/stat", parent.as_raw_nonzero())).expect("lives");
                only_child(parent).is_some()
                    && stat.rsplit(')').next().is_some_and(|state| state.trim_start().starts_with('T'))
            };
            super::super::eventually("the parent stands still", is_stopped);
            end(&component);
            assert!(!component.is_alive());
        }
    }
}
