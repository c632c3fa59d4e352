//! Whether an object does what it was applied for: functions of objects, and of nothing else.
//!
//! [`judge`] holds an object against the table of [Kubernetes' own notions of ready][1], one row for each kind that has
//! any. What it must know of other objects it asks its [`Surroundings`] for; what it must know of time is how long *we*
//! have seen a thing, by our own clock: the server's time of day decides nothing here. A status counts only once its
//! controller has seen the generation that was applied.
//!
//! [1]: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status

mod counts;
mod deployment;
mod kinds;
mod pods;
mod pulls;
mod workloads;

use std::time::Duration;

use serde_json::Value;

use crate::object::ObjectId;
use crate::value::{self, controller, is_being_deleted, mapping, number};

pub use counts::ready_of_wanted;
pub use pods::{UNREADY, first_cause};
pub use pulls::{NewImages, is_hindered};
pub use workloads::is_untried;

/// What an object is, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does what it was applied for.
    Ready,
    /// As good as ready: there is nothing to wait for, but something to know.
    ReadyBut(String),
    /// Not yet.
    Waiting(Wait),
    /// It will not become ready by waiting.
    Failed(Trouble),
}

/// What an object is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What is missing, such as `1 of 3 pods are ready`.
    pub what: String,
    /// What should be known before the time-out, such as a pod that no node has room for.
    pub warning: Option<String>,
}

/// Why an object will not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The first cause, in one line.
    pub reason: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a trouble comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// From what was deployed: another try would end the same way.
    Release,
    /// From what was deployed as far as that names an image for the first time, whose registry does not give it: what nobody
    /// else needs is nobody else's to wait for. Another try may end otherwise.
    NewImage,
    /// From the cluster or what is around it, or nobody can tell.
    Cluster,
}

/// How long a trouble may last before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A container that crashed twice dooms its pod when it has been crashing for so long.
    pub crash: Duration,
    /// A container whose configuration is missing: an operator may still be making that Secret.
    pub config: Duration,
    /// An image that cannot be pulled for another reason than that there is none.
    pub pull: Duration,
    /// Pods that the API server refuses to create.
    pub create: Duration,
    /// A pod that no node has room for is worth a warning.
    pub unschedulable_warning: Duration,
    /// And then a failure: until then, new nodes may come.
    pub unschedulable: Duration,
    /// Some pods doomed while others are well, and nothing changes any more.
    pub stuck: Duration,
    /// A HorizontalPodAutoscaler that gets no metrics; an Ingress without the address that its neighbours have.
    pub optional: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            crash: Duration::from_secs(30),
            config: Duration::from_secs(5),
            pull: Duration::from_secs(60),
            create: Duration::from_secs(10),
            unschedulable_warning: Duration::from_secs(15),
            unschedulable: Duration::from_secs(240),
            stuck: Duration::from_secs(240),
            optional: Duration::from_secs(30),
        }
    }
}

/// Objects that others are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Around {
    /// Pods, in the object's namespace.
    Pods,
    /// ReplicaSets, in the object's namespace.
    ReplicaSets,
    /// What was applied and makes pods: Deployments, StatefulSets, Jobs, ..., in all namespaces.
    Workloads,
    /// Ingresses, in the object's namespace.
    Ingresses,
    /// All nodes of the cluster.
    Nodes,
    /// All storage classes of the cluster.
    StorageClasses,
}

/// What a judgement may ask for.
pub trait Surroundings {
    /// Objects, at least those of the namespace. `None` where they may not be read.
    fn all(&self, what: Around, namespace: &str) -> Option<Vec<&Value>>;

    /// Those of [`Surroundings::all`] whose controller is the object with that UID.
    fn controlled(&self, what: Around, namespace: &str, owner: &str) -> Vec<&Value> {
        let all = self.all(what, namespace).unwrap_or_default();
        all.into_iter().filter(|object| !owner.is_empty() && controller(object) == owner).collect()
    }

    /// The pods of the namespace with that label. `None` where they may not be read.
    fn pods_with_label(&self, namespace: &str, label: &str, wanted: &str) -> Option<Vec<&Value>> {
        let has_label = |object: &&Value| {
            let labels = mapping(object, "/metadata/labels");
            let found = labels.and_then(|labels| labels.get(label)).and_then(Value::as_str);
            found == Some(wanted) && value::namespace(object) == namespace
        };
        Some(self.all(Around::Pods, namespace)?.into_iter().filter(has_label).collect())
    }

    /// For how long this has been asked for without a break, by our own clock: zero for the first time.
    ///
    /// Text that a judgement makes up: equal text means that the same trouble goes on.
    fn observed(&self, symptom: &str) -> Duration;

    /// The images that come with what was deployed: nothing that stood there before needs them. `None` where nobody knows.
    fn new_images(&self) -> Option<&NewImages> {
        None
    }

    /// Whether, of all pods of what was deployed, one [waits for an image](is_hindered) by nobody's fault.
    fn is_hindered(&self) -> bool {
        false
    }

    /// Whether discovery lists a resource, by its plural name; `None` where that is not known.
    fn is_served(&self, group: &str, version: &str, plural: &str) -> Option<bool>;
}

impl Health {
    fn waiting(what: impl Into<String>) -> Health {
        Health::Waiting(Wait { what: what.into(), warning: None })
    }
}

impl Trouble {
    fn of_release(reason: impl Into<String>) -> Trouble {
        Trouble { reason: reason.into(), origin: Origin::Release }
    }

    fn of_cluster(reason: impl Into<String>) -> Trouble {
        Trouble { reason: reason.into(), origin: Origin::Cluster }
    }
}

/// What a function of one kind knows.
#[derive(Clone, Copy)]
struct Scene<'a> {
    /// The object as it is.
    object: &'a Value,
    /// The object as the API server answered when it was applied.
    at_apply: &'a Value,
    around: &'a dyn Surroundings,
    patience: &'a Patience,
}

/// The kinds that have a row of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Pod,
    Job,
    Service,
    Ingress,
    Claim,
    Definition,
    Autoscaler,
    Namespace,
    ApiService,
    /// It is ready as soon as it exists.
    Inert,
    /// It says itself what it is, in the words of [kstatus][1].
    ///
    /// [1]: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
    Other,
}

fn row(id: &ObjectId) -> Row {
    match (id.group.as_str(), id.kind.as_str()) {
        ("apps", "Deployment") => Row::Deployment,
        ("apps", "StatefulSet") => Row::StatefulSet,
        ("apps", "DaemonSet") => Row::DaemonSet,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Row::ReplicaSet,
        ("", "Pod") => Row::Pod,
        ("batch", "Job") => Row::Job,
        ("", "Service") => Row::Service,
        ("networking.k8s.io", "Ingress") => Row::Ingress,
        ("", "PersistentVolumeClaim") => Row::Claim,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Row::Definition,
        ("autoscaling", "HorizontalPodAutoscaler") => Row::Autoscaler,
        ("", "Namespace") => Row::Namespace,
        ("apiregistration.k8s.io", "APIService") => Row::ApiService,
        (
            ""
            | "admissionregistration.k8s.io"
            | "apps"
            | "autoscaling"
            | "batch"
            | "certificates.k8s.io"
            | "coordination.k8s.io"
            | "discovery.k8s.io"
            | "events.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "networking.k8s.io"
            | "node.k8s.io"
            | "policy"
            | "rbac.authorization.k8s.io"
            | "resource.k8s.io"
            | "scheduling.k8s.io"
            | "storage.k8s.io",
            _,
        ) => Row::Inert,
        _ => Row::Other,
    }
}

/// Whether a kind is ready as soon as it exists: there is nothing to watch.
pub fn is_inert(id: &ObjectId) -> bool {
    row(id) == Row::Inert
}

/// The objects that [`judge`] will ask its [`Surroundings`] for.
pub fn needs(id: &ObjectId) -> &'static [Around] {
    match row(id) {
        Row::Deployment => &[Around::Pods, Around::ReplicaSets],
        Row::StatefulSet | Row::ReplicaSet | Row::Job => &[Around::Pods],
        Row::DaemonSet => &[Around::Pods, Around::Nodes],
        Row::Service => &[Around::Pods, Around::Workloads],
        Row::Ingress => &[Around::Ingresses],
        Row::Claim => &[Around::StorageClasses],
        Row::Pod
        | Row::Definition
        | Row::Autoscaler
        | Row::Namespace
        | Row::ApiService
        | Row::Inert
        | Row::Other => &[],
    }
}

/// Whether an object, once ready, stays so even if it is gone: Jobs that clean up after themselves.
pub fn is_final(id: &ObjectId) -> bool {
    row(id) == Row::Job
}

/// What an object is.
///
/// `at_apply` is the object as the API server answered when it was applied: its generation is the one that the status
/// must have caught up with, and what it had failed with *then* is not our failure.
pub fn judge(
    id: &ObjectId,
    object: &Value,
    at_apply: &Value,
    around: &dyn Surroundings,
    patience: &Patience,
) -> Health {
    // A Job may clean up after itself: its verdict stands.
    if is_being_deleted(object) && !(is_final(id) && workloads::has_ended(object)) {
        return Health::Failed(Trouble::of_cluster("it is being deleted, not by this deployment"));
    }
    let row = row(id);
    if row != Row::Inert && !has_caught_up(row, object, at_apply) {
        return Health::waiting("its controller has not seen the change yet");
    }
    let scene = Scene { object, at_apply, around, patience };
    match row {
        Row::Deployment => deployment::judge(scene),
        Row::StatefulSet => workloads::stateful_set(scene),
        Row::DaemonSet => workloads::daemon_set(scene),
        Row::ReplicaSet => workloads::replica_set(scene),
        Row::Pod => workloads::pod(scene),
        Row::Job => workloads::job(scene),
        Row::Service => kinds::service(scene),
        Row::Ingress => kinds::ingress(scene),
        Row::Claim => kinds::claim(scene),
        Row::Definition => kinds::definition(scene),
        Row::Autoscaler => kinds::autoscaler(scene),
        Row::Namespace => kinds::namespace_phase(scene),
        Row::ApiService => kinds::api_service(scene),
        Row::Inert => Health::Ready,
        Row::Other => kinds::other(scene),
    }
}

/// The pod that has to be deleted by somebody before the rollout of an object goes on: one of an earlier revision of a
/// StatefulSet that will not become ready, and that its controller waits for. Ask only for an object that is waited for.
pub fn blocking_pod<'a>(
    id: &ObjectId,
    object: &'a Value,
    at_apply: &'a Value,
    around: &'a dyn Surroundings,
    patience: &'a Patience,
) -> Option<&'a Value> {
    let row = row(id);
    if row != Row::StatefulSet || is_being_deleted(object) || !has_caught_up(row, object, at_apply) {
        return None;
    }
    workloads::blocking(Scene { object, at_apply, around, patience })
}

/// The UID of the owner that is an object's controller; empty where there is none.
pub fn controller_of(object: &Value) -> &str {
    controller(object)
}

/// The generation that a status must have caught up with.
fn generation(object: &Value, at_apply: &Value) -> Option<i64> {
    number(object, "/metadata/generation").max(number(at_apply, "/metadata/generation"))
}

/// Whether the status speaks of the generation that was applied, and of the one that is there now.
fn has_caught_up(row: Row, object: &Value, at_apply: &Value) -> bool {
    let observed = number(object, "/status/observedGeneration");
    let wanted = generation(object, at_apply);
    match row {
        // These always say it; where they do not, nobody has looked at them yet.
        Row::Deployment | Row::StatefulSet | Row::DaemonSet | Row::ReplicaSet => {
            observed.is_some_and(|seen| Some(seen) >= wanted)
        }
        _ => observed.is_none_or(|seen| Some(seen) >= wanted),
    }
}
