//! What others do on the remote while somebody decides, and what they leave there that not every reader understands.

use git_deploy_testkit::Repo;
use git_deploy_testkit::scene::state_is;

use crate::Team;

/// A commit that says of nobody and no time that it was made, with the tree of another one, its only parent.
fn of_nobody(repo: &Repo, parent: &str) -> String {
    let tree = repo.id(&format!("{parent}^{{tree}}"));
    let text = format!("tree {tree}\nparent {}\nauthor \ncommitter \n\nx\n", repo.id(parent));
    let call = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"];
    repo.command("git").args(call).stdin(text).output().success().line().to_owned()
}

#[test]
fn what_came_just_now_is_approved_by_nobody_who_has_not_seen_it() {
    let team = Team::new();
    let bob = team.remote.clone_to("bob");
    crate::branch(&bob, "login");
    bob.git(&["push", "--quiet", "origin", "login"]);
    bob.git(&["switch", "--quiet", "login"]);
    team.ada.git(&["fetch", "--quiet"]);
    for state in ["deployable", "staged"] {
        let was = team.ada.id("origin/login");
        let more = bob.commit("more.txt", state, "One more thing");
        bob.git(&["push", "--quiet", "origin", "login"]);
        team.ada
            .try_deploy("deploy-state", &["set", state, "login"])
            .code_is(1)
            .stderr_contains(&format!("commit '{}' has come just now", &more[..10]))
            .stderr_contains(&format!("hint: look at it: git log -p {}..{}\n", &was[..10], &more[..10]))
            .stderr_contains(&format!("hint: then: git deploy-state set {state} login\n"));
        state_is(&team.ada, "login", "development");
        team.ada.deploy("deploy-state", &["set", state, "login"]);
        state_is(&team.ada, "login", state);
    }
    // What is withdrawn, or held, is whatever is there.
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    bob.deploy("deploy-sync", &["--quiet"]);
    bob.commit("more.txt", "held\n", "Not seen here");
    bob.git(&["push", "--quiet", "origin", "login"]);
    bob.deploy("deploy-state", &["set", "deployable", "login"]);
    let held = team.ada.deploy("deploy-queue", &["hold", "--reason=sale", "login"]);
    held.stderr_contains("Held login: sale\n");
    bob.deploy("deploy-sync", &["--quiet"]);
    bob.deploy("deploy-queue", &["--json"]).stdout_contains(r#""hold":"sale""#);
    bob.commit("more.txt", "again\n", "And another one");
    bob.git(&["push", "--quiet", "origin", "login"]);
    team.ada.deploy("deploy-state", &["set", "development", "login"]);
}

#[test]
fn where_others_have_gone_on_it_is_said_that_what_was_decided_here_is_not_what_counts() {
    let team = Team::new();
    let ours = team.pushed("login");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let bob = team.remote.clone_to("bob");
    bob.git(&["switch", "--quiet", "login"]);
    let theirs = bob.commit("more.txt", "more\n", "One more thing");
    bob.git(&["push", "--quiet", "origin", "login"]);
    team.ada.git(&["fetch", "--quiet"]);
    let said = format!(
        "note: your 'login' is at {}; what counts is {} on 'origin', which is development\n\
         hint: get its further commits, on 'login': git merge --ff-only origin/login\n",
        &ours[..10],
        &theirs[..10]
    );
    team.ada.deploy("deploy-state", &["get", "login"]).stdout_is("deployable\n").stderr_is(&said);
    // Where the queue tells of theirs, what it says to do tells of both.
    let set = "git deploy-state set deployable login";
    team.ada
        .deploy("deploy-queue", &["show", "login"])
        .stdout_contains("login: development")
        .stderr_contains(set);
    let already = format!("note: 'login' is deployable already\n{said}");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]).stderr_is(&already);
    team.ada.git(&["switch", "--quiet", "login"]);
    team.ada.git(&["merge", "--quiet", "--ff-only", "origin/login"]);
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    team.ada.deploy("deploy-queue", &["--porcelain"]).stdout_contains(&theirs);
}

#[test]
fn a_commit_of_states_by_nobody_blocks_nobody() {
    let team = Team::new();
    team.pushed("login");
    team.pushed("basket");
    let bob = team.remote.clone_to("bob");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    bob.deploy("deploy-state", &["set", "staged", "basket"]);
    let odd = of_nobody(&team.remote, "refs/notes/deploy");
    team.remote.git(&["update-ref", "refs/notes/deploy", &odd]);
    team.ada.set_config("deploy.publish", "false");
    team.ada.deploy("deploy-state", &["set", "staged", "login"]);
    for repo in [&team.ada, &bob, &team.remote.clone_to("fresh")] {
        repo.deploy("deploy-sync", &[]);
        state_is(repo, "login", "staged");
        state_is(repo, "basket", "staged");
    }
}

#[test]
fn a_commit_of_a_branch_by_nobody_costs_no_other_branch_its_rebase_and_can_be_withdrawn() {
    let team = Team::new();
    team.pushed("login");
    team.pushed("basket");
    for name in ["login", "basket"] {
        team.ada.deploy("deploy-state", &["set", "deployable", name]);
    }
    let odd = of_nobody(&team.ada, "login");
    team.ada.git(&["branch", "--force", "login", &odd]);
    team.ada.git(&["push", "--quiet", "origin", "login"]);
    team.ada.deploy("deploy-state", &["set", "staged", "login"]);
    team.ada.git(&["switch", "--quiet", "--detach", "origin/master"]);
    team.ada.commit("news.txt", "news\n", "Go on");
    team.ada.git(&["push", "--quiet", "origin", "HEAD:master"]);
    team.ada.git(&["fetch", "--quiet"]);
    team.ada.try_deploy("deploy-rebase", &[]).stdout_contains("rebased  basket");
    team.ada.deploy("deploy-state", &["set", "development", "login"]);
    state_is(&team.ada, "login", "development");
}

#[test]
fn what_only_a_note_calls_a_rebase_is_not_followed() {
    let team = Team::new();
    let ours = team.pushed("login");
    team.ada.deploy("deploy-state", &["set", "deployable", "login"]);
    let mallory = team.remote.clone_to("mallory");
    mallory.deploy("deploy-sync", &[]);
    let note = mallory.notes()[&ours].clone();
    mallory.git(&["switch", "--quiet", "--detach", "origin/master"]);
    let evil = mallory.commit("evil.txt", "evil\n", "Look harmless");
    let forged = format!("{note}rebased-from: {ours}\nroot: {ours}\n");
    let add = ["notes", "--ref=deploy", "add", "-F", "-", &evil];
    mallory.command("git").args(add).stdin(forged).output().success();
    mallory.git(&["push", "--quiet", "--force", "origin", "HEAD:login", "refs/notes/deploy"]);
    team.ada.deploy("deploy-sync", &[]);
    team.ada
        .deploy("deploy-rebase", &["login"])
        .stdout_contains("'origin/login' is said to be a rebase of it, and is none")
        .stderr_contains("look at what is there: git log -p login..origin/login\n");
    team.ada.deploy("deploy-state", &["list"]).lacks("git deploy-rebase login");
    assert_eq!(team.ada.id("login"), ours);
}

#[cfg(feature = "cluster")]
#[test]
fn who_withdraws_while_the_branch_lands_is_told_so_when_the_withdrawal_was_pushed_again() {
    use git_deploy_testkit::sandbox;
    use git_deploy_testkit::shop::Shop;
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "new\n");
    let bob = shop.authority().clone_to("bob");
    bob.deploy("deploy-sync", &[]);
    let (there, once) = (shop.repo.path().display(), bob.path().with_extension("once"));
    shop.authority().install_hook(
        "pre-receive",
        &format!(
            "[ -e '{0}' ] && exit; touch '{0}'; unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH; \
             cd '{there}' && git deploy >&2",
            once.display()
        ),
    );
    let told = bob.try_deploy("deploy-state", &["set", "development", "login"]);
    told.stderr_contains("that comes too late for deployment-0001, which is on its way with 'login'");
}

#[test]
fn a_daemon_that_the_fetch_before_a_decision_leaves_behind_does_not_hold_what_that_is_to_write() {
    let team = Team::new();
    team.pushed("login");
    let (sandbox, ada) = (&team.sandbox, &team.ada);
    let (seen, intents) = (sandbox.root().join("seen"), ada.git_path("deploy/intents"));
    // What is open when the fetch begins is inherited by all that it starts.
    let program =
        format!("#!/bin/sh\nls '{}' >'{}'\nexec git-upload-pack \"$@\"\n", intents.display(), seen.display());
    let program = sandbox.add_program("look-and-serve", &program);
    ada.set_config("remote.origin.uploadpack", &program.display().to_string());
    ada.deploy("deploy-state", &["set", "staged", "login"]);
    let seen = std::fs::read_to_string(&seen).unwrap();
    assert!(!seen.is_empty() && seen.lines().all(|name| !name.starts_with("new-")), "{seen}");
}
