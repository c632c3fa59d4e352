//! Going back in an environment that leads to another one.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::Shop;

use super::{approve, in_a_row, of};

#[test]
fn what_was_gone_back_from_in_staging_does_not_come_there_again_by_itself() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.deployable("zero", "zero.txt", "0\n");
    shop.deploy(&[]).success();
    approve(&shop.repo, &[]).success();
    shop.deploy(&[]).success().stdout_contains("deployment-0001");
    shop.deployable("bad", "bad.txt", "x\n");
    shop.deploy(&[]).success().stdout_contains("deployment-staging-0002");
    shop.deploy(&["--env=staging", "--rollback"]).success().stdout_contains("deployment-staging-0003");
    let back = "was rolled back in 'staging' by deployment-staging-0003";
    shop.deploy(&[]).code_is(0).stderr_contains(back);
    assert_eq!(of(&shop, "deployment-staging-0004"), None);
    shop.repo.deploy("deploy-queue", &[]).stdout_contains(back);
    let shown = shop.repo.deploy("deploy-queue", &["show", "bad"]);
    shown.stdout_contains(back).stderr_contains("deploy it nevertheless: git deploy bad");
    // Nor where a rebase has made another commit of it. The others pass.
    shop.on_master("other.txt", "x\n");
    shop.repo.deploy("deploy-rebase", &[]);
    shop.push(&["--force", "bad", "refs/notes/deploy"]);
    shop.deployable("good", "good.txt", "x\n");
    shop.deploy(&[]).success().stderr_contains(back).stdout_contains("deployment-staging-0004");
    assert!(shop.tag("deployment-staging-0004").contains("\nBranch: good\n"));
    // What has passed it changes nothing for it.
    shop.deploy(&[]).code_is(75).stderr_contains("'good' waits for approval");
    approve(&shop.repo, &[]).success();
    shop.deploy(&[]).success().stdout_contains("deployment-0002");
    shop.deploy(&[]).code_is(0).stderr_contains(back);
    assert_eq!(of(&shop, "deployment-staging-0005"), None);
    // Who names what a rebase has made of it means it.
    shop.deploy(&["bad"]).success().stdout_contains("deployment-staging-0005");
    shop.deploy(&[]).code_is(75).stderr_contains("'bad' waits for approval");
    shop.is_sound();
}

#[test]
fn who_names_what_was_gone_back_from_in_staging_means_it() {
    let shop = in_a_row(Shop::alone(&sandbox!()), "");
    for name in ["zero", "one"] {
        shop.deployable(name, &format!("{name}.txt"), "x\n");
        shop.deploy(&[]).success();
        shop.deploy(if name == "zero" { &[] } else { &["--env=staging", "--rollback"] }).success();
    }
    shop.deploy(&["one"]).success().stdout_contains("deployment-staging-0004");
    shop.deploy(&[]).success().stdout_contains("deployment-0002");
    // What has landed is on base: the next branch would bring it again.
    shop.deploy(&["--env=staging", "--rollback"]).success().stderr_contains("the queue is held");
    shop.deployable("two", "two.txt", "x\n");
    shop.deploy(&[]).code_is(75).stderr_contains("'staging' was rolled back to deployment-staging-0001");
}

#[test]
fn what_takes_a_rollback_back_and_waits_for_approval_is_said_to_wait_for_it() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    for name in ["zero", "one"] {
        shop.deployable(name, &format!("{name}.txt"), "x\n");
        shop.deploy(&[]).success();
        approve(&shop.repo, &[]).success();
        shop.deploy(&[]).success();
    }
    let one = shop.authority().id("master");
    shop.deploy(&["--rollback"]).success().stdout_contains("deployment-0003");
    shop.deployable("next", "next.txt", "x\n");
    shop.repo.git(&["fetch", "--quiet"]);
    shop.repo.git(&["switch", "--quiet", "-c", "undo", "origin/master"]);
    shop.repo.git(&["revert", "--no-edit", &one]);
    shop.push(&["undo"]);
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "undo"]);
    let listed = shop.repo.deploy("deploy-queue", &[]);
    listed.stderr_contains("hint: 'undo' takes it back, and is next: git deploy\n").lacks("git revert");
    shop.deploy(&[]).success().stdout_contains("'undo' (");

    let approving = "hint: somebody approves it with: git deploy-queue approve --env=demo undo\n";
    let waits = "'undo' waits for approval to go to 'demo' (deployment-staging-0003)";
    shop.deploy(&[]).code_is(75).stderr_contains(waits).stderr_contains(approving).lacks("git revert");
    shop.deploy(&["--json"]).code_is(75).stdout_contains("\"waits\":\"approval\"");
    let listed = shop.repo.deploy("deploy-queue", &[]);
    listed.stderr_contains(&format!("note: the queue is held: {waits}\n{approving}")).lacks("git revert");
    let lines = listed.lines();
    assert!(lines[0].ends_with("held, 'undo' goes first"), "{listed}");
    assert!(lines[1].ends_with("waits for approval to go to demo"), "{listed}");
    let shown = shop.repo.deploy("deploy-queue", &["show", "undo"]);
    shown.stdout_contains(waits).stderr_contains(approving).lacks("git revert").lacks("behind");
    shop.repo.deploy("deploy-status", &[]).stdout_contains(waits).stderr_contains(approving);
    shop.repo.try_deploy("deploy-queue", &["next"]).code_is(1).stderr_contains(approving);

    // Who watches says it once, and goes on by itself when somebody has.
    let mut watching = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]).start();
    watching.wait_for_words("waits for approval");
    shop.authority().git(&["branch", "other", "master"]);
    watching.wait_for_words("fetching");
    approve(&shop.authority().clone_to("other"), &["undo"]).success();
    watching.wait_for_words("deployment-0004: Successfully Deployed");
    watching.terminate();
    let output = watching.wait();
    let told = output.stderr.lines().filter(|line| line.contains("Z 'undo' waits")).count();
    assert_eq!(told, 1, "{output}");
    assert_eq!(shop.state("undo"), "deployed");
}
