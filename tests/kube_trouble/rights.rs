//! What the user, or the branch, may not do.

use std::path::PathBuf;

use git_deploy_testkit::cluster::{Cluster, Namespace, Options, eventually};
use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{cluster, sandbox};

use crate::support::{Pods, config_map, deployment, gets_no_number, open, open_in, open_with, set};

const ALL: &str = "get,list,watch,create,patch,update,delete";

fn role(rules: &[(&str, &str)]) -> String {
    let mut role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: alice }\nrules:\n"
            .to_owned();
    for (verbs, resources) in rules {
        role += &format!("- {{ apiGroups: ['*'], resources: [{resources}], verbs: [{verbs}] }}\n");
    }
    role
}

/// A kubeconfig for alice, who may do this in the namespace: verbs and resources.
fn alice(shop: &ClusterShop<'_>, rules: &[(&str, &str)]) -> PathBuf {
    alice_in(shop.cluster, &shop.namespace, rules)
}

fn alice_in(cluster: &Cluster, namespace: &Namespace<'_>, rules: &[(&str, &str)]) -> PathBuf {
    namespace.apply(&role(rules));
    namespace.kubectl(&["create", "rolebinding", "alice", "--role=alice", "--user=alice"]).success();
    let kubeconfig = cluster.kubeconfig_for("alice");
    let path = kubeconfig.to_str().expect("a temporary directory in UTF-8").to_owned();
    eventually("the binding has taken effect", || {
        namespace.kubectl(&["--kubeconfig", &path, "get", "leases"]).code == Some(0)
    });
    kubeconfig
}

/// The Role that the manual gives.
fn role_of_the_manual() -> String {
    let manual = include_str!("../../crates/git-deploy-cli/src/args/manual/deploy.txt");
    let from =
        manual.find("        apiVersion: rbac.authorization.k8s.io/v1").expect("the manual has a Role");
    let lines = manual[from..].lines().take_while(|line| line.starts_with("        "));
    lines.map(|line| format!("{}\n", &line[8..])).collect()
}

fn both() -> String {
    [config_map("more", "a: b"), deployment("web", "1", &Pods::Ready)].concat()
}

#[test]
fn a_kind_that_the_user_may_not_change_is_named_before_anything_is_changed() {
    let shop = open(&sandbox!(), cluster!());
    let kubeconfig = alice(
        &shop,
        &[(ALL, "configmaps, leases"), ("get,list,watch", "deployments, replicasets, pods, events")],
    );
    let shop = shop.by(kubeconfig);
    shop.release_more("more", &both());
    gets_no_number(&shop, "more", &[])
        .stderr_contains("user 'alice' may not ")
        .stderr_contains("patch")
        .stderr_contains(&format!("deployments.apps in namespace '{}'", shop.namespace))
        .stderr_contains("hint: ask 'kubectl --context=test auth can-i ");
    shop.claimed_nothing();
    shop.changed_nothing();
    assert!(shop.namespace.find("configmap", "more").is_none());
}

#[test]
fn the_role_in_the_manual_is_enough_and_nothing_is_warned_of() {
    let shop = open(&sandbox!(), cluster!());
    shop.namespace.apply(&role_of_the_manual());
    shop.namespace
        .kubectl(&["create", "rolebinding", "alice", "--role=git-deploy", "--user=alice"])
        .success();
    let path = shop.cluster.kubeconfig_for("alice");
    let shop = shop.by(path.clone());
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { selector: { app: web }, ports: [{ port: 80 }] }\n---\n";
    let all = |version: &str, pods: &Pods| {
        [config_map("more", "a: b"), deployment("web", version, pods), service.to_owned()].concat()
    };
    shop.release_more("one", &all("1", &Pods::Ready));
    eventually("the binding has taken effect", || shop.deploy(&[]).code == Some(0));
    shop.succeeded("deployment-0001");
    for command in ["deploy-status", "deploy-diff"] {
        let looked = shop.repo.command("git").arg(command).env("KUBECONFIG", &path).output();
        looked.success().lacks("warning: ");
    }
    shop.release_more("failing", &all("2", &Pods::Waiting));
    shop.deploy(&[]).code_is(1).stdout_contains("ImagePullBackOff").lacks("warning: cannot");
    shop.release_more("less", &config_map("more", "a: c"));
    shop.deploy(&["less"]).success().lacks("warning: cannot");
    assert!(shop.namespace.find("deployment", "web").is_none());
}

#[test]
fn who_may_do_nothing_at_all_is_told_so() {
    let shop = open(&sandbox!(), cluster!());
    let shop = {
        let path = shop.cluster.kubeconfig_for("bob");
        shop.by(path)
    };
    shop.release_more("more", &both());
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("User \"bob\" cannot get resource");
    shop.claimed_nothing();
    shop.changed_nothing();
}

#[test]
fn what_may_not_be_deleted_is_named_before_anything_is_changed() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &both());
    let kubeconfig = alice(
        &shop,
        &[
            (ALL, "deployments, leases"),
            ("get,list,watch,create,patch,update", "configmaps"),
            ("get,list,watch", "replicasets, pods, events"),
        ],
    );
    let shop = shop.by(kubeconfig);
    // `more`, a ConfigMap, would go.
    shop.release_more("less", &deployment("web", "2", &Pods::Ready));
    gets_no_number(&shop, "less", &[]).stderr_contains("user 'alice' may not delete configmaps");
    // Who may do it gets the number.
    let path = shop.cluster.kubeconfig().to_owned();
    let shop = shop.by(path);
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0002");
}

#[test]
fn a_kind_that_is_only_to_be_deleted_counts_as_well() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &both());
    let kubeconfig = alice(
        &shop,
        &[(ALL, "configmaps, leases"), ("get,list,watch", "deployments, replicasets, pods, events")],
    );
    let shop = shop.by(kubeconfig);
    // The Deployment would go, and is not among what is deployed.
    shop.release_more("less", &config_map("more", "a: c"));
    gets_no_number(&shop, "less", &[])
        .stderr_contains("user 'alice' may not ")
        .stderr_contains("delete deployments.apps");
}

#[test]
fn what_the_environments_own_namespace_takes_is_asked_beforehand_and_no_more_than_that() {
    let shop = open(&sandbox!(), cluster!());
    let rules = [(ALL, "configmaps, leases")];
    let kubeconfig = alice(&shop, &rules);
    let shop = shop.by(kubeconfig);
    let namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {}, labels: {{ team: shop }} }}\n---\n",
        shop.namespace
    );
    shop.release_more("own", &namespace);
    let denied = format!("user 'alice' may not get, patch namespaces in namespace '{}'", shop.namespace);
    gets_no_number(&shop, "own", &[]).stderr_contains(&denied);

    let rules = [(ALL, "configmaps, leases"), ("get,patch", "namespaces")];
    shop.namespace.apply(&role(&rules));
    eventually("it may be done", || shop.deploy(&[]).code == Some(0));
    shop.succeeded("deployment-0001");
    let live = shop.namespace.get("namespace", shop.namespace.name());
    assert_eq!(live["metadata"]["labels"]["team"], "shop");
    shop.release_more("more", &(namespace + &config_map("more", "a: b")));
    shop.deploy(&[]).success();
    shop.release_more("less", &config_map("more", "a: b"));
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0003");
}

#[test]
fn a_namespace_that_has_to_be_created_and_may_not_be_is_named_before_a_number_is_used() {
    // What binds alice everywhere would bind her in other scenarios, too.
    let cluster = &cluster!(Options::new().nodes(0));
    let shop = open_in(&sandbox!(), cluster, cluster.namespace("absent"), "shop", "");
    let (verbs, resources) =
        (format!("--verb={ALL}"), "--resource=configmaps,leases.coordination.k8s.io,namespaces");
    let name = shop.namespace.name();
    cluster.kubectl(&["create", "clusterrole", name, &verbs.replace("create,", ""), resources]).success();
    cluster.kubectl(&["create", "clusterrolebinding", name, "--clusterrole", name, "--user=alice"]).success();
    let other = cluster.namespace("other").create();
    let kubeconfig = alice_in(cluster, &other, &[(ALL, "configmaps, leases")]);
    let shop = shop.by(kubeconfig);
    shop.release_more("more", &config_map("more", "a: b"));
    gets_no_number(&shop, "more", &[])
        .stderr_contains("user 'alice' may not create configmaps in namespace '")
        .stderr_contains("; create namespaces in the whole cluster");
    shop.claimed_nothing();
}

const ORDERED: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: { name: store }
spec:
  serviceName: store
  selector: { matchLabels: { app: store } }
  template:
    metadata: { labels: { app: store } }
    spec: { containers: [{ name: store, image: 'registry.example.org/store:1' }] }
---
";

#[test]
fn a_pod_that_may_not_be_deleted_is_named_where_a_set_replaces_its_pods_in_order() {
    let shop = open(&sandbox!(), cluster!());
    let kubeconfig = alice(
        &shop,
        &[
            (ALL, "configmaps, leases, statefulsets"),
            ("get,list,watch", "controllerrevisions, pods, events, services"),
        ],
    );
    let shop = shop.by(kubeconfig);
    shop.release_more("store", ORDERED);
    let denied = format!("user 'alice' may not delete pods in namespace '{}'", shop.namespace);
    gets_no_number(&shop, "store", &[]).stderr_contains(&denied);
    // One that waits for none needs nobody to delete it.
    shop.release_more(
        "parallel",
        &ORDERED.replace("spec:\n  s", "spec:\n  podManagementPolicy: Parallel\n  s"),
    );
    shop.deploy(&["parallel"]).success();
    shop.succeeded("deployment-0001");
}

#[test]
fn rights_that_are_taken_away_in_the_middle_end_the_deployment_and_are_nobodys_fault() {
    let shop = open(&sandbox!(), cluster!());
    let rules = [(ALL, "configmaps, deployments, leases"), ("get,list,watch", "replicasets, pods, events")];
    let kubeconfig = alice(&shop, &rules);
    let shop = shop.by(kubeconfig);
    shop.release_more("web", &deployment("web", "1", &Pods::Unready));
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    shop.namespace.kubectl(&["delete", "rolebinding", "alice"]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("User \"alice\" cannot");
    shop.failed("deployment-0001", "is forbidden");
    assert_eq!(shop.state("web"), "deployable");
    // Nobody can tell whether whoever holds the Lease is alive, who may not even look.
    shop.deploy(&[]).code_is(75).stderr_contains("is forbidden");
    shop.namespace.kubectl(&["create", "rolebinding", "alice", "--role=alice", "--user=alice"]).success();
    shop.release_more("fine", &deployment("web", "2", &Pods::Ready));
    eventually("it goes on", || shop.deploy(&["fine"]).code == Some(0));
    shop.is_sound();
}

const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: reader }\nrules: [{ apiGroups: [''], resources: [pods], verbs: [get] }]\n---\n";
const CLASS: &str =
    "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: { name: NAME }\nvalue: 1\n---\n";

#[test]
fn what_the_environment_does_not_allow_is_refused_however_it_is_asked_for() {
    let shop = open(&sandbox!(), cluster!());
    let class = CLASS.replace("NAME", shop.namespace.name());
    let elsewhere = config_map("more", "a: b").replace("name: more", "name: more, namespace: kube-system");
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: default }\n---\n";
    shop.release_more("greedy", &[ROLE, &class, &elsewhere, namespace].concat());
    for arguments in [&[][..], &["--force-conflicts"]] {
        shop.repo.deploy("deploy-state", &["set", "deployable", "greedy"]);
        let output = shop.deploy(arguments);
        output.code_is(1);
        for reason in [
            "kind 'Role.rbac.authorization.k8s.io', see 'allow-kinds'",
            "kind 'PriorityClass.scheduling.k8s.io', see 'allow-kinds'",
            "namespace 'kube-system', see 'allow-namespaces'",
            "Namespace 'default': the environment does not allow",
        ] {
            output.stdout_contains(reason);
        }
        output.stderr_contains(
            "hint: whoever may change base can allow it: 'allow-kinds' there replaces the default",
        );
    }
    shop.changed_nothing();
    shop.failed("deployment-0001", "allow-kinds");
    shop.cluster.kubectl(&["get", "priorityclass", shop.namespace.name()]).code_is(1);
    shop.cluster.kubectl(&["get", "configmap", "more", "--namespace=kube-system"]).code_is(1);
}

#[test]
fn what_base_allows_is_deployed() {
    let other = cluster!().namespace("other").create();
    let lines = format!(
        "allow-kinds = [\"ConfigMap\", \"Role.rbac.authorization.k8s.io\", \"PriorityClass\"]\nallow-namespaces = [\"{other}\"]"
    );
    let shop = open_with(&sandbox!(), cluster!(), &lines);
    let class = CLASS.replace("NAME", shop.namespace.name());
    let elsewhere =
        config_map("more", "a: b").replace("name: more", &format!("name: more, namespace: {other}"));
    // `settings` is in the environment's own namespace, which the list does not name.
    shop.release_more("most", &[ROLE, &class, &elsewhere].concat());
    shop.deploy(&[])
        .code_is(1)
        .stdout_contains(&format!("namespace '{}', see 'allow-namespaces'", shop.namespace));

    set(&shop, "allow-namespaces = [", &format!("allow-namespaces = [\"{}\", ", shop.namespace));
    shop.repo.deploy("deploy-state", &["set", "deployable", "most"]);
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0002");
    assert!(other.find("configmap", "more").is_some());
    assert!(shop.namespace.find("role", "reader").is_some());
    shop.cluster.kubectl(&["get", "priorityclass", shop.namespace.name()]).success();

    // And goes again, wherever it is.
    shop.release_more("least", &config_map("few", "a: b"));
    shop.deploy(&[]).success();
    assert!(other.find("configmap", "more").is_none() && shop.namespace.find("role", "reader").is_none());
    shop.cluster.kubectl(&["get", "priorityclass", shop.namespace.name()]).code_is(1);
}
