//! Images that stay with the builder, and the program that brings them from there into a cluster.

use std::fs;

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::WEB;
use git_deploy_testkit::{sandbox, skip};

use crate::lab;
use crate::lab::{Lab, is_running};

const LOAD: &str = "load = [\"load-image\", \"--image={image}\"]";

/// What it was called with, each time; the image must be there.
const RECORD: &str = "#!/bin/sh
buildah inspect --type image \"${1#--image=}\" >/dev/null || exit 9
echo \"loading $1\"; echo \"$1\" >>\"$TMPDIR/../loaded\"
";

impl Lab {
    fn loaded(&self) -> String {
        fs::read_to_string(self.store.path().join("loaded")).unwrap_or_default()
    }
}

#[test]
fn what_stays_with_the_builder_is_loaded_each_time() {
    let lab = lab!(&sandbox!(), "shop", LOAD);
    lab.repo.sandbox().add_program("load-image", RECORD);
    let name = lab.name();
    let once = format!("--image={name}\n");
    lab.build(&[]).success().stdout_is(&format!("{name}\n")).stderr_contains("shop-web | loading ");
    assert_eq!(lab.loaded(), once);
    // The cluster may have been made anew meanwhile.
    let again = lab.build(&["--porcelain"]);
    again.success().stdout_contains("there ").stderr_contains("Loading").lacks("Building");
    assert_eq!(lab.loaded(), once.repeat(2));
    // As may be the builder's store, as far as this image goes.
    lab.buildah(&["rmi", &name]);
    lab.build(&[]).success().stderr_contains("Building");
    assert_eq!(lab.loaded(), once.repeat(3));
    lab.is_tidy();
}

#[test]
fn a_program_that_does_not_load_is_named_and_the_next_try_needs_no_build() {
    let lab = lab!(&sandbox!(), "shop", LOAD);
    let (sandbox, name) = (lab.repo.sandbox().clone(), lab.name());
    let missing = lab.build(&[]);
    missing
        .code_is(128)
        .stdout_is("")
        .stderr_contains(&format!("cannot load image '{name}'"))
        .stderr_contains("'load-image': it is not there");
    sandbox.add_program("load-image", "#!/bin/sh\necho no cluster >&2\nexit 4\n");
    let failed = lab.build(&[]);
    failed.code_is(128).stdout_is("").stderr_contains("no cluster").stderr_contains("exit status 4");
    failed.lacks("Building");
    // A deployment is not the branch's fault, and goes on when it works.
    lab.commit("deploy/web.yaml", WEB);
    lab.configure("[environment.demo]\nkind = \"rendered\"\nbranch = \"demo\"\nmanifests = [\"deploy\"]\n");
    lab.repo.branch("login");
    lab.commit("web/index.html", "login\n");
    lab.repo.switch("master");
    lab.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    lab.deploy(&[]).code_is(128).stderr_contains("cannot load image").stderr_contains("exit status 4");
    assert_eq!(lab.repo.deploy("deploy-state", &["get", "login"]).line(), "deployable");
    sandbox.add_program("load-image", RECORD);
    lab.deploy(&[]).success();
    lab.is_tidy();
}

#[test]
fn a_program_that_hangs_ends_with_the_build() {
    let lab = lab!(&sandbox!(), "shop", LOAD);
    let naps = format!("46{}", std::process::id());
    let hangs = format!("#!/bin/sh\necho tired\nsleep {naps} & sleep {naps}\n");
    lab.repo.sandbox().add_program("load-image", &hangs);
    let mut running = lab.command("git-deploy-build").start();
    running.wait_for_words("| tired");
    eventually("somebody sleeps", || is_running(&naps));
    running.interrupt();
    running.wait().code_is(130);
    assert!(!is_running(&naps), "somebody sleeps still");
    lab.is_tidy();
}

#[test]
fn whoever_always_pulls_an_image_that_no_registry_has_is_warned() {
    let lab = lab!(&sandbox!(), "shop", LOAD);
    lab.repo.sandbox().add_program("load-image", RECORD);
    lab.commit(
        "deploy/web.yaml",
        &WEB.replace("shop-web:any\n", "shop-web:any\n          imagePullPolicy: Always\n"),
    );
    lab.configure("[environment.demo]\nkind = \"rendered\"\nbranch = \"demo\"\nmanifests = [\"deploy\"]\n");
    lab.repo.branch("login");
    lab.commit("web/index.html", "login\n");
    lab.repo.switch("master");
    lab.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let output = lab.deploy(&[]);
    output.success().stderr_contains("'web' has 'imagePullPolicy: Always'");
}
