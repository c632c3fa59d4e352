//! `git rebase --interactive`.

use git_deploy_testkit::sandbox;

use crate::{interactive, is_carried, is_left, lines, login, master_moves, rebase, shop};

#[test]
fn a_list_that_is_left_as_it_is_keeps_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    let output = interactive(&repo, "");
    is_carried(&repo, &old, output.success());
}

#[test]
fn another_order_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let output = interactive(&repo, "1{h;d};2G");
    repo.git(&["log", "--format=%s", "master..login"]).stdout_is("First\nSecond\n");
    is_left(&repo, &old, &output, "its commits are in another order");
}

#[test]
fn a_fixup_and_a_squash_leave_the_state() {
    for word in ["fixup", "squash"] {
        let repo = shop(&sandbox!());
        let old = login(&repo);
        let output = interactive(&repo, &format!("2s/^pick/{word}/"));
        is_left(&repo, &old, &output, "it has fewer commits than before");
    }
}

#[test]
fn autosquash_leaves_the_state() {
    let repo = shop(&sandbox!());
    login(&repo);
    repo.write("a.txt", repo.read("a.txt").replace("a5", "five"));
    repo.git(&["commit", "--quiet", "--all", "--fixup", "login~1"]);
    repo.deploy("deploy-state", &["set", "deployable"]);
    let old = repo.id("login");
    let output = rebase(&repo, "", &["--interactive", "--autosquash", "master"]);
    is_left(&repo, &old, &output, "it has fewer commits than before");
}

#[test]
fn a_commit_that_is_split_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    interactive(&repo, "1s/^pick/edit/").success();
    repo.git(&["reset", "--quiet", "HEAD^"]);
    repo.commit("a.txt", &lines("a").replace("a2", "half"), "First half");
    repo.commit("a.txt", &lines("a").replace("a2", "two"), "Second half");
    let output = repo.git(&["rebase", "--continue"]);
    is_left(&repo, &old, &output, "it has more commits beyond base than before");
}

#[test]
fn a_commit_that_is_edited_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    interactive(&repo, "1s/^pick/edit/").success();
    repo.write("a.txt", repo.read("a.txt").replace("a5", "five"));
    // What is amended on the way is nobody's yet.
    repo.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]).is_silent();
    let output = repo.git(&["rebase", "--continue"]);
    is_left(&repo, &old, &output, &format!("commit '{}' has another content", &repo.id("login^")[..10]));
}

#[test]
fn another_message_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.set_config("core.editor", "sed -i s/First/Best/");
    let output = repo
        .command("git")
        .args(["rebase", "--quiet", "--interactive", "master"])
        .env("GIT_SEQUENCE_EDITOR", "sed -i 1s/^pick/reword/")
        .env_remove("GIT_EDITOR")
        .output();
    repo.git(&["log", "--format=%s", "master..login"]).stdout_is("Second\nBest\n");
    is_left(&repo, &old, &output, &format!("commit '{}' has another message", &repo.id("login^")[..10]));
}

#[test]
fn a_commit_that_is_dropped_leaves_the_state() {
    for line in [1, 2] {
        let repo = shop(&sandbox!());
        let old = login(&repo);
        master_moves(&repo, "d.txt", "d\n");
        let output = interactive(&repo, &format!("{line}s/^pick/drop/"));
        is_left(&repo, &old, &output, "it has fewer commits than before");
    }
}

#[test]
fn a_commit_that_is_added_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    let output = interactive(&repo, "$aexec git commit --quiet --allow-empty --message Added");
    is_left(&repo, &old, &output, "it has more commits beyond base than before");
}

#[test]
fn commands_between_the_commits_that_change_nothing_keep_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    master_moves(&repo, "d.txt", "d\n");
    let output = rebase(&repo, "", &["--exec", "git commit --quiet --amend --no-edit", "master"]);
    is_carried(&repo, &old, output.success());
}
