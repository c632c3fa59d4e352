//! What somebody may do, asked of a real API server.

use git_deploy_cluster::{AccessError, Connection, Need, require_access};
use git_deploy_manifest::rights::{VERBS_OF_MEMBERS, known};
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::{Cluster, Namespace};

use crate::support::{admin, open};

fn need(verb: &'static str, group: &str, resource: &str, namespace: Option<&str>) -> Need {
    Need { group: group.into(), resource: resource.into(), namespace: namespace.map(str::to_owned), verb }
}

/// What a small shop needs.
fn needs(namespace: &str) -> Vec<Need> {
    let kinds = [("", "configmaps"), ("", "services"), ("apps", "deployments")];
    let members = kinds.iter().flat_map(|(group, resource)| {
        VERBS_OF_MEMBERS.map(|verb| need(verb, group, resource, Some(namespace)))
    });
    members.chain(Need::of_parent(namespace)).collect()
}

/// alice, who may do in the namespace what these rules say.
async fn alice(cluster: &Cluster, namespace: &Namespace<'_>, rules: &str) -> Connection {
    namespace.apply(&format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: deployer }}
rules: {rules}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: deployer }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer }}
subjects: [{{ kind: User, name: alice, apiGroup: rbac.authorization.k8s.io }}]
"#
    ));
    let connection = open(cluster, &cluster.kubeconfig_for("alice")).await;
    // The API server learns of roles by a watch.
    git_deploy_testkit::cluster::eventually("the role counts", || {
        let can = ["auth", "can-i", "get", "configmaps", "--as=alice"];
        namespace.kubectl(&can).stdout.starts_with("yes")
    });
    connection
}

const ALL: &str = r#"[
  { apiGroups: [""], resources: [configmaps, services], verbs: ["*"] },
  { apiGroups: [apps], resources: [deployments], verbs: [get, list, watch, create, patch, delete] },
  { apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, patch] },
]"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_do_all_is_asked_about_once_a_namespace() {
    let cluster = cluster!();
    let (one, two) = (cluster.namespace("access").create(), cluster.namespace("access").create());
    let admin = admin(cluster).await;
    let before = admin.calls();
    let all = needs(one.name()).into_iter().chain(needs(two.name()));
    require_access(&admin, all).await.unwrap();
    assert_eq!(admin.calls() - before, 2);

    let alice = alice(cluster, &one, ALL).await;
    let before = alice.calls();
    require_access(&alice, needs(one.name())).await.unwrap();
    assert_eq!(alice.calls() - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_denied_is_named_before_anything_was_changed() {
    let cluster = cluster!();
    let namespace = cluster.namespace("access").create();
    let rules = ALL.replace("watch, create, patch, delete", "watch");
    let alice = alice(cluster, &namespace, &rules).await;
    let mut needs = needs(namespace.name());
    needs.push(need("patch", "rbac.authorization.k8s.io", "clusterroles", None));
    let error = require_access(&alice, needs).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "user 'alice' may not create, delete, patch deployments.apps in namespace '{namespace}'; \
             patch clusterroles.rbac.authorization.k8s.io in the whole cluster"
        )
    );
    let hint =
        format!("ask 'kubectl --context=test auth can-i create deployments.apps --namespace={namespace}'");
    assert_eq!(error.hint(), Some(hint));
    let changes = namespace.audit().into_iter().filter(|event| event.user == "alice" && event.is_change());
    assert_eq!(changes.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_for_some_names_is_no_rule_for_all() {
    let cluster = cluster!();
    let namespace = cluster.namespace("access").create();
    let rules = ALL.replace("resources: [deployments]", "resources: [deployments], resourceNames: [web]");
    let alice = alice(cluster, &namespace, &rules).await;
    let error = require_access(&alice, needs(namespace.name())).await.unwrap_err();
    let AccessError::Denied { denied, .. } = &error else { panic!("{error}") };
    assert_eq!(denied.len(), VERBS_OF_MEMBERS.len(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_a_namespace_is_not_everything() {
    let cluster = cluster!();
    let namespace = cluster.namespace("access").create();
    let alice = alice(cluster, &namespace, r#"[{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]"#).await;
    require_access(&alice, needs(namespace.name())).await.unwrap();
    let other = cluster.namespace("access").create();
    for (place, group, resource) in [
        (None, "rbac.authorization.k8s.io", "clusterroles"),
        (None, "", "namespaces"),
        (Some(other.name()), "", "configmaps"),
    ] {
        let error = require_access(&alice, [need("get", group, resource, place)]).await.unwrap_err();
        assert!(matches!(&error, AccessError::Denied { denied, .. } if denied.len() == 1), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_cannot_be_reached_is_no_denial() {
    let cluster = cluster!();
    let namespace = cluster.namespace("access").create();
    let proxy = cluster.proxy();
    let connection = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    proxy.refuse();
    let error = require_access(&connection, needs(namespace.name())).await.unwrap_err();
    assert!(matches!(error, AccessError::Api { .. }), "{error}");
}

#[test]
fn the_kinds_that_roles_are_written_for_are_called_so_by_a_server() {
    let listed = cluster!().kubectl(&["api-resources", "--namespaced=true", "--verbs=patch,delete"]).stdout;
    for (group, kind, resource) in known() {
        let is_it = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, .., version, _, of_kind] = words[..] else { return false };
            let of_group = version.rsplit_once('/').map_or("", |(group, _)| group);
            (of_group, of_kind, name) == (group, kind, resource)
        };
        assert!(listed.lines().any(is_it), "{kind}.{group}\n{listed}");
    }
}
