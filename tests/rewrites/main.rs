//! What becomes of a branch's state when git rewrites its commits.
//!
//! The state is carried exactly where the new commits are what our own rebase would make of the old ones: as many, in the
//! same order, with the same authors and messages, each with the tree that a replay gives. Everything else is new, and
//! nobody has approved it. The manual of git-deploy-state has these scenarios as a table.

mod amend;
mod interactive;
mod other_ways;
mod rebase;
mod surroundings;

use git_deploy_testkit::scene::{lines, state_is};
use git_deploy_testkit::{Output, Repo, Sandbox};

/// A repository with files of several lines on master, and our hooks.
fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    fill(&repo);
    repo
}

fn fill(repo: &Repo) {
    repo.commit_files(&[("a.txt", &lines("a")), ("b.txt", &lines("b"))], "Begin");
    repo.deploy("deploy-init", &[]);
}

/// The branch `login`, checked out and deployable, with two commits that do not touch each other's lines. Its last commit.
fn login(repo: &Repo) -> String {
    repo.git(&["checkout", "--quiet", "-b", "login", "master"]);
    repo.commit("a.txt", &lines("a").replace("a2", "two"), "First");
    repo.commit("b.txt", &lines("b").replace("b8", "eight"), "Second");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.id("login")
}

/// One more commit on master, behind the back of whoever works on a branch.
fn master_moves(repo: &Repo, path: &str, text: &str) {
    repo.switch("master");
    repo.commit(path, text, "Meanwhile");
    repo.switch("login");
}

/// `git rebase` with options, and with a script for sed in the place of the user who edits the list of what to do.
fn rebase(repo: &Repo, script: &str, arguments: &[&str]) -> Output {
    let editor = format!("sed -i -e '{script}'");
    let output =
        repo.command("git").args(["rebase", "--quiet"]).args(arguments).env("GIT_SEQUENCE_EDITOR", editor);
    output.output()
}

/// `git rebase --interactive master`.
fn interactive(repo: &Repo, script: &str) -> Output {
    rebase(repo, script, &["--interactive", "master"])
}

/// The lines of the note on a commit that begin with a key.
fn values(repo: &Repo, commit: &str, key: &str) -> Vec<String> {
    let note = repo.notes().remove(commit).unwrap_or_default();
    let values = note.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values.map(str::to_owned).collect()
}

/// `login` stands on another commit, and the decision that was made on the old one holds there; nothing was said.
#[track_caller]
fn is_carried(repo: &Repo, old: &str, output: &Output) {
    let new = repo.id("login");
    assert_ne!(new, old, "{output}");
    assert!(!output.stderr.contains("note: ") && !output.stderr.contains("warning: "), "{output}");
    state_is(repo, "login", "deployable");
    for (key, value) in [("ref", "refs/heads/login"), ("rev", "1"), ("root", old), ("approved", old)] {
        assert_eq!(values(repo, &new, key), [value], "{key}");
    }
    assert_eq!(values(repo, &new, "rebased-from"), [old]);
    assert_eq!(values(repo, &new, "onto"), [repo.git(&["merge-base", "master", "login"]).line()]);
}

/// Why a branch is left that git by itself would not have got past this commit.
fn resolved(commit: &str, path: &str) -> String {
    format!(
        "its rebase was not one that git does by itself, but resolved by hand, with options, or without a commit that base has \
         but for white space: commit '{}' does not apply: conflict in '{path}'",
        &commit[..10]
    )
}

/// `login` stands on another commit, which nobody has approved, and the user is told so and why.
#[track_caller]
fn is_left(repo: &Repo, old: &str, output: &Output, why: &str) {
    assert_ne!(repo.id("login"), old, "{output}");
    state_is(repo, "login", "development");
    let told = format!("note: 'login' is in development now: it was deployable, and {why}");
    output
        .success()
        .stderr_contains(&told)
        .stderr_contains("hint: if it is ready as it is now: git deploy-state set deployable login\n");
    assert_eq!(output.stderr.matches("note: ").count(), 1, "{output}");
    // What was approved is approved for ever, wherever the branch goes.
    repo.git(&["branch", "--quiet", "--force", "kept", "login"]);
    repo.git(&["reset", "--quiet", "--hard", old]);
    state_is(repo, "login", "deployable");
    repo.git(&["reset", "--quiet", "--hard", "kept"]);
}
