//! `kill -9` at every step of a deployment: the next run always comes to a verdict.

use std::thread;
use std::time::Duration;

use git_deploy_testkit::shop::{Shop, WEB};
use git_deploy_testkit::torture::fraction;
use git_deploy_testkit::{KillSwitch, Output, RefPhase, Repo, Victim, sandbox};

/// A shop whose next deployment has everything to do: a rebase, a checked-out branch that follows, a verdict.
fn shop(with_remote: bool) -> Shop {
    let sandbox = sandbox!();
    let shop = if with_remote { Shop::with_remote(&sandbox) } else { Shop::alone(&sandbox) };
    shop.deployable("login", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
    shop.on_master("other.txt", "other\n");
    shop
}

/// Runs until there is a verdict, as a person would who types the same command again.
fn recover(shop: &Shop, died: &Output, how: usize) {
    let claimed = shop.authority().tip("refs/deploy/attempts/deployment-0001").is_some();
    // Where the run died before the claim, or had told the verdict, there is nothing to continue.
    if claimed && !how.is_multiple_of(2) && died.stdout.is_empty() {
        shop.deploy(&["--continue"]).success().stdout_contains("deployment-0001: Successfully Deployed");
    } else {
        shop.deploy(&[]).success();
    }
    let master = shop.authority().id("master");
    assert_eq!(shop.authority().id("login"), master, "base is the candidate");
    let tags = shop.authority().git(&["tag", "--list", "deployment-*"]);
    let verdicts: Vec<String> = tags.lines().iter().map(|tag| shop.tag(tag)).collect();
    let successes = verdicts.iter().filter(|tag| tag.starts_with("Successfully Deployed")).count();
    assert_eq!(successes, 1, "{verdicts:#?}");
    assert_eq!(
        shop.authority().id("rendered/demo^{tree}"),
        shop.authority().id("refs/deploy/rendered/demo/0001^{tree}")
    );
    assert_eq!(shop.state("login"), "deployed");
    assert_eq!(shop.repo.id("master"), master, "the local base follows");
    assert_eq!(shop.repo.git(&["status", "--porcelain"]).stdout, "", "the work tree follows");
    shop.is_sound();
}

/// Kills the run at each ref transaction in a repository, until none is left: in two lanes, because it takes long.
fn kill_at_each(with_remote: bool, phase: RefPhase, victim: Victim, place: impl Fn(&Shop) -> &Repo + Sync) {
    let is_killed_at = |n| {
        let shop = shop(with_remote);
        let switch: KillSwitch = place(&shop).kill_at_transaction_of(&["*"], n, phase, victim);
        let output = shop.repo.command("git-deploy").pid_file(switch.pid_file()).output();
        let fired = switch.has_fired();
        switch.remove();
        if !fired {
            output.success();
            return false;
        }
        output.was_killed();
        recover(&shop, &output, n);
        true
    };
    let kill_each_other = |first: usize| (first..).step_by(2).take_while(|n| is_killed_at(*n)).count();
    let kills: usize = thread::scope(|scope| {
        let lanes = [1, 2].map(|first| scope.spawn(move || kill_each_other(first)));
        lanes
            .into_iter()
            .map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .sum()
    });
    assert!(kills > 2, "the run was stopped at {kills} transactions only");
}

#[test]
fn without_a_remote_the_run_dies_before_each_ref_moves() {
    kill_at_each(false, RefPhase::Prepared, Victim::Process, |shop| &shop.repo);
}

#[test]
fn without_a_remote_the_run_dies_after_each_ref_moved() {
    kill_at_each(false, RefPhase::Committed, Victim::Process, |shop| &shop.repo);
}

#[test]
fn without_a_remote_the_run_and_its_git_die_in_the_middle_of_each_transaction() {
    kill_at_each(false, RefPhase::Prepared, Victim::Group, |shop| &shop.repo);
}

#[test]
fn with_a_remote_the_run_dies_while_each_push_is_taken() {
    kill_at_each(true, RefPhase::Prepared, Victim::Process, Shop::authority);
}

#[test]
fn with_a_remote_the_run_dies_when_each_push_was_taken() {
    kill_at_each(true, RefPhase::Committed, Victim::Process, Shop::authority);
}

#[test]
fn with_a_remote_the_run_and_its_git_die_at_each_ref_that_follows() {
    kill_at_each(true, RefPhase::Prepared, Victim::Group, |shop| &shop.repo);
}

#[test]
fn a_run_that_dies_at_any_moment_is_finished_by_the_next() {
    // How long a run takes here decides where the random moments lie.
    let begun = std::time::Instant::now();
    shop(false).repo.command("git-deploy").output().success();
    let longest = begun.elapsed();
    let kills =
        std::env::var("GIT_DEPLOY_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(50);
    for n in 0..kills {
        let shop = shop(n % 4 == 3);
        let moment = longest.mul_f64(fraction(n));
        // A remote does not die with the run: only where there is none its whole group may be killed. What a remote that is
        // killed leaves locked is the remote's.
        let victim = if n % 3 == 0 && n % 4 != 3 { Victim::Group } else { Victim::Process };
        let died = shop.repo.command("git-deploy").start().kill_after(moment, victim);
        thread::sleep(Duration::from_millis(5));
        recover(&shop, &died, usize::try_from(n).unwrap_or(0));
    }
}
