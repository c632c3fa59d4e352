//! A decision that is made while a deployment is on its way is heard, or it is said that it came too late.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Format, left_out, sandbox};

use crate::moment::{Moment, colleague, inside, landed_once, nothing_landed};

/// What `git deploy-init` sets up.
const STATES: &str = "+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*";

#[test]
fn a_plain_fetch_during_a_deployment_loses_nobodys_decision() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("one", "one.txt", "1\n");
    let two = shop.deployable("two", "two.txt", "2\n");
    let three = shop.branch("three", "three.txt", "3\n");
    let other = colleague(&shop);
    shop.repo.git(&["config", "--add", "remote.origin.fetch", STATES]);
    let decide =
        inside(&other, "git deploy-state set development two && git deploy-state set deployable three");
    let fetch = inside(&shop.repo, "git fetch --quiet");
    let moment = Moment::after_phase(&shop, "verified", &format!("{decide} && {fetch}"));
    shop.deploy(&["one"]).success();
    moment.has_come();
    let notes = shop.authority().notes();
    assert!(notes[&two].starts_with("state: development\n"), "{notes:#?}");
    assert!(notes[&three].starts_with("state: deployable\n"), "{notes:#?}");
    shop.deploy(&[]).success().stdout_contains("Successfully Deployed");
    landed_once(&shop, "three");
    assert_eq!(shop.state("two"), "development");
    shop.deploy(&[]).success().stderr_contains("the queue is empty");
}

#[test]
fn a_withdrawal_that_is_published_before_the_claim_of_a_rebased_branch_is_heard() {
    let shop = Shop::with_remote(&sandbox!());
    let approved = shop.deployable("login", "login.txt", "hello\n");
    let base = shop.on_master("other.txt", "other\n");
    let withdraw = inside(&colleague(&shop), "git deploy-state set development login");
    let moment = Moment::before_claim(&shop, &withdraw);
    shop.deploy(&[]).success().stderr_contains("the queue is empty");
    moment.has_come();
    nothing_landed(&shop, &base);
    assert_eq!(shop.authority().id("login"), approved, "whoever withdrew it finds it as it was");
    assert_eq!(shop.state("login"), "development");
}

#[test]
fn a_withdrawal_before_the_claim_of_a_rebased_branch_is_heard_without_a_remote() {
    if Format::of_run().reftable {
        left_out!("where one ref in a table is locked all are, so nobody can withdraw at that moment");
    }
    let shop = Shop::alone(&sandbox!());
    let approved = shop.deployable("login", "login.txt", "hello\n");
    let base = shop.on_master("other.txt", "other\n");
    let withdraw = inside(&shop.repo, "git deploy-state set development login");
    let moment = Moment::prepared(&shop.repo, "refs/deploy/lock/env/demo", &withdraw);
    shop.deploy(&[]).success().stderr_contains("the queue is empty");
    moment.has_come();
    nothing_landed(&shop, &base);
    assert_eq!(shop.repo.id("login"), approved);
    assert_eq!(shop.state("login"), "development");
}

#[test]
fn a_note_that_is_copied_over_an_approval_before_the_claim_of_a_rebased_branch_approves_nothing() {
    if Format::of_run().reftable {
        left_out!("where one ref in a table is locked all are, so nobody can write notes at that moment");
    }
    let shop = Shop::alone(&sandbox!());
    let approved = shop.deployable("login", "login.txt", "hello\n");
    let base = shop.on_master("other.txt", "other\n");
    let note =
        shop.repo.notes()[&approved].replace(&format!("approved: {approved}"), &format!("approved: {base}"));
    let copied = shop.repo.path().with_extension("copied");
    std::fs::write(&copied, note).unwrap();
    let copy = format!("git notes --ref=deploy add --force --file='{}' login", copied.display());
    let moment = Moment::prepared(&shop.repo, "refs/deploy/lock/env/demo", &inside(&shop.repo, &copy));
    shop.deploy(&[]).success().stderr_contains("the queue is empty");
    moment.has_come();
    nothing_landed(&shop, &base);
    assert_eq!(shop.state("login"), "development");
}

#[test]
fn a_withdrawal_in_the_same_repository_during_the_rebase_check_is_heard() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("login", "login.txt", "hello\n");
        let base = shop.on_master("other.txt", "other\n");
        let sandbox = shop.repo.sandbox();
        let git = sandbox.run("sh", &["-c", "command -v git"]).line().to_owned();
        let came = sandbox.root().join("came");
        let withdraw = inside(&shop.repo, "git deploy-state set development login");
        sandbox.add_program(
            "git",
            &format!(
                "#!/bin/sh\n\
                 case \" $* \" in *' rev-list '*|*' merge-tree '*)\n  \
                     [ -e '{came}' ] || {{ : >'{came}'; {withdraw} >'{log}' 2>&1 </dev/null; }} ;;\n\
                 esac\n\
                 exec '{git}' \"$@\"\n",
                came = came.display(),
                log = came.with_extension("log").display(),
            ),
        );
        // Behind `git` the real one would be found first.
        let output = shop.repo.command("git-deploy").output();
        let said = std::fs::read_to_string(came.with_extension("log")).unwrap();
        assert!(said.contains("deployable -> development"), "{said}");
        output.success().stderr_contains("the queue is empty");
        nothing_landed(&shop, &base);
        assert_eq!(shop.state("login"), "development");
    }
}

#[test]
fn broken_is_never_written_over_a_withdrawal() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let base = shop.on_master("login.txt", "other\n");
    let withdraw = inside(&colleague(&shop), "git deploy-state set development login");
    let moment = Moment::before_push(&shop, "refs/notes/deploy", &withdraw);
    shop.deploy(&[]);
    moment.has_come();
    nothing_landed(&shop, &base);
    assert_eq!(shop.state("login"), "development");
    // The conflict goes away: what was withdrawn does not come back by itself.
    shop.repo.git(&["rm", "--quiet", "login.txt"]);
    let base = shop.on_master("other.txt", "other\n");
    for _ in 0..2 {
        shop.deploy(&[]).success().stderr_contains("the queue is empty");
    }
    nothing_landed(&shop, &base);
    assert_eq!(shop.state("login"), "development");
}

#[test]
fn a_branch_that_is_withdrawn_during_the_claim_is_not_landed_for_another_on_the_same_commit() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let base = shop.authority().id("master");
    shop.repo.git(&["branch", "same", "login"]);
    shop.push(&["same"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "same"]);
    let withdraw = inside(&colleague(&shop), "git deploy-state set development login");
    let moment = Moment::after_phase(&shop, "claimed", &withdraw);
    shop.deploy(&["login"]).code_is(1).stdout_contains("'login' was set to development");
    moment.has_come();
    assert!(shop.tag("deployment-0001").contains("Result: aborted\n"), "{}", shop.tag("deployment-0001"));
    nothing_landed(&shop, &base);
    assert_eq!(shop.state("login"), "development");
}

#[test]
fn a_withdrawal_from_a_clone_that_was_told_no_states_is_heard() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let fresh = shop.authority().clone_to("fresh");
    fresh.deploy("deploy-state", &["set", "development", "login"]);
    shop.deploy(&[]).success().stderr_contains("the queue is empty");
    assert_eq!(shop.state("login"), "development");
}

#[test]
fn a_branch_on_hold_is_refused_by_name() {
    let shop = Shop::alone(&sandbox!());
    let tip = shop.deployable("login", "login.txt", "hello\n");
    let base = shop.repo.id("master");
    let note = format!("{}hold: until the holidays are over\n", shop.repo.notes()[&tip]);
    let add = ["notes", "--ref=deploy", "add", "--force", "--message", &note, &tip];
    shop.repo.git(&add);
    shop.deploy(&["login"]).code_is(1).stderr_contains("until the holidays are over");
    shop.deploy(&[]).success();
    nothing_landed(&shop, &base);
    assert_eq!(shop.state("login"), "deployable");
    assert_eq!(shop.repo.tip("refs/deploy/attempts/deployment-0001"), None);
}
