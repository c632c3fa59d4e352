//! Work trees: left alone, unless nothing is changed in them.

use std::fs;

use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, rebase, set, shop, state_is, value};

/// A staged branch that is checked out, and a base that went on.
fn checked_out() -> (Repo, String) {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("a.txt", "changed\n", "Go on");
    repo.git(&["rm", "--quiet", "b.txt"]);
    repo.commit("d/e.txt", "e\n", "Go on further");
    repo.switch("login");
    (repo, old)
}

#[track_caller]
fn is_clean(repo: &Repo) {
    repo.git(&["status", "--porcelain"]).stdout_is("");
}

#[test]
fn a_clean_work_tree_follows_with_files_and_index() {
    let (repo, old) = checked_out();
    repo.write("untracked.txt", "mine\n");
    rebase(&repo, &[]).success();
    assert_ne!(repo.id("login"), old);
    repo.git(&["status", "--porcelain"]).stdout_is("?? untracked.txt\n");
    repo.git(&["symbolic-ref", "HEAD"]).stdout_is("refs/heads/login\n");
    assert_eq!(
        (repo.read("a.txt"), repo.read("d/e.txt"), repo.read("c.txt")),
        ("changed\n".into(), "e\n".into(), "c\n".into())
    );
    assert!(!repo.path().join("b.txt").exists());
    assert!(!repo.git_path("deploy/sweep-journal").exists());
    state_is(&repo, "login", "staged");
}

#[test]
fn a_dirty_work_tree_is_untouched_and_its_branch_taken_next_time() {
    for stage in [false, true] {
        let (repo, old) = checked_out();
        repo.write("c.txt", "changing\n");
        if stage {
            repo.git(&["add", "c.txt"]);
        }
        let swept = rebase(&repo, &["--porcelain"]);
        swept.success().stdout_is(&format!(
            "skipped {old} {old} refs/heads/login '{}' has uncommitted changes\n",
            repo.path().display()
        ));
        assert_eq!((repo.id("login"), repo.read("c.txt")), (old, "changing\n".into()));
        assert_eq!(repo.notes().len(), 1);
        repo.git(&["reset", "--quiet", "--hard"]);
        rebase(&repo, &[]).success().stdout_contains("rebased");
        is_clean(&repo);
    }
}

#[test]
fn an_untracked_file_in_the_way_is_never_overwritten() {
    let (repo, old) = checked_out();
    repo.write("d/e.txt", "mine\n");
    rebase(&repo, &[]).success().stdout_contains("Untracked working tree file 'd/e.txt'");
    assert_eq!((repo.id("login"), repo.read("d/e.txt")), (old, "mine\n".into()));
}

#[test]
fn a_linked_work_tree_follows_too_and_a_dirty_one_stays() {
    let (repo, _) = checked_out();
    repo.switch("master");
    let linked = repo.sandbox().root().join("a work\ntree");
    let linked = linked.to_str().unwrap();
    repo.git(&["worktree", "add", "--quiet", linked, "login"]);
    let tree = repo.sandbox().open("a work\ntree");
    tree.write("c.txt", "changing\n");
    rebase(&repo, &[]).success().stdout_contains("skipped").stdout_contains(r"a work\ntree");
    tree.write("c.txt", "c\n");
    rebase(&repo, &[]).success().stdout_contains("rebased");
    is_clean(&tree);
    assert_eq!(tree.read("d/e.txt"), "e\n");
    assert_eq!(tree.id("HEAD"), repo.id("login"));
    is_clean(&repo);

    repo.commit("f.txt", "f\n", "Go on");
    rebase(&tree, &[]).success().stdout_contains("rebased");
    assert_eq!(tree.read("f.txt"), "f\n");
    is_clean(&tree);
}

#[test]
fn a_branch_whose_work_tree_is_gone_is_left_alone() {
    let (repo, old) = checked_out();
    repo.switch("master");
    let linked = repo.sandbox().root().join("linked");
    repo.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "login"]);
    fs::remove_dir_all(&linked).unwrap();
    rebase(&repo, &[])
        .success()
        .stdout_contains("is not there")
        .stderr_contains("hint: 'login': if it is gone for good: git worktree prune; ");
    assert_eq!(repo.id("login"), old);
    repo.git(&["worktree", "prune"]);
    rebase(&repo, &[]).success().stdout_contains("rebased");
}

#[test]
fn what_a_rebase_merge_or_bisect_is_busy_with_is_left_alone() {
    let (repo, old) = checked_out();
    repo.switch("login");
    repo.git(&["bisect", "start"]);
    repo.git(&["bisect", "bad", "HEAD"]);
    repo.git(&["bisect", "good", "HEAD^"]);
    rebase(&repo, &[]).success().stdout_contains("in the middle of a bisect");
    repo.git(&["bisect", "reset"]);

    repo.git(&["branch", "other", "master"]);
    repo.switch("other");
    repo.commit("c.txt", "another\n", "Clash");
    repo.switch("login");
    let _ = repo.try_git(&["merge", "other"]);
    rebase(&repo, &[]).success().stdout_contains("in the middle of a merge");
    repo.git(&["merge", "--abort"]);

    let _ = repo.try_git(&["rebase", "other"]);
    rebase(&repo, &[]).success().stdout_contains("in the middle of a rebase");
    repo.git(&["rebase", "--abort"]);
    assert_eq!(repo.id("login"), old);
    rebase(&repo, &[]).success().stdout_contains("rebased");
    is_clean(&repo);
}

#[test]
fn a_broken_verdict_is_written_whatever_the_work_tree_looks_like() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "a.txt", "theirs\n");
    set(&repo, "staged", "login");
    repo.commit("a.txt", "ours\n", "Change the same");
    repo.switch("login");
    repo.write("a.txt", "changing\n");
    rebase(&repo, &[]).code_is(1);
    assert_eq!(value(&repo, &old, "state"), "broken");
    assert_eq!(repo.read("a.txt"), "changing\n");
}

#[test]
fn a_repository_apart_from_its_work_tree_follows_as_well() {
    let sandbox = sandbox!();
    let repo = sandbox.repository_apart("shop", "apart.git");
    crate::fill(&repo);
    let old = branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    repo.commit("d.txt", "d\n", "Go on");
    repo.switch("login");
    rebase(&repo, &[]).success();
    assert_ne!(repo.id("login"), old);
    is_clean(&repo);
}

#[test]
fn in_a_bare_repository_branches_move_as_well() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    branch(&repo, "login", "c.txt", "c\n");
    set(&repo, "staged", "login");
    let base = repo.commit("d.txt", "d\n", "Go on");
    let bare = sandbox.bare("bare");
    repo.git(&["push", "--quiet", bare.path().to_str().unwrap(), "refs/*:refs/*"]);
    rebase(&bare, &[]).success();
    assert_eq!(bare.id("login^"), base);
    state_is(&bare, "login", "staged");
}
