//! A withdrawal is never overtaken by a rebase: whichever comes first, and wherever one of them dies.

use git_deploy_testkit::scene::state_is;
use git_deploy_testkit::{Output, RefPhase, Repo, Victim, sandbox};

/// The runner works where the branches are; Ada decides in a clone, which does not see what the runner does.
struct Scene {
    runner: Repo,
    ada: Repo,
    old: String,
}

impl Scene {
    /// A deployable branch, and a base that has moved on.
    fn new() -> Self {
        let sandbox = sandbox!();
        let runner = sandbox.bare("runner.git");
        let ada = sandbox.repository("ada");
        ada.commit("a.txt", "a\n", "Begin");
        ada.branch("login");
        let old = ada.commit("b.txt", "b\n", "Log in");
        ada.add_remote("origin", &runner);
        ada.git(&["push", "--quiet", "origin", "master", "login"]);
        ada.deploy("deploy-state", &["set", "deployable", "login"]);
        ada.switch("master");
        ada.commit("c.txt", "c\n", "Go on");
        ada.git(&["push", "--quiet", "origin", "master"]);
        ada.switch("login");
        Self { runner, ada, old }
    }

    fn rebase(&self) -> Output {
        self.runner.deploy("deploy-rebase", &[])
    }

    fn withdraw(&self) -> Output {
        self.ada.deploy("deploy-state", &["set", "--message=not yet", "development", "login"])
    }

    /// Nobody takes the branch for deployable any more, on its old commit or on what a rebase has made of it.
    fn is_withdrawn(&self) {
        self.ada.deploy("deploy-sync", &[]);
        for repo in [&self.runner, &self.ada] {
            state_is(repo, "login", "development");
            for (commit, note) in repo.notes() {
                // A note on a commit that a rebase made before it died, and that no branch has, speaks for none.
                if repo.try_git(&["branch", "--all", "--contains", &commit]).stdout.is_empty() {
                    continue;
                }
                assert!(note.starts_with("state: development\n"), "{commit}\n{note}");
                assert!(
                    note.contains("\nrev: 2\n") && note.contains("\nmessage: not yet\n"),
                    "{commit}\n{note}"
                );
            }
            repo.fsck();
            repo.has_no_lock_files();
        }
        self.runner.deploy("deploy-queue", &["--porcelain"]).stdout_is("");
        // No later rebase brings it back.
        self.rebase();
        state_is(&self.runner, "login", "development");
    }
}

#[test]
fn what_was_withdrawn_stays_so_on_the_commits_that_the_branch_was_rebased_from() {
    let scene = Scene::new();
    scene.ada.deploy("deploy-rebase", &["login"]);
    scene.ada.git(&["push", "--quiet", "--force", "origin", "login"]);
    assert_ne!(scene.ada.id("login"), scene.old);
    scene.withdraw().success();
    // Somebody who has not heard of the rebase pushes what there was before.
    scene.ada.git(&["push", "--quiet", "--force", "origin", &format!("{}:refs/heads/login", scene.old)]);
    scene.is_withdrawn();
}

#[test]
fn who_withdraws_what_was_rebased_meanwhile_withdraws_it_there_too() {
    let scene = Scene::new();
    scene.rebase();
    assert_ne!(scene.runner.id("login"), scene.old);
    scene.withdraw();
    scene.is_withdrawn();
}

#[test]
fn what_was_withdrawn_without_the_runner_hearing_of_it_is_withdrawn_on_what_it_rebases() {
    let scene = Scene::new();
    // It stays in this clone for now.
    scene.ada.set_config("deploy.publish", "false");
    scene.withdraw();
    scene.rebase();
    assert_ne!(scene.runner.id("login"), scene.old);
    state_is(&scene.runner, "login", "deployable");
    scene.is_withdrawn();
}

#[test]
fn a_withdrawal_that_the_runner_heard_of_leaves_nothing_to_rebase() {
    let scene = Scene::new();
    scene.withdraw();
    scene.rebase();
    assert_eq!(scene.runner.id("login"), scene.old);
    scene.is_withdrawn();
}

/// Kills a rebase of the runner's at each of its transactions, before and after it, and has Ada withdraw the branch right then.
#[test]
fn a_runner_that_dies_in_the_middle_overtakes_no_withdrawal() {
    for phase in [RefPhase::Prepared, RefPhase::Committed] {
        for n in 1.. {
            let scene = Scene::new();
            let switch = scene.runner.kill_at_transaction_of(&["refs/*"], n, phase, Victim::Process);
            let rebase = scene.runner.command("git-deploy-rebase").pid_file(switch.pid_file());
            drop(rebase.output());
            let fired = switch.has_fired();
            switch.remove();
            // The next run of the runner's comes before or after the withdrawal.
            if n % 2 == 0 {
                scene.rebase();
            }
            scene.withdraw();
            scene.rebase();
            scene.is_withdrawn();
            if !fired {
                assert!(n > 2, "a rebase moves notes and branch");
                break;
            }
        }
    }
}

/// Kills the withdrawal itself: it is made or not made, and if it is, no rebase overtakes it.
#[test]
fn a_withdrawal_that_dies_is_whole_or_not_made_and_is_made_by_the_next_try() {
    for phase in [RefPhase::Prepared, RefPhase::Committed] {
        for n in 1.. {
            let scene = Scene::new();
            let switch = scene.ada.kill_at_transaction_of(&["refs/*"], n, phase, Victim::Group);
            let set = scene.ada.command("git-deploy-state").args([
                "set",
                "--message=not yet",
                "development",
                "login",
            ]);
            drop(set.pid_file(switch.pid_file()).output());
            let fired = switch.has_fired();
            switch.remove();
            let made = scene.ada.notes()[&scene.old].contains("\nrev: 2\n");
            scene.rebase();
            if !made {
                scene.withdraw();
            }
            scene.is_withdrawn();
            if !fired {
                break;
            }
        }
    }
}
