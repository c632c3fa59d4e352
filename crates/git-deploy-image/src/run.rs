//! Running a program that others wrote: with limits, its output line by line, and nothing of it left behind.
//!
//! It runs in a group of processes of its own, which is ended as a whole: at the time limit, when the user wants to stop, when
//! the program has ended (so that nothing that it started outlives it), and when this process is killed. What leaves the
//! group on purpose (`setsid`) is waited for no longer either, and is ended too where that is asked for
//! ([`Program::end_escaped`]). Ctrl-C at the terminal does not reach it: it is for the caller to see that, and to say so
//! when it is asked.
//!
//! It reads nothing ([`Program::input`] aside), and what it writes is told as it comes, made harmless for terminals.

pub(crate) mod escaped;
mod group;
mod last;
mod lines;
mod words;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::mem::take;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

pub use self::escaped::Mark;
use self::group::Group;
use self::last::Last;
use self::lines::Piece;
pub use self::lines::harmless;
pub use self::words::last_words;
pub(crate) use self::words::{begin_of, end_of};

/// How long a group has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(5);
/// How long what a program started may go on writing after the program itself has ended: as the `tee` of a
/// `> >(tee log)` does, for a moment.
const AFTERMATH: Duration = Duration::from_secs(1);
/// How often is looked whether it has ended, or is to end.
const PAUSE: Duration = Duration::from_millis(10);
/// How many lines may wait for whoever shows them.
const WAITING: usize = 256;

/// Where a program wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line that a program wrote: without its end, without control characters but tabs, and of bounded length. Of what
/// overwrites itself with carriage returns only what is left at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub stream: Stream,
    /// What.
    pub text: String,
}

/// What came of a program that did its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// The last lines that were told.
    pub tail: Vec<String>,
    /// All of its standard output, byte by byte, if [`Program::capture`] asked for it.
    pub stdout: Option<Vec<u8>>,
}

/// Why a program did not do its work. The last lines that it wrote are beside it ([`RunError::tail`]), not in its text.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be run.
    #[error("cannot run '{program}': {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// It failed.
    #[error("'{program}' {}", ended(*.status))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        tail: Vec<String>,
        /// The last lines that it wrote to standard error.
        errors: Vec<String>,
    },
    /// It did not end within the time that it had.
    #[error("'{program}' did not end within {} and was ended", seconds(*.limit))]
    TimeLimit {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// The user wanted to stop.
    #[error("'{program}' was stopped")]
    Cancelled {
        /// The program.
        program: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// It wrote more than it was to write.
    #[error("'{program}' wrote more than {most} bytes and was ended")]
    TooMuch {
        /// The program.
        program: String,
        /// How much it might write.
        most: usize,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
}

impl RunError {
    /// The last lines that it wrote.
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Start { .. } => &[],
            Self::Failed { tail, .. }
            | Self::TimeLimit { tail, .. }
            | Self::Cancelled { tail, .. }
            | Self::TooMuch { tail, .. } => tail,
        }
    }

    /// What it said last of why it failed, in one line: to standard error, if it wrote there at all.
    pub fn last_words(&self) -> Option<String> {
        let Self::Failed { tail, errors, .. } = self else { return None };
        last_words(errors).or_else(|| last_words(tail))
    }
}

/// How a program ended, in words: `failed with exit status 3`.
pub(crate) fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(9)) => "was killed by signal 9 (as the system does when memory runs out)".to_owned(),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// A time in the words of an error: `90 s`, `0.5 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// A program to be run.
#[derive(Clone)]
#[must_use]
pub struct Program {
    program: OsString,
    args: Vec<OsString>,
    is_clear: bool,
    has_common_umask: bool,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    limit: Option<Duration>,
    grace: Duration,
    input: Option<Vec<u8>>,
    most: Option<usize>,
    ends_escaped: bool,
    rooted: Option<PathBuf>,
}

impl Program {
    /// A program that is run without arguments, in this environment and folder, for as long as it likes. Its name is looked
    /// for in the `PATH` that it gets.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            is_clear: false,
            has_common_umask: false,
            env: Vec::new(),
            dir: None,
            limit: None,
            grace: GRACE,
            input: None,
            most: None,
            ends_escaped: false,
            rooted: None,
        }
    }

    /// Adds arguments.
    pub fn args<I: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Gives it none of our variables, but those that are set with [`Program::env`], before or after.
    pub fn env_clear(mut self) -> Self {
        self.is_clear = true;
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Where it runs.
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// What it makes is readable for everybody, whatever the user's own umask says: as it has to be where what is made must
    /// not depend on who makes it. Where the program is not there, that is a failure with status 127 then.
    pub fn common_umask(mut self) -> Self {
        self.has_common_umask = true;
        self
    }

    /// How long it may take.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long it has between being asked to end and being ended; 5 s if nothing else is said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What it may read from its standard input, which is empty otherwise: never a terminal.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Ends with it also what leaves its group on purpose, as daemons do, where the system says which they are (Linux). Of a
    /// program whose daemons are meant to stay, such as one that starts a machine, they are left.
    pub fn end_escaped(mut self) -> Self {
        self.ends_escaped = true;
        self
    }

    /// Ends with it, where it has to be ended, also what sees no other files than some below that folder, as what runs in a
    /// chroot there, where the system says so (Linux).
    pub fn end_below(mut self, folder: impl Into<PathBuf>) -> Self {
        self.rooted = Some(folder.into());
        self
    }

    /// Takes its standard output as it is, at most so many bytes, instead of telling its lines. Where it fails, what it
    /// printed there last is among the last lines of the error.
    pub fn capture(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// Runs it to its end. `tell` hears each line as it is written; `cancelled` is asked again and again.
    ///
    /// # Errors
    /// When it cannot be run, fails, or is ended.
    pub fn run(
        &self,
        cancelled: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Line),
    ) -> Result<Finished, RunError> {
        let mut running = Running::start(self).map_err(|error| {
            let what = if error.kind() == io::ErrorKind::NotFound
                && self.dir.as_ref().is_none_or(|dir| dir.is_dir())
            {
                io::Error::new(error.kind(), "it is not there")
            } else {
                error
            };
            RunError::Start { program: self.name(), error: what }
        })?;
        let end = running.wait(self, cancelled, tell);
        if !matches!(end, End::Exited(status) if status.success()) {
            // As long as it is there that made the folder: it takes that away.
            self.rooted.iter().for_each(|folder| escaped::end_below(folder));
            running.end_gently(self.grace, tell);
        }
        let (program, limit) = (self.name(), self.limit.unwrap_or_default());
        let (tail, captured) = (take(&mut running.tail), running.captured.take());
        match end {
            End::Exited(status) if status.success() => Ok(Finished { tail: tail.told([]), stdout: captured }),
            End::Exited(status) => {
                let (printed, errors) = (captured.unwrap_or_default(), take(&mut running.errors).told([]));
                // What was captured instead of told stands behind what was.
                Err(RunError::Failed { program, status, tail: tail.told(lines::of(&printed)), errors })
            }
            End::TimeLimit => Err(RunError::TimeLimit { program, limit, tail: tail.told([]) }),
            End::Cancelled => Err(RunError::Cancelled { program, tail: tail.told([]) }),
            End::TooMuch => {
                let most = self.most.unwrap_or_default();
                Err(RunError::TooMuch { program, most, tail: tail.told([]) })
            }
            End::Lost(error) => Err(RunError::Start { program, error }),
        }
    }

    fn name(&self) -> String {
        harmless(self.program.as_encoded_bytes())
    }

    fn command(&self) -> Command {
        let mut command = if self.has_common_umask {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(&self.program);
            shell
        } else {
            Command::new(&self.program)
        };
        command.args(&self.args);
        if self.is_clear {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Why is waited for it no longer.
enum End {
    Exited(ExitStatus),
    TimeLimit,
    Cancelled,
    TooMuch,
    Lost(io::Error),
}

/// A program that runs.
struct Running {
    /// Ended with this.
    group: Group,
    /// By which is found what has left the group.
    mark: Option<String>,
    child: Child,
    heard: Receiver<(Stream, Piece)>,
    /// How many pipes may still bring something.
    open: usize,
    tail: Last,
    /// Of those, what was written to standard error, and further back.
    errors: Last,
    captured: Option<Vec<u8>>,
    started: Instant,
}

impl Running {
    fn start(program: &Program) -> io::Result<Self> {
        let mark = program.ends_escaped.then(escaped::new_mark);
        let group = Group::start(mark.as_deref())?;
        let mut command = program.command();
        if let Some(mark) = &mark {
            command.env(escaped::VARIABLE, escaped::value(mark));
        }
        let mut child = group.spawn(&mut command)?;
        let (sender, heard) = sync_channel(WAITING);
        let is_raw = program.most.is_some();
        if let (Some(out), sender) = (child.stdout.take(), sender.clone()) {
            thread::spawn(move || lines::read(out, Stream::Out, is_raw, &sender));
        }
        if let Some(err) = child.stderr.take() {
            thread::spawn(move || lines::read(err, Stream::Err, false, &sender));
        }
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), program.input.clone()) {
            // It need not read all of it.
            thread::spawn(move || pipe.write_all(&input).is_ok());
        }
        let captured = is_raw.then(Vec::new);
        let (tail, errors) = Default::default();
        let started = Instant::now();
        Ok(Self { group, mark, child, heard, open: 2, tail, errors, captured, started })
    }

    /// Waits until it has ended and said all, or is to be ended.
    fn wait(&mut self, program: &Program, cancelled: &dyn Fn() -> bool, tell: &mut dyn FnMut(Line)) -> End {
        let mut exited: Option<(ExitStatus, Instant)> = None;
        let mut looked: Option<Instant> = None;
        loop {
            // Not after each line of many.
            if looked.is_none_or(|looked| looked.elapsed() >= PAUSE) {
                looked = Some(Instant::now());
                if cancelled() {
                    return End::Cancelled;
                }
                if exited.is_none() {
                    match self.child.try_wait() {
                        Ok(status) => exited = status.map(|status| (status, Instant::now())),
                        Err(error) => return End::Lost(error),
                    }
                }
                match exited {
                    Some((status, at)) if self.open == 0 || at.elapsed() >= AFTERMATH => {
                        return End::Exited(status);
                    }
                    None if program.limit.is_some_and(|limit| self.started.elapsed() >= limit) => {
                        return End::TimeLimit;
                    }
                    _ => {}
                }
            }
            self.hear(PAUSE, tell);
            if program.most.is_some_and(|most| self.captured.as_ref().is_some_and(|all| all.len() > most)) {
                return End::TooMuch;
            }
        }
    }

    /// Tells what is written next, if anything is within that time.
    fn hear(&mut self, within: Duration, tell: &mut dyn FnMut(Line)) {
        match self.heard.recv_timeout(within) {
            Ok((_, Piece::Line(line))) => {
                if line.stream == Stream::Err {
                    self.errors.keep(&line.text);
                }
                self.tail.keep(&line.text);
                tell(line);
            }
            Ok((_, Piece::Raw(bytes))) => self.captured.get_or_insert_default().extend(bytes),
            Ok((_, Piece::End)) => self.open = self.open.saturating_sub(1),
            Err(RecvTimeoutError::Timeout) => {}
            // Both have told their end: nothing more comes before it ends.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(within),
        }
    }

    /// Asks the group to end, and hears what it has to say to that; the rest is ended when this is dropped.
    fn end_gently(&mut self, grace: Duration, tell: &mut dyn FnMut(Line)) {
        self.group.terminate();
        let asked = Instant::now();
        while asked.elapsed() < grace && (self.open > 0 || matches!(self.child.try_wait(), Ok(None))) {
            self.hear(PAUSE, tell);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.kill();
        // It has ended, or does so now.
        let _ = self.child.wait();
        if let Some(mark) = &self.mark {
            escaped::end_marked(mark);
        }
    }
}
