//! What a clone says of what a runner elsewhere has rebased and landed.

#![cfg(feature = "cluster")]

use git_deploy_testkit::sandbox;
use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::shop::Shop;

#[test]
fn what_a_runner_rebased_and_landed_is_told_as_that_after_a_fetch_and_after_a_sync() {
    let shop = Shop::with_remote(&sandbox!());
    let ada = &shop.repo;
    let old = shop.deployable("login", "login.txt", "new\n");
    let runner = shop.authority().clone_to("runner");
    runner.commit("news.txt", "news\n", "Go on");
    runner.git(&["push", "--quiet", "origin", "master"]);
    runner.deploy("deploy", &[]);
    let landed = shop.authority().id("master");
    let said = "'login' has landed as 'deployment-0001': yours is the commit before its rebase\n\
                hint: delete what has landed: git branch -D login; or let it follow: git deploy-rebase login\n";
    let told = || {
        ada.deploy("deploy-state", &["list"])
            .stderr_contains(&format!("note: local branch {said}"))
            .lacks("git push");
        ada.deploy("deploy-state", &["get", "login"]).stderr_contains(&format!("note: {said}"));
        let rebased = format!("rebased {old} {landed} refs/heads/login -\n");
        ada.deploy("deploy-rebase", &["--check", "--porcelain"]).stdout_is(&rebased);
    };
    // A plain fetch brings base and the tag, and no more.
    ada.git(&["fetch", "--quiet"]);
    told();
    ada.try_deploy("deploy-status", &[])
        .code_is(75)
        .stdout_contains("  cannot be asked: what deployment-0001 applied is not known here: 'git fetch' brings its tag alone\n")
        .stderr_contains("hint: get it with: git deploy-sync\n")
        .stderr_contains("note: deployment-0001 came by a plain 'git fetch': what holds, approvals and ");
    ada.deploy("deploy-sync", &[]);
    told();
    ada.deploy("deploy-status", &[])
        .stdout_contains("demo: well, deployment-0001 of 'login'")
        .lacks("deploy-sync");
    let notes = shop.authority().id("refs/notes/deploy");
    ada.deploy("deploy-rebase", &[]).stdout_contains("rebased");
    assert_eq!(ada.id("login"), landed);
    state_is(ada, "login", "deployed");
    ada.deploy("deploy-sync", &[]);
    assert_eq!(shop.authority().id("refs/notes/deploy"), notes, "to follow decides nothing");
}

#[test]
fn who_sets_what_has_landed_elsewhere_hears_that_and_of_nobody_who_had_decided_otherwise() {
    let shop = Shop::with_remote(&sandbox!());
    let ada = &shop.repo;
    shop.deployable("login", "login.txt", "new\n");
    let runner = shop.authority().clone_to("runner");
    runner.commit("news.txt", "news\n", "Go on");
    runner.git(&["push", "--quiet", "origin", "master"]);
    runner.deploy("deploy", &[]);
    for _ in ["and brings it", "and knows it"] {
        ada.try_deploy("deploy-state", &["set", "staged", "login"]).code_is(1).stderr_is(
            "error: cannot set 'login' to staged: it has landed as 'deployment-0001': yours is the commit before its rebase\n\
             hint: delete what has landed: git branch -D login; or let it follow: git deploy-rebase login\n",
        );
    }
    ada.deploy("deploy-rebase", &["--quiet", "login"]);
    ada.try_deploy("deploy-state", &["set", "staged", "login"])
        .code_is(1)
        .stderr_contains("'login' to staged: it is deployed, and nothing leaves that state\n")
        .stderr_contains("hint: what is to be changed further goes onto a branch of its own: git switch -c");
}

#[test]
fn nor_does_who_sets_what_somebody_has_merged_by_hand() {
    let shop = Shop::with_remote(&sandbox!());
    let ada = &shop.repo;
    shop.deployable("login", "login.txt", "new\n");
    let bob = shop.authority().clone_to("bob");
    bob.git(&["merge", "--quiet", "--no-ff", "--no-edit", "origin/login"]);
    bob.git(&["push", "--quiet", "origin", "master"]);
    ada.try_deploy("deploy-state", &["set", "staged", "login"])
        .code_is(1)
        .stderr_contains("'login' to staged: it has no commits beyond base 'origin/master'\n")
        .stderr_contains("hint: there is nothing to deploy: commit something on it first\n");
}
