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
fn deploys_when_there_is_room(lab: &Lab, at: &Path) {
    let disks = (1..30).map(|size| format!("size={}k", size * 500));
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
    deploys_when_there_is_room(&lab, &at);
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
    deploys_when_there_is_room(&lab, &at);
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
    let (output, left) = lab.run_with(&graph, "size=40m", &["sh", "-c", &after(30, &graph)]);
    output.code_is(128).stderr_contains(&format!(
        "fatal: cannot build image '{}': 'buildah' has no space left on the disk of '{}' at step 'RUN dd if=/dev/zero ",
        lab.name(),
        graph.display()
    ));
    output.stderr_contains("hint: images that nobody names");
    assert_eq!(left, "", "{output}");
    // As many small files as there is place for.
    let (output, _) = lab.run_with(&lab.temporary(), "nr_inodes=20", &["git", "deploy-build"]);
    output.code_is(128).stderr_contains("o space left on");
    // A step of our own.
    lab.commit("web/Containerfile", CONTAINERFILE);
    let step = "dd if=/dev/zero of=large bs=1M count=60 2>/dev/null";
    lab.configure(&format!("[build]\nsteps = [\"{step}\"]\n"));
    let temporary = lab.temporary();
    let (output, left) = lab.run_with(&temporary, "size=40m", &["sh", "-c", &after(30, &temporary)]);
    let at = temporary.display();
    output
        .code_is(128)
        .stderr_contains(&format!("fatal: step '{step}' has no space left on the disk of '{at}'\n"))
        .stderr_contains("hint: temporary files go to another disk with 'TMPDIR=<folder>'");
    assert_eq!(left, "others\n", "{output}");
    lab.build(&[]).success();
}

/// Builds when others have taken so much of a disk.
fn after(megabytes: u32, disk: &Path) -> String {
    format!("head -c {megabytes}M /dev/zero >{}/others; exec git deploy-build", disk.display())
}

#[test]
fn a_step_that_fills_a_disk_stages_its_branch() {
    let registry = registry!(Registry::plain());
    let lab = lab!(&sandbox!(), "shop", &format!("address = \"{}\"", registry.address()));
    let lab = lab.deployable(&registry.address());
    let at = lab.temporary();
    if !may_mount(&at) {
        skip!("mounts are not allowed here");
    }
    lab.repo.switch("login");
    lab.configure("[build]\nsteps = [\"cat /dev/zero > big\"]\n");
    lab.repo.switch("master");
    lab.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let (output, left) = lab.run_with(&at, "size=40m", &["git", "deploy"]);
    let why = "step 'cat /dev/zero > big' filled the disk of";
    let at = at.display();
    output
        .code_is(1)
        .stdout_contains(&format!("{why} '{at}' (40.0 MiB were free before): "))
        .stdout_contains("No space left on device");
    assert_eq!(left, "", "{output}");
    assert_eq!(lab.repo.deploy("deploy-state", &["get", "login"]).line(), "staged");
    let note = lab.repo.git(&["notes", "--ref=deploy", "show", "login"]);
    note.stdout_contains(why).stdout_contains("40.0 MiB were free");
}

#[test]
fn a_build_that_fills_a_disk_is_its_commits_fault() {
    let lab = lab!(&sandbox!(), "shop", "");
    let graph = lab.store.path().join("graph");
    if !may_mount(&lab.temporary()) || !may_mount(&graph) {
        skip!("mounts are not allowed here");
    }
    lab.commit(
        "web/Containerfile",
        &format!("{CONTAINERFILE}COPY busybox /bin/cat\nRUN cat /dev/zero > /big\n"),
    );
    let (output, left) = lab.run_with(&graph, "size=40m", &["git", "deploy-build"]);
    output
        .code_is(1)
        .lacks("hint: images")
        .stderr_contains(&format!("'buildah' filled the disk of '{}' (", graph.display()))
        .stderr_contains(" MiB were free before) at step 'RUN cat /dev/zero > /big': ");
    assert_eq!(left, "", "{output}");
    // What an earlier step has taken is taken by the commit too.
    lab.configure("[build]\nsteps = [\"cat /dev/zero > big || true\", \"true\"]\n");
    let (output, left) = lab.run_with(&lab.temporary(), "size=40m", &["git", "deploy-build"]);
    output.code_is(1).stderr_contains("filled the disk of").stderr_contains("(40.0 MiB were free before)");
    assert_eq!(left, "", "{output}");
}

#[test]
fn a_step_that_fails_for_itself_on_a_disk_with_little_room_is_not_the_disks_fault() {
    let lab = lab!(&sandbox!(), "shop", "");
    let at = lab.temporary();
    if !may_mount(&at) {
        skip!("mounts are not allowed here");
    }
    lab.configure("[build]\nsteps = [\"echo my own mistake >&2; false\"]\n");
    let (output, _) = lab.run_with(&at, "size=40m", &["sh", "-c", &after(26, &at)]);
    output.code_is(1).stderr_contains("' failed with exit status 1").stderr_contains(": my own mistake\n");
    // Whoever says that there is no space is believed there.
    let text = lab.repo.read("deploy.toml").replace("my own mistake", "ENOSPC: too large");
    lab.commit("deploy.toml", &text);
    let (output, _) = lab.run_with(&at, "size=40m", &["sh", "-c", &after(26, &at)]);
    output
        .code_is(128)
        .stderr_contains("has no space left on the disk of")
        .stderr_contains("': ENOSPC: too large\n");
}
