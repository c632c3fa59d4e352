//! Who may approve: `[approve]` in base's `deploy.toml`, and decisions that are signed.

mod attacks;
mod signing;

use git_deploy_testkit::keys::{APPROVE, Key};
use git_deploy_testkit::{Output, Repo, Sandbox, scene};

/// A repository whose base lets one key approve, which is that of its user.
struct Guarded {
    sandbox: Sandbox,
    repo: Repo,
    ada: Key,
}

impl Guarded {
    fn new(sandbox: Sandbox) -> Self {
        let ada = Key::new(&sandbox, "ada");
        let repo = sandbox.repository("shop");
        ada.signs_in(&repo);
        guard(&repo, &ada.line("ada@example.org", ""));
        Self { sandbox, repo, ada }
    }

    fn branch(&self, name: &str) -> String {
        scene::branch(&self.repo, name, &format!("{name}.txt"), "one\ntwo\n")
    }

    fn approved(&self, name: &str) -> String {
        let id = self.branch(name);
        self.set(&["deployable", name]).success();
        id
    }

    fn set(&self, arguments: &[&str]) -> Output {
        self.repo.try_deploy("deploy-state", &[&["set"], arguments].concat())
    }

    /// The branch would be deployed next.
    #[track_caller]
    fn is_next(&self, name: &str) {
        is_next(&self.repo, name);
    }
}

/// Commits a list of who may approve to master.
fn guard(repo: &Repo, list: &str) {
    repo.commit_files(&[("deploy.toml", APPROVE), ("approvers", list)], "Say who may approve");
}

/// The branch would be deployed next.
#[track_caller]
fn is_next(repo: &Repo, name: &str) {
    let queue = repo.deploy("deploy-queue", &["--porcelain"]);
    queue.stdout_contains(&format!("refs/heads/{name} ")).stdout_contains(" next\n");
    let next = queue.lines().into_iter().find(|line| line.ends_with(" next")).unwrap_or_default().to_owned();
    assert!(next.contains(&format!(" refs/heads/{name} ")), "{queue}");
    repo.deploy("deploy-state", &["get", name]).stdout_is("deployable\n").lacks("not approved");
}

/// The branch waits, for a reason with these words, and nobody behind it does for that.
#[track_caller]
fn waits(repo: &Repo, name: &str, why: &str) {
    let queue = repo.deploy("deploy-queue", &["--porcelain"]);
    let line = queue.lines().into_iter().find(|line| line.contains(&format!(" refs/heads/{name} ")));
    assert!(line.unwrap_or_default().ends_with(" held"), "{queue}");
    repo.deploy("deploy-queue", &[]).stdout_contains(why);
    repo.deploy("deploy-queue", &["--json"]).stdout_contains("\"waits\":{\"approval\":\"");
    repo.deploy("deploy-state", &["get", "--json", name]).stdout_contains("\"unapproved\":\"");
    repo.deploy("deploy-state", &["get", name])
        .stdout_is("deployable\n")
        .stderr_contains(&format!("note: '{name}' is not approved, and waits: "))
        .stderr_contains(why);
}

/// Writes a note as somebody with an editor would.
fn write_note(repo: &Repo, commit: &str, text: &str) {
    let call = repo.command("git").args(["notes", "--ref=deploy", "add", "-f", "-F", "-", commit]);
    call.stdin(text).output().success();
}

fn note(repo: &Repo, commit: &str) -> String {
    repo.notes().get(commit).cloned().unwrap_or_default()
}

/// The value of a key in the note on a commit.
fn value(repo: &Repo, commit: &str, key: &str) -> String {
    let note = note(repo, commit);
    let line = note.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
    line.unwrap_or_default().to_owned()
}
