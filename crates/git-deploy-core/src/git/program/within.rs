//! A call that runs what others wrote, as merge drivers: it has an end, also where these have none.
//!
//! It stays in our group of processes, so that Ctrl-C at the terminal reaches it and whatever it has started.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use git_deploy_image::run::Mark;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Call, GRACE, POLL, ProgramError, file_of};

/// How long what it has started may go on to hold its output when it has ended itself.
const AFTERMATH: Duration = Duration::from_secs(1);
/// How often is looked whether it has ended that says no more.
const PAUSE: Duration = Duration::from_micros(200);
/// How much may be printed of what is asked for by itself: a driver has the same output, and one that asks on and on is never answered.
const MOST: usize = 64 << 20;
/// How much is read at once.
const PART: usize = 64 * 1024;

impl Call {
    pub(super) fn run_within(&self, limit: Duration) -> Result<Output, ProgramError> {
        let mark = Mark::new();
        let (key, value) = mark.variable();
        let mut command = self.command();
        command.env(key, value).stdin(match &self.input {
            Some(input) => file_of(input).map_err(ProgramError::Input)?.into(),
            None => Stdio::null(),
        });
        let mut child = command.spawn().map_err(ProgramError::Start)?;
        let mut said = Said::by(&mut child);
        let ended = self.wait(&mut child, &mut said, limit);
        if ended.is_err() {
            end(&mut child, &mark);
        }
        ended.map(|status| {
            let [stdout, stderr] = said.bytes;
            Output { status, stdout, stderr }
        })
    }

    fn wait(&self, child: &mut Child, said: &mut Said, limit: Duration) -> Result<ExitStatus, ProgramError> {
        let (begun, mut heard) = (Instant::now(), Instant::now());
        let mut asked: Option<Instant> = None;
        loop {
            match said.hear().map_err(ProgramError::Start)? {
                Heard::Something => heard = Instant::now(),
                Heard::Nothing => {}
                Heard::End => thread::sleep(PAUSE),
            }
            if (said.is_all() || heard.elapsed() >= AFTERMATH)
                && let Some(status) = child.try_wait().map_err(ProgramError::Start)?
            {
                return Ok(status);
            }
            let is_to_stop = self.stop.as_ref().is_some_and(|stop| stop.check().is_err());
            if is_to_stop && asked.get_or_insert_with(Instant::now).elapsed() > GRACE {
                return Err(ProgramError::Stopped { command: self.command_line() });
            }
            // Of many it is known that they get on.
            let since = if self.input.is_some() { heard } else { begun };
            if self.input.is_none() && said.bytes.iter().any(|bytes| bytes.len() > MOST) {
                return Err(self.unreadable(format!("more than {} MB", MOST >> 20)));
            }
            if since.elapsed() >= limit {
                return Err(ProgramError::TimeLimit { command: self.command_line(), limit });
            }
        }
    }
}

/// Ends what a program has started, of which it hears, and can take away what it has written for that; then itself.
fn end(child: &mut Child, mark: &Mark) {
    let asked = Instant::now();
    while asked.elapsed() < GRACE && matches!(child.try_wait(), Ok(None)) {
        mark.end_started_by(child.id());
        thread::sleep(POLL);
    }
    // It may have ended by itself just now.
    let _ = child.kill();
    let _ = child.wait();
    mark.end_started_by(child.id());
}

/// What a program has said: to its standard output, and to its standard error.
struct Said {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    bytes: [Vec<u8>; 2],
}

/// What came from a program within a moment.
enum Heard {
    Something,
    Nothing,
    /// It has said all.
    End,
}

impl Said {
    fn by(child: &mut Child) -> Self {
        Self { stdout: child.stdout.take(), stderr: child.stderr.take(), bytes: Default::default() }
    }

    fn is_all(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// Hears what comes next, if anything does within a moment.
    fn hear(&mut self) -> io::Result<Heard> {
        let moment = Timespec { tv_sec: 0, tv_nsec: i64::from(POLL.subsec_nanos()) };
        let [out, err] = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        let mut open: Vec<PollFd<'_>> =
            [out, err].into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        if open.is_empty() {
            return Ok(Heard::End);
        }
        match poll(&mut open, Some(&moment)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Heard::Nothing),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let comes: Vec<bool> = open.iter().map(|fd| !fd.revents().is_empty()).collect();
        let has_out = out.is_some();
        if has_out && comes.first() == Some(&true) {
            read(&mut self.stdout, &mut self.bytes[0])?;
        }
        if comes.get(usize::from(has_out)) == Some(&true) {
            read(&mut self.stderr, &mut self.bytes[1])?;
        }
        Ok(Heard::Something)
    }
}

/// Reads what is there; at its end nobody listens any more.
fn read(from: &mut Option<impl Read>, bytes: &mut Vec<u8>) -> io::Result<()> {
    let Some(pipe) = from else { return Ok(()) };
    let mut part = [0; PART];
    match pipe.read(&mut part) {
        Ok(0) => *from = None,
        Ok(length) => bytes.extend_from_slice(&part[..length]),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
