//! Base moves as a landing moves it, or by what the server lists.

use git_deploy_testkit::sandbox;

use crate::scene::{BRANCH, Claim, Scene};

#[test]
fn base_moves_with_the_tag_of_a_deployment_that_was_claimed_and_verified() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let tag = claim.tagged("success");
    let landing = [claim.base(), tag, claim.finished("success"), "refs/notes/deploy".to_owned()];
    scene.takes(&[&["--atomic"], &landing.each_ref().map(String::as_str)[..]].concat());
    assert_eq!(scene.server.id("refs/heads/master"), commit);
}

#[test]
fn nobody_pushes_to_base_past_the_queue() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.repo.commit("a", "a\n", "Hurry");
    scene.refuses(&["master"], "base moves only when a deployment lands");
    scene.refuses(&[":refs/heads/master"], "it is never deleted");
    scene.repo.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    scene.repo.git(&["commit", "--quiet", "--amend", "--message", "Rewrite"]);
    scene.refuses(&["--force", "master"], "it moves only forward");
}

#[test]
fn a_tag_alone_lands_nothing() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = Claim::new(&scene, "deployment-0001", &commit);
    let (base, tag) = (claim.base(), claim.tagged("success"));
    scene.refuses(&[&base, &tag], "deployment-0001 was never claimed here");
    // A claim that comes with the push grants nothing, whatever it says.
    let attempt = claim.finished("success");
    scene.refuses(&[&base, &tag, &attempt], "deployment-0001 was never claimed here");
    let failed = claim.tagged("failure");
    scene.refuses(&[&base, &failed], "base moves only when a deployment lands");
    scene.repo.git(&["tag", "--force", "deployment-0001", &commit]);
    scene.refuses(&[&base, &tag], "it is no annotated tag");
}

#[test]
fn what_was_claimed_for_another_commit_or_another_base_lands_nothing() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    let tag = claim.tagged("success");
    let finished = claim.finished("success");
    scene.refuses(&[&claim.base(), &tag, &finished], "has to be verified");

    scene.repo.switch("login");
    let other = Claim::new(&scene, "deployment-0001", &scene.repo.commit("more", "x\n", "More"));
    scene.tag("deployment-0001", &other.commit, &crate::scene::verdict(&other.commit, "success"));
    scene.refuses(&[&other.base(), &tag, &finished], "deployment-0001 was claimed for");
}

#[test]
fn a_claim_is_made_upon_base_as_it_stands() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let (commit, base) = (scene.approved(), scene.server.id("refs/heads/master"));
    let mut claim = Claim::new(&scene, "deployment-0001", &commit);
    claim.text = claim.text.replace(&format!("base: {base}"), &format!("base: {commit}"));
    scene.refuses(&[&claim.moved("claimed")], "deployment-0001 was claimed for base at '");
    scene.claimed("deployment-0001", &commit);
}

#[test]
fn each_step_on_the_way_to_base_stood_there_before_the_next_one() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    scene.note(&commit, &format!("state: deployable\nref: {BRANCH}\nrev: 1\ndeployment: deployment-0001"));
    let leap = [&claim.moved("verified"), "refs/notes/deploy"];
    scene.refuses(&leap, "was not being applied before this push");
    let landing = [claim.base(), claim.tagged("success"), claim.finished("success")];
    let landing = landing.each_ref().map(String::as_str);
    scene.refuses(&landing, "was claimed before this push, and has to be verified");
    scene.takes(&[&claim.moved("applying"), "refs/notes/deploy"]);
    scene.refuses(&landing, "was applying before this push, and has to be verified");
    scene.takes(&[&claim.moved("verified")]);
    scene.takes(&landing);
}

#[test]
fn an_approval_that_comes_with_the_push_counts_for_nothing() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.repo.git(&["switch", "--quiet", "-c", "login", "master"]);
    let commit = scene.repo.commit("login", "in\n", "Log in");
    scene.takes(&["login"]);
    // Nobody has approved it: it cannot even be claimed.
    let claim = Claim::new(&scene, "deployment-0001", &commit);
    let claimed = claim.moved("claimed");
    scene.refuses(&[&claimed], "no note has '");
    for other in ["state: staged\nref: refs/heads/login", "state: deployable\nref: refs/heads/other"] {
        scene.note(&commit, other);
        scene.refuses(&[&claimed, "refs/notes/deploy"], "deployable for 'login'");
    }
    scene.repo.git(&["update-ref", "-d", "refs/notes/deploy"]);
    // As it was claimed before the server judged that.
    scene.takes(&[&format!("{}:refs/heads/claimed", claim.at("claimed", ""))]);
    let [claimed, attempt] = ["refs/heads/claimed", "refs/deploy/attempts/deployment-0001"];
    scene.server.git(&["update-ref", attempt, claimed]);
    scene.refuses(&[&claim.moved("applying")], "does not say that it is on its way");
    scene.refuses(&[&claim.moved("verified")], "was not being applied before this push");
    scene.note(&commit, &format!("state: deployable\nref: {BRANCH}\nrev: 1\ndeployment: deployment-0001"));
    let words = "no note of before this push has";
    scene.refuses(&[&claim.moved("applying"), "refs/notes/deploy"], words);
    scene.repo.git(&["update-ref", "-d", "refs/notes/deploy"]);
    scene.note(&commit, &format!("state: staged\nref: {BRANCH}\nrev: 1\ndeployment: deployment-0001"));
    scene.refuses(&[&claim.moved("applying"), "refs/notes/deploy"], "says 'deployment: deployment-0001'");
    scene.note(&commit, "state: deployable\nref: refs/heads/other\nrev: 1\ndeployment: deployment-0001");
    scene.refuses(&["refs/notes/deploy"], "says 'deployment: deployment-0001'");
    // With the landing itself it comes too late.
    scene.note(&commit, &format!("state: deployable\nref: {BRANCH}\nrev: 1"));
    let tag = claim.tagged("success");
    scene.refuses(
        &[&claim.base(), &tag, &claim.finished("success"), "refs/notes/deploy"],
        "has to be verified",
    );
}

#[test]
fn a_withdrawal_holds_before_it_is_on_its_way_and_comes_too_late_after_that() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.verified("deployment-0001", &commit);
    let withdrawn = format!("state: development\nref: {BRANCH}\nrev: 2\ndeployment: deployment-0001");
    scene.note(&commit, &withdrawn);
    scene.takes(&["refs/notes/deploy"]);
    let tag = claim.tagged("success");
    claim.note_deployed();
    scene.takes(&[&claim.base(), &tag, &claim.finished("success"), "refs/notes/deploy"]);
}

#[test]
fn a_base_without_deploy_toml_moves_by_the_push_that_brings_one() {
    let sandbox = sandbox!();
    let (server, repo) = (sandbox.bare("origin.git"), sandbox.repository("shop"));
    server.deploy("deploy-init", &["--server"]);
    repo.add_remote("origin", &server);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    repo.commit("a", "b\n", "Go on");
    let scene = Scene { server, repo };
    scene.refuses(&["master"], "base has no 'deploy.toml' yet");
    scene.repo.commit("deploy.toml", "enviroment = 1\n", "Mistype");
    scene.refuses(&["master"], "its first 'deploy.toml' cannot be read");
    scene.repo.commit("deploy.toml", "", "Set up git-deploy");
    scene.takes(&["master"]);
    scene.repo.commit("a", "c\n", "Go on");
    scene.refuses(&["master"], "base moves only when a deployment lands");
}

#[test]
fn who_is_listed_by_the_server_pushes_a_hotfix_and_leaves_a_trace() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.repo.commit("a", "a\n", "Close the hole");
    let hotfix = |name: &str| {
        let push = ["push", "--atomic", "origin", "master", "deploy-hotfix-1"];
        scene.repo.command("git").args(push).env("LOGNAME", name).output()
    };
    // The sign of will is a tag that says why.
    scene.server.git(&["config", "--add", "deploy.hotfix", "ada"]);
    scene.refuses(&["master"], "base moves only when a deployment lands");
    scene.repo.git(&["tag", "deploy-hotfix-1"]);
    hotfix("ada").code_is(1).stderr_contains("cannot take 'refs/tags/deploy-hotfix-1': it cannot be read");
    scene.tag("deploy-hotfix-1", &commit, "The login takes any password.\n");
    hotfix("eve").code_is(1).stderr_contains("'eve' may push no hotfix here");
    hotfix("").code_is(1).stderr_contains("this server does not know who pushes");
    scene.refuses(&["deploy-hotfix-1"], "it comes only together with the move of base");
    hotfix("ada").success();
    assert_eq!(scene.server.id("refs/heads/master"), commit);
    scene.refuses(&[":refs/tags/deploy-hotfix-1"], "it is never deleted");
    scene.tag("deploy-hotfix-1", "HEAD~", "Nothing happened.\n");
    scene.refuses(&["--force", "deploy-hotfix-1"], "it stands, and is never moved");
}

#[test]
fn nothing_that_is_pushed_lists_anybody_for_a_hotfix() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let config = "[hotfix]\nby = [\"ada\"]\n";
    let commit = scene.repo.commit("config", config, "List myself");
    scene.tag("deploy-hotfix-1", &commit, "Because I can.\n");
    let push = ["-c", "deploy.hotfix=ada", "push", "origin", "master", "deploy-hotfix-1"];
    sandbox.set_global_config("deploy.hotfix", "ada");
    let output = scene.repo.command("git").args(push).env("LOGNAME", "ada").output();
    output.code_is(1).stderr_contains("'ada' may push no hotfix here");
}

#[test]
fn the_variable_that_names_who_pushes_is_configured_by_the_server() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.server.git(&["config", "deploy.hotfix", "ada"]);
    scene.server.git(&["config", "deploy.pusher", "GL_USERNAME"]);
    let commit = scene.repo.commit("a", "a\n", "Close the hole");
    scene.tag("deploy-hotfix-1", &commit, "Urgent.\n");
    let push = ["push", "--atomic", "origin", "master", "deploy-hotfix-1"];
    let output = scene.repo.command("git").args(push).env("LOGNAME", "ada").output();
    output.code_is(1).stderr_contains("does not know who pushes");
    scene.repo.command("git").args(push).env("GL_USERNAME", "ada").output().success();
}

#[test]
fn another_name_of_base_moves_it_no_easier() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.server.git(&["symbolic-ref", "refs/heads/trunk", "refs/heads/master"]);
    scene.repo.commit("a", "a\n", "Hurry");
    scene.refuses(&["master:trunk"], "base moves only when a deployment lands");
    scene.takes(&["master:refs/heads/other"]);
    scene.approved();
    scene.server.git(&["symbolic-ref", "refs/heads/notes", "refs/notes/deploy"]);
    scene.refuses(&["--force", "master:notes"], "git-deploy has no ref of this name");
}

#[test]
fn nothing_is_taken_where_the_name_of_base_is_wrong() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    scene.takes(&[&claim.tagged("failure"), &claim.finished("failure")]);
    let hurry = scene.repo.commit("a", "a\n", "Hurry");
    scene.server.git(&["config", "deploy.base", "main"]);
    for name in ["master", "main", "other"] {
        let said = scene.push(&[&format!("{hurry}:refs/heads/{name}")]);
        said.code_is(1)
            .stderr_contains("takes none that it cannot judge")
            .stderr_contains("deployments stand here, and 'main', on which they land, does not")
            .stderr_contains("git config deploy.base <branch>");
    }
    scene.server.git(&["config", "deploy.base", "master"]);
    scene.takes(&[&format!("{hurry}:refs/heads/other")]);
}

#[test]
fn base_is_what_the_server_says_it_is() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.server.git(&["config", "deploy.base", "trunk"]);
    scene.repo.commit("a", "a\n", "Go on");
    scene.takes(&["master"]);
    scene.takes(&["master:refs/heads/trunk"]);
    scene.repo.commit("a", "b\n", "Go on");
    scene.refuses(&["master:refs/heads/trunk"], "base moves only when a deployment lands");
    // Where nothing is configured it is what clones take for it.
    scene.server.git(&["config", "--unset", "deploy.base"]);
    scene.server.git(&["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    scene.takes(&["master"]);
    scene.refuses(&["master:refs/heads/trunk"], "base moves only when a deployment lands");
}
