//! All that git-deploy itself pushes passes: whole deployments into a repository that judges each push.

use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};
use git_deploy_testkit::{Sandbox, sandbox};

/// A shop whose remote judges each push, with this `deploy.toml`.
fn shop(sandbox: &Sandbox, deploy_toml: &str) -> Shop {
    let repo = sandbox.repository("shop");
    let remote = sandbox.bare("shop.git");
    remote.deploy("deploy-init", &["--server"]);
    repo.commit_files(&[("deploy.toml", deploy_toml), ("deploy/web.yaml", WEB)], "Open the shop");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    Shop { repo: remote.clone_to("clone"), remote: Some(remote) }
}

/// A branch that fails: its image is named by a tag that moves.
fn failing(shop: &Shop, name: &str) {
    let web = WEB.replace("littleman-co/shop-web:any", "nginx:latest");
    shop.deployable(name, "deploy/web.yaml", &web);
}

#[test]
fn branches_are_decided_about_rebased_deployed_and_landed() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox, DEPLOY_TOML);
    shop.deployable("one", "one.txt", "1\n");
    shop.deployable("two", "two.txt", "2\n");
    shop.repo.deploy("deploy-state", &["set", "staged", "two"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
    // What landed first has moved base under it: it was rebased, and its note with it.
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    assert_eq!(shop.authority().id("master"), shop.authority().id("two"));
    assert_eq!(["one", "two"].map(|name| shop.state(name)), ["deployed", "deployed"]);
    shop.is_sound();
    // And by hand nothing of it is undone.
    shop.repo.git(&["fetch", "--quiet", "--tags"]);
    for push in ["+origin/master~:refs/heads/master", ":refs/tags/deployment-0001", ":refs/notes/deploy"] {
        shop.repo.try_git(&["push", "origin", push]).code_is(1).stderr_contains("remote: error: cannot take");
    }
}

#[test]
fn failures_are_written_down_mended_and_deployed_again() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox, DEPLOY_TOML);
    failing(&shop, "web");
    shop.deploy(&[]).code_is(1).stdout_contains("deployment-0001: Failed Deployment");
    assert_eq!(shop.state("web"), "staged");
    // The same commit fails again, and the note says the later verdict.
    shop.repo.deploy("deploy-state", &["set", "deployable", "web"]);
    shop.deploy(&[]).code_is(1).stdout_contains("deployment-0002: Failed Deployment");
    shop.repo.git(&["switch", "--quiet", "web"]);
    shop.repo.commit("deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"), "Mend it");
    shop.push(&["web"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "web"]);
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.deploy(&[]).success().stdout_contains("deployment-0003: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn what_was_deployed_is_gone_back_from_and_what_is_open_is_given_up() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox, DEPLOY_TOML);
    for (name, replicas) in [("one", "replicas: 3"), ("two", "replicas: 4")] {
        shop.deployable(name, "deploy/web.yaml", &WEB.replace("replicas: 2", replicas));
        shop.deploy(&[]).success();
        shop.repo.git(&["pull", "--quiet", "--ff-only"]);
    }
    shop.deploy(&["--rollback"]).success().stdout_contains("deployment-0003: Successfully Deployed");
    let two = shop.authority().id("two");
    shop.repo.git(&["switch", "--quiet", "-c", "back", "master"]);
    shop.repo.git(&["revert", "--no-edit", &two]);
    shop.push(&["back"]);
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "back"]);
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75).stderr_contains("deployment-0004 is verified, not landed");
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("deployment-0004: Failed Deployment");
    shop.authority().remove_hook("update");
    shop.repo.deploy("deploy-state", &["set", "deployable", "back"]);
    shop.deploy(&[]).success().stdout_contains("deployment-0005: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn what_landed_is_deployed_to_the_environment_before_it_again() {
    let sandbox = sandbox!();
    let two = "[environment.test]\nkind = \"rendered\"\nbranch = \"rendered/test\"\nmanifests = [\"deploy\"]\n\
               [environment.live]\nkind = \"rendered\"\nbranch = \"rendered/live\"\nmanifests = [\"deploy\"]\n\
               after = \"test\"\nlands = true\n";
    let images = DEPLOY_TOML.split("[environment").next().expect("it begins with images");
    let shop = shop(&sandbox, &format!("{images}{two}"));
    let deployed = |name: &str| {
        shop.deployable(
            name,
            "deploy/web.yaml",
            &WEB.replace("replicas: 2", &format!("replicas: {}", name.len())),
        );
        shop.deploy(&[]).success();
        shop.deploy(&[]).success();
        shop.repo.git(&["pull", "--quiet", "--ff-only"]);
        shop.authority().id("master")
    };
    let first = deployed("one");
    deployed("three");
    shop.deploy(&["--env=test", "--rollback=deployment-test-0001"]).success();
    assert!(shop.tag("deployment-test-0003").contains(&first));
    shop.deploy(&["--env=test", "master"]).success().stdout_contains("deployment-test-0004: Success");
    shop.is_sound();
}

#[test]
fn what_was_deployed_before_there_was_a_remote_comes_there_with_a_sync() {
    let sandbox = sandbox!();
    let shop = Shop::alone(&sandbox);
    shop.deployable("one", "one.txt", "1\n");
    shop.deploy(&[]).success();
    failing(&shop, "two");
    shop.deploy(&[]).code_is(1);
    let remote = sandbox.bare("shop.git");
    remote.deploy("deploy-init", &["--server"]);
    shop.repo.add_remote("origin", &remote);
    shop.repo.git(&["push", "--quiet", "origin", "master", "two"]);
    shop.repo.deploy("deploy-sync", &[]).lacks("refused");
    assert_eq!(remote.notes(), shop.repo.notes());
    assert!(remote.tip("refs/tags/deployment-0002").is_some());
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&[]).code_is(1).stdout_contains("deployment-0003: Failed Deployment");
}

#[test]
fn what_was_approved_and_not_published_goes_there_with_its_claim() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox, DEPLOY_TOML);
    shop.repo.set_config("deploy.publish", "false");
    shop.deployable("one", "one.txt", "1\n");
    shop.deployable("two", "two.txt", "2\n");
    assert!(shop.authority().notes().is_empty());
    for id in ["deployment-0001", "deployment-0002"] {
        shop.deploy(&[]).success().stdout_contains(&format!("{id}: Successfully Deployed"));
    }
    shop.is_sound();
}
