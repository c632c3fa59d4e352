//! One command while it runs, and how to end it early.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{Output, Sandbox};

const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The command alone: its children live on as orphans.
    Process,
    /// The command and all its children, as when the machine loses power.
    Group,
}

/// A command that was started. Killed with its whole group if it is dropped.
#[derive(Debug)]
#[must_use = "a command that nobody waits for is killed"]
pub struct Running {
    child: Child,
    description: String,
    stdout: PathBuf,
    stderr: PathBuf,
    started: Instant,
    time_limit: Duration,
    is_over: bool,
    // Its directory must outlive the command.
    _sandbox: Sandbox,
}

impl Running {
    pub(crate) fn new(
        child: Child,
        description: String,
        stdout: PathBuf,
        stderr: PathBuf,
        time_limit: Duration,
        sandbox: Sandbox,
    ) -> Self {
        let started = Instant::now();
        Self { child, description, stdout, stderr, started, time_limit, is_over: false, _sandbox: sandbox }
    }

    /// Its process id, which is also that of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If the time limit passes first.
    #[must_use]
    pub fn wait(mut self) -> Output {
        match self.poll(|| false) {
            Some(status) => self.output(status),
            None => unreachable!("only the end of the command ends this waiting"),
        }
    }

    /// Kills it (`kill -9`) now.
    #[must_use]
    pub fn kill(mut self, victim: Victim) -> Output {
        self.signal(victim, Signal::KILL);
        self.wait()
    }

    /// Kills it (`kill -9`) after that time, if it still runs.
    #[must_use]
    pub fn kill_after(mut self, time: Duration, victim: Victim) -> Output {
        let moment = self.started + time;
        self.kill_when(|| Instant::now() >= moment, victim)
    }

    /// Kills it (`kill -9`) as soon as the file exists, if it still runs.
    #[must_use]
    pub fn kill_when_exists(mut self, file: &Path, victim: Victim) -> Output {
        self.kill_when(|| file.exists(), victim)
    }

    /// Interrupts it as Ctrl-C does: the signal goes to the whole group.
    pub fn interrupt(&mut self) {
        self.signal(Victim::Group, Signal::INT);
    }

    /// Asks it alone to end (`kill -15`).
    pub fn terminate(&mut self) {
        self.signal(Victim::Process, Signal::TERM);
    }

    /// Asks it to look what there is to do (`kill -USR1`).
    pub fn wake(&mut self) {
        self.signal(Victim::Process, Signal::USR1);
    }

    /// Waits until the file exists.
    ///
    /// # Panics
    /// If the command ends before that.
    pub fn wait_for_file(&mut self, file: &Path) {
        if let Some(status) = self.poll(|| file.exists())
            && !file.exists()
        {
            panic!("ended before there was '{}'\n{}", file.display(), self.output(status));
        }
    }

    /// Waits until it has said that on standard error.
    ///
    /// # Panics
    /// If the command ends before that.
    pub fn wait_for_words(&mut self, part: &str) {
        let stderr = self.stderr.clone();
        let has_said = || fs::read(&stderr).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(part));
        if let Some(status) = self.poll(has_said)
            && !has_said()
        {
            panic!("ended before it said '{part}'\n{}", self.output(status));
        }
    }

    fn kill_when(&mut self, is_time: impl Fn() -> bool, victim: Victim) -> Output {
        let status = self.poll(is_time).or_else(|| {
            self.signal(victim, Signal::KILL);
            self.poll(|| false)
        });
        match status {
            Some(status) => self.output(status),
            None => unreachable!("only the end of the command ends this waiting"),
        }
    }

    /// Waits until the command has ended or the condition holds; the status says which.
    fn poll(&mut self, is_enough: impl Fn() -> bool) -> Option<ExitStatus> {
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = self.child.try_wait().unwrap_or_else(|error| panic!("{}\n{error}", self.description));
            if ended.is_some() {
                self.is_over = true;
                return ended;
            }
            if is_enough() {
                return None;
            }
            if self.started.elapsed() > self.time_limit {
                self.fail_for_time();
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn fail_for_time(&mut self) -> ! {
        self.signal(Victim::Group, Signal::KILL);
        let status = self.child.wait().unwrap_or_else(|error| panic!("{}\n{error}", self.description));
        self.is_over = true;
        panic!("not done after {} s\n{}", self.time_limit.as_secs(), self.output(status));
    }

    /// Sends a signal, unless the process has been waited for: its id may be somebody else's by now.
    fn signal(&mut self, victim: Victim, signal: Signal) {
        if self.is_over {
            return;
        }
        let pid = Pid::from_child(&self.child);
        let sent = match victim {
            Victim::Process => kill_process(pid, signal),
            Victim::Group => kill_process_group(pid, signal),
        };
        if let Err(error) = sent
            && error != rustix::io::Errno::SRCH
        {
            panic!("cannot signal\n{}\n{error}", self.description);
        }
    }

    fn output(&self, status: ExitStatus) -> Output {
        let read = |path: &Path| {
            fs::read(path).unwrap_or_else(|error| panic!("cannot read '{}': {error}", path.display()))
        };
        Output::new(
            self.description.clone(),
            status.code(),
            status.signal(),
            read(&self.stdout),
            &read(&self.stderr),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.signal(Victim::Group, Signal::KILL);
            // A panic while panicking would abort the whole test binary.
            drop(self.child.wait());
        }
    }
}
