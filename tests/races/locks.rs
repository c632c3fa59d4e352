//! Locks that are held for a moment or for ever, remotes that hang, and what people write by hand.

use std::time::Duration;

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::Shop;

use crate::moment::{Moment, inside, landed_once};

#[test]
fn a_daemon_that_a_hook_started_does_not_hold_up_the_next_run() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("login", "login.txt", "hello\n");
        shop.deployable("next", "next.txt", "next\n");
        let daemon = "sleep 30 >/dev/null 2>&1 </dev/null & echo $!";
        let moment = Moment::committed(&shop.repo, "*", daemon);
        shop.deploy(&[]).success();
        let id = moment.has_come();
        shop.deploy(&[]).success();
        let still_lives = format!("kill -9 {}", id.trim());
        shop.repo.command("sh").args(["-c", &still_lives]).output().success();
        for branch in ["login", "next"] {
            landed_once(&shop, branch);
        }
    }
}

#[test]
fn a_remote_that_hangs_does_not_keep_a_run_from_ending_when_it_is_asked_to() {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    shop.deployable("login", "login.txt", "hello\n");
    let hanging = sandbox.root().join("hanging");
    let script = format!("#!/bin/sh\n: >'{}'\nexec sleep 60\n", hanging.display());
    let hangs = sandbox.add_program("receive-never", &script);
    shop.repo.set_config("remote.origin.receivepack", &hangs.display().to_string());
    let run = shop.repo.command("git-deploy").time_limit(Duration::from_secs(10));
    let mut running = run.start();
    running.wait_for_file(&hanging);
    running.terminate();
    running.wait().code_is(143).stderr_contains("interrupted");
    shop.repo.git(&["config", "--unset", "remote.origin.receivepack"]);
    shop.deploy(&[]).success();
    landed_once(&shop, "login");
}

#[test]
fn the_highest_numbers_that_can_be_written_panic_nobody() {
    let highest = "18446744073709551615";
    let shop = Shop::alone(&sandbox!());
    let tip = shop.deployable("login", "login.txt", "hello\n");
    shop.deployable("next", "next.txt", "next\n");
    let note = shop.repo.notes()[&tip].replace("rev: 1\n", &format!("rev: {highest}\n"));
    shop.repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", &note, &tip]);
    shop.repo.git(&["tag", "--annotate", "--message", "x", &format!("deployment-{highest}"), "master"]);
    let commands: [&[&str]; 7] = [
        &["deploy-state", "list"],
        &["deploy-state", "set", "staged", "login"],
        &["deploy-state", "set", "deployable", "login"],
        &["deploy-queue"],
        &["deploy"],
        &["deploy", "--abort"],
        &["deploy-log"],
    ];
    for command in commands {
        let output = shop.repo.try_git(command);
        assert!(output.code.is_some_and(|code| code != 101), "{output}");
        assert!(!output.stderr.contains("panicked"), "{output}");
    }
    shop.is_sound();
}

#[test]
fn a_run_without_a_remote_says_who_works_in_the_same_repository() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let base = shop.repo.id("master");
    let again = inside(&shop.repo, "git-deploy; echo exit $?; git-deploy --abort; echo exit $?");
    let moment = Moment::prepared(&shop.repo, "refs/deploy/attempts/*", &again);
    shop.deploy(&[]).success();
    let said = moment.has_come();
    assert_eq!(said.matches("another 'git deploy' works in this repository").count(), 2, "{said}");
    assert_eq!(said.matches("exit 75").count(), 2, "{said}");
    assert_ne!(shop.repo.id("master"), base);
    landed_once(&shop, "login");
}
