//! Waiting for what was applied, against a real API server and real controllers.

mod failures;
mod foreign;
mod network;
mod quiet;
mod stage;

use std::time::Duration;

use self::stage::{CONFIG, SERVICE, SLOW, apply, because, deployment, job, limits, short, wait, workload};
use crate::support::{admin, open};
use git_deploy_cluster::{NotReady, Progress, unblock, until_ready};
use git_deploy_core::deployment::Blame;
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_is_ready_when_kubectl_says_so_too() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let all = [
        CONFIG,
        SERVICE,
        &deployment("slow", SLOW, ""),
        &workload("StatefulSet", "", "").replace("web", "db"),
        &workload("DaemonSet", "", "").replace("web", "log"),
        &job("exits", "", ""),
    ];
    let applied = apply(&namespace, &all.concat());
    let waited = wait(&connection, &applied, limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
    assert_eq!(waited.counts().last(), Some(&5), "a ConfigMap has nothing to become");
    assert!(waited.counts().len() > 1, "{:?}", waited.told);
    for workload in ["deployment/web", "statefulset/db", "daemonset/log"] {
        namespace.kubectl(&["rollout", "status", workload, "--timeout=1s"]).success();
    }

    // A new version of it.
    let changed = apply(&namespace, &deployment("slow", "test.git-deploy/after: '2s'", ""));
    let waited = wait(&connection, &changed, limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
    let status = &namespace.get("deployment", "web")["status"];
    assert_eq!((&status["updatedReplicas"], &status["replicas"]), (&2.into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ready_already_costs_one_list_of_a_kind_and_no_watch() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let manifests = [CONFIG, SERVICE, &deployment("", "", "")].concat();
    let applied = apply(&namespace, &manifests);
    assert_eq!(wait(&connection, &applied, limits()).await.result, Ok(Vec::new()));
    let ours = || {
        let mut events = namespace.audit();
        events.retain(|event| event.is_ours());
        events
    };
    let before = ours().iter().map(|event| event.received.clone()).max().unwrap();
    let again = apply(&namespace, &manifests);
    let waited = wait(&connection, &again, limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
    let since = ours().into_iter().filter(|event| event.received > before);
    let mut asked: Vec<_> = since.map(|event| format!("{} {}", event.verb, event.resource)).collect();
    asked.sort();
    assert_eq!(
        asked,
        ["list configmaps", "list deployments", "list pods", "list replicasets", "list services"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_an_older_rollout_exceeded_does_not_count() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let broken = |more: &str| deployment("unready", "", &format!("progressDeadlineSeconds: 2\n  {more}"));
    let applied = apply(&namespace, &broken(""));
    let waited = wait(&connection, &applied, limits()).await;
    let NotReady::Failed { reason, blame, .. } = waited.failure() else { panic!("{:?}", waited.result) };
    assert!(reason.starts_with("no progress for 2 s: container 'web' of pod 'web-"), "{reason}");
    assert!(reason.ends_with("runs but does not become ready"), "{reason}");
    assert_eq!(*blame, Blame::Branch);

    // With the same template the controller keeps its old verdict: it is not about this deployment.
    let applied = apply(&namespace, &broken("minReadySeconds: 1"));
    let waited = wait(&connection, &applied, short(3)).await;
    assert!(matches!(waited.failure(), NotReady::TimedOut { .. }), "{:?}", waited.result);

    // And the deployment that repairs it succeeds.
    let applied =
        apply(&namespace, &deployment("slow", "test.git-deploy/after: '1s'", "progressDeadlineSeconds: 20"));
    let waited = wait(&connection, &applied, limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_is_ready_when_its_objects_can_be_made() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let group = format!("{}.example.org", namespace.name());
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: things.{group}}}\nspec: \
         {{group: {group}, scope: Namespaced, names: {{plural: things, singular: thing, kind: Thing}}, versions: [{{name: v1, \
         served: true, storage: true, subresources: {{status: {{}}}}, schema: {{openAPIV3Schema: {{type: object, \
         x-kubernetes-preserve-unknown-fields: true}}}}}}]}}\n"
    );
    let waited = wait(&connection, &apply(&namespace, &definition), limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
    let listed = cluster.get_raw(&format!("/apis/{group}/v1"));
    assert!(
        listed["resources"].as_array().unwrap().iter().any(|found| found["name"] == "things"),
        "{listed}"
    );

    let thing = format!("apiVersion: {group}/v1\nkind: Thing\nmetadata: {{name: one}}\n");
    let applied = apply(&namespace, &thing);
    let waiting = [
        r#"{"status":{"conditions":[{"type":"Ready","status":"False","reason":"Busy","message":"soon"}]}}"#,
        r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#,
    ];
    let patch = move |namespace: &git_deploy_testkit::cluster::Namespace<'_>, which: usize| {
        let kind = format!("thing.v1.{group}/one");
        let arguments = ["patch", &kind, "--subresource=status", "--type=merge", "-p", waiting[which]];
        namespace.kubectl(&arguments).success();
    };
    patch(&namespace, 0);
    let waited = wait(&connection, &applied, short(1)).await;
    let said = waited.failure().to_string();
    assert!(said.ends_with("(it is not ready: Busy: soon) is not ready after 1 s"), "{said}");
    let waited =
        stage::wait_while(wait(&connection, &applied, limits()), Duration::from_secs(1), move || {
            patch(&namespace, 1);
        });
    assert_eq!(waited.await.result, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cleans_up_after_itself_has_completed() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let applied =
        apply(&namespace, &job("exits", "test.git-deploy/after: '1s'", "ttlSecondsAfterFinished: 0"));
    // Something else takes longer, so that the Job is gone for some time.
    let slow = apply(&namespace, &deployment("slow", SLOW, ""));
    let both: Vec<_> = applied.into_iter().chain(slow).collect();
    assert_eq!(wait(&connection, &both, limits()).await.result, Ok(Vec::new()));
    assert!(namespace.find("job", "web").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_goes_back_when_the_pods_in_its_way_are_deleted() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let good = apply(&namespace, &workload("StatefulSet", "", ""));
    assert_eq!(wait(&connection, &good, limits()).await.result, Ok(Vec::new()));
    let bad = apply(&namespace, &workload("StatefulSet", "waiting", &because("ErrImagePull", "not found")));
    let waited = wait(&connection, &bad, limits()).await;
    assert!(matches!(waited.failure(), NotReady::Failed { blame: Blame::Branch, .. }), "{:?}", waited.result);

    let back = apply(&namespace, &workload("StatefulSet", "", ""));
    let waited = wait(&connection, &back, limits()).await;
    let NotReady::Blocked { pods, .. } = waited.failure() else { panic!("{:?}", waited.result) };
    let held = format!(
        "StatefulSet '{namespace}/web' is held up by pod 'web-1' of an earlier revision, which does not \
                        become ready"
    );
    assert_eq!(waited.failure().to_string(), held);
    unblock(&connection, pods).await.unwrap();
    unblock(&connection, pods).await.expect("the pod that came after it is another one");
    let waited = wait(&connection, &back, limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_named_with_its_first_cause() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    let (one, two) = (cluster.namespace("verify").create(), cluster.namespace("verify").create());
    let unready = apply(&one, &[CONFIG, SERVICE, &deployment("unready", "", "")].concat());
    let too_big = deployment("", "", "").replace("image:", "resources: { requests: { cpu: 5k } }, image:");
    let too_big = apply(&two, &too_big);
    let mut patient = short(4);
    patient.patience.unschedulable_warning = Duration::from_secs(1);
    let (unready, too_big) =
        tokio::join!(wait(&connection, &unready, short(4)), wait(&connection, &too_big, patient));
    let NotReady::TimedOut { waiting, cause, blame, .. } = unready.failure() else {
        panic!("{:?}", unready.result)
    };
    assert_eq!(waiting.len(), 1);
    assert!(
        cause.as_ref().is_some_and(|cause| cause.ends_with("runs but does not become ready")),
        "{cause:?}"
    );
    assert_eq!(*blame, Blame::Branch);
    let said = unready.failure().to_string();
    let begin = format!(
        "Deployment '{one}/web' (0 of 2 new pods are available) is not ready after 4 s: container 'web' of pod"
    );
    assert!(said.starts_with(&begin), "{said}");

    let NotReady::TimedOut { blame, evidence, .. } = too_big.failure() else {
        panic!("{:?}", too_big.result)
    };
    assert_eq!(*blame, Blame::Nobody);
    assert!(
        evidence.iter().any(|line| line.starts_with("FailedScheduling, ") && line.contains("(Pod 'web-")),
        "{evidence:?}"
    );
    assert!(too_big.warnings()[0].contains("no node takes pod 'web-"), "{:?}", too_big.told);
    assert_eq!(too_big.warnings().len(), 1, "each warning once: {:?}", too_big.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_whose_future_is_dropped_asks_for_nothing_any_more() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let proxy = quiet::Proxy::to(cluster.address());
    let connection = open(cluster, &cluster.kubeconfig_with(cluster.access().at(proxy.address()))).await;
    let applied = apply(&namespace, &deployment("unready", "", ""));
    let wait = wait(&connection, &applied, limits());
    tokio::time::timeout(Duration::from_secs(2), wait).await.err().expect("it still waits");
    // What was under way may still arrive.
    eventually("nothing more comes", || {
        let before = proxy.received();
        std::thread::sleep(Duration::from_secs(1));
        proxy.received() == before
    });
    let before = proxy.received();
    assert!(before > 0);
    for number in 0..3 {
        namespace.kubectl(&["annotate", "deployment/web", &format!("n={number}"), "--overwrite"]).success();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(proxy.received(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_see_pods_is_warned_and_who_may_not_see_what_was_applied_is_refused() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let role = |resources: &str| {
        namespace.apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: seer}}\nrules: [{{apiGroups: [apps, ''], \
             resources: [{resources}], verbs: [get, list, watch]}}]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: \
             RoleBinding\nmetadata: {{name: seer}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: \
             seer}}\nsubjects: [{{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}}]\n"
        ));
    };
    let can = |what: &str, answer: &str| {
        eventually("the role counts", || {
            namespace.kubectl(&["auth", "can-i", "list", what, "--as=alice"]).stdout.starts_with(answer)
        });
    };
    role("deployments, replicasets");
    can("deployments.apps", "yes");
    let alice = open(cluster, &cluster.kubeconfig_for("alice")).await;
    let applied = apply(&namespace, &deployment("slow", SLOW, ""));
    let waited = wait(&alice, &applied, limits()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
    let warned = format!("cannot read pods in namespace '{namespace}', so failures may be seen late: ");
    assert!(waited.warnings()[0].starts_with(&warned), "{:?}", waited.warnings());

    // A refusal is no silence: what is late because of it is late.
    let unready = apply(&namespace, &deployment("unready", "", ""));
    let waited = wait(&alice, &unready, short(6)).await;
    assert!(matches!(waited.failure(), NotReady::TimedOut { .. }), "{}", waited.failure());
    assert!(!waited.told.contains(&Progress::Silent), "{:?}", waited.told);

    role("pods");
    can("deployments.apps", "no");
    let waited = wait(&alice, &applied, limits()).await;
    let said = waited.failure().to_string();
    assert!(
        said.starts_with(&format!("cannot watch deployments.apps in namespace '{namespace}': ")),
        "{said}"
    );
    // What may pass is tried again for longer.
    assert!(waited.took < Duration::from_secs(15), "{:?}", waited.took);
    assert_eq!(waited.failure().blame(), Blame::Nobody);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_only_when_it_changes() {
    let cluster = cluster!();
    let namespace = cluster.namespace("verify").create();
    let connection = admin(cluster).await;
    let applied = apply(&namespace, &deployment("slow", SLOW, ""));
    let waited = wait(&connection, &applied, limits()).await;
    for pair in waited.told.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
    let Some(Progress::Standing { ready: 1, wanted: 1, waiting }) = waited.told.last() else {
        panic!("{:?}", waited.told)
    };
    assert!(waiting.is_empty());
}

#[test]
fn the_wait_can_go_from_thread_to_thread() {
    fn is_send<T: Send>(_: Option<T>) {}
    fn future<'a, T>(_: impl Fn(&'a git_deploy_cluster::Connection) -> T) -> Option<T> {
        None
    }
    let limits = limits();
    is_send(future(|connection| until_ready(connection, &[], &limits, &|_| {})));
}
