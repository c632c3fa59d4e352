//! Pushes of what somebody else has taken back, rebased or gone on with.

use git_deploy_testkit::sandbox;

use crate::{clone, run_elsewhere, shop};

#[test]
fn a_push_that_brings_back_what_was_set_back_or_deleted_says_so() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    let first = repo.commit("b", "b\n", "Log in");
    repo.commit("c", "c\n", "Log out");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let keep_out = "hint: where it is not to be deployed: git deploy-state set development login\n";
    let back = |how: &str| {
        let told =
            format!("warning: this push brings 'login' back to 'origin' as deployable: it was {how}\n");
        repo.git(&["push", "--dry-run", "origin", "login"]).stderr_contains(&format!("{told}{keep_out}"));
    };
    let other = clone(&bare, "other");
    let set_back = format!("set back to {} there", &first[..10]);
    other.git(&["push", "--quiet", "--no-verify", "--force", "origin", &format!("{first}:refs/heads/login")]);
    back(&set_back);
    repo.git(&["fetch", "--quiet"]);
    back(&set_back);
    other.git(&["push", "--quiet", "--no-verify", "origin", ":login"]);
    repo.deploy("deploy-sync", &["--quiet"]);
    back("deleted there");
    // Withdrawn, it is brought back without a word.
    repo.deploy("deploy-state", &["set", "development", "login"]);
    repo.git(&["push", "--quiet", "origin", "login"]).is_silent();
    // What nobody has pushed before comes back from nowhere.
    repo.branch("new");
    repo.commit("d", "d\n", "Change it");
    repo.deploy("deploy-state", &["set", "deployable", "new"]);
    repo.git(&["push", "--quiet", "origin", "new"]).is_silent();
}

#[test]
fn who_amends_what_the_runner_has_rebased_is_told_to_push_that_over_it() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    run_elsewhere(&bare, "login");
    repo.git(&["commit", "--quiet", "--amend", "--message", "Log in, please"]);
    repo.deploy("deploy-sync", &["--quiet"]);
    let push = format!("git push --force-with-lease=login:{} origin login", bare.id("login"));
    repo.try_git(&["push", "origin", "login"])
        .code_is(1)
        .stderr_contains(&format!("hint: instead of 'git pull': {push}\n"))
        .lacks("git deploy-rebase");
    repo.deploy("deploy-state", &["list"])
        .stderr_contains(&format!("hint: it was rewritten here, from what is there; push it: {push}\n"));
    repo.command("sh").args(["-c", &push]).output().success().lacks("was rebased, and yours was not");
    assert_eq!(bare.id("login"), repo.id("login"));
}

#[test]
fn who_amends_what_somebody_else_has_gone_on_with_is_told_to_bring_both_together() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let other = clone(&bare, "other");
    other.git(&["switch", "--quiet", "login"]);
    other.commit("c", "c\n", "Help");
    other.git(&["push", "--quiet", "origin", "login"]);
    // What was seen before may be replaced, and nothing else, whatever is fetched meanwhile.
    let seen = repo.id("login");
    let amended = repo.git(&["commit", "--quiet", "--amend", "--message", "Log in, please"]);
    let push = format!("git push --force-with-lease=login:{seen} origin login");
    amended.stderr_contains(&format!("hint: to replace it there: {push}\n"));
    repo.git(&["fetch", "--quiet"]);
    repo.command("sh").args(["-c", &push]).output().code_is(1).stderr_contains("stale info");
    assert_eq!(bare.id("login"), other.id("login"));
}

#[test]
fn a_push_in_the_place_of_what_somebody_else_has_mended_says_what_it_replaces() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    repo.commit("a", "theirs\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.switch("master");
    repo.commit("a", "ours\n", "Change the same line");
    repo.git(&["push", "--quiet", "origin", "master"]);
    let other = clone(&bare, "other");
    other.set_config("user.name", "Bob");
    for (mended, who) in [(&other, "Bob"), (&repo, "Ada Lovelace")] {
        mended.git(&["switch", "--quiet", "login"]);
        mended.git(&["reset", "--quiet", "--hard", "origin/master"]);
        mended.commit("a", &format!("mended by {who}\n"), "Log in");
    }
    other.git(&["push", "--quiet", "--force", "origin", "login"]);
    let set = other.command("git-deploy-state").args(["set", "deployable", "login"]);
    set.as_person("Bob", "bob@example.org").output().success();
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let (bobs, ours) = (bare.id("login"), repo.id("login"));
    let pushed = repo.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);
    pushed.stderr_is(&format!(
        "warning: this push replaces 'login' on 'origin' at {}, which Bob has set to deployable\n\
         hint: look at what differs between both: git range-diff --no-notes {}...{}\n\
         hint: to have it back: git push --force-with-lease=login:{ours} origin {}:refs/heads/login\n",
        &bobs[..10],
        &bobs[..10],
        &ours[..10],
        &bobs[..10]
    ));
    // What is one's own is replaced without a word.
    repo.git(&["commit", "--quiet", "--amend", "--message", "Log in, please"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.git(&["push", "--quiet", "--force", "origin", "login"]).is_silent();
}

#[test]
fn a_push_that_ends_a_hold_which_came_after_the_decision_says_so() {
    let sandbox = sandbox!();
    let (bare, repo) = shop(&sandbox);
    repo.branch("login");
    repo.commit("b", "b\n", "Log in");
    repo.git(&["push", "--quiet", "origin", "login"]);
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    repo.commit("c", "c\n", "Go on");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    // Times are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let other = clone(&bare, "other");
    other.deploy("deploy-sync", &["--quiet"]);
    let hold = other.command("git-deploy-queue").args(["hold", "--reason=an incident", "login"]);
    hold.as_person("Bob", "bob@example.org").output().success();
    // It comes with the push itself.
    let pushed = repo.git(&["push", "--quiet", "origin", "login"]);
    let again = "git deploy-queue hold --reason='an incident' login";
    pushed
        .stderr_contains("warning: with this push 'login' is on hold no more, as it was since 20")
        .stderr_contains(" by Bob <bob@example.org>: an incident\n")
        .stderr_contains(&format!("hint: to hold it again: {again}\n"));
    repo.command("sh").args(["-c", again]).output().success();
    assert!(bare.notes()[&bare.id("login")].contains("hold: an incident\n"));
    // Who has ended it on purpose knows.
    repo.commit("d", "d\n", "Go on");
    repo.deploy("deploy-state", &["set", "deployable", "--hold=", "login"]);
    repo.git(&["push", "--quiet", "origin", "login"]).is_silent();
}
