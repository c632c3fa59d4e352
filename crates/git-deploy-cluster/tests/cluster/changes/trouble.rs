//! An API server that is in trouble, and how many requests it is sent.

use std::fmt::Write as _;
use std::time::Duration;

use git_deploy_cluster::{ApiErrorKind, PlanProblem, plan};
use git_deploy_core::deployment::Blame;
use git_deploy_core::environment::Effect;
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::{Cluster, Options, eventually};

use super::lab::{Lab, config_map, deployment};
use crate::support::try_open;

fn services(count: usize, version: &str) -> String {
    (0..count).fold(String::new(), |mut all, number| {
        let name = format!("service-{number}");
        let web = deployment(&name, "replicas: 2", &format!("serviceAccountName: {name}"), "")
            .replace("web:1", &format!("web:{version}"));
        let _ = write!(
            all,
            "{web}{}apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ selector: {{ app: {name} }}, ports: [{{ port: 80 }}] }}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{ name: {name} }}\n---\n",
            config_map(&name, &format!("version: '{version}'")),
        );
        all
    })
}

#[tokio::test]
async fn no_more_is_asked_than_must_be() {
    let lab = Lab::new(cluster!(), "calls").await;
    lab.resources().await;
    assert_eq!(lab.connection.calls(), 1 + 2, "one to greet, two for the kinds");
    let all = services(5, "1");
    lab.deploy(&all).await;
    (0..5).for_each(|number| lab.wait_until_ready(&format!("service-{number}")));
    let before = lab.connection.calls();
    assert!(lab.effects(&all).await.iter().all(|(effect, _)| *effect == Effect::Keep));
    // Twice the kinds, a list of each of four kinds, and one of the autoscalers: what stands there is as it is wanted.
    assert_eq!(lab.connection.calls() - before, 2 * 2 + 4 + 1);
    let before = lab.connection.calls();
    lab.deploy(&services(5, "2")).await;
    assert_eq!(lab.connection.calls() - before, 2 * 2 + 4 + 1 + 10 + 10, "ten objects are tried and applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_restarted_meanwhile_is_waited_for() {
    let own: &'static Cluster = Box::leak(Box::new(cluster!(Options::new())));
    let lab = Lab::new(own, "restart").await;
    let all = services(5, "1");
    let planned = lab.plan(&all).await.unwrap();
    own.api_server().kill();
    let restart = tokio::task::spawn_blocking(|| {
        std::thread::sleep(Duration::from_secs(1));
        own.api_server().start();
    });
    let applied = lab.apply(&planned).await.unwrap();
    restart.await.unwrap();
    assert_eq!(applied.len(), 20);
    assert!(lab.effects(&all).await.iter().all(|(effect, _)| *effect == Effect::Keep));

    // One that stays away is one clear failure that is nobody's fault, and nothing is tried twenty times over.
    let (targets, resources) = (lab.targets(&all).await, lab.resources().await);
    own.api_server().kill();
    let before = lab.connection.calls();
    let error = plan(&lab.connection, &resources, &lab.set(), &targets, &lab.options).await.unwrap_err();
    let [PlanProblem::List(list)] = error.problems.as_slice() else { panic!("{error}") };
    assert_eq!((list.why.kind(), error.blame()), (&ApiErrorKind::Unreachable, Blame::Nobody), "{error}");
    let tries = lab.connection.calls() - before;
    assert!(tries < 100, "{tries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_is_dropped_sends_nothing_more() {
    let cluster = cluster!();
    let proxy = cluster.proxy();
    let mut lab = Lab::new(cluster, "dropped").await;
    let all: String = (0..100).map(|number| config_map(&format!("colours-{number}"), "a: b")).collect();
    let planned = lab.plan(&all).await.unwrap();
    proxy.set_delay(Duration::from_millis(100));
    lab.connection = try_open(&cluster.kubeconfig_through(&proxy)).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(300), lab.apply(&planned)).await;
    assert!(dropped.is_err(), "it had the time to end");
    let there = || lab.namespace.list("configmaps").len();
    // What was under way may still arrive.
    eventually("nothing more comes", || {
        let before = there();
        std::thread::sleep(Duration::from_secs(1));
        there() == before
    });
    assert!(there() < 80, "{}", there());
}
