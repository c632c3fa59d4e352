//! Logins that end in the middle, or cannot be had for a while.

use std::path::PathBuf;

use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{cluster, sandbox};

use crate::support::{Pods, deployment, open};

/// A kubeconfig with the token of a service account that may do everything.
fn robot(shop: &ClusterShop<'_>) -> PathBuf {
    let (cluster, namespace) = (shop.cluster, &shop.namespace);
    namespace.kubectl(&["create", "serviceaccount", "robot"]).success();
    let (name, robot) = (format!("robot-{namespace}"), format!("--serviceaccount={namespace}:robot"));
    cluster
        .kubectl(&["create", "clusterrolebinding", &name, "--clusterrole=cluster-admin", &robot])
        .success();
    let created = namespace.kubectl(&["create", "token", "robot"]);
    cluster.kubeconfig_with(cluster.access().with_token(created.success().stdout.trim()))
}

#[test]
fn a_login_that_is_taken_back_in_the_middle_gives_no_verdict_and_with_another_one_it_goes_on() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("20s")));
    let (robot, admin) = (robot(&shop), shop.cluster.kubeconfig().to_owned());
    let shop = shop.by(robot);
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    shop.namespace.kubectl(&["delete", "serviceaccount", "robot"]).success();
    let output = running.wait();
    output.code_is(75).stderr_contains("error: deployment-0001 stays where it is (applying): ");
    output.stderr_contains("hint: the login to the cluster is no longer valid: log in again");
    output.stderr_contains("go on with: git deploy --continue").lacks("Failed Deployment");
    assert_eq!(shop.repo.tip("refs/tags/deployment-0001"), None);
    assert_eq!(shop.state("web"), "deployable");
    assert_eq!(shop.repo.git(&["for-each-ref", "refs/deploy/lock"]).stdout, "", "{output}");
    let shop = shop.by(admin);
    shop.deploy(&["--continue"]).success();
    shop.succeeded("deployment-0001");
}
