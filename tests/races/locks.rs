//! Locks that are held for a moment or for ever, remotes that hang, and what people write by hand.

use std::thread;
use std::time::Duration;

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, sandbox};

use crate::moment::{Moment, inside, landed_once};

/// Locks a ref as git does, for a while or for ever.
fn lock_ref(repo: &Repo, name: &str, time: Option<Duration>) -> Option<thread::JoinHandle<()>> {
    let lock = repo.lock_of(name);
    if let Some(directory) = lock.parent() {
        std::fs::create_dir_all(directory).expect("the sandbox can be written to");
    }
    std::fs::write(&lock, "").expect("the sandbox can be written to");
    time.map(|time| {
        thread::spawn(move || {
            thread::sleep(time);
            std::fs::remove_file(lock).expect("the lock is there until we remove it");
        })
    })
}

const MOMENT: Option<Duration> = Some(Duration::from_millis(1500));

#[test]
fn a_decision_waits_for_a_ref_that_is_locked_on_the_remote_for_a_moment() {
    let shop = Shop::with_remote(&sandbox!());
    shop.branch("login", "login.txt", "hello\n");
    let unlocked = lock_ref(shop.authority(), "refs/notes/deploy", MOMENT);
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    unlocked.unwrap().join().unwrap();
    let notes = shop.authority().notes();
    assert!(notes.values().any(|note| note.starts_with("state: deployable\n")), "{notes:#?}");
    shop.is_sound();
}

#[test]
fn a_deployment_waits_for_a_ref_that_is_locked_on_the_remote_for_a_moment() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let unlocked = lock_ref(shop.authority(), "refs/deploy/lock/env/demo", MOMENT);
    shop.deploy(&[]).success().stdout_contains("Successfully Deployed");
    unlocked.unwrap().join().unwrap();
    landed_once(&shop, "login");
}

#[test]
fn a_ref_that_stays_locked_on_the_remote_is_told_with_the_file_that_locks_it() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    lock_ref(shop.authority(), "refs/deploy/lock/env/demo", None);
    let output = shop.deploy(&[]);
    let file = shop.authority().lock_of("refs/deploy/lock/env/demo");
    output.stderr_contains(&format!("the remote's '{}' has been there since 2", file.display()));
    output.code_is(75);
    assert_eq!(shop.state("login"), "deployable");
}

#[test]
fn a_daemon_that_a_hook_started_does_not_hold_up_the_next_run() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deployable("next", "next.txt", "next\n");
    let moment = Moment::committed(&shop.repo, "*", "sleep 30 >/dev/null 2>&1 </dev/null & echo $!");
    shop.deploy(&[]).success();
    let daemon = moment.has_come();
    shop.deploy(&[]).success();
    shop.repo.command("sh").args(["-c", &format!("kill -9 {daemon}")]).output().success();
    for branch in ["login", "next"] {
        landed_once(&shop, branch);
    }
}

#[test]
fn a_run_in_the_repository_that_others_push_to_leaves_them_their_lock() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let deploy = inside(shop.authority(), "timeout 20 git-deploy; echo exit $?");
    let moment = Moment::after_phase(&shop, "verified", &deploy);
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
    let said = moment.has_come();
    assert!(said.contains("deploys just now") && said.contains("exit 75"), "{said}");
    landed_once(&shop, "login");
}

/// A deployment whose remote hangs from the nth time on that this program is asked for; asked to end, it does so all the
/// same, and the next run lands the branch.
fn ends_although_the_remote_hangs(program: &str, nth: usize, said: &str) {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    shop.deployable("login", "login.txt", "hello\n");
    let [count, hanging] = ["count", "hanging"].map(|name| sandbox.root().join(name));
    let script = format!(
        "#!/bin/sh\necho >>'{count}'\n\
         [ \"$(wc -l <'{count}')\" -lt {nth} ] && exec git-{program} \"$@\"\n\
         echo $$ >>'{hanging}'\nexec sleep 600\n",
        count = count.display(),
        hanging = hanging.display()
    );
    let hangs = sandbox.add_program("hangs", &script);
    let key = format!("remote.origin.{}", program.replace('-', ""));
    shop.repo.set_config(&key, &hangs.display().to_string());
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_file(&hanging);
    running.terminate();
    running.wait().code_is(143).stderr_contains("interrupted").stderr_contains(said);
    // The other end of the connection may run on; on another machine that would trouble nobody.
    let other_end = format!("kill -9 $(cat '{}') 2>/dev/null; true", hanging.display());
    shop.repo.command("sh").args(["-c", &other_end]).output().success();
    shop.repo.git(&["config", "--unset", &key]);
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
    landed_once(&shop, "login");
}

#[test]
fn a_remote_that_hangs_at_the_fetch_does_not_keep_a_run_from_ending() {
    ends_although_the_remote_hangs("upload-pack", 1, "cannot reach remote 'origin'");
}

#[test]
fn a_remote_that_hangs_at_the_claim_does_not_keep_a_run_from_ending() {
    ends_although_the_remote_hangs("receive-pack", 1, "has not said whether it took the claim");
}

#[test]
fn a_remote_that_hangs_after_the_claim_does_not_keep_a_run_from_ending() {
    ends_although_the_remote_hangs("receive-pack", 2, "git deploy --continue");
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
fn a_clone_without_blobs_works_when_bases_deploy_toml_has_moved() {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    shop.authority().set_config("uploadpack.allowFilter", "true");
    let url = format!("file://{}", shop.authority().path().display());
    sandbox.run("git", &["clone", "--quiet", "--filter=blob:none", &url, "partial"]);
    shop.deployable("login", "login.txt", "hello\n");
    shop.deployable("next", "next.txt", "next\n");
    let toml = format!("{}# moved\n", shop.repo.read("deploy.toml"));
    shop.on_master("deploy.toml", &toml);
    let partial = Shop { repo: sandbox.open("partial"), remote: shop.remote.clone() };
    partial.repo.git(&["fetch", "--quiet"]);
    partial.repo.deploy("deploy-state", &["list"]);
    partial.deploy(&[]).success().stdout_contains("Successfully Deployed");
    partial.repo.deploy("deploy-sync", &[]);
    partial.repo.deploy("deploy-rebase", &[]);
    shop.repo.deploy("deploy-sync", &[]);
    shop.repo.git(&["fetch", "--quiet"]);
    landed_once(&shop, "login");
    let base = shop.authority().id("master");
    partial.deploy(&["next"]).success();
    assert_ne!(shop.authority().id("master"), base);
    landed_once(&partial, "next");
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
