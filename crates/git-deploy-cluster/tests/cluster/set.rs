//! The parent of an environment's set, against a real API server.

use std::time::Duration;

use crate::support::{admin, alive, dead, open, place, root, run, shop};
use git_deploy_cluster::{
    Change, JobEnd, JobOutcome, Kept, Parent, Set, SetError, SetFailure, SetPhase, Success, Unwanted,
    ensure_namespace,
};
use git_deploy_core::deployment::Blame;
use git_deploy_core::ledger::Outcome;
use git_deploy_manifest::{Extent, GroupKind, ObjectId, SetId};
use git_deploy_testkit::cluster::{Cluster, Namespace};
use git_deploy_testkit::shop::SET;
use git_deploy_testkit::{Output, cluster};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(5);

fn parent_of(namespace: &Namespace<'_>) -> Value {
    namespace.get("configmap", SET)
}

fn annotation(parent: &Value, key: &str) -> String {
    parent["metadata"]["annotations"][key].as_str().unwrap_or("-").to_owned()
}

fn extent(kinds: &[&str], namespaces: &[&str]) -> Extent {
    Extent {
        kinds: kinds.iter().map(|kind| kind.parse::<GroupKind>().expect("a kind")).collect(),
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn applying(number: u32) -> Change {
    Change::to(SetPhase::Applying).of(&format!("deployment-{number:04}").parse().expect("a number"))
}

fn succeeded() -> JobOutcome {
    let deployment = "deployment-0002".parse().ok();
    JobOutcome { end: JobEnd::Succeeded, rollback_safe: false, deployment }
}

/// kubectl with what its sets still need.
fn kubectl_applyset(cluster: &Cluster, namespace: &Namespace<'_>, manifests: &str) -> Output {
    let set = format!("--applyset=configmaps/{SET}");
    let arguments = ["--namespace", namespace.name(), "apply", "--server-side", "--prune", &set, "-f", "-"];
    cluster.kubectl_with_env(&arguments, manifests, &[("KUBECTL_APPLYSET", "true")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_says_whose_set_it_is_and_what_is_in_it() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let set = shop(namespace.name());
    assert!(Parent::read(&connection, &set).await.unwrap().is_none());
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    let change =
        applying(7).widening(extent(&["Deployment.apps", "Service"], &[namespace.name(), "monitoring"]));
    let parent = Parent::take(&connection, &set, permit, change).await.unwrap();

    let written = parent_of(&namespace);
    for (key, value) in [
        ("applyset.kubernetes.io/tooling", concat!("git-deploy/v", env!("CARGO_PKG_VERSION"))),
        ("applyset.kubernetes.io/contains-group-kinds", "Deployment.apps,Service"),
        ("applyset.kubernetes.io/additional-namespaces", "monitoring"),
        ("git-deploy/root", &"1".repeat(40)),
        ("git-deploy/project", "shop"),
        ("git-deploy/environment", "production"),
        ("git-deploy/deployment", "deployment-0007"),
        ("git-deploy/phase", "applying"),
        ("git-deploy/run", "ada"),
        ("git-deploy/lease-transitions", "1"),
        ("git-deploy/blame", "-"),
        ("git-deploy/reason", "-"),
    ] {
        assert_eq!(annotation(&written, key), value, "{key}");
    }
    assert_eq!(written["metadata"]["labels"]["applyset.kubernetes.io/id"], set.id.as_str());
    assert_eq!(written["metadata"]["uid"], parent.uid());
    let read = Parent::read(&connection, &set).await.unwrap().unwrap();
    assert_eq!((read.record(), read.uid()), (parent.record(), parent.uid()));
    assert_eq!(read.transitions(), 1);
    lease.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_has_the_id_that_kubectl_gives_it_and_neither_touches_the_others() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    let manifests = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours }\ndata: { a: b }\n";

    let theirs = cluster.namespace("set").create();
    kubectl_applyset(cluster, &theirs, manifests).success();
    let id = parent_of(&theirs)["metadata"]["labels"]["applyset.kubernetes.io/id"].clone();
    assert_eq!(id, shop(theirs.name()).id.as_str());
    assert_eq!(
        theirs.list("configmaps -l applyset.kubernetes.io/part-of".split(' ').next().unwrap()).len(),
        3
    );
    let refused = Parent::read(&connection, &shop(theirs.name())).await.err().unwrap();
    assert_eq!(refused.to_string(), format!("ConfigMap '{theirs}/{SET}' belongs to another tool, 'kubectl'"));
    let before = parent_of(&theirs);
    let lease = place(&connection, theirs.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    assert!(Parent::take(&connection, &shop(theirs.name()), permit, applying(1)).await.is_err());
    assert_eq!(parent_of(&theirs), before);

    let ours = cluster.namespace("set").create();
    let lease = place(&connection, ours.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    Parent::take(&connection, &shop(ours.name()), permit, applying(1)).await.unwrap();
    let refused = kubectl_applyset(cluster, &ours, manifests);
    refused.code_is(1).stderr_contains(r#"managed by tooling "git-deploy" instead of "kubectl""#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_another_repository_project_or_environment_is_refused() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let set = shop(namespace.name());
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    Parent::take(&connection, &set, permit, applying(1)).await.unwrap();
    let before = parent_of(&namespace);
    // The name of the set is the same in all cases.
    for (other, said) in [
        (
            Set { root: root('2'), ..set.clone() },
            format!("another repository: '{}', not '{}'", root('1'), root('2')),
        ),
        (Set { project: "s".into(), ..set.clone() }, "another project: 'shop', not 's'".to_owned()),
        (
            Set { environment: "p".into(), ..set.clone() },
            "another environment: 'production', not 'p'".to_owned(),
        ),
    ] {
        let refused = Parent::take(&connection, &other, permit, applying(2)).await.err().unwrap();
        assert_eq!(refused.to_string(), format!("ConfigMap '{namespace}/{SET}' belongs to {said}"));
        assert!(refused.hint("test").is_some());
    }
    assert_eq!(parent_of(&namespace), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_that_is_no_parent_of_the_set_is_left_alone() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    let namespace = cluster.namespace("set").create();
    let set = shop(namespace.name());
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();

    namespace.kubectl(&["create", "configmap", SET, "--from-literal=a=b"]).success();
    let refused = Parent::take(&connection, &set, permit, applying(1)).await.err().unwrap();
    assert!(matches!(refused, SetError::NotAParent { .. }), "{refused}");
    assert_eq!(parent_of(&namespace)["data"]["a"], "b");
    namespace.kubectl(&["delete", "configmap", SET]).success();

    // As after a parent was copied from another namespace.
    Parent::take(&connection, &set, permit, applying(1)).await.unwrap();
    let other = SetId::of_parent(SET, "elsewhere", &"ConfigMap".parse().unwrap());
    let label = format!("applyset.kubernetes.io/id={other}");
    namespace.kubectl(&["label", "--overwrite", "configmap", SET, &label]).success();
    let refused = Parent::read(&connection, &set).await.err().unwrap();
    assert!(matches!(refused, SetError::NotAParent { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_extent_is_widened_and_narrowed_and_a_failure_is_kept_until_the_next_deployment() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    let first = applying(1).widening(extent(&["Service"], &[]));
    let mut parent = Parent::take(&connection, &shop(namespace.name()), permit, first).await.unwrap();
    let kinds = |parent: &Parent| parent.record().extent.kinds_text();

    parent.advance(permit, applying(2).widening(extent(&["Job.batch"], &["a"]))).await.unwrap();
    assert_eq!(kinds(&parent), "Job.batch,Service");
    let failure = SetFailure {
        outcome: Outcome::Failure,
        blame: Blame::Branch,
        reason: "it crashed\n'twice'".into(),
        timed_out: true,
    };
    parent.advance(permit, Change::to(SetPhase::Restoring).because(failure.clone())).await.unwrap();
    let job = format!("{namespace}.migrate-1");
    parent.advance(permit, Change::to(SetPhase::Done).with_job(&job, succeeded())).await.unwrap();
    let read = Parent::read(&connection, &shop(namespace.name())).await.unwrap().unwrap();
    assert_eq!((read.record().phase, read.record().failure.as_ref()), (Some(SetPhase::Done), Some(&failure)));

    parent.advance(permit, applying(3).narrowing(extent(&["Service"], &[]))).await.unwrap();
    let read = Parent::read(&connection, &shop(namespace.name())).await.unwrap().unwrap();
    assert_eq!((kinds(&read).as_str(), &read.record().failure), ("Service", &None));
    assert_eq!(read.record().extent.namespaces.iter().collect::<Vec<_>>(), [namespace.name()]);
    assert_eq!(read.record().jobs[&job], succeeded());
    let written = parent_of(&namespace);
    assert_eq!(written["data"][format!("job.{job}")], "succeeded forward-only deployment-0002");
    for key in ["result", "reason", "blame", "timed-out"] {
        assert_eq!(annotation(&written, &format!("git-deploy/{key}")), "-", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_taken_over_begins_no_further_phase() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    for the_new_one_comes_first in [false, true] {
        let namespace = cluster.namespace("set").create();
        let set = shop(namespace.name());
        let place = place(&connection, namespace.name());
        let old = place.acquire(&run("ada"), 0, &alive).await.unwrap();
        // A right to write that was asked for, and then the process stood still.
        let late = old.permit(PATIENCE).await.unwrap();
        let mut parent = None;
        if !the_new_one_comes_first {
            parent = Some(Parent::take(&connection, &set, late, applying(1)).await.unwrap());
        }
        let above = Parent::read(&connection, &set).await.unwrap().map_or(0, |parent| parent.transitions());
        let new = place.acquire(&run("bea"), above, &dead).await.unwrap();
        let permit = new.permit(PATIENCE).await.unwrap();
        let mut taken = Parent::take(&connection, &set, permit, applying(2)).await.unwrap();
        let before = parent_of(&namespace);

        let refused = match &mut parent {
            Some(parent) => parent.advance(late, Change::to(SetPhase::Verified)).await.unwrap_err(),
            None => Parent::take(&connection, &set, late, applying(1)).await.err().unwrap(),
        };
        assert!(matches!(&refused, SetError::TakenOver { by, .. } if by.run == "bea"), "{refused}");
        assert_eq!(parent_of(&namespace), before);
        taken.advance(permit, Change::to(SetPhase::Verified)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_after_the_lease_was_deleted_is_a_later_one_all_the_same() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let set = shop(namespace.name());
    let place = place(&connection, namespace.name());
    let old = place.acquire(&run("ada"), 0, &alive).await.unwrap();
    let late = old.permit(PATIENCE).await.unwrap();
    let mut parent = Parent::take(&connection, &set, late, applying(1)).await.unwrap();
    namespace.kubectl(&["delete", "lease", SET]).success();

    let new = place.acquire(&run("bea"), parent.transitions(), &alive).await.unwrap();
    let permit = new.permit(PATIENCE).await.unwrap();
    Parent::take(&connection, &set, permit, applying(2)).await.unwrap();
    let refused = parent.advance(late, Change::to(SetPhase::Verified)).await.unwrap_err();
    assert!(matches!(refused, SetError::TakenOver { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_to_the_parent_stays_and_stops_nobody() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    let parent = Parent::take(&connection, &shop(namespace.name()), permit, applying(1)).await.unwrap();
    namespace.kubectl(&["annotate", "configmap", SET, "git-deploy/future=1", "example.org/a=b"]).success();
    namespace.kubectl(&["label", "configmap", SET, "team=blue"]).success();

    // Each of these has seen the parent before that, and before all the others.
    let jobs: Vec<String> = (0..5).map(|number| format!("job-{number}")).collect();
    let written = futures::future::join_all(jobs.iter().map(async |job| {
        let mut parent = parent.clone();
        parent.advance(permit, Change::default().with_job(job, succeeded())).await
    }))
    .await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");

    let now = parent_of(&namespace);
    assert_eq!(annotation(&now, "git-deploy/future"), "1");
    assert_eq!(annotation(&now, "example.org/a"), "b");
    assert_eq!(now["metadata"]["labels"]["team"], "blue");
    assert_eq!(now["data"].as_object().unwrap().len(), jobs.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_that_is_deleted_while_it_is_in_use_ends_the_run() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let set = shop(namespace.name());
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    let mut parent = Parent::take(&connection, &set, permit, applying(1)).await.unwrap();
    namespace.kubectl(&["delete", "configmap", SET]).success();
    let gone = parent.advance(permit, Change::to(SetPhase::Verified)).await.unwrap_err();
    assert!(matches!(gone, SetError::Gone { .. }), "{gone}");

    // One that was made anew is another one.
    let other = Parent::take(&connection, &set, permit, applying(1)).await.unwrap();
    assert_ne!(other.uid(), parent.uid());
    let gone = parent.advance(permit, Change::to(SetPhase::Verified)).await.unwrap_err();
    assert!(matches!(gone, SetError::Gone { .. }), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_the_repository_does_not_know_is_refused() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    let parent = Parent::take(&connection, &shop(namespace.name()), permit, applying(12)).await.unwrap();
    parent.require_known(|id| id.number == 12).unwrap();
    let refused = parent.require_known(|_| false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "ConfigMap '{namespace}/{SET}' speaks of deployment-0012, which this repository does not know"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_is_told_and_not_guessed() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let set = shop(namespace.name());
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    Parent::take(&connection, &set, permit, applying(1)).await.unwrap();
    for (key, value) in [
        ("git-deploy/phase", "levitating"),
        ("git-deploy/deployment", "x"),
        ("git-deploy/lease-transitions", "99999999999999999999"),
    ] {
        let before = annotation(&parent_of(&namespace), key);
        let write = |value: &str| {
            namespace
                .kubectl(&["annotate", "--overwrite", "configmap", SET, &format!("{key}={value}")])
                .success();
        };
        write(value);
        let error = Parent::read(&connection, &set).await.err().unwrap();
        let told = format!("cannot read ConfigMap '{namespace}/{SET}': '{value}' is no value for '{key}'");
        assert_eq!(error.to_string(), told);
        write(&before);
    }
    Parent::read(&connection, &set).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_namespace_is_made_where_it_is_missing() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    let namespace = cluster.namespace("made");
    assert!(ensure_namespace(&connection, namespace.name()).await.unwrap());
    assert!(!ensure_namespace(&connection, namespace.name()).await.unwrap());

    // Who may work in it need not be allowed to look at it. Nobody else here is bob, who may do more from now on.
    let bob = open(cluster, &cluster.kubeconfig_for("bob")).await;
    assert!(!ensure_namespace(&bob, namespace.name()).await.unwrap());
    let role = ["create", "clusterrole", "get-namespaces", "--verb=get", "--resource=namespaces"];
    cluster.kubectl(&role).success();
    let bind = ["create", "clusterrolebinding", "x", "--clusterrole=get-namespaces", "--user=bob"];
    cluster.kubectl(&bind).success();
    let refused = ensure_namespace(&bob, "not-there").await.unwrap_err();
    let told = refused.to_string();
    assert!(told.starts_with("cannot create Namespace 'not-there': ") && told.contains("bob"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_being_deleted_is_refused() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    let namespace = cluster.namespace("doomed").create();
    namespace.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: holds, finalizers: [example.org/hold] }\n",
    );
    cluster.kubectl(&["delete", "namespace", namespace.name(), "--wait=false"]).success();
    let refused = ensure_namespace(&connection, namespace.name()).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("cannot use Namespace '{namespace}': it is being deleted"));
    namespace
        .kubectl(&[
            "patch",
            "configmap",
            "holds",
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])
        .success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_holds_two_thousand_objects_that_stay_for_a_while_and_forgets_them() {
    let cluster = cluster!();
    let namespace = cluster.namespace("set").create();
    let connection = admin(cluster).await;
    let set = shop(namespace.name());
    let lease = place(&connection, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    let permit = lease.permit(PATIENCE).await.unwrap();
    let mut parent = Parent::take(&connection, &set, permit, applying(7)).await.unwrap();
    let unwanted = |at: usize| Unwanted {
        id: ObjectId {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: Some(namespace.name().to_owned()),
            name: format!("{at:0253}"),
        },
        uid: format!("6f9619ff-8b86-4011-b42d-{at:012}"),
    };
    let many: Vec<Unwanted> = (0..4_000).map(unwanted).collect();
    let (id, previous) = ("deployment-0007".parse().unwrap(), "deployment-0006".parse().unwrap());
    let success = Success { id: &id, previous: Some(&previous) };
    let kept = Kept::default().after(success, &many, |_| true, jiff::Timestamp::now());
    let (kept, left_out) = kept.fitting();
    assert!(kept.objects().len() >= 2_000 && kept.objects().len() + left_out == 4_000);
    let few = Kept::default().after(success, &many[..2_000], |_| true, jiff::Timestamp::now());
    for kept in [kept, few, Kept::default()] {
        let permit = lease.permit(PATIENCE).await.unwrap();
        parent.advance(permit, Change::to(SetPhase::Done).keeping(kept.clone())).await.unwrap();
        let read = Parent::read(&connection, &set).await.unwrap().unwrap();
        assert_eq!(read.record().kept, kept);
    }
    assert!(parent_of(&namespace)["data"].get("kept").is_none());
    lease.release().await.unwrap();
}
