//! A build that is ended in the middle, politely or not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::{Output, Running, Victim, sandbox, skip};

use crate::lab;
use crate::lab::{CONTAINERFILE, Lab, files, has_podman, is_running};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A build that has come to a step that does not end, and the number that nobody else sleeps for.
fn asleep(lab: &Lab) -> (Running, String) {
    let naps = format!("47{}{:03}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let lines = format!("COPY busybox /bin/sleep\nRUN echo tired; sleep {naps} & sleep {naps}\n");
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}{lines}"));
    let mut running = lab.command("git-deploy-build").start();
    running.wait_for_words("| tired");
    eventually("somebody sleeps", || is_running(&naps));
    assert!(!lab.buildah(&["containers", "--quiet"]).is_empty());
    (running, naps)
}

#[test]
fn of_a_build_that_is_killed_no_process_goes_on_and_the_next_clears_the_rest_away() {
    let lab = lab!(&sandbox!(), "shop", "");
    let (running, naps) = asleep(&lab);
    running.kill(Victim::Process).was_killed();
    eventually("nobody sleeps any more", || !is_running(&naps));
    assert!(!files(&lab.temporary()).is_empty(), "it had no time to clear away");
    assert!(!lab.buildah(&["containers", "--quiet"]).is_empty());
    lab.has_no_image();
    // What others have is nobody's to clear away.
    let foreign = lab.command("buildah").args(["from", "--name", "foreign", "scratch"]).output();
    foreign.success();
    let hostile = lab.temporary().join("git-deploy-build-\u{1b}[2J\n");
    symlink(lab.repo.path(), &hostile).expect("a link");
    let open = lab.temporary().join("git-deploy-build-open");
    fs::create_dir(&open).expect("a folder");
    fs::write(open.join("lock"), "").expect("a file");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("it is ours");

    lab.commit("web/Containerfile", CONTAINERFILE);
    lab.build(&[]).success();
    assert_eq!(lab.buildah(&["containers", "--format", "{{.ContainerName}}"]).trim(), "foreign");
    assert!(
        hostile.is_symlink() && open.join("lock").exists() && lab.repo.path().join("deploy.toml").exists()
    );
    fs::remove_file(hostile).expect("it is there");
    fs::remove_dir_all(open).expect("it is there");
    lab.buildah(&["rm", "foreign"]);
    lab.is_tidy();
}

#[test]
fn a_build_that_runs_is_left_alone_by_another_that_clears_away() {
    let lab = lab!(&sandbox!(), "shop", "");
    let (mut running, naps) = asleep(&lab);
    lab.commit("web/Containerfile", CONTAINERFILE);
    lab.build(&[]).success();
    assert!(is_running(&naps) && !lab.buildah(&["containers", "--quiet"]).is_empty());
    assert!(!files(&lab.temporary()).is_empty());
    running.interrupt();
    let _ = running.wait();
}

#[test]
fn a_build_that_is_interrupted_clears_away_itself() {
    let lab = lab!(&sandbox!(), "shop", "");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (mut running, naps) = asleep(&lab);
        if signal == "INT" {
            running.interrupt();
        } else {
            running.terminate();
        }
        running.wait().code_is(code);
        assert!(!is_running(&naps), "somebody sleeps still");
        lab.is_tidy();
        lab.has_no_image();
    }
}

/// Another machine, or container, that has the same store, and nothing else of this one: what it says of its build.
fn build_elsewhere(lab: &Lab, boot_id: Option<&str>) -> Output {
    let elsewhere = lab.store.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).expect("a folder");
    let file = lab.store.path().join("boot_id");
    let mut command = lab.command("unshare").args(["--mount", "sh", "-c"]);
    command = match boot_id {
        Some(id) => {
            fs::write(&file, format!("{id}\n")).expect("a file");
            command.arg("mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec git-deploy-build")
        }
        None => command.arg("exec git-deploy-build"),
    };
    command.arg(file).env("TMPDIR", &elsewhere).output()
}

#[test]
fn who_shares_a_store_clears_away_what_is_dead_and_nothing_that_lives() {
    let lab = lab!(&sandbox!(), "shop", "");
    let may_mount = std::process::Command::new("unshare").args(["--mount", "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        skip!("mounts are not allowed here");
    }
    let (running, naps) = asleep(&lab);
    let at_work = lab.buildah(&["containers", "--quiet"]);
    let another_boot = Some("00000000-0000-4000-8000-000000000000");
    lab.commit("web/Containerfile", CONTAINERFILE);
    for boot_id in [another_boot, None] {
        lab.repo.commit_empty("Another image");
        build_elsewhere(&lab, boot_id).success();
        assert!(is_running(&naps), "{boot_id:?}");
        assert_eq!(lab.buildah(&["containers", "--quiet"]), at_work, "{boot_id:?}");
    }
    running.kill(Victim::Process).was_killed();
    eventually("nobody sleeps any more", || !is_running(&naps));
    assert_eq!(lab.buildah(&["containers", "--quiet"]), at_work);
    lab.repo.commit_empty("Another image");
    build_elsewhere(&lab, another_boot).success();
    assert_eq!(lab.buildah(&["containers", "--quiet"]), "");
    // What is in temporary folders is for whoever has these.
    lab.repo.commit_empty("Another image");
    lab.build(&[]).success();
    lab.is_tidy();
}

#[test]
fn of_podman_too_nothing_is_left_after_the_next_build() {
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", "");
    if !has_podman(&sandbox) {
        skip!("podman is not installed");
    }
    lab.repo.set_config("deploy.builder", "podman");
    let foreign = lab.command("buildah").args(["from", "--name", "foreign", "scratch"]).output();
    foreign.success();
    let is_clean = || {
        assert_eq!(lab.buildah(&["containers", "--format", "{{.ContainerName}}"]).trim(), "foreign");
        assert!(files(&lab.temporary()).is_empty(), "{:?}", files(&lab.temporary()));
    };
    let (running, naps) = asleep(&lab);
    running.kill(Victim::Process).was_killed();
    lab.commit("web/Containerfile", CONTAINERFILE);
    lab.build(&[]).success();
    assert!(!is_running(&naps), "somebody sleeps still");
    is_clean();
    let (mut running, naps) = asleep(&lab);
    running.interrupt();
    running.wait().code_is(130);
    assert!(!is_running(&naps), "somebody sleeps still");
    is_clean();
}

#[test]
fn what_a_step_has_let_go_of_ends_with_a_build_that_is_killed() {
    let lab = lab!(&sandbox!(), "shop", "");
    let naps = format!("45{}", std::process::id());
    lab.configure(&format!("[build]\nsteps = [\"(setsid sleep {naps} &); echo tired; sleep {naps}\"]\n"));
    let mut running = lab.command("git-deploy-build").start();
    running.wait_for_words("| tired");
    eventually("somebody sleeps", || is_running(&naps));
    running.kill(Victim::Process).was_killed();
    eventually("nobody sleeps any more", || !is_running(&naps));
}

#[test]
fn what_a_containerfile_has_let_go_of_ends_with_its_build_or_with_the_next() {
    let lab = lab!(&sandbox!(), "shop", "");
    let naps = format!("44{}", std::process::id());
    let lines = "COPY busybox /bin/setsid\nCOPY busybox /bin/sleep\n";
    let step = format!("RUN (setsid sleep {naps} &); echo tired; sleep {naps}\n");
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}{lines}{step}"));
    let start = || {
        let mut running = lab.command("git-deploy-build").start();
        running.wait_for_words("| tired");
        eventually("somebody sleeps", || is_running(&naps));
        running
    };
    let mut running = start();
    running.interrupt();
    running.wait().code_is(130);
    assert!(!is_running(&naps), "somebody sleeps still");
    lab.is_tidy();
    lab.repo.set_config("deploy.buildTimeLimit", "20s");
    start().wait().stderr_contains("did not end within 20 s");
    assert!(!is_running(&naps), "somebody sleeps still");
    lab.repo.set_config("deploy.buildTimeLimit", "1h");
    start().kill(Victim::Process).was_killed();
    lab.commit("web/Containerfile", CONTAINERFILE);
    lab.build(&[]).success();
    assert!(!is_running(&naps), "somebody sleeps still");
    lab.is_tidy();
}
