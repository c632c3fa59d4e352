//! Branches that somebody has taken back on the remote, and that stand here as they were decided about.

use git_deploy_testkit::scene::{branch, state_is};
use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{set, shop};

/// A remote with an approved branch of two commits, a clone of the one who approved it, and one of somebody else.
fn approved(sandbox: &Sandbox) -> (Repo, Repo, Repo) {
    let (remote, ours) = (sandbox.bare("remote.git"), shop(sandbox));
    ours.add_remote("origin", &remote);
    branch(&ours, "login", "b.txt", "b\n");
    ours.switch("login");
    ours.commit("c.txt", "c\n", "One more thing");
    ours.switch("master");
    ours.git(&["push", "--quiet", "origin", "master", "login"]);
    set(&ours, &["deployable", "login"]).success();
    let theirs = remote.clone_to("theirs");
    theirs.deploy("deploy-sync", &["--quiet"]);
    (remote, ours, theirs)
}

const OUT: &str =
    "hint: a push brings that back; where it is not to be deployed: git deploy-state set development login\n";

/// Sees to it that nobody is told to push, here.
fn is_told(ours: &Repo, what: &str) {
    let told = format!("login' is deployable, and on 'origin' it was {what}");
    for arguments in [&["list"][..], &["get", "login"]] {
        let output = ours.deploy("deploy-state", arguments);
        output.stderr_contains(&told).stderr_contains(OUT).lacks("git push");
    }
    ours.deploy("deploy-queue", &["show", "login"]).stderr_contains(OUT).lacks("git push");
}

#[test]
fn a_branch_that_was_set_back_there_is_told_with_whose_decision_holds_and_not_to_be_pushed() {
    let (_, ours, theirs) = approved(&sandbox!());
    theirs.git(&["push", "--quiet", "--force", "origin", "origin/login~1:refs/heads/login"]);
    theirs.deploy("deploy-state", &["set", "development", "login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    is_told(&ours, &format!("set back: what counts is {}, which is development", &ours.id("login~1")[..10]));
    // As the hint says, a push brings no approval then.
    set(&ours, &["development", "login"]).success();
    ours.git(&["push", "--quiet", "origin", "login"]);
    ours.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
}

#[test]
fn a_branch_that_was_deleted_there_is_told_so_and_not_to_be_pushed() {
    let (_, ours, theirs) = approved(&sandbox!());
    theirs.git(&["push", "--quiet", "origin", ":login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    is_told(&ours, "deleted: nothing of it counts");
    // Further fetches change nothing about that, until it is there again.
    ours.deploy("deploy-sync", &["--quiet"]);
    is_told(&ours, "deleted: nothing of it counts");
    ours.git(&["push", "--quiet", "origin", "login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    ours.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n").stderr_is("");
    state_is(&ours, "login", "deployable");
}

#[test]
fn a_branch_that_was_deleted_there_is_told_so_after_a_plain_fetch_where_git_knows_what_it_follows() {
    let (_, ours, theirs) = approved(&sandbox!());
    ours.git(&["branch", "--quiet", "--set-upstream-to=origin/login", "login"]);
    theirs.git(&["push", "--quiet", "origin", ":login"]);
    ours.git(&["fetch", "--quiet", "--prune"]);
    is_told(&ours, "deleted: nothing of it counts");
}

#[test]
fn a_branch_that_no_fetch_brings_is_not_told_to_be_deleted_there() {
    let sandbox = sandbox!();
    let (remote, ours, _) = approved(&sandbox);
    ours.git(&["config", "remote.origin.fetch", "+refs/heads/master:refs/remotes/origin/master"]);
    branch(&ours, "mine", "m.txt", "m\n");
    ours.git(&["push", "--quiet", "--set-upstream", "origin", "mine"]);
    assert!(remote.tip("mine").is_some() && ours.tip("refs/remotes/origin/mine").is_none());
    set(&ours, &["deployable", "mine"]).success();
    for arguments in [&["list"][..], &["get", "mine"]] {
        ours.deploy("deploy-state", arguments).lacks("it was deleted").lacks("set development mine");
    }
    ours.deploy("deploy-queue", &["show", "mine"]).lacks("was deleted").lacks("set development mine");
}

#[test]
fn a_branch_that_was_deleted_there_and_is_pushed_again_is_not_told_to_be_gone_where_no_fetch_brings_it() {
    let (remote, ours, theirs) = approved(&sandbox!());
    ours.git(&["config", "remote.origin.fetch", "+refs/heads/master:refs/remotes/origin/master"]);
    ours.deploy("deploy-init", &[]);
    ours.deploy("deploy-sync", &["--quiet"]);
    theirs.git(&["push", "--quiet", "origin", ":login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    is_told(&ours, "deleted: nothing of it counts");
    ours.git(&["push", "--quiet", "origin", "login"])
        .stderr_contains("brings 'login' back to 'origin' as deployable: it was deleted there");
    assert!(remote.tip("login").is_some() && ours.tip("refs/remotes/origin/login").is_none());
    ours.deploy("deploy-state", &["list"]).lacks("deleted").lacks("set development");
}

#[test]
fn a_branch_that_nobody_has_pushed_is_told_to_be_pushed() {
    let (_, ours, _) = approved(&sandbox!());
    branch(&ours, "mine", "m.txt", "m\n");
    set(&ours, &["deployable", "mine"]).success();
    ours.deploy("deploy-sync", &["--quiet"]);
    ours.deploy("deploy-state", &["list"]).stderr_contains("hint: push it: git push -u origin mine\n");
    ours.deploy("deploy-queue", &["show", "mine"]).stderr_contains("git push -u origin mine\n");
}

#[test]
fn what_is_decided_on_a_branch_that_lags_behind_is_told_to_have_no_effect_on_what_counts() {
    let (remote, ours, theirs) = approved(&sandbox!());
    theirs.switch("login");
    theirs.commit("d.txt", "d\n", "Go on");
    theirs.git(&["push", "--quiet", "origin", "login"]);
    set(&theirs, &["deployable", "login"]).success();
    ours.deploy("deploy-sync", &["--quiet"]);
    let further = "hint: get its further commits, on 'login': git merge --ff-only origin/login\n";
    let counts = format!("what counts is {} on 'origin', which is deployable\n", &theirs.id("login")[..10]);
    let told = set(&ours, &["deployable", "--priority=5", "login"]);
    told.success().stderr_contains(&counts).stderr_contains(further).lacks("git push");
    ours.switch("login");
    ours.git(&["merge", "--quiet", "--ff-only", "origin/login"]);
    set(&ours, &["deployable", "--priority=5", "login"]).success().lacks("what counts");
    assert!(remote.notes()[&remote.id("login")].contains("priority: 5"));
}

#[test]
fn a_branch_that_differs_is_shown_with_how_it_is_brought_together_before_it_is_queued() {
    let (_, ours, theirs) = approved(&sandbox!());
    theirs.switch("login");
    theirs.commit("d.txt", "d\n", "Help");
    theirs.git(&["push", "--quiet", "origin", "login"]);
    ours.switch("login");
    ours.git(&["commit", "--quiet", "--amend", "--message=One more, please"]);
    set(&ours, &["deployable", "login"]).success();
    ours.deploy("deploy-sync", &["--quiet"]);
    // Somebody else's commit is there: it is never pushed over.
    let together =
        "hint: look at what differs between both: git range-diff --no-notes origin/login...login\n";
    ours.deploy("deploy-queue", &["show", "login"])
        .stdout_contains("login: development")
        .stderr_contains(together)
        .lacks("it is not queued")
        .lacks("git rebase")
        .lacks("force-with-lease");
    ours.deploy("deploy-state", &["get", "login"]).stderr_contains(together).lacks("force-with-lease");
    ours.deploy("deploy-state", &["list"]).stderr_contains(together).lacks("force-with-lease");
}

#[test]
fn a_branch_with_a_merge_is_told_how_the_merge_gets_out_of_it_before_it_is_pushed() {
    let (remote, ours, theirs) = approved(&sandbox!());
    // What somebody else pushed to it.
    theirs.switch("login");
    theirs.commit("d.txt", "d\n", "Help");
    theirs.git(&["push", "--quiet", "origin", "login"]);
    set(&theirs, &["deployable", "login"]).success();
    ours.switch("login");
    ours.commit("e.txt", "e\n", "Go on");
    ours.deploy("deploy-sync", &["--quiet"]);
    ours.git(&["merge", "--quiet", "--no-edit", "origin/login"]);
    follow(&ours);
    assert_eq!(remote.id("login~1"), theirs.id("login"));
    // What others landed.
    theirs.switch("master");
    theirs.commit("f.txt", "f\n", "Land");
    theirs.git(&["push", "--quiet", "origin", "master"]);
    ours.git(&["fetch", "--quiet"]);
    ours.git(&["merge", "--quiet", "--no-edit", "origin/master"]);
    follow(&ours);
    assert_eq!(remote.id("login~4"), theirs.id("master"));
}

/// Does what the hints of a list say about the branch, and sees that it is queued then.
fn follow(repo: &Repo) {
    let list =
        repo.deploy("deploy-state", &["list"]).stderr_contains("as nothing rebases a merge: ").stderr.clone();
    let hints = list.lines().filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "));
    for (_, command) in hints {
        repo.command("sh").args(["-c", command]).output().success();
    }
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&repo.id("login"));
    repo.deploy("deploy-state", &["list"]).stderr_is("");
}

#[test]
fn of_many_branches_that_do_not_count_it_is_said_once_what_to_do_unless_a_push_would_bring_something_back() {
    let (_, ours, theirs) = approved(&sandbox!());
    for name in ["a", "b", "c"] {
        branch(&ours, name, &format!("{name}.txt"), "new\n");
        set(&ours, &["deployable", name]).success();
    }
    let each = ours.deploy("deploy-state", &["list"]);
    each.stderr_contains("origin a\n").stderr_contains("origin b\n").stderr_contains("origin c\n");
    ours.switch("login");
    ours.commit("d.txt", "d\n", "Go on");
    set(&ours, &["deployable", "login"]).success();
    let hints = ours.deploy("deploy-state", &["list"]).stderr;
    let hints: Vec<&str> = hints.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    assert_eq!(hints.len(), 4, "three and one: {hints:?}");
    branch(&ours, "d", "d.txt", "new\n");
    set(&ours, &["deployable", "d"]).success();
    theirs.git(&["push", "--quiet", "--force", "origin", "origin/login~1:refs/heads/login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    let hints = ours.deploy("deploy-state", &["list"]).stderr;
    let hints: Vec<&str> = hints.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    let push = "push each that 'origin' has not and that is to be deployed: git push -u origin <branch>";
    assert_eq!(
        hints,
        [
            "a push brings that back; where it is not to be deployed: git deploy-state set development login",
            push
        ]
    );
}
