//! Ctrl-C and SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use git_deploy_core::ops::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::CommandError;

/// Turns Ctrl-C and SIGTERM into a request to stop between two steps. A second one ends the program at once, which the
/// next run can cope with as with any crash.
///
/// # Errors
/// When the system takes no handlers.
pub fn interrupt() -> Result<&'static Interrupt, CommandError> {
    listen().map_err(|error| CommandError::fatal(format!("cannot listen for signals: {error}")))
}

fn listen() -> io::Result<&'static Interrupt> {
    static INTERRUPT: Interrupt = Interrupt::new();
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, and raises it.
        flag::register_conditional_default(signal, Arc::clone(&again))?;
        flag::register(signal, Arc::clone(&again))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            INTERRUPT.request(signal);
        }
    });
    Ok(&INTERRUPT)
}
