//! The use cases: what a command does, put together from the pure modules and [`crate::git`].
//!
//! Each reads what it needs, lets a pure function decide, and writes in an order that leaves something true behind at
//! every step. None of them prints: what is worth telling is returned, or given to an [`Observer`] on the way.

pub mod deploy;
pub mod fetched;
pub mod history;
pub mod hooks;
pub mod init;
pub mod set_state;
pub mod sweep;
pub mod sync;
pub mod transact;
pub mod under_way;
pub mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Told what happens on the way, by the operations that take long.
pub trait Observer {
    /// A step begins or ended: a verb, as in `Landing`, and what it is done to.
    fn step(&self, verb: &str, text: &str);
    /// Something that the user should know, though it stops nothing.
    fn warn(&self, text: &str);
}

/// Tells nobody.
pub struct Quiet;

impl Observer for Quiet {
    fn step(&self, _: &str, _: &str) {}
    fn warn(&self, _: &str) {}
}

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
