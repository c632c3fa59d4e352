//! Runners whose remote is behind a server: over ssh, and over HTTP with a password.

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{HttpServer, Sandbox, SshServer, sandbox, skip};

/// Three branches that are approved.
fn shop(sandbox: &Sandbox) -> Shop {
    let shop = Shop::with_remote(sandbox);
    for name in ["login", "cart", "search"] {
        shop.deployable(name, &format!("{name}.txt"), "new\n");
    }
    shop
}

/// All three have landed, in their order.
fn has_landed(shop: &Shop) {
    let subjects = shop.authority().git(&["log", "--reverse", "--format=%s", "-3", "master"]).stdout;
    assert_eq!(subjects, "Change login.txt\nChange cart.txt\nChange search.txt\n");
    for (number, name) in ["login", "cart", "search"].iter().enumerate() {
        let tag = shop.tag(&format!("deployment-{:04}", number + 1));
        assert!(tag.starts_with("Successfully Deployed\n"), "{tag}");
        assert_eq!(shop.state(name), "deployed");
    }
    shop.is_sound();
}

#[test]
fn a_queue_is_worked_off_over_ssh() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = SshServer::start(&sandbox) else { skip!("sshd is not installed") };
    server.serve(shop.authority(), &shop.repo);
    shop.repo.deploy("deploy-queue", &["run"]).stderr_contains("the queue is empty");
    has_landed(&shop);
}

#[test]
fn a_queue_is_worked_off_over_http_with_a_password_that_a_helper_knows() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = HttpServer::start(&sandbox) else { skip!("busybox is not installed") };
    server.serve(shop.authority(), &shop.repo);
    shop.repo.deploy("deploy-queue", &["run"]).stderr_contains("the queue is empty");
    has_landed(&shop);
}

#[test]
fn who_is_not_let_in_waits_blames_nobody_and_goes_on_when_let_in() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = HttpServer::start(&sandbox) else { skip!("busybox is not installed") };
    server.serve_strangers(shop.authority(), &shop.repo);
    let once = shop.repo.try_deploy("deploy-queue", &["run"]);
    once.stderr_contains("could not read Username").lacks("panicked");
    assert_ne!(once.code, Some(0), "{once}");
    assert_eq!(shop.state("login"), "deployable");
    let mut watching = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]).start();
    watching.wait_for_words("could not read Username");
    server.serve(shop.authority(), &shop.repo);
    eventually("all have landed", || shop.authority().tip("refs/tags/deployment-0003").is_some());
    watching.terminate();
    watching.wait().code_is(143);
    has_landed(&shop);
}
