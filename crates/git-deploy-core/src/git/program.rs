//! The git program: every call of it goes through here.
//!
//! Calls are made with `LC_ALL=C`, nothing is read from messages that are meant for people, and what a call printed to
//! standard error is part of the error. A call inherits the environment, so that `git -c key=value`, `GIT_DIR` and the
//! others mean the same to it as to us.

mod within;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duct::Expression;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use crate::interrupt::{Interrupt, waits};
use crate::machine;

/// A call of git that did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no git.
    #[error("cannot run 'git': {0}")]
    Start(#[source] std::io::Error),
    /// There is no place for what it is to read.
    #[error("cannot write a temporary file for 'git': {0}")]
    Input(#[source] std::io::Error),
    /// It ended with another status than 0.
    #[error("'{command}' failed{}{}", status_text(*.status), stderr_text(.stderr))]
    Failed {
        /// The command line.
        command: String,
        /// The exit status, if it was not ended by a signal.
        status: Option<i32>,
        /// What it said.
        stderr: String,
    },
    /// It was ended because it took too long.
    #[error("'{command}' did not end within {} s and was ended", .limit.as_secs())]
    TimeLimit {
        /// The command line.
        command: String,
        /// How long it had.
        limit: Duration,
    },
    /// It was ended because the user asked to stop.
    #[error("'{command}' was stopped")]
    Stopped {
        /// The command line.
        command: String,
    },
    /// It printed something that cannot be read.
    #[error("'{command}' printed what cannot be read: {what}")]
    Output {
        /// The command line.
        command: String,
        /// What is wrong.
        what: String,
    },
}

/// A file without a name, at its beginning.
fn file_of(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn status_text(status: Option<i32>) -> String {
    status.map_or_else(|| " by a signal".to_owned(), |status| format!(" with status {status}"))
}

fn stderr_text(stderr: &str) -> String {
    let text = stderr.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// One call of git, to be built up and run.
#[derive(Debug, Clone)]
#[must_use]
pub struct Call {
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    env_remove: Vec<&'static str>,
    input: Option<Vec<u8>>,
    /// Whether the input is a file, which has its end also when we have died.
    input_is_file: bool,
    stop: Option<Interrupt>,
    within: Option<Duration>,
    needs: Option<Arc<TempDir>>,
}

/// A git that runs beside us: it starts and ends, each in half a millisecond, while we do something else. Dropped, it finds
/// that it has no input, and ends.
#[must_use]
pub struct Started(Beside);

enum Beside {
    Process {
        pipes: Receiver<(ChildStdin, ChildStdout)>,
        end: JoinHandle<std::io::Result<(ExitStatus, Vec<u8>)>>,
    },
    /// On a machine that is not the real one it runs when it is finished.
    Simulated(Box<Call>),
}

impl Started {
    /// Gives it its input, and waits until it says that all is done, in its last words, or ends without.
    ///
    /// # Errors
    /// When it cannot be started, or what it prints cannot be read.
    pub fn finish(self, input: &[u8], done: &[u8]) -> Result<Output, ProgramError> {
        let (pipes, end) = match self.0 {
            Beside::Process { pipes, end } => (pipes, end),
            Beside::Simulated(call) => return call.input(input).output(),
        };
        let mut stdout = Vec::new();
        if let Ok((stdin, mut from)) = pipes.recv() {
            feed(stdin, input)?;
            let mut part = [0; 256];
            loop {
                if !comes_soon(&from) {
                    waits();
                }
                match from.read(&mut part).map_err(ProgramError::Start)? {
                    0 => break,
                    length => stdout.extend_from_slice(&part[..length]),
                }
                if stdout.ends_with(done) {
                    return Ok(Output { status: ExitStatus::default(), stdout, stderr: Vec::new() });
                }
            }
        }
        let end = end.join().unwrap_or_else(|panic| resume_unwind(panic));
        let (status, stderr) = end.map_err(ProgramError::Start)?;
        Ok(Output { status, stdout, stderr })
    }
}

/// Whether there is something to read, or an end, as soon as from a git that waits for nobody: no hook, no lock, no disk.
fn comes_soon(from: &ChildStdout) -> bool {
    let soon = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&soon)).is_ok_and(|ready| ready > 0)
}

/// Writes all of the input, and its end.
fn feed(mut stdin: ChildStdin, input: &[u8]) -> Result<(), ProgramError> {
    match stdin.write_all(input) {
        // It need not read all of it.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(ProgramError::Start(error)),
        _ => Ok(()),
    }
}

/// How often a call that may be stopped looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// What any pipe holds at least, in bytes (pipe(7)), so that it can be written before anybody reads.
const PIPE_CAPACITY: usize = 4096;

/// How long a call may go on after the user asked to stop: Ctrl-C reaches it too, and it ends by itself.
const GRACE: Duration = Duration::from_secs(2);

/// What git sets for the repository that it is called in. A call about another work tree must not inherit it.
const LOCAL_ENV: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
];

/// What is said to git itself, and not to a command of it, in two words.
const WITH_VALUE: [&str; 4] = ["-C", "-c", "--git-dir", "--work-tree"];

/// What every call sees. Of objects it sees what is there, as our own reading does: others may have pushed replacements.
const ALWAYS: [(&str, &str); 3] =
    [("LC_ALL", "C"), ("GIT_OPTIONAL_LOCKS", "0"), ("GIT_NO_REPLACE_OBJECTS", "1")];

/// Begins a call of git.
pub fn git<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Call {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let (env, env_remove) = (Vec::new(), Vec::new());
    let (dir, input, stop, within, needs) = (None, None, None, None, None);
    Call { args, dir, env, env_remove, input, input_is_file: false, stop, within, needs }
}

impl Call {
    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs it in another work tree, as if the user had gone there.
    pub fn in_work_tree(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self.env_remove.extend(LOCAL_ENV);
        self
    }

    /// Sets a variable for it.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets variables for it.
    pub(super) fn envs(self, variables: &[(&'static str, OsString)]) -> Self {
        variables.iter().fold(self, |call, (key, value)| call.env(key, value))
    }

    /// Takes a variable away from it.
    pub(super) fn without(mut self, key: &'static str) -> Self {
        self.env_remove.push(key);
        self
    }

    /// Has a folder stay for as long as it may be run.
    pub(super) fn needs(mut self, folder: Arc<TempDir>) -> Self {
        self.needs = Some(folder);
        self
    }

    /// Has it believe commits about what came before them, whatever `info/grafts` says.
    pub(super) fn without_grafts(self) -> Self {
        self.env("GIT_GRAFT_FILE", "/dev/null")
    }

    /// Gives it bytes to read.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Gives it bytes to read, all or none: of a pipe it would take for the end what is our own end.
    pub fn whole_input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input_is_file = true;
        self.input(input)
    }

    /// Ends it when the user asks to stop: for calls that wait for others, who may never answer.
    pub fn stop_on(mut self, interrupt: Option<Interrupt>) -> Self {
        self.stop = interrupt;
        self
    }

    /// Ends it, and all that it has started, when it is not done within this time: for calls that run what others wrote.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// The command and its words, without what is said to git itself before that.
    pub fn words(&self) -> &[OsString] {
        let mut words = &self.args[..];
        while let Some((option, behind)) = words.split_first()
            && option.as_encoded_bytes().starts_with(b"-")
        {
            let has_value = WITH_VALUE.iter().any(|known| option == known);
            words = if has_value { behind.get(1..).unwrap_or_default() } else { behind };
        }
        words
    }

    /// What it is given to read.
    pub fn bytes(&self) -> &[u8] {
        self.input.as_deref().unwrap_or_default()
    }

    /// The command line, for messages.
    pub fn command_line(&self) -> String {
        let words = self.words().iter().map(|arg| arg.to_string_lossy());
        std::iter::once("git".into()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs it, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self) -> Result<Output, ProgramError> {
        if let Some(simulated) = machine::git(self) {
            return simulated;
        }
        waits();
        if let Some(limit) = self.within {
            return self.run_within(limit);
        }
        match &self.stop {
            None => self.run_at_once(),
            Some(interrupt) => self.run_until_stopped(&self.expression()?, interrupt),
        }
    }

    /// What it sees of variables besides ours: some are set, some are taken away.
    fn variables(&self) -> (impl Iterator<Item = (&OsStr, &OsStr)>, impl Iterator<Item = &&str>) {
        let always = ALWAYS.map(|(key, value)| (key.as_ref(), value.as_ref()));
        let set = self.env.iter().map(|(key, value)| (key.as_os_str(), value.as_os_str()));
        let is_set = |key: &&&str| self.env.iter().any(|(set, _)| set == **key);
        (always.into_iter().chain(set), self.env_remove.iter().filter(move |key| !is_set(key)))
    }

    /// Runs a call that does not wait for others, without what [`duct`] takes for each: threads, and a copy of this process, as it gives
    /// it a whole environment. Most calls are done in a millisecond, hooks make them, and a sweep may have a hundred.
    fn run_at_once(&self) -> Result<Output, ProgramError> {
        let mut command = self.command();
        let input = match &self.input {
            Some(input) if self.input_is_file => {
                command.stdin(file_of(input).map_err(ProgramError::Input)?);
                return command.output().map_err(ProgramError::Start);
            }
            Some(input) => input,
            None => return command.stdin(Stdio::null()).output().map_err(ProgramError::Start),
        };
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(ProgramError::Start)?;
        let stdin = child.stdin.take();
        let fed = || stdin.map(|stdin| feed(stdin, input)).transpose();
        if input.len() <= PIPE_CAPACITY {
            fed()?;
            return child.wait_with_output().map_err(ProgramError::Start);
        }
        // Neither side is to wait until the other one reads.
        thread::scope(|scope| {
            let feeder = thread::Builder::new().spawn_scoped(scope, fed).map_err(ProgramError::Start)?;
            let output = child.wait_with_output().map_err(ProgramError::Start);
            feeder.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            output
        })
    }

    /// Starts a call that gets its input later.
    ///
    /// # Errors
    /// When there can be no thread for it. That it cannot be started is found out when it is finished.
    pub fn start(&self) -> Result<Started, ProgramError> {
        if machine::is_simulated() {
            return Ok(Started(Beside::Simulated(Box::new(self.clone()))));
        }
        let mut command = self.command();
        let (give, pipes) = mpsc::channel();
        let beside = move || {
            let mut child = command.stdin(Stdio::piped()).spawn()?;
            if let Some(pipes) = child.stdin.take().zip(child.stdout.take()) {
                // Nobody may want them any more: that closes them.
                drop(give.send(pipes));
            }
            let mut said = Vec::new();
            child.stderr.take().map(|mut stderr| stderr.read_to_end(&mut said)).transpose()?;
            Ok((child.wait()?, said))
        };
        let end = thread::Builder::new().name("git".to_owned()).spawn(beside).map_err(ProgramError::Start)?;
        Ok(Started(Beside::Process { pipes, end }))
    }

    fn command(&self) -> Command {
        let (set, removed) = self.variables();
        let mut command = Command::new("git");
        command.args(&self.args).stdout(Stdio::piped()).stderr(Stdio::piped());
        for key in removed {
            command.env_remove(key);
        }
        command.envs(set);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    fn expression(&self) -> Result<Expression, ProgramError> {
        let (set, removed) = self.variables();
        let mut expression = duct::cmd("git", &self.args);
        // In duct the first word on a variable counts.
        for key in removed {
            expression = expression.env_remove(key);
        }
        for (key, value) in set {
            expression = expression.env(key, value);
        }
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        expression = match &self.input {
            Some(input) if self.input_is_file => {
                expression.stdin_file(file_of(input).map_err(ProgramError::Input)?)
            }
            Some(input) => expression.stdin_bytes(input.clone()),
            None => expression.stdin_null(),
        };
        Ok(expression.stdout_capture().stderr_capture().unchecked())
    }

    fn run_until_stopped(
        &self,
        expression: &Expression,
        interrupt: &Interrupt,
    ) -> Result<Output, ProgramError> {
        let handle = expression.start().map_err(ProgramError::Start)?;
        let mut asked: Option<Instant> = None;
        loop {
            if handle.wait_timeout(POLL).map_err(ProgramError::Start)?.is_some() {
                return handle.into_output().map_err(ProgramError::Start);
            }
            if interrupt.check().is_err() && asked.get_or_insert_with(Instant::now).elapsed() > GRACE {
                handle.kill().map_err(ProgramError::Start)?;
                return Err(ProgramError::Stopped { command: self.command_line() });
            }
        }
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self) -> Result<Vec<u8>, ProgramError> {
        let output = self.output()?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.failed(&output)) }
    }

    /// Runs it and returns the text that it printed, without the last newline.
    ///
    /// # Errors
    /// When it fails, or prints what is not UTF-8.
    pub fn text(&self) -> Result<String, ProgramError> {
        let mut text = String::from_utf8(self.run()?).map_err(|_| self.unreadable("it is not UTF-8"))?;
        if text.ends_with('\n') {
            text.pop();
        }
        Ok(text)
    }

    /// Runs a call whose status 1 means "no".
    ///
    /// # Errors
    /// When it ends with a status above 1.
    pub fn yes(&self) -> Result<bool, ProgramError> {
        Ok(self.answer()?.is_some())
    }

    /// Runs a call whose status 1 means "there is none".
    ///
    /// # Errors
    /// When it ends with a status above 1.
    pub fn answer(&self) -> Result<Option<Vec<u8>>, ProgramError> {
        let output = self.output()?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout)),
            Some(1) => Ok(None),
            _ => Err(self.failed(&output)),
        }
    }

    /// The error for a call that failed.
    pub fn failed(&self, output: &Output) -> ProgramError {
        ProgramError::Failed {
            command: self.command_line(),
            status: output.status.code(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The error for a call that printed something unexpected.
    pub fn unreadable(&self, what: impl Into<String>) -> ProgramError {
        ProgramError::Output { command: self.command_line(), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_git_itself_is_none_of_the_command() {
        let line = |args: &[&str]| git(args).command_line();
        let there = ["-C", "/a b", "--git-dir", "/a b/.git", "--work-tree", "/a b", "merge-tree", "-z"];
        assert_eq!(line(&there), "git merge-tree -z");
        assert_eq!(line(&["-c", "a.b=false", "push", "-c"]), "git push -c");
        assert_eq!(line(&["--no-pager", "fetch"]), "git fetch");
        assert_eq!(line(&["fetch", "-q"]), "git fetch -q");
        assert_eq!(line(&[]), "git");
    }
}
