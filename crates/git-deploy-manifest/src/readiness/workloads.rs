//! The rows of the other kinds that have pods.

use serde_json::Value;

use super::pods::{Ends, Judge, Outlook, Tally, exit_of};
use super::value::{
    because, condition, count, flag, items, mapping, name, namespace, number, one_line, text, uid,
};
use super::{Around, Health, Scene, Trouble, Wait};

/// The pods that an object is the controller of.
pub(super) fn owned<'a>(scene: Scene<'a>, owner: &str, which: impl Fn(&Value) -> bool) -> Vec<&'a Value> {
    let mut pods = scene.around.controlled(Around::Pods, namespace(scene.object), owner);
    pods.retain(|pod| which(pod));
    pods
}

/// The first pod's trouble when all of them are doomed; when as many are as there should be pods, since others may come
/// after them for ever; or when some are and nothing has changed for long.
///
/// One doomed pod of many may be bad luck.
pub(super) fn most_doomed(scene: Scene<'_>, pods: &[&Value], wanted: i64, ends: Ends) -> Option<Trouble> {
    let judge = Judge { around: scene.around, patience: scene.patience, ends };
    let tally = Tally::of(pods.iter().copied(), judge);
    let first = tally.doomed.first()?;
    let (doomed, present) = (tally.doomed.len(), tally.present);
    if doomed == present || i64::try_from(doomed).is_ok_and(|doomed| doomed >= wanted.max(1)) {
        return Some(first.clone());
    }
    let symptom = format!("{} {doomed} of {present} doomed", uid(scene.object));
    (scene.around.observed(&symptom) >= scene.patience.stuck).then(|| first.clone())
}

/// The first doomed pod's trouble, or else what should be known.
fn any_doomed(scene: Scene<'_>, pods: &[&Value]) -> Result<Option<String>, Trouble> {
    let judge = Judge { around: scene.around, patience: scene.patience, ends: Ends::Count };
    let tally = Tally::of(pods.iter().copied(), judge);
    match tally.doomed.into_iter().next() {
        Some(trouble) => Err(trouble),
        None => Ok(tally.warnings.into_iter().next()),
    }
}

pub(super) fn stateful_set(scene: Scene<'_>) -> Health {
    let object = scene.object;
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let status = |field: &str| count(object, &format!("/status/{field}"));
    let (ready, updated) = (status("readyReplicas"), status("updatedReplicas"));
    let revision = text(object, "/status/updateRevision");
    let is_newest = text(object, "/status/currentRevision") == revision;
    let all_there = ready >= wanted && status("replicas") == wanted && status("availableReplicas") >= wanted;
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return match (all_there, is_newest) {
            (true, true) => Health::Ready,
            (true, false) => {
                Health::ReadyBut("its old pods stay until they are deleted (OnDelete)".to_owned())
            }
            (false, _) => Health::waiting(format!("{ready} of {wanted} pods are ready")),
        };
    }
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition").max(0);
    let to_update = wanted.saturating_sub(partition).max(0);
    let rolled_out = if partition > 0 { updated >= to_update } else { updated == wanted && is_newest };
    if all_there && rolled_out {
        return Health::Ready;
    }
    let label = "/metadata/labels/controller-revision-hash";
    let pods = owned(scene, uid(object), |pod| !revision.is_empty() && text(pod, label) == revision);
    match any_doomed(scene, &pods) {
        Err(trouble) => Health::Failed(trouble),
        Ok(warning) => {
            let what = if updated < to_update {
                format!("{updated} of {to_update} pods are new")
            } else {
                format!("{ready} of {wanted} pods are ready")
            };
            Health::Waiting(Wait { what, warning })
        }
    }
}

/// The pod of an earlier revision that keeps a StatefulSet's rollout from going on, if there is one.
///
/// With `OrderedReady` the controller goes through the pods from the lowest ordinal up, and no further than to the first
/// that is not ready: it waits for that one, also for one of a revision that never will be, and also when going back to
/// a revision that would: [Kubernetes says][1] that somebody has to delete it. No other pod is in its way, and another
/// one that is deleted does not even come back before this one is ready.
///
/// [1]: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
pub(super) fn blocking(scene: Scene<'_>) -> Option<&Value> {
    let set = scene.object;
    let revision = text(set, "/status/updateRevision");
    let is_ordered = text(set, "/spec/podManagementPolicy") != "Parallel"
        && text(set, "/spec/updateStrategy/type") != "OnDelete"
        && count(set, "/spec/updateStrategy/rollingUpdate/partition") <= 0;
    if !is_ordered || revision.is_empty() {
        return None;
    }
    let unready =
        owned(scene, uid(set), |pod| !condition(pod, "Ready").is_some_and(|ready| ready.is("True")));
    let first = unready.into_iter().min_by_key(|pod| ordinal(pod))?;
    let of = text(first, "/metadata/labels/controller-revision-hash");
    if of == revision || of.is_empty() {
        return None;
    }
    let judge = Judge { around: scene.around, patience: scene.patience, ends: Ends::Count };
    let is_in_the_way = match judge.outlook(first) {
        Outlook::Doomed(_) => true,
        Outlook::Leaving => false,
        // One that is merely starting, or heals, becomes ready and is replaced then.
        Outlook::Fine | Outlook::Troubled { .. } => {
            let symptom = format!("{} of an earlier revision is not ready", uid(first));
            scene.around.observed(&symptom) >= scene.patience.stuck
        }
    };
    is_in_the_way.then_some(first)
}

/// The number that ends the name of a StatefulSet's pod.
fn ordinal(pod: &Value) -> u64 {
    let number = name(pod).rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.unwrap_or(u64::MAX)
}

pub(super) fn daemon_set(scene: Scene<'_>) -> Health {
    let object = scene.object;
    let status = |field: &str| count(object, &format!("/status/{field}"));
    let desired = status("desiredNumberScheduled");
    let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return match (available >= desired, updated >= desired) {
            (true, true) => Health::Ready,
            (true, false) => {
                Health::ReadyBut("its old pods stay until they are deleted (OnDelete)".to_owned())
            }
            (false, _) => Health::waiting(format!("{available} of {desired} pods are available")),
        };
    }
    if updated >= desired && available >= desired {
        return Health::Ready;
    }
    // The template's number, which the controller writes on the object and on the pods that it makes.
    let generation = text(object, "/metadata/annotations/deprecated.daemonset.template.generation");
    let lost = lost_pods(scene);
    let excused = i64::try_from(lost.len()).unwrap_or(i64::MAX);
    if excused > 0
        && updated.saturating_add(excused) >= desired
        && available.saturating_add(excused) >= desired
    {
        return Health::ReadyBut(format!("{excused} of {desired} pods are on nodes that are not ready"));
    }
    let pods = owned(scene, uid(object), |pod| {
        let label = text(pod, "/metadata/labels/pod-template-generation");
        (generation.is_empty() || label == generation) && !lost.contains(&uid(pod))
    });
    match any_doomed(scene, &pods) {
        Err(trouble) => Health::Failed(trouble),
        Ok(warning) if updated < desired => {
            Health::Waiting(Wait { what: format!("{updated} of {desired} pods are new"), warning })
        }
        Ok(warning) => {
            Health::Waiting(Wait { what: format!("{available} of {desired} pods are available"), warning })
        }
    }
}

const MEANT_FOR: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
    /nodeSelectorTerms/0/matchFields/0/values/0";

/// The pods of a DaemonSet on nodes that are not ready, by UID: nobody can expect them to be.
fn lost_pods(scene: Scene<'_>) -> Vec<&str> {
    let Some(nodes) = scene.around.all(Around::Nodes, "") else { return Vec::new() };
    let is_lost = |pod: &Value| {
        // Before it is bound, its controller's affinity says for which node it is.
        let node = match text(pod, "/spec/nodeName") {
            "" => text(pod, MEANT_FOR),
            node => node,
        };
        let node = nodes.iter().find(|found| !node.is_empty() && name(found) == node);
        node.is_some_and(|node| !condition(node, "Ready").is_some_and(|ready| ready.is("True")))
    };
    let is_ready = |pod: &Value| condition(pod, "Ready").is_some_and(|ready| ready.is("True"));
    owned(scene, uid(scene.object), |pod| is_lost(pod) && !is_ready(pod)).into_iter().map(uid).collect()
}

pub(super) fn replica_set(scene: Scene<'_>) -> Health {
    let object = scene.object;
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let available = count(object, "/status/availableReplicas");
    if available >= wanted && count(object, "/status/replicas") == wanted {
        return Health::Ready;
    }
    let pods = owned(scene, uid(object), |_| true);
    if let Some(trouble) = most_doomed(scene, &pods, wanted, Ends::Count) {
        return Health::Failed(trouble);
    }
    Health::waiting(format!("{available} of {wanted} pods are available"))
}

pub(super) fn pod(scene: Scene<'_>) -> Health {
    let pod = scene.object;
    if text(pod, "/status/phase") == "Succeeded"
        || condition(pod, "Ready").is_some_and(|ready| ready.is("True"))
    {
        return Health::Ready;
    }
    let judge = Judge { around: scene.around, patience: scene.patience, ends: Ends::Count };
    let phase = text(pod, "/status/phase");
    match judge.outlook(pod) {
        Outlook::Doomed(trouble) => Health::Failed(trouble),
        // Nobody makes another one of it.
        Outlook::Leaving => Health::Failed(Trouble::of_cluster(format!(
            "its node took it away: {}",
            because(text(pod, "/status/reason"), text(pod, "/status/message"))
        ))),
        Outlook::Troubled { trouble, warn } => {
            Health::Waiting(Wait { what: trouble.reason.clone(), warning: warn.then_some(trouble.reason) })
        }
        Outlook::Fine => Health::waiting(match phase {
            "Running" => "it runs but is not ready".to_owned(),
            "" => "nobody has looked at it yet".to_owned(),
            other => format!("it is {}", one_line(other).to_lowercase()),
        }),
    }
}

/// Whether a Job has come to its end, a good or a bad one.
pub(super) fn has_ended(job: &Value) -> bool {
    ["Complete", "Failed"].iter().any(|which| condition(job, which).is_some_and(|found| found.is("True")))
}

pub(super) fn job(scene: Scene<'_>) -> Health {
    let job = scene.object;
    let is = |which: &str| condition(job, which).filter(|found| found.is("True"));
    if is("Complete").is_some() {
        return Health::Ready;
    }
    let pods = owned(scene, uid(job), |_| true);
    // `FailureTarget` comes first; `Failed` when its last pod is gone.
    if let Some(found) = is("Failed").or_else(|| is("FailureTarget")) {
        return Health::Failed(failed_job(&pods, &found.why()));
    }
    let limit = number(job, "/spec/backoffLimit").unwrap_or(6);
    let failed = count(job, "/status/failed");
    if failed > limit && mapping(job, "/spec/podFailurePolicy").is_none() && !has_own_counting(job) {
        return Health::Failed(failed_job(&pods, &format!("{failed} pods failed, of {limit} that may")));
    }
    if flag(job, "/spec/suspend") {
        return Health::ReadyBut("it is suspended: it runs when somebody resumes it".to_owned());
    }
    let running: Vec<_> = pods
        .into_iter()
        .filter(|pod| !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded"))
        .collect();
    if let Some(trouble) = most_doomed(scene, &running, i64::MAX, Ends::LeftToJob) {
        return Health::Failed(trouble);
    }
    let wanted = number(job, "/spec/completions").or(number(job, "/spec/parallelism")).unwrap_or(1);
    let done = count(job, "/status/succeeded");
    let what = match failed {
        0 => format!("{done} of {wanted} pods have completed"),
        _ => format!("{done} of {wanted} pods have completed, {failed} failed"),
    };
    let judge = Judge { around: scene.around, patience: scene.patience, ends: Ends::LeftToJob };
    Health::Waiting(Wait { what, warning: Tally::of(running, judge).warnings.into_iter().next() })
}

/// Whether failures are counted for each index rather than for the whole Job.
fn has_own_counting(job: &Value) -> bool {
    number(job, "/spec/backoffLimitPerIndex").is_some()
}

/// The exit status of its last pod says more than the Job's own words.
fn failed_job(pods: &[&Value], why: &str) -> Trouble {
    let mut failed: Vec<_> = pods.iter().filter(|pod| text(pod, "/status/phase") == "Failed").collect();
    failed.sort_by_key(|pod| text(pod, "/metadata/creationTimestamp"));
    match failed.last().and_then(|pod| exit_of(pod)) {
        Some(exit) => Trouble::of_release(format!("{exit} ({why})")),
        None => Trouble::of_release(why),
    }
}

/// Whether pods of a workload count as ready as soon as they run: a container has no [readiness probe][1], and the workload does
/// not say either how long they have to run.
///
/// [1]: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
pub fn is_untried(workload: &Value) -> bool {
    let has_probe = |container: &Value| container.get("readinessProbe").is_some_and(Value::is_object);
    number(workload, "/spec/minReadySeconds").unwrap_or_default() == 0
        && !items(workload, "/spec/template/spec/containers").iter().all(has_probe)
}
