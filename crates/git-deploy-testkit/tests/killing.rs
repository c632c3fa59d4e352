//! Commands die when a test wants it, at no other time, and leave no children running.

use std::path::Path;
use std::time::{Duration, Instant};

use git_deploy_testkit::{RefPhase, Repo, Run, Sandbox, Victim};

/// A repository whose branches `a` and `b` are still to be made.
fn repository() -> Repo {
    let repo = Sandbox::new().repository("shop");
    repo.commit_empty("First");
    repo
}

/// A program that makes two branches, one after the other, and says that it came to its end.
fn two_branches(repo: &Repo) -> Run {
    let program =
        repo.sandbox().add_program("two", "#!/bin/sh\ngit branch a\ngit branch b\ntouch \"$HOME/end\"\n");
    repo.command(program)
}

/// A program that starts a child which writes `late` after a moment, and waits for it.
fn with_child(sandbox: &Sandbox) -> Run {
    let script = "#!/bin/sh\n(sleep 0.4; touch \"$HOME/late\") &\ntouch \"$HOME/started\"\nwait\n";
    let program = sandbox.add_program("parent", script);
    sandbox.command(program)
}

fn appears(path: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if path.exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn a_process_dies_at_the_chosen_transaction() {
    let repo = repository();
    let switch = repo.kill_at_ref_transaction(2, RefPhase::Prepared);
    let output = two_branches(&repo).pid_file(switch.pid_file()).output();
    output.was_killed();
    assert!(switch.has_fired());
    switch.remove();
    assert!(repo.tip("refs/heads/a").is_some());
    assert!(!repo.sandbox().home().join("end").exists());
}

#[test]
fn a_process_group_dies_with_its_git_and_leaves_the_lock() {
    let repo = repository();
    let switch = repo.kill_at_transaction_of(&["refs/heads/b"], 1, RefPhase::Prepared, Victim::Group);
    two_branches(&repo).pid_file(switch.pid_file()).output().was_killed();
    assert!(switch.has_fired());
    switch.remove();
    assert!(repo.tip("refs/heads/a").is_some());
    assert_eq!(repo.tip("refs/heads/b"), None);
    assert!(repo.git_path("refs/heads/b.lock").exists());
}

#[test]
fn transactions_are_counted_by_phase_and_ref() {
    let repo = repository();
    let switch =
        repo.kill_at_transaction_of(&["refs/heads/a", "refs/tags/*"], 9, RefPhase::Committed, Victim::Group);
    repo.git(&["branch", "before"]);
    two_branches(&repo).pid_file(switch.pid_file()).output().success();
    assert_eq!(switch.transactions(), 1);
    assert!(!switch.has_fired());
}

#[test]
fn a_push_dies_when_the_remote_moves_its_refs() {
    let repo = repository();
    let remote = repo.sandbox().bare("remote.git");
    repo.add_remote("origin", &remote);
    let switch = remote.kill_at_transaction_of(&["refs/heads/*"], 1, RefPhase::Committed, Victim::Group);
    let push = repo.command("git").args(["push", "--quiet", "origin", "master"]);
    push.pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    assert_eq!(remote.id("master"), repo.id("master"));
    assert_eq!(repo.tip("refs/remotes/origin/master"), None);
}

#[test]
fn a_killed_process_leaves_its_children_and_a_killed_group_does_not() {
    for (victim, lives) in [(Victim::Process, true), (Victim::Group, false)] {
        let sandbox = Sandbox::new();
        let started = sandbox.home().join("started");
        with_child(&sandbox).start().kill_when_exists(&started, victim).was_killed();
        if !lives {
            std::thread::sleep(Duration::from_millis(600));
        }
        assert_eq!(lives && appears(&sandbox.home().join("late")), lives, "{victim:?}");
        assert_eq!(sandbox.home().join("late").exists(), lives, "{victim:?}");
    }
}

#[test]
fn a_command_that_is_done_in_time_is_not_killed() {
    let sandbox = Sandbox::new();
    let output = sandbox.command("true").start().kill_after(Duration::from_secs(60), Victim::Group);
    output.success();
    sandbox
        .command("sleep")
        .arg("60")
        .start()
        .kill_after(Duration::from_millis(20), Victim::Process)
        .was_killed();
}

#[test]
fn a_command_can_be_interrupted_as_by_a_person() {
    let sandbox = Sandbox::new();
    let script =
        "#!/bin/sh\ntrap 'echo interrupted; exit 130' INT\ntouch \"$HOME/started\"\nsleep 60 &\nwait\n";
    let program = sandbox.add_program("patient", script);
    let mut running = sandbox.command(program).start();
    running.wait_for_file(&sandbox.home().join("started"));
    running.interrupt();
    running.wait().code_is(130).stdout_is("interrupted\n");
}

#[test]
#[should_panic(expected = "not done after 0 s")]
fn a_command_that_hangs_fails() {
    let sandbox = Sandbox::new();
    let _ = sandbox.command("sleep").arg("60").time_limit(Duration::from_millis(50)).output();
}

#[test]
fn a_command_that_nobody_waits_for_is_ended() {
    let sandbox = Sandbox::new();
    let mut running = with_child(&sandbox).start();
    running.wait_for_file(&sandbox.home().join("started"));
    drop(running);
    std::thread::sleep(Duration::from_millis(600));
    assert!(!sandbox.home().join("late").exists());
}
