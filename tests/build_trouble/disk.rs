//! A disk that is full: to be mended, said as what it is, and what was half made goes away.

use std::fs;
use std::path::Path;
use std::process::Command;

use git_deploy_testkit::{Output, sandbox, skip};

use crate::lab;
use crate::lab::Lab;

/// Mounts a small disk at `$0` for nobody but the rest of the line, and says afterwards what is left there.
const SMALL: &str = "mount -t tmpfs -o size=\"$1\" none \"$0\" || exit 99; shift
\"$@\"; code=$?; { ls -A \"$TMPDIR\"; buildah containers --quiet; } >\"$LEFT\"; exit $code";

fn may_mount(at: &Path) -> bool {
    fs::create_dir_all(at).expect("a folder");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs none \"$0\" 2>/dev/null"]).arg(at);
    command.status().is_ok_and(|status| status.success())
}

impl Lab {
    /// Builds with a small disk there; what it said, and what was left.
    fn build_with(&self, at: &Path, size: &str, arguments: &[&str]) -> (Output, String) {
        let left = self.store.path().join("left");
        let output = self
            .command("unshare")
            .args(["--mount", "sh", "-c", SMALL])
            .arg(at)
            .arg(size)
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
    let (output, left) = lab.build_with(&at, "1m", &["git", "deploy-build"]);
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
    for size in ["1m", "3m"] {
        let (output, left) = lab.build_with(&at, size, &["git", "deploy-build"]);
        output
            .code_is(128)
            .stdout_is("")
            .stderr_contains("'buildah' has no space left on the disk")
            .stderr_contains("hint: images that nobody names any more go away with 'buildah rmi --prune'");
        assert_eq!(left, "", "{output}");
    }
    lab.build(&[]).success();
}
