//! A hold of somebody else: whoever goes on from what is held does not take it away unasked.

use git_deploy_testkit::{Repo, sandbox};

use crate::set;
use crate::unseen::team;

/// Bob holds 'login'.
fn held_by_bob(theirs: &Repo) {
    let hold = theirs.command("git-deploy-queue").args(["hold", "--reason=an incident", "login"]);
    hold.as_person("Bob", "bob@example.org").output().success();
}

/// Ada goes on with 'login'.
fn goes_on(ours: &Repo, file: &str) {
    ours.commit(file, "d\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "login"]);
}

#[test]
fn a_hold_of_somebody_else_is_told_before_what_goes_on_from_there_is_queued_without() {
    for came_with in ["set", "sync", "list", "fetch"] {
        let [bare, ours, theirs] = team(&sandbox!());
        held_by_bob(&theirs);
        match came_with {
            "sync" => drop(ours.deploy("deploy-sync", &[])),
            "list" => {
                ours.git(&["fetch", "--quiet", "origin", "refs/notes/deploy:refs/notes/deploy"]);
                ours.deploy("deploy-state", &["list"]);
            }
            "fetch" => drop(ours.git(&["fetch", "--quiet"])),
            _ => {}
        }
        goes_on(&ours, "d");
        let again = "git deploy-state set deployable --hold='an incident' login";
        set(&ours, &["deployable", "login"])
            .code_is(1)
            .stderr_contains(&format!(
                "cannot set 'login' to deployable: '{}', which it stands on, is on hold since ",
                &ours.id("login~")[..10]
            ))
            .stderr_contains(", by Bob <bob@example.org>: an incident\n")
            .stderr_contains(&format!(", on hold as before: {again}\n"))
            .stderr_contains("need not wait any more: git deploy-state set deployable --hold= login\n");
        // Neither does it get there by way of another state.
        set(&ours, &["staged", "login"]).code_is(1).stderr_contains("is on hold since ");
        for why in ["not yet", "still not"] {
            set(&ours, &["development", "-m", why, "login"]).success();
        }
        set(&ours, &["deployable", "login"]).code_is(1).stderr_contains("is on hold since ");
        ours.command("sh").args(["-c", again]).output().success();
        assert!(bare.notes()[&bare.id("login")].contains("hold: an incident\n"));
        // Who keeps it has not put it there.
        goes_on(&ours, "e");
        set(&ours, &["deployable", "login"])
            .code_is(1)
            .stderr_contains(", by Bob <bob@example.org>: an incident\n");
        set(&ours, &["deployable", "--hold=", "login"]).success();
        goes_on(&ours, "f");
        set(&ours, &["deployable", "login"]).success();
    }
}

#[test]
fn so_it_is_before_what_is_amended_is_queued_without() {
    let [_, ours, theirs] = team(&sandbox!());
    held_by_bob(&theirs);
    ours.deploy("deploy-sync", &[]);
    let held = ours.id("login");
    ours.write("b", "amended\n");
    ours.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    set(&ours, &["deployable", "login"])
        .code_is(1)
        .stderr_contains(&format!("to deployable: '{}', which it was, is on hold since ", &held[..10]));
    set(&ours, &["deployable", "--hold=", "login"]).success();
    set(&ours, &["deployable", "login"]).success();
}

#[test]
fn an_amend_of_the_last_of_several_decided_commits_is_asked_about_and_answered_once() {
    let [_, ours, theirs] = team(&sandbox!());
    goes_on(&ours, "d");
    set(&ours, &["deployable", "login"]).success();
    theirs.deploy("deploy-sync", &["--quiet"]);
    held_by_bob(&theirs);
    ours.deploy("deploy-sync", &["--quiet"]);
    let amend = |message: &str| drop(ours.git(&["commit", "--quiet", "--amend", "--message", message]));
    amend("Go on there");
    set(&ours, &["deployable", "login"]).code_is(1).stderr_contains(", which it was, is on hold since ");
    // Who keeps it has not put it there: neither here.
    set(&ours, &["deployable", "--hold=an incident", "login"]).success();
    amend("Go on here");
    set(&ours, &["deployable", "login"])
        .code_is(1)
        .stderr_contains(", by Bob <bob@example.org>: an incident\n");
    set(&ours, &["deployable", "--hold=", "login"]).success();
    amend("Go on");
    set(&ours, &["deployable", "login"]).success().lacks("does not wait");
}

#[test]
fn a_hold_that_was_kept_many_times_is_still_that_of_who_put_it_there() {
    let [_, ours, theirs] = team(&sandbox!());
    held_by_bob(&theirs);
    for file in ["d", "e", "f", "g", "h", "i", "j"] {
        goes_on(&ours, file);
        set(&ours, &["deployable", "login"])
            .code_is(1)
            .stderr_contains(", by Bob <bob@example.org>: an incident\n");
        set(&ours, &["deployable", "--hold=an incident", "login"]).success();
    }
    // What was let go, and has landed since, is no reason to ask about what it was before.
    ours.git(&["commit", "--quiet", "--amend", "--message=Go on otherwise"]);
    set(&ours, &["deployable", "--hold=", "login"]).success();
    ours.git(&["push", "--quiet", "--force", "origin", "login", "login:master"]);
    ours.git(&["fetch", "--quiet"]);
    ours.commit("k", "k\n", "Go on");
    set(&ours, &["deployable", "login"]).success().lacks("on hold");
}

#[test]
fn a_hold_below_commits_of_others_is_told_and_asks_nobody() {
    let [_, ours, theirs] = team(&sandbox!());
    held_by_bob(&theirs);
    theirs.git(&["switch", "--quiet", "login"]);
    theirs.write("c", "c\n");
    theirs.git(&["add", "c"]);
    let commit = theirs.command("git").args(["commit", "--quiet", "--message=Go on"]);
    commit.as_person("Carol", "carol@example.org").output().success();
    theirs.git(&["push", "--quiet", "--no-verify", "origin", "login"]);
    ours.git(&["pull", "--quiet", "--ff-only", "origin", "login"]);
    let again = "git deploy-queue hold --reason='an incident' login";
    set(&ours, &["deployable", "login"])
        .success()
        .stderr_contains(&format!(
            "note: 'login' does not wait, though '{}', which it stands on, is on hold since 20",
            &ours.id("login~")[..10]
        ))
        .stderr_contains(", by Bob <bob@example.org>: an incident\n")
        .stderr_contains(&format!("hint: to hold it again: {again}\n"));
    ours.command("sh").args(["-c", again]).output().success();
    set(&ours, &["deployable", "login"]).success().lacks("does not wait");
}

#[test]
fn the_later_word_counts_of_what_it_was_and_what_it_stands_on() {
    let pause = || std::thread::sleep(std::time::Duration::from_millis(1100));
    // Bob holds the second commit, and it is made anew upon the first one.
    let [_, ours, theirs] = team(&sandbox!());
    goes_on(&ours, "d");
    set(&ours, &["deployable", "login"]).success();
    theirs.deploy("deploy-sync", &["--quiet"]);
    held_by_bob(&theirs);
    ours.deploy("deploy-sync", &["--quiet"]);
    ours.git(&["reset", "--quiet", "--soft", "HEAD~1"]);
    ours.git(&["commit", "--quiet", "--message=Anew"]);
    set(&ours, &["deployable", "login"]).code_is(1).stderr_contains(", which it was, is on hold since ");
    // Bob holds the first one, after the second was decided about, which is given up.
    let [_, ours, theirs] = team(&sandbox!());
    ours.commit("d", "d\n", "Go on");
    set(&ours, &["deployable", "login"]).success();
    pause();
    held_by_bob(&theirs);
    ours.deploy("deploy-sync", &["--quiet"]);
    ours.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    ours.commit("e", "e\n", "Go on otherwise");
    set(&ours, &["deployable", "login"])
        .code_is(1)
        .stderr_contains(", which it stands on, is on hold since ");
}

#[test]
fn where_git_keeps_no_reflog_none_is_made_by_looking() {
    let [_, ours, _] = team(&sandbox!());
    ours.set_config("core.logAllRefUpdates", "false");
    ours.git(&["branch", "two", "login"]);
    ours.git(&["switch", "--quiet", "two"]);
    ours.commit("two", "2\n", "Two");
    set(&ours, &["deployable", "two"]).success();
    assert!(!ours.path().join(".git/logs/refs/heads/two").exists());
}

#[test]
fn a_hold_of_ones_own_is_no_reason_to_ask() {
    let [_, ours, _] = team(&sandbox!());
    ours.deploy("deploy-queue", &["hold", "--reason=wait", "login"]);
    goes_on(&ours, "d");
    set(&ours, &["deployable", "login"]).success();
}

#[test]
fn neither_is_one_that_was_let_go() {
    let [_, ours, theirs] = team(&sandbox!());
    held_by_bob(&theirs);
    ours.deploy("deploy-queue", &["release", "login"]);
    goes_on(&ours, "d");
    set(&ours, &["deployable", "login"]).success();
}

#[test]
fn who_says_whether_it_is_on_hold_is_asked_no_more() {
    for hold in ["--hold=", "--hold=other"] {
        let [_, ours, theirs] = team(&sandbox!());
        held_by_bob(&theirs);
        goes_on(&ours, "d");
        set(&ours, &["deployable", hold, "login"]).success();
        goes_on(&ours, "e");
        set(&ours, &["deployable", "login"]).success();
    }
}

#[test]
fn what_is_in_development_is_not_held_for_nothing_deploys_it() {
    let [_, ours, _] = team(&sandbox!());
    set(&ours, &["development", "--hold=sale", "login"]).code_is(129).stderr_contains(
        "error: a branch in development is not deployed anyway: --hold goes with deployable or staged\n",
    );
    set(&ours, &["deployable", "--hold=sale", "login"]).success();
    set(&ours, &["development", "--hold=", "login"]).success();
}
