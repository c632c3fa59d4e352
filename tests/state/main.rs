//! `git deploy-state get`, `set` and `list`, in repositories of all kinds.

mod bad_notes;
mod branches;
mod copied;
mod deciding;
mod escapes;
mod full_disk;
mod held;
mod history;
mod locks;
mod places;
mod shared;
mod showing;
mod stale;
mod surroundings;
mod taken_back;
mod unseen;

use git_deploy_testkit::scene::{branch, state_is};
use git_deploy_testkit::{Output, Repo, Sandbox};

/// A repository with one commit on master.
fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    repo
}

/// A branch that conflicts with master.
fn conflicting(repo: &Repo, name: &str) {
    branch(repo, name, "a.txt", "theirs\n");
    repo.commit("a.txt", "ours\n", "Change the same line");
}

fn set(repo: &Repo, arguments: &[&str]) -> Output {
    repo.try_deploy("deploy-state", &[&["set"], arguments].concat())
}
