//! What git's own processes leave behind when they die, and what people do with files meanwhile.

use std::time::Duration;

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Format, RefPhase, Sandbox, Victim, left_out, sandbox};

use crate::moment::{Moment, landed_once};

const KILL_GIT: &str = "kill -9 $PPID";

/// A shop without a remote whose next deployment has a rebase to make, and whose base is checked out.
fn shop(sandbox: &Sandbox) -> Shop {
    let shop = Shop::alone(sandbox);
    shop.deployable("login", "login.txt", "hello\n");
    shop.on_master("other.txt", "other\n");
    shop
}

/// Deploys while something goes wrong when a ref of this pattern has moved, and once more.
fn lands_although(pattern: &str, deed: &str) {
    let shop = shop(&sandbox!());
    let moment = Moment::committed(&shop.repo, pattern, deed);
    shop.deploy(&[]);
    moment.has_come();
    shop.deploy(&[]).success();
    landed_once(&shop, "login");
    assert_eq!(shop.repo.git(&["status", "--porcelain"]).stdout, "", "{pattern}: the work tree follows");
    shop.deploy(&["--continue"]).code_is(1).stderr_contains("no deployment is under way");
}

#[test]
fn a_git_that_dies_when_base_has_moved_does_not_spoil_the_landing() {
    lands_although("refs/heads/master", KILL_GIT);
}

#[test]
fn a_git_that_dies_when_the_tag_is_there_does_not_spoil_the_landing() {
    lands_although("refs/tags/deployment-*", KILL_GIT);
}

#[test]
fn a_git_that_dies_when_a_ref_of_the_deployment_has_moved_does_not_spoil_it() {
    for pattern in ["refs/deploy/lock/env/*", "refs/deploy/attempts/*", "refs/heads/rendered/*"] {
        lands_although(pattern, KILL_GIT);
    }
}

#[test]
fn a_git_that_dies_when_notes_or_the_branch_have_moved_does_not_spoil_the_landing() {
    for pattern in ["refs/deploy/lock/base", "refs/notes/deploy", "refs/heads/login"] {
        lands_although(pattern, KILL_GIT);
    }
}

#[test]
fn ctrl_c_when_base_has_moved_or_the_tag_is_there_does_not_spoil_the_landing() {
    for pattern in ["refs/heads/master", "refs/tags/deployment-*"] {
        lands_although(pattern, "trap '' INT; kill -INT 0");
    }
}

#[test]
fn a_ref_that_a_dead_git_left_locked_stops_no_later_command() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.branch("login", "login.txt", "hello\n");
        let moment = Moment::prepared(&shop.repo, "refs/notes/deploy", KILL_GIT);
        drop(shop.repo.try_deploy("deploy-state", &["set", "deployable", "login"]));
        moment.has_come();
        shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
        shop.deploy(&[]).success();
        landed_once(&shop, "login");
    }
}

#[test]
fn an_old_lock_of_the_dead_that_is_in_nobodys_way_is_cleared_by_who_writes() {
    let shop = Shop::alone(&sandbox!());
    shop.branch("login", "login.txt", "hello\n");
    let switch =
        shop.repo.kill_at_transaction_of(&["refs/notes/deploy"], 1, RefPhase::Committed, Victim::Group);
    let set = |state: &str| shop.repo.command("git-deploy-state").args(["set", state, "login"]);
    set("staged").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    // As a git leaves it that dies while it puts refs together: others write on, and only `git gc` does not come to its end.
    let lock = if Format::of_run().reftable { "reftable/tables.ref.lock" } else { "packed-refs.lock" };
    let lock = shop.repo.path().join(".git").join(lock);
    std::fs::write(&lock, "").unwrap();
    set("deployable").output().success();
    assert!(lock.exists(), "somebody who lives may hold it still");
    shop.repo.age_locks(Duration::from_secs(3600));
    set("staged").output().success();
    assert!(!lock.exists(), "{} is still there", lock.display());
    shop.repo.git(&["pack-refs", "--all"]);
}

#[test]
fn a_lock_that_was_made_long_after_somebody_died_is_left_to_who_may_hold_it() {
    if Format::of_run().reftable {
        left_out!("refs kept in tables have no locks of their own");
    }
    let shop = Shop::alone(&sandbox!());
    shop.branch("login", "login.txt", "hello\n");
    let git_dir = shop.repo.path().join(".git");
    for folder in ["deploy/intents", "refs/remotes/origin"] {
        std::fs::create_dir_all(git_dir.join(folder)).unwrap();
    }
    // A fetch of ours died that was to write below there.
    let intent = git_dir.join("deploy/intents/1-0123456789abcdef");
    std::fs::write(&intent, "refs/remotes/origin/* \n").unwrap();
    shop.repo.age_locks(Duration::from_secs(3600));
    let lock = git_dir.join("refs/remotes/origin/login.lock");
    std::fs::write(&lock, "").unwrap();
    shop.repo.deploy("deploy-state", &["set", "staged", "login"]);
    assert!(lock.exists() && intent.exists(), "a fetch may hold it just now");
    shop.repo.age_locks(Duration::from_secs(60));
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    assert!(!lock.exists() && !intent.exists(), "nobody holds one for so long");
}

#[test]
fn a_ref_that_a_dead_git_left_locked_stops_no_deployment() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("login", "login.txt", "hello\n");
        let moment = Moment::prepared(&shop.repo, "refs/notes/deploy", KILL_GIT);
        shop.deploy(&[]);
        moment.has_come();
        shop.deploy(&[]).success();
        landed_once(&shop, "login");
    }
}

#[test]
fn a_file_in_the_way_of_base_after_a_crash_stops_no_later_run() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let switch =
        shop.repo.kill_at_transaction_of(&["refs/heads/master"], 1, RefPhase::Committed, Victim::Process);
    shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    shop.repo.write("login.txt", "written by hand\n");
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
    assert_eq!(shop.repo.read("login.txt"), "written by hand\n");
    landed_once(&shop, "login");
}

#[test]
fn a_file_in_the_way_of_a_rebased_branch_after_a_crash_stops_no_later_run() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.on_master("other.txt", "other\n");
    shop.repo.switch("login");
    let switch =
        shop.repo.kill_at_transaction_of(&["refs/heads/login"], 1, RefPhase::Committed, Victim::Process);
    shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    shop.repo.write("other.txt", "written by hand\n");
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
    assert_eq!(shop.repo.read("other.txt"), "written by hand\n");
    landed_once(&shop, "login");
}

#[test]
fn who_commits_what_a_killed_run_had_brought_to_bases_work_tree_is_told() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let base = shop.repo.id("master");
    // The first ref of the landing; that the deployment is on its way was written before.
    let switch =
        shop.repo.kill_at_transaction_of(&["refs/notes/deploy"], 2, RefPhase::Committed, Victim::Process);
    shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    assert_eq!((shop.repo.id("master"), shop.repo.read("login.txt")), (base, "hello\n".to_owned()));
    shop.repo.git(&["commit", "--quiet", "--message=Mine"]);
    let mine = shop.repo.id("master");
    shop.deploy(&[]).stderr_contains(&format!(
        "'master' has gone to {mine}, and files in '{}' may have been those of",
        shop.repo.path().display()
    ));
    shop.deploy(&[]).lacks("has gone to");
}
