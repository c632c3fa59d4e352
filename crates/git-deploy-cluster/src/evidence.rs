//! What a cluster has to say about an object that failed: lines for people.
//!
//! Read before anything is rolled back, because going back takes the pods away and the events' objects with them.

use std::time::Duration;

use futures::future::join_all;
use git_deploy_manifest::value::{one_line, text};
use kube::Resource as _;
use kube::api::ListParams;
use kube::core::discovery::ApiResource;
use kube::core::{DynamicObject, Request};
use serde_json::Value;

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

async fn events_of(connection: &Connection, suspect: &Suspect) -> Result<Vec<Value>, ApiError> {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: "Event".to_owned(),
        plural: "events".to_owned(),
    };
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

/// The last warnings; where there is none, what else was noted last.
fn lines(mut events: Vec<Value>) -> Vec<String> {
    events.sort_by(|one, other| last_seen(one).cmp(last_seen(other)));
    let (warnings, others): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| text(event, "/type") == "Warning");
    let (chosen, most) = if warnings.is_empty() { (others, OTHERS) } else { (warnings, WARNINGS) };
    let mut lines = Vec::new();
    for event in chosen.into_iter().rev() {
        let line = line(event);
        if lines.len() < most && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.reverse();
    lines
}

/// `BackOff, 5 times (Pod 'web-7d9'): back-off restarting failed container`
fn line(event: &Value) -> String {
    let times = event.pointer("/series/count").or_else(|| event.pointer("/count")).and_then(Value::as_i64);
    let times = times.filter(|times| *times > 1).map(|times| format!(", {times} times")).unwrap_or_default();
    format!(
        "{}{times} ({} '{}'): {}",
        one_line(text(event, "/reason")),
        one_line(text(event, "/involvedObject/kind")),
        one_line(text(event, "/involvedObject/name")),
        one_line(text(event, "/message"))
    )
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
    fn few_lines_are_enough_and_none_is_shown_twice() {
        let many = (0..40).map(|n| event("Warning", "Failed", n, &format!("{}", n / 2 * 2))).collect();
        assert!(lines(many).len() <= WARNINGS);
        assert_eq!(lines(vec![event("Warning", "A", 1, "x"); 3]).len(), 1);
    }

    #[test]
    fn what_a_cluster_says_stays_in_one_line() {
        let hostile = event("Warning", "Bad\u{1b}[2J", 1, "a\nb\r\u{7}c");
        assert_eq!(lines(vec![hostile]), ["Bad [2J (Pod 'web-1'): a b c"]);
    }
}
