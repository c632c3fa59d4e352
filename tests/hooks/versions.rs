//! Refused pushes where a rebase would lose what somebody has rewritten, or made in a merge.

use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::{clone, shop};

const OLD: &str = "if x:\n    a()\nb()\n";
const NEW: &str = "if x:\n    a()\n    b()\n";

/// A remote with a branch that is deployable, whose author is Ada, and Bob's clone of it, with that branch.
fn team(sandbox: &Sandbox) -> (Repo, Repo, Repo) {
    let (bare, ada) = shop(sandbox);
    ada.commit("p", "if x:\n    a()\n", "Ask");
    ada.git(&["push", "--quiet", "origin", "master"]);
    ada.branch("login");
    ada.commit("p", OLD, "Log in");
    ada.git(&["push", "--quiet", "origin", "login"]);
    ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let bob = clone(&bare, "bob");
    bob.deploy("deploy-sync", &["--quiet"]);
    bob.git(&["switch", "--quiet", "login"]);
    (bare, ada, bob)
}

/// The commands of all hints but that to decide anew.
fn hinted(told: &str) -> Vec<String> {
    let hints = told.lines().filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "));
    hints.map(|(_, command)| command.to_owned()).collect()
}

#[test]
fn what_was_rewritten_from_the_commit_of_somebody_else_is_looked_at_and_not_rebased_upon_that() {
    let sandbox = sandbox!();
    let (bare, ada, bob) = team(&sandbox);
    bob.write("p", NEW);
    bob.git(&["commit", "--quiet", "--all", "--amend", "--message", "b only if x"]);
    let look = "git range-diff --no-notes origin/login...login".to_owned();
    let push = |there: &str| format!("git push --force-with-lease=login:{there} origin login");
    let refused = bob.try_git(&["push", "origin", "login"]);
    let over = push(&bare.id("login"));
    assert_eq!(hinted(&refused.code_is(1).stderr)[..2], [look.clone(), over.clone()]);
    for shown in ["get", "list"] {
        let told = bob.deploy("deploy-state", &[shown]).stderr;
        assert_eq!(hinted(&told), [look.clone(), over.clone()], "{told}");
    }
    // Base went on, and the branch with it.
    ada.switch("master");
    ada.commit("other", "x\n", "Meanwhile");
    ada.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    bob.git(&["fetch", "--quiet"]);
    bob.git(&["rebase", "--quiet", "origin/master"]);
    let told = bob.try_git(&["push", "origin", "login"]).code_is(1).stderr.clone();
    assert_eq!(hinted(&told)[..2], [look.clone(), over.clone()]);
    // What came there meanwhile nobody here has made anything of.
    ada.switch("login");
    ada.commit("q", "q\n", "Go on");
    ada.git(&["push", "--quiet", "origin", "login"]);
    bob.git(&["fetch", "--quiet"]);
    let told = bob.try_git(&["push", "origin", "login"]).code_is(1).stderr.clone();
    assert!(!told.contains("--force-with-lease") && !told.contains("git rebase"), "{told}");
    ada.git(&["push", "--quiet", "--force", "origin", "login~1:login"]);
    bob.git(&["fetch", "--quiet"]);
    for command in [&look, &over] {
        bob.command("sh").args(["-c", command]).output().success();
    }
    assert_eq!(bare.git(&["show", "login:p"]).stdout, NEW);
}

#[test]
fn what_stands_on_a_newer_base_comes_upon_what_is_there_without_copies_of_that() {
    let sandbox = sandbox!();
    let (bare, ada, bob) = team(&sandbox);
    ada.switch("master");
    ada.commit("other", "x\n", "Meanwhile");
    ada.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    bob.git(&["fetch", "--quiet"]);
    bob.git(&["switch", "--quiet", "master"]);
    bob.git(&["branch", "--quiet", "-D", "login"]);
    bob.git(&["switch", "--quiet", "--no-track", "-c", "login", "origin/master"]);
    bob.commit("q", "q\n", "Log in otherwise");
    let told = bob.try_git(&["push", "origin", "login"]).code_is(1).stderr.clone();
    let onto = "git rebase --reapply-cherry-picks --onto origin/login origin/master login";
    assert!(told.contains(&format!("instead of 'git pull', as nothing rebases a merge: {onto}\n")), "{told}");
    bob.command("sh").args(["-c", onto]).output().success();
    let own = bob.git(&["log", "--format=%s", "origin/login..login"]).stdout;
    assert_eq!(own, "Log in otherwise\n");
    bob.git(&["push", "--quiet", "origin", "login"]);
    assert_eq!(bare.id("login"), bob.id("login"));
}

#[test]
fn what_differs_from_base_in_white_space_alone_is_kept_by_the_rebase_that_is_said() {
    let sandbox = sandbox!();
    let (_, ada, _) = team(&sandbox);
    ada.git(&["switch", "--quiet", "-c", "ws", "master"]);
    ada.commit("p", NEW, "b only if x");
    ada.commit("a", "ours\n", "Ours");
    ada.deploy("deploy-state", &["set", "staged", "ws"]);
    ada.switch("master");
    ada.commit("p", OLD, "b always");
    ada.commit("a", "theirs\n", "Theirs");
    ada.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    let swept = ada.try_deploy("deploy-rebase", &[]);
    let mend = "git rebase --reapply-cherry-picks origin/master ws";
    swept.code_is(1).stderr_contains(&format!("hint: mend 'ws' with: {mend}\n"));
    let stopped = ada.command("sh").args(["-c", mend]).output();
    // It comes to what conflicts, and leaves nothing out.
    stopped.code_is(1).stderr_contains("b only if x");
}

#[test]
fn a_merge_that_changes_something_itself_is_shown_and_not_rebased_away() {
    let sandbox = sandbox!();
    let (_, ada, _) = team(&sandbox);
    ada.switch("master");
    ada.commit("other", "x\n", "Meanwhile");
    ada.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    ada.switch("login");
    ada.git(&["merge", "--quiet", "--no-commit", "--no-ff", "master"]);
    ada.write("other", "adapted\n");
    ada.git(&["commit", "--quiet", "--all", "--message", "Merge and adapt"]);
    let merge = ada.id("login")[..10].to_owned();
    let look = format!("git show --remerge-diff {merge}");
    ada.git(&["push", "--quiet", "origin", "login"]).stderr_contains(&look).lacks("git rebase");
    ada.try_deploy("deploy-state", &["set", "deployable", "login"])
        .code_is(1)
        .stderr_contains(&format!("it contains merge commit '{merge}', which changes something itself"))
        .stderr_contains(&format!("hint: look at that, as a rebase leaves it out: {look}\n"))
        .lacks("git rebase");
    ada.command("sh").args(["-c", &look]).output().success().stdout_contains("+adapted");
    ada.deploy("deploy-state", &["list"]).lacks("git rebase");
}

#[test]
fn what_is_staged_for_a_commit_outlives_that_a_merge_is_taken_back_as_is_said() {
    let sandbox = sandbox!();
    let (_, ada, _) = team(&sandbox);
    ada.switch("master");
    let told = ada.git(&["merge", "--quiet", "--no-ff", "--no-edit", "login"]).stderr;
    ada.write("new", "new\n");
    ada.write("a", "staged\n");
    ada.git(&["add", "new", "a"]);
    let back = told.lines().find_map(|line| line.strip_prefix("hint: to have that deployed instead: "));
    let before = ada.id("master~1");
    ada.command("sh").args(["-c", back.unwrap()]).output().success();
    assert_eq!(ada.id("master"), before);
    assert_eq!(std::fs::read_to_string(ada.path().join("new")).unwrap(), "new\n");
    assert_eq!(std::fs::read_to_string(ada.path().join("a")).unwrap(), "staged\n");
}

#[test]
fn who_pulls_a_merge_that_the_remote_has_is_told_how_the_branch_is_linear_there_and_in_no_circle() {
    // Of one branch alone, which leaves base as it was fetched before.
    for of_one in [&[][..], &["origin", "login"]] {
        pulls_a_merge(of_one);
    }
}

fn pulls_a_merge(of: &[&str]) {
    let sandbox = sandbox!();
    let (bare, ada, bob) = team(&sandbox);
    ada.switch("master");
    ada.commit("q", "q\n", "Go on");
    ada.git(&["push", "--quiet", "origin", "master"]);
    ada.deploy("deploy-state", &["set", "deployable", "--priority=5", "login"]);
    // As by a button of a forge.
    bob.git(&["fetch", "--quiet"]);
    bob.git(&["merge", "--quiet", "--no-edit", "origin/master"]);
    bob.git(&["switch", "--quiet", "--detach", "origin/master"]);
    bob.commit("r", "r\n", "Go further");
    bob.git(&["push", "--quiet", "origin", "HEAD:master"]);
    bob.switch("login");
    bob.git(&["merge", "--quiet", "--no-edit", "origin/master"]);
    bob.git(&["push", "--quiet", "origin", "login"]);
    ada.switch("login");
    ada.git(&["branch", "--quiet", "--set-upstream-to=origin/login"]);
    let told = ada.git(&[&["pull", "--quiet", "--ff-only"], of].concat());
    told.stderr_contains("hint: as nothing rebases a merge: git fetch origin && git rebase ")
        .lacks("git reset");
    for command in hinted(&told.stderr) {
        ada.command("sh").args(["-c", &command]).output().success();
    }
    assert_eq!(bare.git(&["rev-list", "--count", "--merges", "login"]).line(), "0");
    assert_eq!(bare.git(&["rev-list", "--count", "master..login"]).line(), "1");
    bare.git(&["merge-base", "--is-ancestor", "master", "login"]);
    ada.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&bare.id("login"));
    assert!(bare.notes()[&bare.id("login")].contains("\npriority: 5\n"));
}
