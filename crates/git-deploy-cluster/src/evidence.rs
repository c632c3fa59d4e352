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

/// The latest events of some objects, the newest last; a line that says why, where they cannot be read.
pub(crate) async fn events(connection: &Connection, suspects: &[Suspect]) -> Vec<String> {
    let reading = join_all(suspects.iter().map(|suspect| events_of(connection, suspect)));
    let Ok(answers) = tokio::time::timeout(LIMIT, reading).await else {
        return vec!["its events could not be read: no answer in time".to_owned()];
    };
    let mut found = Vec::new();
    let mut failure = None;
    for answer in answers {
        match answer {
            Ok(events) => found.extend(events),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if found.is_empty() => vec![format!("its events could not be read: {error}")],
        _ => lines(found),
    }
}

/// The last warning about some objects that is not older than that; none where events cannot be read.
pub(crate) async fn warning(connection: &Connection, suspects: &[Suspect], since: &str) -> Option<String> {
    let reading = join_all(suspects.iter().map(|suspect| events_of(connection, suspect)));
    let answers = tokio::time::timeout(LIMIT, reading).await.ok()?;
    let events = answers.into_iter().flatten().flatten();
    let is_about_this = |event: &Value| text(event, "/type") == "Warning" && last_seen(event) >= since;
    let newest = events.filter(is_about_this).max_by(|one, other| last_seen(one).cmp(last_seen(other)))?;
    Some(format!("{}: {}", one_line(text(&newest, "/reason")), said(&newest)))
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
fn lines(mut events: Vec<Value>) -> Vec<String> {
    events.sort_by(|one, other| last_seen(one).cmp(last_seen(other)));
    let (warnings, others): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| text(event, "/type") == "Warning");
    let (chosen, most) = if warnings.is_empty() { (others, OTHERS) } else { (warnings, WARNINGS) };
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

    #[test]
    fn warnings_are_shown_newest_last_and_other_events_only_without_any() {
        let events = vec![
            event("Warning", "BackOff", 5, "later"),
            event("Normal", "Pulled", 9, "well"),
            event("Warning", "Failed", 1, "first"),
        ];
        assert_eq!(lines(events), ["Failed (Pod 'web-1'): first", "BackOff, 5 times (Pod 'web-1'): later"]);
        assert_eq!(lines(vec![event("Normal", "Pulled", 1, "well")]), ["Pulled (Pod 'web-1'): well"]);
    }

    #[test]
    fn few_lines_are_enough() {
        let many = (0..40).map(|n| event("Warning", &format!("Failed{n}"), n, "x")).collect();
        let lines = lines(many);
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
            lines(events),
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
        let of = |pod: &str| {
            let mut event = event("Warning", "BackOff", 2, "");
            event["involvedObject"]["name"] = json!(pod);
            event
        };
        let found = lines(vec![of("web-7dfc949d7c-4tl4r"), of("web-7dfc949d7c-sjkvx"), of("db-0")]);
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
        assert_eq!(lines(vec![hostile]), ["Bad [2J (Pod 'web-1'): a b c"]);
    }
}
