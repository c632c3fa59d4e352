//! `git commit --amend`.

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::{Output, Repo, sandbox};

use crate::{is_carried, is_left, lines, login, master_moves, shop};

fn amend(repo: &Repo, arguments: &[&str]) -> Output {
    let output = repo.try_git(&[&["commit", "--quiet", "--amend"], arguments].concat());
    output.success();
    output
}

#[test]
fn an_amend_that_changes_nothing_keeps_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let output = amend(&repo, &["--no-edit"]);
    is_carried(&repo, &old, &output);
    let log = repo.git(&["log", "-1", "--format=%s", "refs/notes/deploy"]);
    log.stdout_is("carry login over 'git commit --amend'\n");
}

#[test]
fn an_amend_of_the_date_keeps_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let output = amend(&repo, &["--no-edit", "--date=2001-02-03T04:05:06Z"]);
    is_carried(&repo, &old, &output);
}

#[test]
fn an_amend_of_the_message_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let output = amend(&repo, &["--message", "Second, in other words"]);
    let new = repo.id("login");
    is_left(&repo, &old, &output, &format!("commit '{}' has another message", &new[..10]));
}

#[test]
fn what_the_remote_has_still_is_said_with_what_was_left() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    repo.add_remote("origin", &sandbox.bare("origin.git"));
    repo.git(&["push", "--quiet", "origin", "master"]);
    login(&repo);
    repo.git(&["push", "--quiet", "origin", "login"]);
    let replace = format!("git push --force-with-lease=login:{} origin login", repo.id("login"));
    amend(&repo, &["--message", "Second, in other words"])
        .stderr_contains(" has another message; on 'origin' it is as it was, and deployable\n")
        .stderr_contains(&format!("hint: to replace it there: {replace}\n"));
    repo.deploy("deploy-queue", &[]).stdout_contains("login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    // Nobody has pushed that.
    amend(&repo, &["--message", "Third words"]).stderr_contains("is in development now").lacks("on 'origin'");
}

#[test]
fn what_a_shallow_clone_cannot_judge_is_said_to_be_that() {
    let sandbox = sandbox!();
    let (origin, repo) = (sandbox.bare("origin.git"), shop(&sandbox));
    repo.add_remote("origin", &origin);
    repo.git(&["push", "--quiet", "origin", "master"]);
    login(&repo);
    master_moves(&repo, "c.txt", "c\n");
    repo.git(&["push", "--quiet", "origin", "master", "login"]);
    let url = format!("file://{}", origin.path().display());
    sandbox.run("git", &["clone", "--quiet", "--depth=1", "--no-single-branch", &url, "shallow"]);
    let shallow = sandbox.open("shallow");
    shallow.deploy("deploy-init", &[]);
    shallow.deploy("deploy-sync", &[]);
    shallow.switch("login");
    amend(&shallow, &["--no-edit", "--date=2001-02-03T04:05:06Z"])
        .stderr_contains("it was deployable, and it could not be rebased: this is a shallow clone")
        .stderr_contains("hint: get the whole history with: git fetch --unshallow\n");
}

#[test]
fn an_amend_of_the_content_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.write("b.txt", lines("c"));
    let output = amend(&repo, &["--all", "--no-edit"]);
    let new = repo.id("login");
    is_left(&repo, &old, &output, &format!("commit '{}' has another content", &new[..10]));
}

#[test]
fn an_amend_of_whitespace_alone_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.write("b.txt", repo.read("b.txt").replace("b1", "    b1"));
    let output = amend(&repo, &["--all", "--no-edit"]);
    is_left(&repo, &old, &output, &format!("commit '{}' has another content", &repo.id("login")[..10]));
}

#[test]
fn an_amend_of_a_files_mode_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.git(&["update-index", "--chmod=+x", "b.txt"]);
    let output = amend(&repo, &["--no-edit"]);
    is_left(&repo, &old, &output, &format!("commit '{}' has another content", &repo.id("login")[..10]));
}

#[test]
fn an_amend_of_the_author_leaves_the_state() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    let output = amend(&repo, &["--no-edit", "--author=Bob <bob@example.org>"]);
    is_left(&repo, &old, &output, &format!("commit '{}' has another author", &repo.id("login")[..10]));
}

#[test]
fn an_amend_that_signs_keeps_the_state_and_so_does_one_that_takes_the_signature_away() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    let old = login(&repo);
    // What stands in a signature is not asked here: a program that signs whatever it is given.
    let signer = sandbox.add_program(
        "signs",
        "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho -----BEGIN\necho x\necho -----END\n",
    );
    repo.set_config("gpg.program", signer.to_str().unwrap());
    let output = amend(&repo, &["--no-edit", "--gpg-sign=somebody"]);
    assert!(repo.git(&["cat-file", "commit", "HEAD"]).stdout.contains("\ngpgsig"));
    is_carried(&repo, &old, &output);
    repo.git(&["reset", "--quiet", "--hard", &old]);
    amend(&repo, &["--no-edit", "--gpg-sign=somebody"]);
    amend(&repo, &["--no-edit", "--no-gpg-sign"]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn an_encoding_is_part_of_the_message() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.set_config("i18n.commitEncoding", "ISO-8859-1");
    let output = amend(&repo, &["--no-edit"]);
    is_left(&repo, &old, &output, "commit '");
}

#[test]
fn an_amend_of_what_was_deployed_is_not_deployed() {
    let repo = shop(&sandbox!());
    login(&repo);
    let text = "state: deployed\nref: refs/heads/login\n";
    repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", text, "login"]);
    repo.git(&["branch", "--quiet", "--force", "master", "login"]);
    amend(&repo, &["--no-edit"])
        .stderr_is("note: 'login' is in development now: it was deployed, and what it has now was not\n");
    assert_eq!(repo.notes().len(), 1);
    state_is(&repo, "login", "development");
}

#[test]
fn an_amend_after_a_new_commit_says_nothing() {
    let repo = shop(&sandbox!());
    login(&repo);
    repo.commit("c.txt", "c\n", "Third");
    let output = amend(&repo, &["--message", "Third, in other words"]);
    output.is_silent();
}

#[test]
fn what_is_amended_beside_all_branches_is_nobodys() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.git(&["checkout", "--quiet", "--detach"]);
    amend(&repo, &["--message", "Something else"]).is_silent();
    assert_eq!(repo.id("login"), old);
    state_is(&repo, "login", "deployable");
}

#[test]
fn amending_a_second_branch_on_the_same_commit_takes_nothing_along() {
    let repo = shop(&sandbox!());
    let old = login(&repo);
    repo.branch("other");
    amend(&repo, &["--no-edit"]).is_silent();
    assert!(repo.notes().keys().eq([&old]));
    state_is(&repo, "other", "development");
}

#[test]
fn amending_base_carries_nothing() {
    let repo = shop(&sandbox!());
    repo.git(&[
        "notes",
        "--ref=deploy",
        "add",
        "--message",
        "state: staged\nref: refs/heads/master",
        "master",
    ]);
    amend(&repo, &["--no-edit"]).is_silent();
    assert_eq!(repo.notes().len(), 1);
}
