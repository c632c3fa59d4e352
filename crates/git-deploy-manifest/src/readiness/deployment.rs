//! The Deployment's row.

use serde_json::Value;

use super::pods::{Ends, Judge, Tally, first_cause};
use super::value::{because, condition, count, flag, is_being_deleted, number, text, uid};
use super::{Around, Health, Origin, Scene, Trouble, Wait};
use crate::fields::{MANAGER, has_applied, owns};

/// A Deployment without a deadline: the controller writes no condition `Progressing` for it.
const NO_DEADLINE: i64 = i32::MAX as i64;

pub(super) fn judge(scene: Scene<'_>) -> Health {
    let object = scene.object;
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let updated = count(object, "/status/updatedReplicas");
    let available = count(object, "/status/availableReplicas");
    let old = count(object, "/status/replicas").saturating_sub(updated);
    if flag(object, "/spec/paused") {
        if is_paused_by_hand(scene.at_apply) {
            return Health::Waiting(Wait {
                what: "it is paused by hand".to_owned(),
                warning: Some(
                    "it is paused by hand: nothing is rolled out until somebody resumes it".to_owned(),
                ),
            });
        }
        return Health::ReadyBut("it is paused: its pods stay what they are until it is resumed".to_owned());
    }
    let rolled_out = updated == wanted && old <= 0 && available >= updated;
    if rolled_out && is_through(object) {
        return Health::Ready;
    }
    let newest = newest_replica_set(scene);
    let pods = newest.map(|set| super::workloads::owned(scene, uid(set), |_| true)).unwrap_or_default();
    if let Some(trouble) = failure(scene, newest, &pods) {
        return Health::Failed(trouble);
    }
    let what = if updated < wanted {
        format!("{updated} of {wanted} pods are new")
    } else if old > 0 {
        left(old)
    } else if available < updated {
        format!("{available} of {updated} new pods are available")
    } else {
        "its controller has not finished the rollout".to_owned()
    };
    Health::Waiting(Wait { what, warning: warning(scene, &pods) })
}

fn left(old: i64) -> String {
    if old == 1 { "1 old pod is left".to_owned() } else { format!("{old} old pods are left") }
}

/// Whether somebody else paused it than who applied it: before, so that the field is theirs, or since.
fn is_paused_by_hand(at_apply: &Value) -> bool {
    let is_theirs = has_applied(at_apply, MANAGER) && !owns(at_apply, MANAGER, &["spec", "paused"]);
    !flag(at_apply, "/spec/paused") || is_theirs
}

/// Whether the controller says that the rollout is complete; without a deadline it says nothing.
fn is_through(object: &Value) -> bool {
    let has_deadline =
        number(object, "/spec/progressDeadlineSeconds").is_some_and(|limit| limit < NO_DEADLINE);
    match condition(object, "Progressing") {
        Some(progressing) => progressing.reason() == "NewReplicaSetAvailable",
        None => !has_deadline,
    }
}

fn failure(scene: Scene<'_>, newest: Option<&Value>, pods: &[&Value]) -> Option<Trouble> {
    super::workloads::most_doomed(
        scene,
        pods,
        number(scene.object, "/spec/replicas").unwrap_or(1),
        Ends::Count,
    )
    .or_else(|| newest.and_then(|set| uncreated(scene, set)))
    .or_else(|| deadline(scene, pods))
}

/// `ProgressDeadlineExceeded`, unless it was there when we applied and nothing has happened since: the controller
/// takes it back only when the rollout makes progress.
fn deadline(scene: Scene<'_>, pods: &[&Value]) -> Option<Trouble> {
    let exceeded = |object| {
        condition(object, "Progressing").filter(|found| found.reason() == "ProgressDeadlineExceeded")
    };
    let now = exceeded(scene.object)?;
    if exceeded(scene.at_apply).is_some_and(|before| before.updated() == now.updated()) {
        return None;
    }
    let seconds = number(scene.object, "/spec/progressDeadlineSeconds").unwrap_or(600);
    Some(match first_cause(pods.iter().copied(), scene.around, scene.patience) {
        Some(cause) => {
            Trouble { reason: format!("no progress for {seconds} s: {}", cause.reason), origin: cause.origin }
        }
        None => Trouble::of_cluster(format!("no progress for {seconds} s: {}", because("", now.message()))),
    })
}

/// The API server refuses the pods of a ReplicaSet.
fn uncreated(scene: Scene<'_>, set: &Value) -> Option<Trouble> {
    let found = condition(set, "ReplicaFailure").filter(|found| found.is("True"))?;
    let symptom = format!("{} {} refused", uid(set), found.reason());
    if scene.around.observed(&symptom) < scene.patience.create {
        return None;
    }
    let reason = format!("its pods cannot be created: {}", because("", found.message()));
    Some(Trouble { reason, origin: origin_of_refusal(found.message()) })
}

/// Who is to blame for a refusal: the release where an admission looked at the pod and said no.
fn origin_of_refusal(message: &str) -> Origin {
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["exceeded quota", "failed calling webhook", "timeout", "timed out", "connection refused"]) {
        return Origin::Cluster;
    }
    let looked_at =
        ["is forbidden", "is invalid", "denied the request", "no priorityclass", "violates podsecurity"];
    if says(&looked_at) { Origin::Release } else { Origin::Cluster }
}

/// What should be known while the rollout goes on.
fn warning(scene: Scene<'_>, pods: &[&Value]) -> Option<String> {
    let judge = Judge { around: scene.around, patience: scene.patience, ends: Ends::Count };
    let tally = Tally::of(pods.iter().copied(), judge);
    match tally.doomed.first() {
        Some(trouble) => Some(trouble.reason.clone()),
        None => tally.warnings.into_iter().next(),
    }
}

/// The ReplicaSet of the template that is rolled out just now: ours by UID, not by name, and of the Deployment's own
/// revision, so that a rollout that has not begun yet has none.
fn newest_replica_set(scene: Scene<'_>) -> Option<&Value> {
    const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
    let deployment = scene.object;
    let space = super::value::namespace(deployment);
    let sets = scene.around.controlled(Around::ReplicaSets, space, uid(deployment));
    sets.into_iter().find(|set| text(set, REVISION) == text(deployment, REVISION) && !is_being_deleted(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_old_pod_is_left_or_several_are() {
        assert_eq!([1, 2].map(left), ["1 old pod is left", "2 old pods are left"]);
    }
}
