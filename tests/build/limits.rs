//! What the machine that builds decides: how long it may take, and what builds.

use git_deploy_testkit::{sandbox, skip};

use crate::scene::{Builds, deployable, has_programs, on_path, registry};

const SLEEPS: &str = "[build]\nsteps = [\"echo waiting; sleep 300\"]\n";

#[test]
fn a_step_that_hangs_is_ended_at_its_limit_and_says_so() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.set_config("deploy.buildTimeLimit", "1s");
    builds.change("deploy.toml", |text| text + SLEEPS);
    builds
        .build(&[])
        .code_is(1)
        .stdout_is("")
        .stderr_contains("step 'echo waiting; sleep 300' did not end within 1 s and was ended")
        .stderr_contains("hint: more time is given by: git config deploy.buildTimeLimit")
        .lacks("STEP 1");
    builds.is_tidy();
}

#[test]
fn a_build_that_hangs_is_ended_at_its_limit_and_says_so() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    if !has_programs() {
        skip!("busybox-static is not installed");
    }
    builds.with_programs(&["sh", "sleep"]);
    builds.change("web/Containerfile", |text| text + "COPY bin /bin\nRUN echo waiting; sleep 300\n");
    let limit = "'buildah' did not end within 3 s and was ended";
    let run = |arguments: &[&str]| {
        builds.run("-c", &[&["deploy.buildTimeLimit=3s", "deploy-build"], arguments].concat())
    };
    run(&[])
        .code_is(1)
        .stdout_is("")
        .stderr_contains("cannot build image")
        .stderr_contains(limit)
        .stderr_contains("deploy.buildTimeLimit <");
    builds.is_tidy();
}

#[test]
fn what_builds_is_configured_and_an_option_goes_before_it() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.repo.set_config("deploy.builder", "podman");
    if !on_path("podman") {
        builds.build(&[]).code_is(128).stderr_contains("'podman' is to build the images and is not there");
    }
    builds.build(&["--builder=buildah"]).success();
}

#[test]
fn what_cannot_be_used_is_named_by_its_key() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let before = builds.branch("login", "web/index.html", "login\n");
    for (key, value, wanted) in [
        ("deploy.builder", "kaniko", "'buildah', 'podman' or 'docker'"),
        ("deploy.buildTimeLimit", "soon", "a duration such as '90s'"),
        ("deploy.buildTimeLimit", "0s", "a duration such as '90s'"),
        ("deploy.buildTimeLimit", "8d", "at most '7d'"),
        ("deploy.buildTimeLimit", "", "a duration such as '90s'"),
    ] {
        let said = format!("'{key}' is '{value}', and must be {wanted}");
        let said = if wanted.starts_with("at") { wanted } else { &said };
        let setting = format!("{key}={value}");
        for command in [&["deploy-build", "login"], &["deploy", "login"]] {
            builds
                .run("-c", &[&[setting.as_str()], command.as_slice()].concat())
                .code_is(128)
                .stderr_contains(said)
                .stderr_contains(&format!("git config --show-origin --get-all {key}"));
        }
        // It is nobody's fault but this machine's, and in the way of nothing else.
        builds
            .run("-c", &[setting.as_str(), "deploy-state", "get", "login"])
            .success()
            .stdout_is("deployable\n");
    }
    assert_eq!(builds.repo.tip("refs/tags/deployment-0001"), None);
    assert_eq!(builds.repo.id("login"), before);
}
