//! What is said after a merge: which branches are behind base now, and which have landed.

use git_deploy_testkit::{Repo, sandbox};

use crate::{clone, note, shop, tag_deployment};

#[test]
fn a_merge_tells_which_branches_are_behind_base_and_which_have_landed() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]);
    for (branch, state) in
        [("ready", "deployable"), ("nearly", "staged"), ("odd", "broken"), ("mine", "development")]
    {
        repo.git(&["checkout", "--quiet", "-b", branch, "master"]);
        let tip = repo.commit(branch, "x\n", branch);
        note(
            &repo,
            &tip,
            &format!(
                "state: {state}\nref: refs/heads/{branch}\n{}",
                if state == "broken" { "conflict: a" } else { "" }
            ),
        );
    }
    repo.git(&["checkout", "--quiet", "-b", "done", "master"]);
    let done = repo.commit("done", "x\n", "done");
    tag_deployment(&repo, "deployment-0001", &done, "done");
    repo.switch("master");
    let output = repo.git(&["merge", "--quiet", "--ff-only", "done"]);
    output.stdout_is("").stderr_is(
        "note: 'done' has landed as 'deployment-0001'\n\
         note: 'nearly' is staged and behind 'master'\n\
         note: 'odd' is broken: it cannot be rebased on 'master' (a conflicts)\n\
         note: 'ready' is deployable and behind 'master'\n\
         hint: git deploy-rebase\n\
         hint: what has landed is no longer needed: git branch -d done\n",
    );
    repo.git(&["branch", "-d", "done"]);
}

#[test]
fn a_pull_after_which_nothing_is_behind_says_nothing() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    note(&repo, "HEAD", "state: development");
    let other = bare.clone_to("other");
    other.commit("b", "b\n", "Go on");
    other.git(&["push", "--quiet", "origin", "master"]);
    let output = repo.git(&["pull", "--quiet"]);
    output.is_silent();
    repo.branch("login");
    let tip = repo.commit("c", "c\n", "Log in");
    note(&repo, &tip, "state: deployable\nref: refs/heads/login");
    other.commit("d", "d\n", "Further");
    other.git(&["push", "--quiet", "origin", "master"]);
    repo.switch("master");
    repo.git(&["pull", "--quiet"]).stderr_contains("note: 'login' is deployable and behind 'origin/master'");
}

#[test]
fn of_many_kept_branches_a_merge_tells_those_alone_that_do_not_contain_base() {
    let sandbox = sandbox!();
    let (_bare, repo) = shop(&sandbox);
    repo.commit("b", "b\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "master"]);
    // Base may come into a branch by a merge, too: then it is no chain of its own commits.
    let kept = [("long", "", 40), ("short", "", 1), ("behind", "~", 2), ("merged", "~", 1)];
    for (branch, back, commits) in kept {
        repo.git(&["checkout", "--quiet", "-b", branch, &format!("master{back}")]);
        (0..commits).for_each(|number| drop(repo.commit(branch, &format!("{number}\n"), "Change it")));
        repo.git(&["merge", "--quiet", "--no-edit", if branch == "merged" { "master" } else { "HEAD" }]);
        note(&repo, "HEAD", &format!("state: staged\nref: refs/heads/{branch}"));
    }
    let told = "note: 'behind' is staged and behind 'origin/master'\nhint: git deploy-rebase\n";
    repo.command("git-deploy-hook").args(["post-merge", "0"]).output().success().stderr_is(told);
}

#[test]
fn what_landed_is_told_by_the_merge_that_brought_it_and_never_again() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: deployed\nref: refs/heads/login");
    repo.git(&["push", "--quiet", "origin", "login", "login:master"]);
    tag_deployment(&repo, "deployment-0001", &tip, "login");
    repo.switch("master");
    let other = bare.clone_to("other");
    let go_on = |file: &str| {
        other.commit(file, "x\n", "Go on");
        other.git(&["push", "--quiet", "origin", "master"]);
    };
    go_on("c");
    repo.git(&["pull", "--quiet"]).stderr_contains("note: 'login' has landed as 'deployment-0001'");
    go_on("d");
    repo.git(&["pull", "--quiet"]).is_silent();
    // Nor by a merge that has nothing to do with it.
    repo.git(&["branch", "old", "HEAD~3"]);
    repo.git(&["checkout", "--quiet", "-b", "side", "old"]);
    repo.commit("e", "e\n", "Aside");
    repo.switch("old");
    repo.git(&["merge", "--quiet", "side"]).is_silent();
}

#[test]
fn what_is_merged_into_base_by_hand_is_told_before_it_counts_when_it_does_and_where_it_comes() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    for (branch, on, state) in
        [("login", "master", "deployable"), ("cart", "master", "staged"), ("more", "cart", "deployable")]
    {
        repo.git(&["switch", "--quiet", "--create", branch, on]);
        repo.commit(branch, "x\n", branch);
        repo.git(&["push", "--quiet", "origin", branch]);
        repo.deploy("deploy-state", &["set", state, branch]);
    }
    let other = clone(&bare, "other");
    other.git(&["branch", "--quiet", "cart", "origin/cart"]);
    other.deploy("deploy-sync", &[]);
    repo.switch("master");
    let unpushed = |branch: &str, state: &str| {
        format!(
            "note: '{branch}' is {state}: when this merge is pushed, 'origin/master' has all of it without a deployment\n"
        )
    };
    let undo = "hint: to have that deployed instead: git reset --keep ORIG_HEAD\n";
    let merge = |branch: &str| repo.git(&["merge", "--quiet", "--no-edit", branch]);
    merge("login").stderr_is(&format!("{}{undo}", unpushed("login", "deployable")));
    // One that another one stands on comes with that.
    let both = format!("{}{}{undo}", unpushed("cart", "staged"), unpushed("more", "deployable"));
    merge("more").stderr_is(&both);
    repo.git(&["reset", "--quiet", "--merge", "ORIG_HEAD"]);
    merge("more").stderr_is(&both);
    merge("more").is_silent();

    let told = |branch: &str, state: &str, how: &str| {
        format!("note: '{branch}' is in development now: it was {state}, and {how} without a deployment\n")
    };
    let pushed = "'master' gets all of it by this push,";
    repo.git(&["push", "--quiet", "origin", "master"]).stderr_is(&format!(
        "{}{}{}",
        told("cart", "staged", pushed),
        told("login", "deployable", pushed),
        told("more", "deployable", pushed)
    ));
    other.git(&["pull", "--quiet"]).stderr_is(&format!(
        "{}hint: what has landed is no longer needed: git branch -d cart\n",
        told("cart", "staged", "'origin/master' has got all of it")
    ));
    other.git(&["branch", "-d", "cart"]);
    // One that is nowhere here but as it was fetched.
    repo.git(&["switch", "--quiet", "--create", "theirs", "master"]);
    repo.commit("theirs", "x\n", "theirs");
    repo.git(&["push", "--quiet", "origin", "theirs"]);
    repo.deploy("deploy-state", &["set", "deployable", "theirs"]);
    other.deploy("deploy-sync", &["--quiet"]);
    other
        .git(&["merge", "--quiet", "--no-ff", "--no-edit", "origin/theirs"])
        .stderr_is(&format!("{}{undo}", unpushed("theirs", "deployable")));
    repo.switch("master");
    // It was told.
    repo.git(&["switch", "--quiet", "--create", "side", "master~1"]);
    repo.git(&["merge", "--quiet", "master"]).is_silent();
}

#[test]
fn what_is_merged_by_hand_without_a_remote_counts_at_once_and_again_when_that_is_undone() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.deploy("deploy-init", &[]);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo.switch("master");
    repo.git(&["merge", "--quiet", "--no-ff", "--no-edit", "login"]).stderr_is(
        "note: 'login' is in development now: it was deployable, and 'master' has got all of it without a deployment\n\
         hint: to have that deployed instead: git reset --keep ORIG_HEAD\n",
    );
    // It has left the queue before it goes on.
    repo.git(&["switch", "--quiet", "--create", "more", "login"]);
    repo.commit("c", "c\n", "Go on");
    repo.switch("login");
    repo.git(&["merge", "--quiet", "more"]).is_silent();
}

#[test]
fn a_branch_that_landed_as_others_rebased_it_is_not_behind_and_not_to_be_pushed() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let tip = repo.commit("b", "b\n", "Log in");
    note(&repo, &tip, "state: deployable\nref: refs/heads/login\nrev: 1");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.switch("master");
    let runner = clone(&bare, "runner");
    runner.commit("c", "c\n", "Meanwhile");
    runner.git(&["checkout", "--quiet", "-b", "login", "origin/login"]);
    runner.git(&["rebase", "--quiet", "master"]);
    tag_deployment(&runner, "deployment-0001", &runner.id("HEAD"), "login");
    runner.git(&["push", "--quiet", "--no-verify", "origin", "HEAD:master", ":login", "deployment-0001"]);
    repo.git(&["pull", "--quiet", "--prune"]).stderr_is(
        "note: 'login' has landed as 'deployment-0001': yours is the commit before its rebase\n\
         hint: delete what has landed: git branch -D login; or let it follow: git deploy-rebase login\n",
    );
    // Git deletes no branch that is checked out.
    repo.switch("login");
    repo.git(&["push", "--quiet", "--dry-run", "origin", "login"])
        .stderr_contains("hint: instead of a push: let what has landed follow: git deploy-rebase login\n");
    repo.switch("master");
    repo.git(&["push", "--quiet", "origin", "login"])
        .stderr_contains(
            "warning: 'login' has landed as 'deployment-0001': yours is the commit before its rebase\n",
        )
        .stderr_contains("hint: instead of a push: delete what has landed: git branch -D login; ");
    // It is told by the merge that brought it, and never again.
    runner.git(&["checkout", "--quiet", "master"]);
    runner.git(&["merge", "--quiet", "login"]);
    runner.commit("d", "d\n", "Further");
    runner.git(&["push", "--quiet", "--no-verify", "origin", "master"]);
    repo.git(&["pull", "--quiet"]).is_silent();
}

#[test]
fn many_branches_are_told_in_few_lines() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a", "a\n", "Begin");
    repo.branch("own");
    let tip = repo.commit("b", "b\n", "Change it");
    for number in 0..30 {
        repo.git(&["branch", &format!("b{number}")]);
    }
    let refs: String = (0..30).map(|number| format!("ref: refs/heads/b{number}\n")).collect();
    note(&repo, &tip, &format!("state: staged\n{refs}"));
    repo.switch("master");
    repo.commit("a", "b\n", "Go on");
    let output = repo.command("git-deploy-hook").args(["post-merge", "0"]).output();
    output.success().stderr_contains("note: and 20 more");
    assert!(output.stderr.lines().count() < 15, "{output}");
}

/// Somebody else merges a branch by hand, and takes that back.
fn merged_and_taken_back(repo: &Repo, name: &str) {
    repo.git(&["merge", "--quiet", "--no-ff", "--no-edit", name]);
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.git(&["revert", "--no-edit", "--mainline=1", "HEAD"]);
    repo.git(&["push", "--quiet", "origin", "master"]);
}

#[test]
fn what_was_taken_back_is_told_as_that_however_many_have_landed_long_ago() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let old: Vec<String> = (0..12).map(|number| format!("a{number:02}")).collect();
    for name in old.iter().map(String::as_str).chain(["login"]) {
        repo.git(&["switch", "--quiet", "--create", name, "master"]);
        repo.commit(name, "x\n", name);
        repo.git(&["push", "--quiet", "origin", name]);
        repo.deploy("deploy-state", &["set", "deployable", name]);
    }
    repo.switch("master");
    for name in &old {
        repo.git(&["merge", "--quiet", "--no-ff", "--no-edit", name]);
    }
    repo.git(&["push", "--quiet", "origin", "master"]);
    let other = clone(&bare, "other");
    for name in old.iter().map(String::as_str).chain(["login"]) {
        other.git(&["branch", "--quiet", name, &format!("origin/{name}")]);
    }
    other.deploy("deploy-sync", &[]);
    merged_and_taken_back(&repo, "login");
    other
        .git(&["pull", "--quiet"])
        .stderr_contains("note: 'login' is in development now: it was deployable, and 'origin/master' has had all of 'login', and has taken it back with '")
        .lacks("git branch -d");
}

#[test]
fn so_it_is_however_many_have_landed_upon_it() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    // By name they come before it.
    let later: Vec<String> = (0..12).map(|number| format!("a{number:02}")).collect();
    let names = || ["login"].into_iter().chain(later.iter().map(String::as_str));
    for name in names() {
        repo.git(&["switch", "--quiet", "--create", name, "master"]);
        repo.commit(name, "x\n", name);
        repo.git(&["push", "--quiet", "origin", name]);
        repo.deploy("deploy-state", &["set", "deployable", name]);
        repo.switch("master");
        repo.git(&["merge", "--quiet", "--no-ff", "--no-edit", name]);
        repo.git(&["push", "--quiet", "origin", "master"]);
    }
    let other = clone(&bare, "other");
    for name in names() {
        other.git(&["branch", "--quiet", name, &format!("origin/{name}")]);
    }
    other.deploy("deploy-sync", &[]);
    repo.git(&["revert", "--no-edit", "--mainline=1", "master~12"]);
    repo.git(&["push", "--quiet", "origin", "master"]);
    other
        .git(&["pull", "--quiet"])
        .stderr_contains("'origin/master' has had all of 'login', and has taken it back with '")
        .lacks("git branch -d");
}

#[test]
fn so_is_what_came_below_another_branch() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.git(&["switch", "--quiet", "--create", "one", "master"]);
    for name in ["one", "two"] {
        repo.commit(name, "x\n", name);
        repo.git(&["push", "--quiet", "origin", &format!("HEAD:{name}")]);
    }
    repo.git(&["branch", "--quiet", "two"]);
    repo.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    repo.deploy("deploy-state", &["set", "deployable", "one", "two"]);
    let other = clone(&bare, "other");
    for name in ["one", "two"] {
        other.git(&["branch", "--quiet", name, &format!("origin/{name}")]);
    }
    other.deploy("deploy-sync", &[]);
    repo.switch("master");
    merged_and_taken_back(&repo, "two");
    other.git(&["pull", "--quiet"]).stderr_contains("has had all of 'one', and").lacks("git branch -d");
}

#[test]
fn of_very_many_that_were_taken_back_none_is_said_to_be_no_longer_needed() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let names: Vec<String> = (0..12).map(|number| format!("a{number:02}")).collect();
    for name in &names {
        repo.git(&["switch", "--quiet", "--create", name, "master"]);
        repo.commit(name, "x\n", name);
        repo.git(&["push", "--quiet", "origin", name]);
        repo.deploy("deploy-state", &["set", "deployable", name]);
    }
    let other = clone(&bare, "other");
    for name in &names {
        other.git(&["branch", "--quiet", name, &format!("origin/{name}")]);
    }
    other.deploy("deploy-sync", &[]);
    repo.switch("master");
    for name in &names {
        merged_and_taken_back(&repo, name);
    }
    other
        .git(&["pull", "--quiet"])
        .stderr_contains("'a09', and has taken it back with '")
        .stderr_contains("and 2 more; see them all: git deploy-state list\n")
        .lacks("git branch -d");
}
