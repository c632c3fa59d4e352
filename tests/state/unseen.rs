//! Decisions of others that come with the fetch before a decision of ours: nobody here was told of them yet.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{set, state_is};

/// A remote with a branch that is deployable, the clone of whoever has queued it, and that of somebody else.
fn team(sandbox: &Sandbox) -> [Repo; 3] {
    let bare = sandbox.bare("origin.git");
    let ours = sandbox.repository("ours");
    ours.add_remote("origin", &bare);
    ours.commit("a", "a\n", "Begin");
    ours.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    ours.branch("login");
    ours.commit("b", "b\n", "Log in");
    ours.git(&["push", "--quiet", "origin", "login"]);
    set(&ours, &["deployable", "login"]).success();
    let theirs = bare.clone_to("theirs");
    theirs.deploy("deploy-sync", &["--quiet"]);
    [bare, ours, theirs]
}

#[test]
fn a_withdrawal_that_nobody_here_was_told_of_is_not_overridden_before_it_was() {
    let [bare, ours, theirs] = team(&sandbox!());
    set(&theirs, &["development", "-m", "STOP: data loss", "login"]).success();
    let noted = bare.notes();
    state_is(&ours, "login", "deployable");
    set(&ours, &["deployable", "--priority=5", "login"])
        .code_is(1)
        .stderr_contains("error: cannot set 'login' to deployable: nobody here was told that it is development since 20")
        .stderr_contains(", set by Ada Lovelace <ada@example.org>: STOP: data loss\n")
        .stderr_contains(
            "hint: if it is to be deployable all the same, set it again: git deploy-state set deployable login\n",
        );
    assert_eq!(bare.notes(), noted);
    state_is(&ours, "login", "development");
    // Now it was told.
    set(&ours, &["deployable", "login"]).success().stderr_contains("development -> deployable");
    state_is(&theirs, "login", "development");
}

#[test]
fn what_a_clone_never_fetched_is_told_too_before_it_is_overridden() {
    let [bare, _, theirs] = team(&sandbox!());
    set(&theirs, &["development", "-m", "STOP", "login"]).success();
    let new = bare.clone_to("new");
    set(&new, &["deployable", "login"])
        .code_is(1)
        .stderr_contains("nobody here was told that it is development since ")
        .stderr_contains(">: STOP\n");
    set(&theirs, &["staged", "login"]).success();
    let newer = bare.clone_to("newer");
    set(&newer, &["deployable", "login"]).code_is(1).stderr_contains("told that it is staged since ");
    set(&newer, &["deployable", "login"]).success();
}

#[test]
fn what_others_decided_likewise_or_is_withdrawn_is_set_at_once() {
    let [bare, ours, theirs] = team(&sandbox!());
    set(&theirs, &["deployable", "-m", "Now", "login"]).success();
    set(&ours, &["deployable", "--priority=5", "login"]).success();
    set(&theirs, &["staged", "login"]).code_is(1);
    set(&theirs, &["staged", "login"]).success();
    set(&ours, &["development", "login"]).success();
    assert!(bare.notes()[&bare.id("login")].starts_with("state: development\n"));
}
