//! An API server that is hard to reach.

use std::time::Duration;

use git_deploy_cluster::{NotReady, Progress, REQUEST_TIMEOUT};
use git_deploy_core::deployment::Blame;
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::Options;

use super::quiet;
use super::stage::{CONFIG, SLOW, apply, deployment, limits, short, wait, wait_while};
use crate::support::{admin, open};

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_cut_off_is_begun_again() {
    let cluster = cluster!();
    let namespace = cluster.namespace("network").create();
    let proxy = cluster.proxy();
    let connection = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    let applied = apply(&namespace, &deployment("slow", SLOW, ""));
    let waited = wait_while(wait(&connection, &applied, limits()), Duration::from_millis(500), move || {
        for _ in 0..10 {
            proxy.cut();
            std::thread::sleep(Duration::from_millis(300));
        }
        proxy
    })
    .await;
    assert_eq!(waited.result, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_gone_for_some_seconds_is_waited_for() {
    let cluster = cluster!();
    let namespace = cluster.namespace("network").create();
    let proxy = cluster.proxy();
    let connection = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    let applied = apply(&namespace, &deployment("slow", SLOW, ""));
    let waited = wait_while(wait(&connection, &applied, limits()), SOON, move || {
        proxy.refuse();
        std::thread::sleep(Duration::from_secs(8));
        proxy.resume();
        proxy
    })
    .await;
    assert_eq!(waited.result, Ok(Vec::new()));
    assert!(waited.took > Duration::from_secs(8), "{:?}", waited.took);
    let is_said = |told: &&Progress| matches!(told, Progress::Silent | Progress::Answers);
    let said: Vec<_> = waited.told.iter().filter(is_said).collect();
    assert_eq!(said, [&Progress::Silent, &Progress::Answers]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_silent_from_the_beginning_is_told_of_too() {
    let cluster = cluster!();
    let namespace = cluster.namespace("network").create();
    let proxy = cluster.proxy();
    let connection = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    let applied = apply(&namespace, &deployment("", "", ""));
    proxy.stall();
    let waited = wait(&connection, &applied, short(10)).await;
    assert!(matches!(waited.failure(), NotReady::Unreachable { .. }), "{:?}", waited.result);
    assert_eq!(waited.told, [Progress::Silent]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_has_to_be_there_is_looked_for_until_somebody_answers() {
    let cluster = cluster!();
    let namespace = cluster.namespace("network").create();
    let proxy = cluster.proxy();
    let connection = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    let applied = apply(&namespace, CONFIG);
    proxy.refuse();
    // For longer than one request is tried again.
    let waited = wait_while(wait(&connection, &applied, limits()), Duration::from_secs(22), move || {
        proxy.resume();
        proxy
    })
    .await;
    assert_eq!(waited.result, Ok(Vec::new()));
    assert!(waited.told.ends_with(&[Progress::Silent, Progress::Answers]), "{:?}", waited.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_went_silent_is_noticed_by_the_second_list() {
    let cluster = cluster!();
    let namespace = cluster.namespace("network").create();
    let proxy = quiet::Proxy::to(cluster.address());
    let connection = open(cluster, &cluster.kubeconfig_with(cluster.access().at(proxy.address()))).await;
    let applied = apply(&namespace, &deployment("slow", SLOW, ""));
    let waited = wait_while(wait(&connection, &applied, limits()), SOON, move || proxy.forget()).await;
    assert_eq!(waited.result, Ok(Vec::new()));
    // The pods were ready before that: of a watch that goes on somebody would have heard of it.
    assert!(waited.took > Duration::from_secs(10), "nothing came meanwhile: {:?}", waited.took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_killed_and_restarted_in_the_middle_changes_nothing() {
    let cluster = cluster!(Options::new());
    let namespace = cluster.namespace("network").create();
    let connection = admin(&cluster).await;
    let applied = apply(&namespace, &deployment("slow", SLOW, ""));
    let restarted = async {
        tokio::time::sleep(SOON).await;
        tokio::task::block_in_place(|| {
            cluster.api_server().kill();
            std::thread::sleep(Duration::from_secs(1));
            cluster.revive_api_server();
        });
    };
    let (waited, ()) = tokio::join!(
        async {
            let connection = connection.clone();
            let applied = applied.clone();
            tokio::spawn(async move { wait(&connection, &applied, limits()).await }).await.expect("no panic")
        },
        restarted
    );
    assert_eq!(waited.result, Ok(Vec::new()));

    // And one that does not come back is named as what was missing.
    let applied = apply(&namespace, &deployment("unready", "", ""));
    let lost = async {
        tokio::time::sleep(SOON).await;
        tokio::task::block_in_place(|| cluster.api_server().kill());
    };
    let waiting = tokio::spawn(async move { wait(&connection, &applied, short(12)).await });
    let (waited, ()) = tokio::join!(waiting, lost);
    let waited = waited.expect("no panic");
    let NotReady::Unreachable { what, silence, .. } = waited.failure() else { panic!("{:?}", waited.result) };
    assert!(what.contains("in namespace"), "{what}");
    assert!(*silence >= Duration::from_secs(3), "{silence:?}");
    assert_eq!(waited.failure().blame(), Blame::Nobody);
    // A single request is given up after 15 s, and tried again for longer.
    assert!(waited.took < Duration::from_secs(12) + REQUEST_TIMEOUT, "the time-out holds: {:?}", waited.took);
}
