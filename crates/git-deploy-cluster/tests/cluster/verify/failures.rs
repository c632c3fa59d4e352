//! What can be seen early to be beyond help.

use std::time::Duration;

use futures::future::join_all;
use git_deploy_cluster::{Limits, NotReady};
use git_deploy_core::deployment::Blame;
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::eventually;

use super::stage::{apply, because, deployment, job, limits, wait, workload};
use crate::support::admin;

/// A release that cannot work, and what has to be said of it.
struct Case {
    manifests: String,
    object: &'static str,
    reason: &'static str,
    blame: Blame,
}

fn cases() -> Vec<Case> {
    let no_image = because("ErrImagePull", "failed to resolve reference example.org/web:1: not found");
    let said = "cannot start: ErrImagePull: failed to resolve reference example.org/web:1: not found";
    let branch = |manifests: String, object, reason| Case { manifests, object, reason, blame: Blame::Branch };
    let waiting = |reason: &str, message: &str| deployment("waiting", &because(reason, message), "");
    let mut cases = vec![
        branch(deployment("waiting", "", ""), "Deployment", "cannot start: ImagePullBackOff: "),
        branch(
            deployment("crash", "test.git-deploy/period: '200ms', test.git-deploy/exit-code: '3'", ""),
            "Deployment",
            "times: exit status 3",
        ),
        branch(
            waiting("CreateContainerConfigError", "secret \"web\" not found"),
            "Deployment",
            "cannot start: CreateContainerConfigError: secret \"web\" not found",
        ),
        branch(
            waiting("RunContainerError", "no such file"),
            "Deployment",
            "cannot start: RunContainerError: no such file",
        ),
        branch(waiting("InvalidImageName", "no"), "Deployment", "cannot start: InvalidImageName: no"),
        Case {
            manifests: waiting("ErrImagePull", "dial tcp 192.0.2.1:443: i/o timeout"),
            object: "Deployment",
            reason: "cannot start: ErrImagePull: dial tcp 192.0.2.1:443: i/o timeout",
            blame: Blame::Nobody,
        },
        branch(workload("StatefulSet", "waiting", &no_image), "StatefulSet", said),
        branch(workload("DaemonSet", "waiting", &no_image), "DaemonSet", said),
        branch(workload("ReplicaSet", "waiting", &no_image), "ReplicaSet", said),
        branch(job("waiting", &no_image, ""), "Job", said),
        branch(
            job(
                "exits",
                "test.git-deploy/exit-code: '4', test.git-deploy/message: 'no such column'",
                "backoffLimit: 0",
            ),
            "Job",
            "ended: exit status 4: no such column (BackoffLimitExceeded: Job has reached the specified backoff limit)",
        ),
        Case {
            manifests: deployment("", "", "")
                .replace("image:", "resources: { requests: { cpu: 5k } }, image:"),
            object: "Deployment",
            reason: "nodes are available: 3 Insufficient cpu",
            blame: Blame::Nobody,
        },
        branch(
            deployment("", "", "")
                .replace("spec: { containers", "spec: { serviceAccountName: nobody, containers"),
            "Deployment",
            "serviceaccount \"nobody\" not found",
        ),
    ];
    // kwok's own: the pod is over, and its Deployment makes others.
    let own = deployment("", "", "minReadySeconds: 20").replace(
        "app: web }, ann",
        "app: web, pod-container-running-failed.stage.kwok.x-k8s.io: 'true' }, ann",
    );
    cases.push(branch(own, "Deployment", "pod 'web-"));
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {test.git-deploy/pod: exits}, annotations: \
               {test.git-deploy/exit-code: '2'}}\nspec: {restartPolicy: Never, containers: [{name: web, image: a:1}]}\n";
    cases.push(branch(pod.to_owned(), "Pod", "container 'web' of pod 'web' ended: exit status 2"));
    cases
}

/// As by default, with less patience than a test has.
fn impatient() -> Limits {
    let mut limits = limits();
    limits.patience.crash = Duration::from_secs(1);
    limits.patience.config = Duration::from_secs(1);
    limits.patience.pull = Duration::from_secs(2);
    limits.patience.create = Duration::from_secs(1);
    limits.patience.unschedulable = Duration::from_secs(2);
    limits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_cannot_work_fails_before_its_time_is_over_with_its_cause() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    let cases = cases();
    let waits = cases.iter().map(async |case| {
        let namespace = cluster.namespace("doomed").create();
        let applied = apply(&namespace, &case.manifests);
        let waited = wait(&connection, &applied, impatient()).await;
        let NotReady::Failed { object, reason, blame, .. } = waited.failure() else {
            panic!("{}: {:?}", case.reason, waited.failure())
        };
        assert_eq!(object.to_string(), format!("{} '{namespace}/web'", case.object), "{reason}");
        assert!(reason.contains(case.reason), "{reason}\nis not about {}", case.reason);
        assert_eq!(*blame, case.blame, "{reason}");
    });
    join_all(waits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failure_ends_the_wait_for_all_others() {
    let cluster = cluster!();
    let namespace = cluster.namespace("doomed").create();
    let connection = admin(cluster).await;
    let slow = deployment("unready", "", "").replace("web", "slow");
    let doomed = deployment("waiting", "", "");
    let applied = apply(&namespace, &[slow, doomed].concat());
    // Who starts containers tells of it after it has said so in the pod's status.
    let events = || namespace.kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"]).stdout;
    eventually("there is an event about a pod", || events().contains("a container cannot be started"));
    let waited = wait(&connection, &applied, limits()).await;
    // The other one is never ready: who waits for it hears nothing but that the time is over.
    let said = waited.failure().to_string();
    let begin = format!("Deployment '{namespace}/web' failed: container 'web' of pod 'web-");
    assert!(said.starts_with(&begin), "{said}");
    assert_eq!(namespace.get("deployment", "slow")["status"]["readyReplicas"], serde_json::Value::Null);
    let evidence = waited.failure().evidence();
    assert!(
        evidence
            .iter()
            .any(|line| line.contains("(Pod 'web-") && line.ends_with("a container cannot be started")),
        "{evidence:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_given_its_grace() {
    let cluster = cluster!();
    let namespace = cluster.namespace("doomed").create();
    let connection = admin(cluster).await;
    let mut limits = limits();
    limits.patience.crash = Duration::from_secs(4);
    let applied = apply(&namespace, &deployment("crash", "test.git-deploy/period: '200ms'", ""));
    let waited = wait(&connection, &applied, limits).await;
    assert!(matches!(waited.failure(), NotReady::Failed { .. }), "{:?}", waited.result);
    assert!(waited.took >= Duration::from_secs(4), "{:?}", waited.took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_beside_pods_that_still_run_is_seen_too() {
    let cluster = cluster!();
    let namespace = cluster.namespace("doomed").create();
    let connection = admin(cluster).await;
    let applied = apply(&namespace, &deployment("", "", ""));
    assert_eq!(wait(&connection, &applied, limits()).await.result, Ok(Vec::new()));
    let applied = apply(&namespace, &deployment("waiting", "", ""));
    let waited = wait(&connection, &applied, limits()).await;
    assert!(matches!(waited.failure(), NotReady::Failed { .. }), "{:?}", waited.result);
    assert_eq!(namespace.get("deployment", "web")["status"]["readyReplicas"], 2, "the old ones go on");
}
