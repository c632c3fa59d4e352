//! What is prepared while another branch is deployed.

use std::fs;

use git_deploy_testkit::{Repo, Running, Sandbox, sandbox};

use crate::scene::{Builds, deployable, registry};
use git_deploy_testkit::registry::Registry;

/// A shop with a remote, and two branches in its queue. Whoever lands one waits until the first of the files is there, and is
/// refused as long as the second one is.
fn shop(sandbox: &Sandbox, registry: &Registry, second: impl FnOnce(&Builds)) -> (Builds, Repo) {
    let builds = deployable(sandbox, registry);
    let remote = sandbox.bare("remote.git");
    builds.repo.add_remote("origin", &remote);
    builds.repo.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    builds.branch("first", "web/index.html", "first\n");
    second(&builds);
    builds.repo.git(&["push", "--quiet", "origin", "first", "second", "refs/notes/deploy"]);
    let at = remote.path().display();
    remote.install_hook(
        "update",
        &format!(
            "case $1 in refs/heads/master)\n\
             until [ -e {at}/goes-on ]; do sleep 0.05; done; if [ -e {at}/protected ]; then exit 1; fi ;;\nesac"
        ),
    );
    (builds, remote)
}

fn run(builds: &Builds, arguments: &[&str]) -> Running {
    builds.run_of("git-deploy-queue").arg("run").args(arguments).start()
}

#[test]
fn while_one_is_deployed_the_next_is_rebased_upon_it_and_its_images_are_built() {
    let registry = registry!();
    let (builds, remote) = shop(&sandbox!(), &registry, |builds| {
        builds.branch("second", "web/more.html", "second\n");
    });
    let mut running = run(&builds, &[]);
    running.wait_for_words("ahead: prepared 'second' (");
    fs::write(remote.path().join("goes-on"), "").expect("it can be written");
    let output = running.wait();
    output.success().stderr_contains("upon deployment-0001");
    let landed = remote.id("master");
    output.stderr_contains(&format!("ahead: prepared 'second' ({}) upon deployment-0001", &landed[..10]));
    // Nothing is left to be built when it is its turn.
    let built: Vec<_> = output.stderr.lines().filter(|line| line.contains("building ")).collect();
    assert_eq!(built.len(), 2, "{output}");
    assert!(built[1].contains("ahead: building ") && built[1].contains(&landed[..7]), "{output}");
    let tag = remote.git(&["cat-file", "tag", "deployment-0002"]).stdout;
    assert!(tag.contains(&format!("shop-web:{}@sha256:", &landed[..7])), "{tag}");
    builds.is_tidy();
}

#[test]
fn what_is_prepared_upon_one_that_does_not_land_is_given_up() {
    let registry = registry!();
    let sandbox = sandbox!();
    let begun = sandbox.root().join("begun");
    let (builds, remote) = shop(&sandbox, &registry, |builds| {
        let step = format!("touch {}; sleep 600", begun.display());
        let text = format!("{}[build]\nsteps = [{step:?}]\n", builds.repo.read("deploy.toml"));
        builds.branch("second", "deploy.toml", &text);
    });
    fs::write(remote.path().join("protected"), "").expect("it can be written");
    let mut running = run(&builds, &[]);
    running.wait_for_file(&begun);
    fs::write(remote.path().join("goes-on"), "").expect("it can be written");
    running.wait().code_is(75).stderr_contains("verified, not landed").lacks("prepared 'second'");
    assert_eq!(builds.repo.deploy("deploy-state", &["get", "second"]).line(), "deployable");
    builds.is_tidy();
    // Nobody has to have anything prepared.
    builds.repo.git(&["push", "--quiet", "origin", ":second"]);
    remote.remove_hook("update");
    run(&builds, &["--no-ahead"]).wait().success().lacks("ahead: ");
    assert_eq!(remote.id("deployment-0001^{commit}"), remote.id("master"));
}
