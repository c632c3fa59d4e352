//! Ways in which commits come to stand elsewhere of which git tells no hook: nothing is carried, and nothing is lost.

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::{Format, left_out, sandbox, skip};

use crate::{login, master_moves, rebase, shop};

#[test]
fn a_cherry_pick_to_another_branch_is_in_development() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.git(&["checkout", "--quiet", "-b", "other", "master"]);
    repo.commit("d.txt", "d\n", "Go on");
    repo.git(&["cherry-pick", "master..login"]);
    state_is(&repo, "other", "development");
    state_is(&repo, "login", "deployable");
    assert!(repo.notes().keys().eq([&old]));
}

#[test]
fn a_branch_that_is_set_back_to_what_was_approved_is_approved() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    rebase(&repo, "", &["master"]).success();
    let carried = repo.id("login");
    repo.git(&["commit", "--quiet", "--amend", "--message", "Other words"]);
    state_is(&repo, "login", "development");
    for approved in [carried, old] {
        repo.git(&["reset", "--quiet", "--hard", &approved]);
        state_is(&repo, "login", "deployable");
    }
}

#[test]
fn git_replay_tells_nobody() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    repo.switch("master");
    // It came with 2.44, and moves the branches by itself since 2.52.
    if repo.sandbox().git_version() < (2, 44) {
        return;
    }
    let output = repo.git(&["replay", "--onto", "master", "master..login"]);
    if !output.stdout.is_empty() {
        repo.command("git").args(["update-ref", "--stdin"]).stdin(&output.stdout).output().success();
    }
    assert_ne!(repo.id("login"), old);
    state_is(&repo, "login", "development");
    repo.git(&["branch", "--quiet", "--force", "login", &old]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn a_program_that_moves_many_branches_and_tells_the_hook_is_heard() {
    let repo = shop(&sandbox!());
    let mut told = String::new();
    for (branch, message) in [("login", "Only"), ("cart", "Only"), ("shelf", "Other words")] {
        repo.git(&["checkout", "--quiet", "-b", branch, "master"]);
        let old = repo.commit(branch, "x\n", "Only");
        repo.deploy("deploy-state", &["set", "deployable"]);
        let tree = format!("{old}^{{tree}}");
        let new = repo.git(&["commit-tree", "-p", "master", "-m", message, &tree]).line().to_owned();
        repo.git(&["reset", "--quiet", "--hard", &new]);
        told.push_str(&format!("{old} {new}\n"));
    }
    repo.switch("master");
    let hook = repo.command("git-deploy-hook").args(["post-rewrite", "rebase"]).stdin(told).output();
    hook.success().stderr_contains("'shelf' is in development now: it was deployable, and commit '");
    assert_eq!(hook.stderr.matches("note: ").count(), 1, "{hook}");
    for (branch, state) in [("login", "deployable"), ("cart", "deployable"), ("shelf", "development")] {
        state_is(&repo, branch, state);
    }
}

/// It writes them with a header that names the sides, and with a tree in which a folder for each side lies.
#[test]
fn commits_in_which_jj_keeps_a_conflict_are_not_queued() {
    let repo = shop(&sandbox!());
    login(&repo);
    let of_jj = |commit: &str, extra: &str| {
        let text = repo.git(&["cat-file", "commit", commit]).stdout.replacen("\n\n", extra, 1);
        let write = ["hash-object", "-t", "commit", "-w", "--stdin"];
        repo.command("git").args(write).stdin(text).output().line().to_owned()
    };
    let tree = repo.id("login^{tree}");
    let conflict = of_jj("login", &format!("\njj:trees {tree} {tree} {tree}\nchange-id kkkk\n\n"));
    repo.git(&["branch", "--quiet", "early", &conflict]);
    let mend = repo.git(&["commit-tree", "-p", &conflict, "-m", "Mend it", &tree]).line().to_owned();
    repo.git(&["branch", "--quiet", "late", &mend]);
    for branch in ["early", "late"] {
        repo.try_deploy("deploy-state", &["set", "deployable", branch])
            .code_is(1)
            .stderr_contains(&format!("jj keeps a conflict in commit '{}'", &conflict[..10]))
            .stderr_contains("hint: resolve it, as with 'jj resolve'");
        state_is(&repo, branch, "development");
        repo.deploy("deploy-rebase", &["--check", branch]).stdout_contains("skipped");
    }
    // Without a conflict its commits are like any, and keep what jj knows them by.
    let resolved = of_jj("login", "\nchange-id kkkk\n\n");
    repo.git(&["branch", "--quiet", "--force", "early", &resolved]);
    repo.deploy("deploy-state", &["set", "deployable", "early"]);
    master_moves(&repo, "d.txt", "d\n");
    repo.deploy("deploy-rebase", &["early"]);
    state_is(&repo, "early", "deployable");
    assert!(repo.git(&["cat-file", "commit", "early"]).stdout.contains("\nchange-id kkkk\n"));
}

/// It knows no hook either, and rewrites the notes like any branch; those speak of the commits that were.
#[test]
fn git_filter_branch_leaves_all_states_with_what_it_keeps() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let filter = ["filter-branch", "--env-filter", "GIT_AUTHOR_NAME=Bob", "--", "--all"];
    repo.command("git").args(filter).env("FILTER_BRANCH_SQUELCH_WARNING", "1").output().success();
    assert_ne!(repo.id("login"), old);
    state_is(&repo, "login", "development");
    assert!(repo.notes().keys().eq([&old]));
    repo.git(&["reset", "--quiet", "--hard", "refs/original/refs/heads/login"]);
    state_is(&repo, "login", "deployable");
}

/// The same.
#[test]
fn who_pushes_a_history_that_was_rewritten_as_a_whole_is_not_told_to_follow_the_old_one() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    repo.add_remote("origin", &sandbox.bare("origin.git"));
    repo.git(&["push", "--quiet", "origin", "master"]);
    login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.deploy("deploy-rebase", &[]);
    repo.git(&["push", "--quiet", "origin", "login"]);
    let filter = ["filter-branch", "--env-filter", "GIT_AUTHOR_NAME=Bob", "--", "master", "login"];
    repo.command("git").args(filter).env("FILTER_BRANCH_SQUELCH_WARNING", "1").output().success();
    for branches in [&["login"][..], &["master", "login"]] {
        repo.git(&[&["push", "--dry-run", "--force", "origin"], branches].concat())
            .lacks("yours was not")
            .lacks("deploy-rebase");
    }
}

#[test]
fn git_filter_repo_leaves_all_states() {
    if Format::of_run().sha256 {
        left_out!("git-filter-repo reads only ids of 40 digits");
    }
    let sandbox = sandbox!();
    let (bare, repo) = (sandbox.bare("origin.git"), shop(&sandbox));
    if repo.try_git(&["filter-repo", "--version"]).code != Some(0) {
        skip!("git-filter-repo is not installed");
    }
    let old = login(&repo);
    repo.add_remote("origin", &bare);
    repo.git(&["push", "--quiet", "origin", "master", "login"]);
    let filter = |arguments: &[&str]| {
        repo.git(&[&["filter-repo", "--force", "--quiet"], arguments].concat());
        repo.git(&["checkout", "--quiet", "--force", "login"]);
        assert_ne!(repo.id("login"), old);
        state_is(&repo, "login", "development");
        repo.fsck();
    };
    filter(&["--email-callback", "return email.replace(b'ada', b'bob')"]);
    assert!(repo.notes().keys().eq([&old]));
    filter(&["--path", "a.txt"]);
    assert_eq!(repo.tip("refs/notes/deploy"), None);
    // What others have is still there, and says nothing of the new commits.
    repo.add_remote("origin", &bare);
    repo.deploy("deploy-sync", &[]);
    assert!(repo.notes().keys().eq([&old]));
    state_is(&repo, "login", "development");
}

#[test]
fn a_merge_by_which_a_branch_leaves_the_queue_says_so_and_what_to_do() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo.branch("more");
    repo.commit("c", "c\n", "More");
    repo.switch("login");
    let told = "note: 'login' is in development now: deployable was the commit before this merge\n";
    repo.git(&["merge", "--quiet", "--ff-only", "more"])
        .stderr_is(&format!("{told}hint: when it is ready again: git deploy-state set deployable login\n"));
    repo.git(&["reset", "--quiet", "--hard", "ORIG_HEAD"]);

    repo.switch("master");
    repo.commit("d", "d\n", "Meanwhile");
    repo.switch("login");
    let instead = "git reset --keep ORIG_HEAD && git deploy-rebase login";
    repo.git(&["merge", "--quiet", "--no-edit", "master"])
        .stderr_is(&format!("{told}hint: instead of the merge: {instead}\n"));
    repo.try_deploy("deploy-state", &["set", "deployable"]).code_is(1);
    sandbox.run("sh", &["-c", &format!("cd shop && {instead}")]);
    repo.deploy("deploy-state", &[]).stdout_is("deployable\n");
    assert_eq!(repo.git(&["merge-base", "master", "login"]).line(), repo.id("master"));
}
