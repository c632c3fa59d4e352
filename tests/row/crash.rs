//! `kill -9` of a run that goes past what comes first, or on with an approval: whoever takes it over does neither without.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::torture::fraction;
use git_deploy_testkit::{Victim, sandbox};

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
