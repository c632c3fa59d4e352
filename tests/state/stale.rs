//! What was decided on commits that their branch has left.

use git_deploy_testkit::sandbox;

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
