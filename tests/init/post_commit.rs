//! The hook post-commit, which is installed on request: it says when a commit has left one that was approved.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

/// A repository with the hook, and a deployable branch that is checked out.
fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &["--post-commit"]).stdout_contains("installed hook '.git/hooks/post-commit'");
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo
}

fn commit(repo: &Repo, arguments: &[&str]) -> git_deploy_testkit::Output {
    repo.git(&[&["commit", "--quiet", "--allow-empty"], arguments].concat())
}

const TOLD: &str = "note: 'login' is in development now: deployable was the commit before this one\n\
                    hint: when it is ready again: git deploy-state set deployable login\n";

#[test]
fn a_commit_that_leaves_an_approved_one_is_told_once() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    commit(&repo, &["-m", "More"]).stdout_is("").stderr_is(TOLD);
    commit(&repo, &["-m", "Still more"]).is_silent();
    repo.deploy("deploy-state", &["set", "staged"]);
    commit(&repo, &["-m", "Further"]).stderr_contains("staged was the commit before this one");
    repo.switch("master");
    commit(&repo, &["-m", "Elsewhere"]).is_silent();
}

#[test]
fn of_a_commit_in_place_of_an_approved_one_only_post_rewrite_tells() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    commit(&repo, &["--amend", "-m", "Log in, please"])
        .stderr_contains("'login' is in development now: it was deployable")
        .lacks("the commit before this one");
    // The same once more changes nothing that was approved, whatever the commit before was.
    repo.deploy("deploy-state", &["set", "deployable"]);
    commit(&repo, &["--amend", "--no-edit"]).lacks("in development");
    commit(&repo, &["-m", "More"]);
    repo.deploy("deploy-state", &["set", "deployable"]);
    commit(&repo, &["--amend", "--no-edit"]).is_silent();
}

#[test]
fn without_a_branch_or_a_state_nothing_is_said_and_nothing_is_stopped() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    repo.git(&["checkout", "--quiet", "--detach"]);
    commit(&repo, &["-m", "Aside"]).is_silent();
    let fresh = sandbox.repository("fresh");
    fresh.deploy("deploy-init", &["--post-commit"]);
    commit(&fresh, &["-m", "Begin"]).is_silent();
    fresh.branch("login");
    commit(&fresh, &["-m", "Log in"]).is_silent();
    repo.switch("login");
    repo.set_config("deploy.remote", "nowhere");
    commit(&repo, &["-m", "More"]).stderr_contains("warning: git-deploy cannot look at this commit");
}

#[test]
fn a_request_that_a_foreign_hook_is_in_the_way_of_is_kept_until_it_is_taken_back() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.set_config("core.hooksPath", ".husky/_");
    let asked = repo.try_deploy("deploy-init", &["--post-commit"]);
    if !sandbox.runs_configured_hooks() {
        asked.stdout_contains("git-deploy-hook post-commit");
        repo.try_deploy("deploy-init", &[]).code_is(1).stdout_contains("git-deploy-hook post-commit");
    }
    repo.git(&["config", "--unset", "core.hooksPath"]);
    repo.deploy("deploy-init", &[]).stdout_contains("installed hook '.git/hooks/post-commit'");
    repo.deploy("deploy-init", &["--remove"]);
    repo.deploy("deploy-init", &[]).lacks("post-commit");
}

#[test]
fn it_is_installed_on_request_alone_kept_up_and_removed() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let hook = repo.path().join(".git/hooks/post-commit");
    repo.deploy("deploy-init", &[]);
    assert!(!hook.exists());
    repo.deploy("deploy-init", &["--post-commit"]).stdout_is("installed hook '.git/hooks/post-commit'\n");
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    repo.command("chmod").args(["-x", ".git/hooks/post-commit"]).output().success();
    repo.deploy("deploy-init", &[]).stdout_is("upgraded hook '.git/hooks/post-commit'\n");
    repo.deploy("deploy-init", &["--remove"]).stdout_contains("removed hook '.git/hooks/post-commit'");
    assert!(!hook.exists());
    repo.deploy("deploy-init", &[]);
    assert!(!hook.exists());
    repo.try_deploy("deploy-init", &["--post-commit", "--no-hooks"]).code_is(129);
}
