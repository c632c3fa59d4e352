//! What the user, or the branch, may not do.

use std::path::PathBuf;

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::{cluster, sandbox};

use crate::lab::{Lab, Pods, config_map, deployment};

const ALL: &str = "get,list,watch,create,patch,update,delete";

/// A kubeconfig for alice, who may do this in the namespace: verbs and resources.
fn alice(lab: &Lab<'_>, rules: &[(&str, &str)]) -> PathBuf {
    let mut role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: alice }\nrules:\n"
            .to_owned();
    for (verbs, resources) in rules {
        role += &format!("- {{ apiGroups: ['*'], resources: [{resources}], verbs: [{verbs}] }}\n");
    }
    lab.namespace.apply(&role);
    lab.namespace.kubectl(&["create", "rolebinding", "alice", "--role=alice", "--user=alice"]).success();
    let kubeconfig = lab.cluster.kubeconfig_for("alice");
    let path = kubeconfig.to_str().expect("a temporary directory in UTF-8").to_owned();
    eventually("the binding has taken effect", || {
        lab.namespace.kubectl(&["--kubeconfig", &path, "get", "leases"]).code == Some(0)
    });
    kubeconfig
}

fn both() -> String {
    [config_map("more", "a: b"), deployment("web", "1", &Pods::Ready)].concat()
}

#[test]
fn a_kind_that_the_user_may_not_change_is_named_before_anything_is_changed() {
    let lab = Lab::new(&sandbox!(), cluster!());
    let kubeconfig = alice(
        &lab,
        &[(ALL, "configmaps, leases"), ("get,list,watch", "deployments, replicasets, pods, events")],
    );
    let lab = lab.by(kubeconfig);
    lab.deployable("more", &both());
    let output = lab.deploy(&[]);
    output.code_is(75).stdout_contains("user 'alice' may not ").stdout_contains("patch");
    output.stdout_contains(&format!("deployments.apps in namespace '{}'", lab.namespace));
    output.stderr_contains("hint: ask 'kubectl --context=test auth can-i ");
    lab.changed_nothing();
    lab.failed("deployment-0001", "user 'alice' may not");
    assert_eq!(lab.shop.state("more"), "deployable", "it is nobody's fault");
    assert!(lab.namespace.find("configmap", "more").is_none());
}

#[test]
fn who_may_do_nothing_at_all_is_told_so() {
    let lab = Lab::new(&sandbox!(), cluster!());
    let lab = {
        let path = lab.cluster.kubeconfig_for("bob");
        lab.by(path)
    };
    lab.deployable("more", &both());
    let output = lab.deploy(&[]);
    output.code_is(75).stderr_contains("User \"bob\" cannot get resource");
    lab.claimed_nothing();
    lab.changed_nothing();
}

#[test]
fn what_may_not_be_deleted_is_named_before_anything_is_changed() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &both());
    let kubeconfig = alice(
        &lab,
        &[
            (ALL, "deployments, leases"),
            ("get,list,watch,create,patch,update", "configmaps"),
            ("get,list,watch", "replicasets, pods, events"),
        ],
    );
    let lab = lab.by(kubeconfig);
    let before = lab.changes().len();
    // `more`, a ConfigMap, would go.
    lab.deployable("less", &deployment("web", "2", &Pods::Ready));
    let output = lab.deploy(&[]);
    output.code_is(75).stdout_contains("user 'alice' may not delete configmaps");
    assert_eq!(lab.changes().len(), before);
    lab.failed("deployment-0002", "may not delete configmaps");
}

#[test]
fn a_kind_that_is_only_to_be_deleted_counts_as_well() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &both());
    let kubeconfig = alice(
        &lab,
        &[(ALL, "configmaps, leases"), ("get,list,watch", "deployments, replicasets, pods, events")],
    );
    let lab = lab.by(kubeconfig);
    let before = lab.changes().len();
    // The Deployment would go, and is not among what is deployed.
    lab.deployable("less", &config_map("more", "a: c"));
    let output = lab.deploy(&[]);
    output.code_is(75).stdout_contains("user 'alice' may not ").stdout_contains("delete deployments.apps");
    assert_eq!(lab.changes().len(), before);
    lab.failed("deployment-0002", "deployments.apps");
}

#[test]
fn rights_that_are_taken_away_in_the_middle_end_the_deployment_and_are_nobodys_fault() {
    let lab = Lab::new(&sandbox!(), cluster!());
    let rules = [(ALL, "configmaps, deployments, leases"), ("get,list,watch", "replicasets, pods, events")];
    let kubeconfig = alice(&lab, &rules);
    let lab = lab.by(kubeconfig);
    lab.deployable("web", &deployment("web", "1", &Pods::Unready));
    let mut running = lab.start();
    running.wait_for_words("Verifying");
    lab.namespace.kubectl(&["delete", "rolebinding", "alice"]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("User \"alice\" cannot");
    lab.failed("deployment-0001", "is forbidden");
    assert_eq!(lab.shop.state("web"), "deployable");
    // Nobody can tell whether whoever holds the Lease is alive, who may not even look.
    lab.deploy(&[]).code_is(75).stderr_contains("is forbidden");
    lab.namespace.kubectl(&["create", "rolebinding", "alice", "--role=alice", "--user=alice"]).success();
    lab.deployable("fine", &deployment("web", "2", &Pods::Ready));
    eventually("it goes on", || lab.deploy(&["fine"]).code == Some(0));
    lab.shop.is_sound();
}

const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: reader }\nrules: [{ apiGroups: [''], resources: [pods], verbs: [get] }]\n---\n";
const CLASS: &str =
    "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: { name: NAME }\nvalue: 1\n---\n";

#[test]
fn what_the_environment_does_not_allow_is_refused_however_it_is_asked_for() {
    let lab = Lab::new(&sandbox!(), cluster!());
    let class = CLASS.replace("NAME", lab.namespace.name());
    let elsewhere = config_map("more", "a: b").replace("name: more", "name: more, namespace: kube-system");
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: default }\n---\n";
    lab.deployable("greedy", &[ROLE, &class, &elsewhere, namespace].concat());
    for arguments in [&[][..], &["--force-conflicts"]] {
        lab.repo().deploy("deploy-state", &["set", "deployable", "greedy"]);
        let output = lab.deploy(arguments);
        output.code_is(1);
        for reason in [
            "kind 'Role.rbac.authorization.k8s.io', see 'allow-kinds'",
            "kind 'PriorityClass.scheduling.k8s.io', see 'allow-kinds'",
            "namespace 'kube-system', see 'allow-namespaces'",
            "Namespace 'default': the environment does not allow",
        ] {
            output.stdout_contains(reason);
        }
    }
    lab.changed_nothing();
    lab.failed("deployment-0001", "allow-kinds");
    lab.cluster.kubectl(&["get", "priorityclass", lab.namespace.name()]).code_is(1);
    lab.cluster.kubectl(&["get", "configmap", "more", "--namespace=kube-system"]).code_is(1);
}

#[test]
fn what_base_allows_is_deployed() {
    let other = cluster!().namespace("other").create();
    let lines = format!(
        "allow-kinds = [\"ConfigMap\", \"Role.rbac.authorization.k8s.io\", \"PriorityClass\"]\nallow-namespaces = [\"{other}\"]"
    );
    let lab = Lab::with(&sandbox!(), cluster!(), &lines);
    let class = CLASS.replace("NAME", lab.namespace.name());
    let elsewhere =
        config_map("more", "a: b").replace("name: more", &format!("name: more, namespace: {other}"));
    // `settings` is in the environment's own namespace, which the list does not name.
    lab.deployable("most", &[ROLE, &class, &elsewhere].concat());
    lab.deploy(&[])
        .code_is(1)
        .stdout_contains(&format!("namespace '{}', see 'allow-namespaces'", lab.namespace));

    lab.set_lines("shop", &lines.replace("= [\"other", &format!("= [\"{}\", \"other", lab.namespace)));
    lab.repo().deploy("deploy-state", &["set", "deployable", "most"]);
    lab.deploy(&[]).success();
    lab.succeeded("deployment-0002");
    assert!(other.find("configmap", "more").is_some());
    assert!(lab.namespace.find("role", "reader").is_some());
    lab.cluster.kubectl(&["get", "priorityclass", lab.namespace.name()]).success();

    // And goes again, wherever it is.
    lab.deployable("least", &config_map("few", "a: b"));
    lab.deploy(&[]).success();
    assert!(other.find("configmap", "more").is_none() && lab.namespace.find("role", "reader").is_none());
    lab.cluster.kubectl(&["get", "priorityclass", lab.namespace.name()]).code_is(1);
}
