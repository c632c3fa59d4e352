//! A disk that is full: to be mended, said as what it is, and what was half made goes away.

use std::fs;
use std::path::Path;
use std::process::Command;

use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::{Output, sandbox, skip};

use crate::lab::{CONTAINERFILE, Lab};
use crate::{lab, registry};

/// Mounts a small disk at `$0` for nobody but the rest of the line, and says afterwards what is left there.
const SMALL: &str = "mount -t tmpfs -o \"$1\" none \"$0\" || exit 99; shift
\"$@\"; code=$?; { ls -A \"$TMPDIR\"; buildah containers --quiet; } >\"$LEFT\"; exit $code";

fn may_mount(at: &Path) -> bool {
    fs::create_dir_all(at).expect("a folder");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs none \"$0\" 2>/dev/null"]).arg(at);
    command.status().is_ok_and(|status| status.success())
}

impl Lab {
    /// Runs something with a small disk there; what it said, and what was left.
    fn run_with(&self, at: &Path, disk: &str, arguments: &[&str]) -> (Output, String) {
        let left = self.store.path().join("left");
        let output = self
            .command("unshare")
            .args(["--mount", "sh", "-c", SMALL])
            .arg(at)
            .arg(disk)
            .args(arguments)
            .env("LEFT", &left)
            .output();
        (output, fs::read_to_string(left).expect("it was written"))
    }
}

#[test]
fn a_disk_that_is_too_small_for_the_commits_files_is_said() {
    let lab = lab!(&sandbox!(), "shop", "");
    let at = lab.temporary();
    if !may_mount(&at) {
        skip!("mounts are not allowed here");
    }
    let (output, left) = lab.run_with(&at, "size=1m", &["git", "deploy-build"]);
    output
        .code_is(128)
        .stdout_is("")
        .stderr_contains("cannot export commit")
        .stderr_contains("No space left on device")
        .lacks("Building");
    assert_eq!(left, "");
    lab.has_no_image();
}

#[test]
fn a_disk_that_is_too_small_for_buildahs_images_is_said() {
    let lab = lab!(&sandbox!(), "shop", "");
    let at = lab.store.path().join("graph");
    if !may_mount(&at) {
        skip!("mounts are not allowed here");
    }
    // With room for the container, but not for the image that becomes of it.
    for size in ["size=1m", "size=3m"] {
        let (output, left) = lab.run_with(&at, size, &["git", "deploy-build"]);
        output
            .code_is(128)
            .stdout_is("")
            .stderr_contains("'buildah' has no space left on the disk")
            .stderr_contains("hint: images that nobody names any more go away with 'buildah rmi --prune'");
        assert_eq!(left, "", "{output}");
    }
    lab.build(&[]).success();
}

fn is_error(line: &str) -> bool {
    ["error: ", "fatal: "].iter().any(|begin| line.starts_with(begin))
}

/// Deploys with small disks there, each a little larger than the one before, until one is large enough: wherever it is that
/// there is no room any more, it is one clear error, nothing is lost, and afterwards it succeeds.
#[track_caller]
fn deploys_when_there_is_room(lab: &Lab, at: &Path, disks: impl Iterator<Item = String>) {
    for (full, disk) in disks.enumerate() {
        let (output, left) = lab.run_with(at, &disk, &["git", "deploy"]);
        if output.code == Some(0) {
            assert!(full > 2, "{full} disks were too small");
            return;
        }
        let errors: Vec<&str> = output.stderr.lines().filter(|line| is_error(line)).collect();
        assert_eq!(errors.len(), 1, "{disk}: {output}");
        assert!(errors[0].to_lowercase().contains("no space left"), "{disk}: {output}");
        assert!(matches!(output.code, Some(75 | 128)), "{disk}: {output}");
        assert_eq!(left, "", "{disk}: {output}");
        assert_eq!(lab.repo.tip("refs/tags/deployment-0001"), None, "{disk}: {output}");
        lab.still_waits();
    }
    lab.deploy(&[]).success().stdout_contains("Successfully Deployed");
}

#[test]
fn a_deployment_without_room_for_images_waits_and_succeeds_when_there_is_some() {
    let registry = registry!(Registry::plain());
    let lab = lab!(&sandbox!(), "shop", &format!("address = \"{}\"", registry.address()));
    let lab = lab.deployable(&registry.address());
    let at = lab.store.path().join("graph");
    if !may_mount(&at) {
        skip!("mounts are not allowed here");
    }
    deploys_when_there_is_room(&lab, &at, (1..30).map(|size| format!("size={}k", size * 500)));
}

#[test]
fn a_deployment_without_room_for_temporary_files_waits_and_succeeds_when_there_is_some() {
    let registry = registry!(Registry::plain());
    let lab = lab!(&sandbox!(), "shop", &format!("address = \"{}\"", registry.address()));
    let lab = lab.deployable(&registry.address());
    let at = lab.temporary();
    if !may_mount(&at) {
        skip!("mounts are not allowed here");
    }
    deploys_when_there_is_room(&lab, &at, (1..30).map(|size| format!("size={}k", size * 500)));
}

#[test]
fn whatever_fills_a_disk_it_is_the_disk_that_is_said_and_not_the_commit() {
    let lab = lab!(&sandbox!(), "shop", "");
    if !may_mount(&lab.temporary()) || !may_mount(&lab.store.path().join("graph")) {
        skip!("mounts are not allowed here");
    }
    // It says nothing of it, and what it wrote is cleared away when it is asked what was wrong.
    let lines = "COPY busybox /bin/dd\nRUN dd if=/dev/zero of=/large bs=1M count=60 2>/dev/null\n";
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}{lines}"));
    let graph = lab.store.path().join("graph");
    let (output, left) = lab.run_with(&graph, "size=40m", &["git", "deploy-build"]);
    output.code_is(128).stderr_contains(&format!(
        "fatal: cannot build image '{}': 'buildah' has no space left on the disk of '{}'\nhint: images",
        lab.name(),
        graph.display()
    ));
    assert_eq!(left, "", "{output}");
    // As many small files as there is place for.
    let (output, _) = lab.run_with(&lab.temporary(), "nr_inodes=20", &["git", "deploy-build"]);
    output.code_is(128).stderr_contains("o space left on");
    // A step of our own.
    lab.commit("web/Containerfile", CONTAINERFILE);
    let step = "dd if=/dev/zero of=large bs=1M count=60 2>/dev/null";
    lab.configure(&format!("[build]\nsteps = [\"{step}\"]\n"));
    let (output, left) = lab.run_with(&lab.temporary(), "size=40m", &["git", "deploy-build"]);
    output
        .code_is(128)
        .stderr_contains(&format!("fatal: step '{step}' failed: there is no space left on the disk of '"))
        .stderr_contains("hint: temporary files go to another disk with 'TMPDIR=<folder>'");
    assert_eq!(left, "", "{output}");
    lab.build(&[]).success();
}
