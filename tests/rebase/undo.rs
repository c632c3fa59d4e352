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
fn a_rebase_is_undone_by_its_number_where_its_branches_still_stand_whatever_came_later() {
    let repo = shop(&sandbox!());
    let [one, two] = ["one", "two"].map(|name| branch(&repo, name, name, "x\n"));
    repo.commit("d.txt", "d\n", "Go on");
    rebase(&repo, &["one"]).success();
    rebase(&repo, &["two"]).success();
    let [_, second] = ["one", "two"].map(|name| repo.id(name));
    repo.git(&["reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);

    rebase(&repo, &["--undo=7"])
        .code_is(1)
        .stderr_contains("there is no rebase 7 that could be undone")
        .stderr_contains(
            "hint: see which there are: git for-each-ref --format='%(refname:lstrip=2) %(subject)%0a%(body)' refs/deploy-sweeps\n",
        );
    let format = "--format=%(refname:lstrip=2) %(subject)%0a%(body)";
    let listed = repo.git(&["for-each-ref", format, "refs/deploy-sweeps"]);
    listed.stdout_contains("000001 rebase onto master\n").stdout_contains("refs/heads/one");
    rebase(&repo, &["--undo=000001"]).success().stdout_contains("restored  one");
    assert_eq!((repo.id("one"), repo.id("two")), (one, second));
    rebase(&repo, &["--undo=1"]).code_is(1);
    rebase(&repo, &["--undo"]).success().stdout_contains("restored  two");
    assert_eq!(repo.id("two"), two);
    rebase(&repo, &["--undo=x"]).code_is(129);
}

#[test]
fn what_a_later_rebase_has_moved_on_stays_and_can_be_undone_after_that() {
    let repo = shop(&sandbox!());
    let first = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    for file in ["d.txt", "e.txt"] {
        repo.commit(file, "x\n", "Go on");
        rebase(&repo, &[]).success();
    }
    let third = repo.id("login");
    let told = "a later rebase has moved it on, and has to be undone first";
    rebase(&repo, &["--undo=1"]).success().stdout_contains(told);
    assert_eq!(repo.id("login"), third);
    rebase(&repo, &["--undo"]).success();
    rebase(&repo, &["--undo=1"]).success();
    assert_eq!(repo.id("login"), first);
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
