//! Decisions that did not see each other: the most careful one holds, however many somebody else made meanwhile, until
//! somebody decides who has seen all of them.

use git_deploy_testkit::Repo;
use git_deploy_testkit::scene::state_is;

use crate::Team;

/// Ada and Bob know that the branches are deployable, which have one commit, and exchange nothing unless they are told to.
struct Scene {
    team: Team,
    bob: Repo,
    commit: String,
}

impl Scene {
    fn new(branches: &[&str]) -> Self {
        let team = Team::new();
        let commit = team.pushed(branches[0]);
        for other in &branches[1..] {
            team.ada.git(&["branch", other, branches[0]]);
            team.ada.git(&["push", "--quiet", "origin", other]);
        }
        team.ada.deploy("deploy-state", &[&["set", "deployable"], branches].concat());
        let bob = team.remote.clone_to("bob");
        bob.deploy("deploy-sync", &[]);
        for repo in [&team.ada, &bob] {
            repo.set_config("deploy.publish", "false");
        }
        Self { team, bob, commit }
    }

    fn ada(&self, words: &[&str]) {
        self.team.ada.deploy("deploy-state", &[&["set"], words].concat());
    }

    fn bob(&self, words: &[&str]) {
        let set = self.bob.command("git-deploy-state").arg("set").args(words);
        set.as_person("Bob", "bob@example.org").output().success();
    }

    fn exchange(&self) {
        for repo in [&self.team.ada, &self.bob, &self.team.ada] {
            repo.deploy("deploy-sync", &[]);
        }
    }

    /// All have the same notes, and the branch is in that state.
    #[track_caller]
    fn all_say(&self, branch: &str, state: &str) {
        for repo in [&self.team.remote, &self.team.ada, &self.bob] {
            state_is(repo, branch, state);
            assert_eq!(repo.notes(), self.team.remote.notes());
            repo.fsck();
        }
        let queue = self.bob.deploy("deploy-queue", &["--porcelain"]).stdout;
        assert_eq!(queue.contains(&format!("refs/heads/{branch} ")), state == "deployable", "{queue}");
    }
}

#[test]
fn two_decisions_do_not_outvote_a_withdrawal_that_they_did_not_see() {
    let scene = Scene::new(&["f"]);
    scene.bob(&["development", "f", "-m", "security hole"]);
    scene.ada(&["staged", "f"]);
    scene.ada(&["deployable", "f"]);
    scene.bob.deploy("deploy-sync", &[]).lacks("was set to");
    // Who was overruled is told, once.
    let ada = &scene.team.ada;
    ada.deploy("deploy-sync", &[])
        .stderr_contains("warning: 'f' was set to development by Bob: security hole\n");
    ada.deploy("deploy-sync", &[]).lacks("was set to");
    scene.exchange();
    scene.all_say("f", "development");
    let note = scene.bob.notes()[&scene.commit].clone();
    assert!(
        note.contains("\nmessage: security hole\n") && note.contains("\nbeside: \"state: deployable"),
        "{note}"
    );
    // Who has seen both decides.
    scene.ada(&["deployable", "f"]);
    scene.exchange();
    scene.all_say("f", "deployable");
    let note = scene.bob.notes()[&scene.commit].clone();
    assert!(note.contains("\nrev: 4\n") && !note.contains("beside: "), "{note}");
}

#[test]
fn a_wish_for_the_queue_is_no_answer_to_a_withdrawal() {
    let scene = Scene::new(&["f"]);
    scene.bob(&["development", "f"]);
    scene.ada(&["deployable", "--priority=5", "f"]);
    scene.ada(&["deployable", "--priority=6", "f"]);
    scene.exchange();
    scene.all_say("f", "development");
}

#[test]
fn what_holds_a_branch_back_stays_whatever_somebody_wished_who_had_not_seen_it() {
    let scene = Scene::new(&["f"]);
    for other in ["x", "y"] {
        scene.team.pushed(other);
        scene.ada(&["deployable", other]);
    }
    scene.exchange();
    for theirs in ["hold", "--priority=5", "--after=y"] {
        scene.ada(&["deployable", "--after=x", "f"]);
        match theirs {
            "hold" => drop(scene.bob.deploy("deploy-queue", &["hold", "--reason=sale", "f"])),
            wish => scene.bob(&["deployable", wish, "f"]),
        }
        scene.exchange();
        scene.all_say("f", "deployable");
        let note = scene.team.remote.notes()[&scene.commit].clone();
        let awaited = if theirs == "--after=y" { "x y" } else { "x" };
        assert!(note.contains(&format!("\nafter: {awaited}\n")), "{theirs}: {note}");
        assert_eq!(note.contains("\nhold: sale\n"), theirs == "hold", "{note}");
        // Who has seen it takes it off.
        scene.bob(&["deployable", "--after=", "--priority=0", "f"]);
        if theirs == "hold" {
            scene.bob.deploy("deploy-queue", &["release", "f"]);
        }
        scene.exchange();
        let note = scene.team.remote.notes()[&scene.commit].clone();
        assert!(
            !note.contains("after: ") && !note.contains("hold: ") && !note.contains("beside: "),
            "{note}"
        );
    }
}

#[test]
fn a_branch_that_several_wished_to_wait_waits_for_all_of_them() {
    let scene = Scene::new(&["f"]);
    for other in ["x", "y"] {
        scene.team.pushed(other);
        scene.ada(&["deployable", other]);
    }
    scene.exchange();
    scene.ada(&["deployable", "--after=x", "f"]);
    scene.bob(&["deployable", "--after=y", "f"]);
    scene.exchange();
    // Somebody who says something else takes off none of it.
    scene.ada(&["deployable", "--priority=9", "f"]);
    scene.exchange();
    for other in ["x", "y"] {
        let queue = scene.bob.deploy("deploy-queue", &["--json"]).stdout;
        assert!(queue.contains(&format!("\"after\":\"{other}\"")), "{queue}");
        scene.bob.git(&["push", "--quiet", "origin", &format!(":{other}")]);
        scene.bob.git(&["fetch", "--quiet", "--prune"]);
    }
    scene.bob.deploy("deploy-queue", &["--json"]).lacks("\"after\"");
}

#[test]
fn a_withdrawal_that_is_published_between_two_decisions_of_somebody_else_holds() {
    let scene = Scene::new(&["f"]);
    scene.ada(&["staged", "f"]);
    let withdraw = format!(
        "case \"$1\" in committed) ;; *) exit 0 ;; esac\ngrep -q refs/notes/deploy$ || exit 0\n\
         [ -e '{came}' ] && exit 0\n: >'{came}'\nunset $(git rev-parse --local-env-vars)\n\
         cd '{bob}' && git -c deploy.publish=true deploy-state set development f >'{came}' 2>&1\nexit 0\n",
        came = scene.bob.path().with_extension("came").display(),
        bob = scene.bob.path().display(),
    );
    scene.team.ada.set_config("deploy.publish", "true");
    // When Ada has decided and not yet published it.
    scene.team.ada.install_hook("reference-transaction", &withdraw);
    scene.ada(&["deployable", "f"]);
    scene.team.ada.remove_hook("reference-transaction");
    scene.exchange();
    scene.all_say("f", "development");
}

#[test]
fn of_two_branches_on_a_commit_each_stays_withdrawn_whoever_withdrew_the_other_one() {
    let scene = Scene::new(&["f", "cp"]);
    scene.ada(&["development", "cp"]);
    scene.bob(&["development", "f"]);
    scene.exchange();
    scene.all_say("f", "development");
    scene.all_say("cp", "development");
    scene.bob(&["deployable", "f"]);
    scene.exchange();
    scene.all_say("f", "deployable");
    scene.all_say("cp", "development");
}

#[test]
fn a_withdrawal_holds_on_what_was_rebased_and_decided_about_twice_meanwhile() {
    let scene = Scene::new(&["f"]);
    scene.team.ada.commit("c.txt", "c\n", "Go on");
    scene.team.ada.git(&["push", "--quiet", "origin", "master"]);
    scene.team.remote.deploy("deploy-rebase", &[]);
    assert_ne!(scene.team.remote.id("f"), scene.commit);
    // Bob knows nothing of the rebase.
    scene.bob.set_config("remote.origin.url", "/nowhere");
    scene.bob(&["development", "f"]);
    scene.bob.set_config("remote.origin.url", &scene.team.remote.path().display().to_string());
    scene.team.ada.deploy("deploy-rebase", &[]);
    scene.ada(&["staged", "f"]);
    scene.ada(&["deployable", "f"]);
    scene.exchange();
    state_is(&scene.team.remote, "f", "development");
    state_is(&scene.team.ada, "f", "development");
}
