//! `git deploy-state get`, `set` and `list`, in repositories of all kinds.

mod deciding;
mod history;
mod showing;
mod surroundings;

use git_deploy_testkit::{Output, Repo, Sandbox};

/// A repository with one commit on master.
fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    repo
}

/// Makes a branch off master with one commit, and goes back. The commit's id.
fn branch(repo: &Repo, name: &str, path: &str, text: &str) -> String {
    repo.git(&["checkout", "--quiet", "-b", name, "master"]);
    let commit = repo.commit(path, text, "Change something");
    repo.switch("master");
    commit
}

/// A branch that conflicts with master.
fn conflicting(repo: &Repo, name: &str) {
    branch(repo, name, "a.txt", "theirs\n");
    repo.commit("a.txt", "ours\n", "Change the same line");
}

#[track_caller]
fn state_is(repo: &Repo, branch: &str, state: &str) {
    repo.deploy("deploy-state", &["get", branch]).stdout_is(&format!("{state}\n"));
}

fn set(repo: &Repo, arguments: &[&str]) -> Output {
    repo.try_deploy("deploy-state", &[&["set"], arguments].concat())
}
