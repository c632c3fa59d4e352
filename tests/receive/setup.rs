//! How the hook gets into a server's repository, and out of it.

use std::fs;

use git_deploy_testkit::sandbox;

#[test]
fn the_hook_is_installed_only_where_it_was_asked_for() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    bare.deploy("deploy-init", &[]);
    assert!(!bare.path().join("hooks/pre-receive").exists());
    bare.deploy("deploy-init", &["--server"]);
    let installed = fs::read_to_string(bare.path().join("hooks/pre-receive")).unwrap();
    assert!(installed.contains("git-deploy-hook pre-receive"), "{installed}");
    bare.deploy("deploy-init", &["--server"]).stdout_is("nothing to do: this repository is set up\n");
    bare.deploy("deploy-init", &["--remove"]).stdout_contains("removed hook 'hooks/pre-receive'");
    assert!(!bare.path().join("hooks/pre-receive").exists());

    let repo = sandbox.repository("shop");
    repo.try_deploy("deploy-init", &["--server"])
        .code_is(128)
        .stderr_contains("this repository has a work tree")
        .stderr_contains("hint: ");
    assert!(!repo.path().join("deploy.toml").exists());
}

#[test]
fn a_head_that_does_not_go_with_base_is_told_with_what_to_do() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    let head = |name: &str| bare.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{name}")]);
    bare.deploy("deploy-init", &["--server"]).lacks("HEAD");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "origin", "master", "master:trunk"]).is_silent();
    bare.deploy("deploy-init", &["--server"]).lacks("HEAD");
    head("main");
    bare.deploy("deploy-init", &["--server"])
        .stderr_contains("warning: HEAD names 'main', which is not there: ")
        .stderr_contains("hint: if another one is base: git symbolic-ref HEAD refs/heads/<branch>");
    bare.git(&["config", "deploy.base", "master"]);
    bare.deploy("deploy-init", &["--server"])
        .stderr_contains("warning: HEAD names 'main', which is not there, and base is 'master' here: ")
        .stderr_contains("hint: git symbolic-ref HEAD refs/heads/master")
        .lacks("git config deploy.base");
    head("trunk");
    bare.deploy("deploy-init", &["--server"])
        .stderr_contains("warning: HEAD names 'trunk', and base is 'master' here: ")
        .stderr_contains("hint: or, if branches land on 'trunk': git config deploy.base trunk");
    head("master");
    bare.deploy("deploy-init", &["--server"]).lacks("HEAD");
}

#[test]
fn a_hook_of_an_earlier_version_is_upgraded_also_by_a_plain_init() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    bare.deploy("deploy-init", &["--server"]);
    let path = bare.path().join("hooks/pre-receive");
    let ours = fs::read(&path).unwrap();
    let earlier = "#!/bin/sh\n# earlier\n";
    fs::write(&path, earlier).unwrap();
    let digest =
        bare.command("git").args(["hash-object", "--stdin"]).stdin(earlier).output().line().to_owned();
    let record = bare.path().join("deploy/init");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, format!("{text}hook {digest}\t{}\n", path.display())).unwrap();
    bare.deploy("deploy-init", &[]).stdout_contains("upgraded hook 'hooks/pre-receive'");
    assert_eq!(fs::read(&path).unwrap(), ours);
}

#[test]
fn a_hook_that_is_there_keeps_its_bytes_and_works_beside_ours() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    bare.install_hook("pre-receive", "cat >seen");
    let path = bare.path().join("hooks/pre-receive");
    let before = fs::read_to_string(&path).unwrap();
    let told = bare.try_deploy("deploy-init", &["--server"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    if sandbox.runs_configured_hooks() {
        told.success();
    } else {
        told.code_is(1).stderr_contains("was left as it is");
        let line =
            told.lines().into_iter().find(|line| line.contains("git-deploy-hook pre-receive")).unwrap();
        bare.install_hook("pre-receive", &format!("{line}\ncat >seen"));
    }
    bare.deploy("deploy-init", &["--server"]).stdout_is("nothing to do: this repository is set up\n");
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    let commit = repo.commit("a", "a\n", "Begin");
    repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
    assert!(bare.read("seen").contains(&commit));
    repo.try_git(&["push", "origin", ":master"]).code_is(1).stderr_contains("it is never deleted");
    let removed = bare.deploy("deploy-init", &["--remove"]);
    if sandbox.runs_configured_hooks() {
        removed.stdout_contains("removed 'hook.git-deploy-pre-receive.command' from the configuration");
    } else {
        removed.stderr_contains("take out its line");
    }
}

#[test]
fn a_server_that_has_lost_git_deploy_takes_nothing_and_says_so() {
    let sandbox = sandbox!();
    let bare = sandbox.bare("origin.git");
    bare.deploy("deploy-init", &["--server"]);
    let repo = sandbox.repository("shop");
    repo.add_remote("origin", &bare);
    repo.commit("a", "a\n", "Begin");
    let push = ["push", "origin", "master"];
    repo.command("git")
        .args(push)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .code_is(1)
        .stderr_contains(
            "remote: error: nothing can be pushed here: the server does not find 'git-deploy-hook'",
        )
        .stderr_contains("remote: hint: ");
    assert!(bare.refs().is_empty());
    repo.git(&push);
}
