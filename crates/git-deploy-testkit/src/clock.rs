//! Time, as the commands in a sandbox see it.

use std::sync::atomic::{AtomicU64, Ordering};

/// 2026-11-20T12:00:00Z.
const START: u64 = 1_795_176_000;
const TICK: u64 = 60;

/// A clock that goes on by a minute with each command, so that equal tests make equal commits and no two
/// commands share a second.
#[derive(Debug)]
pub struct Clock {
    now: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { now: AtomicU64::new(START) }
    }

    /// Seconds since the epoch, as of the last command.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The date of the next command, as git's variables take it.
    pub(crate) fn tick(&self) -> String {
        format!("{} +0000", self.now.fetch_add(TICK, Ordering::SeqCst) + TICK)
    }
}
