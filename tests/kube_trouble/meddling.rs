//! Somebody else at work in the middle of a deployment.

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::{ClusterShop, SET};
use git_deploy_testkit::{Output, Running, cluster, sandbox};

use crate::support::{Pods, config_map, deployment, open};

/// Starts a deployment, and waits until everything is applied.
fn until_verify(shop: &ClusterShop<'_>) -> Running {
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    running
}

/// It has ended without a verdict: whoever holds the environment is to say what becomes of it.
fn lost_its_lease(shop: &ClusterShop<'_>, output: &Output, why: &str) {
    output.code_is(75).stderr_contains("deployment-0001 stays where it is (applying): verify: lost Lease");
    output.stderr_contains(why).lacks("Failed Deployment");
    assert_eq!(shop.repo.tip("refs/tags/deployment-0001"), None);
    assert_eq!(shop.state("web"), "deployable");
}

#[test]
fn a_lease_that_somebody_deletes_ends_the_run_and_the_next_one_goes_on() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("25s")));
    let running = until_verify(&shop);
    shop.namespace.kubectl(&["delete", "lease", SET]).success();
    lost_its_lease(&shop, &running.wait(), "it was deleted");
    shop.deploy(&["--continue"]).success();
    shop.succeeded("deployment-0001");
}

#[test]
fn a_lease_that_somebody_takes_ends_the_run() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Unready));
    let running = until_verify(&shop);
    shop.namespace
        .kubectl(&[
            "patch",
            "lease",
            SET,
            "-p",
            "{\"spec\":{\"holderIdentity\":\"somebody\",\"leaseTransitions\":99}}",
        ])
        .success();
    lost_its_lease(&shop, &running.wait(), "has taken it over");
    // Theirs until they are known to be gone.
    shop.deploy(&[]).code_is(75).stderr_contains("somebody");
    assert_eq!(shop.repo.tip("deployment-0001"), None);
}

#[test]
fn a_parent_that_somebody_deletes_ends_the_deployment() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&shop);
    shop.namespace.kubectl(&["delete", "configmap", SET]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("was deleted while it was in use");
    shop.failed("deployment-0001", "was deleted while it was in use");
    assert_eq!(shop.state("web"), "deployable");
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0002");
}

#[test]
fn what_others_write_beside_our_records_does_not_matter_and_stays() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&shop);
    shop.namespace.kubectl(&["label", "configmap", SET, "team=shop"]).success();
    shop.namespace.kubectl(&["annotate", "configmap", SET, "example.org/note=hello"]).success();
    shop.namespace.kubectl(&["label", "lease", SET, "team=shop"]).success();
    running.wait().success();
    shop.succeeded("deployment-0001");
    let parent = shop.parent();
    assert_eq!(parent["metadata"]["labels"]["team"], "shop");
    assert_eq!(parent["metadata"]["annotations"]["example.org/note"], "hello");
}

#[test]
fn records_that_make_no_sense_end_the_deployment_and_are_named() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&shop);
    shop.namespace
        .kubectl(&["annotate", "--overwrite", "configmap", SET, "git-deploy/phase=\u{1b}[31mnonsense"])
        .success();
    let output = running.wait();
    output.code_is(75).stdout_contains("nonsense").stdout_contains("'git-deploy/phase'").lacks("\u{1b}");
    shop.failed("deployment-0001", "nonsense");
    shop.deploy(&[]).code_is(128).stderr_contains("'git-deploy/phase'").lacks("\u{1b}");
    shop.namespace.kubectl(&["annotate", "configmap", SET, "git-deploy/phase-"]).success();
    shop.deploy(&[]).success();
}

#[test]
fn an_object_that_somebody_deletes_while_it_is_waited_for_is_missed_at_once() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &deployment("web", "1", &Pods::Ready));
    shop.release_more("two", &deployment("web", "2", &Pods::Unready));
    let running = until_verify(&shop);
    shop.namespace.kubectl(&["delete", "deployment", "web"]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("/web'").stdout_contains("deleted");
    shop.failed("deployment-0002", "deleted");
    let live = shop.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:1");
    assert_eq!(shop.state("two"), "deployable", "it is not the branch's fault");
}

#[test]
fn what_somebody_has_deleted_before_it_is_pruned_is_gone_all_the_same() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &[config_map("old", "a: b"), config_map("older", "a: b")].concat());
    shop.release_more("two", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&shop);
    shop.namespace.kubectl(&["delete", "configmap", "old"]).success();
    running.wait().success();
    shop.succeeded("deployment-0002");
    assert!(shop.namespace.find("configmap", "older").is_none());
}

#[test]
fn what_somebody_makes_anew_before_it_is_pruned_is_not_ours_to_delete() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &config_map("old", "a: b"));
    shop.release_more("two", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&shop);
    shop.namespace.kubectl(&["delete", "configmap", "old"]).success();
    shop.namespace.kubectl(&["create", "configmap", "old", "--from-literal=whose=theirs"]).success();
    running.wait().success();
    assert_eq!(shop.namespace.get("configmap", "old")["data"]["whose"], "theirs");
}

#[test]
fn what_does_not_go_holds_nothing_up_for_ever() {
    let shop = open(&sandbox!(), cluster!());
    let held = config_map("old", "a: b").replace("name: old", "name: old, finalizers: [example.org/held]");
    shop.deploy_more("one", &held);
    shop.release_more("two", &config_map("new", "a: b"));
    let running = shop.start();
    shop.wait_for_phase("pruning");
    eventually("it is being deleted", || {
        !shop.namespace.get("configmap", "old")["metadata"]["deletionTimestamp"].is_null()
    });
    shop.namespace
        .kubectl(&["patch", "configmap", "old", "-p", "{\"metadata\":{\"finalizers\":null}}"])
        .success();
    running.wait().success();
    shop.succeeded("deployment-0002");
    assert!(shop.namespace.find("configmap", "old").is_none());
}

#[test]
fn ctrl_c_while_it_waits_ends_at_once_and_says_what_stands() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Unready));
    let mut running = until_verify(&shop);
    let begin = std::time::Instant::now();
    running.interrupt();
    let output = running.wait();
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    output.code_is(130).stderr_contains("deployment-0001 is applying").stderr_contains("git deploy --abort");
    assert_eq!(shop.phase(), "applying");
    shop.deploy(&["--abort"]).code_is(1);
    shop.failed("deployment-0001", "aborted");
}
