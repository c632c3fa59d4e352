//! Ctrl-C and SIGTERM.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use git_deploy_core::ops::{Interrupt, before_a_wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level};

use crate::{CommandError, Exit};

/// Whether the user asked to stop, once somebody listens for that.
static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// The programs that are asked to stop when we are.
static PASSED_TO: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// What is written to standard output when the program ends at once.
static LAST_WORD: OnceLock<fn(i32) -> String> = OnceLock::new();

/// What looks out for a second Ctrl-C, until it does so.
static WATCH: Mutex<Option<Watch>> = Mutex::new(None);

/// How long signals are one and the same Ctrl-C: a terminal sends it to all that it runs, and git passes on to us what it
/// gets, so that it comes twice.
const SAME: Duration = Duration::from_secs(1);

/// Turns Ctrl-C and SIGTERM into a request to stop between two steps. A second one ends the program at once, which the
/// next run can cope with as with any crash.
///
/// # Errors
/// When the system takes no handlers.
pub fn interrupt() -> Result<&'static Interrupt, CommandError> {
    let interrupt = interrupt_soon()?;
    watch().map_err(|error| unheard(&error))?;
    Ok(interrupt)
}

/// The same for a command that is done in milliseconds, unless it waits for another program: only then it starts the thread
/// that hears a second Ctrl-C.
///
/// # Errors
/// When the system takes no handlers.
pub fn interrupt_soon() -> Result<&'static Interrupt, CommandError> {
    if let Some(interrupt) = INTERRUPT.get() {
        return Ok(interrupt);
    }
    let interrupt = INTERRUPT.get_or_init(Interrupt::default);
    let watch = listen(interrupt).map_err(|error| unheard(&error))?;
    *unwatched() = Some(watch);
    before_a_wait(watch_while_it_waits);
    Ok(interrupt)
}

/// Has a command write a last line to standard output, for a program that reads it to its end, should a second Ctrl-C end it at
/// once.
pub fn last_word(word: fn(i32) -> String) {
    // Whoever was first has said it.
    let _ = LAST_WORD.set(word);
}

/// What SIGUSR1 sets, for whoever waits for something to do.
///
/// # Errors
/// When the system takes no handler.
pub fn woken() -> Result<Arc<AtomicBool>, CommandError> {
    let woken = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&woken)).map_err(|error| unheard(&error))?;
    Ok(woken)
}

fn unheard(error: &io::Error) -> CommandError {
    CommandError::fatal(format!("cannot listen for signals: {error}"))
}

/// What is needed to look out for a second Ctrl-C.
struct Watch {
    /// Gets a byte for each signal.
    received: UnixStream,
    interrupt: &'static Interrupt,
    /// Whether the next signal ends the program.
    again: Arc<AtomicBool>,
}

fn listen(interrupt: &'static Interrupt) -> io::Result<Watch> {
    let again = Arc::new(AtomicBool::new(false));
    let (received, sender) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&again))?;
        // In the handler itself: a program of ours that the same signal ended is missed a moment later.
        flag::register_usize(signal, interrupt.flag(), usize::try_from(signal).unwrap_or(usize::MAX))?;
        low_level::pipe::register(signal, sender.try_clone()?)?;
    }
    Ok(Watch { received, interrupt, again })
}

fn unwatched() -> MutexGuard<'static, Option<Watch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread that ends the program at the second Ctrl-C, if it has not been.
fn watch() -> io::Result<()> {
    let Some(watch) = unwatched().take() else { return Ok(()) };
    let again = Arc::clone(&watch.again);
    let thread = thread::Builder::new().name("signals".to_owned());
    let started = thread.spawn(move || end_at_the_second(watch.received, watch.interrupt, &watch.again));
    if started.is_err() {
        // Without it, nothing must keep the user from ending the program.
        again.store(true, Ordering::SeqCst);
    }
    started.map(drop)
}

fn watch_while_it_waits() {
    drop(watch());
}

/// Reads a byte for each signal, and ends the program at the first that is another Ctrl-C than the first one.
fn end_at_the_second(mut received: UnixStream, interrupt: &Interrupt, again: &AtomicBool) {
    let mut first: Option<Instant> = None;
    while received.read_exact(&mut [0]).is_ok() {
        pass(interrupt, &passed_to());
        if first.get_or_insert_with(Instant::now).elapsed() < SAME {
            continue;
        }
        // Should nobody take the words, the next signal ends it all the same.
        again.store(true, Ordering::SeqCst);
        say_at_once(
            io::stderr(),
            "error: interrupted again: ends at once, the next run ends what was begun\n",
        );
        if let Err(interrupted) = interrupt.check() {
            if let Some(word) = LAST_WORD.get() {
                say_at_once(io::stdout(), &word(interrupted.signal));
            }
            let _ = low_level::emulate_default_handler(interrupted.signal);
        }
    }
}

/// Says a last word, unless whoever reads that stands still: it must not keep the program from ending. It goes past what buffers
/// the output: whoever was writing there may hold that for ever.
fn say_at_once(to: impl AsFd, word: &str) {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let takes = poll(&mut [PollFd::new(&to, PollFlags::OUT)], Some(&at_once));
    if takes.is_ok_and(|ready| ready > 0) {
        // Nobody can be told about standard error.
        let _ = rustix::io::write(to, word.as_bytes());
    }
}

/// As long as it lives, a program that we have started is asked to stop when we are: it decides as we do what is one and the
/// same Ctrl-C.
#[derive(Debug)]
pub struct Passing(Option<Pid>);

impl Passing {
    /// Passes signals on to a child of ours, the one that has come already among them.
    pub fn to(child: u32) -> Self {
        let child = i32::try_from(child).ok().and_then(Pid::from_raw);
        passed_to().extend(child);
        INTERRUPT.get().into_iter().for_each(|interrupt| pass(interrupt, child.as_slice()));
        Self(child)
    }

    /// Asks the child to stop, if nobody has asked us, and so it.
    pub fn end(&self) {
        if INTERRUPT.get().is_none_or(|interrupt| interrupt.check().is_ok()) {
            self.0.into_iter().for_each(|child| send(child, Signal::TERM));
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        passed_to().retain(|child| Some(*child) != self.0);
    }
}

fn passed_to() -> MutexGuard<'static, Vec<Pid>> {
    PASSED_TO.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass(interrupt: &Interrupt, children: &[Pid]) {
    let signal = interrupt.check().err().and_then(|interrupted| Signal::from_named_raw(interrupted.signal));
    if let Some(signal) = signal {
        children.iter().for_each(|child| send(*child, signal));
    }
}

fn send(child: Pid, signal: Signal) {
    // One that has ended needs not be told.
    let _ = kill_process(child, signal);
}

/// What failed because the user asked to stop failed for no other reason: Ctrl-C reaches the programs that we started, too.
pub(crate) fn because_interrupted(error: CommandError) -> CommandError {
    let told = matches!(error.exit(), Exit::Interrupted | Exit::Terminated);
    match INTERRUPT.get().map(Interrupt::check) {
        Some(Err(interrupted)) if !told => {
            let exit = CommandError::interrupted(interrupted.signal).exit();
            error.at(exit).context("interrupted")
        }
        _ => error,
    }
}
