//! What is deployed where base says who may approve: `git deploy` asks the same as the queue, and asks again.

mod ended;
mod rewritten;

use git_deploy_testkit::keys::Key;
use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, Sandbox, sandbox};

fn both() -> [Shop; 2] {
    let (one, other): (Sandbox, Sandbox) = (sandbox!(), sandbox!());
    Shop::both(&one, &other)
}

/// Says in a note of one's own that a branch may be deployed.
fn claim(shop: &Shop, branch: &str, further: &str) {
    let commit = shop.repo.id(branch);
    let text = format!("state: deployable\nref: refs/heads/{branch}\nrev: 1\napproved: {commit}\n{further}");
    write_note(&shop.repo, &commit, &text);
    if shop.remote.is_some() {
        shop.repo.git(&["push", "--quiet", "origin", "refs/notes/deploy"]);
        shop.repo.deploy("deploy-sync", &[]);
    }
}

fn write_note(repo: &Repo, commit: &str, text: &str) {
    let call = repo.command("git").args(["notes", "--ref=deploy", "add", "-f", "-F", "-", commit]);
    call.stdin(text).output().success();
}

#[test]
fn who_is_not_approved_is_not_taken_and_blocks_nobody() {
    for shop in both() {
        shop.guard();
        shop.branch("evil", "evil.txt", "x\n");
        claim(&shop, "evil", "priority: 9\n");
        shop.deploy(&[])
            .code_is(0)
            .stderr_contains("warning: cannot deploy 'evil': nobody signed its approval\n");
        shop.deploy(&["evil"])
            .code_is(1)
            .stderr_contains("error: cannot deploy 'evil': nobody signed its approval\n")
            .stderr_contains(
                "hint: somebody who may approves it with: git deploy-state set deployable evil\n",
            );
        shop.deploy(&["--json", "evil"]).stdout_contains("\"blame\":\"nobody\"");
        shop.deploy(&["--dry-run", "evil"]).code_is(1).stderr_contains("nobody signed its approval");
        shop.deployable("login", "login.txt", "hello\n");
        shop.deploy(&[]).success().stderr_contains("cannot deploy 'evil': nobody signed");
        assert_eq!((shop.state("login").as_str(), shop.state("evil").as_str()), ("deployed", "deployable"));
        shop.repo.deploy("deploy-state", &["set", "deployable", "evil"]);
        shop.deploy(&[]).success();
        assert_eq!(shop.state("evil"), "deployed");
        shop.is_sound();
    }
}

#[test]
fn an_approval_is_carried_by_the_runner_from_landing_to_landing() {
    for shop in both() {
        shop.guard();
        let names = ["one", "two", "three", "four"];
        for name in names {
            shop.deployable(name, &format!("{name}.txt"), "hello\n");
        }
        for name in names {
            shop.deploy(&[]).success().lacks("not approved");
            assert_eq!(shop.state(name), "deployed");
            shop.is_sound();
        }
        // What no branch needs any more is not kept.
        let refs = shop.authority().refs();
        assert!(!refs.keys().any(|name| name.contains("approved")), "{refs:#?}");
    }
}

#[test]
fn a_fresh_runner_compares_with_commits_that_no_branch_has_any_more() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.deployable("one", "one.txt", "hello\n");
    let approved = shop.deployable("two", "two.txt", "hello\n");
    shop.deploy(&[]).success();
    let kept = format!("refs/deploy/approved/{approved}");
    assert_eq!(shop.authority().tip(&kept), Some(approved.clone()));
    assert_ne!(shop.authority().id("two"), approved);
    let runner = shop.authority().clone_to("runner");
    runner.deploy("deploy", &[]).stderr_contains("Landing").lacks("not approved");
    assert_eq!(shop.authority().tip(&kept), None);
    shop.is_sound();
}

#[test]
fn a_branch_that_somebody_else_rebased_is_compared_with_what_was_approved() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    let approved = shop.deployable("login", "login.txt", "hello\n");
    shop.on_master("base.txt", "1\n");
    // An honest rebase, with a change.
    shop.repo.switch("login");
    shop.repo.git(&["rebase", "--quiet", "master"]);
    shop.repo.write("login.txt", "hello, all of you\n");
    shop.repo.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    let note = shop.repo.notes()[&approved].clone();
    let tip = shop.repo.id("login");
    shop.repo.switch("master");
    shop.repo.git(&["push", "--quiet", "--force", "origin", "login"]);
    write_note(&shop.repo, &tip, &format!("{note}root: {approved}\nrebased-from: {approved}\n"));
    shop.repo.git(&["push", "--quiet", "origin", "refs/notes/deploy"]);
    shop.deploy(&["login"])
        .code_is(1)
        .stderr_contains("it is not what a rebase makes of the approved commit");
    // Where the approved commit went with the branch it cannot be compared.
    shop.authority().git(&["gc", "--quiet", "--prune=now"]);
    let runner = shop.authority().clone_to("runner");
    runner
        .try_deploy("deploy", &["login"])
        .code_is(1)
        .stderr_contains("is not here, so that it cannot be compared");
    assert_eq!(shop.state("login"), "deployable");
    shop.is_sound();
}

#[test]
fn an_attempt_that_nobody_may_have_begun_is_not_continued() {
    for shop in both() {
        shop.guard();
        let evil = shop.branch("evil", "evil.txt", "x\n");
        shop.deployable("login", "login.txt", "hello\n");
        let base = shop.authority().id("master");
        for (phase, of) in [("verified", "branch: refs/heads/evil\n"), ("verified", ""), ("claimed", "")] {
            let text = format!(
                "deployment-0001: {phase}\n\nphase: {phase}\nenvironment: demo\n{of}candidate: {evil}\napproved: {evil}\n\
                 base: {base}\nstarted: 2026-11-20T12:00:00Z\nby: Eve <eve@example.org>\nrun: x\n"
            );
            let made = ["commit-tree", "master^{tree}", "-p", &evil, "-p", &base];
            let commit = shop.authority().command("git").args(made).stdin(text).output().line().to_owned();
            shop.authority().git(&["update-ref", "refs/deploy/attempts/deployment-0001", &commit]);
            for arguments in [&["--continue"][..], &[]] {
                shop.deploy(arguments)
                    .code_is(1)
                    .stderr_contains("deployment-0001 goes no further: ")
                    .stderr_contains("hint: ")
                    .stderr_contains("git deploy --abort");
            }
            assert_eq!(shop.authority().id("master"), base);
            shop.authority().git(&["update-ref", "-d", "refs/deploy/attempts/deployment-0001"]);
            let locks = shop.authority().git(&["for-each-ref", "--format=%(refname)", "refs/deploy/lock"]);
            for lock in locks.lines() {
                shop.authority().git(&["update-ref", "-d", lock]);
            }
        }
        shop.deploy(&[]).success();
        assert_eq!(shop.state("login"), "deployed");
    }
}

#[test]
fn a_deployment_that_another_run_began_is_continued_by_one_that_verifies_for_itself() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.deployable("login", "login.txt", "hello\n");
    shop.on_master("base.txt", "1\n");
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75);
    shop.authority().remove_hook("update");
    let runner = shop.authority().clone_to("runner");
    runner.deploy("deploy", &["--continue"]);
    assert_eq!(shop.state("login"), "deployable");
    shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(shop.state("login"), "deployed");
    shop.is_sound();
}

#[test]
fn who_was_taken_from_the_list_while_it_was_claimed_does_not_land() {
    let shop = Shop::with_remote(&sandbox!());
    shop.guard();
    shop.deployable("login", "login.txt", "hello\n");
    let eve = Key::new(shop.repo.sandbox(), "eve");
    shop.repo.commit("approvers", &eve.line("eve@example.org", ""), "Eve it is now");
    shop.push(&["master"]);
    shop.deploy(&[]).success().stderr_contains("it is signed by nobody who may approve now");
    assert_eq!(shop.state("login"), "deployable");
    eve.signs_in(&shop.repo);
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    shop.deploy(&[]).success();
    assert_eq!(shop.state("login"), "deployed");
}

#[test]
fn a_failure_ends_the_approval_of_all_that_the_candidate_was_made_from() {
    for shop in both() {
        shop.guard();
        let approved = shop.deployable("bad", "deploy/bad.yaml", "kind: Nonsense\n");
        let signed = shop.repo.notes()[&approved].clone();
        for name in ["one", "two"] {
            shop.on_master(&format!("{name}.txt"), "1\n");
            shop.deploy(&["--dry-run"]);
            shop.repo.deploy("deploy-rebase", &[]);
            if shop.remote.is_some() {
                shop.repo.git(&["push", "--quiet", "--force", "origin", "bad", "refs/notes/deploy"]);
            }
        }
        shop.deploy(&["bad"]).code_is(1);
        assert_eq!(shop.state("bad"), "staged");
        shop.repo.git(&["branch", "--force", "bad", &approved]);
        if shop.remote.is_some() {
            shop.repo.git(&["push", "--quiet", "--force", "origin", "bad"]);
        }
        assert_eq!(shop.state("bad"), "staged");
        write_note(&shop.repo, &approved, &signed);
        shop.deploy(&["bad"]).code_is(1).stderr_contains("its approval was withdrawn by decision 2");
    }
}
