//! What happens to a deployment when git moves while it is on its way: the cluster goes on, stays, or goes back.

use std::fs;

use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Running, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, service, yaml};

fn good() -> String {
    yaml(&[config_map("colours", "1"), service("web", "1"), deployment("web", "1")])
}

/// Another release, with pods that behave so.
fn release(behaviour: &str, annotations: Value) -> String {
    let web = behaving(deployment("web", "2"), behaviour, annotations);
    yaml(&[config_map("colours", "2"), service("web", "2"), web, config_map("more", "2")])
}

fn slow() -> String {
    release("slow", json!({ "test.git-deploy/after": "2s" }))
}

/// The good release stands; the deployment of the next is under way, and its pods are waited for.
fn met_while_it_verifies(shop: &ClusterShop<'_>, next: &str) -> Running {
    shop.release("good", &[(MANIFEST, &good())]);
    shop.deploy(&[]).success();
    shop.release("next", &[(MANIFEST, next)]);
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_words("Verifying");
    running
}

/// Somebody else's commit on base.
fn move_base(shop: &ClusterShop<'_>, path: &str, text: &str) -> String {
    let other = shop.authority().clone_to("other");
    let hotfix = other.commit(path, text, "Fix it at once");
    other.git(&["push", "--quiet", "origin", "master"]);
    hotfix
}

#[test]
fn when_base_moved_the_branch_goes_on_under_the_next_number_without_going_back() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "landing").with_remote(&sandbox!());
    let running = met_while_it_verifies(&shop, &slow());
    let hotfix = move_base(&shop, "deploy/hotfix.yaml", &yaml(&[config_map("hotfix", "1")]));
    let output = running.wait();
    output.success().stdout_contains("deployment-0003: Successfully Deployed");
    output.stderr_contains("base moved").lacks("Restoring");
    assert!(shop.tag("deployment-0002").contains("Result: failure\nReason: base moved\n"));
    assert_eq!(shop.authority().id("master^"), hotfix);
    let expected =
        ["ConfigMap colours", "ConfigMap hotfix", "ConfigMap more", "Deployment web", "Service web"];
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), expected);
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "2");
    shop.is_sound();
}

#[test]
fn when_base_moved_and_the_branch_no_longer_rebases_the_cluster_goes_back() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "landing").setting("timeout = \"60s\"").with_remote(&sandbox!());
    let running = met_while_it_verifies(&shop, &slow());
    let hotfix = move_base(&shop, MANIFEST, &yaml(&[deployment("web", "hotfix")]));
    let output = running.wait();
    output.code_is(1).stderr_contains("broken").stderr_contains("Restoring what deployment-0001 had applied");
    assert!(shop.tag("deployment-0002").contains("Result: failure\nReason: base moved"));
    assert_eq!(shop.state("next"), "broken");
    assert_eq!(shop.authority().id("master"), hotfix);
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "1");
    assert_eq!(shop.namespace.find("configmap", "more"), None);
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
}

#[test]
fn a_withdrawal_that_comes_while_pods_are_waited_for_comes_too_late_and_is_told_so() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "landing").with_remote(&sandbox!());
    let running = met_while_it_verifies(&shop, &slow());
    let other = shop.authority().clone_to("other");
    other.deploy("deploy-sync", &[]);
    let withdrawn = other.try_deploy("deploy-state", &["set", "staged", "next"]);
    let output = running.wait();
    output.success().stdout_contains("deployment-0002: Successfully Deployed");
    output.stderr_contains("that came too late");
    assert_eq!(shop.state("next"), "deployed", "{withdrawn}");
    shop.is_sound();
}

#[test]
fn what_is_ready_while_the_remote_is_gone_is_verified_and_landed_by_the_next_run() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "landing").with_remote(&sandbox!());
    let running = met_while_it_verifies(&shop, &slow());
    let (here, away) = (shop.authority().path().to_owned(), shop.authority().path().with_extension("away"));
    fs::rename(&here, &away).unwrap();
    running.wait().code_is(75).stderr_contains("deployment-0002 is verified, not landed");
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "2");
    assert_eq!(shop.phase(), "verified");
    fs::rename(&away, &here).unwrap();
    shop.deploy(&["--continue"]).success().stdout_contains("deployment-0002: Successfully Deployed");
    assert_eq!(shop.authority().id("master"), shop.authority().id("next"));
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
}

#[test]
fn what_fails_while_the_remote_is_gone_goes_back_and_the_verdict_is_pushed_by_the_next_run() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "landing").setting("timeout = \"15s\"").with_remote(&sandbox!());
    let running = met_while_it_verifies(&shop, &release("unready", json!({})));
    let (here, away) = (shop.authority().path().to_owned(), shop.authority().path().with_extension("away"));
    fs::rename(&here, &away).unwrap();
    let output = running.wait();
    output.code_is(70).stdout_contains("deployment-0002: Failed Deployment").stderr_contains("only here");
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "1");
    assert_eq!(shop.namespace.find("configmap", "more"), None);
    assert_eq!(shop.phase(), "done");
    shop.lease_is_free();
    let tag = shop.repo.id("refs/tags/deployment-0002");
    fs::rename(&away, &here).unwrap();
    assert_eq!(shop.authority().tip("refs/tags/deployment-0002"), None);
    shop.deploy(&[]).code_is(70).stdout_contains("deployment-0002: Failed Deployment");
    assert_eq!(shop.authority().id("refs/tags/deployment-0002"), tag);
    assert_eq!(shop.state("next"), "staged");
    shop.is_sound();
}

#[test]
fn who_cannot_write_down_how_far_it_has_come_leaves_nothing_that_others_wait_for() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "landing").with_remote(&sandbox!());
    shop.release("web", &[(MANIFEST, &good())]);
    let is_applying = "git cat-file -p \"$3\" | grep -q '^phase: applying' && exit 1";
    let hook = format!("case $1 in refs/deploy/attempts/*) {is_applying} ;; esac\nexit 0");
    shop.authority().install_hook("update", &hook);
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("deployment-0001 stays where it is (claimed): ");
    output.stderr_contains("go on with: git deploy --continue");
    shop.lease_is_free();
    assert_eq!(shop.authority().git(&["for-each-ref", "refs/deploy/lock"]).stdout, "", "{output}");
    assert!(shop.namespace.find("deployment", "web").is_none(), "nothing is done that is not written down");
    shop.authority().remove_hook("update");
    // What was given back is nobody's: another clone needs to watch nobody for dead.
    shop.authority().clone_to("other").command("git-deploy").output().success();
    shop.succeeded("deployment-0001");
    shop.is_sound();
}
