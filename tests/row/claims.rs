//! What a claim says of itself, which whoever can push can write, and what is kept of it.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::Shop;

use super::{approve, in_a_row, of, run};

const SKIP: [&str; 3] = ["--skip=staging", "--reason=the shop is down", "hotfix"];

/// Verifies something that does not land, since base is protected for as long as that takes.
fn verified_only(shop: &Shop, arguments: &[&str]) {
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(arguments).code_is(75);
    shop.authority().remove_hook("update");
}

/// Writes a claim of the commit as anybody can who can push.
fn forge(shop: &Shop, id: &str, phase: &str, commit: &str, further: &str) {
    let base = shop.authority().id("master");
    let text = format!(
        "{id}: {phase}\n\nphase: {phase}\nenvironment: demo\ncandidate: {commit}\napproved: {commit}\nbase: {base}\n\
         started: 2026-11-20T12:00:00Z\nby: Eve <eve@example.org>\nrun: x\n{further}"
    );
    let made = ["commit-tree", "master^{tree}", "-p", commit, "-p", &base];
    let claim = shop.authority().command("git").args(made).stdin(text).output().line().to_owned();
    shop.authority().git(&["update-ref", &format!("refs/deploy/attempts/{id}"), &claim]);
}

#[test]
fn where_approvals_are_signed_a_skip_counts_for_others_only_if_they_give_it_again() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.guard();
    shop.deployable("hotfix", "hotfix.txt", "x\n");
    verified_only(&shop, &SKIP);
    let base = shop.authority().id("master");
    let again = "git deploy --continue --skip=staging --reason=<why>; else end it with: git deploy --abort";
    for arguments in [&["--continue"][..], &[], &["--continue", "--skip=freeze", "--reason=x"]] {
        shop.deploy(arguments)
            .code_is(1)
            .stderr_contains("deployment-0001 goes no further: it has skipped staging (\"the shop is down\")")
            .stderr_contains(again);
    }
    assert_eq!(shop.authority().id("master"), base);
    shop.deploy(&["--continue", "--skip=staging", "--reason=it burns"]).success();
    let tag = shop.tag("deployment-0001");
    assert!(tag.contains("\nSkipped: staging\nSkip-Reason: it burns\n"), "{tag}");
    shop.is_sound();
}

#[test]
fn where_approvals_are_signed_the_ledger_says_where_a_commit_was_deployed_and_no_claim() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "");
    shop.guard();
    let hotfix = shop.deployable("hotfix", "hotfix.txt", "x\n");
    let of_branch = |further: &str| format!("branch: refs/heads/hotfix\n{further}");
    let forge = |phase, further| forge(&shop, "deployment-0001", phase, &hotfix, &of_branch(further));
    for (arguments, further) in
        [(&["--continue"][..], ""), (&[], ""), (&["--continue"], "rollback: deployment-0007\n")]
    {
        forge("verified", further);
        shop.deploy(arguments)
            .code_is(1)
            .stderr_contains("deployment-0001 goes no further: its commit was never deployed to 'staging'");
    }
    // What has changed nothing yet is given up, and the branch goes its way.
    let locks = shop.authority().git(&["for-each-ref", "--format=%(refname)", "refs/deploy/lock"]);
    locks.lines().iter().for_each(|lock| drop(shop.authority().git(&["update-ref", "-d", lock])));
    forge("claimed", "skipped: staging\nskip-reason: says Eve\n");
    shop.deploy(&[]).code_is(1).stdout_contains("to demo: its commit was never deployed to 'staging'");
    assert!(shop.tag("deployment-0001").contains("\nResult: aborted\n"), "{}", shop.tag("deployment-0001"));
    shop.deploy(&[]).success().stdout_contains("deployment-staging-0001");
    shop.is_sound();
}

#[test]
fn where_approvals_are_signed_nobody_goes_back_because_a_claim_says_so() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    for name in ["one", "two"] {
        shop.deployable(name, &format!("{name}.txt"), "x\n");
        shop.deploy(&[]).success();
    }
    let (stands, one) =
        (shop.authority().id("rendered/demo"), shop.authority().id("deployment-0001^{commit}"));
    let refused =
        "goes no further: it goes back to deployment-0001, and whoever takes it over has not said so";
    forge(&shop, "deployment-0003", "applying", &one, "rollback: deployment-0001\n");
    for arguments in [&[][..], &[], &["two"]] {
        shop.deploy(arguments)
            .code_is(1)
            .stderr_contains(&format!("deployment-0003 {refused}"))
            .stderr_contains("say so: git deploy --continue; else end it with: git deploy --abort");
    }
    shop.deploy(&["--abort"]).code_is(1);
    // What has changed nothing yet is given up.
    let of_branch = "branch: refs/heads/two\nrollback: deployment-0001\n";
    forge(&shop, "deployment-0004", "claimed", &one, of_branch);
    shop.deploy(&[])
        .code_is(1)
        .stdout_contains("to demo: it goes back to deployment-0001, and whoever took it");
    assert!(shop.tag("deployment-0004").contains("\nResult: aborted\n"), "{}", shop.tag("deployment-0004"));
    assert_eq!(shop.authority().id("rendered/demo"), stands);
    shop.is_sound();
}

#[test]
fn where_approvals_are_signed_a_way_back_is_finished_where_it_was_begun_or_by_whoever_asks_for_it() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    for name in ["one", "two", "three"] {
        shop.deployable(name, &format!("{name}.txt"), "x\n");
        shop.deploy(&[]).success();
    }
    let other = shop.authority().clone_to("other");
    let refused = |to: &str| format!("it goes back to {to}, and whoever takes it over has not said so");
    let verified = |back: &str| {
        shop.authority().install_hook("update", "case $1 in refs/tags/*) exit 1 ;; esac");
        shop.deploy(&[back]).code_is(75).stderr_contains("is verified, not landed");
        shop.authority().remove_hook("update");
    };
    verified("--rollback");
    other.try_deploy("deploy", &[]).code_is(1).stderr_contains(&refused("deployment-0002"));
    // The queue is held by it then.
    shop.deploy(&[]).stderr_contains("deployment-0004");
    assert!(shop.tag("deployment-0004").contains("\nResult: success\n"), "{}", shop.tag("deployment-0004"));
    for (to, arguments) in
        [("deployment-0003", "--continue"), ("deployment-0001", "--rollback=deployment-0001")]
    {
        verified(&format!("--rollback={to}"));
        // Neither is it what somebody else wants who goes back, but not there.
        other.try_deploy("deploy", &[]).code_is(1).stderr_contains(&refused(to));
        other.try_deploy("deploy", &[arguments]).success().stdout_contains("Successfully Deployed");
    }
    shop.is_sound();
}

#[test]
fn what_is_skipped_stays_so_when_base_moves_before_it_is_continued() {
    for arguments in [&["--continue"][..], &["hotfix"], &[]] {
        let shop = in_a_row(Shop::with_remote(&sandbox!()), "");
        shop.deployable("hotfix", "hotfix.txt", "x\n");
        verified_only(&shop, &SKIP);
        shop.on_master("other.txt", "x\n");
        let said = shop.deploy(arguments);
        said.success();
        if arguments.is_empty() {
            // Who takes the head of the queue has not asked for it.
            said.stderr_contains("had skipped staging: that is not kept for the next number");
            assert_eq!(of(&shop, "deployment-0002"), None);
            continue;
        }
        let tag = shop.tag("deployment-0002");
        assert!(tag.contains("\nSkipped: staging\nSkip-Reason: the shop is down\n"), "{tag}");
        assert_eq!(of(&shop, "deployment-staging-0001"), None);
        shop.is_sound();
    }
}

#[test]
fn what_had_skipped_nothing_begins_anew_in_the_row_when_base_moves_before_it_is_continued() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "");
    shop.deployable("one", "one.txt", "1\n");
    shop.deploy(&[]).success();
    verified_only(&shop, &[]);
    shop.on_master("other.txt", "x\n");
    shop.deploy(&["--continue"]).success().stdout_contains("deployment-staging-0002");
    assert!(shop.tag("deployment-0001").contains("\nReason: base moved\n"));
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
