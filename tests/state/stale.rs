//! What was decided on commits that their branch has left.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{branch, set, shop};

#[test]
fn an_approval_that_a_new_commit_has_ended_is_listed_until_somebody_decides_anew() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.deploy("deploy-state", &["list", "--stale"])
        .stdout_is("")
        .stderr_contains("note: nothing that was decided");
    let old = repo.id("login");
    repo.switch("login");
    let new = repo.commit("b.txt", "c\n", "Change it");
    let list = repo.deploy("deploy-state", &["list", "--stale"]);
    list.stdout_is(&format!("deployable  login  {}  the branch is at {} now\n", &old[..10], &new[..10]));
    let porcelain = ["list", "--stale", "--porcelain"];
    repo.deploy("deploy-state", &porcelain).stdout_is(&format!("deployable {old} refs/heads/login {new}\n"));
    repo.deploy("deploy-state", &["list", "--stale", "--state=staged"]).stdout_is("");
    repo.deploy("deploy-state", &["list", "--stale", "--json"])
        .stdout_contains(&format!("\"now\":\"{new}\""));
    set(&repo, &["staged", "login"]).success();
    repo.deploy("deploy-state", &porcelain).stdout_is("");
}

#[test]
fn what_was_decided_on_a_branch_with_another_name_is_listed_with_the_way_to_decide_it_again() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    branch(&repo, "gone", "c.txt", "c\n");
    set(&repo, &["deployable", "login", "gone"]).success();
    repo.git(&["branch", "--move", "login", "signin"]);
    repo.git(&["branch", "--delete", "--force", "gone"]);
    let list = repo.deploy("deploy-state", &["list", "--stale"]);
    assert_eq!(list.lines().len(), 2, "{list}");
    list.stdout_contains("  there is no such branch any more\n");
    list.stderr_is(
        "hint: 'signin' has that commit of 'login': if it is to be deployable: git deploy-state set deployable signin\n",
    );
    set(&repo, &["deployable", "signin"]).success();
    let list = repo.deploy("deploy-state", &["list", "--stale", "--porcelain"]);
    assert!(list.line().ends_with(" refs/heads/gone -"), "{list}");
}

#[test]
fn what_was_decided_on_a_branch_that_is_gone_is_listed_though_another_one_shares_its_note() {
    let repo = shop(&sandbox!());
    let commit = branch(&repo, "login", "b.txt", "b\n");
    for name in ["renamed", "deleted"] {
        repo.git(&["branch", name, "login"]);
    }
    set(&repo, &["deployable", "login", "renamed", "deleted"]).success();
    repo.git(&["branch", "--move", "renamed", "signin"]);
    repo.git(&["branch", "--delete", "--force", "deleted"]);
    let list = repo.deploy("deploy-state", &["list", "--stale", "--porcelain"]);
    list.stdout_is(
        &["deleted", "renamed"].map(|name| format!("deployable {commit} refs/heads/{name} -\n")).concat(),
    );
}

#[test]
fn what_was_decided_before_a_branch_was_set_back_to_an_older_decision_is_listed() {
    let sandbox = sandbox!();
    let (remote, repo, old) = published(&sandbox);
    let other = remote.clone_to("other");
    repo.switch("login");
    let new = repo.commit("c.txt", "c\n", "One more thing");
    set(&repo, &["staged", "login"]).success();
    let porcelain = ["list", "--stale", "--porcelain"];
    repo.deploy("deploy-state", &porcelain).stdout_is("");
    // Who was never there has left nothing.
    repo.git(&["push", "--quiet", "origin", "refs/notes/deploy"]);
    other.deploy("deploy-sync", &[]);
    other.deploy("deploy-state", &porcelain).stdout_is("");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    let listed = format!("staged {new} refs/heads/login {old}\n");
    repo.deploy("deploy-state", &porcelain).stdout_is(&listed);
    repo.git(&["push", "--quiet", "--force", "origin", "login"]);
    repo.deploy("deploy-state", &porcelain).stdout_is(&listed);
    set(&repo, &["development", "login"]).success();
    repo.deploy("deploy-state", &porcelain).stdout_is("");
}

#[test]
fn what_was_rebased_withdrawn_or_set_back_is_not_stale() {
    let repo = shop(&sandbox!());
    for name in ["rebased", "withdrawn", "back"] {
        branch(&repo, name, &format!("{name}.txt"), "x\n");
        set(&repo, &["deployable", name]).success();
    }
    set(&repo, &["development", "withdrawn"]).success();
    repo.switch("withdrawn");
    repo.commit("withdrawn.txt", "y\n", "Go on");
    repo.switch("back");
    repo.commit("back.txt", "y\n", "Go wrong");
    repo.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    repo.switch("master");
    repo.commit("other.txt", "other\n", "Move base");
    repo.deploy("deploy-rebase", &[]);
    repo.deploy("deploy-state", &["list", "--stale", "--porcelain"]).stdout_is("");
}

#[test]
fn where_the_remote_and_this_clone_differ_it_is_said_where_the_branch_is_that_counts() {
    let sandbox = sandbox!();
    let (remote, repo) = (sandbox.bare("remote.git"), shop(&sandbox));
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "login"]).success();
    repo.add_remote("origin", &remote);
    repo.switch("login");
    // Whichever of both ids is the smaller one.
    for round in 0..4 {
        let counts = repo.commit("b.txt", &format!("remote {round}\n"), "Push it");
        repo.git(&["push", "--quiet", "origin", "master", "login"]);
        repo.commit("b.txt", &format!("here {round}\n"), "Keep it");
        let list = repo.deploy("deploy-state", &["list", "--stale", "--porcelain"]);
        assert!(list.line().ends_with(&format!(" refs/heads/login {counts}")), "{list}");
    }
}

/// A shop with a branch `login` that is on a remote and deployable, the remote, and the commit.
pub(crate) fn published(sandbox: &Sandbox) -> (Repo, Repo, String) {
    let (remote, repo) = (sandbox.bare("remote.git"), shop(sandbox));
    repo.add_remote("origin", &remote);
    let commit = branch(&repo, "login", "b.txt", "b\n");
    repo.git(&["push", "--quiet", "origin", "master", "login"]);
    set(&repo, &["deployable", "login"]).success();
    (remote, repo, commit)
}

pub(crate) fn amend(repo: &Repo, message: &str) -> String {
    repo.switch("login");
    repo.git(&["commit", "--quiet", "--amend", "--message", message]);
    repo.id("HEAD")
}

#[test]
fn an_approval_of_what_somebody_else_pushed_over_is_listed_though_it_stands_here() {
    let sandbox = sandbox!();
    let (remote, repo, old) = published(&sandbox);
    let other = remote.clone_to("other");
    let new = amend(&other, "Something else");
    other.git(&["push", "--quiet", "--force", "origin", "login"]);
    repo.git(&["fetch", "--quiet"]);
    let porcelain = ["list", "--stale", "--porcelain"];
    repo.deploy("deploy-state", &porcelain).stdout_is(&format!("deployable {old} refs/heads/login {new}\n"));
    repo.deploy("deploy-state", &["list", "--stale"])
        .stdout_contains(&format!("on 'origin' the branch is at {} now\n", &new[..10]));
    repo.deploy("deploy-state", &["list", "--stale", "--json"])
        .stdout_contains("\"at\":\"refs/remotes/origin/login\"");
    // In a clone that has no branch of its own there is only one place.
    other.deploy("deploy-sync", &[]);
    other.switch("master");
    other.git(&["branch", "--quiet", "--delete", "--force", "login"]);
    other.deploy("deploy-state", &["list", "--stale"]).stdout_contains("  the branch is at ");
    // What is decided here and was never on the remote has not been pushed over.
    amend(&repo, "Log in");
    set(&repo, &["deployable", "login"]).success();
    repo.deploy("deploy-state", &porcelain).stdout_is("");
}

#[test]
fn an_approval_that_an_amend_has_left_is_listed_before_that_is_pushed_too() {
    let sandbox = sandbox!();
    let (_remote, repo, old) = published(&sandbox);
    let new = amend(&repo, "Log in");
    let listed = format!("deployable {old} refs/heads/login {new}\n");
    let porcelain = ["list", "--stale", "--porcelain"];
    repo.deploy("deploy-state", &porcelain).stdout_is(&listed);
    repo.deploy("deploy-state", &["list", "--stale"])
        .stdout_contains(&format!("here the branch is at {} now, and on 'origin' still there\n", &new[..10]));
    repo.git(&["push", "--quiet", "--force", "origin", "login"]);
    repo.deploy("deploy-state", &porcelain).stdout_is(&listed);
    repo.deploy("deploy-state", &["list", "--stale"]).stdout_contains("  the branch is at ");
    set(&repo, &["deployable", "login"]).success();
    repo.deploy("deploy-state", &porcelain).stdout_is("");
}

#[test]
fn a_branch_that_only_lags_behind_what_was_approved_has_left_nothing() {
    let sandbox = sandbox!();
    let (remote, repo, _) = published(&sandbox);
    let other = remote.clone_to("other");
    other.git(&["switch", "--quiet", "login"]);
    amend(&repo, "Log in");
    repo.git(&["push", "--quiet", "--force", "origin", "login"]);
    set(&repo, &["deployable", "login"]).success();
    other.deploy("deploy-sync", &[]);
    let porcelain = ["list", "--stale", "--porcelain"];
    other.deploy("deploy-state", &porcelain).stdout_is("");
    repo.switch("master");
    repo.commit("other.txt", "other\n", "Move base");
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.deploy("deploy-rebase", &[]);
    repo.git(&["push", "--quiet", "--force", "origin", "login"]);
    repo.deploy("deploy-sync", &[]);
    for clone in [&repo, &other] {
        clone.deploy("deploy-sync", &[]);
        clone.deploy("deploy-state", &porcelain).stdout_is("");
    }
}

#[test]
fn what_counts_is_not_stale_because_this_clone_is_further_with_an_older_decision() {
    let sandbox = sandbox!();
    let (remote, repo, first) = published(&sandbox);
    repo.switch("login");
    let second = repo.commit("c.txt", "c\n", "One more thing");
    repo.git(&["push", "--quiet", "origin", "login"]);
    set(&repo, &["deployable", "login"]).success();
    let other = remote.clone_to("other");
    other.deploy("deploy-sync", &[]);
    other.git(&["push", "--quiet", "--force", "origin", &format!("{first}:refs/heads/login")]);
    // Decided anew of what the branch was set back to.
    set(&other, &["development", "login"]).success();
    set(&other, &["deployable", "login"]).success();
    repo.deploy("deploy-sync", &[]);
    let list = repo.deploy("deploy-state", &["list", "--stale", "--porcelain"]);
    list.lacks(&format!("deployable {first} "));
    other.deploy("deploy-state", &["list", "--stale", "--porcelain"]).stdout_is("");
    assert_eq!(repo.id("login"), second);
}
