//! Verdicts that somebody has written by hand in a clone: the server takes none of its notes any more, until they give way to what
//! the server says.

use git_deploy_testkit::sandbox;

use crate::scene::{BRANCH, Scene};

const WARNED: &str = "what no deployment has done: what 'origin' has of that counts again";

/// A scene with a branch that has landed.
fn landed(scene: &Scene) -> String {
    let commit = scene.approved();
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
    scene.takes(&[&landing.each_ref().map(String::as_str)[..], &["refs/notes/deploy"]].concat());
    scene.repo.deploy("deploy-sync", &[]);
    commit
}

#[test]
fn what_is_written_by_hand_of_a_landing_gives_way_to_what_the_server_says() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = landed(&scene);
    let note = scene.server.notes()[&commit].clone();
    for text in [
        format!("{note}message: Not me"),
        format!("{note}by: Eve <eve@example.org>"),
        note.replace("was: deployable", "was: staged"),
        note.replace("deployment-0001", "deployment-0999"),
    ] {
        assert_ne!(text, note);
        scene.note(&commit, &text);
        // What was decided meanwhile goes there.
        let other = scene.repo.commit_empty("Go on");
        scene.note(&other, "state: staged\nrev: 1");
        scene.refuses(&["refs/notes/deploy"], "the note on commit '");
        let told = scene.repo.deploy("deploy-sync", &[]);
        told.stderr_contains(&format!("'{}' {WARNED}", &commit[..10])).lacks("refused");
        assert_eq!(scene.server.notes()[&commit], note);
        assert!(scene.server.notes()[&other].starts_with("state: staged\n"));
        scene.repo.deploy("deploy-sync", &[]).lacks(WARNED);
    }
}

#[test]
fn a_landing_that_somebody_has_made_up_gives_way_to_what_was_decided_before() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let unknown = scene.server.id("refs/heads/master");
    let note = format!("state: deployed\nref: {BRANCH}\nrev: 1");
    let claim = format!("{note}\ndeployment: deployment-0007\nresult: success");
    for made_up in [note, claim.clone(), format!("{claim}\nwas: staged")] {
        scene.note(&commit, &made_up);
        scene.note(&unknown, "state: staged\nresult: success");
        scene.refuses(&["refs/notes/deploy"], "and no deployment says so");
        scene.repo.deploy("deploy-sync", &[]).stderr_contains(WARNED).lacks("refused");
        let notes = scene.server.notes();
        assert_eq!(notes[&commit], format!("state: deployable\nref: {BRANCH}\nrev: 1\n"));
        assert_eq!(notes[&unknown], "state: staged\n");
    }
    scene.repo.deploy("deploy-state", &["set", "development", "login"]);
    let withdrawn = scene.server.notes()[&commit].clone();
    let landed = |note: &str| note.replace("state: development", "state: deployed\nwas: deployable");
    scene.note(&commit, &landed(&withdrawn));
    scene.repo.deploy("deploy-sync", &[]).stderr_contains(WARNED).lacks("refused");
    assert_eq!(scene.server.notes()[&commit], withdrawn);
    // What the server has not heard of counts, too.
    scene.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    scene.repo.set_config("deploy.publish", "false");
    scene.repo.deploy("deploy-state", &["set", "development", "--message=Wait", "login"]);
    scene.repo.set_config("deploy.publish", "true");
    let withdrawn = scene.repo.notes()[&commit].clone();
    scene.note(&commit, &landed(&withdrawn));
    scene.repo.deploy("deploy-sync", &[]).stderr_contains(WARNED).lacks("refused");
    assert_eq!(scene.server.notes()[&commit], withdrawn);
}

#[test]
fn a_landing_that_somebody_has_made_up_of_what_nobody_has_decided_about_is_in_development() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let (landed, unknown) = (landed(&scene), scene.server.id("refs/heads/master~"));
    scene.repo.git(&["switch", "--quiet", "-c", "other", "master"]);
    let other = scene.repo.commit_empty("Go on");
    scene.takes(&["other"]);
    let claim = format!(
        "state: deployed\nref: {BRANCH}\nrev: 1\nwas: deployable\ndeployment: deployment-0042\nresult: success"
    );
    scene.note(&unknown, &claim);
    scene.repo.git(&["notes", "--ref=deploy", "copy", &landed, &other]);
    scene.repo.deploy("deploy-sync", &[]).stderr_contains(WARNED).lacks("refused");
    for commit in [unknown, other] {
        let note = scene.server.notes()[&commit].clone();
        assert!(note.starts_with("state: development\n"), "{note}");
        assert!(!note.contains("was: ") && !note.contains("deployment"), "{note}");
    }
    scene.repo.deploy("deploy-state", &["set", "deployable", "other"]);
    assert!(scene.server.notes()[&scene.repo.id("other")].starts_with("state: deployable\n"));
}

#[test]
fn what_a_server_refuses_that_knows_nothing_of_verdicts_takes_none_out_of_a_note() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    scene.server.deploy("deploy-init", &["--remove"]);
    scene.note(&commit, "state: deployed\ndeployment: deployment-0042\nresult: success");
    let ours = scene.repo.notes();
    for words in ["maintenance window", "the note on a commit would lose or change its verdict"] {
        scene.server.install_hook("pre-receive", &format!("echo '{words}'\nexit 1"));
        scene.repo.try_deploy("deploy-sync", &[]).code_is(1).stderr_contains(words).lacks(WARNED);
        assert_eq!(scene.repo.notes(), ours);
    }
}

#[test]
fn what_the_server_refuses_for_another_reason_stays_as_it_is() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    scene.note(&commit, "state: staged\nstate: deployable");
    let ours = scene.repo.notes();
    scene.repo.try_deploy("deploy-sync", &[]).code_is(1).stderr_contains("refused").lacks(WARNED);
    assert_eq!(scene.repo.notes(), ours);
}

#[test]
fn a_failure_that_somebody_has_taken_out_of_a_note_comes_back() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    let note = format!("state: staged\nref: {BRANCH}\nrev: 1\ndeployment: deployment-0001\nresult: failure");
    scene.note(&commit, &note);
    scene.takes(&[&claim.tagged("failure"), &claim.finished("failure"), "refs/notes/deploy"]);
    scene.repo.deploy("deploy-sync", &[]);
    for decided in [None, Some("development")] {
        match decided {
            None => drop(scene.repo.git(&["notes", "--ref=deploy", "remove", &commit])),
            Some(state) => scene.note(&commit, &format!("state: {state}\nref: {BRANCH}\nrev: 2")),
        }
        scene.refuses(&["refs/notes/deploy"], "would lose or change its verdict");
        scene.repo.deploy("deploy-sync", &[]).stderr_contains(WARNED).lacks("refused");
        let note = scene.server.notes()[&commit].clone();
        assert!(note.contains("\ndeployment: deployment-0001\nresult: failure\n"), "{note}");
        // What was decided besides stays.
        assert!(note.starts_with(&format!("state: {}\n", decided.unwrap_or("staged"))), "{note}");
    }
}
