//! Who has written something, or may have: containers, each time that they ran.

use std::fmt;

use git_deploy_manifest::value::{items, text, uid};
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
}

impl Speaker {
    /// Whether both are one container of one pod, maybe at another time.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        self.instance.is_of_the_same(&other.instance)
    }
}

impl Instance {
    /// As of speakers.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        self.uid == other.uid && self.container == other.container
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
    let speaker = |id: &str, is_previous, has_ended| Speaker {
        instance: Instance {
            namespace: text(pod, "/metadata/namespace").to_owned(),
            pod: text(pod, "/metadata/name").to_owned(),
            container: text(status, "/name").to_owned(),
            uid: uid(pod).to_owned(),
            id: id.to_owned(),
        },
        is_previous,
        has_ended,
    };
    let id = |pointer| text(status, pointer);
    let mut found = Vec::new();
    if status.pointer("/lastState/terminated").is_some() {
        found.push(speaker(id("/lastState/terminated/containerID"), true, true));
    }
    if status.pointer("/state/terminated").is_some() {
        found.push(speaker(id("/state/terminated/containerID"), false, true));
    } else if status.pointer("/state/running").is_some() {
        found.push(speaker(id("/containerID"), false, false));
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
