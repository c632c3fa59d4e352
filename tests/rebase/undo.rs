//! Every sweep can be undone.

use git_deploy_testkit::sandbox;

use crate::{branch, rebase, set, shop, state_is};

#[test]
fn undo_moves_branches_back_with_their_states_and_work_trees() {
    let repo = shop(&sandbox!());
    let [one, two, _] = ["one", "two", "three"].map(|name| branch(&repo, name, name, "x\n"));
    for name in ["one", "two", "three"] {
        set(&repo, "staged", name);
    }
    repo.commit("d.txt", "d\n", "Go on");
    repo.switch("one");
    rebase(&repo, &[]).success();
    repo.git(&["branch", "--force", "three", "master"]);
    assert!(repo.path().join("d.txt").exists());

    let undone = rebase(&repo, &["--undo"]);
    undone.success().stdout_contains("restored").stdout_contains("it was moved since");
    assert_eq!((repo.id("one"), repo.id("two"), repo.id("three")), (one, two, repo.id("master")));
    assert!(!repo.path().join("d.txt").exists());
    repo.git(&["status", "--porcelain"]).stdout_is("");
    state_is(&repo, "one", "staged");
    rebase(&repo, &["--undo"]).code_is(1).stderr_contains("there is no rebase that could be undone");
    repo.fsck();
}

#[test]
fn what_was_withdrawn_since_does_not_come_back() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "deployable", "login");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    set(&repo, "development", "login");
    rebase(&repo, &["--undo"]).success();
    assert_eq!(repo.id("login"), old);
    state_is(&repo, "login", "development");
}

#[test]
fn sweeps_are_undone_one_after_the_other_and_gc_keeps_what_that_needs() {
    let repo = shop(&sandbox!());
    let first = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    let second = repo.id("login");
    repo.commit("e.txt", "e\n", "Go on");
    rebase(&repo, &[]).success();
    repo.git(&["reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    rebase(&repo, &["--undo"]).success();
    assert_eq!(repo.id("login"), second);
    rebase(&repo, &["--undo"]).success();
    assert_eq!(repo.id("login"), first);
    // Undone is not forbidden: the next sweep goes on.
    rebase(&repo, &[]).success().stdout_contains("rebased");
    state_is(&repo, "login", "staged");
}

#[test]
fn a_dirty_work_tree_keeps_its_branch_and_the_record() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    repo.switch("login");
    repo.write("d.txt", "changing\n");
    rebase(&repo, &["--undo"]).success().stdout_contains("uncommitted changes");
    repo.git(&["checkout", "--quiet", "--", "d.txt"]);
    rebase(&repo, &["--undo"]).success();
    assert_eq!(repo.id("login"), old);
}

#[test]
fn what_has_landed_since_stays() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &[]).success();
    let new = repo.id("login");
    repo.git(&["merge", "--quiet", "--ff-only", "login"]);
    rebase(&repo, &["--undo"]).success().stdout_contains("it is on base now");
    assert_eq!(repo.id("login"), new);
}

#[test]
fn undo_takes_no_branch_and_no_check() {
    let repo = shop(&sandbox!());
    rebase(&repo, &["--undo", "login"]).code_is(129);
    rebase(&repo, &["--undo", "--check"]).code_is(129);
}
