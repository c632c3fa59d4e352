//! What a note says of what has landed: how it did stays, and decisions come to it that were made where nobody knew of that.

use git_deploy_core::note::Note;
use git_deploy_core::sync::active;
use git_deploy_testkit::{Repo, sandbox};

use crate::scene::{BRANCH, Scene};

/// A deployment that has landed.
fn landed(scene: &Scene) -> String {
    let commit = scene.approved();
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
    scene.takes(&[&landing.each_ref().map(String::as_str)[..], &["refs/notes/deploy"]].concat());
    commit
}

#[test]
fn what_a_note_says_of_what_has_landed_is_never_changed() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = landed(&scene);
    let note = scene.repo.notes()[&commit].clone();
    let words = "says how it landed, and that is never changed";
    for text in [
        format!("{note}message: Not me"),
        format!("{note}by: Eve <eve@example.org>"),
        format!("{note}ref: refs/heads/other"),
        format!("{note}approved: {commit}"),
        note.replace("rev: 1", "rev: 2\nmessage: Not me"),
        note.replace("was: deployable", "was: staged"),
        note.replace(BRANCH, "refs/heads/other"),
    ] {
        assert_ne!(text, note);
        scene.note(&commit, &text);
        scene.refuses(&["refs/notes/deploy"], words);
        scene.push(&["refs/notes/deploy"]).stderr_contains("with git deploy-sync");
        scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    }
    // What a later version may have to say of it comes, and stays.
    scene.note(&commit, &format!("{note}future: 1"));
    scene.takes(&["refs/notes/deploy"]);
    scene.note(&commit, &note);
    scene.refuses(&["refs/notes/deploy"], words);
}

#[test]
fn a_decision_that_did_not_know_of_the_landing_comes_with_a_merge() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let bobs = ["bob", "carl"].map(|name| scene.server.clone_to(name));
    for bob in &bobs {
        bob.set_config("deploy.publish", "false");
        bob.deploy("deploy-sync", &[]);
    }
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
    scene.takes(&[&landing.each_ref().map(String::as_str)[..], &["refs/notes/deploy"]].concat());
    let [bob, carl] = &bobs;
    // On that commit, and on another one of its line.
    bob.deploy("deploy-state", &["set", "development", "-m", "Wait", "login"]);
    bob.deploy("deploy-sync", &[]).lacks("refused");
    let other = format!("state: staged\nref: refs/heads/other\nrev: 9\nmessage: Later\nroot: {commit}");
    carl.git(&["notes", "--ref=deploy", "add", "--message", &other, "origin/master"]);
    carl.deploy("deploy-sync", &[]).lacks("refused");
    for (repo, message) in [(bob, "Wait"), (carl, "Later")] {
        let note = repo.notes()[&commit].clone();
        assert!(note.starts_with("state: deployed\n") && note.contains(message), "{note}");
    }
    scene.server.fsck();
}

/// A clone that has the states, and publishes none for the time being.
fn behind(scene: &Scene) -> Repo {
    let bob = scene.server.clone_to("bob");
    bob.deploy("deploy-sync", &[]);
    bob.git(&["branch", "login", "origin/login"]);
    bob.set_config("deploy.publish", "false");
    bob
}

#[test]
fn what_follows_from_decisions_that_did_not_know_of_each_other_nor_of_the_landing_comes_with_a_merge() {
    for (bobs, adas, shown) in [
        (["deployable", "--after=api"], "--priority=7", "\nafter: api\n"),
        (["development", "--message=Wait"], "--after=api", "\nwas: development\n"),
    ] {
        let sandbox = sandbox!();
        let scene = Scene::new(&sandbox);
        scene.repo.git(&["push", "--quiet", "origin", "master:api"]);
        let commit = scene.approved();
        let bob = behind(&scene);
        bob.deploy("deploy-state", &["set", bobs[0], bobs[1], "login"]);
        scene.repo.deploy("deploy-state", &["set", "deployable", adas, "login"]);
        let decided = scene.server.notes()[&commit].clone();
        let claim = scene.claimed("deployment-0001", &commit);
        scene.note(&commit, &format!("{decided}deployment: deployment-0001"));
        scene.takes(&[&claim.moved("applying"), "refs/notes/deploy"]);
        scene.takes(&[&claim.moved("verified")]);
        let landed = decided.replace("state: deployable", "state: deployed\nwas: deployable");
        scene.note(&commit, &format!("{landed}deployment: deployment-0001\nresult: success"));
        let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
        scene.takes(&[&landing.each_ref().map(String::as_str)[..], &["refs/notes/deploy"]].concat());
        bob.set_config("deploy.publish", "true");
        bob.deploy("deploy-sync", &[]).lacks("refused");
        let note = scene.server.notes()[&commit].clone();
        assert_eq!(note, bob.notes()[&commit]);
        assert!(note.starts_with("state: deployed\n") && note.contains(shown), "{note}");
        scene.server.fsck();
    }
}

#[test]
fn nothing_of_what_was_decided_is_taken_back_on_what_has_landed_by_hand() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let bob = behind(&scene);
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
    scene.takes(&[&landing.each_ref().map(String::as_str)[..], &["refs/notes/deploy"]].concat());
    bob.deploy("deploy-state", &["set", "development", "--message=Wait", "login"]);
    let said = active(&Note::parse(bob.notes()[&commit].as_bytes()).unwrap());
    bob.set_config("deploy.publish", "true");
    bob.deploy("deploy-sync", &[]).lacks("refused");
    scene.repo.deploy("deploy-sync", &[]);
    let note = scene.repo.notes()[&commit].clone();
    assert!(note.contains("Wait"), "{note}");
    // As if somebody had seen the withdrawal and replaced it.
    let replaced = note.replace("message: Wait\n", "").replace("was: development", "was: deployable");
    for text in [format!("{note}replaces: {}", said[0].0), format!("{replaced}replaces: {}", said[0].0)] {
        scene.note(&commit, &text);
        scene.refuses(&["refs/notes/deploy"], "says how it landed, and that is never changed");
        scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    }
}
