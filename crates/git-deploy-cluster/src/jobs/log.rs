//! What the containers of one-time jobs write, told while they write it.
//!
//! A log is a courtesy: nothing that is wrong with it fails a deployment, and whoever does not hear it waits as before. It is
//! read from its beginning, once, of each container of each pod, those that are started again too. Where reading breaks off it
//! goes on where it was, by the time that the node notes with each line. How much is told is bounded ([`MOST_LINES`],
//! [`MOST_BYTES`]): more than that is not read at all.

mod speaker;
mod track;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use futures::stream::FuturesUnordered;
use futures::{AsyncBufReadExt as _, StreamExt as _};
use http::Method;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::core::discovery::ApiResource;
use tokio::time::{sleep, timeout};

use super::pods_of;
use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, broken, request};
use crate::objects::Place;
use crate::target::Target;
use crate::watch::api_error;
use speaker::{Instance, Speaker, speakers};
use track::Track;

/// How many lines are told of all jobs of a deployment together.
const MOST_LINES: usize = 10_000;

/// How much of their logs is read, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// How often it is looked for new containers, and for those whose log broke off; less often while all are listened to.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A log in which nothing is written for so long is asked for again: nobody may be at the other end any more.
const SILENT: Duration = Duration::from_secs(30);

/// How long whoever waits for a verdict waits for what was written last.
const REST: Duration = Duration::from_secs(2);

/// How often the log of what ran before is asked for in vain before what runs now is listened to.
const FEW_FAILURES: u32 = 3;

/// How often a log that broke off is asked for in vain before that is told. It is asked for on and on.
const MOST_FAILURES: u32 = 20;

/// What is told of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A line of it.
    Line {
        /// Who wrote it: `pod/container`.
        from: String,
        /// What, in one line and harmless.
        text: String,
    },
    /// What should be known of it: each of these once.
    Remark(String),
}

/// Listens to jobs.
pub(crate) struct Listener<'a> {
    connection: &'a Connection,
    jobs: Vec<&'a Target>,
    tell: &'a dyn Fn(Heard),
    notes: RefCell<Notes>,
}

/// What was heard so far.
#[derive(Default)]
struct Notes {
    tracks: HashMap<Instance, Track>,
    lines: usize,
    bytes: usize,
    /// Whether nothing more is to be heard.
    is_over: bool,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(connection: &'a Connection, jobs: Vec<&'a Target>, tell: &'a dyn Fn(Heard)) -> Self {
        Self { connection, jobs, tell, notes: RefCell::default() }
    }

    /// Listens for ever.
    pub(crate) async fn listen(&self) -> Infallible {
        let mut following = FuturesUnordered::new();
        let mut followed = HashSet::new();
        let mut pause = Duration::ZERO;
        while !self.is_over() {
            let mut look = pin!(self.look_after(pause));
            let mut is_news = followed.is_empty();
            let found = loop {
                tokio::select! {
                    found = &mut look => break found,
                    Some(instance) = following.next() => is_news |= followed.remove(&instance),
                }
            };
            for in_turn in found.chunk_by(Speaker::is_of_the_same) {
                for speaker in in_turn {
                    if followed.insert(speaker.instance.clone()) {
                        is_news = true;
                        following.push(self.follow(speaker.clone()));
                    }
                    // What ran before is heard first, unless its node has no more of it.
                    if self.track(&speaker.instance, |track| track.failures < FEW_FAILURES) {
                        break;
                    }
                }
            }
            pause = if is_news { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
        }
        drop(following);
        std::future::pending().await
    }

    /// Tells what was written until now and was not heard yet, within [`REST`].
    pub(crate) async fn rest(&self) {
        let reading = async {
            let mut speakers = self.look().await;
            speakers.retain(|speaker| self.track(&speaker.instance, |track| !track.is_mute()));
            join_all(speakers.chunk_by(Speaker::is_of_the_same).map(async |in_turn| {
                for speaker in in_turn {
                    let read = self.read(speaker, false, Duration::ZERO).await;
                    self.settle(speaker, read);
                }
            }))
            .await
        };
        timeout(REST, reading).await.ok();
    }

    fn is_over(&self) -> bool {
        self.notes.borrow().is_over
    }

    fn track<T>(&self, instance: &Instance, with: impl FnOnce(&mut Track) -> T) -> T {
        with(self.notes.borrow_mut().tracks.entry(instance.clone()).or_default())
    }

    /// The containers of which not everything was heard, those of one name behind one another and in the order in which they ran.
    async fn look(&self) -> Vec<Speaker> {
        if self.is_over() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for answer in join_all(self.jobs.iter().map(|job| pods_of(self.connection, job))).await {
            match answer {
                Ok(pods) => found.extend(pods.iter().flat_map(speakers)),
                Err(error) => self.deny(&error),
            }
        }
        found.retain(|speaker| !self.track(&speaker.instance, |track| track.is_whole));
        found
    }

    async fn look_after(&self, pause: Duration) -> Vec<Speaker> {
        sleep(pause).await;
        self.look().await
    }

    async fn follow(&self, speaker: Speaker) -> Instance {
        let read = self.read(&speaker, !speaker.has_ended, FIRST_PAUSE).await;
        self.settle(&speaker, read);
        speaker.instance
    }

    /// Tells what a container has written since it was heard last; and what it writes, until it ends or nothing is heard for
    /// long. The cluster is given a moment to hear of the next run.
    async fn read(&self, speaker: &Speaker, is_followed: bool, moment: Duration) -> Result<(), ApiError> {
        let since = self.track(&speaker.instance, Track::resume);
        let asked = request(Method::GET, &path(speaker, is_followed, since), Vec::new());
        // A node answers when the first line is written.
        let Ok(answer) = timeout(SILENT, self.connection.client().request_stream(asked)).await else {
            return Ok(());
        };
        let mut answer = pin!(answer.map_err(|error| api_error(&error))?);
        let next_run = self.next_run(speaker, moment).await?;
        self.track(&speaker.instance, |track| track.take_until(next_run));
        // Where another one runs by now, nothing more comes of this one.
        let silent = next_run.map_or(SILENT, |_| FIRST_PAUSE);
        while !self.is_over() {
            let Ok(piece) = timeout(silent, answer.fill_buf()).await else { return Ok(()) };
            let piece = piece.map_err(|error| broken(&kube::Error::Service(error.into())))?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            let lines = self.track(&speaker.instance, |track| track.take(piece));
            answer.consume_unpin(length);
            self.say(speaker, length, lines);
            // While the next run goes on its node still has the log of this one, and no longer than that.
            if self.track(&speaker.instance, |track| track.is_of_next_run) {
                return Ok(());
            }
        }
        // What ends before its container does has broken off: its last line may be half of one.
        if speaker.has_ended {
            let last = self.track(&speaker.instance, Track::end);
            self.say(speaker, 0, last);
        }
        Ok(())
    }

    /// When the run began that came after the one whose log was asked for. A node gives the log of the run that is there by
    /// then, and the cluster hears of that one a moment later than the node.
    async fn next_run(&self, speaker: &Speaker, moment: Duration) -> Result<Option<Timestamp>, ApiError> {
        if speaker.is_of_the_past {
            return Ok(None);
        }
        sleep(moment).await;
        let pods = try_join_all(self.jobs.iter().map(|job| pods_of(self.connection, job))).await?;
        let now: Vec<Speaker> = pods.iter().flatten().flat_map(speakers).collect();
        Ok(speaker.next_run(&now))
    }

    fn say(&self, speaker: &Speaker, bytes: usize, lines: impl IntoIterator<Item = String>) {
        for text in lines {
            let is_too_much = {
                let mut notes = self.notes.borrow_mut();
                notes.lines += 1;
                notes.lines > MOST_LINES
            };
            if is_too_much {
                return self.stop(too_much(speaker));
            }
            (self.tell)(Heard::Line { from: speaker.to_string(), text });
        }
        let bytes = {
            let mut notes = self.notes.borrow_mut();
            notes.bytes += bytes;
            notes.bytes
        };
        if bytes > MOST_BYTES {
            self.stop(too_much(speaker));
        }
    }

    /// Notes that a log could not be read. It is asked for again, whatever was said: a node that begins anew does not know its
    /// pods for a moment, and those that are gone are not looked for.
    fn settle(&self, speaker: &Speaker, read: Result<(), ApiError>) {
        let Err(error) = read else { return };
        self.deny(&error);
        let is_missed = self.track(&speaker.instance, |track| {
            track.failures += 1;
            // Where a node has never said anything, it is no news that it does not.
            track.is_heard() && track.failures == MOST_FAILURES
        });
        if is_missed && !self.is_over() {
            (self.tell)(Heard::Remark(format!("the log of {speaker} broke off: {error}")));
        }
    }

    /// Whoever may not read logs is told so once.
    fn deny(&self, error: &ApiError) {
        if matches!(error.kind(), ApiErrorKind::Forbidden | ApiErrorKind::Unauthorized) {
            self.stop(format!("cannot show what one-time jobs write: {error}"));
        }
    }

    fn stop(&self, why: String) {
        if !std::mem::replace(&mut self.notes.borrow_mut().is_over, true) {
            (self.tell)(Heard::Remark(why));
        }
    }
}

fn too_much(speaker: &Speaker) -> String {
    let Instance { namespace, pod, container, .. } = &speaker.instance;
    let (lines, size) = (MOST_LINES, MOST_BYTES / 1024 / 1024);
    format!(
        "no more is shown of what one-time jobs write, after {lines} lines or {size} MiB; \
         the rest: kubectl logs --namespace={namespace} {pod} {container}"
    )
}

fn path(speaker: &Speaker, is_followed: bool, since: Option<Timestamp>) -> String {
    let Instance { namespace, pod, container, .. } = &speaker.instance;
    let resource = ApiResource::erase::<Pod>(&());
    let pod = Place { resource: &resource, namespace: Some(namespace), name: pod }.path();
    let since = since.map(|since| format!("&sinceTime={since}")).unwrap_or_default();
    let previous = speaker.is_previous;
    format!("{pod}/log?container={container}&previous={previous}&follow={is_followed}&timestamps=true{since}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_for_goes_on_where_it_was() {
        let pod = json!({"metadata": {"namespace": "shop", "name": "migrate-1", "uid": "u"}, "status": {
            "containerStatuses": [{"name": "main", "containerID": "c", "state": {"running": {}}}]}});
        let speaker = speakers(&pod).remove(0);
        let start = "/api/v1/namespaces/shop/pods/migrate-1/log?container=main&previous=false&follow=true&timestamps=true";
        assert_eq!(path(&speaker, true, None), start);
        let since = "2026-11-21T07:00:00.000000001Z".parse().ok();
        assert_eq!(path(&speaker, true, since), format!("{start}&sinceTime=2026-11-21T07:00:00.000000001Z"));
    }
}
