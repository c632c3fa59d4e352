//! Until when a rollout may take, where a cluster that does not answer takes nothing from its time, and how long such a cluster
//! is waited for.

use std::time::{Duration, Instant};

use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Answers, Pulse};
use git_deploy_core::ops::Observer;

use super::ClusterDriver;
use super::state::{Held, Session};
use crate::api_error::ApiError;
use crate::connect::{Connection, REQUEST_TIMEOUT};

/// How long a cluster that is there may be silent: nobody has an answer to a single request before this is over, but the Lease
/// is renewed more often.
const AWAY: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(2));

/// How often a cluster that is away is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// For how long one that has come back may say that it is not ready: some never say anything else.
const STARTING: Duration = Duration::from_secs(30);

/// The same for the first contact: it is seldom that somebody comes just then.
const GREETING: Duration = Duration::from_secs(5);

/// Until when all must be ready. Only time counts in which the cluster answered: nobody could see what became of a rollout in
/// the rest. Of that as much is let pass as all may take: one that comes and goes is not waited for without end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    begun: Instant,
    timeout: Duration,
    /// For how long the cluster had been silent by then.
    silent: Duration,
}

impl Deadline {
    /// So long from now.
    pub(super) fn after(timeout: Duration, connection: &Connection) -> Self {
        Self { begun: Instant::now(), timeout, silent: connection.silent() }
    }

    /// What is left of it.
    pub(super) fn left(&self, connection: &Connection) -> Duration {
        self.left_at(Instant::now(), connection.silent())
    }

    /// How much more time does not count in which the cluster does not answer; none once some of it had to count.
    pub(super) fn allowance(&self, connection: &Connection) -> Option<Duration> {
        self.timeout.checked_sub(self.silent_since(connection.silent()))
    }

    /// For how long the cluster has not answered since it began, in all.
    pub(super) fn silence(&self, connection: &Connection) -> Duration {
        self.silent_since(connection.silent())
    }

    fn silent_since(&self, silent: Duration) -> Duration {
        silent.saturating_sub(self.silent)
    }

    fn left_at(&self, now: Instant, silent: Duration) -> Duration {
        let silent = self.silent_since(silent).min(self.timeout);
        let answered = now.saturating_duration_since(self.begun).saturating_sub(silent);
        self.timeout.saturating_sub(answered)
    }
}

impl ClusterDriver<'_> {
    /// How long a cluster may be silent before a run ends: as long as everything may take. Whoever has started it is ready to
    /// wait for that, and may see nothing else for as long; the end of the run loses nothing, since another goes on.
    pub(super) fn patience(&self) -> Duration {
        self.cluster.timeout
    }

    /// Waits until the cluster answers. A Lease that somebody else has, or has had since, is not waited for.
    pub(super) fn outlast_silence(&self, pulse: &dyn Pulse) -> Result<Answers, Failure> {
        self.holding(Step::Plan, |held| {
            let Held { session: Session { connection, .. }, lease, .. } = held;
            // It was waited for already.
            let was_waited_for = self.was_waited_for.get() || connection.silence() >= self.patience();
            if lease.is_lost() || was_waited_for {
                return Ok(Answers::Not);
            }
            self.run(Step::Plan, pulse, async {
                let answers = until_it_answers(connection, self.patience()).await;
                // Asked anew: what is known of it is as old as the silence.
                let is_ours = answers != Answers::Not && lease.is_unbroken().await.unwrap_or(false);
                Ok(if is_ours { answers } else { Answers::Not })
            })
        })
    }
}

/// Waits until a cluster answers, but no longer than that, whatever is answered in its place meanwhile.
async fn until_it_answers(connection: &Connection, patience: Duration) -> Answers {
    let begun = Instant::now();
    let mut silence = connection.silence();
    loop {
        while !connection.answers().await {
            silence = silence.max(connection.silence());
            if silence.max(begun.elapsed()) >= patience {
                return Answers::Not;
            }
            tokio::time::sleep(PAUSE).await;
        }
        until_it_is_ready(STARTING, connection).await;
        // It may have gone away meanwhile.
        if connection.answers().await {
            break;
        }
        // Each look may meet another server, of which one is away.
        if begun.elapsed() >= patience {
            return Answers::Not;
        }
    }
    if silence >= AWAY { Answers::Again } else { Answers::AtOnce }
}

/// Waits until a cluster knows its kinds, and who may do what, where it is asked for the first time.
pub(super) async fn greet(connection: &Connection, observer: &dyn Observer) {
    if connection.is_starting().await {
        observer.step("Waiting", "the cluster is not ready yet");
        until_it_is_ready(GREETING, connection).await;
    }
}

/// Asks for the kinds of the cluster until these are enough that were not: of several servers one may not know all of them
/// yet, or the only one. Whoever says that it is not ready is waited for, but not for ever: some never say anything else.
///
/// Returns whether it says so still.
///
/// # Errors
/// When nobody answers, which says nothing of kinds.
pub(super) async fn ask_for_kinds_again(
    session: &Session,
    observer: &dyn Observer,
    are_enough: impl Fn() -> bool,
) -> Result<bool, ApiError> {
    let Session { connection, resources } = session;
    let learn = async || {
        let learned = resources.learn(connection).await;
        // Whoever was allowed to ask for them a moment ago is.
        learned.map_err(|error| match error.is_refusal_of_somebody() {
            true => ApiError::not_ready(&error),
            false => error,
        })
    };
    for pause in connection.doubt() {
        tokio::time::sleep(pause).await;
        match learn().await {
            Err(error) if error.is_undecided() => return Err(error),
            // Whatever else one of them says, another may know them.
            _ if are_enough() => return Ok(false),
            _ => {}
        }
    }
    let mut is_ready = connection.believes() || !connection.is_starting().await;
    if !is_ready {
        observer.step("Waiting", "the cluster is not ready yet");
        is_ready = until_it_is_ready(STARTING, connection).await;
    }
    learn().await?;
    Ok(!is_ready)
}

/// Waits, but no longer than that, until a cluster that answers says no more that it is not ready; whether it does not.
async fn until_it_is_ready(limit: Duration, connection: &Connection) -> bool {
    let begun = Instant::now();
    while connection.is_starting().await {
        if begun.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::SILENCE;
    use crate::connect::stand_in::StandIn;

    #[test]
    fn time_in_which_nobody_answers_takes_nothing_from_a_rollout() {
        let (begun, seconds) = (Instant::now(), Duration::from_secs);
        let deadline = Deadline { begun, timeout: seconds(60), silent: seconds(5) };
        let left = |after, silent| deadline.left_at(begun + seconds(after), seconds(silent)).as_secs();
        assert_eq!(left(0, 5), 60);
        assert_eq!(left(45, 5), 15, "what was before it does not count");
        assert_eq!(left(95, 55), 15, "50 seconds without an answer");
        assert_eq!(left(111, 55), 0, "it answers, and is not ready in time");
        assert_eq!(left(10, 0), 50, "another connection has another silence");
    }

    #[test]
    fn a_cluster_that_comes_and_goes_is_not_waited_for_without_end() {
        let (begun, seconds) = (Instant::now(), Duration::from_secs);
        let deadline = Deadline { begun, timeout: seconds(60), silent: seconds(5) };
        // Away for 60 s, there for one, over and over.
        let left =
            |after: u64| deadline.left_at(begun + seconds(after), seconds(5 + after * 60 / 61)).as_secs();
        assert_eq!(left(61), 59);
        assert!(left(119) > 0);
        assert_eq!(left(120), 0, "twice the time at most, by the clock");
        assert_eq!(deadline.silent_since(seconds(125)), seconds(120), "all of it is known");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_answers_in_the_place_of_a_cluster_that_is_away_is_not_waited_for_without_end() {
        let balancer = StandIn::start();
        let connection = balancer.connection().await;
        balancer.answers(503);
        let patience = SILENCE + Duration::from_secs(1);
        let waiting = until_it_answers(&connection, patience);
        let answers = tokio::time::timeout(patience * 3, waiting).await;
        assert_eq!(answers, Ok(Answers::Not));
        assert!(connection.silence() >= patience, "that is no answer: {:?}", connection.silence());
        assert!(connection.silent() >= patience, "and takes nothing from a rollout");
        balancer.answers(200);
        assert!(connection.answers().await);
        assert!(connection.silence() < SILENCE, "{:?}", connection.silence());
    }
}
