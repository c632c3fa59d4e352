//! What goes over the way to a cluster: how many requests, for how long none has been answered and why, and how much of the time
//! that was so.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::SILENCE;
use crate::api_error::ApiError;

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
    /// Whether somebody has waited in vain since the last answer. Who gives up after that takes nothing of the silence.
    has_failed: bool,
    /// Why the last one of those has.
    trouble: Option<ApiError>,
    /// For how long it was silent before, in all; what is no silence to speak of is none.
    silent: Duration,
}

impl Open {
    fn silence(&self, now: Instant) -> Duration {
        self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }

    /// The silence that goes on, if it is one.
    fn lasting(&self, now: Instant) -> Duration {
        Some(self.silence(now)).filter(|silence| *silence >= SILENCE).unwrap_or_default()
    }

    fn hear(&mut self, now: Instant) {
        self.silent += self.lasting(now);
        self.since = Some(now);
        self.has_failed = false;
        self.trouble = None;
    }
}

/// Somebody who waits for an answer.
pub(super) struct Waiting<'a> {
    traffic: &'a Traffic,
    since: Instant,
    is_over: bool,
    has_failed: bool,
}

impl Traffic {
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// For how long nothing has been answered that was asked for.
    pub(super) fn silence(&self) -> Duration {
        self.open().silence(Instant::now())
    }

    /// For how long nothing was answered that was asked for, in all.
    pub(super) fn silent(&self) -> Duration {
        let (open, now) = (self.open(), Instant::now());
        open.silent + open.lasting(now)
    }

    /// Why nothing was answered that was asked for last, as far as that is known.
    pub(super) fn trouble(&self) -> Option<ApiError> {
        self.open().trouble.clone()
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
        let (mut open, now) = (self.open(), Instant::now());
        open.waiting += 1;
        open.since.get_or_insert(now);
        Waiting { traffic: self, since: now, is_over: false, has_failed: false }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// There was an answer, whatever it says.
    pub(super) fn is_answered(&mut self) {
        self.is_over = true;
        self.traffic.open().hear(Instant::now());
    }

    /// There was none, because of that.
    pub(super) fn has_failed(mut self, why: &ApiError) {
        self.has_failed = true;
        self.traffic.open().trouble = Some(why.clone());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Who has waited in vain for so long has waited for a cluster that is away, whoever ended it.
        let has_failed = self.has_failed || !self.is_over && self.since.elapsed() >= SILENCE;
        let mut open = self.traffic.open();
        open.waiting -= 1;
        open.has_failed |= has_failed;
        // Whoever does not want to know any more is not left waiting.
        if open.waiting == 0 && !open.has_failed {
            open.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::no_answer;

    fn is_silent(traffic: &Traffic) -> bool {
        traffic.open().since.is_some()
    }

    #[test]
    fn a_cluster_is_silent_from_the_first_request_to_the_next_answer() {
        let traffic = Traffic::default();
        assert!(!is_silent(&traffic));
        traffic.send().has_failed(&no_answer());
        assert!(is_silent(&traffic), "it is tried again");
        assert_eq!(traffic.trouble(), Some(no_answer()));
        let since = traffic.open().since;
        let mut waiting = traffic.send();
        assert_eq!(traffic.open().since, since);
        waiting.is_answered();
        drop(waiting);
        assert!(!is_silent(&traffic));
        assert_eq!(traffic.trouble(), None);
        assert_eq!(traffic.requests(), 2);
    }

    #[test]
    fn who_gives_up_early_ends_no_silence_that_others_have_met() {
        let traffic = Traffic::default();
        traffic.send().has_failed(&no_answer());
        let since = traffic.open().since;
        drop(traffic.send());
        assert_eq!(traffic.open().since, since);
        traffic.send().is_answered();
        drop(traffic.send());
        assert!(!is_silent(&traffic), "that was another one");
    }

    #[test]
    fn silences_are_added_up_and_those_that_are_none_are_not() {
        let (begun, seconds) = (Instant::now(), Duration::from_secs);
        let mut open = Open { since: Some(begun), ..Open::default() };
        open.hear(begun + seconds(2));
        assert_eq!(open.silent, seconds(0), "that is how long an answer takes");
        open.hear(begun + seconds(32));
        open.hear(begun + seconds(42));
        assert_eq!(open.silent, seconds(40));
        assert_eq!(open.lasting(begun + seconds(44)), seconds(0));
        assert_eq!(open.lasting(begun + seconds(49)), seconds(7));
        open.since = None;
        assert_eq!(open.lasting(begun + seconds(900)), seconds(0), "nobody asks");
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
        let (mut one, other) = (traffic.send(), traffic.send());
        let since = traffic.open().since;
        one.is_answered();
        drop(one);
        assert!(is_silent(&traffic) && traffic.open().since > since, "the other waits since then");
        drop(other);
        assert!(!is_silent(&traffic));
    }
}
