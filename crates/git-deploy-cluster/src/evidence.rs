//! What a cluster has to say about an object that failed: lines for people.
//!
//! Read before anything is rolled back, because going back takes the pods away and the events' objects with them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use git_deploy_manifest::value::{one_line, text};
use k8s_openapi::api::core::v1::Event;
use kube::Resource as _;
use kube::api::ListParams;
use kube::core::discovery::ApiResource;
use kube::core::{DynamicObject, Request};
use serde_json::Value;

use crate::alike::gist;
use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::Connection;

/// How long anybody who waits for a verdict should wait for its explanation.
const LIMIT: Duration = Duration::from_secs(5);

/// How many events are shown of each kind, warnings first of all.
const WARNINGS: usize = 5;
const OTHERS: usize = 2;

/// An object that events may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suspect {
    pub(crate) namespace: Option<String>,
    pub(crate) uid: String,
}

/// What was noted of some objects.
pub(crate) struct Events {
    found: Vec<Value>,
    failure: Option<String>,
}

impl Events {
    /// Those of these.
    pub(crate) async fn of(connection: &Connection, suspects: &[Suspect]) -> Events {
        let reading = join_all(suspects.iter().map(|suspect| events_of(connection, suspect)));
        let Ok(answers) = tokio::time::timeout(LIMIT, reading).await else {
            return Events { found: Vec::new(), failure: Some("no answer in time".to_owned()) };
        };
        let (mut found, mut failure) = (Vec::new(), None);
        for answer in answers {
            match answer {
                Ok(events) => found.extend(events),
                Err(error) => failure = Some(error.to_string()),
            }
        }
        Events::new(found, failure)
    }

    fn new(mut found: Vec<Value>, failure: Option<String>) -> Events {
        found.sort_by(|one, other| last_seen(one).cmp(last_seen(other)));
        Events { found, failure }
    }

    /// The latest, the newest last; a line that says why, where they cannot be read.
    pub(crate) fn lines(&self) -> Vec<String> {
        match &self.failure {
            Some(error) if self.found.is_empty() => vec![format!("its events could not be read: {error}")],
            _ => lines(&self.found),
        }
    }

    /// What a probe said last for which a container was ended: by its exit status alone nobody can tell.
    pub(crate) fn fatal_probe(&self) -> Option<String> {
        let killed = self.found.iter().rev().filter(|event| text(event, "/reason") == "Killing");
        let probes = [("failed liveness probe", "Liveness"), ("failed startup probe", "Startup")];
        let mut said = killed.filter_map(|event| {
            let (_, probe) = probes.iter().find(|(words, _)| text(event, "/message").contains(words))?;
            self.probe(probe, text(event, "/involvedObject/uid"))
        });
        said.next()
    }

    /// What a readiness probe said last.
    pub(crate) fn readiness_probe(&self) -> Option<String> {
        self.probe("Readiness", "")
    }

    /// Of that object, or of any.
    fn probe(&self, probe: &str, of: &str) -> Option<String> {
        let is_it = |event: &&Value| {
            text(event, "/reason") == "Unhealthy"
                && text(event, "/message").starts_with(&format!("{probe} probe"))
                && (of.is_empty() || text(event, "/involvedObject/uid") == of)
        };
        self.found.iter().rfind(is_it).map(said)
    }
}

/// A warning of what nothing else tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) text: String,
    /// What the pod that it is about cannot start without, if that is not there: how long the node had been looking for
    /// it when it said so last.
    pub(crate) lacking: Option<Lacking>,
}

/// A pod whose volumes cannot be made because a ConfigMap, a Secret or a key of them is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lacking {
    pub(crate) pod: String,
    pub(crate) lasted: Duration,
}

/// The last warning about some objects that is not older than that; none where events cannot be read.
pub(crate) async fn warning(connection: &Connection, suspects: &[Suspect], since: &str) -> Option<Warning> {
    let events = Events::of(connection, suspects).await.found;
    // Some of these times have fractions of a second, which are no text that sorts with the others.
    let second = |time: &str| time.get(.."2026-11-20T12:00:00".len()).unwrap_or_default().to_owned();
    let is_about_this =
        |event: &&Value| text(event, "/type") == "Warning" && second(last_seen(event)) >= second(since);
    let newest = events.iter().rfind(is_about_this)?;
    let text = format!("{}: {}", one_line(text(newest, "/reason")), said(newest));
    Some(Warning { text, lacking: lacking(newest) })
}

/// Where a node said that a volume lacks what it is made of. That it has not yet been told of that is something else, and
/// said in other words.
fn lacking(event: &Value) -> Option<Lacking> {
    let message = text(event, "/message");
    let is_object = ["configmap \"", "secret \""].iter().any(|kind| message.contains(kind));
    let is_missing =
        is_object && message.ends_with("not found") || message.contains("references non-existent");
    if text(event, "/reason") != "FailedMount" || !is_missing {
        return None;
    }
    let time = |of: &str| of.parse::<jiff::Timestamp>().ok();
    let first = ["/firstTimestamp", "/eventTime"].iter().find_map(|pointer| time(text(event, pointer)));
    let lasted = first.zip(time(last_seen(event))).map(|(first, last)| last.duration_since(first));
    let lasted = lasted.and_then(|lasted| Duration::try_from(lasted).ok()).unwrap_or_default();
    Some(Lacking { pod: one_line(text(event, "/involvedObject/name")), lasted })
}

async fn events_of(connection: &Connection, suspect: &Suspect) -> Result<Vec<Value>, ApiError> {
    let resource = ApiResource::erase::<Event>(&());
    // Events of objects without a namespace are kept in this one.
    let namespace = suspect.namespace.as_deref().unwrap_or("default");
    let only = ListParams::default().fields(&format!("involvedObject.uid={}", suspect.uid));
    let request = Request::new(DynamicObject::url_path(&resource, Some(namespace))).list(&only);
    let request = request.map_err(|error| ApiError::new(ApiErrorKind::NotUnderstood, error.to_string()))?;
    let mut answer = connection.call(request).await?;
    match answer.pointer_mut("/items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// The last warnings; where there is none, what else was noted last. What is said of several pods, or again, is one.
fn lines(events: &[Value]) -> Vec<String> {
    let (warnings, others): (Vec<&Value>, Vec<&Value>) =
        events.iter().partition(|event| text(event, "/type") == "Warning");
    let (telling, again): (Vec<&Value>, Vec<&Value>) =
        warnings.into_iter().partition(|event| !is_only_trying_again(event));
    let (chosen, most) = match (telling.is_empty(), again.is_empty()) {
        (false, _) => (telling, WARNINGS),
        (true, false) => (again, WARNINGS),
        (true, true) => (others, OTHERS),
    };
    let mut groups: Vec<Group<'_>> = Vec::new();
    for event in chosen.into_iter().rev() {
        match groups.iter_mut().find(|group| group.is_of(event)) {
            Some(group) => group.take_in(event),
            None => groups.push(Group::of(event)),
        }
    }
    groups.iter().take(most).rev().map(Group::line).collect()
}

/// Events that say the same.
struct Group<'a> {
    gist: String,
    newest: &'a Value,
    times: i64,
    names: BTreeSet<&'a str>,
}

impl<'a> Group<'a> {
    fn of(newest: &'a Value) -> Self {
        let mut group = Self { gist: gist_of(newest), newest, times: 0, names: BTreeSet::new() };
        group.take_in(newest);
        group
    }

    fn is_of(&self, event: &Value) -> bool {
        self.gist == gist_of(event)
    }

    fn take_in(&mut self, event: &'a Value) {
        let times = event.pointer("/series/count").or_else(|| event.pointer("/count"));
        self.times = self.times.saturating_add(times.and_then(Value::as_i64).unwrap_or(1).max(1));
        self.names.insert(text(event, "/involvedObject/name"));
    }

    /// `BackOff, 5 times (Pod 'web-7d9' and 1 more): back-off restarting failed container`
    fn line(&self) -> String {
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        let more = self.names.len().saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!(
            "{}{times} ({} '{}'{more}): {}",
            one_line(text(self.newest, "/reason")),
            one_line(text(self.newest, "/involvedObject/kind")),
            one_line(text(self.newest, "/involvedObject/name")),
            said(self.newest)
        )
    }
}

fn gist_of(event: &Value) -> String {
    let about =
        ["/reason", "/involvedObject/kind", "/involvedObject/name"].map(|pointer| text(event, pointer));
    gist(&format!("{}\n{}", about.join("\n"), said(event)))
}

/// Whether it says no more than that something that failed is tried again, or that it failed: why is said elsewhere.
fn is_only_trying_again(event: &Value) -> bool {
    let starts = [
        "Back-off restarting failed container",
        "Back-off pulling image",
        "Error: ErrImagePull",
        "Error: ImagePullBackOff",
    ];
    starts.iter().any(|start| text(event, "/message").starts_with(start))
}

/// Its message; that the API server's own counting has put several together says nothing to a person.
fn said(event: &Value) -> String {
    let message = text(event, "/message");
    match one_line(message.strip_prefix("(combined from similar events): ").unwrap_or(message)) {
        message if message.is_empty() => "no message".to_owned(),
        message => message,
    }
}

/// When it was last seen: text that sorts as the times do, since all are the server's, in UTC.
fn last_seen(event: &Value) -> &str {
    let pointers =
        ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    pointers.iter().map(|pointer| text(event, pointer)).find(|time| !time.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, reason: &str, seconds: u32, message: &str) -> Value {
        json!({
            "type": kind, "reason": reason, "message": message, "count": seconds,
            "lastTimestamp": format!("2026-11-20T12:00:{seconds:02}Z"),
            "involvedObject": {"kind": "Pod", "name": "web-1"},
        })
    }

    fn of(found: Vec<Value>) -> Vec<String> {
        Events::new(found, None).lines()
    }

    #[test]
    fn warnings_are_shown_newest_last_and_other_events_only_without_any() {
        let events = vec![
            event("Warning", "BackOff", 5, "later"),
            event("Normal", "Pulled", 9, "well"),
            event("Warning", "Failed", 1, "first"),
        ];
        assert_eq!(of(events), ["Failed (Pod 'web-1'): first", "BackOff, 5 times (Pod 'web-1'): later"]);
        assert_eq!(of(vec![event("Normal", "Pulled", 1, "well")]), ["Pulled (Pod 'web-1'): well"]);
    }

    #[test]
    fn few_lines_are_enough() {
        let many = (0..40).map(|n| event("Warning", &format!("Failed{n}"), n, "x")).collect();
        let lines = of(many);
        assert_eq!(lines.len(), WARNINGS);
        assert!(lines.last().unwrap().starts_with("Failed39, 39 times"), "{lines:?}");
    }

    #[test]
    fn what_differs_only_in_names_that_nobody_chose_is_one_event_with_a_count() {
        let refused = |set: &str, pod: &str, combined: &str, seconds: u32| {
            let mut event = event("Warning", "FailedCreate", seconds, "");
            event["involvedObject"] = json!({"kind": "ReplicaSet", "name": set});
            event["count"] = json!(seconds);
            event["message"] = json!(format!(
                "{combined}Error creating: pods \"{pod}\" is forbidden: exceeded quota: small, used: pods={seconds}"
            ));
            event
        };
        let events = vec![
            refused("web-7dfc949d7c", "web-7dfc949d7c-4tl4r", "", 1),
            refused("web-7dfc949d7c", "web-7dfc949d7c-sjkvx", "", 2),
            refused("web-7dfc949d7c", "web-7dfc949d7c-6d6sz", "(combined from similar events): ", 3),
            refused("worker-7dfc949d7c", "worker-7dfc949d7c-6d6sz", "", 4),
        ];
        let end = "is forbidden: exceeded quota: small, used: pods=";
        assert_eq!(
            of(events),
            [
                format!(
                    "FailedCreate, 6 times (ReplicaSet 'web-7dfc949d7c'): Error creating: pods \"web-7dfc949d7c-6d6sz\" {end}3"
                ),
                format!(
                    "FailedCreate, 4 times (ReplicaSet 'worker-7dfc949d7c'): Error creating: pods \"worker-7dfc949d7c-6d6sz\" {end}4"
                ),
            ]
        );
    }

    #[test]
    fn the_same_of_several_pods_is_said_once() {
        let pod = |pod: &str| {
            let mut event = event("Warning", "BackOff", 2, "");
            event["involvedObject"]["name"] = json!(pod);
            event
        };
        let found = of(vec![pod("web-7dfc949d7c-4tl4r"), pod("web-7dfc949d7c-sjkvx"), pod("db-0")]);
        assert_eq!(
            found,
            [
                "BackOff, 4 times (Pod 'web-7dfc949d7c-sjkvx' and 1 more): no message",
                "BackOff, 2 times (Pod 'db-0'): no message"
            ]
        );
    }

    #[test]
    fn what_a_cluster_says_stays_in_one_line() {
        let hostile = event("Warning", "Bad\u{1b}[2J", 1, "a\nb\r\u{7}c");
        assert_eq!(of(vec![hostile]), ["Bad [2J (Pod 'web-1'): a b c"]);
    }

    #[test]
    fn that_something_is_tried_again_is_shown_only_where_nothing_says_why() {
        let again = event("Warning", "BackOff", 9, "Back-off restarting failed container web in pod web-1");
        let why = event("Warning", "Unhealthy", 1, "Liveness probe failed: no");
        assert_eq!(of(vec![again.clone(), why]), ["Unhealthy (Pod 'web-1'): Liveness probe failed: no"]);
        assert!(of(vec![again])[0].starts_with("BackOff, 9 times"));
    }

    #[test]
    fn a_probe_is_to_blame_only_where_a_container_was_ended_for_it() {
        let probe = event("Warning", "Unhealthy", 2, "Liveness probe failed: refused");
        let later = event("Warning", "Unhealthy", 3, "Readiness probe failed: 404");
        let killed = event("Normal", "Killing", 4, "Container web failed liveness probe, will be restarted");
        let stopped = event("Normal", "Killing", 4, "Stopping container web");
        let events = Events::new(vec![probe.clone(), later.clone(), stopped], None);
        assert_eq!(events.fatal_probe(), None);
        assert_eq!(events.readiness_probe().as_deref(), Some("Readiness probe failed: 404"));
        let events = Events::new(vec![probe, later, killed], None);
        assert_eq!(events.fatal_probe().as_deref(), Some("Liveness probe failed: refused"));
    }

    #[test]
    fn a_volume_lacks_what_the_node_has_looked_for_and_not_found() {
        let failed = |message: &str| {
            let mut event = event("Warning", "FailedMount", 8, message);
            event["firstTimestamp"] = json!("2026-11-20T12:00:01Z");
            lacking(&event).map(|lacking| (lacking.pod, lacking.lasted.as_secs()))
        };
        let start = "MountVolume.SetUp failed for volume \"v\" : ";
        for missing in [
            "configmap \"colours\" not found",
            "secret \"key\" not found",
            "references non-existent secret key: a",
        ] {
            assert_eq!(failed(&format!("{start}{missing}")), Some(("web-1".to_owned(), 7)));
        }
        for other in [
            "object \"shop\"/\"colours\" not registered",
            "failed to sync configmap cache: timed out",
            "hostPath not found",
        ] {
            assert_eq!(failed(&format!("{start}{other}")), None);
        }
    }
}
