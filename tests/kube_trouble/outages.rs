//! A cluster, or the way to it, that goes away in the middle.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use git_deploy_testkit::cluster::{Cluster, Options, eventually};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};

use crate::moments::{
    MOMENTS, Moment, first, image, is_over, is_whole, let_go, many, second, slow_way, until,
};
use crate::support::{Pods, config_map, deployment, open, open_with};

#[test]
fn an_api_server_that_is_killed_and_comes_back_delays_a_deployment_in_every_phase() {
    let cluster = cluster!(Options::new());
    // Administrators are known as such also while the rules are not read yet.
    let binding = ["create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice"];
    cluster.kubectl(&binding).success();
    for moment in MOMENTS {
        // Controllers that lost their API server take up to half a minute to look for it again.
        let shop = open_with(&sandbox!(), &cluster, "timeout = \"2m\"");
        shop.deploy_more("one", &first());
        shop.release_more("two", &second(moment));
        let proxy = slow_way(&shop, cluster.proxy(), moment);
        let shop = shop.by(cluster.kubeconfig_with(cluster.access().as_user("alice").at(proxy.address())));
        let running = until(&shop, moment);
        cluster.api_server().kill();
        cluster.revive_api_server();
        let_go(&shop);
        let output = running.wait();
        is_over(&shop, moment, &output);
        let there = shop.namespace.find("configmap", "old").is_some();
        assert_eq!(there, moment != Moment::Prune, "{moment:?}");
    }
}

#[test]
fn a_cluster_that_stays_away_leaves_a_deployment_without_a_verdict_in_every_phase_and_it_goes_on_from_there()
{
    let cluster = cluster!();
    // Each waits for long, and has a network of its own.
    thread::scope(|scope| {
        for moment in MOMENTS {
            scope.spawn(move || stays_away(cluster, moment));
        }
    });
}

fn stays_away(cluster: &Cluster, moment: Moment) {
    let shop = open(&sandbox!(), cluster);
    shop.deploy_more("one", &first());
    // As long as a silent cluster is waited for.
    shop.set_timeout("20s");
    shop.release_more("two", &second(moment));
    let proxy = slow_way(&shop, cluster.proxy(), moment);
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    let running = until(&shop, moment);
    proxy.refuse();
    is_left_open(&shop, moment, &running.wait());
    if moment == Moment::Failed {
        let attempt = shop.repo.git(&["log", "-1", "--format=%B", "refs/deploy/attempts/deployment-0002"]);
        attempt.stdout_contains("\nresult: failure\n").stdout_contains("\nreason: verify: ");
    }
    is_left_open(&shop, moment, &shop.deploy(&["--continue"]));
    shop.repo.try_deploy("deploy-queue", &[]).lacks("degraded");
    proxy.set_delay(Duration::ZERO);
    proxy.resume();
    let_go(&shop);
    let output = shop.deploy(&["--continue"]);
    is_over(&shop, moment, &output);
    shop.lease_is_free();
}

/// Nothing was decided, and what is said to be done about it is what works.
fn is_left_open(shop: &ClusterShop<'_>, moment: Moment, output: &Output) {
    assert_eq!(output.code, Some(75), "{moment:?}\n{output}");
    let stays = format!("error: deployment-0002 stays where it is ({}): ", moment.phase());
    output.stderr_contains(&stays).lacks("Failed Deployment").lacks("not gone back");
    output.stderr_contains("hint: when that is over, go on with: git deploy --continue");
    output.stderr_contains("hint: if the cluster is gone for good, give up with: git deploy --abort");
    assert_eq!(shop.repo.tip("refs/tags/deployment-0002"), None, "{moment:?}\n{output}");
    assert_eq!(shop.state("two"), "deployable", "{moment:?}\n{output}");
    assert_eq!(shop.repo.git(&["for-each-ref", "refs/deploy/lock"]).stdout, "", "{moment:?}\n{output}");
}

#[test]
fn a_cluster_that_is_back_in_time_is_waited_for_in_every_phase_also_when_the_lease_has_expired() {
    let cluster = cluster!();
    thread::scope(|scope| {
        for moment in MOMENTS {
            scope.spawn(move || is_back_in_time(cluster, moment));
        }
    });
}

fn is_back_in_time(cluster: &Cluster, moment: Moment) {
    let shop = open(&sandbox!(), cluster);
    shop.deploy_more("one", &first());
    shop.release_more("two", &second(moment));
    let proxy = slow_way(&shop, cluster.proxy(), moment);
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    let running = until(&shop, moment);
    proxy.refuse();
    // A request is tried again for 20 s, and a Lease stands for 60.
    thread::sleep(Duration::from_secs(65));
    proxy.set_delay(Duration::ZERO);
    proxy.resume();
    let_go(&shop);
    let output = running.wait();
    is_over(&shop, moment, &output);
    // A wait goes on, anything else is done again.
    if moment != Moment::Verify {
        output.stderr_contains("Resuming deployment-0002, now that the environment answers");
    }
    shop.lease_is_free();
}

#[test]
fn a_runner_says_once_that_its_cluster_is_away_and_goes_on_by_itself_when_it_is_back() {
    let cluster = cluster!();
    let shop = open_with(&sandbox!(), cluster, "timeout = \"10s\"");
    let proxy = cluster.proxy();
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("2s")));
    let runner = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]);
    let mut runner = runner.env("KUBECONFIG", cluster.kubeconfig_through(&proxy)).start();
    runner.wait_for_words("verifying");
    proxy.refuse();
    runner.wait_for_words("the queue waits; tried again in 20 s");
    assert_eq!(shop.repo.tip("refs/tags/deployment-0001"), None);
    proxy.resume();
    runner.wait_for_words("deployment-0001: Successfully Deployed");
    runner.terminate();
    let output = runner.wait();
    shop.succeeded("deployment-0001");
    assert_eq!(shop.state("web"), "deployed");
    // A way that is cut says that in more than one way.
    let errors = output.stderr.lines().filter_map(|line| line.split_once(" error: ")).map(|(_, error)| error);
    let (errors, mut told) = (errors.collect::<Vec<_>>(), BTreeSet::new());
    assert!(errors.iter().all(|error| told.insert(*error)), "{output}");
    let begin = "deployment-0001 stays where it is (applying): ";
    assert!(errors.len() > 1 && errors.iter().all(|error| error.starts_with(begin)), "{output}");
}

#[test]
fn time_in_which_a_cluster_does_not_answer_takes_nothing_from_a_rollout() {
    let cluster = cluster!();
    let shop = open_with(&sandbox!(), cluster, "timeout = \"20s\"");
    let proxy = cluster.proxy();
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("23s")));
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    proxy.refuse();
    thread::sleep(Duration::from_secs(13));
    proxy.resume();
    running.wait().success();
    shop.succeeded("deployment-0001");
}

#[test]
fn another_clone_goes_on_with_what_was_left_when_the_cluster_went_away() {
    let cluster = cluster!();
    let namespace = cluster.namespace("trouble").create();
    let shop = in_cluster(cluster, "shop")
        .into_namespace(namespace)
        .setting("timeout = \"10s\"")
        .with_remote(&sandbox!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("2s")));
    let proxy = cluster.proxy();
    let ours = || shop.repo.command("git-deploy").env("KUBECONFIG", cluster.kubeconfig_through(&proxy));
    let mut running = ours().start();
    running.wait_for_words("Verifying");
    proxy.refuse();
    running.wait().code_is(75).stderr_contains("Leaving deployment-0001 to whoever goes on");
    assert_eq!(shop.authority().git(&["for-each-ref", "refs/deploy/lock"]).stdout, "");
    // Nobody there can tell whether it lives: its Lease has to stand still for as long as it may.
    shop.holder_was_elsewhere(5);
    let other = shop.authority().clone_to("other");
    other.command("git-deploy").output().code_is(75).stderr_contains("deploys just now");
    proxy.resume();
    eventually("the other one takes it over", || other.command("git-deploy").output().code == Some(0));
    shop.succeeded("deployment-0001");
    ours().output().success().stdout_contains("deployment-0001: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn a_cluster_that_goes_away_before_it_lands_is_verified_and_not_landed() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    let proxy = cluster.proxy();
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    shop.release_more("web", &deployment("web", "1", &Pods::Ready));
    let (reached, go) = (shop.repo.sandbox().root().join("reached"), shop.repo.sandbox().root().join("go"));
    // Holds the run where the attempt says that all is verified.
    shop.repo.install_hook(
        "reference-transaction",
        &format!(
            "[ \"$1\" = committed ] || exit 0\nwhile read -r old new ref; do\n  case $ref in refs/deploy/attempts/*) ;; *) continue ;; esac\n  git cat-file -p \"$new\" | grep -q 'phase: verified' || continue\n  : >'{}'\n  while [ ! -e '{}' ]; do sleep 0.05; done\ndone",
            reached.display(),
            go.display()
        ),
    );
    let base = shop.repo.id("master");
    let mut running = shop.start();
    running.wait_for_file(&reached);
    proxy.refuse();
    std::fs::write(&go, "").unwrap();
    let output = running.wait();
    output.code_is(75).stderr_contains("deployment-0001 is verified, not landed: ");
    assert_eq!(shop.repo.git(&["for-each-ref", "refs/deploy/lock"]).stdout, "", "{output}");
    output.stderr_contains("git deploy --continue");
    assert_eq!(shop.repo.id("master"), base);
    assert_eq!(shop.repo.tip("refs/tags/deployment-0001"), None);
    shop.deploy(&["--continue"]).code_is(75);
    proxy.resume();
    shop.deploy(&["--continue"]).success();
    shop.succeeded("deployment-0001");
    assert_ne!(shop.repo.id("master"), base);
    assert_eq!(shop.state("web"), "deployed");
}

#[test]
fn connections_that_are_cut_again_and_again_do_not_matter() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    let proxy = cluster.proxy();
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    shop.deploy_more("one", &[many("first"), deployment("web", "1", &Pods::Ready)].concat());
    shop.release_more("two", &[many("second"), deployment("web", "2", &Pods::Slow("2s"))].concat());
    let running = shop.start();
    let done = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(250));
                proxy.cut();
            }
        });
        let output = running.wait();
        done.store(true, Ordering::SeqCst);
        output
    });
    output.success();
    shop.succeeded("deployment-0002");
    is_whole(&shop, "second");
}

#[test]
fn a_watch_that_goes_silent_is_not_trusted() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    let proxy = cluster.proxy();
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("3s")));
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    thread::sleep(Duration::from_secs(1));
    proxy.freeze();
    // Who trusts it does not hear that the pods are ready before the time is over.
    running.wait().success();
    shop.succeeded("deployment-0001");
}

#[test]
fn a_network_that_stands_still_for_a_while_only_delays() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    let proxy = cluster.proxy();
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("3s")));
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    proxy.stall();
    thread::sleep(Duration::from_secs(8));
    proxy.resume();
    running.wait().success();
    shop.succeeded("deployment-0001");
}

#[test]
fn a_silence_is_told_in_every_phase_and_that_it_is_over() {
    let cluster = cluster!();
    let shop = open(&sandbox!(), cluster);
    shop.deploy_more("one", &first());
    shop.release_more("two", &second(Moment::Prune));
    let proxy = slow_way(&shop, cluster.proxy(), Moment::Prune);
    let shop = shop.by(cluster.kubeconfig_through(&proxy));
    let mut running = until(&shop, Moment::Prune);
    proxy.stall();
    running.wait_for_words("warning: the cluster does not answer; still trying");
    proxy.resume();
    running.wait_for_words("the cluster answers again");
    let_go(&shop);
    running.wait().success();
    shop.succeeded("deployment-0002");
}

#[test]
fn a_time_out_is_told_apart_from_a_failure() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &deployment("web", "1", &Pods::Ready));
    shop.set_timeout("4s");
    shop.release_more("two", &deployment("web", "2", &Pods::Unready));
    let output = shop.deploy(&[]);
    output.code_is(70).stdout_contains("not ready after 4 s");
    shop.failed("deployment-0002", "not ready after 4 s");
    assert_eq!(image(&shop), "registry.example.org/web:1");
}

#[test]
fn too_many_requests_are_sent_again_when_the_server_wants_them() {
    let options = Options::new()
        .api_server_flag("--enable-priority-and-fairness=false")
        .api_server_flag("--max-mutating-requests-inflight=2")
        .api_server_flag("--max-requests-inflight=3");
    let cluster = cluster!(options);
    // Administrators are never told to wait.
    let binding = ["create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice"];
    cluster.kubectl(&binding).success();
    let shop = open(&sandbox!(), &cluster);
    let shop = shop.by(cluster.kubeconfig_for("alice"));
    let all: String = (0..120).map(|number| config_map(&format!("n{number}"), "a: b")).collect();
    eventually("the binding has taken effect", || {
        let path = cluster.kubeconfig_for("alice");
        cluster
            .kubectl(&[
                "--kubeconfig",
                path.to_str().expect("a temporary directory in UTF-8"),
                "get",
                "nodes",
            ])
            .code
            == Some(0)
    });
    shop.release_more("many", &all);
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0001");
    let mut of_ours: Vec<_> = cluster.audit().into_iter().filter(|event| event.is_ours()).collect();
    let refused = of_ours.iter().filter(|event| event.code == 429).count();
    assert!(refused > 0, "nobody was told to wait, so nothing is shown");
    // The same request does not come again before the second is over that the server asked for.
    of_ours.sort_by(|a, b| (&a.uri, &a.verb, &a.received).cmp(&(&b.uri, &b.verb, &b.received)));
    let mut obeyed = 0;
    for pair in of_ours.windows(2) {
        let same = pair[0].uri == pair[1].uri && pair[0].verb == pair[1].verb && pair[0].code == 429;
        if same && pair[0].verb == "patch" {
            let pause = seconds(&pair[1].received) - seconds(&pair[0].received);
            assert!(!(0.0..0.9).contains(&pause), "{pause}\n{pair:#?}");
            obeyed += 1;
        }
    }
    assert!(obeyed > 0, "no apply was sent again");
}

/// The seconds of a time of day such as `2026-11-20T21:30:01.123456Z`, minutes included.
fn seconds(time: &str) -> f64 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<f64>().expect("digits");
    number(11..13) * 3600.0
        + number(14..16) * 60.0
        + time[17..].trim_end_matches('Z').parse::<f64>().expect("a number")
}
