//! The rows of kinds without pods of their own.

use serde_json::{Map, Value};

use super::value::{
    Condition, because, condition, count, items, mapping, name, namespace, number, one_line, text, uid,
};
use super::{Around, Health, Scene, Trouble};

pub(super) fn service(scene: Scene<'_>) -> Health {
    let service = scene.object;
    let kind = text(service, "/spec/type");
    if kind == "ExternalName" {
        return Health::Ready;
    }
    if kind == "LoadBalancer" && items(service, "/status/loadBalancer/ingress").is_empty() {
        return Health::waiting("it has no address from its load balancer yet");
    }
    // Without a selector somebody else says where it leads.
    let Some(selector) = mapping(service, "/spec/selector") else { return Health::Ready };
    let space = namespace(service);
    let in_space = |object: &&Value| namespace(object) == space;
    // The first label of the selector leads to few pods; without one it would select all.
    let Some((label, value)) = selector.iter().next() else { return Health::Ready };
    let value = value.as_str().unwrap_or_default();
    let Some(pods) = scene.around.pods_with_label(space, label, value) else { return Health::Ready };
    if pods.into_iter().any(|pod| selects(selector, labels(pod, "/metadata/labels"))) {
        return Health::Ready;
    }
    let workloads = scene.around.all(Around::Workloads, space).unwrap_or_default();
    let mut behind = workloads.into_iter().filter(in_space).filter(|workload| {
        TEMPLATES
            .iter()
            .any(|template| selects(selector, labels(workload, &format!("{template}/metadata/labels"))))
    });
    match behind.next() {
        // All that it could select has no pods, and is meant to have none.
        Some(first) if has_no_pods(first) && behind.all(has_no_pods) => Health::Ready,
        _ => Health::waiting("its selector matches no pod"),
    }
}

/// Where kinds have the templates of their pods.
const TEMPLATES: [&str; 2] = ["/spec/template", "/spec/jobTemplate/spec/template"];

fn labels<'a>(object: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    mapping(object, pointer)
}

fn selects(selector: &Map<String, Value>, labels: Option<&Map<String, Value>>) -> bool {
    labels.is_some_and(|labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

/// Whether a workload is meant to be without pods, always or just now.
fn has_no_pods(workload: &Value) -> bool {
    let comes_and_goes = workload.pointer("/spec/jobTemplate").is_some()
        || condition(workload, "Complete").is_some_and(|found| found.is("True"));
    let is_daemon = workload.pointer("/status/desiredNumberScheduled").is_some();
    comes_and_goes
        || number(workload, "/spec/replicas") == Some(0)
        || (is_daemon && count(workload, "/status/desiredNumberScheduled") == 0)
}

/// It is there; and where its class gives others an address, it gets a moment to give one to this one, too.
pub(super) fn ingress(scene: Scene<'_>) -> Health {
    let ingress = scene.object;
    let has_address = |object: &Value| !items(object, "/status/loadBalancer/ingress").is_empty();
    if has_address(ingress) {
        return Health::Ready;
    }
    let class = text(ingress, "/spec/ingressClassName");
    let others = scene.around.all(Around::Ingresses, namespace(ingress)).unwrap_or_default();
    let is_like_us = |other: &Value| {
        uid(other) != uid(ingress) && text(other, "/spec/ingressClassName") == class && has_address(other)
    };
    if class.is_empty() || !others.into_iter().any(is_like_us) {
        return Health::Ready;
    }
    if scene.around.observed(&format!("{} without an address", uid(ingress))) >= scene.patience.optional {
        return Health::ReadyBut("it has no address, which others of its class have".to_owned());
    }
    Health::waiting("it has no address yet")
}

pub(super) fn claim(scene: Scene<'_>) -> Health {
    let claim = scene.object;
    match text(claim, "/status/phase") {
        "Bound" => Health::Ready,
        "Lost" => {
            Health::Failed(Trouble::of_cluster("its volume is lost: nothing can be read from it any more"))
        }
        _ => unbound(scene),
    }
}

/// Where the class waits for the first pod that wants the volume, waiting for the volume first would never end.
fn unbound(scene: Scene<'_>) -> Health {
    const IS_DEFAULT: &str = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
    let Some(classes) = scene.around.all(Around::StorageClasses, "") else {
        return Health::ReadyBut(
            "it is not bound, and whether it waits for a pod cannot be read from its class".to_owned(),
        );
    };
    let named = scene.object.pointer("/spec/storageClassName").and_then(Value::as_str);
    let class = match named {
        Some("") => None,
        Some(wanted) => classes.into_iter().find(|class| name(class) == wanted),
        None => classes.into_iter().find(|class| text(class, IS_DEFAULT) == "true"),
    };
    let waits = class.is_some_and(|class| text(class, "/volumeBindingMode") == "WaitForFirstConsumer");
    match (waits, class, named) {
        (true, ..) => Health::Ready,
        (false, None, Some(wanted)) if !wanted.is_empty() => {
            Health::waiting(format!("it is not bound: there is no storage class '{}'", one_line(wanted)))
        }
        _ => Health::waiting("it is not bound to a volume"),
    }
}

pub(super) fn definition(scene: Scene<'_>) -> Health {
    let definition = scene.object;
    if let Some(names) = condition(definition, "NamesAccepted").filter(|names| names.is("False")) {
        return Health::Failed(Trouble::of_release(format!("its names are refused: {}", names.why())));
    }
    let is = |which: &str| condition(definition, which).is_some_and(|found| found.is("True"));
    if !is("Established") || !is("NamesAccepted") {
        return Health::waiting("it is not established yet");
    }
    let (group, plural) = (text(definition, "/spec/group"), text(definition, "/spec/names/plural"));
    let versions = items(definition, "/spec/versions").iter();
    let unlisted = versions
        .filter(|version| super::value::flag(version, "/served"))
        .find(|version| scene.around.is_served(group, text(version, "/name"), plural) == Some(false));
    match unlisted {
        Some(version) => Health::waiting(format!(
            "discovery does not list version '{}' yet",
            one_line(text(version, "/name"))
        )),
        None => Health::Ready,
    }
}

pub(super) fn autoscaler(scene: Scene<'_>) -> Health {
    let Some(active) = condition(scene.object, "ScalingActive") else {
        return Health::waiting("its controller has not looked at its target yet");
    };
    if active.is("True") || active.reason() == "ScalingDisabled" {
        return Health::Ready;
    }
    // Metrics of new pods take their time, and where there are none at all the pods are still well.
    if active.reason().starts_with("FailedGet") || !active.is("False") {
        let symptom = format!("{} without metrics", uid(scene.object));
        if scene.around.observed(&symptom) >= scene.patience.optional {
            return Health::ReadyBut(format!("it does not scale: {}", active.why()));
        }
        return Health::waiting("it has no metrics yet");
    }
    Health::Failed(Trouble::of_release(format!("it cannot scale: {}", active.why())))
}

pub(super) fn namespace_phase(scene: Scene<'_>) -> Health {
    match text(scene.object, "/status/phase") {
        "Terminating" => Health::Failed(Trouble::of_cluster("it is being deleted, not by this deployment")),
        "Active" => Health::Ready,
        _ => Health::waiting("it is not active yet"),
    }
}

pub(super) fn api_service(scene: Scene<'_>) -> Health {
    match condition(scene.object, "Available") {
        Some(available) if available.is("True") => Health::Ready,
        Some(available) => Health::waiting(format!("it is not available: {}", available.why())),
        None => Health::waiting("nobody has looked whether it is available yet"),
    }
}

/// What any object may say of itself, in the words of [kstatus][1]: one that says nothing is ready. Where a condition says
/// itself of [which generation][2] it is, one of an older generation says nothing of this one.
///
/// [1]: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
/// [2]: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
pub(super) fn other(scene: Scene<'_>) -> Health {
    let object = scene.object;
    let generation = super::generation(object, scene.at_apply);
    let is_of_now =
        |found: &Condition<'_>| found.observed_generation().is_none_or(|seen| Some(seen) >= generation);
    let is = |which: &str| condition(object, which).filter(is_of_now).filter(|found| found.is("True"));
    if let Some(stalled) = is("Stalled") {
        return Health::Failed(Trouble::of_release(format!("it is stalled: {}", stalled.why())));
    }
    if let Some(busy) = is("Reconciling") {
        return Health::waiting(format!("its controller is at work: {}", busy.why()));
    }
    match condition(object, "Ready") {
        Some(ready) if !is_of_now(&ready) => Health::waiting("its controller has not seen the change yet"),
        Some(ready) if !ready.is("True") => {
            Health::waiting(format!("it is not ready: {}", because(ready.reason(), ready.message())))
        }
        _ => Health::Ready,
    }
}
