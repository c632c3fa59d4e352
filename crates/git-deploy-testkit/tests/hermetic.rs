//! What happens in a sandbox depends on the sandbox alone.

use std::thread;
use std::time::Duration;

use git_deploy_testkit::{Sandbox, skip};

#[test]
fn commands_see_only_the_variables_that_are_allowed() {
    let sandbox = Sandbox::new();
    let output = sandbox.run("env", &[]);
    for line in output.lines() {
        let name = line.split('=').next().unwrap();
        let is_allowed = name.starts_with("GIT_")
            || ["PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "LC_ALL", "TZ", "LLVM_PROFILE_FILE"]
                .contains(&name);
        assert!(is_allowed, "{line}\n{output}");
    }
    // Cargo sets this for every test; it stands for all that must not come through.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    output.lacks("CARGO_MANIFEST_DIR");
}

#[test]
fn git_reads_no_configuration_from_outside() {
    let sandbox = Sandbox::new();
    sandbox.set_global_config("deploy.base", "trunk");
    let repo = sandbox.repository("shop");
    let global = sandbox.home().join(".gitconfig");
    let output = repo.git(&["config", "--list", "--show-origin", "--name-only"]);
    for line in output.lines() {
        let is_inside =
            line.starts_with(&format!("file:{}", global.display())) || line.starts_with("file:.git/config");
        assert!(is_inside, "{line}\n{output}");
    }
    repo.git(&["config", "deploy.base"]).stdout_is("trunk\n");
}

#[test]
fn equal_steps_make_equal_commits() {
    let ids = [(); 2].map(|()| {
        let repo = Sandbox::new().repository("shop");
        repo.commit("a", "1\n", "First");
        repo.branch("login");
        repo.commit("b", "2\n", "Second")
    });
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn the_clock_ticks_with_each_command() {
    let sandbox = Sandbox::new();
    let repo = sandbox.repository("shop");
    repo.commit_empty("First");
    let before = sandbox.clock().now();
    sandbox.clock().advance(3_600);
    repo.commit_empty("Second");
    let dates = repo.git(&["log", "--format=%ct"]);
    let dates: Vec<u64> = dates.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!(dates[0] >= before + 3_600 && dates[1] < before, "{dates:?}");
    repo.git(&["log", "-1", "--format=%an <%ae> %cn %ci", "HEAD"])
        .stdout_contains("Ada Lovelace <ada@example.org> Ada Lovelace 2026-11-20 ");
}

#[test]
fn a_clone_follows_its_remote() {
    let sandbox = Sandbox::new();
    let remote = sandbox.bare("remote.git");
    let repo = sandbox.repository("shop");
    repo.commit_files(&[("deploy/a.yaml", "a: 1\n"), ("deploy/b.yaml", "b: 1\n")], "Two files");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master"]);
    let clone = remote.clone_to("clone");
    assert_eq!(clone.id("origin/master"), repo.id("HEAD"));
    assert_eq!(clone.read("deploy/b.yaml"), "b: 1\n");
    assert_eq!(remote.refs().keys().collect::<Vec<_>>(), ["refs/heads/master"]);
    assert_eq!(remote.tip("refs/heads/login"), None);
    for repo in [&remote, &repo, &clone] {
        repo.fsck();
        repo.has_no_lock_files();
    }
}

#[test]
fn notes_are_read_by_commit() {
    let repo = Sandbox::new().repository("shop");
    let first = repo.commit_empty("First");
    assert!(repo.notes().is_empty());
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: deployable"]);
    assert_eq!(repo.notes()[&first], "state: deployable\n");
}

#[test]
#[should_panic(expected = "missing blob")]
fn a_missing_object_is_noticed() {
    let repo = Sandbox::new().repository("shop");
    repo.commit("a", "1\n", "First");
    let blob = repo.id("HEAD:a");
    std::fs::remove_file(repo.git_path(&format!("objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();
    repo.fsck();
}

#[test]
fn a_lock_left_behind_is_noticed() {
    let repo = Sandbox::new().repository("shop");
    assert!(repo.locks_left_after(Duration::ZERO).is_empty());
    repo.write(".git/refs/heads/login.lock", "");
    let left = repo.path().join(".git/refs/heads/login.lock");
    assert_eq!(repo.locks_left_after(Duration::from_millis(50)), [left]);
}

#[test]
fn a_lock_that_somebody_holds_is_not_left() {
    let repo = Sandbox::new().repository("shop");
    repo.write(".git/objects/maintenance.lock", "");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            std::fs::remove_file(repo.path().join(".git/objects/maintenance.lock")).unwrap();
        });
        repo.has_no_lock_files();
    });
}

#[test]
#[should_panic(expected = "no such command in git")]
fn a_failure_shows_the_whole_run() {
    let sandbox = Sandbox::new();
    sandbox.add_program("git-deploy-fake", "#!/bin/sh\necho \"no such command in git\" >&2\nexit 129\n");
    let _ = sandbox.repository("shop").deploy("deploy-fake", &["get"]);
}

#[test]
fn git_finds_the_sandboxes_own_programs() {
    let sandbox = Sandbox::new();
    sandbox.add_program("git-deploy-fake", "#!/bin/sh\nprintf '%s\\n' \"$*\" \"$PWD\"\ncat\nexit 7\n");
    let repo = sandbox.repository("shop");
    let output = repo.command("git").args(["deploy-fake", "a b", "c"]).stdin("read\n").output();
    let expected = format!("a b c\n{}\nread\n", repo.path().display());
    output.code_is(7).stdout_is(&expected).stderr_is("");
}

#[test]
fn a_repository_may_have_ids_of_64_digits() {
    let Some(repo) = Sandbox::new().sha256_repository("shop") else { skip!("this git has no sha256") };
    assert_eq!(repo.commit("a", "1\n", "First").len(), 64);
    repo.fsck();
}

#[test]
fn git_has_a_version() {
    assert!(Sandbox::new().git_version() >= (2, 39));
}
