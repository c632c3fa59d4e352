//! Somebody else changes what is waited for.

use std::time::Duration;

use git_deploy_cluster::NotReady;
use git_deploy_core::deployment::Blame;
use git_deploy_testkit::cluster;

use super::stage::{CONFIG, SLOW, apply, deployment, limits, wait, wait_while};
use crate::support::admin;

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_deletes_is_a_failure_and_nobodys_fault() {
    let cluster = cluster!();
    let namespace = cluster.namespace("foreign").create();
    let connection = admin(cluster).await;
    let applied = apply(&namespace, &deployment("unready", "", ""));
    let name = namespace.name().to_owned();
    let waited = wait_while(wait(&connection, &applied, limits()), SOON, move || {
        namespace.kubectl(&["delete", "deployment/web"]).success();
    })
    .await;
    assert_eq!(
        waited.failure().to_string(),
        format!("Deployment '{name}/web' failed: it was deleted, not by this deployment")
    );
    assert_eq!(waited.failure().blame(), Blame::Nobody);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_the_same_name_is_not_ours() {
    let cluster = cluster!();
    let namespace = cluster.namespace("foreign").create();
    let connection = admin(cluster).await;
    let applied = apply(&namespace, &deployment("unready", "", ""));
    // Before the wait begins, so that no event of a deletion tells of it.
    namespace.kubectl(&["delete", "deployment/web"]).success();
    apply(&namespace, &deployment("", "", ""));
    let waited = wait(&connection, &applied, limits()).await;
    let NotReady::Failed { reason, blame, .. } = waited.failure() else { panic!("{:?}", waited.result) };
    assert_eq!(reason, "it was replaced by another object of the same name, not by this deployment");
    assert_eq!(*blame, Blame::Nobody);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_nothing_to_wait_for_must_still_be_there_at_the_end() {
    let cluster = cluster!();
    let namespace = cluster.namespace("foreign").create();
    let connection = admin(cluster).await;
    let applied = apply(&namespace, &[CONFIG, &deployment("slow", SLOW, "")].concat());
    let name = namespace.name().to_owned();
    let waited = wait_while(wait(&connection, &applied, limits()), SOON, move || {
        namespace.kubectl(&["delete", "configmap/web"]).success();
    })
    .await;
    assert_eq!(
        waited.failure().to_string(),
        format!("ConfigMap '{name}/web' failed: it was deleted, not by this deployment")
    );
}
