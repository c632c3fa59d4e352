//! A cluster that comes back, and does not know yet who may do what, or of which one server does not.

use std::thread;
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Cluster, eventually};
use git_deploy_testkit::{cluster, sandbox};

use crate::moments::{MOMENTS, Moment, first, is_over, let_go, second, slow_way, until};
use crate::support::{Pods, config_map, deployment, open};

#[test]
fn a_cluster_that_comes_back_and_refuses_everybody_at_first_gives_no_verdict_in_any_phase() {
    let cluster = cluster!();
    thread::scope(|scope| {
        for moment in MOMENTS {
            scope.spawn(move || refuses_everybody_at_first(cluster, moment));
        }
    });
}

fn refuses_everybody_at_first(cluster: &Cluster, moment: Moment) {
    let shop = open(&sandbox!(), cluster);
    shop.deploy_more("one", &first());
    shop.release_more("two", &second(moment));
    let front = cluster.front();
    let proxy = slow_way(&shop, front.proxy(), moment);
    let shop = shop.by(cluster.kubeconfig_with(cluster.access().plainly_at(proxy.address())));
    let running = until(&shop, moment);
    front.starts();
    proxy.refuse();
    thread::sleep(Duration::from_secs(5));
    proxy.set_delay(Duration::ZERO);
    proxy.resume();
    eventually("somebody is refused", || front.refused() > 0);
    // Longer than a request is tried again.
    thread::sleep(Duration::from_secs(18));
    front.runs();
    let_go(&shop);
    is_over(&shop, moment, &running.wait());
    shop.lease_is_free();
}

#[test]
fn a_cluster_that_is_not_ready_yet_is_waited_for_a_moment_and_blames_nobody() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    let front = cluster.front();
    let proxy = front.proxy();
    let shop = shop.by(cluster.kubeconfig_with(cluster.access().plainly_at(proxy.address())));
    shop.release_more("web", &config_map("more", "a: b"));
    front.starts();
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("the cluster is not ready yet").lacks("Failed Deployment");
    shop.claimed_nothing();
    let mut running = shop.start();
    running.wait_for_words("the cluster is not ready yet");
    front.runs();
    running.wait().success();
    shop.succeeded("deployment-0001");
}

#[test]
fn what_one_of_several_servers_refuses_that_is_not_ready_decides_nothing() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    let front = cluster.front();
    let proxy = front.proxy();
    let shop = shop.by(cluster.kubeconfig_with(cluster.access().plainly_at(proxy.address())));
    front.is_several();
    shop.deploy_more("one", &first());
    shop.release_more("two", &second(Moment::Failed));
    is_over(&shop, Moment::Failed, &shop.deploy(&[]));
    shop.release_more("three", &deployment("web", "3", &Pods::Slow("3s")));
    let_go(&shop);
    shop.deploy(&["three"]).success();
    shop.succeeded("deployment-0003");
    assert!(front.refused() > 20, "only {} times", front.refused());
    shop.lease_is_free();
}

#[test]
fn a_kind_that_is_not_there_is_a_verdict_soon_also_where_nobody_is_told_whether_the_cluster_is_ready() {
    let cluster = cluster!();
    thread::scope(|scope| {
        // Only who says that it is not ready is waited for, for 30 seconds.
        for (readiness, patience) in [(403, 28), (404, 28), (500, 120)] {
            scope.spawn(move || {
                let shop = open(&sandbox!(), cluster);
                let front = cluster.front();
                front.says_of_readiness(readiness);
                let proxy = front.proxy();
                let shop = shop.by(cluster.kubeconfig_with(cluster.access().plainly_at(proxy.address())));
                shop.release_more("more", &config_map("more", "a: b").replace("ConfigMap", "ConfigMop"));
                let begun = Instant::now();
                let output = shop.deploy(&[]);
                output.code_is(1).stdout_contains("the cluster does not know the kind 'ConfigMop' of 'v1'");
                assert!(
                    begun.elapsed() < Duration::from_secs(patience),
                    "{readiness}: {:?}",
                    begun.elapsed()
                );
                assert_eq!(shop.state("more"), "staged", "{readiness}\n{output}");
                let says_so = output.stdout.contains("; the cluster says that it is not ready");
                assert_eq!(says_so, readiness == 500, "{output}");
            });
        }
    });
}
