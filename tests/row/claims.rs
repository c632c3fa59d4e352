//! What a claim says of itself, which whoever can push can write, and what is kept of it.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::Shop;

use super::{approve, in_a_row, run};

const SKIP: [&str; 3] = ["--skip=staging", "--reason=the shop is down", "hotfix"];

/// Verifies something that does not land, since base is protected for as long as that takes.
fn verified_only(shop: &Shop, arguments: &[&str]) {
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(arguments).code_is(75);
    shop.authority().remove_hook("update");
}

#[test]
fn who_is_not_asked_because_of_a_skip_is_told() {
    let shop = in_a_row(Shop::alone(&sandbox!()), "approval = true\n");
    shop.deployable("hotfix", "hotfix.txt", "x\n");
    shop.deploy(&SKIP)
        .success()
        .stderr_contains("with 'staging' the approval to go to 'demo' is skipped: nobody was asked");
}

#[test]
fn a_withdrawal_that_comes_too_late_is_told_so() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.deployable("one", "one.txt", "1\n");
    run(&shop).code_is(75);
    approve(&shop.repo, &[]).success();
    verified_only(&shop, &[]);
    approve(&shop.repo, &["--withdraw"])
        .success()
        .stderr_contains("that comes too late for deployment-0001, which is on its way to 'demo' with it")
        .stderr_contains("git deploy --abort");
    approve(&shop.repo, &["--withdraw"]).success().stderr_contains("nothing is approved");
}

#[test]
fn an_approval_that_nobody_can_read_is_told_by_its_name() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.deployable("one", "one.txt", "1\n");
    run(&shop).code_is(75);
    let text = "x\n\nenvironment: demo\n";
    let forged = shop.repo.git(&["commit-tree", "-m", text, "HEAD^{tree}"]).line().to_owned();
    shop.repo.git(&["push", "--quiet", "origin", &format!("{forged}:refs/deploy/promotion/demo")]);
    let unread = "(deployment-staging-0001): 'refs/deploy/promotion/demo' cannot be read: it has no line ";
    run(&shop).code_is(75).stderr_contains(unread);
    shop.repo.deploy("deploy-queue", &[]).stderr_contains(unread);
    approve(&shop.repo, &["--withdraw"]).success().stderr_contains("what nobody could read: 'refs/deploy/");
    run(&shop).code_is(75).lacks("cannot be read");
}
