//! Waiting until what was applied is ready.

use std::convert::Infallible;
use std::pin::pin;
use std::time::{Duration, Instant};

use git_deploy_core::deployment::{Failure, Step};
use git_deploy_core::environment::{Effect, Pulse};
use git_deploy_manifest::Stage;
use git_deploy_manifest::readiness::{Patience, ready_of_wanted};

use super::ClusterDriver;
use super::deadline::Deadline;
use super::pace::Pace;
use super::said::{of_api, of_lease, open_if};
use super::state::{Forward, Held};
use crate::connect::{Connection, SILENCE};
use crate::logs::QUOTE;
use crate::plan::PlannedObject;
use crate::target::Applied;
use crate::unblock::unblock;
use crate::verify::{Limits, NotReady, Progress, until_ready};

/// How often it is seen whether something is due to be said.
const TICK: Duration = Duration::from_millis(500);

impl ClusterDriver<'_> {
    /// Waits until these are ready.
    pub(super) fn wait_for(
        &self,
        held: &Held,
        applied: &[Applied],
        deadline: Deadline,
        step: Step,
        pulse: &dyn Pulse,
    ) -> Result<(), Failure> {
        let ready = self.until_ready(held, applied, deadline, step, pulse, std::future::pending())?;
        ready.map_err(|error| self.not_ready(step, error))
    }

    /// The same, for whoever has something to do with those that will not become ready, or something else to do meanwhile.
    pub(super) fn until_ready(
        &self,
        held: &Held,
        applied: &[Applied],
        deadline: Deadline,
        step: Step,
        pulse: &dyn Pulse,
        meanwhile: impl Future<Output = Infallible>,
    ) -> Result<Result<(), NotReady>, Failure> {
        let Held { session, lease, .. } = held;
        // Told by the thread of the run, which alone may speak.
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |progress: Progress| drop(sender.send(progress));
        let mut pace = Pace::new(Instant::now());
        // The wait itself tells of a silence, and for how long it goes on.
        let ready = self.block_on(step, pulse, &|| {}, async {
            let mut meanwhile = pin!(meanwhile);
            loop {
                let limits = self.limits(deadline, &session.connection);
                let ready = lease.watching(until_ready(&session.connection, applied, &limits, &tell));
                let mut ready = pin!(ready);
                let ready = loop {
                    tokio::select! {
                        done = &mut ready => break done.map_err(of_lease(step))?,
                        Some(progress) = told.recv() => self.hear(progress, &mut pace, &session.connection),
                        never = &mut meanwhile => match never {},
                        () = tokio::time::sleep(TICK) => {}
                    }
                    pace.due(Instant::now()).iter().for_each(|line| self.observer.step("Waiting", line));
                };
                while let Ok(progress) = told.try_recv() {
                    self.hear(progress, &mut pace, &session.connection);
                }
                let Err(error @ NotReady::Blocked { pods, .. }) = &ready else {
                    break Ok(ready.map_err(|error| self.as_seen(error, deadline, &session.connection)));
                };
                self.observer.warn(&format!("{error}: deleted"));
                let deleted =
                    lease.writing(unblock(&session.connection, pods)).await.map_err(of_lease(step))?;
                deleted.map_err(|error| of_api(step, &error, error.to_string()))?;
            }
        })?;
        Ok(ready.map(|warnings| {
            warnings.iter().for_each(|warning| self.observer.warn(warning));
            pace.end(Instant::now()).iter().for_each(|text| self.observer.step("Ready", text));
        }))
    }

    /// How long is waited from now on.
    fn limits(&self, deadline: Deadline, connection: &Connection) -> Limits {
        Limits {
            timeout: deadline.left(connection),
            silence: self.patience(),
            allowance: deadline.allowance(connection).unwrap_or_default(),
            patience: Patience { crash: self.cluster.crash_grace, ..Patience::default() },
            new_images: self.state.borrow().new_images.clone(),
        }
    }

    /// Tells what was not ready in time from what could not be seen for so long that this took of its time.
    fn as_seen(&self, error: NotReady, deadline: Deadline, connection: &Connection) -> NotReady {
        let is_late = matches!(error, NotReady::TimedOut { .. } | NotReady::Unreachable { .. });
        if !is_late || deadline.allowance(connection).is_some() {
            return error;
        }
        self.was_waited_for.set(true);
        match error {
            NotReady::TimedOut { .. } => NotReady::Unseen { silence: deadline.silence(connection) },
            error => error,
        }
    }

    /// What is waited for: all but what we did not touch and what was not ready before either.
    pub(super) fn judged(&self, held: &Held, forward: &Forward, applied: &[Applied]) -> Vec<Applied> {
        // What an earlier run, or one that failed, has applied looks untouched now.
        if !held.stood_at_success && forward.only.is_none() {
            return applied.to_vec();
        }
        let was_unready = |one: &&Applied| {
            let planned =
                forward.planned.objects.iter().find(|object| object.target.id.is_same(&one.target.id));
            let kept = planned.filter(|object| object.effect == Effect::Keep);
            let counts = kept.and_then(|object| ready_of_wanted(&object.target.id, object.live.as_ref()?));
            counts.is_some_and(|(ready, wanted)| ready < wanted)
        };
        let (unready, judged): (Vec<&Applied>, Vec<&Applied>) = applied.iter().partition(was_unready);
        for one in unready {
            let id = &one.target.id;
            self.observer
                .warn(&format!("{id} is not changed and was not ready before: it is not waited for"));
        }
        judged.into_iter().cloned().collect()
    }

    /// Tells at once what cannot wait, and keeps the rest for when it is due.
    fn hear(&self, progress: Progress, pace: &mut Pace, connection: &Connection) {
        match progress {
            Progress::Warning(text) => self.observer.warn(&text),
            Progress::Standing { ready, wanted, waiting } => pace.hear(ready, wanted, waiting),
            Progress::Silent => {
                let until = in_so_long(self.patience().saturating_sub(SILENCE));
                self.tell_silence(connection, &format!(" until {until}"));
            }
            Progress::Answers => self.observer.step("Waiting", "the cluster answers again"),
        }
    }

    /// Why something is not ready, in words.
    pub(super) fn not_ready(&self, step: Step, mut error: NotReady) -> Failure {
        for line in error.evidence() {
            self.observer.step(if line.starts_with(QUOTE) { "" } else { "Seen" }, line);
        }
        let is_late = match &mut error {
            NotReady::TimedOut { timeout, .. } => {
                // What was left for this wait says nothing to a person: the time is for the whole step.
                *timeout = self.cluster.timeout;
                true
            }
            NotReady::Failed { .. }
            | NotReady::Blocked { .. }
            | NotReady::Unreachable { .. }
            | NotReady::Unseen { .. }
            | NotReady::Unread { .. }
            | NotReady::Denied { .. } => false,
        };
        let failure = Failure::new(step, error.blame(), error.to_string()).hint(error.hint());
        let is_undecided = match &error {
            NotReady::Unreachable { .. } | NotReady::Unseen { .. } => true,
            NotReady::Denied { was_silent, why, .. } => *was_silent || why.is_undecided(),
            _ => false,
        };
        let failure = open_if(is_undecided, failure);
        if is_late { failure.timed_out() } else { failure }
    }
}

/// When so long has gone by, as people say it.
fn in_so_long(time: Duration) -> String {
    let then = jiff::Timestamp::now().checked_add(time).unwrap_or(jiff::Timestamp::MAX);
    then.strftime("%H:%M:%S UTC").to_string()
}

/// What has to be ready before a step is over.
pub(super) enum Wait {
    /// Nothing yet.
    Nothing,
    /// What the step has applied.
    These,
    /// All that was applied so far.
    All,
}

/// What has to be ready before the next step.
pub(super) fn waits_for(
    stage: Stage,
    objects: &[PlannedObject],
    later: &[(Stage, &[PlannedObject])],
) -> Wait {
    let Some((next, _)) = later.first() else { return Wait::Nothing };
    let changes = |objects: &[PlannedObject]| objects.iter().any(|object| object.effect != Effect::Keep);
    let changes_later = || later.iter().any(|(_, objects)| changes(objects));
    match stage {
        Stage::Foundations if objects.iter().any(is_definition) => Wait::These,
        // What comes first in its stage is waited for, as `git-deploy/order` says.
        _ if *next == stage && changes_later() => Wait::These,
        Stage::Workloads if changes_later() => Wait::All,
        _ => Wait::Nothing,
    }
}

fn is_definition(object: &PlannedObject) -> bool {
    object.target.id.is_definition() && object.effect != Effect::Keep
}
