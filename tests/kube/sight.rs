//! What `git deploy-status` can and cannot see, and whose it says that a difference is.

use std::path::PathBuf;

use git_deploy_testkit::cluster::{Cluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, Opening, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, migration, service, yaml};

fn opening(cluster: &Cluster) -> Opening<'_> {
    in_cluster(cluster, "sight").setting("crash-grace = \"1s\"")
}

/// A shop in which the first release stands.
fn opened(opening: Opening<'_>) -> ClusterShop<'_> {
    let shop = opening.alone(&sandbox!());
    let objects = [config_map("colours", "1"), deployment("web", "1"), service("web", "1")];
    release(&shop, "one", &objects);
    shop.deploy(&[]).success();
    shop
}

fn release(shop: &ClusterShop<'_>, name: &str, objects: &[Value]) {
    shop.release(name, &[(MANIFEST, &yaml(objects))]);
}

fn status(shop: &ClusterShop<'_>, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-status", arguments)
}

/// A kubeconfig for alice, who may read these resources.
fn reader(shop: &ClusterShop<'_>, resources: &str) -> PathBuf {
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{ name: alice }}\nrules:\n\
         - {{ apiGroups: ['*'], resources: [{resources}], verbs: [get, list, watch] }}\n"
    );
    shop.namespace.apply(&role);
    shop.namespace.kubectl(&["create", "rolebinding", "alice", "--role=alice", "--user=alice"]).success();
    let kubeconfig = shop.cluster.kubeconfig_for("alice");
    let path = kubeconfig.to_str().expect("a temporary directory in UTF-8").to_owned();
    eventually("the binding has taken effect", || {
        shop.namespace.kubectl(&["--kubeconfig", &path, "get", "deployments"]).code == Some(0)
    });
    kubeconfig
}

fn status_by(shop: &ClusterShop<'_>, kubeconfig: &PathBuf, arguments: &[&str]) -> Output {
    let run = shop.repo.command("git").arg("deploy-status").args(arguments);
    run.env("KUBECONFIG", kubeconfig).output()
}

#[test]
fn whoever_may_only_read_sees_what_runs_and_is_told_what_cannot_be_seen() {
    let shop = opened(opening(cluster!()));
    let alice = reader(&shop, "deployments, replicasets, pods, configmaps, services");
    let name = shop.namespace.name().to_owned();
    let output = status_by(&shop, &alice, &[]);
    output
        .success()
        .stdout_contains("production: well, deployment-0001 of 'one'")
        .stdout_contains(&format!("  Deployment '{name}/web'  2/2\n"))
        .stdout_contains("  not looked at: who deploys there just now (needs the right to get its Lease)\n")
        .lacks("by hand");
    // What differs has to be tried.
    shop.namespace.kubectl(&["scale", "deployment/web", "--replicas=3"]).success();
    shop.namespace.kubectl(&["rollout", "status", "deployment/web"]).success();
    let output = status_by(&shop, &alice, &[]);
    output.success().stdout_contains(&format!("  Deployment '{name}/web'  3/3\n")).stdout_contains(&format!(
        "; whether this was changed: Deployment '{name}/web' (needs the right to patch, for a dry run)\n"
    ));
    // What is gone is seen by everybody.
    shop.namespace.kubectl(&["delete", "service", "web"]).success();
    let output = status_by(&shop, &alice, &["--porcelain"]);
    output
        .code_is(1)
        .stdout_contains(&format!("\ndrift production missing Service/{name}/web -\n"))
        .stdout_contains("\nunseen production who deploys there just now (needs");
}

#[test]
fn whoever_may_read_less_sees_less() {
    let shop = opened(opening(cluster!()));
    let alice = reader(&shop, "deployments");
    let name = shop.namespace.name();
    let output = status_by(&shop, &alice, &[]);
    output
        .success()
        .stdout_contains(&format!("  Deployment '{name}/web'  2/2\n"))
        .stdout_contains("not looked at: ")
        .stdout_contains("how far deployments have come (")
        .stdout_contains(&format!("ConfigMap '{name}/colours', Service '{name}/web' (may not be read)"));
    let json = status_by(&shop, &alice, &["--json"]);
    json.success().stdout_contains(r#""unseen":["who deploys"#).stdout_contains(&format!(
        r#""workloads":[{{"object":{{"apiVersion":"apps/v1","kind":"Deployment","namespace":"{name}","name":"web"}},"ready":2,"wanted":2,"trouble":null}}]"#
    ));
}

#[test]
fn what_stays_on_purpose_is_left_and_no_drift() {
    let shop = opened(opening(cluster!()).setting("prune = \"never\""));
    let name = shop.namespace.name().to_owned();
    release(&shop, "two", &[deployment("web", "1"), service("web", "1")]);
    shop.deploy(&[]).success();
    let output = status(&shop, &[]);
    output
        .success()
        .stdout_contains("production: well")
        .stdout_contains(&format!("  left: ConfigMap '{name}/colours' (prune = never)\n"))
        .lacks("by hand");
    status(&shop, &["--porcelain"])
        .success()
        .stdout_contains(&format!("\nleft production ConfigMap/{name}/colours prune = never\n"));
    status(&shop, &["--json"])
        .success()
        .stdout_contains(r#""drift":[],"kept":[{"object":{"apiVersion":"v1","#);
}

#[test]
fn what_a_failed_deployment_left_is_said_to_be_its_and_no_way_back_is_advised_that_is_closed() {
    let shop = opened(opening(cluster!()));
    let name = shop.namespace.name().to_owned();
    let crashing = behaving(deployment("web", "2"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    let job = migration("exits", json!({}));
    release(
        &shop,
        "two",
        &[config_map("colours", "2"), config_map("more", "2"), job, crashing, service("web", "1")],
    );
    shop.deploy(&[]).code_is(1);
    let output = status(&shop, &[]);
    output
        .code_is(1)
        .stdout_contains("production: degraded")
        .stdout_contains(&format!("  changed by deployment-0002, which failed: ConfigMap '{name}/colours'\n"))
        .stdout_contains(&format!("  extra by deployment-0002, which failed: ConfigMap '{name}/more'\n"))
        .lacks("by hand");
    output
        .stderr_contains("hint: there is no way back, one-time job 'migrate-")
        .stderr_contains("only forward is safe")
        .stderr_contains("mends it by naming it: git deploy <branch>")
        .lacks("git deploy --env=production --rollback");
    // As it says.
    shop.deploy(&["--env=production", "--rollback"]).code_is(1).stderr_contains("only forward is safe");
    status(&shop, &["--porcelain"])
        .code_is(1)
        .stdout_contains(&format!("\ndrift production changed ConfigMap/{name}/colours deployment-0002\n"));
    // The queue waits for that, and says so.
    shop.release("three", &[("three.txt", "3\n")]);
    shop.deploy(&[])
        .code_is(75)
        .stderr_contains("there is no way back, one-time job 'migrate-")
        .lacks("--rollback");
    let output = shop.repo.deploy("deploy-queue", &[]);
    output
        .stderr_contains("note: the queue is held: 'production' is degraded since deployment-0002 failed, and was left as it is: ")
        .stdout_contains("would be next, the queue is held")
        .stderr_contains("hint: deploy a branch that mends it by naming it: git deploy <branch>");
}

#[test]
fn a_workload_that_is_not_ready_is_shown_with_the_first_cause() {
    let shop = opened(opening(cluster!()));
    let patch = r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},
        "template":{"metadata":{"labels":{"test.git-deploy/pod":"waiting"},
        "annotations":{"test.git-deploy/reason":"ImagePullBackOff"}}}}}"#;
    shop.namespace.kubectl(&["patch", "deployment", "web", "-p", patch]).success();
    let mut output = status(&shop, &[]);
    eventually("its pods cannot pull their image", || {
        output = status(&shop, &[]);
        output.stdout.contains("ImagePullBackOff")
    });
    let name = shop.namespace.name();
    output
        .code_is(1)
        .stdout_contains("production: not ready")
        .stdout_contains(&format!("  Deployment '{name}/web'  0/2"))
        .stdout_contains("container 'main' of pod 'web-");
    let lists = || {
        let events = shop.namespace.audit();
        events
            .iter()
            .filter(|event| event.is_ours() && event.verb == "list" && event.resource == "pods")
            .count()
    };
    let before = lists();
    status(&shop, &["--porcelain"]).code_is(1).stdout_contains(" 0 2 ").stdout_contains("ImagePullBackOff");
    assert_eq!(lists(), before + 1, "pods are listed once");
}
