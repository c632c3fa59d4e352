//! Somebody else at work in the middle of a deployment.

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::SET;
use git_deploy_testkit::{Running, cluster, sandbox};

use crate::lab::{Lab, Pods, config_map, deployment};

/// Starts a deployment, and waits until everything is applied.
fn until_verify(lab: &Lab<'_>) -> Running {
    let mut running = lab.start();
    running.wait_for_words("Verifying");
    running
}

#[test]
fn a_lease_that_somebody_deletes_ends_the_deployment_and_the_next_one_works() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployable("web", &deployment("web", "1", &Pods::Unready));
    let running = until_verify(&lab);
    lab.namespace.kubectl(&["delete", "lease", SET]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("lost Lease").stdout_contains("it was deleted");
    lab.failed("deployment-0001", "it was deleted");
    assert_eq!(lab.shop.state("web"), "deployable");
    lab.deployable("fine", &deployment("web", "2", &Pods::Ready));
    lab.deploy(&["fine"]).success();
    lab.succeeded("deployment-0002");
}

#[test]
fn a_lease_that_somebody_takes_ends_the_deployment() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployable("web", &deployment("web", "1", &Pods::Unready));
    let running = until_verify(&lab);
    lab.namespace
        .kubectl(&[
            "patch",
            "lease",
            SET,
            "-p",
            "{\"spec\":{\"holderIdentity\":\"somebody\",\"leaseTransitions\":99}}",
        ])
        .success();
    let output = running.wait();
    output.code_is(75).stdout_contains("lost Lease").stdout_contains("has taken it over");
    lab.failed("deployment-0001", "has taken it over");
    // Theirs until they are known to be gone.
    lab.deploy(&[]).code_is(75).stderr_contains("somebody");
    assert_eq!(lab.repo().tip("deployment-0002"), None);
}

#[test]
fn a_parent_that_somebody_deletes_ends_the_deployment() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployable("web", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&lab);
    lab.namespace.kubectl(&["delete", "configmap", SET]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("was deleted while it was in use");
    lab.failed("deployment-0001", "was deleted while it was in use");
    assert_eq!(lab.shop.state("web"), "deployable");
    lab.deploy(&[]).success();
    lab.succeeded("deployment-0002");
}

#[test]
fn what_others_write_beside_our_records_does_not_matter_and_stays() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployable("web", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&lab);
    lab.namespace.kubectl(&["label", "configmap", SET, "team=shop"]).success();
    lab.namespace.kubectl(&["annotate", "configmap", SET, "example.org/note=hello"]).success();
    lab.namespace.kubectl(&["label", "lease", SET, "team=shop"]).success();
    running.wait().success();
    lab.succeeded("deployment-0001");
    let parent = lab.parent().unwrap_or_default();
    assert_eq!(parent["metadata"]["labels"]["team"], "shop");
    assert_eq!(parent["metadata"]["annotations"]["example.org/note"], "hello");
}

#[test]
fn records_that_make_no_sense_end_the_deployment_and_are_named() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployable("web", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&lab);
    lab.namespace
        .kubectl(&["annotate", "--overwrite", "configmap", SET, "git-deploy/phase=\u{1b}[31mnonsense"])
        .success();
    let output = running.wait();
    output.code_is(75).stdout_contains("nonsense").stdout_contains("'git-deploy/phase'").lacks("\u{1b}");
    lab.failed("deployment-0001", "nonsense");
    lab.deploy(&[]).code_is(128).stderr_contains("'git-deploy/phase'").lacks("\u{1b}");
    lab.namespace.kubectl(&["annotate", "configmap", SET, "git-deploy/phase-"]).success();
    lab.deploy(&[]).success();
}

#[test]
fn an_object_that_somebody_deletes_while_it_is_waited_for_is_missed_at_once() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &deployment("web", "1", &Pods::Ready));
    lab.deployable("two", &deployment("web", "2", &Pods::Unready));
    let running = until_verify(&lab);
    lab.namespace.kubectl(&["delete", "deployment", "web"]).success();
    let output = running.wait();
    output.code_is(75).stdout_contains("/web'").stdout_contains("deleted");
    lab.failed("deployment-0002", "deleted");
    let live = lab.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:1");
    assert_eq!(lab.shop.state("two"), "deployable", "it is not the branch's fault");
}

#[test]
fn what_somebody_has_deleted_before_it_is_pruned_is_gone_all_the_same() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &[config_map("old", "a: b"), config_map("older", "a: b")].concat());
    lab.deployable("two", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&lab);
    lab.namespace.kubectl(&["delete", "configmap", "old"]).success();
    running.wait().success();
    lab.succeeded("deployment-0002");
    assert!(lab.namespace.find("configmap", "older").is_none());
}

#[test]
fn what_somebody_makes_anew_before_it_is_pruned_is_not_ours_to_delete() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &config_map("old", "a: b"));
    lab.deployable("two", &deployment("web", "1", &Pods::Slow("4s")));
    let running = until_verify(&lab);
    lab.namespace.kubectl(&["delete", "configmap", "old"]).success();
    lab.namespace.kubectl(&["create", "configmap", "old", "--from-literal=whose=theirs"]).success();
    running.wait().success();
    assert_eq!(lab.namespace.get("configmap", "old")["data"]["whose"], "theirs");
}

#[test]
fn what_does_not_go_holds_nothing_up_for_ever() {
    let lab = Lab::new(&sandbox!(), cluster!());
    let held = config_map("old", "a: b").replace("name: old", "name: old, finalizers: [example.org/held]");
    lab.deployed("one", &held);
    lab.deployable("two", &config_map("new", "a: b"));
    let running = lab.start();
    lab.wait_for_phase("pruning");
    eventually("it is being deleted", || {
        !lab.namespace.get("configmap", "old")["metadata"]["deletionTimestamp"].is_null()
    });
    lab.namespace
        .kubectl(&["patch", "configmap", "old", "-p", "{\"metadata\":{\"finalizers\":null}}"])
        .success();
    running.wait().success();
    lab.succeeded("deployment-0002");
    assert!(lab.namespace.find("configmap", "old").is_none());
}

#[test]
fn ctrl_c_while_it_waits_ends_at_once_and_says_what_stands() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployable("web", &deployment("web", "1", &Pods::Unready));
    let mut running = until_verify(&lab);
    let begin = std::time::Instant::now();
    running.interrupt();
    let output = running.wait();
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    output.code_is(130).stderr_contains("deployment-0001 is applying").stderr_contains("git deploy --abort");
    assert_eq!(lab.phase(), "applying");
    lab.deploy(&["--abort"]).code_is(1);
    lab.failed("deployment-0001", "aborted");
}
