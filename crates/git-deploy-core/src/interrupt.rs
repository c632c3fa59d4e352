//! The user's wish to stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether the user asked to stop: the number of the signal, or 0. Operations look between two steps, so that what is
/// begun is ended.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

/// What is to be done before something is waited for.
static BEFORE_A_WAIT: OnceLock<fn()> = OnceLock::new();

/// Has this done whenever a program is about to be waited for that may take its time: for what only a user needs who loses
/// patience. The first word counts.
pub fn before_a_wait(begin: fn()) {
    BEFORE_A_WAIT.get_or_init(|| begin);
}

/// Says that a program is about to be waited for.
pub(crate) fn waits() {
    if let Some(begin) = BEFORE_A_WAIT.get() {
        begin();
    }
}

/// The user asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted {
    /// The signal.
    pub signal: i32,
}

impl Interrupt {
    /// Where a signal's handler writes its number.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// Goes on, unless it was asked to stop.
    ///
    /// # Errors
    /// When it was.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted { signal: i32::try_from(signal).unwrap_or(i32::MAX) }),
        }
    }
}
