//! Base moves under a deployment: forward, back, or not where one thinks.

use git_deploy_testkit::sandbox;
use git_deploy_testkit::shop::{DEPLOY_TOML, Shop};

use crate::moment::{Moment, landed_once};

/// Whether base has this commit.
fn on_base(shop: &Shop, commit: &str) -> bool {
    shop.authority().try_git(&["merge-base", "--is-ancestor", commit, "master"]).code == Some(0)
}

#[test]
fn a_commit_that_reaches_base_between_notes_and_base_makes_a_rebase_and_the_next_number() {
    let shop = Shop::alone(&sandbox!());
    let first = shop.deployable("login", "login.txt", "hello\n");
    shop.repo.git(&["switch", "--quiet", "-c", "elsewhere"]);
    let is_landing = "git cat-file -p refs/deploy/attempts/deployment-0001 2>&1 | grep -q '^phase: verified'";
    let commit = "git update-ref refs/heads/master $(git commit-tree -p master -m hotfix 'master^{tree}')";
    let moment = Moment::committed_while(&shop.repo, "refs/notes/deploy", is_landing, commit);
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    moment.has_come();
    assert!(shop.tag("deployment-0001").contains("Result: failure\nReason: base moved\n"));
    assert_eq!(shop.repo.git(&["log", "-1", "--format=%s", "master^"]).line(), "hotfix");
    // What the candidate was rebased from has landed with that, and not with the one that did not land.
    let notes = shop.repo.notes();
    assert!(notes[&first].contains("\ndeployment: deployment-0002\nresult: success\n"), "{notes:#?}");
    landed_once(&shop, "login");
}

/// Base loses its last commit while a deployment is verified: that does not come back with the branch, which lands.
fn base_takes_back_while_it_is_verified(shop: &Shop, dropped: &str) {
    let moment = Moment::after_phase(shop, "verified", "git update-ref refs/heads/master master~1");
    shop.deploy(&[]);
    moment.has_come();
    shop.deploy(&[]).success();
    assert!(shop.tag("deployment-0001").contains("Reason: base moved\n"), "{}", shop.tag("deployment-0001"));
    assert!(!on_base(shop, dropped), "it came back");
    landed_once(shop, "login");
}

#[test]
fn a_commit_that_is_taken_back_from_base_during_a_deployment_does_not_land_again() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let dropped = shop.on_master("dropped.txt", "dropped\n");
    base_takes_back_while_it_is_verified(&shop, &dropped);
}

#[test]
fn a_commit_that_is_taken_back_from_base_does_not_land_again_with_a_branch_that_was_begun_on_it() {
    let shop = Shop::with_remote(&sandbox!());
    let dropped = shop.on_master("dropped.txt", "dropped\n");
    shop.deployable("login", "login.txt", "hello\n");
    base_takes_back_while_it_is_verified(&shop, &dropped);
}

#[test]
fn commits_that_are_taken_back_from_base_do_not_land_again_with_a_branch_that_was_rebased_on_them() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deployable("first", "first.txt", "first\n");
    shop.repo.deploy("deploy-state", &["set", "deployable", "first", "--priority=9"]);
    let bad = shop.on_master("bad.txt", "bad\n");
    shop.deploy(&[]).success();
    landed_once(&shop, "first");
    shop.repo.git(&["fetch", "--quiet"]);
    shop.repo.git(&["reset", "--quiet", "--hard", &format!("{bad}~1")]);
    shop.repo.git(&["push", "--quiet", "--force", "origin", "master"]);
    shop.deploy(&[]).success();
    assert!(!on_base(&shop, &bad), "it came back");
    let files = shop.authority().git(&["ls-tree", "--name-only", "master"]).stdout;
    assert!(!files.contains("bad.txt") && !files.contains("first.txt"), "{files}");
    landed_once(&shop, "login");
}

#[test]
fn an_environment_whose_branch_is_base_is_refused_before_anything_is_claimed() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.on_master("deploy.toml", &DEPLOY_TOML.replace("rendered/demo", "master"));
        shop.deployable("login", "login.txt", "hello\n");
        let base = shop.authority().id("master");
        let output = shop.deploy(&[]);
        assert!(output.code.is_some_and(|code| ![0, 75, 101].contains(&code)), "{output}");
        output.stderr_contains("'master'").stderr_contains("base");
        assert_eq!(shop.authority().id("master"), base);
        let refs = shop.authority().refs();
        assert!(!refs.keys().any(|name| name.starts_with("refs/deploy/attempts/")), "{refs:#?}");
        assert_eq!(shop.state("login"), "deployable");
        shop.is_sound();
    }
}

#[test]
fn base_by_name_is_the_remotes_even_where_our_own_is_behind() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deploy(&[]).success();
    shop.repo.git(&["fetch", "--quiet"]);
    shop.repo.git(&["reset", "--quiet", "--hard", "origin/master~1"]);
    let standing = shop.rendered("deployment-web.yaml");
    shop.deploy(&["master"]).success().stderr_contains("deployment-0001");
    let output = shop.deploy(&["origin/master~1"]);
    output.stderr_contains("is older than what was deployed to 'demo' by deployment-0001");
    assert_ne!(output.code, Some(0));
    let refs = shop.authority().refs();
    assert!(!refs.contains_key("refs/deploy/attempts/deployment-0002"), "{refs:#?}");
    assert_eq!(shop.rendered("deployment-web.yaml"), standing);
    landed_once(&shop, "login");
}
