//! Lock files of git that stay: which, whose, how old, and how to go on.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use git_deploy_testkit::{Format, Repo, left_out, sandbox};

use crate::{branch, set, shop, state_is};

fn prepared() -> Repo {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    repo
}

/// Leaves a lock file that is two hours old. Its path, as a command says it.
fn lock(repo: &Repo, name: &str) -> String {
    let path = repo.lock_of(name);
    std::fs::write(&path, "").expect("the repository can be written to");
    repo.command("touch").args(["-d", "2 hours ago"]).arg(&path).output().success();
    path.display().to_string()
}

#[test]
fn a_lock_that_a_dead_git_left_is_told_with_how_to_go_on() {
    let repo = prepared();
    let path = lock(&repo, "refs/notes/deploy");
    set(&repo, &["deployable", "login"])
        .code_is(75)
        .stderr_contains(&format!(
            "cannot lock 'refs/notes/deploy': '{path}' has been there for 2 hours, and no git that can be seen works"
        ))
        .stderr_contains(&format!("hint: a git that died left the file: remove it with: rm -- {path}\n"));
    // What only reads still works, and nobody takes away what is not known to be ours.
    state_is(&repo, "login", "staged");
    assert!(std::path::Path::new(&path).exists());
    std::fs::remove_file(&path).expect("it is there");
    set(&repo, &["deployable", "login"]).success();
}

#[test]
fn what_a_run_left_that_was_killed_before_it_moved_anything_is_cleared_away() {
    let repo = prepared();
    let intents = repo.git_path("deploy/intents");
    let (old, young) = (intents.join("new-1-0"), intents.join("new-1-1"));
    for path in [&old, &young] {
        std::fs::write(path, "").expect("the repository can be written to");
    }
    repo.command("touch").args(["-d", "2 hours ago"]).arg(&old).output().success();
    // Whoever meets a lock looks for the dead. It is none of theirs: nothing was declared.
    let path = lock(&repo, "refs/notes/deploy");
    set(&repo, &["deployable", "login"]).code_is(75);
    assert!(std::path::Path::new(&path).exists() && !old.exists() && young.exists());
}

#[test]
fn a_lock_beside_which_a_git_works_is_told_with_whose_it_may_be() {
    let repo = prepared();
    let path = lock(&repo, "refs/notes/deploy");
    // It waits until its input ends.
    let fifo = repo.sandbox().root().join("fifo");
    repo.command("mkfifo").arg(&fifo).output().success();
    let script = "exec git cat-file --batch <>\"$0\"";
    let other = repo.command("sh").args(["-c", script]).arg(&fifo).start();
    let pid = other.id();
    // Before that it is a shell.
    while !std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs").starts_with(b"git\0") {
        std::thread::sleep(Duration::from_millis(20));
    }
    set(&repo, &["deployable", "login"])
        .code_is(75)
        .stderr_contains(&format!(
            "'{path}' has been there for 2 hours, and process {pid} ('git cat-file --batch') works in this repository\n"
        ))
        .stderr_contains("hint: wait until that has ended, then try again\n");
    drop(other);
    std::fs::remove_file(&path).expect("it is there");
}

#[test]
fn an_index_that_a_dead_git_left_locked_is_told_with_how_to_go_on() {
    let repo = prepared();
    let base = repo.commit("d.txt", "d\n", "Go on");
    repo.switch("login");
    let lock = repo.git_path("index.lock");
    std::fs::write(&lock, "").expect("the repository can be written to");
    repo.command("touch").args(["-d", "2 hours ago"]).arg(&lock).output().success();
    let (tree, path) = (repo.path().display(), lock.display());
    repo.deploy("deploy-rebase", &[])
        .stdout_contains(&format!(
            "'{tree}' cannot follow: its index is locked: '{path}' has been there for 2 hours, and no git that can be seen"
        ))
        .stderr_contains(&format!("hint: 'login': a git that died left the file: remove it with: rm -- {path}\n"));
    assert_ne!(repo.id("login^"), base);
    assert!(lock.exists());
    std::fs::remove_file(&lock).expect("it is there");
    repo.deploy("deploy-rebase", &[]);
    assert_eq!(repo.id("login^"), base);
    state_is(&repo, "login", "staged");
    repo.git(&["status", "--porcelain"]).stdout_is("");
}

#[test]
fn an_index_that_is_locked_for_a_moment_is_waited_for_and_a_commit_in_an_editor_is_named() {
    let repo = prepared();
    let base = repo.commit("d.txt", "d\n", "Go on");
    repo.switch("login");
    let lock = repo.git_path("index.lock");
    std::fs::write(&lock, "").expect("the repository can be written to");
    let waits = repo.command("sh").args(["-c", "sleep 0.1; rm \"$0\""]).arg(&lock).start();
    repo.deploy("deploy-rebase", &[]);
    waits.wait().success();
    assert_eq!(repo.id("login^"), base);

    repo.git(&["branch", "--quiet", "--force", "master", "master^"]);
    let (asked, answered) = (repo.sandbox().root().join("asked"), repo.sandbox().root().join("answered"));
    let editor = format!(
        "sh -c 'touch \"{}\"; while [ ! -e \"{}\" ]; do sleep 0.05; done'",
        asked.display(),
        answered.display()
    );
    let commit =
        repo.command("git").args(["commit", "--quiet", "--all", "--amend"]).env("GIT_EDITOR", editor);
    let commit = commit.start();
    while !asked.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    repo.deploy("deploy-rebase", &[])
        .stdout_contains(&format!(
            "and process {} ('git commit --quiet --all --amend') works in this repository",
            commit.id()
        ))
        .stderr_contains("hint: 'login': wait until that has ended, then try again\n");
    std::fs::write(&answered, "").expect("the sandbox can be written to");
    commit.wait().success();
}

#[test]
fn a_locked_head_holds_up_only_the_branch_that_is_checked_out_and_is_told() {
    let repo = prepared();
    branch(&repo, "other", "c.txt", "c\n");
    set(&repo, &["staged", "other"]).success();
    let base = repo.commit("d.txt", "d\n", "Go on");
    repo.switch("login");
    let path = lock(&repo, "HEAD");
    let why = format!("'{path}' has been there for 2 hours");
    let swept = repo.try_deploy("deploy-rebase", &[]);
    assert!(format!("{}{}", swept.stdout, swept.stderr).contains(&why), "{swept}");
    std::fs::remove_file(&path).expect("it is there");
    repo.deploy("deploy-rebase", &[]);
    for name in ["login", "other"] {
        assert_eq!(repo.id(&format!("{name}^")), base);
        state_is(&repo, name, "staged");
    }
    repo.git(&["status", "--porcelain"]).stdout_is("");
}

#[test]
fn a_rebase_tells_of_a_locked_branch_in_the_same_words_as_a_decision() {
    let repo = prepared();
    repo.commit("d.txt", "d\n", "Go on");
    if Format::of_run().reftable {
        left_out!("there is one lock for all refs, which is met earlier");
    }
    let path = lock(&repo, "refs/heads/login");
    // It could have moved.
    repo.try_deploy("deploy-rebase", &[])
        .code_is(128)
        .lacks("making room")
        .stdout_contains(&format!("cannot lock 'refs/heads/login': '{path}' has been there for 2 hours"))
        .stderr_contains(&format!(
            "hint: 'login': a git that died left the file: remove it with: rm -- {path}\n"
        ));
    std::fs::remove_file(&path).expect("it is there");
    repo.deploy("deploy-rebase", &[]).stdout_contains("rebased");
}

#[test]
fn a_ref_in_the_way_of_that_of_the_notes_is_told_with_how_it_gets_another_name() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    for (there, kept) in [("refs/notes", "refs/own"), ("refs/notes/deploy/x", "refs/notes/own")] {
        repo.git(&["update-ref", there, "HEAD"]);
        state_is(&repo, "login", "development");
        let told = set(&repo, &["staged", "login"]);
        told.code_is(128)
            .stderr_contains(&format!("cannot make ref 'refs/notes/deploy': '{there}' is there\n"));
        let (_, hint) = told.stderr.split_once("hint: give that another name: ").expect("it is told");
        repo.command("sh").args(["-c", &hint.replace("<name>", "own")]).output().success();
        assert!(repo.tip(kept).is_some());
    }
    set(&repo, &["staged", "login"]).success();
}

/// Sets a state with a git that does not move refs.
fn set_without_git(repo: &Repo, state: &str) -> bool {
    let bin = repo.sandbox().root().join("moves-nothing");
    let path = repo.command("sh").args(["-c", "printf %s \"$PATH\""]).output().stdout;
    std::fs::create_dir_all(&bin).expect("a folder");
    let script = format!("#!/bin/sh\n[ \"$1\" != update-ref ] || exit 1\nPATH='{path}' exec git \"$@\"\n");
    std::fs::write(bin.join("git"), script).expect("the file can be written");
    std::fs::set_permissions(bin.join("git"), Permissions::from_mode(0o755)).expect("it is ours");
    let path = format!("{}:{path}", bin.display());
    // Git itself would put its own folder in front of that.
    repo.command("git-deploy-state").args(["set", state, "login"]).env("PATH", path).output().code == Some(0)
}

/// Notes are moved without starting git where no hook wants to know, and by git where one does: nobody can tell which it was.
#[test]
fn the_reflog_of_states_and_whoever_hears_of_them_are_as_with_git_itself() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "login.txt", "x\n");
    set(&repo, &["staged", "login"]).success();
    set(&repo, &["development", "login"]).success();
    let is_in_process = Format::of_run() == Format::default();
    assert_eq!(set_without_git(&repo, "staged"), is_in_process);
    set(&repo, &["staged", "login"]).success();
    set(&repo, &["development", "login"]).success();
    let heard = repo.sandbox().root().join("heard");
    repo.install_hook("reference-transaction", &format!("cat >>'{}'\n", heard.display()));
    assert!(!set_without_git(&repo, "staged"));
    set(&repo, &["staged", "login"]).success();
    set(&repo, &["development", "login"]).success();
    let heard = std::fs::read_to_string(&heard).expect("the hook was run");
    assert!(heard.contains(" refs/notes/deploy\n"), "{heard}");
    let format = "--format=%H %gs %gn %ge %gd";
    let reflog = repo.git(&["log", "--walk-reflogs", "--date=format:%z", format, "refs/notes/deploy"]);
    let lines = reflog.lines();
    let (commits, told): (Vec<&str>, Vec<&str>) =
        lines.iter().map(|line| line.split_once(' ').expect("an id")).unzip();
    assert_eq!(told[..2], told[2..4], "{}", reflog.stdout);
    assert!(told.iter().all(|told| told.starts_with("notes: ")), "{}", reflog.stdout);
    assert_eq!(commits, repo.git(&["rev-list", "refs/notes/deploy"]).lines());
}
