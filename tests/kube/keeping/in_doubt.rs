//! In doubt nothing is deleted: not by who goes back, and not between two deployments.

use git_deploy_testkit::shop::{SET, in_cluster};
use git_deploy_testkit::{cluster, sandbox, skip};
use serde_json::json;

use super::{age, list, names, opened, opening, release, run_queue, since, write_list};
use crate::support::{behaving, config_map, deployment};

#[test]
fn nothing_is_deleted_where_the_cluster_does_not_stand_at_the_latest_success() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let all = names(&shop);
    let annotate = |id: &str| {
        let annotation = format!("git-deploy/deployment={id}");
        shop.namespace.kubectl(&["annotate", "--overwrite", "configmap", SET, &annotation]).success();
    };
    // As a backup of the cluster from before says it.
    annotate("deployment-0001");
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), all);
    annotate("deployment-0002");
    shop.namespace.kubectl(&["scale", "deployment", "web", "--replicas=0"]).success();
    shop.namespace.kubectl(&["delete", "deployment", "web"]).success();
    run_queue(&shop)
        .success()
        .lacks("deleted ConfigMap")
        .stderr_contains("is drifted, nothing deleted: Deployment");
    assert!(names(&shop).contains(&"ConfigMap old".to_owned()));
}

#[test]
fn what_no_success_has_wanted_is_deleted_by_no_idle_runner() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let unknown = list(&shop).replace("Z deployment-0001", "Z -");
    write_list(&shop, &unknown);
    let all = names(&shop);
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), all);
    assert_eq!(list(&shop), unknown);
}

#[test]
fn a_runner_beside_somebody_at_work_there_leaves_it_to_him() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let all = names(&shop);
    // A number that this clone has not fetched yet.
    let patch = |id: &str| {
        let annotation = format!("git-deploy/deployment={id}");
        shop.namespace.kubectl(&["annotate", "--overwrite", "configmap", SET, &annotation]).success();
    };
    patch("deployment-0003");
    shop.deploy(&["--tidy"]).success();
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), all);
    // Who works in this very repository.
    patch("deployment-0002");
    let web = behaving(deployment("web", "3"), "slow", json!({ "test.git-deploy/after": "10s" }));
    release(&shop, "three", &[web]);
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    shop.deploy(&["--tidy"]).success().stderr_contains("nothing to delete");
    running.wait().success();
    shop.is_sound();
}

#[test]
fn what_a_failed_release_found_in_the_set_stays_whatever_is_listed() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let all = names(&shop);
    // As if the second had died when it had landed.
    write_list(&shop, "= deployment-0001\n");
    let crashing =
        behaving(deployment("failing", "1"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    let objects = [config_map("old", "3"), config_map("more", "3"), deployment("web", "3"), crashing];
    release(&shop, "three", &objects);
    let name = shop.namespace.name();
    let output = shop.deploy(&[]);
    output.code_is(1).stderr_contains(&format!("Deleted ConfigMap '{name}/more'")).stderr_contains(&format!(
        "warning: ConfigMap '{name}/old' was there before what failed: it stays as it is"
    ));
    assert_eq!(names(&shop), all);
    shop.is_sound();
}

#[test]
fn what_was_not_ours_when_a_release_failed_is_deleted_by_nobody_before_a_success_wants_it() {
    let cluster = cluster!();
    let shop = opening(cluster).setting("timeout = \"5s\"").with_remote(&sandbox!());
    release(&shop, "one", &[deployment("web", "1")]);
    shop.deploy(&[]).success();
    shop.namespace.kubectl(&["create", "configmap", "foreign", "--from-literal=version=hand"]).success();
    let crashing =
        behaving(deployment("failing", "1"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    let both = ["ConfigMap foreign", "Deployment web"];
    // The second attempt finds it in the set already.
    for name in ["two", "three"] {
        release(&shop, name, &[config_map("foreign", "2"), deployment("web", name), crashing.clone()]);
        shop.deploy(&["--force-conflicts"]).code_is(1);
        assert_eq!(names(&shop), both);
    }
    release(&shop, "four", &[deployment("web", "4")]);
    shop.deploy(&[])
        .success()
        .lacks("Deleted")
        .stderr_contains("before a deployment took it over that failed");
    age(&shop);
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), both);
    // From when a success has wanted it, it is ours.
    release(&shop, "five", &[config_map("foreign", "5"), deployment("web", "5")]);
    shop.deploy(&["--force-conflicts"]).success();
    release(&shop, "six", &[deployment("web", "6")]);
    shop.deploy(&[]).success().lacks("took it over");
    assert!(since(&shop)[0].ends_with(" deployment-0005"), "{}", list(&shop));
    shop.is_sound();
}

#[test]
fn a_runner_without_a_way_to_an_environment_leaves_it_to_others() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let kubeconfig = shop.repo.path().join("no-kubeconfig");
    let runner = shop.repo.command("git-deploy-queue");
    let output = runner.arg("run").env("KUBECONFIG", &kubeconfig).output();
    output.success().stderr_contains("'production' is not tidied up from here: ").lacks("error: ");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
}

#[test]
fn a_runner_whose_clock_is_ahead_deletes_nothing_too_early() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let Some(ahead) = shop.repo.sandbox().clock_ahead(7) else { skip!("cc is not installed") };
    let all = names(&shop);
    let run = || shop.repo.command("git-deploy-queue").arg("run").env("LD_PRELOAD", &ahead).output();
    run().success().lacks("deleted").lacks("tidying");
    // Neither does the deployment of such a one.
    release(&shop, "three", &[deployment("web", "3")]);
    run().success().stderr_contains("deployment-0003: Successfully Deployed").lacks("deleted");
    assert_eq!(names(&shop), all);
    age(&shop);
    run().success().stderr_contains("deleted ConfigMap");
    assert_eq!(names(&shop), ["Deployment web"]);
    shop.is_sound();
}

#[test]
fn what_stays_for_longer_than_there_is_time_stays() {
    let cluster = cluster!();
    let shop = opened(in_cluster(cluster, "keeping").setting("prune = \"9999999999d\""));
    let all = names(&shop);
    age(&shop);
    run_queue(&shop).success().lacks("deleted");
    shop.repo.deploy("deploy-status", &[]).stdout_contains("kept until 9999-12-");
    release(&shop, "three", &[deployment("web", "3")]);
    shop.deploy(&[]).success();
    assert_eq!(names(&shop), all);
    shop.is_sound();
}
