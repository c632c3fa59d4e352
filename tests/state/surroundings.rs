//! Odd names, odd places, many at once.

use git_deploy_testkit::{Sandbox, sandbox, skip};

use crate::{branch, conflicting, set, shop, state_is};

#[test]
fn a_detached_head_and_an_unborn_branch_are_told_apart() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    repo.git(&["checkout", "--quiet", "--detach"]);
    for arguments in [&[][..], &["set", "deployable"], &["log"]] {
        repo.try_deploy("deploy-state", arguments)
            .code_is(128)
            .stderr_contains("fatal: no branch is checked out (HEAD is detached)")
            .stderr_contains("hint: name a branch");
    }
    // Whoever resolves a conflict is not to leave it.
    repo.switch("master");
    conflicting(&repo, "login");
    repo.switch("login");
    repo.command("git").args(["rebase", "--quiet", "master"]).output().code_is(1);
    repo.try_deploy("deploy-state", &["set", "staged"])
        .code_is(128)
        .stderr_contains("fatal: no branch is checked out (a rebase is under way)")
        .stderr_contains("go on with: git rebase --continue; or give up with: git rebase --abort\n");
    let empty = sandbox.repository("empty");
    empty
        .try_deploy("deploy-state", &[])
        .code_is(128)
        .stderr_contains("fatal: branch 'master' has no commits yet");
    empty
        .deploy("deploy-state", &["list"])
        .stdout_is("")
        .stderr_is("note: there is no branch yet\nhint: commit something first\n");
    sandbox
        .command("git")
        .args(["deploy-state", "get"])
        .output()
        .code_is(128)
        .stderr_contains("fatal: not a git repository (or any of the folders above)\n");
    sandbox
        .command("git")
        .args(["deploy-state", "get"])
        .env("GIT_DIR", "/nonexistent")
        .output()
        .code_is(128)
        .stderr_contains("fatal: not a git repository: '/nonexistent', which GIT_DIR names\n");
    repo.git(&["worktree", "add", "--quiet", "--detach", "../tree"]);
    std::fs::remove_dir_all(repo.path().join(".git/worktrees/tree")).expect("it was just made");
    repo.command("git")
        .args(["-C", "../tree", "deploy-state", "list"])
        .output()
        .code_is(128)
        .stderr_contains(
            "tree', which is not there\nhint: where the repository has moved to: git worktree repair ",
        );
}

#[test]
fn a_missing_base_is_told_with_what_to_configure() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.set_config("deploy.base", "trunk");
    set(&repo, &["deployable", "login"])
        .code_is(128)
        .stderr_contains("fatal: base branch 'trunk' is not there")
        .stderr_contains("hint: name the branch that everything lands on: git config deploy.base <branch>");
    state_is(&repo, "login", "development");
    repo.deploy("deploy-state", &["list", "--porcelain"])
        .stdout_contains(" refs/heads/login")
        .stderr_contains("warning: base branch 'trunk' is not there\nhint: name the branch");
    // What `git -c` says counts as well.
    repo.command("git")
        .args(["-c", "deploy.base=master", "deploy-state", "set", "deployable", "login"])
        .output()
        .success();
    state_is(&repo, "login", "deployable");
    repo.set_config("deploy.base", "..");
    repo.try_deploy("deploy-state", &["get", "login"]).code_is(128).stderr_contains("deploy.base");
}

#[test]
fn a_switch_needs_no_value_and_a_remote_a_place() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    branch(&repo, "login", "b.txt", "b\n");
    let config = repo.read(".git/config");
    // As a user has it for all repositories; this one has no remote.
    repo.write(".git/config", format!("{config}[deploy]\n\tpublish\n[remote \"origin\"]\n\tprune = true\n"));
    set(&repo, &["staged", "login"]).success();
    state_is(&repo, "login", "staged");
    // The same where git is asked.
    repo.command("git")
        .args(["-c", "remote.other.prune=true", "deploy-state", "set", "development", "login"])
        .output()
        .success();
    state_is(&repo, "login", "development");
}

#[test]
fn hostile_names_are_only_names() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    let names = [
        "a;touch${IFS}x",
        "$(touch${IFS}x)",
        "`touch`",
        "it's",
        "\"quoted\"",
        "|&<>",
        "grüße/世界",
        "\u{202e}evil",
    ];
    for (index, name) in names.iter().enumerate() {
        branch(&repo, name, &format!("{index}.txt"), "x\n");
        set(&repo, &["deployable", name]).success();
        state_is(&repo, name, "deployable");
        repo.deploy("deploy-state", &["list"]).lacks("\u{202e}");
        repo.git(&["checkout", "--quiet", name]);
        repo.deploy("deploy-state", &["log"]).stdout_contains("development -> deployable");
        set(&repo, &["deployed"]).code_is(1).lacks("\u{202e}");
        repo.switch("master");
    }
    let list = repo.deploy("deploy-state", &["list", "--porcelain", "-z"]);
    assert_eq!(list.stdout.split_terminator('\0').count(), names.len());
    for name in names {
        assert!(list.stdout.contains(&format!(" refs/heads/{name}\0")), "{list}");
    }
    assert!(!repo.path().join("x").exists());
    repo.try_deploy("deploy-state", &["get", "--", "-x"])
        .code_is(128)
        .stderr_contains("there is no branch '-x'");
    repo.try_deploy("deploy-state", &["get", "a b"]).code_is(128).stderr_contains("there is no branch 'a b'");
    repo.try_deploy("deploy-state", &["get", "x\x1b[2J\ny"]).code_is(128).lacks("\x1b");
}

#[test]
fn sixteen_writers_at_once_lose_nothing() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    let names: Vec<String> = (0..16).map(|number| format!("b{number}")).collect();
    names.iter().for_each(|name| drop(branch(&repo, name, &format!("{name}.txt"), "x\n")));
    let running: Vec<_> = names
        .iter()
        .map(|name| repo.command("git").args(["deploy-state", "set", "deployable", name]).start())
        .collect();
    for run in running {
        run.wait().success();
    }
    let list = repo.deploy("deploy-state", &["list", "--porcelain", "--state=deployable"]);
    assert_eq!(list.lines().len(), 16, "{list}");
    repo.git(&["rev-list", "--count", "refs/notes/deploy"]).stdout_is("16\n");
    repo.fsck();
    repo.has_no_lock_files();
}

#[test]
fn a_repository_with_long_ids_works() {
    let Some(repo) = sandbox!().sha256_repository("shop") else {
        skip!("this git makes no such repositories")
    };
    repo.commit("a.txt", "one\n", "Begin");
    let commit = branch(&repo, "login", "b.txt", "b\n");
    assert_eq!(commit.len(), 64);
    set(&repo, &["deployable", "login"]).success();
    repo.deploy("deploy-state", &["list", "--porcelain"])
        .stdout_is(&format!("deployable {commit} refs/heads/login\n"));
    repo.deploy("deploy-state", &["log", "login"]).stdout_contains("development -> deployable");
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&format!("1 {commit} refs/heads/login "));
    conflicting(&repo, "bad");
    set(&repo, &["staged", "bad"]).code_is(1).stderr_contains("conflict in 'a.txt'");
    repo.fsck();
}

#[test]
fn work_trees_folders_git_dir_and_bare_repositories_are_all_the_same() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    let git = |directory: &str| sandbox.command("git").in_directory(directory).args(["deploy-state", "get"]);
    repo.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    repo.write("deep/er/x", "");
    git("tree").output().success().stdout_is("staged\n");
    git("shop/deep/er").arg("login").output().success().stdout_is("staged\n");
    let git_dir = repo.path().join(".git");
    git("home").arg("login").env("GIT_DIR", &git_dir).output().success().stdout_is("staged\n");
    git("shop").arg("login").env("GIT_DIR", ".git").output().success().stdout_is("staged\n");
    let relative = sandbox.command("git").args(["-C", "shop/deep", "deploy-state", "get", "login"]);
    relative.output().success().stdout_is("staged\n");
    let bare = sandbox.bare("bare.git");
    repo.git(&["push", "--quiet", "../bare.git", "refs/heads/*:refs/heads/*", "refs/notes/*:refs/notes/*"]);
    state_is(&bare, "login", "staged");
    set(&bare, &["deployable", "login"]).success();
    bare.deploy("deploy-queue", &["--porcelain"]).stdout_contains("refs/heads/login");
}

#[test]
fn a_repository_that_cannot_be_written_can_be_read() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    // One stands on base, the other would have to be rebased, which makes commits.
    branch(&repo, "behind", "d.txt", "d\n");
    repo.commit("e.txt", "e\n", "Go on");
    branch(&repo, "ahead", "f.txt", "f\n");
    sandbox.run("chmod", &["-R", "a-w", "shop"]);
    // Root may write everything, but for what is taken away from it.
    let somebody = |arguments: &[&str]| match is_root(&sandbox) {
        true => repo
            .command("setpriv")
            .args(["--bounding-set=-dac_override,-dac_read_search", "git"])
            .args(arguments),
        false => repo.command("git").args(arguments),
    };
    let read = somebody(&["deploy-state", "get", "login"]).output();
    let list = somebody(&["deploy-state", "list"]).output();
    let writes = ["behind", "ahead"].map(|name| somebody(&["deploy-state", "set", "staged", name]).output());
    let withdrawal = somebody(&["deploy-state", "set", "development", "login"]).output();
    sandbox.run("chmod", &["-R", "u+w", "shop"]);
    read.success().stdout_is("staged\n").stderr_is("");
    list.success().stdout_contains("staged");
    for write in writes.iter().chain([&withdrawal]) {
        write
            .code_is(128)
            .stderr_contains("ermission")
            .stderr_contains("hint: this repository cannot be written by you");
    }
    for (name, state) in [("login", "staged"), ("behind", "development"), ("ahead", "development")] {
        state_is(&repo, name, state);
    }
}

fn is_root(sandbox: &Sandbox) -> bool {
    sandbox.run("id", &["-u"]).line() == "0"
}

#[test]
fn a_name_that_is_no_utf_8_is_told_with_what_to_set() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    let script = "GIT_COMMITTER_NAME=$(printf 'Andr\\351') exec git deploy-state set staged login";
    repo.command("sh")
        .args(["-c", script])
        .output()
        .code_is(128)
        .stderr_contains(
            "fatal: git cannot tell who you are in a way that a note can hold: it is not UTF-8\n",
        )
        .stderr_contains("hint: set it in UTF-8: git config user.name \"Your Name\"\n");
    state_is(&repo, "login", "development");
}

#[test]
fn where_objects_have_to_reach_the_disk_git_writes_them_as_it_is_told_to() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.set_config("core.fsync", "all");
    let trace = repo.path().join(".git/trace");
    let told = ["deploy-state", "set", "deployable", "login"];
    repo.command("git").args(told).env("GIT_TRACE2_EVENT", &trace).output().success();
    let read = std::fs::read_to_string(&trace).expect("git traces what it starts");
    // The commit of the note, its tree and the note.
    let written =
        read.lines().filter(|line| line.contains(r#""event":"start""#) && line.contains("hash-object"));
    assert!(written.count() >= 3, "{read}");
    state_is(&repo, "login", "deployable");
    repo.git(&["fsck", "--strict"]);
}
