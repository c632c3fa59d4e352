//! A remote that was restored from a backup: what clones know of its last deployments comes back.

#![cfg(feature = "cluster")]

use std::fs;

use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};
use git_deploy_testkit::{Sandbox, sandbox};

/// A clone of a remote that has lost the last two of three deployments.
fn restored(sandbox: &Sandbox, judges: bool) -> Shop {
    let (repo, remote) = (sandbox.repository("seed"), sandbox.bare("shop.git"));
    if judges {
        remote.deploy("deploy-init", &["--server"]);
    } else {
        // Where all servers of a run judge, this one does not.
        drop(fs::remove_file(remote.path().join("hooks/pre-receive")));
    }
    repo.commit_files(&[("deploy.toml", DEPLOY_TOML), ("deploy/web.yaml", WEB)], "Open the shop");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    let shop = Shop { repo: remote.clone_to("clone"), remote: Some(remote) };
    for name in ["one", "two", "three"] {
        shop.deployable(name, &format!("{name}.txt"), "1\n");
        shop.deploy(&[]).success();
        shop.repo.git(&["pull", "--quiet", "--ff-only"]);
        if name == "one" {
            sandbox.run("cp", &["-a", "shop.git", "backup.git"]);
        }
    }
    sandbox.run("rm", &["-r", "shop.git"]);
    sandbox.run("mv", &["backup.git", "shop.git"]);
    shop
}

/// All is as if nothing had been lost, and goes on.
fn is_whole(shop: &Shop) {
    let remote = shop.authority();
    for tag in ["deployment-0002", "deployment-0003"] {
        assert_eq!(remote.id(&format!("refs/tags/{tag}")), shop.repo.id(&format!("refs/tags/{tag}")));
    }
    assert_eq!(remote.id("master"), shop.repo.id("master"));
    assert_eq!(remote.notes(), shop.repo.notes());
    shop.repo.deploy("deploy-sync", &[]).stderr_is("note: nothing to exchange with 'origin'\n");
    shop.deployable("four", "four.txt", "1\n");
    shop.deploy(&[]).success().stdout_contains("deployment-0004: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn deployments_that_a_backup_lacks_come_back_from_a_clone() {
    let sandbox = sandbox!();
    let shop = restored(&sandbox, false);
    shop.repo.try_deploy("deploy-sync", &[]).code_is(128).stderr_contains("were set back from");
    shop.repo
        .deploy("deploy-sync", &["--restore"])
        .stderr_contains("Pushed tag 'deployment-0002' to 'origin'")
        .stderr_contains("Pushed tag 'deployment-0003' to 'origin'");
    shop.push(&["master"]);
    is_whole(&shop);
}

#[test]
fn to_a_server_that_judges_they_come_by_a_fetch_and_not_by_a_push() {
    let sandbox = sandbox!();
    let shop = restored(&sandbox, true);
    let said = shop.repo.try_deploy("deploy-sync", &["--restore"]);
    said.code_is(1)
        .stderr_contains("error: cannot restore deployments on remote 'origin': it refused ")
        .stderr_contains("deployment-0002, deployment-0003")
        .stderr_contains("hint: whoever runs the server takes them from this clone")
        .lacks("were set back");
    let hint =
        said.stderr.lines().find_map(|line| line.split_once("in its repository: ")).expect("it is told").1;
    let path = shop.repo.path().display().to_string();
    let command = hint.replace("<clone>", &path).replace("<base>", "master");
    shop.authority().command("sh").args(["-c", &command]).output().success();
    is_whole(&shop);
}
