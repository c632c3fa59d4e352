//! What becomes of states when branches are made, renamed, deleted, set back or pushed over by others.

use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, conflicting, set, shop, state_is};

/// Each way from one state to another that a user may ask for, and each that is refused.
#[test]
fn users_move_branches_as_the_table_of_states_says_and_in_no_other_way() {
    let repo = shop(&sandbox!());
    for from in ["development", "staged", "deployable"] {
        for to in ["development", "staged", "deployable"] {
            let name = format!("{from}-{to}");
            branch(&repo, &name, &format!("{name}.txt"), "x\n");
            set(&repo, &[from, &name]).success();
            set(&repo, &[to, &name]).success();
            state_is(&repo, &name, to);
        }
        for to in ["deployed", "broken"] {
            let name = format!("{from}-{to}");
            branch(&repo, &name, &format!("{name}.txt"), "x\n");
            set(&repo, &[from, &name]).success();
            set(&repo, &[to, &name]).code_is(1);
            state_is(&repo, &name, from);
        }
    }
}

#[test]
fn from_broken_only_development_is_free_and_the_others_are_checked_anew() {
    let repo = shop(&sandbox!());
    for name in ["one", "two"] {
        branch(&repo, name, "b.txt", &format!("{name}\n"));
        set(&repo, &["deployable", name]).success();
    }
    repo.commit("b.txt", "ours\n", "Add the same file");
    repo.try_deploy("deploy-rebase", &[]).code_is(1);
    state_is(&repo, "one", "broken");
    for to in ["staged", "deployable"] {
        set(&repo, &[to, "one"]).code_is(1).stderr_contains("cannot be rebased cleanly on 'master'");
        state_is(&repo, "one", "broken");
    }
    set(&repo, &["development", "one"]).success();
    state_is(&repo, "one", "development");
    // Base moves away from the conflict: what was broken for it is judged by what is there now.
    repo.git(&["rm", "--quiet", "b.txt"]);
    repo.git(&["commit", "--quiet", "--message=Take it out again"]);
    set(&repo, &["staged", "two"]).success().stderr_contains("Set two: broken -> staged\n");
}

#[test]
fn a_branch_that_is_made_on_a_deployable_commit_is_in_development() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.git(&["branch", "copy", "login"]);
    repo.git(&["branch", "--copy", "login", "second-copy"]);
    state_is(&repo, "copy", "development");
    state_is(&repo, "second-copy", "development");
    state_is(&repo, "login", "deployable");
    let queue = repo.deploy("deploy-queue", &["--porcelain"]);
    assert_eq!(queue.lines().len(), 1, "{queue}");
}

#[test]
fn a_branch_on_bases_tip_has_base_s_commit_and_nothing_to_deploy() {
    let repo = shop(&sandbox!());
    repo.git(&["branch", "fresh"]);
    state_is(&repo, "fresh", "development");
    for to in ["staged", "deployable"] {
        set(&repo, &[to, "fresh"]).code_is(1).stderr_contains("it has no commits beyond base 'master'");
    }
    // It may be said all the same that it is in development: that is no claim on base's commit.
    set(&repo, &["development", "fresh"]).success();
    repo.switch("fresh");
    repo.commit("b.txt", "b\n", "Begin");
    set(&repo, &["staged", "fresh"]).success();
    state_is(&repo, "fresh", "staged");
}

#[test]
fn a_branch_that_was_merged_by_hand_is_in_development_and_counts_again_if_that_is_taken_back() {
    let repo = shop(&sandbox!());
    let states = ["development", "staged", "deployable"];
    for state in states {
        branch(&repo, state, &format!("{state}.txt"), "x\n");
        set(&repo, &[state, state]).success();
    }
    branch(&repo, "left", "left.txt", "x\n");
    set(&repo, &["staged", "left"]).success();
    repo.switch("master");
    let before = repo.id("HEAD");
    for state in states {
        repo.git(&["merge", "--quiet", "--no-edit", state]);
        state_is(&repo, state, "development");
    }
    let list = repo.deploy("deploy-state", &["list"]);
    for state in &states[1..] {
        list.stdout_contains(&format!("was {state}; 'master' has all of it\n"));
        let told = format!(
            "note: '{state}' was {state}, and 'master' has all of it now: nothing is left to deploy\n"
        );
        repo.deploy("deploy-state", &["get", state]).stderr_is(&told);
    }
    list.lacks("was development");
    let json = repo.deploy("deploy-state", &["list", "--json"]);
    assert_eq!(json.stdout.matches("\"merged\":\"refs/heads/master\"").count(), 2, "{json}");
    let listed = repo.deploy("deploy-state", &["list", "--porcelain"]);
    let states_of: Vec<&str> = listed.lines().iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(states_of, ["development", "development", "staged", "development"], "{listed}");
    // Who says so once more means it for then, too.
    set(&repo, &["development", "staged"]).success();
    repo.git(&["reset", "--quiet", "--hard", &before]);
    state_is(&repo, "staged", "development");
    state_is(&repo, "deployable", "deployable");
}

#[test]
fn a_branch_whose_commit_is_lost_costs_no_other_one_its_state() {
    let repo = shop(&sandbox!());
    for name in ["lost", "merged", "staged"] {
        branch(&repo, name, &format!("{name}.txt"), "x\n");
        set(&repo, &["staged", name]).success();
    }
    repo.switch("master");
    repo.git(&["merge", "--quiet", "--no-edit", "merged"]);
    repo.commit("c.txt", "c\n", "Go on");
    let lost = repo.id("lost");
    std::fs::remove_file(repo.path().join(".git/objects").join(&lost[..2]).join(&lost[2..])).unwrap();
    let list = repo.deploy("deploy-state", &["list", "--porcelain"]);
    let states: Vec<&str> = list.lines().iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(states, ["staged", "development", "staged"], "{list}");
}

#[test]
fn a_branch_that_is_renamed_is_in_development_until_somebody_decides_or_it_is_called_so_again() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.git(&["branch", "--move", "login", "signin"]);
    state_is(&repo, "signin", "development");
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
    repo.git(&["branch", "--move", "signin", "login"]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn a_branch_that_is_deleted_leaves_the_queue_and_counts_again_if_it_comes_back_with_the_same_commits() {
    let repo = shop(&sandbox!());
    let tip = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.git(&["branch", "--quiet", "--delete", "--force", "login"]);
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
    repo.try_deploy("deploy-state", &["get", "login"])
        .code_is(128)
        .stderr_contains("there is no branch 'login'");
    repo.git(&["branch", "login", "master"]);
    state_is(&repo, "login", "development");
    repo.git(&["branch", "--force", "login", &tip]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn a_branch_that_is_reset_has_the_state_of_the_commit_that_it_is_reset_to() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    repo.switch("login");
    repo.commit("c.txt", "c\n", "One more thing");
    set(&repo, &["deployable", "login"]).success();
    for (back, state) in [("HEAD~1", "staged"), ("HEAD@{1}", "deployable"), ("HEAD~2", "development")] {
        repo.git(&["reset", "--quiet", "--hard", back]);
        state_is(&repo, "login", state);
    }
}

/// A remote with an approved branch, a clone of the one who approved it, and one of somebody else.
fn shared(sandbox: &git_deploy_testkit::Sandbox) -> (Repo, Repo) {
    let (remote, ours) = (sandbox.bare("remote.git"), shop(sandbox));
    ours.add_remote("origin", &remote);
    branch(&ours, "login", "b.txt", "b\n");
    ours.git(&["push", "--quiet", "origin", "master", "login"]);
    set(&ours, &["deployable", "login"]).success();
    let theirs = remote.clone_to("theirs");
    theirs.deploy("deploy-sync", &["--quiet"]);
    (ours, theirs)
}

#[test]
fn what_somebody_else_pushes_over_an_approved_branch_is_in_development() {
    let sandbox = sandbox!();
    let (ours, theirs) = shared(&sandbox);
    state_is(&theirs, "login", "deployable");
    theirs.switch("login");
    theirs.git(&["commit", "--quiet", "--amend", "--message=Something else"]);
    theirs.git(&["push", "--quiet", "--force", "origin", "login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    // Ours stands where it was approved; what counts for the queue is the remote's.
    state_is(&ours, "login", "deployable");
    ours.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
    let list = ours.deploy("deploy-state", &["list", "--porcelain"]);
    assert!(list.line().starts_with("development "), "{list}");
    // Pushed back, the approval counts again.
    ours.git(&["push", "--quiet", "--force", "origin", "login"]);
    assert_eq!(ours.deploy("deploy-queue", &["--porcelain"]).lines().len(), 1);
}

#[test]
fn a_branch_that_somebody_else_deletes_leaves_the_queue_when_that_is_fetched() {
    let sandbox = sandbox!();
    let (ours, theirs) = shared(&sandbox);
    theirs.git(&["push", "--quiet", "origin", "--delete", "login"]);
    ours.deploy("deploy-sync", &["--quiet"]);
    ours.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
    ours.deploy("deploy-state", &["list", "--porcelain"]).stdout_is("");
}

#[test]
fn branches_on_one_commit_that_are_moved_together_hinder_each_other_in_nothing() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.git(&["branch", "copy", "login"]);
    for state in ["staged", "deployable", "development", "deployable"] {
        set(&repo, &[state, "login", "copy"]).success();
        for name in ["login", "copy"] {
            state_is(&repo, name, state);
        }
    }
    set(&repo, &["staged", "login"]).code_is(1).stderr_contains("its commit is also the tip of 'copy'");
    set(&repo, &["staged", "login", "copy"]).success();
    state_is(&repo, "copy", "staged");
}

#[test]
fn who_decides_about_a_renamed_branch_and_who_brings_one_more_is_recorded() {
    let repo = shop(&sandbox!());
    branch(&repo, "old", "b.txt", "b\n");
    set(&repo, &["deployable", "--message=Reviewed by Grace", "--priority=3", "old"]).success();
    repo.git(&["branch", "--move", "old", "new"]);
    let eve = |name: &str| {
        let set = repo.command("git-deploy-state").args(["set", "deployable", name]);
        set.as_person("Eve", "eve@example.org").output().success();
        repo.notes()[&repo.id(name)].clone()
    };
    let note = eve("new");
    assert!(note.contains("\nref: refs/heads/new\n") && note.contains("\nby: Eve <"), "{note}");
    assert!(["old", "Grace", "priority"].iter().all(|word| !note.contains(word)), "{note}");
    set(&repo, &["staged", "--message=Wait for Grace", "new"]).success();
    repo.git(&["branch", "more", "new"]);
    let more = repo.command("git-deploy-state").args(["set", "staged", "more"]);
    more.as_person("Eve", "eve@example.org").output().success();
    let note = &repo.notes()[&repo.id("more")];
    assert!(note.contains("\nref: refs/heads/new\nref: refs/heads/more\n"), "{note}");
    // What was said of the one is said of the other, too: there is one note.
    assert!(note.contains("\nby: Eve <") && note.contains("\nmessage: Wait for Grace\n"), "{note}");
}

#[test]
fn a_message_is_kept_in_the_note_and_in_the_log_and_goes_with_the_decision() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "--message=Reviewed by Grace", "login"]).success();
    repo.deploy("deploy-state", &["get", "--json", "login"])
        .stdout_contains("\"message\":\"Reviewed by Grace\"");
    repo.deploy("deploy-state", &["log", "login"]).stdout_contains("Reviewed by Grace");
    set(&repo, &["staged", "login"]).success();
    let json = repo.deploy("deploy-state", &["get", "--json", "login"]);
    assert!(!json.stdout.contains("Grace"), "{json}");
}

#[test]
fn a_message_that_says_nothing_is_none() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    for (message, state) in [("", "staged"), (" \t\n", "deployable"), ("\u{a0}", "staged")] {
        set(&repo, &[state, "-m", message, "login"]).success();
        state_is(&repo, "login", state);
        assert!(!repo.notes()[&repo.id("login")].contains("message"));
    }
}

#[test]
fn one_branch_that_may_not_be_moved_keeps_all_of_them_where_they_are_whatever_their_order() {
    let repo = shop(&sandbox!());
    for name in ["one", "two"] {
        branch(&repo, name, &format!("{name}.txt"), "x\n");
        set(&repo, &["staged", name]).success();
    }
    conflicting(&repo, "bad");
    let notes = repo.notes();
    for order in [["bad", "one", "two"], ["one", "bad", "two"], ["one", "two", "bad"]] {
        set(&repo, &[&["deployable"][..], &order].concat()).code_is(1);
        assert_eq!(repo.notes(), notes);
    }
}

#[test]
fn a_branch_that_was_squashed_onto_base_by_hand_is_told_and_lets_the_others_pass() {
    let repo = shop(&sandbox!());
    branch(&repo, "y", "y.txt", "x\n");
    repo.switch("y");
    repo.commit("more.txt", "x\n", "More of it");
    branch(&repo, "z", "z.txt", "x\n");
    repo.deploy("deploy-state", &["set", "deployable", "--priority=1", "y"]);
    repo.deploy("deploy-state", &["set", "deployable", "z"]);
    repo.switch("master");
    repo.git(&["merge", "--quiet", "--squash", "y"]);
    repo.git(&["commit", "--quiet", "--message", "All of it at once"]);
    let told = "brings nothing that 'master' has not";
    let out = "hint: nothing of it is left to deploy; take it out with: git deploy-state set development y\n";
    let objects = repo.git(&["count-objects"]).stdout;
    repo.deploy("deploy-queue", &[]).stdout_contains(told).stderr_contains(out);
    let porcelain = repo.deploy("deploy-queue", &["--porcelain"]);
    assert!(
        porcelain.lines()[0].ends_with(" held") && porcelain.lines()[1].ends_with(" next"),
        "{porcelain}"
    );
    repo.deploy("deploy-queue", &["show", "y"]).stdout_contains(told).stderr_contains(out);
    repo.deploy("deploy-state", &["list"])
        .stdout_contains("brings nothing that base has not")
        .stderr_contains(out);
    assert_eq!(repo.git(&["count-objects"]).stdout, objects, "who only looks writes nothing");
    repo.deploy("deploy-rebase", &[])
        .stderr_contains("hint: 'y': nothing of it is left to deploy; take it out with: ");
    // As the hint says; then it is not said that it could be queued again.
    repo.deploy("deploy-state", &["set", "development", "y"]);
    repo.deploy("deploy-queue", &["--porcelain"]).lacks("refs/heads/y");
    repo.deploy("deploy-queue", &["show", "y"]).stdout_contains(told).stderr_is("");
}
