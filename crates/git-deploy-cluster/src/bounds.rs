//! What an environment lets a branch deploy.

use std::collections::BTreeSet;

use git_deploy_manifest::{
    ID_LABEL, KEEP, KINDS_ANNOTATION, NAMESPACES_ANNOTATION, ONCE_PATHS, ONE_TIME, ORDER, ObjectId,
    PART_OF_LABEL, ROLLBACK, TOOLING_ANNOTATION,
};
use serde_json::{Map, Value};

/// What may be deployed, as base's `deploy.toml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// `allow-kinds`: `Kind.group`, `Kind` for one of Kubernetes' own groups, or `*`. A list replaces the default: kinds
    /// that live in namespaces, without those of RBAC, and the environment's own Namespace.
    pub kinds: Option<Vec<String>>,
    /// `allow-namespaces`. A list replaces the default: the environment's own.
    pub namespaces: Option<Vec<String>>,
}

/// What an environment does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// The kind.
    #[error("the environment does not allow objects of kind '{kind}', see 'allow-kinds' in deploy.toml")]
    Kind {
        /// As `allow-kinds` would have it.
        kind: String,
    },
    /// The namespace.
    #[error("the environment does not allow namespace '{}', see 'allow-namespaces' in deploy.toml", namespace.escape_debug())]
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// What looks like our own records, in any environment.
    #[error(
        "ConfigMaps and Leases whose names begin with '{RESERVED}' are git-deploy's own records, give it another name"
    )]
    Reserved,
    /// What only the tool itself says of an object, in any environment.
    #[error("{what} '{}' is for git-deploy itself to set, take it out of the manifest", key.escape_debug())]
    Mark {
        /// `label` or `annotation`.
        what: &'static str,
        /// Its key.
        key: String,
    },
}

/// The annotations that people write.
const ANNOTATIONS: [&str; 5] = [ORDER, ONE_TIME, ONCE_PATHS, ROLLBACK, KEEP];

/// How the keys of our annotations begin.
const OURS: &str = "git-deploy/";

impl OutOfBounds {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Kind { .. } => Some(
                "whoever may change base can allow it: 'allow-kinds' there replaces the default (kinds that live in a namespace, without RBAC), so name all kinds that are deployed, or \"*\"",
            ),
            Self::Namespace { .. } => Some(
                "whoever may change base can allow it: 'allow-namespaces' there replaces the default (the environment's own), so name that one too",
            ),
            Self::Reserved | Self::Mark { .. } => None,
        }
    }
}

/// How the names of a set's parent and of its Lease begin.
const RESERVED: &str = "git-deploy-";

impl Bounds {
    /// Whether an object may be deployed to an environment with that namespace. Its own namespace is filled in.
    ///
    /// # Errors
    /// What is not allowed about it.
    pub fn allow(&self, id: &ObjectId, own_namespace: &str) -> Result<(), OutOfBounds> {
        if is_record(id) {
            return Err(OutOfBounds::Reserved);
        }
        let is_namespace = id.is_namespace();
        let is_own_namespace = is_namespace && id.name == own_namespace;
        let kind_is_allowed = match &self.kinds {
            Some(kinds) => kinds.iter().any(|allowed| names(allowed, id)),
            None => is_own_namespace || (id.namespace.is_some() && id.group != "rbac.authorization.k8s.io"),
        };
        if !kind_is_allowed {
            let kind =
                if id.group.is_empty() { id.kind.clone() } else { format!("{}.{}", id.kind, id.group) };
            return Err(OutOfBounds::Kind { kind });
        }
        let namespace = if is_namespace { Some(&id.name) } else { id.namespace.as_ref() };
        match namespace {
            Some(namespace) if !is_own_namespace && !self.namespace_is_allowed(namespace, own_namespace) => {
                Err(OutOfBounds::Namespace { namespace: namespace.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether objects may be deployed to a namespace.
    pub fn namespace_is_allowed(&self, namespace: &str, own_namespace: &str) -> bool {
        match &self.namespaces {
            Some(namespaces) => namespaces.iter().any(|allowed| allowed == namespace),
            None => namespace == own_namespace,
        }
    }

    /// The namespaces besides the environment's own that may be deployed to.
    pub fn other_namespaces(&self, own_namespace: &str) -> BTreeSet<String> {
        let listed = self.namespaces.iter().flatten();
        listed.filter(|namespace| *namespace != own_namespace).cloned().collect()
    }
}

/// What an object says that would make it one of another set, or a set's parent, or that is ours to say.
pub(crate) fn marks(object: &Value) -> Vec<OutOfBounds> {
    let keys = |map: &str| object["metadata"][map].as_object().into_iter().flat_map(Map::keys);
    let labels = keys("labels").filter(|key| [ID_LABEL, PART_OF_LABEL].contains(&key.as_str()));
    let is_ours = |key: &&String| {
        let of_parent = [TOOLING_ANNOTATION, KINDS_ANNOTATION, NAMESPACES_ANNOTATION];
        of_parent.contains(&key.as_str()) || key.starts_with(OURS) && !ANNOTATIONS.contains(&key.as_str())
    };
    let annotations = keys("annotations").filter(is_ours);
    let mark = |what| move |key: &String| OutOfBounds::Mark { what, key: key.clone() };
    labels.map(mark("label")).chain(annotations.map(mark("annotation"))).collect()
}

/// Whether an object could be the parent or the Lease of a set, of this environment or of another one beside it: as a
/// member it would be changed by what it is to guard, and pruned at last.
fn is_record(id: &ObjectId) -> bool {
    matches!((id.group.as_str(), id.kind.as_str()), ("", "ConfigMap") | ("coordination.k8s.io", "Lease"))
        && id.name.starts_with(RESERVED)
}

fn names(allowed: &str, id: &ObjectId) -> bool {
    match allowed.split_once('.') {
        None => allowed == "*" || (allowed == id.kind && is_of_kubernetes(&id.group)),
        Some((kind, group)) => kind == id.kind && group == id.group,
    }
}

/// Whether a group is one of Kubernetes itself. Anybody may define a kind of the same name in another one, such as a
/// `Service` that makes who knows what: that must be allowed by its whole name.
fn is_of_kubernetes(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
        ObjectId {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    const RBAC: &str = "rbac.authorization.k8s.io";

    #[test]
    fn by_default_only_what_lives_in_the_environments_own_namespace_is_allowed() {
        let bounds = Bounds::default();
        let allowed = |id: &ObjectId| bounds.allow(id, "shop").is_ok();
        assert!(allowed(&id("apps", "Deployment", Some("shop"), "a")));
        assert!(allowed(&id("example.org", "Widget", Some("shop"), "a")));
        assert!(allowed(&id("", "Namespace", None, "shop")));
        for refused in [
            id("", "Namespace", None, "other"),
            id("apps", "Deployment", Some("kube-system"), "a"),
            id(RBAC, "Role", Some("shop"), "a"),
            id(RBAC, "ClusterRole", None, "a"),
            id("", "PersistentVolume", None, "a"),
            id("apiextensions.k8s.io", "CustomResourceDefinition", None, "a"),
        ] {
            assert!(!allowed(&refused), "{refused}");
        }
    }

    #[test]
    fn a_list_replaces_the_default() {
        let kinds = |kinds: &[&str]| Bounds {
            kinds: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
            namespaces: None,
        };
        let role = id(RBAC, "Role", Some("shop"), "a");
        assert!(kinds(&["Role"]).allow(&role, "shop").is_ok());
        assert!(kinds(&["Role.rbac.authorization.k8s.io"]).allow(&role, "shop").is_ok());
        assert!(kinds(&["*"]).allow(&id("", "PersistentVolume", None, "a"), "shop").is_ok());
        assert!(kinds(&["Role.example.org"]).allow(&role, "shop").is_err());
        assert!(kinds(&["Role"]).allow(&id("", "ConfigMap", Some("shop"), "a"), "shop").is_err());
        assert!(kinds(&["*"]).allow(&id("", "ConfigMap", Some("other"), "a"), "shop").is_err());

        let namespaces = Bounds { kinds: None, namespaces: Some(vec!["a".to_owned(), "b".to_owned()]) };
        assert!(namespaces.allow(&id("", "ConfigMap", Some("b"), "a"), "shop").is_ok());
        assert!(namespaces.allow(&id("", "ConfigMap", Some("shop"), "a"), "shop").is_err());
    }

    #[test]
    fn a_bare_kind_is_one_of_kubernetes_own() {
        let kinds = |kind: &str| Bounds { kinds: Some(vec![kind.to_owned()]), namespaces: None };
        let allows = |kind: &str, group: &str, namespace| {
            kinds(kind)
                .allow(&id(group, kind.split('.').next().unwrap_or_default(), namespace, "a"), "shop")
                .is_ok()
        };
        assert!(allows("Service", "", Some("shop")));
        assert!(allows("Deployment", "apps", Some("shop")));
        assert!(allows("Ingress", "networking.k8s.io", Some("shop")));
        assert!(allows("PriorityClass", "scheduling.k8s.io", None));
        assert!(!allows("Service", "serving.knative.dev", Some("shop")));
        assert!(!allows("Service", "serving.knative.dev", None));
        assert!(!allows("Service", "example.k8s.io.example.org", Some("shop")));
        assert!(!allows("Service", "notk8s.io", Some("shop")));
        assert!(allows("Service.serving.knative.dev", "serving.knative.dev", Some("shop")));
        assert!(!allows("Service.serving.knative.dev", "", Some("shop")));
    }

    #[test]
    fn what_looks_like_the_records_of_a_set_is_never_allowed() {
        let all = Bounds { kinds: Some(vec!["*".to_owned()]), namespaces: None };
        let allow =
            |group: &str, kind: &str, name: &str| all.allow(&id(group, kind, Some("shop"), name), "shop");
        assert_eq!(allow("", "ConfigMap", "git-deploy-shop-production"), Err(OutOfBounds::Reserved));
        assert_eq!(allow("coordination.k8s.io", "Lease", "git-deploy-a-b"), Err(OutOfBounds::Reserved));
        assert_eq!(allow("", "ConfigMap", "git-deploy"), Ok(()));
        assert_eq!(allow("", "ConfigMap", "my-git-deploy-a-b"), Ok(()));
        assert_eq!(allow("", "Service", "git-deploy-a-b"), Ok(()));
        assert_eq!(allow("example.org", "Lease", "git-deploy-a-b"), Ok(()));
        assert_eq!(
            OutOfBounds::Reserved.to_string(),
            "ConfigMaps and Leases whose names begin with 'git-deploy-' are git-deploy's own records, give it another name"
        );
    }

    #[test]
    fn what_only_we_say_of_an_object_is_no_manifests_to_say() {
        let refused = |metadata: Value| -> Vec<String> {
            marks(&json!({ "metadata": metadata })).iter().map(ToString::to_string).collect()
        };
        for (map, what, key) in [
            ("labels", "label", "applyset.kubernetes.io/id"),
            ("labels", "label", "applyset.kubernetes.io/part-of"),
            ("annotations", "annotation", "applyset.kubernetes.io/tooling"),
            ("annotations", "annotation", "git-deploy/set"),
            ("annotations", "annotation", "git-deploy/root"),
            ("annotations", "annotation", "git-deploy/one-tmie"),
        ] {
            let said = format!("{what} '{key}' is for git-deploy itself to set, take it out of the manifest");
            assert_eq!(refused(json!({ map: { key: "x", "team": "shop" } })), [said]);
        }
        let allowed: Map<String, Value> =
            ANNOTATIONS.map(|key| (key.to_owned(), "1".into())).into_iter().collect();
        let labels = json!({ "app": "a", "applyset.kubernetes.io/is-parent-type": "true" });
        assert_eq!(refused(json!({ "annotations": allowed, "labels": labels })), [""; 0]);
    }

    #[test]
    fn a_refusal_names_what_would_have_to_be_allowed() {
        let refusal = Bounds::default().allow(&id(RBAC, "Role", Some("shop"), "a"), "shop").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the environment does not allow objects of kind 'Role.rbac.authorization.k8s.io', see 'allow-kinds' in deploy.toml"
        );
    }
}
