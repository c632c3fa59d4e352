//! Notes that git copies onto commits that nobody has decided about (`notes.rewriteRef`).

use git_deploy_testkit::{Repo, sandbox};

use crate::{branch, set, shop, state_is};

/// A branch that was approved, and then amended where git copies all notes. The commit that was approved.
fn amended() -> (Repo, String) {
    let repo = shop(&sandbox!());
    let approved = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["deployable", "--priority=3", "login"]).success();
    repo.set_config("notes.rewriteRef", "refs/notes/*");
    repo.switch("login");
    repo.write("b.txt", "unapproved\n");
    repo.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    assert!(repo.notes().contains_key(&repo.id("login")));
    (repo, approved)
}

#[test]
fn an_approval_that_git_has_copied_to_another_commit_approves_nothing_and_is_told() {
    let (repo, approved) = amended();
    let told = format!("it was made for commit '{approved}', and copied here");
    let get = repo.deploy("deploy-state", &["get", "login"]);
    get.stdout_is("development\n")
        .stderr_contains(&told)
        .stderr_contains("it came by 'git notes copy', or by 'notes.rewriteRef'");
    repo.deploy("deploy-state", &["list", "--porcelain"])
        .stdout_contains("development ")
        .stderr_contains(&format!("'login' counts as in development: note on commit '{}'", repo.id("login")))
        .stderr_contains(&told);
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_is("").stderr_contains(&told);
    // Nor does it go on from there.
    repo.git(&["commit", "--quiet", "--amend", "--message=Again"]);
    state_is(&repo, "login", "development");
    repo.git(&["reset", "--quiet", "--hard", &approved]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn who_decides_about_such_a_commit_decides_anew() {
    let (repo, approved) = amended();
    set(&repo, &["deployable", "login"]).success().stderr_contains("Set login: development -> deployable");
    state_is(&repo, "login", "deployable");
    let (new, notes) = (repo.id("login"), repo.notes());
    assert!(notes[&new].contains(&format!("\napproved: {new}\n")), "{}", notes[&new]);
    assert!(!notes[&new].contains("priority"), "{}", notes[&new]);
    assert!(notes[&approved].contains("\npriority: 3\n"));
}

#[test]
fn a_withdrawal_of_such_a_commit_is_written() {
    let (repo, _) = amended();
    set(&repo, &["development", "login"]).success();
    assert!(repo.notes()[&repo.id("login")].starts_with("state: development\n"));
    repo.deploy("deploy-state", &["get", "login"]).stdout_is("development\n").stderr_is("");
}

#[test]
fn what_was_decided_after_a_rebase_counts_on_the_commit_that_was_rebased() {
    let repo = shop(&sandbox!());
    let old = branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    repo.commit("c.txt", "c\n", "Go on");
    repo.deploy("deploy-rebase", &[]);
    set(&repo, &["deployable", "login"]).success();
    assert!(repo.notes()[&old].contains(&format!("\napproved: {}\n", repo.id("login"))));
    repo.git(&["branch", "--force", "login", &old]);
    state_is(&repo, "login", "deployable");
}

#[test]
fn what_was_rebased_is_decided_by_hand_on_its_own_commit_and_nowhere_else() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    repo.commit("c.txt", "c\n", "Go on");
    repo.deploy("deploy-rebase", &[]);
    let tip = repo.id("login");
    let text = repo.notes().remove(&tip).unwrap();
    let named = format!("rebased-to: {tip}\n");
    assert!(text.contains(&named), "{text}");
    let by_hand = text.replace("state: staged", "state: deployable");
    for text in [&by_hand, &by_hand.replace(&named, "")] {
        repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", text, &tip]);
        repo.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n").stderr_is("");
    }
    repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", &by_hand, &tip]);
    repo.switch("login");
    let other = repo.commit("d.txt", "d\n", "Unapproved");
    repo.git(&["notes", "--ref=deploy", "copy", &tip, &other]);
    let told = format!("it was made for commit '{tip}', and copied here");
    repo.deploy("deploy-state", &["get", "login"]).stdout_is("development\n").stderr_contains(&told);
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
    set(&repo, &["staged", "login"]).success().stderr_contains("Set login: development -> staged");
    state_is(&repo, "login", "staged");
}
