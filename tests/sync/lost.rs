//! A clone that has lost what a note says, as after a loss of power.

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::{Repo, Sandbox, sandbox};

/// A clone of a remote, with a branch that is deployable; the remote has it or not.
fn clone(sandbox: &Sandbox, is_published: bool) -> [Repo; 2] {
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("clone");
    repo.add_remote("origin", &bare);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    repo.branch("other");
    repo.commit("c", "c\n", "Do something else");
    repo.git(&["push", "--quiet", "origin", "other"]);
    repo.deploy("deploy-state", &["set", "staged", "other"]);
    repo.switch("master");
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    if is_published {
        repo.git(&["push", "--quiet", "origin", "login"]);
    }
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    [bare, repo]
}

/// Loses what the note on `login` says.
fn lose(repo: &Repo) -> String {
    let blob = repo.git(&["notes", "--ref=deploy", "list", "login"]).line().to_owned();
    let file = repo.git_path(&format!("objects/{}/{}", &blob[..2], &blob[2..]));
    std::fs::remove_file(file).expect("it is a loose object");
    blob
}

/// Does what a hint says.
fn follow(repo: &Repo, stderr: &str, what: &str) {
    let hint = stderr.lines().find_map(|line| line.strip_prefix("hint: ")?.split_once(what));
    let (_, command) = hint.unwrap_or_else(|| panic!("no hint '{what}': {stderr}"));
    let command = command.split("; if it was not").next().unwrap_or(command).replace("<remote>", "origin");
    repo.command("sh").args(["-c", &command]).output().success();
}

#[test]
fn a_note_that_is_lost_comes_back_from_the_remote_as_is_said() {
    let [_, repo] = clone(&sandbox!(), true);
    lose(&repo);
    let get = repo.deploy("deploy-state", &["get", "login"]);
    get.stdout_is("development\n").stderr_contains("is missing\n");
    follow(&repo, &get.stderr, "get it back from where it was published with: ");
    state_is(&repo, "login", "deployable");
    repo.fsck();
}

#[test]
fn where_it_was_never_published_the_states_are_without_it_as_is_said() {
    for is_last in [true, false] {
        let [bare, repo] = clone(&sandbox!(), false);
        let blob = lose(&repo);
        if !is_last {
            repo.git(&["notes", "--ref=deploy", "remove", "login"]);
            repo.deploy("deploy-state", &["set", "staged", "login"]);
        }
        repo.git(&["push", "--quiet", "origin", "login"]);
        let sync = repo.try_deploy("deploy-sync", &[]);
        sync.code_is(128).stderr_contains(&format!(
            "cannot publish 'refs/notes/deploy': object '{blob}' in its history is lost\n"
        ));
        if is_last {
            follow(&repo, &sync.stderr, "take the note away with: ");
        }
        follow(&repo, &sync.stderr, "out the history that leads there: ");
        state_is(&repo, "login", if is_last { "development" } else { "staged" });
        repo.deploy("deploy-state", &["set", "deployable", "login"]);
        assert_eq!(repo.id("refs/notes/deploy"), bare.id("refs/notes/deploy"));
        state_is(&repo, "other", "staged");
    }
}
