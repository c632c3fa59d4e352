//! What a deployment does in a cluster, as [RBAC][1] names it: the one list by which it is asked beforehand whether it may, and
//! from which roles are written.
//!
//! [1]: https://kubernetes.io/docs/reference/access-authn-authz/rbac/

use std::collections::{BTreeMap, BTreeSet};

use crate::GroupKind;

/// What a deployment does to objects of a kind.
pub const VERBS_OF_MEMBERS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
/// What it does to the Lease and to the parent of its set.
pub const VERBS_OF_PARENT: [&str; 3] = ["get", "create", "patch"];
/// What it does to the environment's own Namespace, where that is among the manifests.
pub const VERBS_OF_NAMESPACE: [&str; 2] = ["get", "patch"];
/// What it does to a pod of an earlier revision that keeps a StatefulSet from going on.
pub const VERB_OF_BLOCKING_PODS: &str = "delete";

/// Group and resource of the Lease and of the parent of a set.
pub const PARENT: [(&str, &str); 2] = [("coordination.k8s.io", "leases"), ("", "configmaps")];

/// What [`needing`] gives.
const NEEDING: [(&str, &str); 10] = [
    ("", "Pod"),
    ("", "ReplicationController"),
    ("", "ServiceAccount"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("networking.k8s.io", "Ingress"),
];

/// What else is looked at: what becomes of the members, why, and who else decides about them.
const SEEN: [(&str, &str); 2] = [("", "events"), ("autoscaling", "horizontalpodautoscalers")];
const VERBS_OF_SEEN: [&str; 2] = ["list", "watch"];

/// What containers wrote.
const LOGS: (&str, &str, &str) = ("", "pods/log", "get");

/// The kinds of Kubernetes that applications are made of: group, kind, resource.
const OF_APPLICATIONS: [(&str, &str, &str); 13] = [
    ("", "ConfigMap", "configmaps"),
    ("", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("", "Secret", "secrets"),
    ("", "Service", "services"),
    ("", "ServiceAccount", "serviceaccounts"),
    ("apps", "DaemonSet", "daemonsets"),
    ("apps", "Deployment", "deployments"),
    ("apps", "StatefulSet", "statefulsets"),
    ("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("batch", "CronJob", "cronjobs"),
    ("batch", "Job", "jobs"),
    ("networking.k8s.io", "Ingress", "ingresses"),
    ("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
];

/// The other ones that live in namespaces and that somebody could want to deploy.
const OTHERS: [(&str, &str, &str); 14] = [
    ("", "Endpoints", "endpoints"),
    ("", "LimitRange", "limitranges"),
    ("", "Pod", "pods"),
    ("", "PodTemplate", "podtemplates"),
    ("", "ReplicationController", "replicationcontrollers"),
    ("", "ResourceQuota", "resourcequotas"),
    ("apps", "ReplicaSet", "replicasets"),
    ("coordination.k8s.io", "Lease", "leases"),
    ("discovery.k8s.io", "EndpointSlice", "endpointslices"),
    ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
    ("rbac.authorization.k8s.io", "Role", "roles"),
    ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
    ("resource.k8s.io", "ResourceClaim", "resourceclaims"),
    ("resource.k8s.io", "ResourceClaimTemplate", "resourceclaimtemplates"),
];

/// Groups all of whose kinds live in no namespace.
const OF_CLUSTERS: [&str; 6] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "node.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// A resource of a group, such as `deployments` of `apps`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The API group; empty for core.
    pub group: String,
    /// As RBAC names it, such as `deployments` or `pods/log`.
    pub name: String,
}

impl Resource {
    /// The resource of a group.
    #[must_use]
    pub fn new(group: &str, name: &str) -> Self {
        Self { group: group.to_owned(), name: name.to_owned() }
    }
}

/// What an environment lets be deployed, as resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    /// What is to be granted.
    pub resources: BTreeSet<Resource>,
    /// Those among them whose names are a guess, since a cluster alone knows how it calls them.
    pub guessed: BTreeSet<Resource>,
    /// Entries that no role of a namespace can grant: what lives in none, what is not known, and `*`.
    pub outside: Vec<String>,
}

impl Kinds {
    /// What `allow-kinds` says; without it, what applications are made of.
    #[must_use]
    pub fn allowed(allow_kinds: Option<&[String]>) -> Self {
        let mut kinds = Self::default();
        let Some(allow_kinds) = allow_kinds else {
            kinds.take_applications();
            return kinds;
        };
        for entry in allow_kinds {
            match entry.split_once('.') {
                None if entry == "*" => {
                    kinds.take_applications();
                    kinds.outside.push(entry.clone());
                }
                // Its own rights are those of every environment.
                None if entry == "Namespace" => {}
                None => {
                    let found = known().filter(|(_, kind, _)| kind == entry);
                    let found: Vec<Resource> =
                        found.map(|(group, _, name)| Resource::new(group, name)).collect();
                    if found.is_empty() {
                        kinds.outside.push(entry.clone());
                    }
                    kinds.resources.extend(found);
                }
                Some((kind, group)) => match resource(group, kind) {
                    Some(resource) => drop(kinds.resources.insert(resource)),
                    None if OF_CLUSTERS.contains(&group) || kind.starts_with("ClusterRole") => {
                        kinds.outside.push(entry.clone());
                    }
                    None => {
                        let guess = Resource::new(group, &plural(kind));
                        kinds.guessed.insert(guess.clone());
                        kinds.resources.insert(guess);
                    }
                },
            }
        }
        kinds
    }

    /// What this and another one let be deployed.
    pub fn extend(&mut self, other: Self) {
        self.resources.extend(other.resources);
        self.guessed.extend(other.guessed);
        self.outside.extend(other.outside);
        self.outside.sort();
        self.outside.dedup();
    }

    fn take_applications(&mut self) {
        let all = OF_APPLICATIONS.iter().map(|(group, _, name)| Resource::new(group, name));
        self.resources.extend(all);
    }
}

/// The kinds of Kubernetes that are known here: group, kind, resource.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    OF_APPLICATIONS.into_iter().chain(OTHERS)
}

fn resource(group: &str, kind: &str) -> Option<Resource> {
    let found = known().find(|known| (known.0, known.1) == (group, kind));
    found.map(|(group, _, name)| Resource::new(group, name))
}

/// As nearly everybody names the resource of a kind: by the plural of the English word.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}

/// What a right in a role is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// To apply and prune what is deployed.
    Members,
    /// To hold the Lease, and to write down what was applied.
    Parent,
    /// To label the environment's own Namespace.
    Namespace,
    /// To let a StatefulSet go on.
    Unblock,
    /// To see what becomes of it, and why.
    Sight,
}

/// One rule of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is for.
    pub purpose: Purpose,
    /// The API group; empty for core.
    pub group: String,
    /// Sorted.
    pub resources: Vec<String>,
    /// What may be done to them.
    pub verbs: Vec<&'static str>,
}

/// What a role has to grant in a namespace that these are deployed to; `is_own`: which is an environment's own one, so that
/// Lease and parent of its set are there. No right stands there twice.
#[must_use]
pub fn rules(resources: &BTreeSet<Resource>, is_own: bool) -> Vec<Rule> {
    let mut granted: BTreeSet<(Resource, &'static str)> = BTreeSet::new();
    let mut rules = Vec::new();
    let mut grant = |purpose, wanted: Vec<(Resource, &'static str)>| {
        let mut missing: BTreeMap<Resource, Vec<&'static str>> = BTreeMap::new();
        for (resource, verb) in wanted {
            if granted.insert((resource.clone(), verb)) {
                missing.entry(resource).or_default().push(verb);
            }
        }
        let mut by_verbs: BTreeMap<(String, Vec<&'static str>), Vec<String>> = BTreeMap::new();
        for (resource, verbs) in missing {
            by_verbs.entry((resource.group, verbs)).or_default().push(resource.name);
        }
        rules.extend(by_verbs.into_iter().map(|((group, verbs), resources)| Rule {
            purpose,
            group,
            resources,
            verbs,
        }));
    };
    let each = |resource: &Resource, verbs: &[&'static str]| -> Vec<(Resource, &'static str)> {
        verbs.iter().map(|verb| (resource.clone(), *verb)).collect()
    };
    grant(Purpose::Members, resources.iter().flat_map(|member| each(member, &VERBS_OF_MEMBERS)).collect());
    if is_own {
        let parent = PARENT.map(|(group, name)| Resource::new(group, name));
        grant(Purpose::Parent, parent.iter().flat_map(|object| each(object, &VERBS_OF_PARENT)).collect());
        grant(Purpose::Namespace, each(&Resource::new("", "namespaces"), &VERBS_OF_NAMESPACE));
    }
    if resources.contains(&Resource::new("apps", "statefulsets")) {
        grant(Purpose::Unblock, each(&Resource::new("", "pods"), &[VERB_OF_BLOCKING_PODS]));
    }
    let needing = NEEDING.into_iter().filter_map(|(group, kind)| resource(group, kind));
    let seen = SEEN.into_iter().map(|(group, name)| Resource::new(group, name));
    let mut sight: Vec<_> = needing.chain(seen).flat_map(|seen| each(&seen, &VERBS_OF_SEEN)).collect();
    let (group, name, verb) = LOGS;
    sight.push((Resource::new(group, name), verb));
    grant(Purpose::Sight, sight);
    rules
}

/// Whether rules grant something.
#[must_use]
pub fn grants(rules: &[Rule], group: &str, resource: &str, verb: &str) -> bool {
    let has = |rule: &Rule| {
        rule.group == group
            && rule.resources.iter().any(|name| name == resource)
            && rule.verbs.contains(&verb)
    };
    rules.iter().any(has)
}

/// Kinds whose objects name what they need, which is looked at before that is pruned.
pub fn needing() -> impl Iterator<Item = GroupKind> {
    NEEDING.into_iter().map(|(group, kind)| GroupKind::new(group, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> Kinds {
        Kinds::allowed(Some(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()))
    }

    fn names(kinds: &Kinds) -> Vec<String> {
        kinds.resources.iter().map(|resource| format!("{}.{}", resource.name, resource.group)).collect()
    }

    #[test]
    fn what_is_allowed_becomes_resources() {
        let kinds = allowed(&["ConfigMap", "Deployment.apps", "Role.rbac.authorization.k8s.io", "Namespace"]);
        assert_eq!(names(&kinds), ["configmaps.", "deployments.apps", "roles.rbac.authorization.k8s.io"]);
        assert!(kinds.guessed.is_empty() && kinds.outside.is_empty(), "{kinds:?}");
    }

    #[test]
    fn what_a_cluster_alone_knows_is_guessed_and_told() {
        let kinds = allowed(&["Canary.flagger.app", "Gateway.gateway.networking.k8s.io", "Bus.example.org"]);
        let expected = ["buses.example.org", "canaries.flagger.app", "gateways.gateway.networking.k8s.io"];
        let mut found = names(&kinds);
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(kinds.guessed, kinds.resources);
    }

    #[test]
    fn what_no_role_of_a_namespace_can_grant_is_named() {
        let entries = ["PriorityClass", "CustomResourceDefinition.apiextensions.k8s.io", "*"];
        let entries = [&entries[..], &["ClusterRole.rbac.authorization.k8s.io"]].concat();
        let kinds = allowed(&entries);
        assert_eq!(kinds.outside, entries);
        // With a star as without any list: what lives in namespaces, without RBAC.
        assert_eq!(kinds.resources, Kinds::allowed(None).resources);
    }

    #[test]
    fn no_right_stands_in_a_role_twice_and_none_is_for_other_purposes() {
        let kinds = Kinds::allowed(None);
        for is_own in [true, false] {
            let rules = rules(&kinds.resources, is_own);
            let mut seen = BTreeSet::new();
            for rule in &rules {
                for (resource, verb) in
                    rule.resources.iter().flat_map(|name| rule.verbs.iter().map(move |verb| (name, verb)))
                {
                    assert!(seen.insert((&rule.group, resource, verb)), "{resource} {verb}");
                    assert!(!verb.contains('*') && !resource.contains('*') && !rule.group.contains('*'));
                    let changes = !["get", "list", "watch"].contains(verb);
                    assert!(!changes || rule.purpose != Purpose::Sight, "{resource} {verb}");
                }
            }
            assert_eq!(grants(&rules, "coordination.k8s.io", "leases", "patch"), is_own);
            assert_eq!(grants(&rules, "", "namespaces", "patch"), is_own);
            assert!(grants(&rules, "", "pods", "delete"), "there are StatefulSets among them");
            assert!(!grants(&rules, "", "pods", "create"));
            assert!(!grants(&rules, "", "secrets", "update") && grants(&rules, "", "secrets", "patch"));
        }
    }

    #[test]
    fn few_kinds_take_few_rights() {
        let rules = rules(&allowed(&["ConfigMap"]).resources, true);
        for (group, resource, verb) in [
            ("", "configmaps", "delete"),
            ("coordination.k8s.io", "leases", "create"),
            ("", "pods", "watch"),
            ("", "pods/log", "get"),
            ("apps", "replicasets", "list"),
        ] {
            assert!(grants(&rules, group, resource, verb), "{verb} {resource}");
        }
        for (group, resource, verb) in [
            ("", "secrets", "get"),
            ("", "pods", "delete"),
            ("apps", "deployments", "patch"),
            ("coordination.k8s.io", "leases", "delete"),
        ] {
            assert!(!grants(&rules, group, resource, verb), "{verb} {resource}");
        }
    }
}
