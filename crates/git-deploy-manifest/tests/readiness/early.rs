//! Failing early: signs that no recording shows by itself, put into recordings.

use git_deploy_manifest::readiness::{NewImages, is_untried};
use serde_json::{Value, json};

use crate::recorded::{Recorded, in_words, is_like, recorded};

fn each_pod(scene: &mut Recorded, change: impl Fn(&mut Value)) {
    scene.around["pods"].as_array_mut().expect("pods were recorded").iter_mut().for_each(change);
}

#[test]
fn a_container_that_ended_for_good_dooms_its_pod_while_others_run_beside_it() {
    let ended = |code: i64| {
        let mut scene = recorded("pod-unready");
        scene.object["spec"]["restartPolicy"] = json!("Never");
        let statuses = scene.object["status"]["containerStatuses"].as_array_mut().expect("it runs");
        statuses.push(
            json!({"name": "helper", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": code}}}),
        );
        in_words(scene.health())
    };
    assert_eq!(ended(0), "waiting: it runs but is not ready");
    assert_eq!(ended(137), "release: container 'helper' of pod 'web' ended: exit status 137");
}

#[test]
fn a_job_has_failed_when_more_of_its_pods_failed_than_may_before_anybody_says_so() {
    let failed = |pods: i64, change: &dyn Fn(&mut Value)| {
        let mut scene = recorded("job-failed");
        scene.object["status"]["conditions"] = json!([]);
        scene.object["status"]["failed"] = json!(pods);
        scene.object["spec"]["backoffLimit"] = json!(1);
        change(&mut scene.object);
        in_words(scene.health())
    };
    let same = |_: &mut Value| {};
    assert_eq!(failed(1, &same), "waiting: 0 of 1 pods have completed, 1 failed");
    let why = "release: container 'web' of pod '*' ended: exit status 3: * (2 pods failed, of 1 that may)";
    let said = failed(2, &same);
    assert!(is_like(&said, why), "{said}");
    // These count in their own way.
    let by_index = failed(2, &|job| job["spec"]["backoffLimitPerIndex"] = json!(1));
    assert!(by_index.starts_with("waiting: "), "{by_index}");
    let by_policy = failed(2, &|job| job["spec"]["podFailurePolicy"] = json!({"rules": []}));
    assert!(by_policy.starts_with("waiting: "), "{by_policy}");
}

#[test]
fn doomed_pods_of_an_earlier_template_fail_neither_stateful_sets_nor_daemon_sets() {
    for (name, label) in [
        ("stateful-set-doomed", "controller-revision-hash"),
        ("daemon-set-doomed", "pod-template-generation"),
    ] {
        let mut scene = recorded(name);
        assert!(in_words(scene.health()).starts_with("release: "), "{name}");
        each_pod(&mut scene, |pod| pod["metadata"]["labels"][label] = json!("earlier"));
        let words = in_words(scene.health());
        assert!(words.starts_with("waiting: "), "{name}: {words}");
    }
}

#[test]
fn an_image_whose_absence_nobody_has_stated_is_given_time() {
    for (message, is_final) in [
        ("example.org/web:1: not found", true),
        ("manifest unknown: manifest tagged by \"1\" is not found", true),
        ("repository does not exist or may require authorization", false),
        ("lookup registry.example.org: no such host", false),
        ("unexpected status: 503 Service Unavailable", false),
        ("toomanyrequests: You have reached your pull rate limit", false),
        ("", false),
    ] {
        let mut scene = recorded("deployment-ImagePullBackOff");
        each_pod(&mut scene, |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = json!(message);
        });
        let words = in_words(scene.health());
        let expected = if is_final { "release: " } else { "waiting: " };
        assert!(words.starts_with(expected), "{message}: {words}");
        let later = in_words(scene.for_seconds(60).health());
        let expected = if is_final { "release: " } else { "cluster: " };
        assert!(later.starts_with(expected) && later.contains("ImagePullBackOff"), "{message}: {later}");
    }
}

#[test]
fn an_image_that_is_new_is_not_everybodys_to_wait_for() {
    for (message, new, expected) in [
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "example.org/web:1", "new image: "),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "example.org/web:2", "cluster: "),
        ("example.org/web:1: not found", "example.org/web:1", "release: "),
        ("write /var/lib/x: No space left on device", "example.org/web:1", "cluster: "),
    ] {
        let mut scene = recorded("deployment-ImagePullBackOff");
        scene.new_images = NewImages::among([new.to_owned()], |_| true);
        each_pod(&mut scene, |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = json!(message);
        });
        let words = in_words(scene.for_seconds(60).health());
        assert!(words.starts_with(expected), "{message}: {words}");
    }
}

#[test]
fn pods_are_untried_where_a_container_has_no_probe_and_need_not_run_for_some_time() {
    let workload = |spec: Value, containers: Value| {
        let mut workload = json!({ "spec": spec });
        workload["spec"]["template"] = json!({ "spec": { "containers": containers } });
        workload
    };
    let probe = json!({ "name": "web", "readinessProbe": { "tcpSocket": { "port": 80 } } });
    let plain = json!({ "name": "web", "livenessProbe": { "tcpSocket": { "port": 80 } } });
    assert!(!is_untried(&workload(json!({}), json!([probe]))));
    assert!(is_untried(&workload(json!({}), json!([probe, plain]))));
    assert!(is_untried(&workload(json!({ "minReadySeconds": 0 }), json!([plain]))));
    assert!(!is_untried(&workload(json!({ "minReadySeconds": 1 }), json!([plain]))));
    assert!(!is_untried(&json!({ "spec": { "selector": {} } })), "a Service has no pods of its own");
}
