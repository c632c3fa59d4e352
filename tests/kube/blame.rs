//! Whose fault it is that a plan is refused: what the latest success had already is nobody's, and the queue waits; what is new
//! with a branch is the branch's, and the queue goes on without it. And what the user asks for besides is for what was named.

use std::path::PathBuf;

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::{ClusterShop, SET, in_cluster};
use git_deploy_testkit::{Output, Victim, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, yaml};

/// A shop in a namespace that is there, with a first release of these objects.
fn shop<'c>(cluster: &'c git_deploy_testkit::cluster::Cluster, objects: &[Value]) -> ClusterShop<'c> {
    let opening = in_cluster(cluster, "blame").into_namespace(cluster.namespace("blame").create());
    let shop = opening.with_remote(&sandbox!());
    release(&shop, "one", objects);
    shop.deploy(&[]).success();
    shop
}

fn release(shop: &ClusterShop<'_>, name: &str, objects: &[Value]) {
    shop.release(name, &[(MANIFEST, &yaml(objects))]);
}

/// A deployable branch that only has these objects besides.
fn release_beside(shop: &ClusterShop<'_>, name: &str, objects: &[Value]) {
    shop.release(name, &[(&format!("deploy/{name}.yaml"), &yaml(objects))]);
}

/// Nobody is to blame: no number is used, and these branches stay in the queue.
#[track_caller]
fn waits(shop: &ClusterShop<'_>, branches: &[&str], reason: &str, hint: &str) {
    let numbers = shop.authority().git(&["for-each-ref", "refs/tags", "refs/deploy/attempts"]).stdout;
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("error: plan: ").stderr_contains(reason).lacks("Failed Deployment");
    assert!(output.stderr.lines().any(|line| line.starts_with("hint: ") && line.contains(hint)), "{output}");
    let after = shop.authority().git(&["for-each-ref", "refs/tags", "refs/deploy/attempts"]).stdout;
    assert_eq!(after, numbers, "a number was used");
    for branch in branches {
        assert_eq!(shop.state(branch), "deployable");
    }
    shop.is_sound();
}

/// The branch is to blame: it is staged with the reason, and nothing is changed.
#[track_caller]
fn is_staged(shop: &ClusterShop<'_>, branch: &str, tag: &str, reason: &str) -> Output {
    let before = shop.changes().len();
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains(&format!("{tag}: Failed Deployment")).stdout_contains(reason);
    assert_eq!(shop.changes().len(), before, "{:#?}", shop.changes());
    assert_eq!(shop.state(branch), "staged");
    shop.failed(tag, reason);
    output
}

/// Lets an administrator define a kind of this namespace alone.
fn define(shop: &ClusterShop<'_>, group: &str) {
    shop.cluster.kubectl_with_input(&["apply", "-f", "-"], definition(group)).success();
    let crd = format!("customresourcedefinition/widgets.{group}");
    shop.cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", &crd]).success();
    eventually("the kind is listed", || {
        shop.cluster
            .kubectl(&["api-resources", "--api-group", group, "-o", "name"])
            .stdout
            .contains("widgets")
    });
}

fn definition(group: &str) -> String {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    })
    .to_string()
}

fn widget(group: &str, name: &str) -> Value {
    json!({ "apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": { "name": name }, "spec": { "size": 1 } })
}

#[test]
fn a_definition_that_an_administrator_takes_away_stages_nobody_and_the_queue_goes_on_when_it_is_back() {
    let cluster = cluster!();
    let namespace = cluster.namespace("blame").create();
    let group = format!("{namespace}.example.org");
    let shop = in_cluster(cluster, "blame").into_namespace(namespace).with_remote(&sandbox!());
    define(&shop, &group);
    release(&shop, "one", &[widget(&group, "a"), config_map("colours", "1")]);
    shop.deploy(&[]).success();

    let crd = format!("widgets.{group}");
    cluster.kubectl(&["delete", "customresourcedefinition", &crd]).success();
    eventually("nobody knows the kind", || {
        !cluster.kubectl(&["api-resources", "--api-group", &group, "-o", "name"]).stdout.contains("widgets")
    });
    release_beside(&shop, "two", &[config_map("two", "1")]);
    // It has another one; that is not why.
    release_beside(&shop, "three", &[widget(&group, "b")]);
    let hint = "deployment-0001 had objects of that kind";
    for _ in 0..2 {
        waits(&shop, &["two", "three"], "does not know the kind 'Widget'", hint);
    }
    // Whoever does not want to wait names a branch without it.
    release(&shop, "without", &[config_map("colours", "2")]);
    shop.deploy(&["without", "--dry-run"]).success();
    shop.repo.deploy("deploy-state", &["set", "development", "without"]);

    define(&shop, &group);
    shop.deploy(&[]).success();
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0002");
    shop.succeeded("deployment-0003");
    assert_eq!(["two", "three"].map(|branch| shop.state(branch)), ["deployed", "deployed"]);
    cluster.kubectl(&["delete", "customresourcedefinition", &crd]).success();
}

#[test]
fn a_kind_that_only_one_branch_wants_and_nobody_defines_stages_that_one() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    release_beside(&shop, "two", &[widget("nowhere.example.org", "a")]);
    release_beside(&shop, "three", &[config_map("three", "1")]);
    is_staged(&shop, "two", "deployment-0002", "does not know the kind 'Widget'");
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0003");
}

#[test]
fn a_new_object_that_collides_with_somebody_elses_stages_its_branch_and_the_next_one_is_deployed() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    shop.namespace.apply(&yaml(&[config_map("theirs", "of others")]));
    shop.namespace.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: grouped, labels: { applyset.kubernetes.io/part-of: applyset-theirs-v1 } }\n",
    );
    release_beside(&shop, "two", &[config_map("theirs", "ours")]);
    release_beside(&shop, "grouped", &[config_map("grouped", "ours")]);
    release_beside(&shop, "three", &[config_map("three", "1")]);
    is_staged(
        &shop,
        "two",
        "deployment-0002",
        "/theirs' is there already and was not deployed by git-deploy",
    )
    .stderr_contains("--force-conflicts");
    is_staged(&shop, "grouped", "deployment-0003", "/grouped' belongs to another set");
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0004");
    assert_eq!(shop.namespace.get("configmap", "theirs")["data"]["version"], "of others");
    // As the hint says.
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&["two", "--force-conflicts"]).success();
    assert_eq!(shop.namespace.get("configmap", "theirs")["data"]["version"], "ours");
}

#[test]
fn an_object_that_somebody_made_anew_in_place_of_ours_stages_nobody() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    shop.namespace.kubectl(&["delete", "configmap", "colours"]).success();
    shop.namespace.apply(&yaml(&[config_map("colours", "of others")]));
    release_beside(&shop, "two", &[config_map("two", "1")]);
    release(&shop, "three", &[config_map("colours", "3")]);
    let reason = "/colours' is there already and was not deployed by git-deploy";
    waits(&shop, &["two", "three"], reason, "--force-conflicts");
    shop.repo.deploy("deploy-state", &["set", "development", "two"]);
    // That it wants it otherwise has nothing to do with it.
    waits(&shop, &["three"], reason, "--force-conflicts");
}

#[test]
fn a_field_that_only_one_branch_wants_and_somebody_else_holds_stages_that_one() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    shop.namespace
        .kubectl(&["patch", "configmap", "colours", "-p", "{\"data\":{\"theirs\":\"1\"}}"])
        .success();
    let mut more = config_map("colours", "1");
    more["data"]["theirs"] = json!("2");
    release(&shop, "two", &[more]);
    release_beside(&shop, "three", &[config_map("three", "1")]);
    is_staged(&shop, "two", "deployment-0002", "holds .data.theirs");
    shop.deploy(&[]).success();
    shop.namespace
        .kubectl(&["patch", "configmap", "colours", "-p", "{\"data\":{\"version\":\"red\"}}"])
        .success();
    release_beside(&shop, "four", &[config_map("four", "1")]);
    release(&shop, "five", &[config_map("colours", "5")]);
    waits(&shop, &["four", "five"], "holds .data.version", "--force-conflicts");
}

#[test]
fn a_quota_that_has_no_room_for_what_one_branch_brings_stages_that_one() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1"), deployment("web", "1")]);
    shop.namespace.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { count/deployments.apps: 1 } }\n");
    eventually("the quota counts", || {
        shop.namespace.get("resourcequota", "few")["status"]["used"]["count/deployments.apps"] == "1"
    });
    release_beside(&shop, "two", &[deployment("more", "1")]);
    release_beside(&shop, "three", &[config_map("three", "1")]);
    is_staged(&shop, "two", "deployment-0002", "exceeded quota: few")
        .stderr_contains("have the quota raised");
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0003");
    // What stood there before and is gone is nobody's.
    shop.namespace.kubectl(&["delete", "deployment", "web"]).success();
    shop.namespace.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { count/deployments.apps: 0 } }\n");
    eventually("the quota counts", || {
        shop.namespace.get("resourcequota", "few")["status"]["hard"]["count/deployments.apps"] == "0"
    });
    release_beside(&shop, "four", &[config_map("four", "1")]);
    waits(&shop, &["four"], "exceeded quota: few", "have the quota raised");
}

/// Straight onto base, past all queues.
fn push_to_base(shop: &ClusterShop<'_>, path: &str, objects: &[Value]) {
    shop.on_master(path, &yaml(objects));
}

#[test]
fn what_came_onto_base_past_the_queue_stages_nobody() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    shop.namespace.apply(&yaml(&[config_map("theirs", "of others")]));
    push_to_base(&shop, "deploy/theirs.yaml", &[config_map("theirs", "1")]);
    for name in ["two", "three", "four"] {
        release_beside(&shop, name, &[config_map(name, "1")]);
    }
    let hint = "; 'master' has it, and so has every branch on it: go forward with a branch that takes it out";
    for _ in 0..2 {
        let reason = "/theirs' is there already and was not deployed by git-deploy";
        waits(&shop, &["two", "three", "four"], reason, hint);
    }
    // A branch that mends it goes on, by its name; what base has then is no longer in the way of the others.
    shop.release_without("mends", "deploy/theirs.yaml");
    shop.deploy(&["mends"]).success();
    shop.deploy(&[]).success();
    assert_eq!(["mends", "two"].map(|branch| shop.state(branch)), ["deployed", "deployed"]);
    // What a branch brings itself is its own still.
    shop.namespace.apply(&yaml(&[config_map("more", "of others")]));
    release_beside(&shop, "brings", &[config_map("more", "1")]);
    shop.repo.deploy("deploy-state", &["set", "development", "three", "four"]);
    is_staged(&shop, "brings", "deployment-0004", "/more' is there already");
}

#[test]
fn what_the_cluster_does_not_take_of_base_stages_nobody() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    let mut wrong = deployment("wrong", "1");
    wrong["spec"]["replicas"] = json!(-1);
    push_to_base(&shop, "deploy/wrong.yaml", &[wrong.clone()]);
    release_beside(&shop, "two", &[config_map("two", "1")]);
    let hint = "'master' has it as it is, and so has every branch on it";
    waits(&shop, &["two"], "/wrong'", hint);
    // Whoever has written it otherwise, and not well, has written it.
    wrong["spec"]["replicas"] = json!(-2);
    shop.repo.deploy("deploy-state", &["set", "development", "two"]);
    shop.release("worse", &[("deploy/wrong.yaml", &yaml(&[wrong]))]);
    is_staged(&shop, "worse", "deployment-0002", "/wrong'");
    push_to_base(&shop, "deploy/wrong.yaml", &[widget("nowhere.example.org", "a")]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    let hint = "'master' has objects of that kind";
    waits(&shop, &["two"], "does not know the kind 'Widget'", hint);
}

#[test]
fn on_a_first_deployment_what_base_has_stages_nobody_whatever_is_wrong_with_it() {
    let cluster = cluster!();
    let namespace = cluster.namespace("blame").create();
    let opening = in_cluster(cluster, "blame").into_namespace(namespace);
    let shop = opening.file(MANIFEST, yaml(&[config_map("theirs", "1")])).with_remote(&sandbox!());
    shop.namespace.apply(&yaml(&[config_map("theirs", "of others"), config_map("more", "of others")]));
    release_beside(&shop, "two", &[config_map("two", "1")]);
    waits(&shop, &["two"], "/theirs' is there already", "'master' has it");
    push_to_base(&shop, MANIFEST, &[widget("nowhere.example.org", "a")]);
    waits(&shop, &["two"], "does not know the kind 'Widget'", "'master' has objects of that kind");
    push_to_base(&shop, MANIFEST, &[config_map("colours", "1")]);
    // Somebody who sets an environment up has to decide about the first that is in the way.
    release_beside(&shop, "three", &[config_map("more", "1")]);
    shop.repo.deploy("deploy-state", &["set", "development", "two"]);
    waits(&shop, &["three"], "/more' is there already", "--force-conflicts");
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&["two"]).success();
    is_staged(&shop, "three", "deployment-0002", "/more' is there already");
}

/// A kubeconfig for alice, who may do everything to these in the namespace.
fn alice(shop: &ClusterShop<'_>, resources: &str) -> PathBuf {
    grant(shop, resources);
    shop.namespace.kubectl(&["create", "rolebinding", "alice", "--role=alice", "--user=alice"]).success();
    let kubeconfig = shop.cluster.kubeconfig_for("alice");
    may(shop, &kubeconfig, "leases", true);
    kubeconfig
}

fn grant(shop: &ClusterShop<'_>, resources: &str) {
    shop.namespace.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{ name: alice }}\nrules: [{{ apiGroups: ['*'], resources: [{resources}], verbs: ['*'] }}]\n"
    ));
}

fn may(shop: &ClusterShop<'_>, kubeconfig: &std::path::Path, resource: &str, expected: bool) {
    let path = kubeconfig.to_str().expect("a temporary directory in UTF-8");
    eventually("the role has taken effect", || {
        let output = shop.namespace.kubectl(&["--kubeconfig", path, "auth", "can-i", "create", resource]);
        (output.code == Some(0)) == expected
    });
}

#[test]
fn a_right_that_only_one_branch_needs_stages_that_one_and_one_that_is_taken_away_stages_nobody() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1"), service_account()]);
    let kubeconfig = alice(&shop, "configmaps, leases, serviceaccounts");
    let shop = shop.by(kubeconfig.clone());
    release_beside(&shop, "two", &[deployment("web", "1")]);
    release_beside(&shop, "three", &[config_map("three", "1")]);
    is_staged(&shop, "two", "deployment-0002", "user 'alice' may not")
        .stderr_contains("hint: nothing that stands there needs that");
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0003");

    grant(&shop, "configmaps, leases");
    may(&shop, &kubeconfig, "serviceaccounts", false);
    release_beside(&shop, "four", &[deployment("web", "1")]);
    release_beside(&shop, "five", &[config_map("five", "1")]);
    waits(&shop, &["four", "five"], "serviceaccounts in namespace", "auth can-i");
}

fn service_account() -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "shop" } })
}

/// Kills a deployment of branch `two` when all of it is applied; afterwards somebody writes to an object that it brought.
fn leave_behind(shop: &ClusterShop<'_>) {
    let web = behaving(deployment("web", "2"), "slow", json!({ "test.git-deploy/after": "3s" }));
    release(shop, "two", &[config_map("colours", "1"), config_map("more", "2"), web]);
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    running.kill(Victim::Process).lacks("Landing");
    shop.namespace
        .kubectl(&["patch", "configmap", "more", "-p", "{\"data\":{\"version\":\"theirs\"}}"])
        .success();
}

fn more(shop: &ClusterShop<'_>) -> Value {
    shop.namespace.find("configmap", "more").map(|live| live["data"]["version"].clone()).unwrap_or_default()
}

#[test]
fn what_is_forced_for_one_branch_is_not_forced_for_what_another_run_left_behind() {
    let cluster = cluster!();
    for arguments in [&["other", "--force-conflicts"][..], &["--force-conflicts"]] {
        let shop = shop(cluster, &[config_map("colours", "1")]);
        leave_behind(&shop);
        release(&shop, "other", &[config_map("colours", "3")]);
        let output = shop.deploy(arguments);
        let tag = shop.tag("deployment-0002");
        assert!(tag.starts_with("Failed Deployment\n"), "{tag}\n{output}");
        assert!(tag.contains("'kubectl-patch' holds .data.version"), "{tag}\n{output}");
        if arguments.len() == 2 {
            output.success();
            shop.succeeded("deployment-0003");
        }
        shop.is_sound();
    }
}

#[test]
fn what_is_forced_for_a_deployment_that_is_continued_by_name_is_forced() {
    let cluster = cluster!();
    for arguments in [["--continue", "--force-conflicts"], ["two", "--force-conflicts"]] {
        let shop = shop(cluster, &[config_map("colours", "1")]);
        leave_behind(&shop);
        shop.deploy(&arguments).success().stdout_contains("deployment-0002: Successfully Deployed");
        assert_eq!(more(&shop), "2");
        shop.is_sound();
    }
}

#[test]
fn a_new_cluster_for_one_branch_is_none_for_what_another_run_left_behind() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    leave_behind(&shop);
    shop.namespace.kubectl(&["delete", "configmap", SET]).success();
    release_beside(&shop, "other", &[config_map("other", "1")]);
    shop.deploy(&["other", "--new-cluster"])
        .code_is(128)
        .stderr_contains("knows nothing of deployment-0001")
        .stderr_contains("cluster-info; if that is meant to be: git deploy --continue --new-cluster; or give it up with: git deploy --abort");
    assert_eq!(shop.authority().tip("refs/tags/deployment-0002"), None);
    shop.deploy(&["--continue", "--new-cluster", "--force-conflicts"]).success();
    shop.deploy(&["other"]).success();
    shop.succeeded("deployment-0003");
}

#[test]
fn a_job_that_runs_again_for_one_branch_is_not_looked_for_in_what_another_run_left_behind() {
    let cluster = cluster!();
    let shop = shop(cluster, &[config_map("colours", "1")]);
    let web = behaving(deployment("web", "2"), "slow", json!({ "test.git-deploy/after": "3s" }));
    release(&shop, "two", &[config_map("colours", "2"), web]);
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    running.kill(Victim::Process).lacks("Landing");
    release_beside(&shop, "other", &[config_map("other", "1")]);
    // There is none either where it was asked for.
    shop.deploy(&["other", "--retry-job=migrate"])
        .code_is(128)
        .stderr_contains("Ended deployment-0002: Successfully Deployed")
        .stderr_contains("there is no one-time job 'migrate' to run again");
}
