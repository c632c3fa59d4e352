//! Who has written something, or may have: containers, each time that they ran.

use std::fmt;

use git_deploy_manifest::value::{items, text, uid};
use jiff::Timestamp;
use serde_json::Value;

/// A container, one of the times that it ran.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    /// The pod's UID.
    uid: String,
    /// What the node calls it: another one each time.
    id: String,
}

/// One that has begun to run; displays as `pod/container`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) instance: Instance,
    /// Whether it ran before the one that runs now.
    pub(super) is_previous: bool,
    /// Whether it writes no more.
    pub(super) has_ended: bool,
    /// When it began to run.
    pub(super) begun: Option<Timestamp>,
    /// Whether nothing runs in its pod any more, nor will.
    pub(super) is_of_the_past: bool,
}

impl Speaker {
    /// Whether both are one container of one pod, maybe at another time.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        let (one, another) = (&self.instance, &other.instance);
        one.uid == another.uid && one.container == another.container
    }

    /// When the run after it began, in seconds: if one has, among those that there are now, since this one was seen.
    pub(super) fn next_run(&self, now: &[Self]) -> Option<Timestamp> {
        let is_itself = |other: &&Self| other.instance == self.instance;
        if now.iter().filter(is_itself).any(|other| other.is_previous == self.is_previous) {
            return None;
        }
        let later = now.iter().filter(|other| other.is_of_the_same(self) && !is_itself(other));
        later.filter_map(|other| other.begun).min()
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.instance.pod, self.instance.container)
    }
}

/// The containers of a pod that have begun to run, init containers first, and what ran before what runs now.
pub(super) fn speakers(pod: &Value) -> Vec<Speaker> {
    let of = |pointer| items(pod, pointer).iter();
    let statuses = of("/status/initContainerStatuses").chain(of("/status/containerStatuses"));
    statuses.flat_map(|status| of_container(pod, status)).collect()
}

fn of_container(pod: &Value, status: &Value) -> Vec<Speaker> {
    let is_of_the_past = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    let speaker = |id: &str, run: &Value, is_previous, has_ended| Speaker {
        instance: Instance {
            namespace: text(pod, "/metadata/namespace").to_owned(),
            pod: text(pod, "/metadata/name").to_owned(),
            container: text(status, "/name").to_owned(),
            uid: uid(pod).to_owned(),
            id: id.to_owned(),
        },
        is_previous,
        has_ended,
        begun: text(run, "/startedAt").parse().ok(),
        is_of_the_past,
    };
    let mut found = Vec::new();
    if let Some(run) = status.pointer("/lastState/terminated") {
        found.push(speaker(text(run, "/containerID"), run, true, true));
    }
    if let Some(run) = status.pointer("/state/terminated") {
        found.push(speaker(text(run, "/containerID"), run, false, true));
    } else if let Some(run) = status.pointer("/state/running") {
        found.push(speaker(text(status, "/containerID"), run, false, false));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: &Value) -> Vec<(String, bool, bool)> {
        let pod = json!({"metadata": {"namespace": "shop", "name": "migrate-1", "uid": "u"},
            "status": {"containerStatuses": [status]}});
        let told = |speaker: Speaker| (speaker.instance.id, speaker.is_previous, speaker.has_ended);
        speakers(&pod).into_iter().map(told).collect()
    }

    #[test]
    fn what_a_node_gives_of_the_next_run_is_known_by_its_begin() {
        let run = |id: &str, second: u32| json!({"terminated": {"containerID": id, "startedAt": format!("2026-11-21T07:00:0{second}Z")}});
        let seen = |last: Value, state: Value| {
            let status = json!({"name": "main", "state": state, "lastState": last});
            speakers(&json!({"metadata": {"uid": "u"}, "status": {"containerStatuses": [status]}}))
        };
        let (first, again) = (seen(json!({}), run("1", 1)), seen(run("1", 1), run("2", 3)));
        assert_eq!(first[0].next_run(&first), None, "nothing has come after it");
        assert_eq!(first[0].next_run(&again), "2026-11-21T07:00:03Z".parse().ok());
        assert_eq!(again[0].next_run(&again), None, "it was asked for as what it is");
        assert_eq!(first[0].next_run(&seen(run("2", 3), run("3", 5))), "2026-11-21T07:00:03Z".parse().ok());
        assert_eq!(first[0].next_run(&[]), None);
    }

    #[test]
    fn a_container_is_heard_each_time_that_it_runs() {
        let waiting = json!({"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}});
        assert_eq!(of(&waiting), []);
        let running = json!({"name": "main", "containerID": "1", "state": {"running": {}}, "lastState": {}});
        assert_eq!(of(&running), [("1".to_owned(), false, false)]);
        let crashed = json!({"name": "main", "containerID": "1", "state": {"waiting": {}},
            "lastState": {"terminated": {"containerID": "1"}}});
        assert_eq!(of(&crashed), [("1".to_owned(), true, true)]);
        let again = json!({"name": "main", "containerID": "2", "state": {"running": {}},
            "lastState": {"terminated": {"containerID": "1"}}});
        assert_eq!(of(&again), [("1".to_owned(), true, true), ("2".to_owned(), false, false)]);
        let ended =
            json!({"name": "main", "containerID": "2", "state": {"terminated": {"containerID": "2"}}});
        assert_eq!(of(&ended), [("2".to_owned(), false, true)]);
    }
}
