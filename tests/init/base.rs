//! Which branch everything lands on.

use git_deploy_testkit::{Repo, sandbox};

#[test]
fn where_there_is_no_master_main_becomes_base() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repo.deploy("deploy-init", &[]).stdout_contains("branches land on 'main'");
    repo.git(&["config", "deploy.base"]).stdout_is("main\n");

    let usual = sandbox.repository("usual");
    usual.commit("a", "a\n", "Begin");
    usual.branch("feature");
    usual.deploy("deploy-init", &[]);
    usual.try_git(&["config", "deploy.base"]).code_is(1);

    // A remote that names its own base decides.
    let bare = sandbox.bare("main.git");
    bare.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repo.commit("a", "a\n", "Begin");
    repo.add_remote("origin", &bare);
    repo.git(&["push", "--quiet", "--no-verify", "origin", "main"]);
    let clone = bare.clone_to("clone");
    clone.branch("feature");
    clone.deploy("deploy-init", &[]);
    clone.try_git(&["config", "deploy.base"]).code_is(1);
}

#[test]
fn base_is_main_or_the_usual_branch_or_the_only_one_and_never_just_what_is_checked_out() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("main");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "-m", "main"]);
    repo.branch("login");
    repo.deploy("deploy-init", &[]).stdout_contains("branches land on 'main'");

    let several = sandbox.repository("several");
    several.commit("a", "a\n", "Begin");
    several.git(&["branch", "-m", "trunk"]);
    several.branch("login");
    several
        .try_deploy("deploy-init", &[])
        .code_is(1)
        .stderr_contains(
            "warning: there is no branch 'master' or 'main', and 2 others: which one do branches land on?",
        )
        .stderr_contains("hint: git config deploy.base <branch>");
    several.try_git(&["config", "deploy.base"]).code_is(1);
    several.set_config("init.defaultBranch", "trunk");
    several.deploy("deploy-init", &[]).stdout_contains("branches land on 'trunk'");
}

#[test]
fn a_missing_base_is_told_with_what_there_is_in_its_place() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let hints = |repo: &Repo| {
        let output = repo.try_deploy("deploy-rebase", &[]);
        output.code_is(128).stderr_contains("fatal: base branch 'master' is not there");
        output.stderr.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(hints(&repo), ["hint: commit something first"]);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "-m", "trunk"]);
    let name = "hint: name the branch that everything lands on: git config deploy.base";
    assert_eq!(hints(&repo), [format!("{name} <branch>")]);
    repo.git(&["branch", "main"]);
    assert_eq!(hints(&repo), [format!("{name} main")]);
    repo.git(&["branch", "master"]);
    repo.add_remote("origin", &sandbox.bare("origin.git"));
    assert_eq!(hints(&repo), ["hint: push it: git push -u origin master"]);
}

#[test]
fn a_detached_head_and_no_master_leave_base_to_the_user() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["checkout", "--quiet", "--detach"]);
    repo.git(&["branch", "-D", "master"]);
    repo.try_deploy("deploy-init", &[]).code_is(1).stderr_contains("hint: git config deploy.base <branch>");
}
