//! Manifests of small shops, and what an audit log says about the order of things.

use std::collections::BTreeMap;

use git_deploy_testkit::cluster::AuditEvent;
use serde_json::{Value, json};

/// The file that the scenarios change.
pub(crate) const MANIFEST: &str = "deploy/shop.yaml";

/// A Deployment of that version.
pub(crate) fn deployment(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "containers": [{
                        "name": "main",
                        "image": format!("registry.example.org/{name}:{version}"),
                        "readinessProbe": { "tcpSocket": { "port": 8080 } },
                    }],
                },
            },
        },
    })
}

/// The same, with pods that behave so (`tests/cluster/stages/pod.yaml`).
pub(crate) fn behaving(mut deployment: Value, behaviour: &str, annotations: Value) -> Value {
    let metadata = &mut deployment["spec"]["template"]["metadata"];
    metadata["labels"]["test.git-deploy/pod"] = json!(behaviour);
    metadata["annotations"] = annotations;
    deployment
}

pub(crate) fn service(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "labels": { "version": version } },
        "spec": { "selector": { "app": name }, "ports": [{ "port": 80 }] },
    })
}

pub(crate) fn config_map(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name },
        "data": { "version": version },
    })
}

/// One file of several objects.
pub(crate) fn yaml(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("---\n{object}\n")).collect()
}

/// The changes that the tool under test made, in their order.
pub(crate) fn ours(events: &[AuditEvent]) -> Vec<&AuditEvent> {
    events.iter().filter(|event| event.is_ours() && event.is_change() && event.code < 300).collect()
}

/// When the last of the Deployments became ready that became so. Whoever watches may know before the controller that wrote
/// the status is answered, so it is the moment at which the request came.
pub(crate) fn all_ready(events: &[AuditEvent]) -> String {
    let mut ready: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
    let is_status = |event: &&AuditEvent| event.resource == "deployments/status" && event.code == 200;
    for event in events.iter().filter(is_status) {
        let Some(object) = event.object.as_ref().filter(|object| is_rolled_out(object)) else { continue };
        let generation = object["status"]["observedGeneration"].as_i64().unwrap_or_default();
        let known = ready.entry(&event.name).or_insert((generation, &event.received));
        // What controllers write afterwards does not make it ready once more.
        if generation > known.0 {
            *known = (generation, &event.received);
        }
    }
    let last = ready.values().map(|(_, time)| *time).max();
    last.expect("a Deployment became ready").to_owned()
}

fn is_rolled_out(object: &Value) -> bool {
    let wanted = &object["spec"]["replicas"];
    let counts = ["updatedReplicas", "replicas", "availableReplicas"];
    counts.iter().all(|count| object["status"][count] == *wanted)
        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && object["metadata"]["deletionTimestamp"].is_null()
}

/// A one-time job whose pods behave so.
pub(crate) fn migration(behaviour: &str, annotations: Value) -> Value {
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "migrate", "annotations": { "git-deploy/one-time": "true" } },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": { "labels": { "app": "migrate" } },
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{ "name": "main", "image": "registry.example.org/migrate:1" }],
                },
            },
        },
    });
    behaving(job, behaviour, annotations)
}
