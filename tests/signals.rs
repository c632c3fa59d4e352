//! Ctrl-C as a terminal sends it: to the whole process group, of which git is one, and git passes it on to us once more.

use std::thread;
use std::time::Duration;

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Output, sandbox};

/// How often, since it depends on who is scheduled first.
const TIMES: usize = 6;

/// As a shell sees it: git waits for us, and then dies of the signal itself.
#[track_caller]
fn is_told(output: &Output) {
    assert!(output.signal == Some(2) || output.code == Some(130), "{output}");
    output.stderr_contains("error: interrupted").lacks("interrupted again");
}

#[test]
fn one_ctrl_c_in_a_terminal_is_one_and_says_what_stands() {
    for _ in 0..TIMES {
        let shop = Shop::with_remote(&sandbox!());
        shop.deployable("login", "login.txt", "hello\n");
        let asked = shop.repo.path().with_extension("asked");
        // Everybody in the group gets the signal; what was claimed by then stands.
        let hook = format!("trap '' INT; : >'{}'; sleep 0.5", asked.display());
        shop.authority().install_hook("post-receive", &hook);
        let mut running = shop.repo.command("git").arg("deploy").start();
        running.wait_for_file(&asked);
        running.interrupt();
        let output = running.wait();
        is_told(&output);
        output.stderr_contains("hint: ");
        shop.authority().remove_hook("post-receive");
        shop.deploy(&[]).success().stdout_contains("Successfully Deployed");
        shop.is_sound();
    }
}

#[test]
fn ctrl_c_before_anything_is_claimed_is_told_too() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let asked = shop.repo.path().with_extension("asked");
    let script = format!("#!/bin/sh\n: >'{}'\nexec sleep 5\n", asked.display());
    let program = shop.repo.sandbox().add_program("slow-upload-pack", &script);
    shop.repo.set_config("remote.origin.uploadpack", &program.display().to_string());
    for _ in 0..TIMES {
        let mut running = shop.repo.command("git").arg("deploy").start();
        running.wait_for_file(&asked);
        running.interrupt();
        is_told(&running.wait());
        std::fs::remove_file(&asked).expect("it is there");
    }
    assert!(shop.authority().refs().keys().all(|name| !name.starts_with("refs/deploy/")));
}

#[test]
fn a_second_ctrl_c_ends_it_at_once_and_says_so() {
    // For a remote it would wait for two seconds, for its own git it waits as long as that takes.
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let asked = shop.repo.path().with_extension("asked");
    let hook = format!("[ \"$1\" = prepared ] || exit 0; trap '' INT; : >'{}'; sleep 20", asked.display());
    shop.repo.install_hook("reference-transaction", &hook);
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_file(&asked);
    running.interrupt();
    // What comes within a second is the same Ctrl-C, and the first may be heard late.
    thread::sleep(Duration::from_secs(3));
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.signal, Some(2), "{output}");
    output.stderr_contains("error: interrupted again: ends at once");
}

#[test]
fn a_second_signal_ends_it_also_where_nobody_reads_what_it_says() {
    let shop = Shop::alone(&sandbox!());
    let pipe = shop.repo.path().with_extension("pipe");
    // A pipe that is full, and stays open.
    let filled = format!(
        "mkfifo '{0}' && exec 3<>'{0}' && {{ timeout 1 yes >&3; exec git-deploy-queue run --watch --json >&3; }}",
        pipe.display()
    );
    let mut running = shop.repo.command("sh").args(["-c", &filled]).start();
    thread::sleep(Duration::from_secs(4));
    running.terminate();
    thread::sleep(Duration::from_secs(3));
    running.terminate();
    let output = running.wait();
    assert_eq!(output.signal, Some(15), "{output}");
    output.stderr_contains("error: interrupted again: ends at once");
}

#[test]
fn who_is_terminated_gives_back_its_locks_and_whoever_goes_on_need_not_wait() {
    // Who has Ctrl-C may want to say what becomes of what was begun.
    // The remote says within the time that it is given that it has the claim, or only later.
    for (signal, code, locks, seconds) in [("TERM", 143, 0, 0.5), ("TERM", 143, 0, 8.0), ("INT", 130, 1, 0.5)]
    {
        let shop = Shop::with_remote(&sandbox!());
        shop.deployable("login", "login.txt", "hello\n");
        shop.authority().deploy("deploy-init", &["--server"]);
        let asked = shop.repo.path().with_extension("asked");
        // The claim is the first that is pushed of an attempt; what follows moves it.
        let hook = format!(
            "trap '' INT; while read -r old new name; do case $old$name in 0000*) ;; *refs/deploy/attempts/*) : >'{}'; sleep {seconds} ;; esac; done",
            asked.display()
        );
        shop.authority().install_hook("post-receive", &hook);
        let mut running = shop.repo.command("git-deploy").start();
        running.wait_for_file(&asked);
        match signal {
            "TERM" => running.terminate(),
            _ => running.interrupt(),
        }
        let output = running.wait();
        output.code_is(code).stderr_contains("error: interrupted").stderr_contains("deployment-0001");
        shop.authority().remove_hook("post-receive");
        let held = shop.authority().git(&["for-each-ref", "refs/deploy/lock"]).stdout;
        assert_eq!(held.lines().count(), locks, "{signal}, {seconds} s: {held}\n{output}");
        let elsewhere = shop.authority().clone_to("elsewhere");
        elsewhere.deploy("deploy", &[]).stdout_contains("deployment-0001: Successfully Deployed");
        shop.is_sound();
    }
}
