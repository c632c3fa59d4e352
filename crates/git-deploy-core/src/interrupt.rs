//! The user's wish to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether the user asked to stop: the number of the signal, or 0. Operations look between two steps, so that what is
/// begun is ended.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

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
