//! What is said while a release is waited for: enough, and not too much.

use std::thread;
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Namespace, eventually};
use git_deploy_testkit::shop::in_cluster;
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, service, yaml};

/// What was said of the wait.
fn waiting(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("Waiting ")).collect()
}

/// Its image cannot be pulled just now, which may heal.
fn unpulled(name: &str) -> Value {
    let annotations = json!({
        "test.git-deploy/reason": "ErrImagePull",
        "test.git-deploy/message": "dial tcp 192.0.2.1:443: i/o timeout",
    });
    behaving(deployment(name, "1"), "waiting", annotations)
}

#[test]
fn what_is_waited_for_is_said_with_its_reason_and_said_once() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "progress").setting("timeout = \"9s\"").alone(&sandbox!());
    let slow = behaving(deployment("worker", "1"), "slow", json!({ "test.git-deploy/after": "1s" }));
    shop.release(
        "stuck",
        &[(MANIFEST, &yaml(&[config_map("colours", "1"), service("web", "1"), slow, unpulled("web")]))],
    );
    let output = shop.deploy(&[]);
    output.code_is(70);
    let said = waiting(&output);
    assert_eq!(said.len(), 2, "{output}");
    assert!(
        said[0].starts_with("2 of 3 ready after "),
        "what has nothing to become is not counted: {output}"
    );
    let web = format!(
        "for Deployment '{}/web': 0 of 2 new pods are available; container 'main' of pod 'web-",
        shop.namespace
    );
    assert!(said[1].starts_with(&web), "{output}");
    assert!(said[1].ends_with("cannot start: ErrImagePull: dial tcp 192.0.2.1:443: i/o timeout"), "{output}");
}

#[test]
fn a_wait_that_ends_well_says_so_if_it_was_spoken_of_and_a_program_reads_the_same() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "progress").alone(&sandbox!());
    let slow =
        |version| behaving(deployment("web", version), "slow", json!({ "test.git-deploy/after": "5s" }));
    shop.release("slow", &[(MANIFEST, &yaml(&[slow("1")]))]);
    let output = shop.deploy(&[]);
    output.success().stderr_contains("Waiting 0 of 1 ready after ").stderr_contains("Ready 1 of 1 after ");
    shop.release("slower", &[(MANIFEST, &yaml(&[slow("2")]))]);
    let output = shop.deploy(&["--json"]);
    output.success().stdout_contains(r#"{"event":"step","step":"waiting","text":"0 of 1 ready after "#);
    // What is soon over is not spoken of; how soon that is here, the machine says.
    shop.release("quick", &[(MANIFEST, &yaml(&[deployment("web", "3")]))]);
    let output = shop.deploy(&[]);
    output.success();
    assert_eq!(output.stderr.contains("Waiting "), output.stderr.contains("Ready "), "{output}");
}

#[test]
fn what_only_events_tell_is_told_too() {
    let cluster = cluster!();
    let mut shop = in_cluster(cluster, "progress").setting("timeout = \"8s\"").alone(&sandbox!());
    shop.namespace = shop.namespace.create();
    shop.namespace.kubectl(&["create", "quota", "small", "--hard=pods=0"]).success();
    let mut db = deployment("db", "1");
    db["kind"] = json!("StatefulSet");
    db["spec"]["serviceName"] = json!("db");
    shop.release("greedy", &[(MANIFEST, &yaml(&[db]))]);
    let output = shop.deploy(&[]);
    let why = "FailedCreate: Create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded quota";
    output.code_is(70).stdout_contains(&format!("not ready after 8 s: {why}"));
    output.stderr_contains(&format!("for StatefulSet '{}/db': 0 of 2 pods are new; {why}", shop.namespace));
}

/// Says of a pod that it is ready, or that it is not any more.
fn set_ready(namespace: &Namespace<'_>, pod: &str, is_ready: bool) {
    let status = if is_ready { "True" } else { "False" };
    let patch = json!({ "status": { "conditions": [
        { "type": "Ready", "status": status },
        { "type": "ContainersReady", "status": status },
    ] } });
    let patch = patch.to_string();
    namespace.kubectl(&["patch", "pod", pod, "--subresource=status", "--type=strategic", "-p", &patch]);
}

#[test]
fn pods_that_become_ready_and_unready_again_are_not_told_of_again_and_again() {
    let cluster = cluster!();
    let mut shop = in_cluster(cluster, "progress").setting("timeout = \"40s\"").alone(&sandbox!());
    shop.namespace = shop.namespace.create();
    let web = behaving(deployment("web", "1"), "unready", json!({}));
    shop.release("flapping", &[(MANIFEST, &yaml(&[web]))]);
    let running = shop.start();
    let pods = || shop.namespace.kubectl(&["get", "pods", "-o", "name"]).stdout;
    eventually("there are pods", || pods().lines().count() == 2);
    let pod = pods().lines().next().and_then(|line| line.strip_prefix("pod/")).expect("a pod").to_owned();
    let begun = Instant::now();
    for turn in 0.. {
        set_ready(&shop.namespace, &pod, turn % 2 == 0);
        if begun.elapsed() > Duration::from_secs(38) {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    let output = running.wait();
    output.code_is(70);
    // Each of the two once, and that it goes on.
    let said = waiting(&output);
    assert!(said.len() <= 5, "{output}");
    assert!(said.iter().filter(|line| line.starts_with("for ")).count() <= 2, "{output}");
}

#[test]
fn a_cluster_that_does_not_answer_is_told_of_once_and_when_it_answers_again() {
    let cluster = cluster!();
    for is_refused in [true, false] {
        let proxy = cluster.proxy();
        let shop = in_cluster(cluster, "progress").alone(&sandbox!());
        let shop = shop.by(cluster.kubeconfig_through(&proxy));
        let slow = behaving(deployment("web", "1"), "slow", json!({ "test.git-deploy/after": "10s" }));
        shop.release("slow", &[(MANIFEST, &yaml(&[slow]))]);
        let mut running = shop.start();
        running.wait_for_words("Verifying");
        thread::sleep(Duration::from_millis(500));
        if is_refused {
            proxy.refuse();
        } else {
            proxy.stall();
        }
        running.wait_for_words("warning: the cluster does not answer; still trying until ");
        thread::sleep(Duration::from_secs(2));
        proxy.resume();
        let output = running.wait();
        output.success().stderr_contains("Waiting the cluster answers again");
        assert_eq!(output.stderr.matches("does not answer").count(), 1, "{output}");
        shop.is_sound();
    }
}

#[test]
fn pods_that_a_quota_refuses_are_one_event_with_a_count() {
    let cluster = cluster!();
    let mut shop = in_cluster(cluster, "progress").alone(&sandbox!());
    shop.namespace = shop.namespace.create();
    shop.namespace.kubectl(&["create", "quota", "small", "--hard=pods=2"]).success();
    let mut web = deployment("web", "1");
    web["spec"]["replicas"] = json!(8);
    shop.release("greedy", &[(MANIFEST, &yaml(&[web]))]);
    let output = shop.deploy(&[]);
    output.code_is(75).stdout_contains("its pods cannot be created").stdout_contains("exceeded quota: small");
    let seen: Vec<_> = output.stderr.lines().filter(|line| line.contains("Seen FailedCreate")).collect();
    assert_eq!(seen.len(), 1, "{output}");
    assert!(seen[0].contains("FailedCreate, ") && seen[0].contains(" times (ReplicaSet 'web-"), "{output}");
    shop.is_sound();
}
