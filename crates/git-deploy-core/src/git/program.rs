//! The git program: every call of it goes through here.
//!
//! Calls are made with `LC_ALL=C`, nothing is read from messages that are meant for people, and what a call printed to
//! standard error is part of the error. A call inherits the environment, so that `git -c key=value`, `GIT_DIR` and the
//! others mean the same to it as to us.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use duct::Expression;

use crate::interrupt::Interrupt;

/// A call of git that did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no git.
    #[error("cannot run 'git': {0}")]
    Start(#[source] std::io::Error),
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
    stop: Option<Interrupt>,
}

/// How often a call that may be stopped looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

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

/// Begins a call of git.
pub fn git<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Call {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    Call { args, dir: None, env: Vec::new(), env_remove: Vec::new(), input: None, stop: None }
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

    /// Gives it bytes to read.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Ends it when the user asks to stop: for calls that wait for others, who may never answer.
    pub fn stop_on(mut self, interrupt: Option<Interrupt>) -> Self {
        self.stop = interrupt;
        self
    }

    /// The command line, for messages.
    pub fn command_line(&self) -> String {
        let words = self.args.iter().map(|arg| arg.to_string_lossy());
        std::iter::once("git".into()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs it, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self) -> Result<Output, ProgramError> {
        let mut expression = duct::cmd("git", &self.args).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        // What is set goes in front: in duct the first word on a variable counts.
        let is_set = |key: &&&str| self.env.iter().any(|(set, _)| set == **key);
        for key in self.env_remove.iter().filter(|key| !is_set(key)) {
            expression = expression.env_remove(key);
        }
        for (key, value) in &self.env {
            expression = expression.env(key, value);
        }
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        expression = match &self.input {
            Some(input) => expression.stdin_bytes(input.clone()),
            None => expression.stdin_null(),
        };
        let expression = expression.stdout_capture().stderr_capture().unchecked();
        match &self.stop {
            None => expression.run().map_err(ProgramError::Start),
            Some(interrupt) => self.run_until_stopped(&expression, interrupt),
        }
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
