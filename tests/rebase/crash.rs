//! Killed, interrupted, overtaken: each tip has its note, and the next run ends what was begun.

use std::time::Duration;

use git_deploy_testkit::{RefPhase, Repo, Victim, sandbox};

use crate::{branch, rebase, set, shop, state_is};

const BRANCHES: [&str; 3] = ["one", "two", "three"];

/// Three staged branches, one of them checked out, and a base that went on.
fn prepared() -> Repo {
    let repo = shop(&sandbox!());
    for name in BRANCHES {
        branch(&repo, name, name, "x\n");
        set(&repo, "staged", name);
    }
    repo.commit("a.txt", "changed\n", "Go on");
    repo.commit("d.txt", "d\n", "Go on");
    repo.switch("two");
    repo
}

#[track_caller]
fn each_tip_has_its_note(repo: &Repo) {
    let notes = repo.notes();
    for name in BRANCHES {
        let note = notes.get(&repo.id(name)).unwrap_or_else(|| panic!("no note on {name}"));
        assert!(note.starts_with("state: staged\n"), "{note}");
    }
    repo.fsck();
}

#[track_caller]
fn the_next_run_ends_it(repo: &Repo) {
    let swept = rebase(repo, &[]);
    swept.success();
    let base = repo.id("master");
    for name in BRANCHES {
        assert_eq!(repo.id(&format!("{name}^")), base, "{name}\n{swept}");
        state_is(repo, name, "staged");
    }
    each_tip_has_its_note(repo);
    repo.git(&["status", "--porcelain"]).stdout_is("");
    assert_eq!(repo.read("a.txt"), "changed\n");
    repo.has_no_lock_files();
}

#[test]
fn killed_at_any_ref_transaction_it_is_ended_by_the_next_run() {
    let counter = prepared();
    let switch = counter.kill_at_ref_transaction(usize::MAX, RefPhase::Committed);
    counter.command("git-deploy-rebase").pid_file(switch.pid_file()).output().success();
    let transactions = switch.transactions();
    assert!(transactions >= 4, "notes, record, free branches, the checked-out one: {transactions}");
    for phase in [RefPhase::Prepared, RefPhase::Committed] {
        for n in 1..=transactions {
            for victim in [Victim::Process, Victim::Group] {
                let repo = prepared();
                let switch = repo.kill_at_transaction_of(&["*"], n, phase, victim);
                repo.command("git-deploy-rebase").pid_file(switch.pid_file()).output().was_killed();
                assert!(switch.has_fired());
                switch.remove();
                each_tip_has_its_note(&repo);
                the_next_run_ends_it(&repo);
            }
        }
    }
}

#[test]
fn killed_at_any_moment_it_is_ended_by_the_next_run() {
    for step in 0..12_u64 {
        let repo = prepared();
        let victim = if step % 2 == 0 { Victim::Group } else { Victim::Process };
        let running = repo.command("git-deploy-rebase").start();
        let _ = running.kill_after(Duration::from_millis(15 * step), victim);
        each_tip_has_its_note(&repo);
        the_next_run_ends_it(&repo);
    }
}

/// As [`prepared`], with a filter that runs a script when `d.txt`, the last file that changes, is written into the work
/// tree.
fn prepared_with_filter(script: &str) -> Repo {
    let repo = prepared();
    repo.write(".git/info/attributes", "d.txt filter=script\n");
    repo.set_config("filter.script.smudge", &format!("{script}; cat"));
    repo
}

#[test]
fn a_work_tree_that_was_left_half_written_is_brought_to_its_end() {
    let repo = prepared_with_filter("kill -9 -$(cat \"$HOME/pid\")");
    let old = repo.id("two");
    let pid_file = repo.sandbox().home().join("pid");
    repo.command("git-deploy-rebase").pid_file(pid_file).output().was_killed();
    assert_ne!(repo.id("two"), old, "the branch has moved");
    assert_eq!(repo.read("a.txt"), "changed\n", "one file is written");
    assert!(repo.git_path("index.lock").exists(), "the index is not");
    repo.set_config("filter.script.smudge", "cat");
    the_next_run_ends_it(&repo);
}

#[test]
fn interrupted_while_a_work_tree_is_written_it_ends_what_it_began() {
    let repo = prepared_with_filter("[ -e \"$HOME/reached\" ] || { echo >\"$HOME/reached\"; sleep 5; }");
    let mut running = repo.command("git-deploy-rebase").start();
    running.wait_for_file(&repo.sandbox().home().join("reached"));
    running.interrupt();
    running.wait().success();
    each_tip_has_its_note(&repo);
    repo.git(&["status", "--porcelain"]).stdout_is("");
    assert_eq!(repo.read("d.txt"), "d\n");
    the_next_run_ends_it(&repo);
}

#[test]
fn a_work_tree_that_somebody_went_on_in_after_a_crash_keeps_that_and_gets_its_branch_back() {
    let repo = prepared();
    let old = repo.id("two");
    let switch = repo.kill_at_transaction_of(&["refs/heads/two"], 1, RefPhase::Committed, Victim::Process);
    repo.command("git-deploy-rebase").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    repo.write("a.txt", "mine\n");
    rebase(&repo, &[]).success().stdout_contains("uncommitted changes");
    assert_eq!((repo.id("two"), repo.read("a.txt")), (old, "mine\n".into()));
    repo.git(&["status", "--porcelain"]).stdout_is(" M a.txt\n");
    each_tip_has_its_note(&repo);
}

#[test]
fn a_new_file_is_ended_where_it_was_begun_by_us_and_kept_where_it_is_somebodys() {
    for (written, is_ours) in [("", true), ("d", true), ("d\nmine\n", false)] {
        let repo = prepared();
        let old = repo.id("two");
        let switch =
            repo.kill_at_transaction_of(&["refs/heads/two"], 1, RefPhase::Committed, Victim::Process);
        repo.command("git-deploy-rebase").pid_file(switch.pid_file()).output().was_killed();
        switch.remove();
        repo.write("d.txt", written);
        if is_ours {
            the_next_run_ends_it(&repo);
            assert_eq!(repo.read("d.txt"), "d\n");
        } else {
            rebase(&repo, &[]).success().stdout_contains("d.txt");
            assert_eq!((repo.id("two"), repo.read("d.txt")), (old, written.to_owned()));
        }
    }
}

#[test]
fn a_branch_that_somebody_moves_meanwhile_is_left_to_them() {
    let repo = prepared();
    let other = repo.id("master~2");
    let old = repo.id("one");
    // The record is written after the notes and before the branches move.
    repo.install_hook(
        "reference-transaction",
        "[ \"$1\" = committed ] || exit 0\n\
         while read -r old new ref; do case \"$ref\" in refs/deploy-sweeps/*)\n\
         git update-ref refs/heads/one refs/heads/master~2 ;; esac; done",
    );
    let swept = rebase(&repo, &["--porcelain"]);
    repo.remove_hook("reference-transaction");
    swept.success().stdout_contains(&format!("skipped {old} {old} refs/heads/one it was moved meanwhile\n"));
    assert_eq!(repo.id("one"), other);
    for name in ["two", "three"] {
        assert_eq!(repo.id(&format!("{name}^")), repo.id("master"));
        state_is(&repo, name, "staged");
    }
}

#[test]
fn interrupted_before_anything_moved_it_says_so() {
    let repo = prepared();
    let before = repo.refs();
    repo.install_hook("pre-rebase", "echo >\"$HOME/reached\"; sleep 5");
    let mut running = repo.command("git-deploy-rebase").start();
    running.wait_for_file(&repo.sandbox().home().join("reached"));
    running.interrupt();
    running.wait().code_is(130).stderr_is("error: no branch was moved: interrupted\n");
    assert_eq!(repo.refs(), before);
    repo.remove_hook("pre-rebase");
    the_next_run_ends_it(&repo);
}

#[test]
fn two_sweeps_at_once_do_not_get_in_each_others_way() {
    let repo = prepared();
    repo.install_hook("pre-rebase", "echo >\"$HOME/reached\"; sleep 2");
    let mut first = repo.command("git-deploy-rebase").start();
    first.wait_for_file(&repo.sandbox().home().join("reached"));
    repo.try_deploy("deploy-rebase", &[]).code_is(75).stderr_contains("another 'git deploy-rebase' works");
    rebase(&repo, &["--check"]).success();
    first.wait().success();
    repo.remove_hook("pre-rebase");
    the_next_run_ends_it(&repo);
}
