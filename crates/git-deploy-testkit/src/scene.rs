//! What the scenarios of several commands begin and end with.

use crate::Repo;

/// Makes a branch off master with one commit, and goes back. The commit's id.
pub fn branch(repo: &Repo, name: &str, path: &str, text: &str) -> String {
    repo.git(&["checkout", "--quiet", "-b", name, "master"]);
    let commit = repo.commit(path, text, "Change something");
    repo.switch("master");
    commit
}

/// A branch is in that state, as `git deploy-state get` has it.
#[track_caller]
pub fn state_is(repo: &Repo, branch: &str, state: &str) {
    repo.deploy("deploy-state", &["get", branch]).stdout_is(&format!("{state}\n"));
}

/// Nine lines, each the word and its number: enough for changes that do not touch each other.
#[must_use]
pub fn lines(word: &str) -> String {
    (1..10).map(|number| format!("{word}{number}\n")).collect()
}
