//! Whether what a job's pods say is enough to know that it changed nothing.

use git_deploy_manifest::value::{count, items, text};
use serde_json::Value;

/// What a job's container writes as its [termination message][1] if it changed nothing, whether it succeeded or failed.
///
/// [1]: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
const NO_CHANGE: &str = "no-change";

/// Whether all that ran of a job says that it changed nothing. Each try speaks for itself alone: where one was cut short by
/// another in the same pod, or its pod is gone, nobody knows what that one did.
pub(super) fn changed_nothing(job: &Value, pods: &[Value]) -> bool {
    let ended: i64 = ["/status/succeeded", "/status/failed"].iter().map(|pods| count(job, pods)).sum();
    let says_so = |container: &Value| {
        text(container, "/state/terminated/message").trim() == NO_CHANGE
            && count(container, "/restartCount") == 0
    };
    let is_vouched = |pod: &Value| {
        let containers = items(pod, "/status/containerStatuses");
        !containers.is_empty() && containers.iter().all(says_so)
    };
    i64::try_from(pods.len()).is_ok_and(|there| there >= ended.max(1)) && pods.iter().all(is_vouched)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(succeeded: i64, failed: i64) -> Value {
        json!({"status": {"succeeded": succeeded, "failed": failed}})
    }

    fn pod(message: &str, restarts: i64) -> Value {
        let state = json!({"terminated": {"message": message}});
        json!({"status": {"containerStatuses": [{"name": "main", "restartCount": restarts, "state": state}]}})
    }

    #[test]
    fn each_try_has_to_say_that_it_changed_nothing() {
        let (silent, unchanged) = (pod("", 0), pod("no-change\n", 0));
        assert!(changed_nothing(&job(1, 0), std::slice::from_ref(&unchanged)));
        assert!(changed_nothing(&job(0, 2), &[unchanged.clone(), unchanged.clone()]));
        assert!(!changed_nothing(&job(1, 1), &[silent.clone(), unchanged]));
        assert!(!changed_nothing(&job(1, 0), &[silent]));
    }

    #[test]
    fn of_what_is_gone_nobody_knows_what_it_did() {
        assert!(!changed_nothing(&job(0, 1), &[]), "its pod was deleted");
        assert!(!changed_nothing(&job(0, 0), &[]), "nothing ran, or nothing is known");
        assert!(!changed_nothing(&job(1, 1), &[pod("no-change", 0)]), "the first pod is gone");
        assert!(!changed_nothing(&job(1, 0), &[pod("no-change", 1)]), "the first container is gone");
        let never_ran = json!({"status": {"phase": "Failed"}});
        assert!(!changed_nothing(&job(0, 1), &[never_ran]));
    }
}
