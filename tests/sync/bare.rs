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

/// What is said in a bare clone where nobody has named a remote.
const NONE_COUNTS: &str = "no remote counts here, so that states stay here: there is 'origin'\n\
    hint: in a bare repository, and its work trees, none counts by itself: git config deploy.remote <name> ('.' for none)\n";

#[test]
fn no_remote_counts_in_a_bare_clone_and_its_work_trees_until_it_is_named_and_that_is_said_once() {
    let team = Team::new();
    team.pushed("login");
    team.sandbox.run("git", &["clone", "--quiet", "--bare", "remote.git", "bare.git"]);
    let bare = team.sandbox.open("bare.git");
    bare.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    let tree = team.sandbox.open("tree");
    let told = format!("note: {NONE_COUNTS}");
    let commands: [(&str, &[&str]); 5] = [
        ("deploy-state", &["set", "staged", "login"]),
        ("deploy-state", &["list", "--porcelain"]),
        ("deploy-queue", &["--json"]),
        ("deploy-queue", &["show", "login"]),
        ("deploy", &["--dry-run"]),
    ];
    for (command, arguments) in commands {
        let said = tree.try_deploy(command, arguments);
        assert_eq!(said.stderr.matches(&told).count(), 1, "{command} {arguments:?}: {said}");
    }
    let get = |repo: &Repo| repo.deploy("deploy-state", &["get", "login"]);
    for repo in [&bare, &tree] {
        get(repo).stdout_is("staged\n").stderr_is(&told);
        repo.deploy("deploy-state", &["-q", "get", "login"]).stderr_is("");
    }
    assert_eq!(team.remote.tip("refs/notes/deploy"), None);
    // Git keeps what is bare apart where each work tree has a configuration of its own.
    bare.set_config("extensions.worktreeConfig", "true");
    bare.git(&["config", "--worktree", "core.bare", "true"]);
    bare.git(&["config", "--unset", "core.bare"]);
    for repo in [&bare, &tree] {
        get(repo).stderr_is(&told);
    }
    bare.set_config("deploy.remote", ".");
    get(&tree).stderr_is("");
    bare.set_config("deploy.remote", "origin");
    for repo in [&bare, &tree] {
        repo.deploy("deploy-sync", &[]);
    }
    state_is(&team.remote, "login", "staged");
    // A server has nobody to exchange states with.
    get(&team.remote).stderr_is("");
}

#[test]
fn a_work_tree_of_a_clone_that_is_not_bare_has_the_remote_of_that() {
    let team = Team::new();
    team.pushed("login");
    team.ada.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    team.sandbox.open("tree").deploy("deploy-state", &["set", "staged", "login"]).lacks("no remote counts");
    state_is(&team.remote, "login", "staged");
}

#[test]
fn where_git_knows_no_branches_of_the_remote_a_push_is_told_with_the_commit_that_is_there() {
    let team = Team::new();
    let old = team.pushed("login");
    team.ada.commit("login.txt", "y\n", "Change the same");
    team.ada.git(&["push", "--quiet", "origin", "master"]);
    let bare = clone(&team, "--bare");
    bare.deploy("deploy-sync", &[]);
    bare.try_deploy("deploy-state", &["set", "staged", "login"]).code_is(1).stderr_contains(&format!(
        "hint: and push it: git push --force-with-lease=login:{old} origin login\n"
    ));
    bare.git(&["config", "--add", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
    bare.try_deploy("deploy-state", &["set", "staged", "login"]).stderr_contains(&format!(
        "hint: and push it: git push --force-with-lease=login:{old} origin login\n"
    ));
}

#[test]
fn where_no_remote_counts_those_are_named_that_there_are() {
    let team = Team::new();
    team.pushed("login");
    team.sandbox.run("git", &["clone", "--quiet", "--bare", "remote.git", "bare.git"]);
    let bare = team.sandbox.open("bare.git");
    bare.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_is(&format!("fatal: {NONE_COUNTS}"))
        .lacks("git remote add");

    let ada = &team.ada;
    ada.git(&["remote", "rename", "origin", "up"]);
    ada.add_remote("other", &team.remote);
    ada.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains(
            "fatal: no remote counts here, so that states stay here: there are 'other' and 'up'\n",
        )
        .stderr_contains("hint: say which one counts: git config deploy.remote <name> ('.' for none)\n");
    let said = ada.deploy("deploy-state", &["set", "staged", "login"]);
    said.stderr_contains(
        "note: no remote counts here, so that states stay here: there are 'other' and 'up'\n",
    )
    .stderr_contains("hint: say which one counts: git config deploy.remote <name> ('.' for none)\n");
    ada.set_config("deploy.remote", ".");
    ada.deploy("deploy-state", &["set", "deployable", "login"]).lacks("no remote counts");
    ada.try_deploy("deploy-sync", &[])
        .code_is(128)
        .stderr_contains("hint: 'deploy.remote' says that none counts: git config deploy.remote <name>\n");
}
