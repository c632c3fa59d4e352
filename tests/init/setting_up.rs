//! What is set up, that doing it again changes nothing, and that exactly this is undone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use git_deploy_testkit::sandbox;

use crate::{HOOKS, files, write_hook};

#[test]
fn a_repository_is_set_up() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    let output = repo.deploy("deploy-init", &[]);
    output
        .stdout_contains("wrote 'deploy.toml'")
        .stdout_contains("installed hook")
        .stderr_contains("hint: git add");
    assert!(repo.read("deploy.toml").contains("[environment.rendered]"));
    assert!(!repo.path().join("deploy").exists());
    for hook in HOOKS {
        let path = repo.git_path("hooks").join(hook);
        assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o100 != 0);
        assert!(fs::read_to_string(path).unwrap().contains("git-deploy-hook"));
    }
    // Nothing that is known to lose notes, and nothing committed.
    let config = repo.git(&["config", "--local", "--list"]).stdout;
    assert!(!config.contains("rewrite") && !config.contains(".push"), "{config}");
    repo.git(&["status", "--porcelain"]).stdout_is("?? deploy.toml\n");
}

#[test]
fn states_are_shown_by_git_log_and_nothing_is_complained_about_before_there_is_one() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]);
    repo.git(&["log"]).stderr_is("");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: staged"]);
    repo.git(&["notes", "--ref=deploy-remote/origin/deploy", "add", "-m", "state: deployable"]);
    repo.git(&["log"]).stdout_contains("    state: staged").lacks("state: deployable").stderr_is("");
}

#[test]
fn doing_it_again_changes_no_byte_and_says_so() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.deploy("deploy-init", &["--starter"]).stdout_contains("wrote 'deploy/starter.yaml'");
    let before = files(repo.path());
    repo.deploy("deploy-init", &["--starter"]).stdout_is("nothing to do: this repository is set up\n");
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    assert_eq!(before, files(repo.path()));
}

#[test]
fn removing_leaves_everything_as_it_was() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["branch", "-m", "trunk"]);
    repo.add_remote("origin", &bare);
    repo.set_config("notes.displayRef", "refs/notes/review");
    let before = files(repo.path());
    repo.deploy("deploy-init", &["--starter"]).stdout_contains("deploy.base = trunk");
    repo.deploy("deploy-init", &["--remove"])
        .stdout_contains("removed 'deploy.toml'")
        .stdout_contains("removed 'deploy.base = trunk'");
    assert_eq!(before, files(repo.path()));
    repo.deploy("deploy-init", &["--remove"]).stdout_is("nothing to undo: this repository is not set up\n");
    assert_eq!(before, files(repo.path()));
}

#[test]
fn what_the_user_configured_before_stays_when_it_is_undone() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.git(&["config", "--add", "notes.displayRef", "refs/notes/deploy"]);
    repo.git(&[
        "config",
        "--add",
        "remote.origin.fetch",
        "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*",
    ]);
    repo.set_config("deploy.base", "main");
    let before = repo.read(".git/config");
    repo.deploy("deploy-init", &[]);
    assert_eq!(repo.read(".git/config"), before);
    repo.deploy("deploy-init", &["--remove"]);
    assert_eq!(repo.read(".git/config"), before);
}

#[test]
fn what_was_configured_for_a_remote_is_undone_under_its_new_name() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.add_remote("origin", &bare);
    repo.add_remote("other", &bare);
    repo.deploy("deploy-init", &[]);
    repo.git(&["remote", "rename", "origin", "up"]);
    let own = "+refs/notes/deploy*:refs/notes/deploy-remote/mine/deploy*";
    repo.git(&["config", "--add", "remote.up.fetch", own]);
    repo.deploy("deploy-init", &["--remove"]).stdout_contains("remote.up.fetch");
    repo.git(&["config", "--get-all", "remote.up.fetch"])
        .stdout_is(&format!("+refs/heads/*:refs/remotes/up/*\n{own}\n"));
    repo.git(&["config", "--get-all", "remote.other.fetch"])
        .stdout_is("+refs/heads/*:refs/remotes/other/*\n");
}

#[test]
fn a_linked_work_tree_shares_hooks_and_configuration() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.git(&["worktree", "add", "--quiet", "-b", "login", "../linked"]);
    let linked = sandbox.open("linked");
    linked.deploy("deploy-init", &[]);
    assert!(repo.path().join(".git/hooks/pre-push").exists());
    assert!(linked.path().join("deploy.toml").exists() && !repo.path().join("deploy.toml").exists());
    linked.deploy("deploy-init", &["--remove"]).stdout_contains("removed 'deploy.toml'");
    assert!(!repo.path().join(".git/hooks/pre-push").exists());
}

#[test]
fn a_bare_repository_gets_what_makes_sense_there() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    bare.deploy("deploy-init", &[]).stderr_contains("run 'git deploy-init' in a clone");
    assert!(bare.path().join("hooks/pre-push").exists() && !bare.path().join("hooks/post-merge").exists());
    assert!(!bare.path().join("deploy.toml").exists());
}

#[test]
fn states_of_the_remote_are_fetched_apart_from_ours() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.deploy("deploy-init", &[]);
    // As long as the remote has none this must not fail.
    repo.git(&["fetch"]);
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: staged"]);
    repo.git(&["push", "--quiet", "--no-verify", "origin", "refs/notes/deploy"]);
    let other = bare.clone_to("other");
    other.deploy("deploy-init", &[]);
    other.git(&["fetch"]);
    assert!(other.tip("refs/notes/deploy-remote/origin/deploy").is_some());
    assert!(other.tip("refs/notes/deploy").is_none());
    let values = other.git(&["config", "--get-all", "remote.origin.fetch"]);
    assert_eq!(values.lines().len(), 2);
}

#[test]
fn quiet_says_nothing_but_warnings_and_errors() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &["-q"]).is_silent();
    repo.deploy("deploy-init", &["-q"]).is_silent();
    repo.deploy("deploy-init", &["-q", "--remove"]).is_silent();

    write_hook(&repo, ".git/hooks/pre-push", "#!/bin/sh\necho mine\n");
    let output = repo.try_deploy("deploy-init", &["-q"]);
    if sandbox.runs_configured_hooks() {
        output.success().is_silent();
        return;
    }
    output
        .code_is(1)
        .stdout_is("")
        .stderr_contains("warning: hook '.git/hooks/pre-push' was left as it is")
        .stderr_contains(
            "warning: put this line behind the first one of '.git/hooks/pre-push': if command -v",
        )
        .lacks("hint: ");
}

#[test]
fn who_sets_a_clone_up_is_told_how_to_get_the_states() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]).lacks("deploy-sync");
    repo.add_remote("origin", &bare);
    repo.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    let clone = bare.clone_to("clone");
    clone.deploy("deploy-init", &[]).stderr_contains(
        "hint: bring the states and deployments that others have published: git deploy-sync",
    );
}

#[test]
fn hostile_names_are_harmless() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop \u{1b}[31m'$(touch pwned)");
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/$(touch${IFS}pwned);'é"]);
    let output = repo.deploy("deploy-init", &[]);
    output.lacks("\u{1b}").stdout_contains("$(touch${IFS}pwned);'é");
    repo.deploy("deploy-init", &[]).stdout_is("nothing to do: this repository is set up\n");
    repo.deploy("deploy-init", &["--remove"]);
    assert!(!repo.path().join("pwned").exists() && !repo.path().join("deploy.toml").exists());
}

#[test]
fn outside_of_a_repository_there_is_nothing_to_set_up() {
    let sandbox = sandbox!();
    let output = sandbox.command("git").arg("deploy-init").output();
    output.code_is(128).stderr_contains("fatal: not a git repository").stderr_contains("hint: ");
    assert!(!sandbox.root().join("deploy.toml").exists());
}

#[test]
fn where_the_configuration_is_locked_nothing_is_begun() {
    let repo = sandbox!().repository("shop");
    repo.commit("a", "a\n", "Begin");
    let fresh = files(repo.path());
    let lock = repo.git_path("config.lock");
    let is_locked = |arguments: &[&str], before| {
        fs::write(&lock, "").unwrap();
        repo.try_deploy("deploy-init", arguments)
            .code_is(75)
            .stderr_contains(&format!(
                "cannot lock the configuration: '{}' has been there for",
                lock.display()
            ))
            .stderr_contains("hint: ");
        fs::remove_file(&lock).unwrap();
        assert_eq!(files(repo.path()), before);
    };
    is_locked(&[], fresh);
    repo.deploy("deploy-init", &[]);
    is_locked(&["--remove"], files(repo.path()));
    repo.deploy("deploy-init", &["--remove"]);
}
