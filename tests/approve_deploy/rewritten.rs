//! What git itself makes of approved commits: other clones compare it with them, wherever these went.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, sandbox};

use super::both;

/// A shop with a remote, our hooks, and rules who may approve.
fn guarded() -> Shop {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.repo.deploy("deploy-init", &[]);
    shop
}

fn kept(commit: &str) -> String {
    format!("refs/deploy/approved/{commit}")
}

/// A runner that was never anywhere lands the branch, from a remote that has nothing but what its refs lead to.
fn lands_from_a_fresh_clone(shop: &Shop, branch: &str) {
    shop.authority().git(&["gc", "--quiet", "--prune=now"]);
    let runner: Repo = shop.authority().clone_to("runner");
    runner.deploy("deploy", &[branch]).stderr_contains("Landing").lacks("not approved");
    shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(shop.state(branch), "deployed");
    shop.is_sound();
}

#[test]
fn what_is_amended_or_rebased_is_compared_with_what_was_approved_by_every_clone() {
    for rewrite in [&["commit", "--quiet", "--amend", "--no-edit"][..], &["rebase", "--quiet", "master"]] {
        let shop = guarded();
        let approved = shop.deployable("login", "login.txt", "hello\n");
        shop.on_master("base.txt", "1\n");
        shop.repo.switch("login");
        shop.repo.git(rewrite);
        assert_ne!(shop.repo.id("login"), approved);
        assert_eq!(shop.repo.tip(&kept(&approved)), Some(approved.clone()));
        shop.repo.git(&["push", "--quiet", "--force", "origin", "login"]);
        assert_eq!(shop.authority().tip(&kept(&approved)), Some(approved));
        shop.repo.switch("master");
        lands_from_a_fresh_clone(&shop, "login");
    }
}

#[test]
fn what_was_never_pushed_as_it_was_approved_goes_with_what_was_made_of_it_and_with_nothing_else() {
    let shop = guarded();
    shop.repo.git(&["switch", "--quiet", "-c", "login", "master"]);
    let approved = shop.repo.commit("login.txt", "hello\n", "Log in");
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    shop.repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    shop.branch("other", "other.txt", "x\n");
    shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(shop.authority().tip(&kept(&approved)), None);
    shop.repo.git(&["push", "--quiet", "origin", "login"]);
    assert_eq!(shop.authority().tip(&kept(&approved)), Some(approved));
    lands_from_a_fresh_clone(&shop, "login");
}

#[test]
fn an_approval_of_what_the_remote_has_rebased_meanwhile_holds_for_every_clone() {
    let shop = guarded();
    let old = shop.branch("login", "login.txt", "hello\n");
    shop.on_master("base.txt", "1\n");
    let other = shop.authority().clone_to("other");
    other.deploy("deploy-init", &[]);
    other.git(&["switch", "--quiet", "login"]);
    other.deploy("deploy-state", &["set", "staged", "login"]);
    other.deploy("deploy-rebase", &[]);
    other.git(&["push", "--quiet", "--force", "origin", "login"]);
    assert_ne!(shop.authority().id("login"), old);
    let set = ["set", "deployable", "login"];
    shop.repo
        .try_deploy("deploy-state", &set)
        .code_is(1)
        .stderr_contains("nobody here was told that it is staged");
    shop.repo.deploy("deploy-state", &set);
    lands_from_a_fresh_clone(&shop, "login");
}

#[test]
fn an_approved_commit_that_nothing_kept_is_kept_by_whoever_has_it_or_the_branch_approved_anew() {
    for anew in [false, true] {
        let shop = guarded();
        let approved = shop.deployable("login", "login.txt", "hello\n");
        shop.repo.switch("login");
        shop.repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
        shop.repo.git(&["push", "--quiet", "--force", "origin", "login"]);
        for (repo, name) in [
            (&shop.repo, kept(&approved)),
            (&shop.repo, format!("refs/deploy-remote/origin/approved/{approved}")),
            (shop.authority(), kept(&approved)),
        ] {
            repo.git(&["update-ref", "-d", &name]);
        }
        shop.authority().git(&["gc", "--quiet", "--prune=now"]);
        let waiting = shop.authority().clone_to("waiting");
        waiting
            .try_deploy("deploy", &["login"])
            .code_is(1)
            .stderr_contains("is not here, so that it cannot be compared with it")
            .stderr_contains(
                "hint: somebody who may approves it with: git deploy-state set deployable login\n",
            );
        if anew {
            shop.repo.deploy("deploy-state", &["set", "deployable", "login"]).lacks("already");
        } else {
            shop.repo.deploy("deploy-sync", &[]);
            assert_eq!(shop.authority().tip(&kept(&approved)), Some(approved));
            shop.repo.deploy("deploy-state", &["set", "deployable", "login"]).stderr_contains("already");
        }
        shop.repo.switch("master");
        lands_from_a_fresh_clone(&shop, "login");
    }
}

#[test]
fn an_approval_holds_across_other_dates() {
    for shop in both() {
        shop.guard();
        shop.repo.deploy("deploy-init", &[]);
        let approved = shop.deployable("login", "login.txt", "hello\n");
        shop.repo.switch("login");
        shop.repo.git(&["commit", "--quiet", "--amend", "--no-edit", "--date=2001-02-03T04:05:06Z"]);
        assert_ne!(shop.repo.id("login"), approved);
        if shop.remote.is_some() {
            shop.repo.git(&["push", "--quiet", "--force", "origin", "login"]);
        }
        shop.repo.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n").lacks("not approved");
        shop.repo.switch("master");
        shop.deploy(&["login"]).success();
        assert_eq!(shop.state("login"), "deployed");
        shop.is_sound();
    }
}
