//! A cluster that comes back, and does not know yet who may do what.

use std::thread;
use std::time::Duration;

use git_deploy_testkit::cluster::{Cluster, eventually};
use git_deploy_testkit::{cluster, sandbox};

use crate::moments::{MOMENTS, Moment, first, is_over, let_go, second, slow_way, until};
use crate::support::{config_map, open};

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
