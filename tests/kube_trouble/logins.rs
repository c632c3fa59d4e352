//! Logins that end in the middle, or cannot be had for a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{Pods, config_map, deployment, open};

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

/// A kubeconfig whose token a shell script prints, as `token` for so many seconds.
fn by_program(shop: &ClusterShop<'_>, script: &str) -> PathBuf {
    let text = fs::read_to_string(shop.cluster.kubeconfig()).expect("it is there");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    let token = config["users"][0]["user"]["token"].as_str().expect("it has one").to_owned();
    let status = format!(
        "\"token\": \"{token}\", \"expirationTimestamp\": \"'$(date -u -d \"+$1 seconds\" +%FT%TZ)'\""
    );
    let print = format!("token() {{ echo '{{\"status\": {{{status}}}}}'; }}");
    config["users"][0]["user"] = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "Never",
        "command": "/bin/sh",
        "args": ["-c", format!("{print}\n{script}")],
    }});
    let path = shop.repo.sandbox().root().join("kubeconfig");
    fs::write(&path, config.to_string()).expect("it can be written");
    path
}

#[test]
fn a_runner_waits_for_a_login_that_cannot_be_had_and_goes_on_by_itself() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("more", &config_map("more", "a: b"));
    let ok = shop.repo.sandbox().root().join("ok");
    let script = format!("[ -e '{}' ] || {{ echo nobody is there >&2; exit 1; }}\ntoken 3600", ok.display());
    let path = by_program(&shop, &script);
    let runner = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]);
    let mut runner = runner.env("KUBECONFIG", path).start();
    runner.wait_for_words("status: 1: nobody is there");
    runner.wait_for_words("the queue waits; tried again in 10 s");
    shop.claimed_nothing();
    fs::write(&ok, "").unwrap();
    runner.wait_for_words("deployment-0001: Successfully Deployed");
    runner.terminate();
    let output = runner.wait();
    assert_eq!(output.stderr.matches("nobody is there").count(), 1, "{output}");
    shop.succeeded("deployment-0001");
}

fn lines_of(path: &Path) -> u64 {
    fs::read_to_string(path).expect("it is there").lines().count() as u64
}

#[test]
fn a_login_that_expires_in_the_middle_is_said_and_asked_for_now_and_then_until_it_is_there() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("web", &deployment("web", "1", &Pods::Slow("30s")));
    let (ok, asked) = (shop.repo.sandbox().root().join("ok"), shop.repo.sandbox().root().join("asked"));
    let script = format!(
        "[ ! -e '{1}' ] || [ -e '{0}' ] || {{ echo >>'{1}'; echo log in first >&2; exit 1; }}\n[ -e '{1}' ] && token 3600 || token 20\necho >>'{1}'",
        ok.display(),
        asked.display()
    );
    let path = by_program(&shop, &script);
    let begin = Instant::now();
    let shop = shop.by(path);
    let mut running = shop.start();
    running.wait_for_words("the cluster does not answer; still trying until ");
    running
        .wait_for_words("UTC: the program for credentials '/bin/sh' ended with exit status: 1: log in first");
    let (times, most) = (lines_of(&asked), begin.elapsed().as_secs() / 10 + 2);
    assert!((2..=most).contains(&times), "it was asked {times} times");
    fs::write(&ok, "").unwrap();
    running.wait().success().stderr_contains("the cluster answers again");
    shop.succeeded("deployment-0001");
}
