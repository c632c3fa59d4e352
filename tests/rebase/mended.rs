//! A branch that somebody else has mended: what is done about it here loses nobody's commit and undoes nobody's decision.

use git_deploy_testkit::{Repo, sandbox};

use crate::remote::{Team, hinted, team};
use crate::{rebase, set};

/// Base changes what `login` changes, and one of both clones, having found that, puts the branch upon it.
fn conflicting() -> (Team, String) {
    let team = team(&sandbox!());
    let Team { ours, theirs, .. } = &team;
    theirs.commit("c.txt", "base\n", "Change it otherwise");
    theirs.git(&["push", "--quiet", "origin", "master"]);
    rebase(theirs, &[]).code_is(1);
    ours.git(&["fetch", "--quiet", "origin"]);
    let old = ours.id("login");
    (team, old)
}

/// Puts `login` upon base by hand.
fn mend(repo: &Repo, text: &str) {
    repo.git(&["switch", "--quiet", "login"]);
    assert_ne!(repo.try_git(&["rebase", "--quiet", "origin/master"]).code, Some(0));
    repo.write("c.txt", text);
    repo.git(&["add", "c.txt"]);
    repo.git(&["-c", "core.editor=true", "rebase", "--continue"]);
}

fn mend_there(team: &Team) {
    mend(&team.theirs, "both\n");
    team.theirs.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);
    set(&team.theirs, "deployable", "login");
    team.ours.deploy("deploy-sync", &[]);
    team.ours.git(&["fetch", "--quiet", "origin"]);
}

fn upon(from: &str) -> String {
    format!("git rebase --reapply-cherry-picks --onto origin/login {} login", &from[..10])
}

fn run(repo: &Repo, command: &str) {
    repo.command("sh").args(["-c", command]).output().success();
}

#[test]
fn a_broken_branch_that_somebody_else_has_mended_is_told_to_be_taken_from_there() {
    let (team, old) = conflicting();
    mend_there(&team);
    let Team { ours, remote, .. } = &team;
    let (there, take) = (
        remote.id("login"),
        format!(
            "it was mended there; where git range-diff shows nothing of yours that is lost, take that: {}",
            upon(&old)
        ),
    );
    ours.deploy("deploy-state", &["get", "login"]).stderr_contains(&take);
    let broken = rebase(ours, &["login"]);
    broken.code_is(1).stderr_contains(&take).lacks("mend 'login' with");
    assert_eq!(hinted(ours), [upon(&old)]);
    run(ours, &upon(&old));
    assert_eq!(ours.id("login"), there);
    assert_eq!(hinted(ours), Vec::<String>::new());
    ours.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n").stderr_is("");
}

#[test]
fn further_commits_upon_what_somebody_else_has_mended_are_put_upon_the_mended_one() {
    let (team, old) = conflicting();
    let Team { ours, remote, .. } = &team;
    ours.switch("login");
    ours.commit("d.txt", "d\n", "Go on");
    mend_there(&team);
    let there = remote.id("login");
    let put = format!(
        "it was mended there; where git range-diff shows nothing of yours that is lost, put your further commits upon that: {}",
        upon(&old)
    );
    ours.deploy("deploy-state", &["get", "login"]).stderr_contains(&put);
    rebase(ours, &["login"]).code_is(1).stderr_contains(&put).lacks("mend 'login' with");
    let refused = ours.try_deploy("deploy-state", &["set", "deployable", "login"]);
    refused
        .code_is(1)
        .lacks("mend it")
        .stderr_contains(&format!("hint: {put}\nhint: then: git deploy-state set deployable login\n"));
    let told = hinted(ours);
    assert_eq!(told[0], upon(&old));
    for command in &told {
        run(ours, command);
    }
    assert_eq!(ours.read("c.txt"), "both\n");
    assert_eq!(ours.id("login~1"), there);
    ours.git(&["push", "--quiet", "origin", "login"]);
    assert_eq!(remote.id("login"), ours.id("login"));
    ours.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n");
}

#[test]
fn the_same_mend_made_twice_is_one_and_what_comes_upon_it_is_put_upon_that() {
    let (team, _) = conflicting();
    let Team { ours, remote, .. } = &team;
    mend(ours, "both\n");
    let same = ours.id("login");
    ours.commit("d.txt", "d\n", "Go on");
    mend_there(&team);
    let there = remote.id("login");
    assert_ne!(there, same);
    assert_eq!(hinted(ours)[0], upon(&same));
    run(ours, &upon(&same));
    assert_eq!(ours.id("login~1"), there);
    assert_eq!(ours.read("d.txt"), "d\n");
}

#[test]
fn of_two_mends_that_differ_none_is_told_to_take_the_place_of_the_other() {
    let (team, _) = conflicting();
    let ours = &team.ours;
    mend(ours, "in another way\n");
    mend_there(&team);
    assert_eq!(hinted(ours), ["git range-diff --no-notes origin/login...login"]);
}

#[test]
fn further_commits_that_somebody_has_taken_out_while_mending_are_not_put_there_again() {
    let (team, _) = conflicting();
    let Team { ours, theirs, .. } = &team;
    ours.switch("login");
    ours.commit("d.txt", "d\n", "Go on");
    ours.git(&["push", "--quiet", "origin", "login"]);
    theirs.git(&["fetch", "--quiet", "origin"]);
    mend_there(&team);
    assert_eq!(hinted(ours), ["git range-diff --no-notes origin/login...login"]);
}

#[test]
fn what_was_amended_here_is_not_told_to_be_left_for_what_somebody_made_of_what_it_was_before() {
    let team = team(&sandbox!());
    let Team { ours, theirs, remote } = &team;
    theirs.git(&["switch", "--quiet", "login"]);
    ours.switch("login");
    ours.write("c.txt", "amended\n");
    ours.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    ours.git(&["push", "--quiet", "--force", "origin", "login"]);
    set(ours, "deployable", "login");
    // Somebody goes on from the commit that it was, upon a newer base; what was fetched meanwhile makes the lease a true one.
    theirs.git(&["switch", "--quiet", "master"]);
    theirs.commit("e.txt", "base\n", "Something else");
    theirs.git(&["push", "--quiet", "origin", "master"]);
    theirs.git(&["fetch", "--quiet", "origin"]);
    theirs.git(&["rebase", "--quiet", "master", "login"]);
    theirs.git(&["push", "--quiet", "--force-with-lease", "origin", "login"]);
    ours.git(&["fetch", "--quiet", "origin"]);
    assert_ne!(remote.id("login"), ours.id("login"));
    assert_eq!(hinted(ours), ["git range-diff --no-notes origin/login...login"]);
}
