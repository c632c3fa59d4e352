//! Which objects are applied together, and what must be there before: the order of things.
//!
//! All objects of a stage are applied at once; what a later one needs to be accepted stands in an earlier one. Deleting
//! goes the other way round.

use serde_json::Value;

use crate::ObjectId;
use crate::one_time::is_one_time;
use crate::value::annotation;

/// The annotation that orders objects within a stage: an integer, 0 where there is none; lower ones come first and are
/// waited for.
pub const ORDER: &str = "git-deploy/order";

/// The annotation of a [Job](https://kubernetes.io/docs/concepts/workloads/controllers/job/) that runs once, before
/// the workloads: a migration.
pub const ONE_TIME: &str = "git-deploy/one-time";

/// The annotation of an object that is never pruned.
pub const KEEP: &str = "git-deploy/keep";

/// What is applied at once. In the order in which it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// What others cannot even be written without: namespaces, definitions of kinds, classes.
    Foundations,
    /// What pods read and what bounds them: quota, policies, accounts, roles, Secrets, ConfigMaps, claims.
    Configuration,
    /// What refers to those and is refused, or deleted, without them.
    Bindings,
    /// Objects of kinds that Kubernetes does not bring along.
    CustomResources,
    /// One-time jobs.
    Jobs,
    /// Services, which pods find by variables of their environment if they were there first.
    Services,
    /// All that makes pods, and what scales that.
    Workloads,
    /// What leads requests to pods, when these are ready: Ingresses, changed selectors.
    Traffic,
    /// What is asked before each write, last, so that it cannot refuse the rest of the set.
    Admission,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 9] = [
        Self::Foundations,
        Self::Configuration,
        Self::Bindings,
        Self::CustomResources,
        Self::Jobs,
        Self::Services,
        Self::Workloads,
        Self::Traffic,
        Self::Admission,
    ];

    /// The stage of an object, as far as it can be told by itself: a Service whose selector changes is [`Traffic`].
    ///
    /// [`Traffic`]: Stage::Traffic
    pub fn of(id: &ObjectId, object: &Value) -> Self {
        match (id.group.as_str(), id.kind.as_str()) {
            ("", "Namespace" | "PersistentVolume")
            | ("apiextensions.k8s.io", _)
            | ("scheduling.k8s.io", "PriorityClass")
            | ("storage.k8s.io", _)
            | ("node.k8s.io", "RuntimeClass") => Self::Foundations,
            // Without its account such a Secret is deleted at once.
            ("", "Secret") if object["type"] == "kubernetes.io/service-account-token" => Self::Bindings,
            // A binding is accepted only from who has all that the role grants, which is looked up.
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => Self::Bindings,
            ("", "Service") => Self::Services,
            ("", "Pod" | "ReplicationController") | ("apps" | "autoscaling", _) => Self::Workloads,
            _ if is_one_time(id, object) => Self::Jobs,
            ("batch", _) => Self::Workloads,
            ("networking.k8s.io" | "extensions", "Ingress" | "IngressClass")
            | ("gateway.networking.k8s.io", _)
            | ("", "Endpoints")
            | ("discovery.k8s.io", _) => Self::Traffic,
            ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => Self::Admission,
            (group, _) if is_built_in(group) => Self::Configuration,
            _ => Self::CustomResources,
        }
    }

    /// How late it is deleted among others; equal ones at once.
    ///
    /// The reverse of the order of applying, but custom resources go before the workloads: the controller that has to
    /// clean up behind them may be one of these.
    pub fn deletion_rank(self) -> u8 {
        match self {
            Self::Admission => 0,
            Self::Traffic => 1,
            Self::CustomResources => 2,
            Self::Workloads | Self::Jobs => 3,
            Self::Services => 4,
            Self::Bindings => 5,
            Self::Configuration => 6,
            Self::Foundations => 7,
        }
    }
}

/// The place of an object within its stage.
///
/// # Errors
/// The annotation's text, where it is no integer.
pub fn order(object: &Value) -> Result<i64, String> {
    match annotation(object, ORDER) {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| text.to_owned()),
    }
}

/// Whether an object must never be pruned.
pub fn is_kept(object: &Value) -> bool {
    annotation(object, KEEP) == Some("true")
}

/// Whether a Service leads elsewhere than before: then its stage is [`Stage::Traffic`].
pub fn selector_changes(wanted: &Value, live: &Value) -> bool {
    let selector = |service: &Value| match service.pointer("/spec/selector") {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(selector) => selector.clone(),
    };
    selector(wanted) != selector(live)
}

fn is_built_in(group: &str) -> bool {
    const WITH_A_DOT: [&str; 14] = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "storage.k8s.io",
    ];
    // A group of one's own must have a dot.
    !group.contains('.') || WITH_A_DOT.contains(&group)
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
