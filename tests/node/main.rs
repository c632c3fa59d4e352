//! A cluster with a real node: what a pod is there, and that nothing is left of it.

mod crash;
mod flask;
mod load;
mod migration;
mod readme;
mod runner;
mod support;
mod traces;
mod web;

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use git_deploy_testkit::cluster::{Image, Namespace, NodeCluster, eventually};
use git_deploy_testkit::node_cluster;
use support::{assert_answers, manifests};
use traces::Traces;

/// Set where this program is to hold a cluster until it is killed.
const VICTIM: &str = "GIT_DEPLOY_TEST_NODE_VICTIM";

fn web_server(cluster: &NodeCluster, text: &str) -> String {
    let serve = "echo serving; exec /bin/busybox httpd -f -p 8080 -h /www";
    let image = Image::new(&format!("shop/web:{text}"))
        .file("www/index.html", text)
        .command(&["/bin/sh", "-c", serve]);
    cluster.push(&image)
}

fn wait_for_pods(namespace: &Namespace) {
    namespace.kubectl(&["rollout", "status", "deployment/web", "--timeout=50s"]).success();
}

#[test]
fn an_image_is_pulled_runs_and_answers_through_a_service() {
    let cluster = node_cluster!();
    let namespace = cluster.namespace("web").create();
    namespace.apply(&manifests(&web_server(cluster, "one")));
    wait_for_pods(&namespace);
    assert_answers(cluster, &namespace, "one");
    namespace.kubectl(&["logs", "deployment/web"]).success().stdout_is("serving\n");
    let exec = ["exec", "deployment/web", "--", "/bin/busybox", "cat", "/www/index.html"];
    namespace.kubectl(&exec).success().stdout_is("one");

    namespace.apply(&manifests(&web_server(cluster, "two")));
    wait_for_pods(&namespace);
    assert_answers(cluster, &namespace, "two");
}

#[test]
fn two_stand_side_by_side_and_of_the_one_that_ends_nothing_is_left() {
    let first = node_cluster!();
    let first_namespace = first.namespace("beside").create();
    first_namespace.apply(&manifests(&web_server(first, "first")));

    let machine = traces::machine();
    let second = node_cluster!(own);
    let traces = Traces::of(&second);
    let namespace = second.namespace("beside").create();
    namespace.apply(&manifests(&web_server(&second, "second")));
    for (cluster, namespace, text) in [(first, &first_namespace, "first"), (&second, &namespace, "second")] {
        wait_for_pods(namespace);
        assert_answers(cluster, namespace, text);
    }
    assert!(traces.processes().len() > 10, "pods, shims and programs: {:?}", traces.processes());
    assert!(!traces.cgroups().is_empty());
    assert!(traces.mounts().is_empty(), "the machine sees nothing of them: {:?}", traces.mounts());

    drop(second);
    traces.assert_gone();
    assert_eq!(traces::machine(), machine);
    assert_answers(first, &first_namespace, "first");
}

#[test]
fn programs_of_the_node_end_stand_still_and_come_back() {
    let cluster = node_cluster!(own);
    let registry = cluster.registry_program();
    registry.stop();
    assert!(cluster.connect(cluster.registry()).is_err(), "it listens after its end");
    registry.start();
    eventually("it listens again", || cluster.connect(cluster.registry()).is_ok());
    registry.restart();
    eventually("it listens again", || cluster.connect(cluster.registry()).is_ok());
    registry.pause();
    registry.resume();
    let namespace = cluster.namespace("again").create();
    cluster.kubelet().pause();
    namespace.apply(&manifests(&web_server(&cluster, "again")));
    let waited = namespace.kubectl(&["rollout", "status", "deployment/web", "--timeout=2s"]);
    assert_ne!(waited.code, Some(0), "nobody runs pods");
    cluster.kubelet().resume();
    wait_for_pods(&namespace);
    assert_answers(&cluster, &namespace, "again");
}

#[test]
fn of_a_cluster_whose_test_is_killed_nothing_is_left() {
    if env::var_os(VICTIM).is_some() {
        hold_a_cluster();
    }
    // Nothing is started for this, but it says whether there can be one.
    let name = "of_a_cluster_whose_test_is_killed_nothing_is_left";
    if let Err(missing) = NodeCluster::is_possible() {
        return git_deploy_testkit::cluster::no_cluster(name, &missing);
    }
    let machine = traces::machine();
    let mut victim = Command::new(env::current_exe().expect("has a path"))
        .args(["--exact", name, "--nocapture"])
        .env(VICTIM, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .expect("can be started again");
    let stdout = BufReader::new(victim.stdout.take().expect("is piped"));
    let traces = stdout.lines().map_while(Result::ok).find_map(|line| Traces::read(&line));
    let traces = traces.expect("it has started a cluster");
    assert!(!traces.processes().is_empty());
    victim.kill().expect("it lives");
    victim.wait().expect("it is ours");
    traces.assert_gone();
    assert_eq!(traces::machine(), machine);
}

/// Says how it is found, and waits to be killed.
fn hold_a_cluster() -> ! {
    let cluster = NodeCluster::start_own().expect("was asked before");
    let namespace = cluster.namespace("victim").create();
    namespace.apply(&manifests(&web_server(&cluster, "victim")));
    wait_for_pods(&namespace);
    // Its line begins where the harness has left one open.
    write!(io::stdout().lock(), "\n{}\n", Traces::of(&cluster)).expect("somebody reads it");
    thread::sleep(Duration::from_secs(300));
    panic!("nobody has killed it");
}
