//! What goes over the way to a cluster: how many requests, and for how long none has been answered.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

#[derive(Default)]
pub(super) struct Traffic {
    requests: AtomicU64,
    open: Mutex<Open>,
    /// By how much the clock of whoever answers is ahead of ours, in seconds.
    ahead: AtomicI64,
}

/// What has not been answered.
#[derive(Default)]
struct Open {
    /// How many wait for an answer.
    waiting: usize,
    /// Since when somebody has been waiting without any answer; through pauses, too, as long as it is tried again.
    since: Option<Instant>,
}

/// Somebody who waits for an answer.
pub(super) struct Waiting<'a> {
    traffic: &'a Traffic,
    has_failed: bool,
}

impl Traffic {
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// For how long nothing has been answered that was asked for.
    pub(super) fn silence(&self) -> Duration {
        self.open().since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// By how much their clock is ahead of ours; less than nothing if it is behind.
    pub(super) fn ahead(&self) -> SignedDuration {
        SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    /// What an answer says that the time is.
    pub(super) fn hear_time(&self, date: &str) {
        let theirs = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date);
        if let Ok(theirs) = theirs {
            self.ahead.store(theirs.duration_since(Timestamp::now()).as_secs(), Ordering::Relaxed);
        }
    }

    /// One more request is sent.
    pub(super) fn send(&self) -> Waiting<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open();
        open.waiting += 1;
        open.since.get_or_insert_with(Instant::now);
        Waiting { traffic: self, has_failed: false }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// There was an answer, whatever it says.
    pub(super) fn is_answered(&self) {
        self.traffic.open().since = Some(Instant::now());
    }

    /// There was none.
    pub(super) fn has_failed(mut self) {
        self.has_failed = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut open = self.traffic.open();
        open.waiting -= 1;
        // Whoever does not want to know any more is not left waiting.
        if open.waiting == 0 && !self.has_failed {
            open.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_silent(traffic: &Traffic) -> bool {
        traffic.open().since.is_some()
    }

    #[test]
    fn a_cluster_is_silent_from_the_first_request_to_the_next_answer() {
        let traffic = Traffic::default();
        assert!(!is_silent(&traffic));
        traffic.send().has_failed();
        assert!(is_silent(&traffic), "it is tried again");
        let since = traffic.open().since;
        let waiting = traffic.send();
        assert_eq!(traffic.open().since, since);
        waiting.is_answered();
        drop(waiting);
        assert!(!is_silent(&traffic));
        assert_eq!(traffic.requests(), 2);
    }

    #[test]
    fn what_an_answer_says_of_the_time_is_compared_with_our_clock() {
        let traffic = Traffic::default();
        traffic.hear_time("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(traffic.ahead() < SignedDuration::from_hours(-24 * 365));
        let before = traffic.ahead();
        traffic.hear_time("yesterday");
        assert_eq!(traffic.ahead(), before);
    }

    #[test]
    fn an_answer_to_one_counts_for_all_and_who_stops_waiting_for_none() {
        let traffic = Traffic::default();
        let (one, other) = (traffic.send(), traffic.send());
        let since = traffic.open().since;
        one.is_answered();
        drop(one);
        assert!(is_silent(&traffic) && traffic.open().since > since, "the other waits since then");
        drop(other);
        assert!(!is_silent(&traffic));
    }
}
