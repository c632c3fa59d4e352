//! Releases that do not become ready: the cluster is as it was, and it is said why.

use git_deploy_testkit::shop::{ClusterShop, Opening, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, service, yaml};

fn good() -> String {
    yaml(&[
        config_map("colours", "1"),
        service("web", "1"),
        deployment("web", "1"),
        deployment("worker", "1"),
    ])
}

/// All of it is changed, there is more than before, and one Deployment is what is given.
fn release_with(web: Value) -> String {
    yaml(&[
        config_map("colours", "2"),
        service("web", "2"),
        deployment("worker", "2"),
        web,
        config_map("more", "2"),
        service("worker", "2"),
        deployment("extra", "2"),
    ])
}

fn with_template_labels(mut deployment: Value, labels: &Value) -> Value {
    let known = deployment["spec"]["template"]["metadata"]["labels"].as_object_mut().expect("it has labels");
    known.extend(labels.as_object().expect("labels").clone());
    deployment
}

/// Deploys the good release.
fn open(shop: &ClusterShop<'_>) {
    shop.release("good", &[(MANIFEST, &good())]);
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
}

/// A release fails by its own fault: git and the cluster are as before, and the branch says why.
fn fails_and_goes_back(shop: &ClusterShop<'_>, name: &str, manifests: &str, why: &str) -> Output {
    let (before, base) = (shop.standing(), shop.authority().id("master"));
    let deployments = shop.authority().git(&["tag", "--list"]).lines().len();
    let id = format!("deployment-{:04}", deployments + 1);
    shop.release(name, &[(MANIFEST, manifests)]);
    // No test waits for the ten minutes after which it would fail anyway.
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains(&format!("{id}: Failed Deployment")).stdout_contains(why);
    let tag = shop.tag(&id);
    assert!(tag.starts_with("Failed Deployment\n") && tag.contains("Result: failure\nReason: "), "{tag}");
    assert!(tag.contains(why), "{why} is not in\n{tag}");
    assert_eq!(shop.state(name), "staged");
    let note = shop.authority().notes()[&shop.authority().id(name)].clone();
    assert!(note.contains(&format!("reason: {id}: ")) && note.contains(why), "{note}");
    assert_eq!(shop.authority().id("master"), base, "base stays where it was");
    assert_eq!(shop.standing(), before, "{output}");
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
    output
}

fn impatient<'c>(cluster: &'c git_deploy_testkit::cluster::Cluster) -> Opening<'c> {
    in_cluster(cluster, "failure").setting("crash-grace = \"1s\"")
}

#[test]
fn pods_that_crash_fail_the_deployment_and_the_cluster_goes_back() {
    let cluster = cluster!();
    for shop in [impatient(cluster).alone(&sandbox!()), impatient(cluster).with_remote(&sandbox!())] {
        open(&shop);
        let web = behaving(deployment("web", "2"), "crash", json!({ "test.git-deploy/period": "500ms" }));
        let output = fails_and_goes_back(&shop, "crash", &release_with(web), "web");
        output.stderr_contains("Back-off restarting failed container").stdout_contains("exit status 1");
        // It is as ready as before, and the next release goes in.
        shop.namespace.kubectl(&["rollout", "status", "deployment/web", "--watch=false"]).success();
        shop.release("mended", &[(MANIFEST, &release_with(deployment("web", "3")))]);
        shop.deploy(&[]).success().stdout_contains("deployment-0003: Successfully Deployed");
        shop.is_sound();
    }
}

#[test]
fn an_image_that_does_not_exist_fails_the_deployment() {
    let cluster = cluster!();
    let shop = impatient(cluster).with_remote(&sandbox!());
    open(&shop);
    let web = behaving(deployment("web", "2"), "waiting", json!({}));
    let output = fails_and_goes_back(&shop, "typo", &release_with(web), "ImagePullBackOff");
    output.stderr_contains("a container cannot be started");
}

#[test]
fn a_container_that_cannot_be_configured_fails_the_deployment() {
    let cluster = cluster!();
    let shop = impatient(cluster).alone(&sandbox!());
    open(&shop);
    let why = "secret \"key\" not found";
    let annotations =
        json!({ "test.git-deploy/reason": "CreateContainerConfigError", "test.git-deploy/message": why });
    let web = behaving(deployment("web", "2"), "waiting", annotations);
    fails_and_goes_back(&shop, "unconfigured", &release_with(web), why);
}

#[test]
fn a_password_in_what_a_container_said_at_its_end_is_not_kept() {
    let cluster = cluster!();
    let shop = impatient(cluster).alone(&sandbox!());
    open(&shop);
    let said = "cannot reach postgres://ada:s3cret@db:5432/shop";
    let annotations = json!({ "test.git-deploy/exit-code": "3", "test.git-deploy/message": said });
    let web = behaving(deployment("web", "2"), "exits", annotations);
    let why = "exit status 3: cannot reach postgres://...@db:5432/shop";
    let output = fails_and_goes_back(&shop, "exits", &release_with(web), why);
    let note = shop.authority().notes()[&shop.authority().id("exits")].clone();
    for text in [&shop.tag("deployment-0002"), &note, &output.stdout] {
        assert!(!text.contains("s3cret") && text.matches("db:5432").count() == 1, "{text}");
    }
}

#[test]
fn pods_that_end_with_an_error_fail_the_deployment() {
    let cluster = cluster!();
    let shop = impatient(cluster).alone(&sandbox!());
    open(&shop);
    let web = behaving(deployment("web", "2"), "exits", json!({ "test.git-deploy/exit-code": "3" }));
    fails_and_goes_back(&shop, "exits", &release_with(web), "3");
}

#[test]
fn pods_that_kwoks_own_chaos_fails_fail_the_deployment() {
    let cluster = cluster!();
    let shop = impatient(cluster).alone(&sandbox!());
    open(&shop);
    let chaos = json!({ "pod-container-running-failed.stage.kwok.x-k8s.io": "true" });
    let mut web = with_template_labels(deployment("web", "2"), &chaos);
    // They run at first: whoever does not want to be deceived by that says so.
    web["spec"]["minReadySeconds"] = json!(5);
    fails_and_goes_back(&shop, "chaos", &release_with(web), "web");
}

#[test]
fn what_a_failed_release_took_away_or_renamed_is_there_again() {
    let cluster = cluster!();
    let shop = impatient(cluster).with_remote(&sandbox!());
    open(&shop);
    let renamed = behaving(deployment("front", "2"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    fails_and_goes_back(&shop, "renamed", &yaml(&[config_map("colours", "1"), renamed]), "front");
}

#[test]
fn a_first_deployment_that_fails_is_left_to_be_looked_at() {
    let cluster = cluster!();
    let shop = impatient(cluster).with_remote(&sandbox!());
    let web = behaving(deployment("web", "1"), "waiting", json!({}));
    shop.release("first", &[(MANIFEST, &yaml(&[config_map("colours", "1"), web]))]);
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains("deployment-0001: Failed Deployment").stderr_contains("left as it is");
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), ["ConfigMap colours", "Deployment web"]);
    assert_eq!(shop.state("first"), "staged");
    shop.is_sound();
    // What is left belongs to the set still, and the next release does without it.
    shop.release("second", &[(MANIFEST, &yaml(&[deployment("web", "2")]))]);
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), ["Deployment web"]);
    shop.is_sound();
}

#[test]
fn a_first_deployment_that_fails_is_removed_where_that_is_asked_for() {
    let cluster = cluster!();
    let shop = impatient(cluster).setting("first-failure = \"remove\"").with_remote(&sandbox!());
    let web = behaving(deployment("web", "1"), "waiting", json!({}));
    shop.release("first", &[(MANIFEST, &yaml(&[config_map("colours", "1"), service("web", "1"), web]))]);
    shop.deploy(&[])
        .code_is(1)
        .stdout_contains("deployment-0001: Failed Deployment")
        .lacks("going back failed");
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(shop.state("first"), "staged");
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
}

#[test]
fn pods_that_do_not_become_ready_in_time_are_a_time_out() {
    let cluster = cluster!();
    let shop = impatient(cluster).with_remote(&sandbox!());
    open(&shop);
    shop.set_timeout("3s");
    let before = shop.standing();
    let web = behaving(deployment("web", "2"), "unready", json!({}));
    shop.release("slow", &[(MANIFEST, &release_with(web))]);
    let output = shop.deploy(&[]);
    output.code_is(70).stdout_contains("Failed Deployment").stdout_contains("not ready after 3 s");
    assert_eq!(shop.state("slow"), "staged");
    assert_eq!(shop.standing(), before, "{output}");
    shop.is_sound();
}

#[test]
fn pods_that_no_node_can_take_are_nobodys_fault() {
    let cluster = cluster!();
    let shop = impatient(cluster).with_remote(&sandbox!());
    open(&shop);
    shop.set_timeout("10s");
    let before = shop.standing();
    let mut web = deployment("web", "2");
    let container = &mut web["spec"]["template"]["spec"]["containers"][0];
    container["resources"] = json!({ "requests": { "cpu": "1000k" } });
    shop.release("huge", &[(MANIFEST, &release_with(web))]);
    let output = shop.deploy(&["--json"]);
    output.code_is(70).stdout_contains(r#""blame":"nobody""#).stdout_contains("nodes are available");
    assert!(shop.tag("deployment-0002").starts_with("Failed Deployment\n"));
    assert_eq!(shop.state("huge"), "deployable", "the queue waits");
    assert_eq!(shop.standing(), before, "{output}");
    shop.is_sound();
}
