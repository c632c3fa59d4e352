//! Ctrl-C and SIGTERM.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use git_deploy_core::ops::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::{CommandError, Exit};

/// Whether the user asked to stop, once somebody listens for that.
static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Turns Ctrl-C and SIGTERM into a request to stop between two steps. A second one ends the program at once, which the
/// next run can cope with as with any crash.
///
/// # Errors
/// When the system takes no handlers.
pub fn interrupt() -> Result<&'static Interrupt, CommandError> {
    let interrupt = INTERRUPT.get_or_init(Interrupt::default);
    listen(interrupt).map_err(|error| CommandError::fatal(format!("cannot listen for signals: {error}")))?;
    Ok(interrupt)
}

fn listen(interrupt: &Interrupt) -> io::Result<()> {
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, and raises it.
        flag::register_conditional_default(signal, Arc::clone(&again))?;
        flag::register(signal, Arc::clone(&again))?;
        // In the handler itself: a program of ours that the same signal ended is missed a moment later.
        flag::register_usize(signal, interrupt.flag(), usize::try_from(signal).unwrap_or(usize::MAX))?;
    }
    Ok(())
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
