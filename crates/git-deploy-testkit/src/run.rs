//! One command, before it runs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::running::Running;
use crate::sandbox::no_program_is_being_written;
use crate::{Output, Sandbox};

/// No command of a test takes as long; one that hangs becomes a failure instead of a silence.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// A command in a sandbox, to be completed and run.
#[derive(Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct Run {
    sandbox: Sandbox,
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: PathBuf,
    variables: Vec<(OsString, Option<OsString>)>,
    stdin: Vec<u8>,
    pid_file: Option<PathBuf>,
    time_limit: Duration,
}

impl Run {
    pub(crate) fn new(sandbox: Sandbox, program: PathBuf) -> Self {
        let directory = sandbox.root().to_owned();
        Self {
            sandbox,
            program,
            arguments: Vec::new(),
            directory,
            variables: Vec::new(),
            stdin: Vec::new(),
            pid_file: None,
            time_limit: TIME_LIMIT,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Runs it there instead of in the sandbox's root.
    pub fn in_directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = self.directory.join(directory);
        self
    }

    /// Sets a variable for this command.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable away from this command.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.variables.push((name.into(), None));
        self
    }

    /// Runs it as another person.
    pub fn as_person(self, name: &str, email: &str) -> Self {
        self.env("GIT_AUTHOR_NAME", name)
            .env("GIT_AUTHOR_EMAIL", email)
            .env("GIT_COMMITTER_NAME", name)
            .env("GIT_COMMITTER_EMAIL", email)
    }

    /// What it reads; nothing unless set.
    pub fn stdin(mut self, input: impl AsRef<[u8]>) -> Self {
        self.stdin = input.as_ref().to_owned();
        self
    }

    /// Lets it write its process id there before it does anything else, so that a hook can aim at it.
    pub fn pid_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pid_file = Some(path.into());
        self
    }

    /// After that time it is killed and the test fails.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs it to its end, whatever that is.
    #[must_use]
    pub fn output(self) -> Output {
        self.start().wait()
    }

    /// Starts it, in a process group of its own.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(self) -> Running {
        // Files instead of pipes: an orphan of a killed command would hold a pipe open, and we would wait for it.
        let base = self.sandbox.next_run();
        let stdin = base.with_extension("in");
        let stdout = base.with_extension("out");
        let stderr = base.with_extension("err");
        fs::write(&stdin, &self.stdin).unwrap_or_else(|error| panic!("cannot write standard input: {error}"));
        let create = |path: &Path| {
            File::create(path).unwrap_or_else(|error| panic!("cannot create '{}': {error}", path.display()))
        };
        let description = self.description();
        let mut command = self.command();
        command
            .stdin(File::open(&stdin).unwrap_or_else(|error| panic!("cannot open standard input: {error}")))
            .stdout(Stdio::from(create(&stdout)))
            .stderr(Stdio::from(create(&stderr)))
            .process_group(0);
        let guard = no_program_is_being_written();
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start\n{description}\n{error}"));
        drop(guard);
        Running::new(child, description, stdout, stderr, self.time_limit, self.sandbox)
    }

    fn command(&self) -> Command {
        let mut words: Vec<&OsStr> = Vec::new();
        // Both keep the process id.
        if ignores_interrupts() {
            words.extend(["/usr/bin/env", "--default-signal=INT"].map(OsStr::new));
        }
        if let Some(pid_file) = &self.pid_file {
            words.extend(["/bin/sh", "-c", "echo $$ >\"$0\" && exec \"$@\""].map(OsStr::new));
            words.push(pid_file.as_os_str());
        }
        words.push(self.program.as_os_str());
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.sandbox.environment());
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// The command as one would type it.
    fn description(&self) -> String {
        let mut words = vec![self.program.file_name().unwrap_or(self.program.as_os_str())];
        words.extend(self.arguments.iter().map(OsString::as_os_str));
        let words: Vec<String> = words.into_iter().map(quoted).collect();
        format!("({}) $ {}", self.directory.display(), words.join(" "))
    }
}

/// Whether this process was started so that Ctrl-C does not reach it, as shells start what runs in the background. What it
/// starts would inherit that, and a shell cannot even undo it.
fn ignores_interrupts() -> bool {
    const SIGINT: u32 = 2;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (SIGINT - 1)) != 0)
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+^~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
