//! Waiting until what was applied does what it was applied for.
//!
//! Everything at once, failing with the first object that will not become ready, and only by what an object says of the
//! generation that was applied. What ready means is decided in `git_deploy_manifest::readiness`; here is where objects
//! come from, how time passes, and what is told. Nothing here changes the cluster.
//!
//! All that runs is part of the one future: whoever drops it ends every watch.

mod heard;
mod not_ready;
mod scene;
mod told;

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::readiness::{NewImages, Origin, Patience, Trouble, UNREADY};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::api_error::ApiError;
use crate::connect::{Connection, SILENCE};
use crate::evidence::Events;
use crate::logs::{self, Logs};
use crate::target::Applied;
pub use not_ready::NotReady;
use scene::{Left, Scene};
pub(crate) use told::NAMED;
use told::{Ear, Told};
pub use told::{Progress, Waiting};

/// How often it is looked at when nothing changes: troubles become failures by lasting.
const TICK: Duration = Duration::from_millis(500);

/// Changes come in swarms; this much later most of a swarm is there.
const SETTLE: Duration = Duration::from_millis(20);

/// A container without a readiness probe counts as ready as soon as it runs: whoever waited for one looks whether it still does
/// so much later. Less where whoever deploys has less patience with crashes.
const STEADY: Duration = Duration::from_secs(3);

/// Looking at everything takes at most one part in so many of the time, however much there is: the machine may be the one
/// that has to start the pods.
const REST_FOR_EACH_LOOK: u32 = 20;

/// How long is waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For all of it.
    pub timeout: Duration,
    /// For an answer, where there was none for so long.
    pub silence: Duration,
    /// How much time in which nobody answers does not count.
    pub allowance: Duration,
    /// With single troubles.
    pub patience: Patience,
    /// The images that nothing needed before: others need not wait until they can be pulled.
    pub new_images: NewImages,
}

impl Limits {
    /// What is left of the time after so much of it, in so much of which nobody answered.
    fn left(&self, elapsed: Duration, silent: Duration) -> Duration {
        let answered = elapsed.saturating_sub(silent.min(self.allowance));
        self.timeout.saturating_sub(answered)
    }
}

/// Waits until all that was applied is ready; says what should be known of it nevertheless.
///
/// A Service is judged by the pods that are there and by the workloads of the same call: wait for both together.
///
/// # Errors
/// With the first object that will not become ready, by time-out, or where the cluster cannot be asked.
pub async fn until_ready(
    connection: &Connection,
    applied: &[Applied],
    limits: &Limits,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<String>, NotReady> {
    let scene = Scene::of(applied, limits);
    let (ear, silent) = (Ear::new(connection, tell), connection.silent());
    let verdict = async {
        fill(connection, &scene).await?;
        let verdict = settle(connection, &scene, tell).await;
        ear.hear(false);
        verdict
    };
    let was_silent = || connection.silent() > silent;
    // Before whoever waits for an answer gives up, with which its silence may end.
    let over = async {
        over(connection, limits).await;
        Late { silence: connection.silence(), was_silent: was_silent() }
    };
    let end = async {
        tokio::select! {
            verdict = verdict => Ok(verdict),
            late = over => Err(late),
            never = ear.listen() => match never {},
            never = scene.heard.ask(connection, &scene) => match never {},
        }
    };
    // What the cluster has to say is read when the verdict is there, and takes nothing from the time for it.
    match end.await {
        Ok(Ok(notes)) => Ok(notes),
        Ok(Err(End::Failed(index, trouble))) => Err(failed(connection, &scene, index, trouble).await),
        Ok(Err(End::Denied { what, why })) => Err(NotReady::Denied { what, why, was_silent: was_silent() }),
        Ok(Err(End::Other(error))) => Err(error),
        Err(told) => late(connection, &scene, limits.timeout, &told).await,
    }
}

/// What the cluster was like when the time was over.
struct Late {
    /// For how long it has not answered.
    silence: Duration,
    /// Whether it was silent meanwhile.
    was_silent: bool,
}

/// Ends when the time is over, in which only that counts in which somebody answers; or when nobody has for too long.
async fn over(connection: &Connection, limits: &Limits) {
    let (begun, silent) = (Instant::now(), connection.silent());
    while connection.silence() < limits.silence {
        let left = limits.left(begun.elapsed(), connection.silent().saturating_sub(silent));
        if left.is_zero() {
            return;
        }
        sleep(left.min(TICK)).await;
    }
}

/// How a wait ends before its time, if not well.
enum End {
    /// With this object.
    Failed(usize, Trouble),
    /// With what may not be read, and what was answered.
    Denied { what: String, why: ApiError },
    /// With something that is told as it is.
    Other(NotReady),
}

/// Everything once; watches are opened only if that is not enough.
async fn fill(connection: &Connection, scene: &Scene<'_>) -> Result<(), End> {
    let stores = scene.stores().map(async |(store, is_required)| match store.fill(connection).await {
        Err(why) if is_required => Err(End::Denied { what: store.what(), why }),
        Err(why) => {
            store.give_up(why);
            Ok(())
        }
        Ok(()) => Ok(()),
    });
    try_join_all(stores).await.map(drop)
}

/// Watches until there is a verdict.
async fn settle(
    connection: &Connection,
    scene: &Scene<'_>,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<String>, End> {
    let (changed, needed) = (Notify::new(), Notify::new());
    tokio::select! {
        biased;
        verdict = verdict(connection, scene, tell, &changed, &needed) => verdict,
        end = follow(connection, scene, &changed, &needed) => Err(end),
    }
}

/// Looks, and looks again after each change; says when it needs to hear of changes at all.
async fn verdict(
    connection: &Connection,
    scene: &Scene<'_>,
    tell: &(dyn Fn(Progress) + Sync),
    changed: &Notify,
    needed: &Notify,
) -> Result<Vec<String>, End> {
    let mut told = Told::new(tell);
    let mut last_untried = None;
    loop {
        told.warn(scene.blind_spots());
        let begun = Instant::now();
        let standing = scene.look(NAMED);
        let rest = begun.elapsed() * REST_FOR_EACH_LOOK;
        told.of(&standing);
        if let Some((index, trouble)) = standing.failed {
            return Err(End::Failed(index, trouble));
        }
        if let Some((index, pods)) = standing.blocked {
            return Err(End::Other(NotReady::Blocked { object: scene.id(index).clone(), pods }));
        }
        if standing.waiting.iter().any(|left| scene.is_untried(left.index)) {
            last_untried = Some(begun);
        }
        if standing.waiting.is_empty() {
            let steady =
                last_untried.map(|last| STEADY.min(scene.patience.crash).saturating_sub(last.elapsed()));
            let Some(left) = steady.filter(|left| !left.is_zero()) else {
                scene.still_there(connection).await?;
                return Ok(standing.notes);
            };
            timeout(left.min(TICK), changed.notified()).await.ok();
            continue;
        }
        needed.notify_one();
        if scene.probe(connection).await {
            continue;
        }
        // Nothing is missed in between: a notification waits for whoever asks next.
        if timeout(TICK, changed.notified()).await.is_ok() {
            sleep(rest.clamp(SETTLE, TICK)).await;
        }
    }
}

/// Keeps all stores current, once that is needed: what is ready at the first sight, as all is that did not change,
/// costs no watch. Ends when something that was applied may no longer be watched.
async fn follow(connection: &Connection, scene: &Scene<'_>, changed: &Notify, needed: &Notify) -> End {
    needed.notified().await;
    let readable = scene.stores().filter(|(store, _)| store.state().denied().is_none());
    let watches = readable.map(async |(store, is_required)| {
        let why = store.follow(connection, changed).await;
        (why, store, is_required)
    });
    let mut watches: FuturesUnordered<_> = watches.collect();
    while let Some((why, store, is_required)) = watches.next().await {
        if is_required {
            return End::Denied { what: store.what(), why };
        }
        store.give_up(why);
        changed.notify_one();
    }
    std::future::pending().await
}

fn blame(origin: Origin) -> Blame {
    match origin {
        Origin::Release | Origin::NewImage => Blame::Branch,
        Origin::Cluster => Blame::Nobody,
    }
}

fn hint(origin: Origin) -> Option<&'static str> {
    let hint = "the image is new with this branch: if its registry is only away, the same commit will do when that is back";
    (origin == Origin::NewImage).then_some(hint)
}

async fn failed(connection: &Connection, scene: &Scene<'_>, index: usize, trouble: Trouble) -> NotReady {
    let (events, logs) = told_of(connection, scene, &[index], Some(&trouble.reason)).await;
    NotReady::Failed {
        object: scene.id(index).clone(),
        reason: explained(trouble.reason, &events, &logs),
        blame: blame(trouble.origin),
        hint: hint(trouble.origin),
        evidence: [events.lines(), logs.lines].concat(),
    }
}

/// The reason, and what a probe said if that is behind it: a pod's status says nothing of probes. Else what was written last.
fn explained(reason: String, events: &Events, logs: &Logs) -> String {
    let unready = || reason.ends_with(UNREADY).then(|| events.readiness_probe()).flatten();
    match events.fatal_probe().or_else(unready) {
        Some(said) => format!("{reason}: {said}"),
        None if reason.ends_with(UNREADY) => reason,
        None => logs.with_last_words(reason),
    }
}

/// What the cluster says of some of the objects: events, and what their containers wrote, first those that a reason is about.
async fn told_of(
    connection: &Connection,
    scene: &Scene<'_>,
    indices: &[usize],
    reason: Option<&str>,
) -> (Events, Logs) {
    let suspects: Vec<_> = indices.iter().flat_map(|index| scene.suspects(*index)).collect();
    let speakers: Vec<_> = indices.iter().flat_map(|index| scene.speakers(*index, reason)).collect();
    futures::join!(Events::of(connection, &suspects), logs::last_lines(connection, &speakers))
}

/// What is to be said where the API server, or a kind that is waited for, does not answer in the end. A kind may be late where
/// nothing was answered for a while, and has its own trouble where others are read all the time.
fn unseen(
    silence: Duration,
    was_silent: bool,
    owed: Option<(String, Duration, Option<ApiError>)>,
) -> Option<NotReady> {
    let is_silent = silence >= SILENCE;
    match owed.filter(|(_, time, _)| *time >= SILENCE) {
        Some((what, time, why)) if is_silent || was_silent && why.as_ref().is_none_or(ApiError::is_away) => {
            Some(NotReady::Unreachable { what, silence: time, why })
        }
        Some((what, time, why)) => Some(NotReady::Unread { what, time, why }),
        None if is_silent => {
            Some(NotReady::Unreachable { what: "what was applied".to_owned(), silence, why: None })
        }
        None => None,
    }
}

/// The end of the wait: because nobody answered, or because something is not ready.
async fn late(
    connection: &Connection,
    scene: &Scene<'_>,
    timeout: Duration,
    late: &Late,
) -> Result<Vec<String>, NotReady> {
    if let Some(unseen) = unseen(late.silence, late.was_silent, scene.silence()) {
        return Err(unseen);
    }
    let standing = scene.look(usize::MAX);
    if standing.waiting.is_empty() && standing.failed.is_none() {
        return Ok(standing.notes);
    }
    let waiting = standing.waiting;
    let first: Vec<usize> = waiting.iter().take(3).map(|left| left.index).collect();
    let cause = waiting.iter().find_map(|left| left.cause.clone());
    let cause = cause.or_else(|| waiting.iter().find_map(Left::trouble_heard));
    let reason = cause.as_ref().map(|trouble| trouble.reason.as_str());
    let (events, logs) = told_of(connection, scene, &first, reason).await;
    Err(NotReady::TimedOut {
        timeout,
        waiting: waiting.into_iter().map(|left| (left.id, left.what)).collect(),
        blame: cause.as_ref().map_or(Blame::Nobody, |trouble| blame(trouble.origin)),
        hint: cause.as_ref().and_then(|trouble| hint(trouble.origin)),
        cause: cause.map(|trouble| explained(trouble.reason, &events, &logs)),
        evidence: [events.lines(), logs.lines].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of widgets that could not be read for so long, with that answer.
    fn said(silence: u64, was_silent: bool, widgets: u64, why: Option<(u16, &str)>) -> String {
        let why = why.map(|(code, body)| ApiError::from_answer(code, body.as_bytes()));
        let owed = Some(("widgets".to_owned(), Duration::from_secs(widgets), why));
        match unseen(Duration::from_secs(silence), was_silent, owed) {
            None => "nothing".to_owned(),
            Some(NotReady::Unreachable { .. }) => "away".to_owned(),
            Some(other) => other.to_string(),
        }
    }

    #[test]
    fn no_more_silence_than_is_allowed_takes_nothing_from_the_time() {
        let seconds = Duration::from_secs;
        let (patience, new_images) = (Patience::default(), NewImages::default());
        let limits = Limits {
            timeout: seconds(60),
            silence: seconds(60),
            allowance: seconds(40),
            patience,
            new_images,
        };
        assert_eq!(limits.left(seconds(50), seconds(30)), seconds(40));
        assert_eq!(limits.left(seconds(95), seconds(70)), seconds(5), "40 of 70 seconds do not count");
        assert_eq!(limits.left(seconds(101), seconds(90)), seconds(0));
    }

    #[test]
    fn a_kind_that_cannot_be_read_while_others_are_has_its_own_trouble() {
        let webhook = Some((500, r#"{"kind":"Status","message":"conversion webhook failed"}"#));
        let balancer = Some((503, "no server is available"));
        let own = "widgets could not be read for 60 s: conversion webhook failed";
        assert_eq!(said(0, false, 60, webhook), own);
        assert_eq!(said(0, true, 60, webhook), own, "a silence in between has nothing to do with it");
        assert_eq!(said(9, true, 60, webhook), "away", "nobody answers");
        assert_eq!(said(0, true, 9, balancer), "away", "it was away just now");
        assert_eq!(said(0, true, 9, None), "away");
        assert!(said(0, false, 60, None).starts_with("widgets could not be read"));
        assert_eq!(said(0, false, 1, None), "nothing", "so long an answer may take");
    }
}
