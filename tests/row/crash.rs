//! `kill -9` of a run that goes past what comes first, or on with an approval: whoever takes it over does neither without.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::torture::fraction;
use git_deploy_testkit::{RefPhase, Victim, sandbox};

use super::{approve, in_a_row, run};

/// A shop whose branch can be deployed by skipping what comes first, or is approved to go on.
fn shop(is_approved: bool) -> Shop {
    let shop = in_a_row(Shop::alone(&sandbox!()), "approval = true\n");
    shop.deployable("one", "one.txt", "1\n");
    if is_approved {
        run(&shop).code_is(75);
        approve(&shop.repo, &[]).success();
    }
    shop
}

#[test]
fn whoever_takes_over_a_run_that_died_goes_on_with_its_reason_or_its_approval_and_never_without() {
    let skip: &[&str] = &["--skip=staging", "--reason=the shop is down", "one"];
    let begun = std::time::Instant::now();
    shop(false).deploy(skip).success();
    let longest = begun.elapsed();
    let kills = std::env::var("GIT_DEPLOY_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    for n in 0..kills {
        let is_approved = n % 2 == 1;
        let shop = shop(is_approved);
        let command = shop.repo.command("git-deploy").args(if is_approved { &[][..] } else { skip });
        drop(command.start().kill_after(longest.mul_f64(fraction(n)), Victim::Process));
        let was_claimed = shop.authority().tip("refs/deploy/attempts/deployment-0001").is_some();
        let other = run(&shop);
        let tag = shop.tag("deployment-0001");
        if is_approved {
            assert!(tag.contains("\nApproved-Deployment: deployment-staging-0001\n"), "{other} {tag}");
        } else if was_claimed || !tag.is_empty() {
            // What the run had started may have claimed it after its death.
            assert!(tag.contains("\nSkipped: staging\nSkip-Reason: the shop is down\n"), "{other} {tag}");
        } else {
            other.code_is(75).stderr_contains("'one' waits for approval");
        }
        shop.is_sound();
    }
}

/// Kills a run as soon as the remote has it that it changes the environment.
fn killed_while_it_applies(shop: &Shop, id: &str, arguments: &[&str]) {
    let attempt = format!("refs/deploy/attempts/{id}");
    let switch =
        shop.authority().kill_at_transaction_of(&[&attempt], 2, RefPhase::Committed, Victim::Process);
    let died = shop.repo.command("git-deploy").args(arguments).pid_file(switch.pid_file()).output();
    switch.remove();
    died.was_killed();
}

#[test]
fn where_approvals_are_signed_whoever_takes_over_a_run_that_died_goes_on_with_what_counts_alone() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.guard();
    let says = |tag: &str, line: &str| {
        let text = shop.tag(tag);
        assert!(text.contains("\nResult: success\n") && text.contains(line), "{text}");
    };
    // What was signed counts for everybody.
    shop.deployable("one", "one.txt", "1\n");
    run(&shop).code_is(75);
    approve(&shop.repo, &[]).success();
    killed_while_it_applies(&shop, "deployment-0001", &[]);
    run(&shop).success();
    says("deployment-0001", "\nApproved-Deployment: deployment-staging-0001\n");
    // That something is skipped counts if it is said again.
    shop.deployable("two", "two.txt", "2\n");
    let base = shop.authority().id("master");
    killed_while_it_applies(&shop, "deployment-0002", &["--skip=staging", "--reason=it burns", "two"]);
    run(&shop).code_is(75).stderr_contains("deployment-0002 goes no further: it has skipped staging");
    assert_eq!(shop.authority().id("master"), base);
    shop.deploy(&["--continue", "--skip=staging", "--reason=it still burns"]).success();
    says("deployment-0002", "\nSkipped: staging\nSkip-Reason: it still burns\n");
    // Who goes back is believed in this clone.
    killed_while_it_applies(&shop, "deployment-0003", &["--rollback"]);
    run(&shop).lacks("goes no further");
    says("deployment-0003", "\nRollback: deployment-0001\n");
    shop.is_sound();
}
