//! `git deploy-rebase`: which branches move, where to, and what becomes of their states.

mod crash;
mod drivers;
mod explain;
mod full_disk;
mod hooks;
mod kept;
mod landed;
mod mended;
mod remote;
mod undo;
mod verdicts;
mod work_trees;

use git_deploy_testkit::scene::{branch, lines, state_is};
use git_deploy_testkit::{Output, Repo, Sandbox};

/// A repository with files of several lines on master.
fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    fill(&repo);
    repo
}

fn fill(repo: &Repo) {
    repo.commit_files(&[("a.txt", &lines("a")), ("b.txt", &lines("b"))], "Begin");
}

fn set(repo: &Repo, state: &str, branch: &str) {
    repo.deploy("deploy-state", &["set", state, branch]);
}

fn rebase(repo: &Repo, arguments: &[&str]) -> Output {
    repo.try_deploy("deploy-rebase", arguments)
}

/// The lines of the note on a commit that begin with a key.
fn values(repo: &Repo, commit: &str, key: &str) -> Vec<String> {
    let note = repo.notes().remove(commit).unwrap_or_default();
    let values = note.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values.map(str::to_owned).collect()
}

#[track_caller]
fn value(repo: &Repo, commit: &str, key: &str) -> String {
    let values = values(repo, commit, key);
    assert_eq!(values.len(), 1, "{key}: {values:?}");
    values[0].clone()
}

/// How many commits the notes have.
fn notes_commits(repo: &Repo) -> usize {
    repo.git(&["rev-list", "--count", "refs/notes/deploy"]).line().parse().expect("git counts in digits")
}

/// The refs that people look at.
fn visible_refs(repo: &Repo) -> Vec<(String, String)> {
    repo.refs().into_iter().filter(|(name, _)| !name.starts_with("refs/deploy-sweeps/")).collect()
}
