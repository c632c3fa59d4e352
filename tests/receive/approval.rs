//! Where base says who may approve: what goes on its way is signed, and it is what was signed.

use std::fs;
use std::path::Path;

use git_deploy_testkit::keys::{APPROVE, Key};
use git_deploy_testkit::shop::DEPLOY_TOML;
use git_deploy_testkit::{Repo, Sandbox, sandbox};

use crate::scene::{BRANCH, Claim, Scene};

/// A server on whose base one key may approve, which is that of the user of its clone.
fn guarded(sandbox: &Sandbox) -> (Scene, Key) {
    let server = sandbox.bare("origin.git");
    server.deploy("deploy-init", &["--server"]);
    guarded_on(sandbox, server)
}

fn guarded_on(sandbox: &Sandbox, server: Repo) -> (Scene, Key) {
    let (ada, repo) = (Key::new(sandbox, "ada"), sandbox.repository("shop"));
    repo.add_remote("origin", &server);
    let toml = format!("{DEPLOY_TOML}{APPROVE}");
    let list = ada.line("ada@example.org", "");
    let files = [("deploy.toml", toml.as_str()), ("approvers", &list), ("list", "one\n\ntwo\n\nthree\n")];
    repo.commit_files(&files, "Say who may approve");
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    (Scene { server, repo }, ada)
}

/// A branch with two commits that its user has approved; the server has both.
fn signed(scene: &Scene, ada: &Key) -> String {
    scene.repo.git(&["switch", "--quiet", "-c", "login", "master"]);
    scene.repo.commit("list", "one, and more\n\ntwo\n\nthree\n", "Say more");
    let commit = scene.repo.commit("login", "in\n", "Log in");
    scene.repo.switch("master");
    scene.takes(&["login"]);
    ada.signs_in(&scene.repo);
    scene.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    commit
}

/// Base moves on the server, past all rules, in another part of the same file.
fn base_moves(scene: &Scene, text: &str) {
    scene.repo.commit("list", text, "Go on");
    let path = scene.repo.path().display().to_string();
    scene.server.git(&["fetch", "--quiet", &path, "master:master"]);
    scene.repo.git(&["fetch", "--quiet", "origin"]);
}

/// Publishes a note, upon those that the server has.
fn publishes(scene: &Scene, commit: &str, note: &str) {
    scene.repo.git(&["update-ref", "refs/notes/deploy", &scene.server.id("refs/notes/deploy")]);
    scene.note(commit, note);
    scene.takes(&["refs/notes/deploy"]);
}

/// Publishes the note of a commit on another one.
fn puts_on(scene: &Scene, of: &str, commit: &str) {
    let note = scene.repo.notes()[of].clone();
    publishes(scene, commit, &format!("{note}root: {of}\nrebased-from: {of}\n"));
}

/// A claim that the server has to refuse in these words.
fn refuses_claim(scene: &Scene, commit: &str, words: &str) {
    scene.refuses(&[&Claim::new(scene, "deployment-0001", commit).moved("claimed")], words);
}

#[test]
fn only_what_somebody_has_signed_who_may_is_claimed_and_goes_on_its_way() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let commit = scene.approved();
    let note = |more: &str| format!("state: deployable\nref: {BRANCH}\nrev: 2\napproved: {commit}\n{more}");
    refuses_claim(&scene, &commit, "is not approved: nobody signed");
    publishes(&scene, &commit, &note("approval: ssh AAAA\n"));
    refuses_claim(&scene, &commit, "is not approved: its approval does not");
    // What she signs is what she was asked to, and no more than that.
    ada.signs_in(&scene.repo);
    scene.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let (signed, claim) = (scene.repo.notes()[&commit].clone(), scene.claimed("deployment-0001", &commit));
    let going = |text: &str| scene.note(&commit, &format!("{text}deployment: deployment-0001\n"));
    for (more, words) in [("", "nobody signed"), ("approval: ssh AAAA\n", "its approval does not")] {
        going(&note(more));
        let words = format!("is not approved: {words}");
        scene.refuses(&[&claim.moved("applying"), "refs/notes/deploy"], &words);
    }
    scene.repo.git(&["update-ref", "refs/notes/deploy", &scene.server.id("refs/notes/deploy")]);
    going(&signed);
    scene.takes(&[&claim.moved("applying"), "refs/notes/deploy"]);
}

#[test]
fn an_approval_that_was_put_on_other_commits_is_worth_nothing() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let approved = signed(&scene, &ada);
    scene.repo.git(&["switch", "--quiet", "--detach", &approved]);
    let more = scene.repo.commit("evil", "x\n", "One more");
    scene.repo.git(&["switch", "--quiet", "--detach", &format!("{approved}~")]);
    let less = scene.repo.id("HEAD");
    let other = scene.repo.commit("login", "out\n", "Log in");
    for evil in [more, less, other] {
        puts_on(&scene, &approved, &evil);
        let words = "is not approved: it is not what a rebase makes of the approved commit";
        refuses_claim(&scene, &evil, words);
    }
    // Nor is it for another branch.
    let mut claim = Claim::new(&scene, "deployment-0001", &approved);
    claim.text = claim.text.replace(BRANCH, "refs/heads/other");
    scene.refuses(&[&claim.moved("claimed")], "no note has '");
    let note = scene.repo.notes()[&approved].clone();
    publishes(&scene, &approved, &format!("{note}ref: refs/heads/other\n"));
    scene.refuses(&[&claim.moved("claimed")], "its approval does not hold");
}

#[test]
fn what_was_withdrawn_is_not_approved_by_the_old_note() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let approved = signed(&scene, &ada);
    let note = scene.repo.notes()[&approved].clone();
    scene.repo.deploy("deploy-state", &["set", "development", "login"]);
    refuses_claim(&scene, &approved, "no note has '");
    publishes(&scene, &approved, &note);
    refuses_claim(&scene, &approved, "is not approved: its approval was withdrawn by decision 2");
}

#[test]
fn what_was_withdrawn_on_a_copy_is_withdrawn_where_it_was_approved() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let approved = signed(&scene, &ada);
    let tree = format!("{approved}^{{tree}}");
    let other = scene.repo.git(&["commit-tree", &tree, "-p", "master", "-m", "The same"]).line().to_owned();
    let copied = scene.repo.notes()[&approved].clone();
    publishes(&scene, &other, &copied);
    for (to, more) in [(&other, true), (&approved, false)] {
        scene.repo.git(&["branch", "--force", "login", to]);
        scene.takes(&["+login"]);
        if more {
            scene.repo.deploy("deploy-state", &["set", "development", "login"]);
        }
    }
    refuses_claim(&scene, &approved, "is not approved: its approval was withdrawn by decision 2");
}

#[test]
fn what_a_rebase_made_of_it_goes_on_its_way_and_the_look_at_it_leaves_no_object() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let approved = signed(&scene, &ada);
    // Somebody else commits it, so that our own rebase makes other objects.
    scene.repo.set_config("user.name", "Somebody Else");
    for text in ["one\n\ntwo\n\nthree, too\n", "one\n\ntwo\n\nthree, four\n"] {
        base_moves(&scene, text);
        scene.repo.switch("login");
        scene.repo.git(&["rebase", "--quiet", "--force-rebase", "master"]);
        scene.repo.switch("master");
    }
    let tip = scene.repo.id("login");
    scene.takes(&["+login", &format!("{approved}:refs/deploy/approved/{approved}")]);
    let evil = scene.repo.git(&["commit-tree", "master^{tree}", "-p", &tip, "-m", "Undo"]).line().to_owned();
    let claims = [("deployment-0002", &evil), ("deployment-0001", &tip)];
    let claims = claims.map(|(id, commit)| Claim::new(&scene, id, commit));
    let objects = "find objects -type f | sort";
    scene.server.install_hook(
        "pre-receive",
        &format!(
            "cat >pushed\n{objects} >before\ngit-deploy-hook pre-receive <pushed\nstatus=$?\n\
             {objects} | cmp before - || exit 9\nexit $status"
        ),
    );
    let temporary = sandbox.root().join("temporary");
    fs::create_dir(&temporary).unwrap();
    for claim in &claims {
        puts_on(&scene, &approved, &claim.commit);
        let before = objects_of(&scene.server);
        let arguments = ["push", "--atomic", "origin", &claim.moved("claimed")];
        let push =
            |temporary: &str| scene.repo.command("git").args(arguments).env("TMPDIR", temporary).output();
        // Without room to look at it in nothing is taken.
        push("/nowhere").code_is(1).stderr_contains("is not approved: cannot verify a signature: ");
        let output = push(&temporary.display().to_string());
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{output}");
        if claim.commit == tip {
            output.success();
        } else {
            output.code_is(1).stderr_contains("it is not what a rebase makes of the approved commit");
            assert_eq!(objects_of(&scene.server), before);
        }
    }
    let going = format!("{}deployment: deployment-0001\n", scene.repo.notes()[&tip]);
    scene.note(&tip, &going);
    scene.takes(&[&claims[1].moved("applying"), "refs/notes/deploy"]);
    // What nothing leads to is only the claim as it was before it went on.
    let unreachable = scene.server.git(&["fsck", "--unreachable", "--no-reflogs"]).stdout;
    assert_eq!(unreachable.lines().count(), 1, "{unreachable}");
    assert!(unreachable.contains("unreachable commit "), "{unreachable}");
}

/// All objects of a repository.
fn objects_of(repo: &Repo) -> String {
    repo.git(&["cat-file", "--batch-all-objects", "--batch-check"]).stdout
}

#[test]
fn an_approved_commit_stays_for_as_long_as_a_deployable_branch_needs_it() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let approved = signed(&scene, &ada);
    base_moves(&scene, "one\n\ntwo\n\nthree, too\n");
    scene.repo.deploy("deploy-rebase", &[]);
    let tip = scene.repo.id("login");
    let kept = format!("refs/deploy/approved/{approved}");
    scene.takes(&["+login", &format!("{approved}:{kept}"), "refs/notes/deploy"]);
    let needed = "a branch that is deployable was approved with this commit";
    scene.refuses(&[&format!(":{kept}")], needed);
    scene.repo.git(&["update-ref", "-d", "refs/remotes/origin/login"]);
    scene.takes(&[&format!(":{kept}"), ":refs/heads/login"]);
    scene.takes(&["login", &format!("{approved}:{kept}")]);
    scene.refuses(&[&format!(":{kept}")], needed);
    let note = scene.repo.notes()[&tip].replace("state: deployable", "state: staged");
    scene.note(&tip, &note);
    scene.takes(&[&format!(":{kept}"), "refs/notes/deploy"]);
}

/// A branch that was approved, and rebased after base had changed the same file, is pushed with its note. Where it stands.
fn rebased(scene: &Scene, ada: &Key) -> String {
    base_moves(scene, "one\n");
    let approved = signed(scene, ada);
    base_moves(scene, "one, or two\n");
    scene.repo.deploy("deploy-rebase", &[]);
    let tip = scene.repo.id("login");
    assert_ne!(tip, approved);
    scene.takes(&["+login", &format!("{approved}:refs/deploy/approved/{approved}")]);
    publishes(scene, &tip, &scene.repo.notes()[&tip].clone());
    tip
}

#[test]
fn files_that_base_has_merged_in_a_way_of_their_own_are_compared_so_too() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    scene.repo.write(".gitattributes", "list merge=union\n");
    scene.repo.git(&["add", "."]);
    let tip = rebased(&scene, &ada);
    scene.claimed("deployment-0001", &tip);
}

/// A push to a server that has a work tree is judged by a merge with a driver, which runs outside of both.
fn runs_a_driver_outside(sandbox: &Sandbox, has_named_it: bool) {
    let seen = sandbox.root().join("seen");
    let server = sandbox.repository("server");
    server.git(&["switch", "--quiet", "--orphan", "elsewhere"]);
    server.commit(".gitattributes", "list -merge\n", "Of something else");
    if has_named_it {
        server.set_config("core.worktree", &server.path().display().to_string());
    }
    server.install_hook("pre-receive", "exec git-deploy-hook pre-receive");
    let (scene, ada) = guarded_on(sandbox, server);
    for repo in [&scene.server, &scene.repo] {
        repo.set_config("deploy.base", "master");
        repo.set_config("merge.takes.driver", &format!("pwd >>'{}'; cp %B %A", seen.display()));
    }
    scene.repo.commit(".gitattributes", "list merge=takes\n", "Say how it is merged");
    let tip = rebased(&scene, &ada);
    fs::remove_file(&seen).expect("the driver has written it");
    scene.claimed("deployment-0001", &tip);
    let seen = fs::read_to_string(&seen).expect("the driver has written it");
    assert!(seen.lines().all(|place| !Path::new(place).starts_with(scene.server.path())), "{seen}");
}

#[test]
fn on_a_server_that_names_a_work_tree_no_driver_runs_there() {
    let sandbox = sandbox!();
    runs_a_driver_outside(&sandbox, true);
}

#[test]
fn on_a_server_with_a_work_tree_no_driver_runs_in_the_repository() {
    // Git takes that for the work tree then.
    let sandbox = sandbox!();
    runs_a_driver_outside(&sandbox, false);
}

#[test]
fn where_it_cannot_be_read_who_may_nobody_may() {
    let sandbox = sandbox!();
    let (scene, ada) = guarded(&sandbox);
    let approved = signed(&scene, &ada);
    scene.repo.commit("deploy.toml", "[aprove]\n", "Mistype");
    let path = scene.repo.path().display().to_string();
    scene.server.git(&["fetch", "--quiet", &path, "master:master"]);
    refuses_claim(&scene, &approved, "is not approved: the 'deploy.toml' on base cannot be read: ");
}
