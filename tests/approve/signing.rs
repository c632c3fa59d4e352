//! What has to work: keys of all kinds, carried approvals, several branches.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git_deploy_testkit::{Repo, sandbox, scene, skip};

use crate::{Guarded, guard, is_next, note, value, waits};
use git_deploy_testkit::keys::{APPROVE, Key};

#[test]
fn an_approval_is_signed_in_one_line_of_the_note() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.branch("login");
    shop.set(&["deployable", "-m", "reviewed", "login"])
        .success()
        .stderr_is("         Set login: development -> deployable\n");
    assert!(
        value(&shop.repo, &commit, "approval").starts_with("ssh U1NIU0lH"),
        "{}",
        note(&shop.repo, &commit)
    );
    assert_eq!(value(&shop.repo, &commit, "message"), "reviewed");
    shop.is_next("login");
    shop.set(&["deployable", "login"]).success().stderr_is("note: 'login' is deployable already\n");
    shop.set(&["deployable", "--priority=3", "login"]).success();
    shop.is_next("login");
    assert_eq!(value(&shop.repo, &commit, "rev"), "2");
    shop.repo.deploy("deploy-state", &["list"]).lacks("not approved");
    // What only takes rights away needs nobody's key.
    shop.repo.set_config("user.signingKey", "/nowhere");
    shop.set(&["staged", "login"]).success();
    shop.set(&["development", "login"]).success();
    assert_eq!(value(&shop.repo, &commit, "approval"), "");
}

#[test]
fn who_may_not_approve_is_refused_at_once_with_what_to_do() {
    let shop = Guarded::new(sandbox!());
    let eve = Key::new(&shop.sandbox, "eve");
    let commit = shop.branch("login");
    eve.signs_in(&shop.repo);
    shop.set(&["deployable", "login"])
        .code_is(1)
        .stderr_contains(
            "cannot approve 'login': its approval does not hold: it is signed by nobody who may approve now",
        )
        .stderr_contains("hint: who may is listed in [approve] of base's deploy.toml");
    shop.repo.git(&["config", "--unset", "user.signingKey"]);
    shop.set(&["deployable", "login"])
        .code_is(128)
        .stderr_contains("cannot approve: ")
        .stderr_contains("hint: name your key, as for git: git config user.signingKey ");
    shop.repo.set_config("user.signingKey", "0123456789ABCDEF");
    shop.set(&["deployable", "login"])
        .code_is(128)
        .stderr_contains("if it is one: git config gpg.format openpgp\n");
    shop.repo.git(&["config", "--unset", "user.signingKey"]);
    shop.repo.set_config("gpg.format", "x509");
    shop.set(&["deployable", "login"]).code_is(128);
    assert_eq!(note(&shop.repo, &commit), "");
    shop.ada.signs_in(&shop.repo);
    shop.set(&["deployable", "login"]).success();
    shop.is_next("login");
}

#[test]
fn that_anybody_may_approve_is_told_once_where_it_can_be_changed() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("a.txt", "a\n", "Begin");
    let said =
        "whoever can push can approve what is deployed, unless [approve] in 'deploy.toml' says who may";
    repo.deploy("deploy-init", &[]).stderr_contains(&format!("note: {said}\n"));
    repo.deploy("deploy-init", &[]).lacks("approve");
    assert!(repo.read("deploy.toml").contains("\n#[approve]\n"));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let shop = Guarded::new(sandbox!());
    shop.approved("login");
    shop.repo.set_config("gpg.ssh.program", "no-ssh-keygen");
    waits(&shop.repo, "login", "cannot verify a signature: cannot run 'no-ssh-keygen'");
    shop.repo.deploy("deploy-state", &["list"]);
    shop.branch("logout");
    shop.set(&["deployable", "logout"])
        .code_is(128)
        .stderr_contains("cannot approve: cannot sign: cannot run 'no-ssh");
    shop.set(&["development", "login"]).success();
}

#[test]
fn without_rules_nothing_is_signed_and_nothing_is_asked() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("deploy.toml", "", "Begin");
    let commit = scene::branch(&repo, "login", "a.txt", "a\n");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    assert_eq!(value(&repo, &commit, "approval"), "");
    is_next(&repo, "login");
}

#[test]
fn a_key_in_an_agent_signs_by_its_public_half() {
    let shop = Guarded::new(sandbox!());
    let socket = shop.sandbox.root().join("agent").display().to_string();
    let agent = shop.sandbox.run("ssh-agent", &["-s", "-a", &socket]);
    let pid = agent
        .stdout
        .split("SSH_AGENT_PID=")
        .nth(1)
        .and_then(|rest| rest.split(';').next())
        .unwrap()
        .to_owned();
    let private = shop.ada.path.display().to_string();
    shop.repo.command("ssh-add").args(["-q", &private]).env("SSH_AUTH_SOCK", &socket).output().success();
    fs::remove_file(&shop.ada.path).unwrap();
    shop.branch("login");
    shop.branch("logout");
    for (name, key) in
        [("login", format!("key::{}", shop.ada.public())), ("logout", format!("{private}.pub"))]
    {
        shop.repo.set_config("user.signingKey", &key);
        let set = shop.repo.command("git").args(["deploy-state", "set", "deployable", name]);
        set.env("SSH_AUTH_SOCK", &socket).output().success();
        shop.repo.deploy("deploy-state", &["get", name]).stderr_is("");
    }
    shop.repo
        .command("ssh-agent")
        .arg("-k")
        .env("SSH_AUTH_SOCK", &socket)
        .env("SSH_AGENT_PID", pid)
        .output()
        .success();
}

#[test]
fn a_gpg_key_approves_by_its_fingerprint() {
    if !Path::new("/usr/bin/gpg").exists() {
        skip!("gpg is not installed");
    }
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    let home = sandbox.home().join(".gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
    for who in ["Ada <ada@example.org>", "Eve <eve@example.org>"] {
        sandbox.run(
            "gpg",
            &["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", who, "ed25519", "sign"],
        );
    }
    let listed = sandbox.run("gpg", &["--with-colons", "--list-keys", "ada@example.org"]);
    let print = listed
        .lines()
        .into_iter()
        .find_map(|line| line.strip_prefix("fpr:"))
        .unwrap()
        .trim_matches(':')
        .to_owned();
    repo.commit(
        "deploy.toml",
        &format!("[approve]\ngpg-fingerprints = [\"{}\"]\n", print.to_lowercase()),
        "Guard",
    );
    let commit = scene::branch(&repo, "login", "a.txt", "a\n");
    repo.set_config("user.signingKey", "eve@example.org");
    repo.try_deploy("deploy-state", &["set", "deployable", "login"])
        .code_is(1)
        .stderr_contains("nobody who may approve");
    repo.set_config("user.signingKey", "ada@example.org");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    assert!(value(&repo, &commit, "approval").starts_with("openpgp "), "{}", note(&repo, &commit));
    is_next(&repo, "login");
    // The public key is what it is verified with.
    let other = sandbox.home().join("other").display().to_string();
    fs::create_dir(&other).unwrap();
    let get = repo.command("git").args(["deploy-state", "get", "login"]).env("GNUPGHOME", &other).output();
    get.stderr_contains("is not in gpg's keyring here");
    sandbox.run("gpgconf", &["--kill", "all"]);
}

#[test]
fn an_approval_is_carried_by_every_rebase_of_the_clone() {
    let shop = Guarded::new(sandbox!());
    let approved = shop.approved("login");
    for round in ["one", "two", "three"] {
        // The commits may be signed, too, which says nothing about who may approve.
        shop.repo.set_config("commit.gpgSign", if round == "two" { "true" } else { "false" });
        shop.repo.commit(&format!("{round}.txt"), round, round);
        shop.repo.deploy("deploy-rebase", &[]);
        shop.is_next("login");
    }
    let tip = shop.repo.id("login");
    assert_ne!(tip, approved);
    assert_eq!(value(&shop.repo, &tip, "approved"), approved);
    // The old commit is kept for as long as the branch needs it.
    let kept = format!("refs/deploy/approved/{approved}");
    assert_eq!(shop.repo.id(&kept), approved);
    shop.repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    shop.repo.git(&["for-each-ref", "--format=delete %(refname)", "refs/deploy-sweeps/"]);
    shop.repo.git(&["gc", "--quiet", "--prune=now"]);
    shop.is_next("login");
    shop.set(&["development", "login"]).success();
    shop.repo.commit("four.txt", "four", "four");
    shop.set(&["staged", "login"]).success();
    shop.repo.deploy("deploy-rebase", &[]);
    assert_eq!(shop.repo.tip(&kept), None);
}

#[test]
fn another_committer_of_the_same_commits_changes_nothing() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.approved("login");
    shop.repo.switch("login");
    shop.repo.git(&["commit", "--quiet", "--amend", "--no-edit"]);
    let amended = shop.repo.id("login");
    shop.repo.switch("master");
    assert_ne!(amended, commit);
    let carried = format!("{}rebased-from: {commit}\n", note(&shop.repo, &commit));
    crate::write_note(&shop.repo, &amended, &carried);
    shop.is_next("login");
}

#[test]
fn several_branches_are_approved_at_once_also_on_one_commit() {
    let shop = Guarded::new(sandbox!());
    shop.branch("one");
    shop.branch("two");
    shop.repo.git(&["branch", "twin", "one"]);
    shop.set(&["deployable", "one", "two", "twin"]).success();
    for name in ["one", "two", "twin"] {
        shop.repo.deploy("deploy-state", &["get", name]).stdout_is("deployable\n").stderr_is("");
    }
    // Who leaves takes the signature along: it was given for both.
    shop.repo.git(&["config", "--unset", "user.signingKey"]);
    shop.set(&["development", "twin"]).success().stderr_contains(
        "warning: 'one' is not approved any more, and waits: what was signed was for the other branch, too\n\
         hint: who may approve does it again with: git deploy-state set deployable one\n",
    );
    shop.repo.deploy("deploy-state", &["get", "twin"]).stdout_is("development\n");
    waits(&shop.repo, "one", "nobody signed its approval");
    shop.ada.signs_in(&shop.repo);
    shop.set(&["deployable", "one"]).success();
    shop.repo.deploy("deploy-state", &["get", "one"]).stdout_is("deployable\n").stderr_is("");
    shop.set(&["development", "one"]).success().lacks("not approved any more");
}

#[test]
fn a_branch_that_waits_for_its_approval_lets_the_next_one_pass() {
    let shop = Guarded::new(sandbox!());
    let commit = shop.branch("evil");
    crate::write_note(&shop.repo, &commit, "state: deployable\nref: refs/heads/evil\npriority: 9\n");
    shop.approved("good");
    shop.approved("later");
    waits(&shop.repo, "evil", "nobody signed its approval");
    shop.is_next("good");
    shop.repo.deploy("deploy-queue", &[]).stdout_contains("behind 'good'");
    shop.repo.deploy("deploy-state", &["list"]).stdout_contains("not approved: nobody signed its approval");
    shop.set(&["deployable", "evil"]).success();
    shop.is_next("evil");
}

#[test]
fn listing_many_branches_starts_no_program_for_each() {
    let shop = Guarded::new(sandbox!());
    let names: Vec<String> = (0..20).map(|number| format!("b{number}")).collect();
    for name in &names {
        shop.branch(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    shop.set(&[&["deployable"], &names[..]].concat()).success();
    let counter = shop.sandbox.root().join("calls").display().to_string();
    let script = format!("#!/bin/sh\necho >>'{counter}'\nexec ssh-keygen \"$@\"\n");
    let program = shop.sandbox.add_program("counted", &script);
    shop.repo.set_config("gpg.ssh.program", &program.display().to_string());
    shop.repo.deploy("deploy-state", &["list"]);
    assert!(fs::read_to_string(&counter).is_err());
    shop.repo.deploy("deploy-queue", &[]);
    assert_eq!(fs::read_to_string(&counter).unwrap().lines().count(), 2);
}

#[test]
fn a_repository_with_long_ids_works_the_same() {
    let sandbox = sandbox!();
    let Some(repo) = sandbox.sha256_repository("shop") else { skip!("this git has no sha256") };
    let ada = Key::new(&sandbox, "ada");
    ada.signs_in(&repo);
    guard(&repo, &ada.line("ada@example.org", ""));
    let commit = scene::branch(&repo, "login", "a.txt", "a\n");
    repo.deploy("deploy-state", &["set", "deployable", "login"]);
    is_next(&repo, "login");
    repo.commit("b.txt", "b\n", "Go on");
    repo.deploy("deploy-rebase", &[]);
    assert_ne!(repo.id("login"), commit);
    is_next(&repo, "login");
}

/// A remote with the rules, and a clone of it.
fn team(sandbox: &git_deploy_testkit::Sandbox) -> (Repo, Repo, Key) {
    let ada = Key::new(sandbox, "ada");
    let seed = sandbox.repository("seed");
    guard(&seed, &ada.line("ada@example.org", "namespaces=\"git-deploy\" "));
    let remote = sandbox.bare("shop.git");
    seed.add_remote("origin", &remote);
    seed.git(&["push", "--quiet", "origin", "master"]);
    let clone = remote.clone_to("clone");
    ada.signs_in(&clone);
    (remote, clone, ada)
}

#[test]
fn a_rebase_that_is_pushed_keeps_the_approval_for_a_fresh_clone() {
    let sandbox = sandbox!();
    let (remote, clone, _) = team(&sandbox);
    clone.deploy("deploy-init", &[]);
    let approved = scene::branch(&clone, "login", "a.txt", "a\n");
    clone.git(&["push", "--quiet", "origin", "login"]);
    clone.deploy("deploy-state", &["set", "deployable", "login"]);
    clone.commit("b.txt", "b\n", "Go on");
    clone.git(&["push", "--quiet", "origin", "master"]);
    clone.deploy("deploy-rebase", &["login"]);
    clone.git(&["push", "--quiet", "--force", "origin", "login"]);
    let fresh = remote.clone_to("fresh");
    fresh.deploy("deploy-sync", &[]);
    assert_ne!(fresh.id("origin/login"), approved);
    is_next(&fresh, "login");
    // Where the approved commit is lost nothing is taken on trust.
    remote.git(&["update-ref", "-d", &format!("refs/deploy/approved/{approved}")]);
    remote.git(&["gc", "--quiet", "--prune=now"]);
    let fresh = remote.clone_to("fresher");
    fresh.deploy("deploy-sync", &[]);
    waits(&fresh, "login", "is not here, so that it cannot be compared");
}

#[test]
fn an_approval_goes_through_the_merge_of_two_clones() {
    let sandbox = sandbox!();
    let (remote, clone, _) = team(&sandbox);
    let other = remote.clone_to("other");
    other.set_config("deploy.publish", "false");
    for name in ["login", "search"] {
        scene::branch(&clone, name, &format!("{name}.txt"), "x\n");
        clone.git(&["push", "--quiet", "origin", name]);
    }
    other.deploy("deploy-sync", &[]);
    other.deploy("deploy-state", &["set", "staged", "search"]);
    clone.deploy("deploy-state", &["set", "deployable", "login"]);
    other.deploy("deploy-sync", &[]);
    clone.deploy("deploy-sync", &[]);
    is_next(&clone, "login");
    is_next(&other, "login");
    // A withdrawal by anybody holds everywhere.
    other.deploy("deploy-state", &["set", "development", "login"]);
    other.deploy("deploy-sync", &[]);
    clone.deploy("deploy-sync", &[]);
    clone.deploy("deploy-state", &["get", "login"]).stdout_is("development\n");
}

#[test]
fn a_list_that_is_not_there_lets_nobody_approve() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.commit("deploy.toml", APPROVE, "Guard");
    scene::branch(&repo, "login", "b.txt", "b\n");
    Key::new(&sandbox, "ada").signs_in(&repo);
    repo.try_deploy("deploy-state", &["set", "deployable", "login"]).code_is(1).stderr_contains(
        "cannot approve 'login': who may approve cannot be read: there is no file 'approvers' on base",
    );
}

#[test]
fn nobody_approves_without_knowing_who_may() {
    let repo = sandbox!().repository("shop");
    repo.commit("deploy.toml", "[approve]\n[approve]\n", "Break it");
    scene::branch(&repo, "login", "b.txt", "b\n");
    let output = repo.try_deploy("deploy-state", &["set", "deployable", "login"]);
    output
        .code_is(128)
        .stderr_contains("deploy.toml")
        .stderr_contains("hint: mend it there, and commit that");
    // Whoever is more careful needs no leave.
    repo.deploy("deploy-state", &["set", "staged", "login"]);
}
