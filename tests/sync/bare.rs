//! Clones that git sets up otherwise than usual ones: bare ones, mirrors, and those where no remote counts by itself.

use git_deploy_testkit::Repo;

use crate::{Team, state_is};

/// A clone of the remote as `--bare` or `--mirror` makes it, in which that counts.
fn clone(team: &Team, how: &str) -> Repo {
    team.sandbox.run("git", &["clone", "--quiet", how, "remote.git", "bare.git"]);
    let bare = team.sandbox.open("bare.git");
    bare.set_config("deploy.remote", "origin");
    bare
}

#[test]
fn a_bare_clone_that_fetches_no_branches_is_told_how_they_come() {
    let team = Team::new();
    team.pushed("login");
    let bare = clone(&team, "--bare");
    let refused = bare.try_deploy("deploy-state", &["set", "staged", "login"]);
    refused.stderr_is(
        "fatal: base branch 'master' is not there\n\
         hint: bring the branches of the remote, which 'git fetch' does not here: git deploy-sync\n\
         hint: have 'git fetch' do that, too: git config --add remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'\n",
    );
    bare.git(&["config", "--add", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
    bare.git(&["fetch", "--quiet"]);
    bare.deploy("deploy-state", &["set", "staged", "login"]);
    state_is(&team.remote, "login", "staged");
}

#[test]
fn what_a_mirror_has_decided_is_published_and_survives_its_fetch() {
    let team = Team::new();
    team.pushed("login");
    let mirror = clone(&team, "--mirror");
    mirror.try_deploy("deploy-state", &["set", "staged", "login"]).stderr_contains(
        "hint: bring the branches of the remote, which 'git fetch' does not here: git deploy-sync\n",
    );
    mirror.deploy("deploy-sync", &[]);
    mirror.set_config("deploy.publish", "false");
    mirror.deploy("deploy-state", &["set", "development", "--message=wait", "login"]);
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    mirror.git(&["fetch", "--quiet"]);
    state_is(&mirror, "login", "deployable");
    mirror
        .deploy("deploy-sync", &[])
        .stderr_contains("had thrown away of the states here is merged back")
        .stderr_contains("Pushed 1 state to 'origin'");
    state_is(&mirror, "login", "development");
    state_is(&team.remote, "login", "development");
}

#[test]
fn where_no_remote_counts_those_are_named_that_there_are() {
    let team = Team::new();
    team.pushed("login");
    team.sandbox.run("git", &["clone", "--quiet", "--bare", "remote.git", "bare.git"]);
    let bare = team.sandbox.open("bare.git");
    bare.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("fatal: no remote counts here to exchange states with: there is 'origin'\n")
        .stderr_contains(
            "hint: in a bare repository none counts by itself: git config deploy.remote <name>\n",
        )
        .lacks("git remote add");
    bare.deploy("deploy-state", &["set", "staged", "login"]).lacks("note: ");

    let ada = &team.ada;
    ada.git(&["remote", "rename", "origin", "up"]);
    ada.add_remote("other", &team.remote);
    ada.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("fatal: no remote counts here to exchange states with: there are 'other' and 'up'\n")
        .stderr_contains("hint: say which one counts: git config deploy.remote <name>\n");
    let said = ada.deploy("deploy-state", &["set", "staged", "login"]);
    said.stderr_contains("note: not published: none of the remotes 'other' and 'up' counts\n")
        .stderr_contains("hint: say which one counts: git config deploy.remote <name>\n");
    ada.deploy("deploy-state", &["set", "staged", "login"]).lacks("not published");
    ada.set_config("deploy.remote", ".");
    ada.deploy("deploy-state", &["set", "deployable", "login"]).lacks("not published");
    ada.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("hint: 'deploy.remote' says that none counts: git config deploy.remote <name>\n");
}
