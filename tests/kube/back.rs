//! The way back from a release that failed: where to, how far, and what stays on it.

use git_deploy_testkit::cluster::{Cluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, Opening, in_cluster};
use git_deploy_testkit::{cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, migration, yaml};

fn opening(cluster: &Cluster) -> Opening<'_> {
    in_cluster(cluster, "back").setting("crash-grace = \"1s\"")
}

/// A Deployment that fails whatever release has it.
fn crashing(version: &str) -> Value {
    behaving(deployment("failing", version), "crash", json!({ "test.git-deploy/period": "500ms" }))
}

fn with_replicas(mut deployment: Value, replicas: u32) -> Value {
    deployment["spec"]["replicas"] = json!(replicas);
    deployment
}

fn release(shop: &ClusterShop<'_>, name: &str, objects: &[Value]) {
    shop.release(name, &[(MANIFEST, &yaml(objects))]);
}

/// A release fails by its own fault, and what stood there before is restored.
#[track_caller]
fn fails_and_goes_back(shop: &ClusterShop<'_>, name: &str, arguments: &[&str], objects: &[Value]) {
    release(shop, name, objects);
    let output = shop.deploy(arguments);
    output.code_is(1).stdout_contains("Failed Deployment").stdout_contains("'failing");
    output.stderr_contains("Restoring what deployment-0").lacks("going back failed");
    assert_eq!(shop.namespace.find("deployment", "failing"), None, "what the failure brought is gone");
    assert_eq!(shop.state(name), "staged");
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
}

fn colour(shop: &ClusterShop<'_>) -> Value {
    shop.namespace.get("configmap", "colours")["data"]["version"].clone()
}

#[test]
fn behind_a_migration_of_an_earlier_failure_nobody_goes_back_and_the_queue_waits_for_a_name() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    release(&shop, "one", &[config_map("colours", "1"), deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[config_map("colours", "2"), migration("exits", json!({})), crashing("2")]);
    shop.deploy(&[]).code_is(1).stderr_contains("only forward is safe");
    shop.failed("deployment-0002", "only forward is safe");

    // It has no migration of its own.
    release(&shop, "three", &[config_map("colours", "3"), deployment("web", "3"), crashing("3")]);
    shop.deploy(&["three"]).code_is(1).stderr_contains("only forward is safe").lacks("Restoring");
    shop.failed("deployment-0003", "only forward is safe");
    assert_eq!(colour(&shop), "3", "what deployment-0001 had applied may not fit what the migration left");

    release(&shop, "four", &[config_map("colours", "4"), deployment("web", "4")]);
    for _ in 0..2 {
        let output = shop.deploy(&[]);
        output.code_is(75).stderr_contains("is degraded since deployment-0003");
        output.stderr_contains("hint: go forward with a branch that mends it: git deploy <branch>");
        assert_eq!(shop.repo.tip("deployment-0004"), None);
        assert_eq!(shop.state("four"), "deployable");
        assert_eq!(colour(&shop), "3");
    }
    shop.deploy(&["four"]).success();
    shop.succeeded("deployment-0004");
    assert_eq!(colour(&shop), "4");

    // From now on there is a way back, and nobody needs to be named.
    let before = shop.standing();
    fails_and_goes_back(&shop, "five", &[], &[config_map("colours", "5"), crashing("1")]);
    assert_eq!(shop.standing(), before);
    release(&shop, "six", &[config_map("colours", "6"), deployment("web", "6")]);
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0006");
}

#[test]
fn what_is_said_to_be_done_about_one_environment_names_it() {
    let (cluster, staging) = (cluster!(), cluster!().namespace("back-staging"));
    let row = format!(
        "after = \"staging\"\nlands = true\n[environment.staging]\ncontext = \"{}\"\nkube-namespace = \"{staging}\"\nmanifests = [\"deploy\"]",
        cluster.context()
    );
    let shop = opening(cluster).setting(&row).with_remote(&sandbox!());
    for (name, value) in [("one", "1"), ("two", "2")] {
        release(&shop, name, &[config_map("colours", value)]);
        shop.deploy(&[]).success();
        shop.deploy(&[]).success();
    }
    // As somebody leaves it who died while it went back, and whose attempt was given up.
    let phase = ["git-deploy/phase=degraded", "git-deploy/deployment=deployment-staging-0002"];
    let parent = [&["annotate", "--overwrite", "configmap", "git-deploy-shop-staging"], &phase[..]].concat();
    staging.kubectl(&parent).success();
    release(&shop, "three", &[config_map("colours", "3")]);
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("'staging' is degraded since deployment-staging-0002");
    output.stderr_contains(
        "git deploy --env=staging <branch>; or go back with: git deploy --env=staging --rollback\n",
    );
    shop.deploy(&["--env=staging", "--rollback"]).success().stdout_contains("deployment-staging-0003");
    let value = staging.get("configmap", "colours")["data"]["version"].clone();
    assert_eq!((value, colour(&shop)), (json!("1"), json!("2")), "production is as it was");
    let fails = migration("exits", json!({ "test.git-deploy/exit-code": "3" }));
    release(&shop, "four", &[config_map("colours", "4"), fails]);
    shop.deploy(&["--env=staging", "four"]).code_is(1);
    shop.repo.deploy("deploy-state", &["set", "deployable", "four"]);
    let output = shop.deploy(&["--env=staging", "four"]);
    output.code_is(1).stderr_contains("git deploy --env=staging --retry-job=migrate");
}

#[test]
fn what_is_never_pruned_stays_on_the_way_back_too() {
    let cluster = cluster!();
    let shop = opening(cluster).setting("prune = \"never\"").with_remote(&sandbox!());
    release(&shop, "one", &[config_map("old", "1"), deployment("old", "1"), deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "2")]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    let names = ["ConfigMap old", "Deployment old", "Deployment web"];
    assert_eq!(before.keys().collect::<Vec<_>>(), names);

    let more = config_map("more", "3");
    fails_and_goes_back(&shop, "three", &[], &[deployment("web", "3"), more, crashing("1")]);
    assert_eq!(shop.standing(), before, "what the failure brought is gone, and nothing else");
}

#[test]
fn what_a_failed_release_took_over_from_others_is_not_deleted() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    release(&shop, "one", &[deployment("web", "1")]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    shop.namespace.apply(&yaml(&[config_map("theirs", "of others"), deployment("theirs", "1")]));
    let uid_of = |kind| shop.namespace.get(kind, "theirs")["metadata"]["uid"].clone();
    let uids = ["configmap", "deployment"].map(uid_of);

    let taken = [config_map("theirs", "ours"), deployment("theirs", "2")];
    let brought = [config_map("more", "2"), deployment("web", "2"), crashing("1")];
    fails_and_goes_back(&shop, "two", &["--force-conflicts"], &[&taken[..], &brought].concat());
    assert_eq!(["configmap", "deployment"].map(uid_of), uids, "they are the same as before");
    assert_eq!(shop.namespace.find("configmap", "more"), None);
    let mut after = shop.standing();
    after.retain(|name, _| !name.ends_with(" theirs"));
    assert_eq!(after, before);
}

#[test]
fn a_first_release_that_fails_and_is_removed_leaves_what_it_took_over_from_others() {
    let cluster = cluster!();
    let opening = opening(cluster).into_namespace(cluster.namespace("back").create());
    let shop = opening.setting("first-failure = \"remove\"").with_remote(&sandbox!());
    shop.namespace.apply(&yaml(&[config_map("theirs", "of others")]));
    let uid = shop.namespace.get("configmap", "theirs")["metadata"]["uid"].clone();
    release(&shop, "one", &[config_map("theirs", "ours"), config_map("more", "1"), crashing("1")]);
    shop.deploy(&["--force-conflicts"]).code_is(1).stdout_contains("deployment-0001: Failed Deployment");
    assert_eq!(shop.namespace.get("configmap", "theirs")["metadata"]["uid"], uid);
    assert_eq!(shop.namespace.find("configmap", "more"), None);
    assert_eq!(shop.namespace.find("deployment", "failing"), None);
    shop.is_sound();
}

#[test]
fn how_many_pods_a_failed_release_wanted_goes_back_as_well() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    let web = |version, replicas| with_replicas(deployment("web", version), replicas);
    let worker = |version, replicas| with_replicas(deployment("worker", version), replicas);
    release(&shop, "one", &[web("1", 3), worker("1", 1)]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    for (name, version) in [("same", "1"), ("other", "2")] {
        fails_and_goes_back(&shop, name, &[], &[web(version, 0), worker(version, 2), crashing("1")]);
        let live = shop.namespace.get("deployment", "web");
        assert_eq!(live["spec"]["replicas"], 3);
        assert_eq!(live["status"]["availableReplicas"], 3, "they are back when the verdict is there");
        assert_eq!(shop.standing(), before);
    }
}

#[test]
fn what_was_broken_before_and_is_not_touched_fails_nobody() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    release(&shop, "one", &[config_map("colours", "1"), deployment("web", "1")]);
    shop.deploy(&[]).success();
    let pods = ["pods", "--selector=app=web", "--overwrite"];
    shop.namespace.kubectl(&[&["annotate"], &pods[..], &["test.git-deploy/period=500ms"]].concat()).success();
    shop.namespace.kubectl(&[&["label"], &pods[..], &["test.git-deploy/pod=crash"]].concat()).success();
    eventually("its pods crash", || {
        let pods = shop.namespace.list("pods");
        let is_crashing = |pod: &Value| {
            let status = &pod["status"]["containerStatuses"][0];
            status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
                && status["restartCount"].as_i64().is_some_and(|count| count > 2)
        };
        let live = shop.namespace.get("deployment", "web");
        pods.iter().all(is_crashing) && live["status"]["availableReplicas"].as_i64().unwrap_or_default() == 0
    });
    let warned = "is not changed and was not ready before: it is not waited for";

    release(&shop, "two", &[config_map("colours", "2"), deployment("web", "1")]);
    shop.deploy(&[]).success().stderr_contains("/web'").stderr_contains(warned);
    shop.succeeded("deployment-0002");

    // Neither on the way back: only what is to blame is blamed.
    let before = shop.standing();
    let failing = [config_map("colours", "3"), deployment("web", "1"), crashing("1")];
    fails_and_goes_back(&shop, "three", &[], &failing);
    assert_eq!(shop.standing(), before);

    // Whoever touches it is judged by it.
    let web = behaving(deployment("web", "2"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    release(&shop, "four", &[config_map("colours", "4"), web]);
    shop.deploy(&[]).stdout_contains("deployment-0004: Failed Deployment").lacks(warned);
    shop.failed("deployment-0004", "/web' failed: ");
    release(&shop, "five", &[config_map("colours", "5"), deployment("web", "5")]);
    shop.deploy(&["five"]).success().lacks(warned);
    shop.namespace.kubectl(&["rollout", "status", "deployment/web", "--watch=false"]).success();
    shop.succeeded("deployment-0005");
}

#[test]
fn what_a_failed_release_left_behind_is_waited_for_when_it_is_released_again() {
    let cluster = cluster!();
    // What a first release left, and what one left behind which only forward is safe.
    for first in [true, false] {
        let shop = opening(cluster).with_remote(&sandbox!());
        let mut objects = vec![deployment("web", "1"), crashing("1")];
        if !first {
            release(&shop, "one", &[deployment("web", "1")]);
            shop.deploy(&[]).success();
            objects.push(migration("exits", json!({})));
        }
        release(&shop, "next", &objects);
        shop.deploy(&[]).code_is(1).stderr_contains("left as it is");
        let base = shop.authority().id("master");

        shop.repo.deploy("deploy-state", &["set", "deployable", "next"]);
        let output = shop.deploy(&["next"]);
        output.code_is(1).stdout_contains("Failed Deployment").stdout_contains("/failing' failed: ");
        assert_eq!(shop.authority().id("master"), base, "what never ran does not land");
        assert_eq!(shop.state("next"), "staged");
        shop.is_sound();
    }
}

/// A class whose volumes nobody makes, and which are not waited for.
fn storage_class(name: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": name },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn claim(class: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data" },
        "spec": {
            "storageClassName": class,
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    })
}

fn definition(group: &str) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList" },
            "versions": [
                { "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } },
            ],
        },
    })
}

#[test]
fn what_holds_data_is_made_anew_where_it_is_gone_and_else_stays_as_it_is() {
    let cluster = cluster!();
    let shop = opening(cluster).setting("allow-kinds = [\"*\"]").with_remote(&sandbox!());
    let class = shop.namespace.to_string();
    let group = format!("{class}.example.org");
    let widget =
        json!({ "apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": { "name": "small" } });
    let kept = |storage| {
        let mut other = claim(&class);
        other["metadata"]["name"] = json!("other");
        other["metadata"]["labels"] = json!({ "release": storage });
        other
    };
    let web = deployment("web", "1");
    release(
        &shop,
        "one",
        &[storage_class(&class), claim(&class), kept("1"), definition(&group), widget, web],
    );
    shop.deploy(&[]).success();
    for (kind, name) in [("pvc", "data"), ("crd", format!("widgets.{group}").as_str())] {
        shop.namespace.kubectl(&["delete", kind, name]).success();
    }
    assert_eq!(shop.namespace.find("pvc", "data"), None);
    let uid = shop.namespace.get("pvc", "other")["metadata"]["uid"].clone();

    let failing = [storage_class(&class), kept("2"), deployment("web", "2"), crashing("1")];
    fails_and_goes_back(&shop, "two", &[], &failing);
    assert_eq!(shop.namespace.get("pvc", "data")["spec"]["storageClassName"], class);
    assert!(shop.namespace.find(&format!("widgets.{group}"), "small").is_some());
    let other = shop.namespace.get("pvc", "other");
    assert_eq!((&other["metadata"]["uid"], &other["metadata"]["labels"]["release"]), (&uid, &json!("2")));
    shop.cluster.kubectl(&["delete", "storageclass", &class]).success();
    shop.cluster.kubectl(&["delete", "crd", &format!("widgets.{group}")]).success();
}
