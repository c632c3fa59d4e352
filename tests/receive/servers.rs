//! The hook as servers run it: over ssh, from the quarantine, with other ids, against hostile names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use git_deploy_testkit::{SshServer, sandbox, skip};

use crate::scene::{Scene, verdict};

/// Every file of a repository, with its size.
fn files(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).expect("a folder can be read") {
            let path = entry.expect("a folder can be read to its end").path();
            let size = fs::symlink_metadata(&path).expect("it was just listed").len();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path.display().to_string(), if path.is_dir() { 0 } else { size });
        }
    }
    found
}

#[test]
fn of_a_refused_push_nothing_stays_and_judging_writes_nothing() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.approved();
    let before = files(scene.server.path());
    let commit = scene.repo.commit("a", "a\n", "Hurry");
    scene.note(&commit, "state: deployed");
    scene.refuses(&["master", "refs/notes/deploy"], "base moves only when a deployment lands");
    assert_eq!(scene.server.tip(&format!("{commit}^{{commit}}")), None);
    assert_eq!(files(scene.server.path()), before);
    scene.server.fsck();
}

#[test]
fn a_server_with_long_ids_judges_alike() {
    let sandbox = sandbox!();
    let made = ["server", "shop"].map(|name| sandbox.sha256_repository(name));
    let [Some(server), Some(repo)] = made else { skip!("this git has no sha256") };
    server.set_config("core.bare", "true");
    let server = sandbox.open("server/.git");
    let scene = Scene::with(server, repo);
    let commit = scene.approved();
    assert_eq!(commit.len(), 64);
    scene.repo.commit("a", "a\n", "Hurry");
    scene.refuses(&["master"], "base moves only when a deployment lands");
    scene.note(&commit, "state: deployed");
    scene.refuses(&["refs/notes/deploy"], "says 'state: deployed'");
    scene.repo.git(&["update-ref", "refs/notes/deploy", "refs/notes/deploy~"]);
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let tag = claim.tagged("success");
    scene.takes(&["--atomic", &claim.base(), &tag, &claim.finished("success"), "refs/notes/deploy"]);
}

#[test]
fn who_says_that_a_push_is_one_of_git_deploys_own_is_judged_all_the_same() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    scene.repo.commit("a", "a\n", "Hurry");
    let push = scene.repo.command("git").args(["push", "origin", "master"]).env("GIT_DEPLOY_WITHIN", "1");
    push.output().code_is(1).stderr_contains("base moves only when a deployment lands");
}

#[test]
fn an_object_that_a_pushed_ref_replaces_is_read_as_it_is() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.approved();
    let claim = scene.claimed("deployment-0001", &commit);
    let (real, forged) = (scene.server.id("refs/deploy/attempts/deployment-0001"), claim.at("verified", ""));
    scene.takes(&[&format!("{forged}:refs/heads/forged")]);
    scene.server.git(&["update-ref", &format!("refs/replace/{real}"), &forged]);
    let tag = claim.tagged("success");
    scene.refuses(&[&claim.base(), &tag, &claim.finished("success")], "was claimed before this push");
}

#[test]
fn a_server_takes_no_replacements_and_lets_go_of_those_that_it_has() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let base = scene.server.id("refs/heads/master");
    let copy = scene.repo.git(&["commit-tree", "-p", &base, "-m", "Copy", &format!("{base}^{{tree}}")]);
    let copy = copy.line().to_owned();
    scene.takes(&[&format!("{copy}:refs/heads/copy")]);
    let name = format!("refs/replace/{base}");
    let words = "it would put one object in the place of another";
    scene.refuses(&[&format!("{copy}:{name}")], words);
    // As it was made before there was a hook.
    scene.server.git(&["update-ref", &name, &copy]);
    scene.refuses(&[&format!("+{}:{name}", scene.repo.commit("a", "a\n", "More"))], words);
    scene.refuses(&["master"], "base moves only when a deployment lands");
    scene.takes(&[&format!(":{name}")]);
}

#[test]
fn hostile_names_are_told_harmlessly() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let commit = scene.server.id("refs/heads/master");
    for name in ["deployment-$(touch x)", "deployment-'\"", "deployment-\u{202e}gpj"] {
        let name = format!("refs/tags/{}", name.replace(' ', ""));
        let said = scene.push(&[&format!("HEAD:{name}")]);
        said.code_is(1).stderr_contains("keeps such names free");
        assert!(!said.stderr.lines().any(|line| line.starts_with("remote:") && line.contains('\u{202e}')));
    }
    let message = verdict(&commit, "failure").replace("Result: failure", "Result: \u{1b}[31m\u{7}\rfailed");
    scene.tag("deployment-0001", &commit, &message);
    let said = scene.push(&["deployment-0001"]);
    said.code_is(1).stderr_contains("is no value for 'Result:'").lacks("\u{1b}[31m").lacks("\u{7}");
}

#[test]
fn names_that_git_could_take_for_others_are_refused() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let places = ["refs/heads/", "refs/tags/", "refs/remotes/", "refs/"];
    for place in places {
        for name in ["refs/heads/master", "refs/notes/deploy", "refs/tags/deployment-0002"] {
            scene.refuses(&[&format!("HEAD:{place}{name}")], "keeps such names free");
        }
    }
    // On a disk that does not tell them apart the first one would be a deployment's.
    for name in
        ["refs/tags/Deployment-0005", "refs/tags/DEPLOY-hotfix-1", "refs/notes/Deploy", "refs/Deploy/hold"]
    {
        scene.refuses(&[&format!("HEAD:{name}")], "keeps such names free");
    }
    scene.refuses(&["HEAD:refs/heads/HEAD"], "keeps such names free");
    scene.takes(&["HEAD:refs/heads/heads/master", "HEAD:refs/heads/a/refs/b"]);
    scene.server.git(&["update-ref", "refs/heads/refs/heads/old", "HEAD"]);
    scene.server.git(&["update-ref", "refs/tags/Deployment-0006", "HEAD"]);
    scene.takes(&[":refs/heads/refs/heads/old", ":refs/tags/Deployment-0006"]);
}

#[test]
fn a_real_ssh_server_refuses_and_takes_in_the_same_words() {
    let sandbox = sandbox!();
    let scene = Scene::new(&sandbox);
    let Some(sshd) = SshServer::start(&sandbox) else { skip!("sshd is not installed") };
    sshd.serve(&scene.server, &scene.repo);
    let user = sshd.user();
    let commit = scene.approved();
    let hotfix = scene.repo.commit("a", "a\n", "Close the hole");
    scene.refuses(&["master"], "base moves only when a deployment lands");
    let claim = scene.verified("deployment-0001", &commit);
    claim.note_deployed();
    let tag = claim.tagged("success");
    scene.takes(&["--atomic", &claim.base(), &tag, &claim.finished("success"), "refs/notes/deploy"]);
    scene.refuses(&[":refs/tags/deployment-0001"], "it is never deleted");

    // Over ssh the server knows who pushes, whatever the client says.
    scene.repo.git(&["switch", "--quiet", "--detach", &commit]);
    scene.repo.git(&["cherry-pick", &hotfix]);
    scene.tag("deploy-hotfix-1", "HEAD", "The login takes any password.\n");
    scene.server.git(&["config", "deploy.hotfix", "ada"]);
    let push = ["push", "--atomic", "origin", "HEAD:refs/heads/master", "deploy-hotfix-1"];
    let said = scene.repo.command("git").args(push).env("LOGNAME", "ada").output();
    said.code_is(1).stderr_contains(&format!(
        "remote: error: cannot take 'refs/heads/master': '{user}' may push no hotfix here"
    ));
    scene.server.git(&["config", "deploy.hotfix", user]);
    scene.repo.git(&push);
    assert_eq!(scene.server.id("refs/heads/master"), scene.repo.id("HEAD"));

    // Where all use one account a key may say whose it is.
    let root = sandbox.root();
    let key = fs::read_to_string(root.join("key.pub")).unwrap();
    let command = "PUSHER=ada exec git-shell -c \\\"$SSH_ORIGINAL_COMMAND\\\"";
    fs::write(root.join("authorized_keys"), format!("command=\"{command}\",restrict {key}")).unwrap();
    scene.server.git(&["config", "deploy.pusher", "PUSHER"]);
    let commit = scene.repo.commit("a", "b\n", "Close another one");
    scene.tag("deploy-hotfix-2", &commit, "Still open.\n");
    let push = ["push", "--atomic", "origin", "HEAD:refs/heads/master", "deploy-hotfix-2"];
    let said = scene.repo.command("git").args(push).env("PUSHER", user).output();
    said.code_is(1).stderr_contains("'ada' may push no hotfix here");
    scene.server.git(&["config", "deploy.hotfix", "ada"]);
    scene.repo.git(&push);
}
