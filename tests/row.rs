//! Environments in a row: what is verified in one goes on to the next.

#[path = "row/back.rs"]
mod back;
#[path = "row/claims.rs"]
mod claims;
#[path = "row/crash.rs"]
mod crash;

use git_deploy_testkit::keys::Key;
use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Output, Repo, sandbox};

/// A manifest that only its branch is to blame for.
const WRONG: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n";

/// A window that is open for as long as anybody will run this.
const FROZEN: &str = "[[environment.demo.freeze]]\nfrom = \"2000-01-01\"\nto = \"2200-01-01\"\n\
                      time-zone = \"UTC\"\nreason = \"the sale\"\n";

/// Puts staging before the environment that lands, which gets these keys and tables besides.
fn in_a_row(shop: Shop, keys: &str) -> Shop {
    let text = shop.repo.read("deploy.toml");
    let staging = "[environment.staging]\nkind = \"rendered\"\nmanifests = [\"deploy\"]\n\n[environment.demo]\n\
                   after = \"staging\"\nlands = true\n";
    let text = text.replace("manifests = [\"deploy\"]\n", &format!("manifests = [\"deploy\"]\n{keys}"));
    shop.on_master("deploy.toml", &text.replace("[environment.demo]\n", staging));
    shop
}

fn run(shop: &Shop) -> Output {
    shop.repo.try_deploy("deploy-queue", &["run"])
}

fn approve(repo: &Repo, arguments: &[&str]) -> Output {
    repo.try_deploy("deploy-queue", &[&["approve"], arguments].concat())
}

/// The commit of a deployment; nothing if there is none.
fn of(shop: &Shop, tag: &str) -> Option<String> {
    shop.authority()
        .tip(&format!("refs/tags/{tag}"))
        .map(|_| shop.authority().id(&format!("{tag}^{{commit}}")))
}

#[test]
fn a_candidate_goes_through_all_environments_before_the_next_one() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let shop = in_a_row(shop, "");
        shop.deployable("one", "one.txt", "1\n");
        shop.deployable("wrong", "deploy/secret.yaml", WRONG);
        shop.deployable("two", "two.txt", "2\n");
        shop.repo.git(&["switch", "--quiet", "--detach"]);
        run(&shop).code_is(1).stderr_contains("deployment-staging-0002");
        let [one, two] = ["one", "two"].map(|name| shop.authority().id(name));
        let landed =
            ["deployment-staging-0001", "deployment-0001", "deployment-staging-0003", "deployment-0002"];
        let wanted = [&one, &one, &two, &two].map(|id| Some(id.clone()));
        assert_eq!(landed.map(|tag| of(&shop, tag)), wanted);
        // The next one stands on the first: that had landed before.
        assert_eq!(shop.authority().id(&format!("{two}^")), one);
        assert!(
            shop.tag("deployment-staging-0002").contains("Branch: wrong\n"),
            "{}",
            shop.tag("deployment-staging-0002")
        );
        assert_eq!(shop.state("wrong"), "staged");
        assert_eq!(of(&shop, "deployment-0003"), None);
        shop.is_sound();
    }
}

#[test]
fn no_environment_is_skipped_but_for_a_reason_that_is_recorded() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "");
    shop.deployable("hotfix", "hotfix.txt", "x\n");
    shop.deploy(&["--env=demo", "hotfix"])
        .code_is(1)
        .stderr_contains("does not stand in 'staging' as its latest success")
        .stderr_contains("hint: deploy it there first: git deploy --env=staging");
    shop.deploy(&["--skip=staging", "hotfix"]).code_is(129);
    shop.deploy(&["--skip=staging", "--reason= ", "hotfix"]).code_is(129);
    let unknown = shop.deploy(&["--skip=stagin", "--reason=x", "hotfix"]);
    unknown.code_is(128).stderr_contains("did you mean 'staging'? what can be skipped: staging, freeze");
    shop.deploy(&["--skip=staging", "--reason=the shop is down", "hotfix"])
        .success()
        .stdout_contains("deployment-0001")
        .stderr_contains("skipped staging: the shop is down");
    let tag = shop.tag("deployment-0001");
    assert!(tag.contains("\nSkipped: staging\nSkip-Reason: the shop is down\n"), "{tag}");
    assert_eq!(of(&shop, "deployment-staging-0001"), None);
    shop.repo.deploy("deploy-log", &["-v"]).stdout_contains("skipped staging: the shop is down");
    shop.repo
        .deploy("deploy-queue", &["show", "hotfix"])
        .stdout_contains("skipped staging: the shop is down");
    let log = shop.repo.deploy("deploy-log", &["--json"]);
    log.stdout_contains("\"skipped\":[\"staging\"],\"skip-reason\":\"the shop is down\"");
    let status = shop.repo.try_deploy("deploy-status", &[]);
    status.stdout_contains("  skipped staging: the shop is down\n");
    // What was not in the way was not skipped.
    shop.deployable("next", "next.txt", "x\n");
    shop.deploy(&["next"]).success().stdout_contains("deployment-staging-0001");
    shop.deploy(&["--skip=staging", "--skip=freeze", "--reason=x", "next"]).success();
    assert!(!shop.tag("deployment-0002").contains("Skip"), "{}", shop.tag("deployment-0002"));
    shop.is_sound();
}

#[test]
fn what_was_verified_waits_for_approval_and_those_behind_it_with_it() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.deployable("one", "one.txt", "1\n");
    shop.deployable("two", "two.txt", "2\n");
    approve(&shop.repo, &[]).code_is(1).stderr_contains("nothing was deployed yet that could go to 'demo'");
    let waits = "'one' waits for approval to go to 'demo' (deployment-staging-0001)";
    run(&shop).code_is(75).stderr_contains(waits).stderr_contains("git deploy-queue approve --env=demo one");
    shop.deploy(&[]).code_is(75).stderr_contains(waits);
    shop.deploy(&["--dry-run"]).success().stderr_contains(waits);
    shop.repo.deploy("deploy-status", &[]).stdout_contains(waits);
    let listed = shop.repo.deploy("deploy-queue", &[]);
    listed.stdout_contains("waits for approval to go to demo").stdout_contains("behind 'one'");
    assert_eq!(of(&shop, "deployment-staging-0002"), None);
    // Somebody else approves, thinks better of it, and approves after all.
    let other = shop.authority().clone_to("other");
    approve(&other, &["two"])
        .code_is(1)
        .stderr_contains("'two' does not stand in 'staging', where 'one' does");
    approve(&other, &["--env=staging"])
        .code_is(1)
        .stderr_contains("asks for no approval in base's deploy.toml, only 'demo'\n")
        .lacks("hint: ");
    approve(&other, &["one"]).success().stderr_contains("Approved 'one'");
    approve(&other, &["--withdraw"]).success().stderr_contains("Withdrawn the approval of 'one' (");
    shop.deploy(&[]).code_is(75).stderr_contains(waits);
    approve(&other, &[]).success();
    approve(&shop.repo, &[]).success().stderr_contains("it is approved already");
    shop.deploy(&[]).success().stdout_contains("deployment-0001");
    let tag = shop.tag("deployment-0001");
    assert!(tag.contains("\nApproved-By: "), "{tag}");
    assert!(tag.contains("\nApproved-Deployment: deployment-staging-0001\n"), "{tag}");
    shop.repo.try_deploy("deploy-status", &[]).stdout_contains("> (deployment-staging-0001)\n");
    let late = "that comes too late: deployment-0001 has brought it to 'demo'";
    approve(&other, &["--withdraw"]).success().stderr_contains(late);
    approve(&other, &[]).code_is(1).stderr_contains("'one' stands in 'demo' already").lacks("hint: ");
    // It was for that commit alone.
    run(&shop).code_is(75).stderr_contains("'two' waits for approval");
    approve(&shop.repo, &[]).success();
    shop.repo.git(&["fetch", "--quiet"]);
    shop.repo.git(&["switch", "--quiet", "-C", "two", "origin/two"]);
    let moved = shop.repo.commit("two.txt", "more\n", "Change it again");
    shop.push(&["two"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    run(&shop)
        .code_is(75)
        .stderr_contains("'two' waits for approval to go to 'demo' (deployment-staging-0003)");
    assert_eq!(of(&shop, "deployment-staging-0003"), Some(moved));
    assert_eq!(of(&shop, "deployment-0002"), None);
    shop.is_sound();
}

#[test]
fn where_approvals_are_signed_nobody_else_lets_anything_go_on() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), "approval = true\n");
    shop.guard();
    shop.deployable("one", "one.txt", "1\n");
    run(&shop).code_is(75).stderr_contains("'one' waits for approval");
    let other = shop.authority().clone_to("other");
    assert_ne!(approve(&other, &[]).code, Some(0));
    Key::new(shop.repo.sandbox(), "eve").signs_in(&other);
    approve(&other, &[]).code_is(1).stderr_contains("error: you may not approve it: ").stderr_contains(
        "hint: who may is listed in [approve] of base's deploy.toml; one of them approves it with: git deploy-queue approve --env=demo one\n",
    );
    // What nobody signed is written by anybody who can push.
    let text = format!(
        "x\n\nenvironment: demo\ndeployment: deployment-staging-0001\ncommit: {}\nby: Eve\nsince: 2026-11-20T12:00:00Z\n",
        shop.authority().id("one")
    );
    let forged = other.git(&["commit-tree", "-m", &text, "HEAD^{tree}"]).line().to_owned();
    other.git(&["push", "--quiet", "origin", &format!("{forged}:refs/deploy/promotion/demo")]);
    run(&shop).code_is(75).stderr_contains("nobody signed its approval");
    // Who watches goes on by itself.
    let mut watching = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]).start();
    watching.wait_for_words("nobody signed its approval");
    approve(&shop.repo, &[]).success();
    watching.wait_for_words("deployment-0001: Successfully Deployed");
    watching.terminate();
    watching.wait().code_is(143);
    assert_eq!(shop.state("one"), "deployed");
}

#[test]
fn nothing_is_deployed_where_it_is_frozen_unless_somebody_says_why() {
    let shop = in_a_row(Shop::with_remote(&sandbox!()), FROZEN);
    shop.deployable("one", "one.txt", "1\n");
    let frozen = "nothing is deployed to 'demo' until 2200-01-01T00:00:00Z: the sale";
    let past = "with: git deploy --env=demo --skip=freeze --reason=<why> one\n";
    run(&shop).code_is(75).stderr_contains(frozen).stderr_contains(past).stdout_is("");
    assert_eq!(of(&shop, "deployment-staging-0001"), Some(shop.authority().id("one")));
    shop.repo.deploy("deploy-queue", &[]).stderr_contains(frozen);
    let status = shop.repo.deploy("deploy-status", &["--porcelain"]);
    status.stdout_contains("frozen demo 2200-01-01T00:00:00Z the sale\n");
    shop.deploy(&["--json"]).code_is(75).stdout_contains("\"waits\":\"freeze\"");
    shop.repo.deploy("deploy-queue", &["show", "one"]).stdout_contains("nobody can tell when it lands: ");
    shop.deploy(&["--skip=freeze", "--skip=staging", "--reason=it is on fire"]).success().stderr_contains(
        "note: nothing is skipped by --skip=staging, and none is recorded: the commit has come through 'staging' already\n",
    );
    assert!(shop.tag("deployment-0001").contains("\nSkipped: freeze\nSkip-Reason: it is on fire\n"));
    // Going back is never frozen.
    shop.deployable("two", "two.txt", "2\n");
    shop.deploy(&[]).success();
    shop.deploy(&["--skip=freeze", "--reason=it is on fire"]).success();
    shop.deploy(&["--rollback"]).success();
    shop.is_sound();
}
