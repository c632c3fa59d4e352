//! Pushes that take a branch out of the queue by other ways than a commit on top of the approved one.

use git_deploy_testkit::{Output, Repo, sandbox};

use crate::{clone, shop};

/// A branch with a commit of its own, on the remote, too.
fn branch(repo: &Repo, name: &str) -> String {
    repo.git(&["switch", "--quiet", "--create", name, "master"]);
    let tip = repo.commit(name, "x\n", name);
    repo.git(&["push", "--quiet", "origin", name]);
    tip
}

const LEFT: &str = "note: 'login' is in development now: deployable was the commit before this push\n";

#[test]
fn a_branch_that_is_pushed_by_force_or_in_the_place_of_another_has_left_the_queue() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.commit("login", "y\n", "Log in");
    repo.git(&["reset", "--quiet", "--soft", "master"]);
    repo.git(&["commit", "--quiet", "--message", "Log in at once"]);
    let again = "hint: when it is ready again: git deploy-state set deployable login\n";
    repo.git(&["push", "--quiet", "--force", "origin", "login"]).stderr_is(&format!("{LEFT}{again}"));

    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let approved = repo.id("login");
    branch(&repo, "other");
    let pushed = repo.git(&["push", "--quiet", "--force", "origin", "other:login"]);
    let lease = format!("--force-with-lease=login:{}", repo.id("other"));
    let back = format!("git push {lease} origin {}:refs/heads/login", &approved[..10]);
    pushed.stderr_is(&format!("{LEFT}hint: if that was not meant: {back}\n"));
    repo.git(&back.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(bare.id("login"), approved);
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains(" refs/heads/login ");

    // What is pushed under another name is not what ours of that name has.
    repo.git(&["switch", "--quiet", "--create", "further", "login"]);
    repo.commit_empty("Go further");
    let look = "git range-diff --no-notes origin/login...login";
    let apart = format!("hint: yours has not got what is pushed; look at what differs: {look}\n");
    let pushed = repo.git(&["push", "--quiet", "origin", "further:login"]);
    pushed.stderr_is(&format!("{LEFT}{apart}"));
    repo.command("sh").args(["-c", look]).output().success();
    repo.git(&["rebase", "--quiet", "origin/login", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&bare.id("login"));

    // What is not ready yet is kept back.
    repo.switch("login");
    repo.commit_empty("Go on");
    repo.commit_empty("Try");
    repo.git(&["push", "--quiet", "origin", "HEAD~1:login"]).stderr_is(&format!("{LEFT}{again}"));
}

/// The command that is said to make the branch ready again.
fn ready_again(output: &Output) -> String {
    let mut hints = output.stderr.lines().filter_map(|line| line.strip_prefix("hint: ")?.split_once(": "));
    let said = hints.find(|(_, command)| command.starts_with("git deploy-state set "));
    said.unwrap_or_else(|| panic!("{output}")).1.to_owned()
}

#[test]
fn who_leaves_an_approved_commit_is_told_to_wish_again_what_was_wished_for_it() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    branch(&repo, "first");
    branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "--priority=5", "--after=first", "login"]);
    repo.deploy("deploy-queue", &["hold", "--reason=a sale", "login"]);
    let wished = "git deploy-state set deployable --priority=5 --after=first --hold='a sale' login";
    repo.commit_empty("Go on");
    let pushed = repo.git(&["push", "--quiet", "origin", "login"]);
    pushed.stderr_contains("hint: when it is ready again, on hold as before: ");
    assert_eq!(ready_again(&pushed), wished);
    let follow = |output: &Output| {
        let again = ready_again(output);
        repo.command("sh").args(["-c", &again]).output().success();
        let note = repo.notes()[&repo.id("login")].clone();
        for said in ["state: deployable\n", "priority: 5\n", "after: first\n", "hold: a sale\n"] {
            assert!(note.contains(said), "{note}");
        }
    };
    follow(&pushed);
    repo.write("login", "y\n");
    let amended = repo.git(&["commit", "--all", "--amend", "--quiet", "--no-edit"]);
    amended.stderr_contains("hint: if it is ready as it is now, on hold as before: ");
    // Before the push: there is never a moment in which it is in the queue, and not on hold.
    follow(&amended);
    repo.git(&["push", "--quiet", "--force", "origin", "login"]);
    let queue = repo.deploy("deploy-queue", &["list", "--json"]);
    queue.stdout_contains(r#""hold":"a sale""#);
    assert_eq!(bare.notes()[&bare.id("login")], repo.notes()[&repo.id("login")]);
}

#[test]
fn a_forced_push_to_a_commit_of_another_state_says_what_the_branch_is_then() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let staged = branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "staged", "login"]);
    repo.commit_empty("Go on");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    // Whoever goes on knows what was decided before.
    repo.git(&["push", "--quiet", "origin", "login"]).is_silent();
    let approved = repo.id("login");
    repo.git(&["reset", "--quiet", "--hard", &staged]);
    let back =
        format!("git push --force-with-lease=login:{staged} origin {}:refs/heads/login", &approved[..10]);
    repo.git(&["push", "--quiet", "--force", "origin", "login"]).stderr_is(&format!(
        "note: 'login' is staged now: deployable was the commit before this push\n\
         hint: if that was not meant: {back}\n"
    ));
    repo.git(&back.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(bare.id("login"), approved);
}

#[test]
fn a_forced_push_back_to_what_was_approved_says_that_it_was_withdrawn_since() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let first = branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.commit("c", "c\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.deploy("deploy-state", &["set", "development", "-m", "STOP", "login"]);
    let stopped = repo.id("login");
    let back =
        format!("git push --force-with-lease=login:{first} origin {}:refs/heads/login", &stopped[..10]);
    repo.git(&["push", "--quiet", "--force", "origin", "login~1:login"]).stderr_is(&format!(
        "note: 'login' is deployable now: development was the commit before this push\n\
         hint: if that was not meant: {back}\n"
    ));
    repo.deploy("deploy-state", &["list", "--stale"]).stdout_is(&format!(
        "development  login  {}  on 'origin' the branch is at {} now\n",
        &stopped[..10],
        &first[..10]
    ));
    repo.command("sh").args(["-c", &back]).output().success();
    assert_eq!(bare.id("login"), stopped);
    repo.deploy("deploy-state", &["list", "--stale"]).stdout_is("");
    // Who approves it anew has decided that.
    repo.git(&["reset", "--quiet", "--hard", &first]);
    repo.deploy("deploy-state", &["set", "deployable", "-m", "again", "login"]);
    repo.git(&["push", "--quiet", "--force", "origin", "login"]);
}

#[test]
fn commits_that_somebody_else_has_pushed_are_not_to_be_pushed_over_and_those_of_ones_own_are() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let refused = || repo.try_git(&["push", "origin", "login"]).code_is(1).stderr.clone();
    repo.git(&["commit", "--quiet", "--amend", "--message", "Log in, please"]);
    let rewritten = refused();
    assert!(rewritten.starts_with("note: 'login' was rewritten here, and differs from that of 'origin'\n"));
    let lease = format!("--force-with-lease=login:{}", bare.id("login"));
    assert!(rewritten.contains(&format!("hint: instead of 'git pull': git push {lease} origin login\n")));
    repo.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);

    let other = clone(&bare, "other");
    other.git(&["switch", "--quiet", "login"]);
    other.commit("b", "b\n", "Help");
    other.git(&["push", "--quiet", "origin", "login"]);
    other.deploy("deploy-state", &["set", "deployable", "login"]);
    // Who has pulled them has not made them, though the branch stood there.
    repo.git(&["pull", "--quiet", "--ff-only", "origin", "login"]);
    repo.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    repo.commit("c", "c\n", "Go on");
    repo.deploy("deploy-sync", &[]);
    let apart = refused();
    assert!(apart.starts_with("note: 'login' on 'origin' has commits that yours has not\n"), "{apart}");
    // Nor was it rewritten from them as a whole: only a look tells what is to become of them.
    let look = "instead of 'git pull', look at what differs between both: git range-diff --no-notes origin/login...login\n";
    assert!(apart.contains(look) && !apart.contains("force-with-lease"), "{apart}");
    repo.git(&["rebase", "--quiet", "origin/login", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.git(&["push", "--quiet", "origin", "login"]).is_silent();
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&repo.id("login"));
}

#[test]
fn a_merge_that_is_pushed_to_a_branch_that_is_not_here_becomes_linear_by_what_is_said() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.switch("master");
    repo.commit("other", "other\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "master"]);
    repo.git(&["switch", "--quiet", "-c", "work", "login"]);
    repo.git(&["merge", "--quiet", "--no-edit", "master"]);
    repo.git(&["branch", "--quiet", "-D", "login"]);
    let told = repo.git(&["push", "--quiet", "origin", "work:login"]).stderr;
    for word in ["as nothing rebases a merge", "then", "when it is ready again"] {
        let command = told.lines().find_map(|line| line.strip_prefix(&format!("hint: {word}: ")));
        let command = command.unwrap_or_else(|| panic!("{word}: {told}"));
        repo.command("sh").args(["-c", command]).output().success();
    }
    repo.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&bare.id("login"));
}

#[test]
fn a_branch_that_is_deleted_has_left_the_queue_unless_base_has_it() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    let approved = branch(&repo, "login");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let back = format!("git push origin {}:refs/heads/login", &approved[..10]);
    repo.git(&["push", "--quiet", "origin", ":login"]).stderr_is(&format!(
        "note: 'login' is gone now: deployable was the commit before this push\nhint: to have it back: {back}\n"
    ));
    repo.git(&back.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(bare.id("login"), approved);
    // Base gets it with the same push.
    repo.git(&["push", "--quiet", "origin", "login:master", ":login"]).stderr_is(
        "note: 'login' is in development now: it was deployable, and 'master' gets all of it by this push, without a \
         deployment\n",
    );
}

#[test]
fn what_was_fetched_of_states_counts_in_a_push_before_it_is_merged() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    branch(&repo, "login");
    let other = clone(&bare, "other");
    other.git(&["switch", "--quiet", "login"]);
    let push = || {
        repo.git(&["fetch", "--quiet"]);
        repo.commit_empty("Go on");
        repo.git(&["push", "--quiet", "origin", "login"])
    };
    other.deploy("deploy-state", &["set", "deployable", "login"]);
    push().stderr_contains(LEFT);
    // And so does who withdraws it there.
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    other.git(&["pull", "--quiet"]);
    other.deploy("deploy-state", &["set", "development", "login"]);
    push().stderr_is("warning: 'login' was set to development by Ada Lovelace\n");
    // What is known of a commit that is not here: git refuses to push over that, unless it is forced.
    other.git(&["pull", "--quiet"]);
    other.commit_empty("Help");
    other.git(&["push", "--quiet", "origin", "login"]);
    other.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.git(&["fetch", "--quiet", "origin", "+refs/notes/deploy:refs/notes/deploy-remote/origin/deploy"]);
    repo.commit_empty("Go on");
    repo.try_git(&["push", "origin", "login"])
        .code_is(1)
        .stderr_contains(
            "warning: 'login' on 'origin' is not what was last fetched: as it is deployable, it may have been rebased; \
             if this push is forced, it is in development then\n",
        )
        .lacks("note: 'login'");
}
