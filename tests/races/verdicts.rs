//! Several who end the same deployment, or several deployments to end: there is one verdict for each, and everybody knows
//! it.

use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};
use git_deploy_testkit::{Repo, sandbox};

use crate::moment::{Moment, colleague, inside, landed_once};

/// What a clone knows of the ledger when it has asked for it.
fn ledger(repo: &Repo) -> String {
    repo.deploy("deploy-sync", &[]);
    repo.deploy("deploy-log", &["--porcelain"]).stdout
}

/// A deployment that failed while the remote took nothing after the claim, so that its verdict is only here.
fn with_a_verdict_kept_here() -> (Shop, String) {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    shop.deployable("latest", "deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", "nginx:latest"));
    let claimed = sandbox.root().join("claimed");
    let once = sandbox.add_program(
        "receive-once",
        &format!(
            "#!/bin/sh\n[ -e '{0}' ] && exit 1\n: >'{0}'\nexec git-receive-pack \"$@\"\n",
            claimed.display()
        ),
    );
    shop.repo.set_config("remote.origin.receivepack", &once.display().to_string());
    shop.deploy(&[]).code_is(1).stderr_contains("only here");
    shop.repo.git(&["config", "--unset", "remote.origin.receivepack"]);
    let tag = shop.repo.id("refs/tags/deployment-0001");
    (shop, tag)
}

#[test]
fn an_abort_that_the_remote_does_not_take_is_not_said_to_have_happened() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let other = colleague(&shop);
    shop.authority().install_hook("update", "case $1 in refs/heads/master | refs/tags/*) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75).stderr_contains("deployment-0001 is verified, not landed");
    shop.authority().install_hook("pre-receive", "echo closed >&2; exit 1");
    let output = shop.deploy(&["--abort"]);
    output.code_is(75).stderr_contains("closed");
    assert_eq!(output.stdout, "");
    shop.authority().remove_hook("pre-receive");
    shop.authority().remove_hook("update");
    other.deploy("deploy", &[]).stdout_contains("deployment-0001: Successfully Deployed");
    shop.deploy(&[]).success();
    assert_eq!(ledger(&shop.repo), ledger(&other));
    landed_once(&shop, "login");
}

#[test]
fn what_somebody_has_asked_to_end_in_vain_is_not_left_to_others_at_once() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let is_applying = "git cat-file -p \"$3\" | grep -q '^phase: applying' && exit 1";
    let hook = format!("case $1 in refs/deploy/attempts/*) {is_applying} ;; esac\nexit 0");
    shop.authority().install_hook("update", &hook);
    shop.deploy(&[]).code_is(75).stderr_contains("deployment-0001 stays where it is (claimed): ");
    shop.authority().install_hook("update", "case $1 in refs/tags/*) exit 1 ;; esac");
    let output = shop.deploy(&["--abort"]);
    output.code_is(75);
    let locks = shop.authority().git(&["for-each-ref", "refs/deploy/lock"]);
    assert_ne!(locks.stdout, "", "who asks again must be faster than the next runner: {output}");
    shop.authority().remove_hook("update");
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("to demo: aborted");
    assert_eq!(shop.authority().git(&["for-each-ref", "refs/deploy/lock"]).stdout, "");
}

#[test]
fn a_verdict_that_was_kept_here_and_is_synced_lets_others_go_on() {
    let (shop, _) = with_a_verdict_kept_here();
    let other = colleague(&shop);
    shop.repo.deploy("deploy-sync", &[]);
    shop.branch("next", "next.txt", "next\n");
    shop.repo.deploy("deploy-state", &["set", "deployable", "next"]);
    for _ in 0..2 {
        let output = other.try_deploy("deploy", &[]);
        assert!([Some(0), Some(1)].contains(&output.code), "{output}");
    }
    assert_eq!(ledger(&shop.repo), ledger(&other));
    assert_eq!(shop.repo.id("refs/tags/deployment-0001"), shop.authority().id("refs/tags/deployment-0001"));
    assert!(shop.tag("deployment-0001").contains("Result: failure\n"), "{}", shop.tag("deployment-0001"));
    assert_eq!(shop.state("latest"), "staged");
    landed_once(&shop, "next");
}

#[test]
fn a_sync_tells_of_no_tag_as_pushed_that_the_remote_has_not() {
    let (shop, _) = with_a_verdict_kept_here();
    let output = shop.repo.deploy("deploy-sync", &[]);
    let tag = shop.authority().tip("refs/tags/deployment-0001");
    assert_eq!(output.stderr.contains("Pushed tag 'deployment-0001'"), tag.is_some(), "{output}");
}

#[test]
fn a_verdict_that_was_kept_here_is_not_made_twice_by_an_abort() {
    let (shop, tag) = with_a_verdict_kept_here();
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("deployment-0001: Failed Deployment");
    assert_eq!(shop.repo.id("refs/tags/deployment-0001"), tag);
    assert_eq!(shop.authority().id("refs/tags/deployment-0001"), tag);
    assert!(shop.tag("deployment-0001").contains("Result: failure\n"), "{}", shop.tag("deployment-0001"));
    assert_eq!(ledger(&shop.repo), ledger(&colleague(&shop)));
    shop.is_sound();
}

#[test]
fn a_verdict_that_was_kept_here_and_is_synced_is_not_made_twice_by_an_abort() {
    let (shop, tag) = with_a_verdict_kept_here();
    shop.repo.deploy("deploy-sync", &[]);
    assert_ne!(shop.deploy(&["--abort"]).code, Some(0));
    assert_eq!(shop.repo.id("refs/tags/deployment-0001"), tag);
    assert_eq!(shop.authority().id("refs/tags/deployment-0001"), tag);
    assert_eq!(ledger(&shop.repo), ledger(&colleague(&shop)));
    shop.is_sound();
}

#[test]
fn a_tag_of_somebody_else_with_our_name_is_named_and_once_it_is_gone_continue_lands() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let moment = Moment::after_phase(&shop, "verified", "git tag deployment-0001 master");
    let output = shop.deploy(&[]);
    moment.has_come();
    output
        .code_is(128)
        .stderr_contains("tag 'deployment-0001' is there already")
        .stderr_contains("--continue");
    // It stays so until somebody does what is said there.
    let output = shop.deploy(&[]);
    output.code_is(128).stderr_contains("tag 'deployment-0001' is there already");
    for (command, place) in [("git tag -d", ""), ("git push", "origin")] {
        let said = output.stderr.split('\'').find(|part| part.starts_with(command));
        let said = said.unwrap_or_else(|| panic!("'{command}' is not said\n{output}"));
        let typed = said.replace("<remote>", place);
        shop.repo.command("sh").args(["-c", &typed]).output().success();
    }
    shop.deploy(&["--continue"]).success().stdout_contains("deployment-0001: Successfully Deployed");
    landed_once(&shop, "login");
}

/// Two environments; staging does not lead to production.
const TWO: &str = r#"
[environment.staging]
kind = "rendered"
branch = "rendered/staging"
manifests = ["deploy"]

[environment.demo]
kind = "rendered"
branch = "rendered/demo"
lands = true
"#;

#[test]
fn two_deployments_that_are_open_are_both_ended_before_a_new_number_is_claimed() {
    let shop = Shop::with_remote(&sandbox!());
    let toml =
        DEPLOY_TOML.replace("\n[environment.demo]\nkind = \"rendered\"\nbranch = \"rendered/demo\"\n", TWO);
    shop.on_master("deploy.toml", &toml);
    let with_replicas = |count: &str| WEB.replace("replicas: 2", &format!("replicas: {count}"));
    shop.deployable("old", "deploy/web.yaml", &with_replicas("3"));
    shop.deployable("new", "deploy/web.yaml", &with_replicas("4"));
    shop.deployable("third", "third.txt", "third\n");
    let other = colleague(&shop);
    let [ours, theirs] = ["ours", "theirs"].map(|name| shop.repo.path().with_extension(name));
    // In the middle of the claim for staging somebody claims one for demo; both die when their claims are taken.
    let claim = format!("sh -c 'echo $$ >\"{}\"; exec git-deploy third --env=demo'", theirs.display());
    let moment =
        Moment::before_push(&shop, "refs/deploy/attempts/deployment-staging-0001", &inside(&other, &claim));
    shop.authority().install_hook(
        "post-receive",
        &format!(
            "while read -r old new ref; do case \"$ref\" in\n\
             refs/deploy/attempts/deployment-staging-0001) kill -9 \"$(cat '{}')\" ;;\n\
             refs/deploy/attempts/deployment-0001) kill -9 \"$(cat '{}')\" ;;\n\
             esac; done",
            ours.display(),
            theirs.display()
        ),
    );
    let died = shop.repo.command("git-deploy").args(["old", "--env=staging"]).pid_file(&ours).output();
    died.was_killed();
    moment.has_come();
    shop.authority().remove_hook("post-receive");
    let attempts = shop.authority().git(&["for-each-ref", "refs/deploy/attempts/"]).lines().len();
    assert_eq!(attempts, 2, "two are open");
    shop.deploy(&["new", "--env=staging"]).success().stdout_contains("deployment-staging-0002");
    for tag in ["deployment-staging-0001", "deployment-0001", "deployment-staging-0002"] {
        assert_ne!(shop.tag(tag), "", "{tag} has a verdict");
    }
    let replicas = || shop.authority().git(&["grep", "-h", "replicas", "rendered/staging"]).stdout;
    assert!(replicas().contains('4'), "{}", replicas());
    // What was ended does not come back.
    drop(shop.deploy(&["--continue"]));
    assert!(replicas().contains('4'), "{}", replicas());
    shop.is_sound();
}

#[test]
fn an_environment_that_base_gave_up_while_a_deployment_was_open_stops_nothing() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.authority().install_hook("update", "case $1 in refs/tags/*) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75);
    shop.authority().remove_hook("update");
    shop.on_master("deploy.toml", &DEPLOY_TOML.replace("environment.demo", "environment.prod"));
    for _ in 0..2 {
        shop.deploy(&[]).success();
    }
    assert!(shop.tag("deployment-0001").contains("Environment: demo\n"), "{}", shop.tag("deployment-0001"));
    landed_once(&shop, "login");
}
