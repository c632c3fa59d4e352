//! Our hooks in real `git push`, `git merge` and `git pull`.

mod differing;
mod leaving;
mod merging;
mod shared;
mod versions;

use std::fs;

use git_deploy_testkit::{Repo, Sandbox, sandbox};

/// A bare remote, and a clone of it that is set up and has one commit on master.
fn shop(sandbox: &Sandbox) -> (Repo, Repo) {
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    repo.deploy("deploy-init", &[]);
    (bare, repo)
}

fn clone(bare: &Repo, name: &str) -> Repo {
    let clone = bare.clone_to(name);
    clone.deploy("deploy-init", &["--no-hooks"]);
    clone.deploy("deploy-init", &[]);
    clone
}

fn note(repo: &Repo, commit: &str, text: &str) {
    repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", text, commit]);
}

/// The tag of a deployment, as the ledger has it.
fn tag_deployment(repo: &Repo, name: &str, commit: &str, branch: &str) {
    let message = format!(
        "Successfully Deployed\n\nEnvironment: rendered\nCommit: {commit}\nBranch: {branch}\n\
         Started: 2026-11-20T12:00:00Z\nFinished: 2026-11-20T12:01:00Z\nResult: success\n"
    );
    repo.git(&["tag", "--annotate", "--message", &message, name, commit]);
}

#[test]
fn states_are_published_with_the_commits_and_seen_in_another_clone() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: staged\nref: refs/heads/login\nrev: 1");
    repo.git(&["push", "--quiet", "origin", "login"]).is_silent();
    assert_eq!(bare.notes()[&tip], repo.notes()[&tip]);

    let other = clone(&bare, "other");
    other.deploy("deploy-sync", &[]);
    other.deploy("deploy-state", &["get", "login"]).stdout_is("staged\n");
}

#[test]
fn what_others_published_meanwhile_is_merged_not_overwritten() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let other = clone(&bare, "other");
    for (clone, branch) in [(&other, "theirs"), (&repo, "ours"), (&other, "later")] {
        clone.git(&["checkout", "--quiet", "-b", branch, "origin/master"]);
        let tip = clone.commit(branch, "x\n", branch);
        note(clone, &tip, &format!("state: staged\nref: refs/heads/{branch}\nrev: 1"));
    }
    other.git(&["push", "--quiet", "origin", "theirs"]);
    // A fetch without us moves what was fetched, and merges nothing.
    repo.git(&["fetch", "--quiet"]);
    repo.git(&["push", "--quiet", "origin", "ours"]).is_silent();
    // And one who has fetched nothing at all.
    other.git(&["push", "--quiet", "origin", "later"]).is_silent();
    for branch in ["theirs", "ours", "later"] {
        let tip = bare.id(branch);
        assert!(bare.notes()[&tip].contains(&format!("ref: refs/heads/{branch}")), "{branch}");
    }
}

#[test]
fn what_a_plain_fetch_brought_survives_the_next_decision() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let other = clone(&bare, "other");
    for (clone, branch) in [(&other, "theirs"), (&repo, "ours")] {
        clone.branch(branch);
        clone.commit(branch, "x\n", branch);
        clone.git(&["push", "--quiet", "origin", branch]);
    }
    other.deploy("deploy-state", &["set", "staged"]);
    repo.git(&["fetch", "--quiet"]);
    repo.deploy("deploy-state", &["set", "staged"]);
    for branch in ["theirs", "ours"] {
        let tip = bare.id(branch);
        assert!(bare.notes()[&tip].starts_with("state: staged\n"), "{branch}");
    }
}

#[test]
fn states_go_only_to_the_remote_that_counts() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let fork = sandbox.bare("fork.git");
    repo.add_remote("fork", &fork);
    note(&repo, "HEAD", "state: staged");
    repo.git(&["push", "--quiet", "fork", "master"]).is_silent();
    assert!(fork.tip("refs/notes/deploy").is_none() && bare.tip("refs/notes/deploy").is_none());
    repo.set_config("deploy.remote", "fork");
    repo.commit_empty("Go on");
    repo.git(&["push", "--quiet", "fork", "master"]).is_silent();
    assert!(fork.tip("refs/notes/deploy").is_some() && bare.tip("refs/notes/deploy").is_none());
}

#[test]
fn states_that_a_push_names_are_left_to_git() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.set_config("deploy.publish", "false");
    for (refspecs, state) in
        [(&["refs/notes/deploy"][..], "staged"), (&["login", "refs/notes/*:refs/notes/*"], "deployable")]
    {
        repo.deploy("deploy-state", &["set", state, "login"]);
        repo.git(&[&["push", "--quiet", "origin"], refspecs].concat()).is_silent();
        assert_eq!(bare.id("refs/notes/deploy"), repo.id("refs/notes/deploy"));
        repo.deploy("deploy-sync", &[]);
    }
}

#[test]
fn a_push_to_a_place_without_a_name_says_that_states_stay_here() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    note(&repo, "HEAD", "state: staged");
    let place = bare.path().display().to_string();
    let push = |branch: &str| repo.git(&["push", "--quiet", &place, &format!("master:{branch}")]);
    push("one").stderr_is(
        "note: the states of branches were not published: this push does not name 'origin'\n\
         hint: publish them with: git deploy-sync\n",
    );
    repo.git(&["push", "--quiet", &sandbox.bare("other.git").path().display().to_string(), "master"])
        .is_silent();
    repo.deploy("deploy-sync", &[]);
    push("two").is_silent();
    repo.git(&["remote", "remove", "origin"]);
    push("three")
        .stderr_contains("note: the states of branches stay here: no remote is configured")
        .stderr_contains("hint: if that is the one: git remote add origin ");
}

#[test]
fn states_that_cannot_be_published_do_not_stop_a_push() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    bare.install_hook("update", "case $1 in refs/notes/*) echo no notes here; exit 1 ;; esac");
    let tip = repo.commit("a", "b\n", "Go on");
    note(&repo, &tip, "state: staged");
    repo.git(&["push", "--quiet", "origin", "master"])
        .stderr_contains("warning: the states of branches were not published")
        .stderr_contains("git deploy-sync");
    assert_eq!(bare.id("master"), tip);
}

#[test]
fn pushing_a_broken_branch_is_warned_about() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: broken\nref: refs/heads/login\nconflict: deploy/a.yaml");
    repo.git(&["push", "--quiet", "origin", "login"]).stderr_contains(&format!(
        "warning: 'login' is broken: it cannot be rebased on 'origin/master' (deploy/a.yaml conflicts)\n\
         hint: mend it with: git rebase --reapply-cherry-picks origin/master login\n\
         hint: then: git push --force-with-lease=login:{tip} origin login\n",
    ));
    assert_eq!(bare.id("login"), tip);
}

/// Rebases a branch in another clone, as the runner would, and publishes branch and notes.
fn run_elsewhere(bare: &Repo, branch: &str) {
    let runner = clone(bare, "runner");
    runner.deploy("deploy-sync", &[]);
    runner.git(&["checkout", "--quiet", branch]);
    let old = runner.id("HEAD");
    runner.git(&["checkout", "--quiet", "master"]);
    runner.commit("c", "c\n", "Meanwhile");
    runner.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    runner.git(&["rebase", "--quiet", "master", branch]);
    let new = runner.id("HEAD");
    note(
        &runner,
        &new,
        &format!("state: deployable\nref: refs/heads/{branch}\nrev: 1\nroot: {old}\nrebased-from: {old}"),
    );
    runner.git(&["push", "--quiet", "--no-verify", "--force", "origin", branch, "refs/notes/deploy"]);
}

#[test]
fn a_push_behind_the_runners_rebase_names_the_way_to_follow() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: deployable\nref: refs/heads/login\nrev: 1");
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "login"]).is_silent();
    run_elsewhere(&bare, "login");
    repo.commit("b", "more\n", "More");

    // What the remote has is not known here yet.
    repo.try_git(&["push", "origin", "login"])
        .code_is(1)
        .stderr_contains("'login' on 'origin' is not what was last fetched")
        .stderr_contains("git deploy-rebase");
    // It is, and git refuses before it tells the hook of the branch.
    repo.git(&["fetch", "--quiet"]);
    repo.try_git(&["push", "origin", "login"])
        .code_is(1)
        .stderr_contains("'login' on 'origin' was rebased, and yours was not")
        .stderr_contains("git deploy-rebase");
    // With force git does tell it.
    repo.git(&["push", "--force", "origin", "login"]).stderr_contains("'login' on 'origin' was rebased");
}

#[test]
fn a_branch_that_its_developer_has_rebased_too_is_not_said_to_be_behind() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: deployable\nref: refs/heads/login\nrev: 1");
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "login"]);
    run_elsewhere(&bare, "login");
    repo.git(&["fetch", "--quiet"]);
    repo.git(&["rebase", "--quiet", "origin/master"]);
    repo.git(&["commit", "--quiet", "--amend", "--message", "Log in, please"]);
    let lease = format!("--force-with-lease=login:{}", bare.id("login"));
    repo.try_git(&["push", "origin", "login"])
        .code_is(1)
        .stderr_contains("note: 'login' was rewritten here, and differs from that of 'origin'")
        .stderr_contains(&format!("hint: instead of 'git pull': git push {lease} origin login"))
        .lacks("yours was not");
    repo.git(&["push", "--quiet", &lease, "origin", "login"]).lacks("yours was not");
}

#[test]
fn a_push_that_takes_a_branch_out_of_the_queue_says_so() {
    let sandbox = sandbox!();
    let (_, repo) = shop(&sandbox);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    let set = || drop(repo.deploy("deploy-state", &["set", "deployable", "login"]));
    let push = || repo.git(&["push", "--quiet", "origin", "login"]);
    set();
    repo.commit("c", "c\n", "Go on");
    let told = "note: 'login' is in development now: deployable was the commit before this push\n";
    push().stderr_is(&format!("{told}hint: when it is ready again: git deploy-state set deployable login\n"));
    // It has left already.
    repo.commit("d", "d\n", "Go further");
    push().is_silent();
    // A conflict that was resolved by hand: git runs no post-merge then.
    set();
    repo.switch("master");
    repo.commit("d", "other\n", "Conflict");
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    repo.switch("login");
    repo.try_git(&["merge", "--quiet", "master"]).code_is(1);
    repo.git(&["commit", "--quiet", "--all", "--no-edit"]);
    let over = format!("--force-with-lease=login:{}", repo.id("login"));
    push().stderr_is(&format!(
        "{told}hint: look at what your merge itself changes, as a rebase leaves that out: git show --remerge-diff {}\n",
        &repo.id("login")[..10]
    ));
    // What is ready again when it is pushed stays in the queue.
    repo.git(&["rebase", "--quiet", "--strategy-option=theirs", "master"]);
    set();
    repo.git(&["push", "--quiet", &over, "origin", "login"]).is_silent();
    repo.commit("e", "e\n", "Further still");
    set();
    push().is_silent();
}

#[test]
fn a_note_that_was_copied_from_another_commit_counts_for_nothing_in_a_push() {
    let sandbox = sandbox!();
    let (_, repo) = shop(&sandbox);
    repo.branch("login");
    let approved = repo.commit("b", "b\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let push = || repo.git(&["push", "--quiet", "origin", "login"]);
    let next = repo.commit("c", "c\n", "Go on");
    repo.git(&["notes", "--ref=deploy", "copy", &approved, &next]);
    push()
        .stderr_contains("note: 'login' is in development now: deployable was the commit before this push\n");
    let next = repo.commit("d", "d\n", "Go further");
    note(&repo, &next, &format!("state: broken\nref: refs/heads/login\nconflict: a\napproved: {approved}"));
    push().is_silent();
}

#[test]
fn a_broken_branch_is_mended_and_pushed_by_the_commands_that_are_named() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let over = format!("--force-with-lease=login:{}", repo.commit("a", "login\n", "Log in"));
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "login"]);
    repo.switch("master");
    repo.commit("a", "master\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.try_deploy("deploy-state", &["set", "deployable", "login"])
        .code_is(1)
        .stderr_contains(
            "hint: mend it, then set it again: git rebase --reapply-cherry-picks origin/master login\n",
        )
        .stderr_contains(&format!("hint: and push it: git push {over} origin login\n"));
    repo.try_deploy("deploy-rebase", &["login"])
        .code_is(1)
        .stderr_contains("hint: mend 'login' with: git rebase --reapply-cherry-picks origin/master login\n")
        .stderr_contains(&format!("hint: then: git push {over} origin login\n"));
    repo.switch("login");
    repo.git(&["rebase", "--quiet", "-X", "theirs", "origin/master", "login"]);
    repo.git(&["push", "--quiet", &over, "origin", "login"]).lacks("warning");
    assert_eq!(bare.id("login"), repo.id("login"));
}

#[test]
fn a_push_within_one_of_our_own_does_nothing() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    note(&repo, "HEAD", "state: staged");
    let push = ["push", "--quiet", "origin", "HEAD:further"];
    repo.command("git").args(push).env("GIT_DEPLOY_WITHIN", "1").output().success().is_silent();
    assert!(bare.tip("refs/notes/deploy").is_none());
}

#[test]
fn a_malformed_note_stops_nobody() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: ready\nref: refs/heads/login");
    repo.git(&["push", "--quiet", "origin", "login"]).stderr_contains("warning: note on commit");
    assert_eq!(bare.id("login"), tip);
    repo.switch("master");
    repo.git(&["merge", "--quiet", "--no-edit", "--no-ff", "login"])
        .stderr_contains("warning: note on commit");
}

#[test]
fn branches_with_hostile_names_are_pushed_and_told_harmlessly() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let name = "a\u{9b}31m$(touch${IFS}pwned)'é";
    repo.branch(name);
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, &format!("state: broken\nref: refs/heads/{name}\nconflict: x"));
    repo.git(&["push", "--quiet", "origin", name]).stderr_contains("is broken").lacks("\u{9b}");
    assert_eq!(bare.id(&format!("refs/heads/{name}")), tip);
    assert!(!repo.path().join("pwned").exists());
}

#[test]
fn a_push_of_any_expression_from_anywhere_is_understood() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    let linked = sandbox.open("linked");
    let tip = linked.commit("b", "b\n", "Log in to the shop");
    note(&linked, &tip, "state: staged\nref: refs/heads/login");
    let output =
        linked.command("git").args(["push", "--quiet", "origin", ":/Log in to:refs/heads/login"]).output();
    output.success().is_silent();
    assert_eq!(bare.id("login"), tip);
    assert!(bare.notes().contains_key(&tip));
}

#[test]
fn a_foreign_hook_with_our_line_reads_what_git_wrote_too() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    let foreign = |line: &str| repo.install_hook("pre-push", &format!("{line}\ncat >seen"));
    foreign("");
    let output = repo.try_deploy("deploy-init", &[]);
    // From 2.54 on git runs both by itself.
    if sandbox.git_version() < (2, 54) {
        foreign(output.code_is(1).stdout.lines().find(|line| line.contains("git-deploy-hook")).unwrap());
    }

    repo.commit("a", "a\n", "Begin");
    note(&repo, "HEAD", "state: staged");
    repo.git(&["tag", "deployment-0001"]);
    repo.git(&["push", "--quiet", "origin", "master", "deployment-0001"]).is_silent();
    assert!(repo.read("seen").contains(" refs/heads/master "), "{}", repo.read("seen"));
    assert!(bare.tip("refs/notes/deploy").is_some());
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    assert_eq!(repo.read("seen"), "");
    repo.write("seen", "untouched");
    repo.try_git(&["push", "origin", ":deployment-0001"]).code_is(1).stderr_contains("would be deleted");
    if sandbox.git_version() < (2, 54) {
        assert_eq!(repo.read("seen"), "untouched");
    }
    assert_eq!(fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_clone_in_which_git_deploy_is_not_installed_is_not_blocked() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let without = Sandbox::new();
    let path = without.run("sh", &["-c", "printf %s \"$PATH\""]).stdout;
    repo.commit("a", "b\n", "Go on");
    let push = repo.command("git").args(["push", "--quiet", "origin", "master"]).env("PATH", path);
    push.output().success().is_silent();
    assert_eq!(bare.id("master"), repo.id("master"));
}

#[test]
fn a_hook_that_git_has_does_nothing_and_one_that_it_has_not_is_a_mistake() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let hook = |arguments: &[&str]| repo.command("git-deploy-hook").args(arguments).output();
    hook(&["post-rewrite", "rebase"]).success().is_silent();
    hook(&["post-merg", "0"]).code_is(129).stderr_contains("git has no hook 'post-merg'");
    hook(&["pre-push"]).code_is(129).stderr_contains("needs the name of the remote");
    sandbox
        .command("git-deploy-hook")
        .args(["post-merge", "0"])
        .output()
        .success()
        .stderr_contains("warning: ");
}
