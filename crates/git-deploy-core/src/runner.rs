//! What a runner does next, as a pure function of how its turns ended.
//!
//! A turn is one look at what counts: branches are rebased if base has moved, and one deployment is started if anything has
//! changed. What goes wrong in a turn is either somebody's fault, who has then left the queue, or nobody's; then the queue
//! waits, longer each time.

use std::time::Duration;

/// The shortest time between two looks at a queue of which nothing can be taken.
const SHORTEST: Duration = Duration::from_secs(1);
/// The shortest time before something is tried again that was nobody's fault.
const SHORTEST_IN_TROUBLE: Duration = Duration::from_secs(5);
/// The longest time before that.
const LONGEST_IN_TROUBLE: Duration = Duration::from_secs(300);

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Nothing has changed since nothing could be taken from the queue.
    Unchanged,
    /// Nothing can be taken from the queue.
    Nothing,
    /// The whole queue waits: for whoever holds it, for an approval, for the end of a freeze.
    Held,
    /// A deployment succeeded: it landed, or its branch goes on to the next environment.
    Landed,
    /// A deployment failed for a fault of its branch, which has left the queue: which one, and why.
    Failed(String),
    /// It was nobody's fault, or the deployment died: what was begun is taken up again.
    Trouble,
    /// What is configured cannot be worked with.
    Unusable,
}

/// What follows from a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next turn.
    Turn,
    /// The next turn after a while: there is nothing to do until then.
    Wait(Duration),
    /// The next turn after a while: what hindered this one is tried again.
    Again(Duration),
    /// It is over.
    End(End),
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing can be taken from the queue any more.
    WorkedOff,
    /// The queue is held, or waits for something that is nobody's fault.
    Waiting,
    /// What is configured cannot be worked with.
    Unusable,
}

/// A runner between two turns.
#[derive(Debug, Clone)]
pub struct Runner {
    /// Whether it stays when the queue is worked off; if not, for how long it idles at most.
    longest: Option<Duration>,
    pause: Option<Duration>,
    trouble: Option<Duration>,
    /// What failed last.
    failed: Option<String>,
    has_worked: bool,
}

impl Runner {
    /// One that ends when the queue is worked off.
    pub fn once() -> Self {
        Self { longest: None, pause: None, trouble: None, failed: None, has_worked: false }
    }

    /// One that stays, and looks at the queue again after so long at the latest.
    pub fn watching(longest: Duration) -> Self {
        Self { longest: Some(longest), ..Self::once() }
    }

    /// What follows from how a turn ended.
    pub fn after(&mut self, turn: &Turn) -> Next {
        let turn = match turn {
            // What fails in the same way again has not left the queue as it should have, and must not be tried for ever.
            Turn::Failed(what) if self.failed.as_ref() == Some(what) => &Turn::Trouble,
            turn => turn,
        };
        if let Turn::Failed(what) = turn {
            self.failed = Some(what.clone());
        }
        if !matches!(turn, Turn::Unchanged | Turn::Nothing | Turn::Held) {
            self.pause = None;
        }
        if !matches!(turn, Turn::Trouble | Turn::Unusable) {
            self.trouble = None;
            self.has_worked = true;
        }
        // What worked a moment ago and does not any more, such as a `deploy.toml` that has landed, can be mended by the next
        // commit on base. What has never worked is told at once.
        let is_hopeless = *turn == Turn::Unusable && !self.has_worked;
        match (turn, self.longest.filter(|_| !is_hopeless)) {
            (Turn::Landed | Turn::Failed(_), _) => Next::Turn,
            (Turn::Unchanged | Turn::Nothing, None) => Next::End(End::WorkedOff),
            (Turn::Trouble | Turn::Held, None) => Next::End(End::Waiting),
            (Turn::Unusable, None) => Next::End(End::Unusable),
            (Turn::Unchanged | Turn::Nothing | Turn::Held, Some(longest)) => {
                Next::Wait(longer(&mut self.pause, SHORTEST, longest))
            }
            (Turn::Trouble | Turn::Unusable, Some(_)) => {
                Next::Again(longer(&mut self.trouble, SHORTEST_IN_TROUBLE, LONGEST_IN_TROUBLE))
            }
        }
    }
}

/// When a runner that has nothing to deploy looks for what was kept for long enough. Told by a clock that nobody sets.
#[derive(Debug, Clone, Default)]
pub struct Upkeep {
    /// When there will be something to do, or something is tried again.
    at: Option<Duration>,
    trouble: Option<Duration>,
}

impl Upkeep {
    /// The longest time between two looks, where something is kept: clocks are set.
    const LONGEST: Duration = Duration::from_secs(3600);

    /// Whether it looks after a turn. What has changed may have changed that, too.
    pub fn is_due(&self, turn: &Turn, now: Duration) -> bool {
        match turn {
            // What hindered it is not gone because something else has changed.
            Turn::Nothing if self.trouble.is_none() => true,
            Turn::Nothing | Turn::Unchanged => self.at.is_some_and(|at| now >= at),
            Turn::Held | Turn::Landed | Turn::Failed(_) | Turn::Trouble | Turn::Unusable => false,
        }
    }

    /// It has looked, and done what was to be done; next in so long, if that is known.
    pub fn done(&mut self, now: Duration, next: Option<Duration>) {
        self.trouble = None;
        self.at = next.map(|next| now + next.min(Self::LONGEST));
    }

    /// It could not look everywhere, or not do all that was to be done. Where it could, there is something to do again in so
    /// long, if that is known.
    pub fn failed(&mut self, now: Duration, next: Option<Duration>) {
        let again = longer(&mut self.trouble, SHORTEST_IN_TROUBLE, LONGEST_IN_TROUBLE);
        // Whatever it says, a time that is over is none to try the rest again at once.
        let next = next.map(|next| next.max(SHORTEST_IN_TROUBLE));
        self.at = Some(now + next.map_or(again, |next| next.min(again)));
    }
}

/// Twice the time that was waited last.
fn longer(last: &mut Option<Duration>, shortest: Duration, longest: Duration) -> Duration {
    let next = last.map_or(shortest, |last| last * 2).min(longest);
    *last = Some(next);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(what: &str) -> Turn {
        Turn::Failed(what.to_owned())
    }

    fn seconds(next: Next) -> u64 {
        match next {
            Next::Wait(time) | Next::Again(time) => time.as_secs(),
            next => panic!("{next:?}"),
        }
    }

    #[test]
    fn a_single_run_ends_when_nothing_can_be_taken() {
        let mut runner = Runner::once();
        assert_eq!(runner.after(&Turn::Landed), Next::Turn);
        assert_eq!(runner.after(&failed("a")), Next::Turn);
        assert_eq!(runner.after(&Turn::Nothing), Next::End(End::WorkedOff));
        assert_eq!(Runner::once().after(&Turn::Trouble), Next::End(End::Waiting));
        assert_eq!(Runner::once().after(&Turn::Held), Next::End(End::Waiting));
        assert_eq!(Runner::once().after(&Turn::Unusable), Next::End(End::Unusable));
    }

    #[test]
    fn who_watches_looks_less_and_less_often_until_something_happens() {
        let mut runner = Runner::watching(Duration::from_secs(60));
        let pauses: Vec<u64> = (0..9).map(|_| seconds(runner.after(&Turn::Unchanged))).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(runner.after(&Turn::Landed), Next::Turn);
        assert_eq!(seconds(runner.after(&Turn::Nothing)), 1);
        assert_eq!(seconds(runner.after(&Turn::Held)), 2);
    }

    #[test]
    fn trouble_is_waited_out_longer_each_time() {
        let mut runner = Runner::watching(Duration::from_secs(60));
        let pauses: Vec<u64> = (0..8).map(|_| seconds(runner.after(&Turn::Trouble))).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(runner.after(&Turn::Landed), Next::Turn);
        assert_eq!(seconds(runner.after(&Turn::Trouble)), 5);
    }

    #[test]
    fn what_never_worked_is_told_at_once_and_what_worked_before_is_waited_for() {
        let mut runner = Runner::watching(Duration::from_secs(60));
        assert_eq!(runner.after(&Turn::Unusable), Next::End(End::Unusable));
        assert_eq!(runner.after(&Turn::Landed), Next::Turn);
        assert_eq!(seconds(runner.after(&Turn::Unusable)), 5);
    }

    #[test]
    fn an_idle_runner_looks_for_what_was_kept_when_something_has_changed_and_when_it_is_time() {
        let at = Duration::from_secs;
        let mut upkeep = Upkeep::default();
        assert!(upkeep.is_due(&Turn::Nothing, at(0)));
        for turn in [Turn::Unchanged, Turn::Held, Turn::Landed, failed("a"), Turn::Trouble, Turn::Unusable] {
            assert!(!upkeep.is_due(&turn, at(0)), "{turn:?}");
        }
        upkeep.done(at(0), Some(at(10)));
        assert!(!upkeep.is_due(&Turn::Unchanged, at(9)));
        assert!(upkeep.is_due(&Turn::Unchanged, at(10)));
        assert!(!upkeep.is_due(&Turn::Held, at(10)));
        upkeep.done(at(10), None);
        assert!(!upkeep.is_due(&Turn::Unchanged, at(1_000_000)));
        upkeep.done(at(10), Some(at(1_000_000)));
        assert!(upkeep.is_due(&Turn::Unchanged, at(3610)));
    }

    #[test]
    fn what_hinders_tidying_is_tried_again_less_and_less_often() {
        let at = Duration::from_secs;
        let mut upkeep = Upkeep::default();
        upkeep.failed(at(0), None);
        for turn in [Turn::Unchanged, Turn::Nothing] {
            assert!(!upkeep.is_due(&turn, at(4)) && upkeep.is_due(&turn, at(5)));
        }
        upkeep.failed(at(5), None);
        assert!(!upkeep.is_due(&Turn::Nothing, at(14)) && upkeep.is_due(&Turn::Unchanged, at(15)));
        upkeep.failed(at(15), Some(at(7)));
        assert!(upkeep.is_due(&Turn::Unchanged, at(22)), "what hinders one environment delays no other");
        upkeep.done(at(22), None);
        assert!(upkeep.is_due(&Turn::Nothing, at(23)));
    }

    #[test]
    fn a_branch_that_fails_and_does_not_leave_the_queue_is_not_deployed_for_ever() {
        let mut runner = Runner::watching(Duration::from_secs(60));
        assert_eq!(runner.after(&failed("a")), Next::Turn);
        assert_eq!(runner.after(&failed("b")), Next::Turn);
        assert_eq!(runner.after(&failed("b")), Next::Again(Duration::from_secs(5)));
    }
}
