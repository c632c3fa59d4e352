//! Going back because somebody asks for it: `git deploy --rollback`.

use git_deploy_testkit::shop::{Shop, WEB};
use git_deploy_testkit::{Output, RefPhase, Victim, sandbox};

/// Deploys one branch after the other, each with another number of replicas.
fn deployed(shop: &Shop, branches: &[&str]) {
    for (index, name) in branches.iter().enumerate() {
        let replicas = format!("replicas: {}", index + 3);
        shop.repo.git(&["switch", "--quiet", "master"]);
        shop.deployable(name, "deploy/web.yaml", &WEB.replace("replicas: 2", &replicas));
        shop.deploy(&[]).success();
    }
}

/// How many replicas stand in the environment.
fn replicas(shop: &Shop) -> String {
    let web = shop.rendered("deployment.apps_web.yaml");
    let line = web.lines().find_map(|line| line.trim().strip_prefix("replicas: "));
    line.unwrap_or("none").to_owned()
}

/// Makes a branch that reverts these commits, newest first, and pushes it.
fn reverting(shop: &Shop, name: &str, commits: &[&str]) {
    shop.repo.git(&["switch", "--quiet", "-c", name, "master"]);
    for commit in commits {
        shop.repo.git(&["revert", "--no-edit", commit]);
    }
    shop.push(&[name]);
    shop.repo.git(&["switch", "--quiet", "master"]);
}

#[test]
fn a_rollback_applies_what_stood_there_before_under_a_number_of_its_own() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two"]);
        let (base, first) = (shop.authority().id("master"), shop.authority().id("deployment-0001^{commit}"));
        let output = shop.deploy(&["--rollback"]);
        output
            .success()
            .stdout_contains("deployment-0003: Successfully Deployed")
            .stdout_contains("deployment-0001");
        assert_eq!(replicas(&shop), "3");
        let tag = shop.tag("deployment-0003");
        for line in [format!("Commit: {first}"), "Rollback: deployment-0001".into(), "Result: success".into()]
        {
            assert!(tag.contains(&format!("{line}\n")), "{line} is not in {tag}");
        }
        assert!(tag.contains("Previous: deployment-0002\n") && !tag.contains("Branch: "), "{tag}");
        assert_eq!(shop.authority().id("master"), base, "base does not move");
        assert_eq!(
            shop.authority().id("refs/deploy/rendered/demo/0003^{tree}"),
            shop.authority().id("refs/deploy/rendered/demo/0001^{tree}")
        );
        assert_eq!(["one", "two"].map(|name| shop.state(name)), ["deployed", "deployed"]);
        shop.is_sound();
    }
}

#[test]
fn whoever_goes_back_twice_goes_back_further() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two", "three"]);
        shop.deploy(&["--rollback"]).success();
        assert_eq!(replicas(&shop), "4");
        shop.deploy(&["--rollback"]).success();
        assert_eq!(replicas(&shop), "3");
        assert!(shop.tag("deployment-0005").contains("Rollback: deployment-0001\n"));
        let before = shop.authority().refs();
        let output = shop.deploy(&["--rollback"]);
        output.code_is(1).stderr_contains("cannot go back in 'demo'").stderr_contains("git deploy-log");
        assert_eq!(shop.authority().refs(), before);
        shop.is_sound();
    }
}

#[test]
fn what_was_rolled_back_is_not_gone_back_to_after_the_next_deployment() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one", "two"]);
    shop.deploy(&["--rollback"]).success();
    shop.deployable("three", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 9"));
    shop.deploy(&["three"]).success().stdout_contains("deployment-0004");
    shop.deploy(&["--rollback"]).success().stdout_contains("deployment-0005");
    assert_eq!(replicas(&shop), "3", "what stood there before was deployment-0001's");
    assert!(shop.tag("deployment-0005").contains("Rollback: deployment-0001\n"));
}

#[test]
fn a_deployment_that_is_named_is_gone_back_to() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two", "three"]);
        shop.deploy(&["--rollback=deployment-0001"]).success();
        assert_eq!(replicas(&shop), "3");
        assert!(shop.tag("deployment-0004").contains("Rollback: deployment-0001\n"));
        // A rollback can be gone back to as well, and forward again.
        shop.deploy(&["--rollback=deployment-0003"]).success();
        assert_eq!(replicas(&shop), "5");
        shop.deploy(&["--rollback=deployment-0004"]).success();
        assert!(shop.tag("deployment-0006").contains("Rollback: deployment-0001\n"));
        shop.is_sound();
    }
}

#[test]
fn what_did_not_succeed_or_is_not_there_is_refused() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one"]);
        let latest = WEB.replace("littleman-co/shop-web:any", "nginx:latest");
        shop.deployable("bad", "deploy/web.yaml", &latest);
        shop.deploy(&[]).code_is(1);
        shop.deploy(&["--rollback=deployment-0002"])
            .code_is(1)
            .stderr_contains("deployment-0002 did not succeed");
        shop.deploy(&["--rollback=deployment-0009"])
            .code_is(1)
            .stderr_contains("there is no deployment-0009");
        shop.deploy(&["--rollback=yesterday"]).code_is(129).stderr_contains("git deploy-log");
        shop.deploy(&["--rollback"]).code_is(1).stderr_contains("there is no success before deployment-0001");
        assert_eq!(
            shop.authority().tip("refs/deploy/attempts/deployment-0003"),
            None,
            "no number is claimed"
        );
        shop.is_sound();
    }
    let shop = Shop::alone(&sandbox!());
    shop.deploy(&["--rollback"]).code_is(1).stderr_contains("nothing was deployed there");
}

#[test]
fn what_is_not_kept_any_more_cannot_be_gone_back_to() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one", "two"]);
    shop.repo.git(&["update-ref", "-d", "refs/deploy/rendered/demo/0001"]);
    shop.deploy(&["--rollback"])
        .code_is(1)
        .stderr_contains("what deployment-0001 applied is not kept any more");
    assert_eq!(shop.repo.tip("refs/deploy/attempts/deployment-0003"), None);
}

#[test]
fn a_rollback_holds_the_queue_until_base_takes_back_what_was_rolled_back() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two"]);
        let two = shop.authority().id("master");
        shop.deploy(&["--rollback"]).success().stderr_contains("the queue is held as long as base has");
        shop.deployable("next", "next.txt", "next\n");
        let output = shop.deploy(&[]);
        output.code_is(75).stderr_contains("the queue is held: 'demo' was rolled back to deployment-0001");
        output.stderr_contains("hint: ").stderr_contains("git revert").stderr_contains("git deploy <branch>");
        shop.deploy(&["--dry-run"]).code_is(75);
        assert_eq!(shop.state("next"), "deployable");
        assert_eq!(shop.authority().tip("refs/deploy/attempts/deployment-0004"), None);
        // Somebody reverts it on base itself.
        shop.repo.git(&["revert", "--no-edit", &two]);
        shop.push(&["master"]);
        shop.deploy(&[]).success().stdout_contains("deployment-0004").stdout_contains("'next'");
        assert_eq!(replicas(&shop), "3");
        shop.is_sound();
    }
}

#[test]
fn a_revert_in_the_queue_passes_those_that_are_held() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two"]);
        let two = shop.authority().id("master");
        shop.deploy(&["--rollback"]).success();
        shop.deployable("next", "next.txt", "next\n");
        reverting(&shop, "undo", &[&two]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "undo"]);
        let queue = |arguments: &[&str]| shop.repo.deploy("deploy-queue", arguments);
        let shown = queue(&[]);
        assert!(shown.lines()[0].ends_with("held, 'undo' goes first"), "{shown}");
        assert!(shown.lines()[1].contains("  next  "), "{shown}");
        shown.stderr_contains("hint: 'undo' takes it back, and is next: git deploy\n").lacks("git revert");
        let shown = queue(&["--porcelain"]);
        let last = |index: usize| shown.lines()[index].rsplit(' ').next();
        assert_eq!([last(0), last(1)], [Some("held"), Some("next")], "{shown}");
        queue(&["--json"]).stdout_contains(r#""waits":{"rollback":"deployment-0003"}}"#).lacks("behind");
        shop.deploy(&[]).success().stdout_contains("'undo'");
        assert_eq!(replicas(&shop), "3");
        shop.deploy(&[]).success().stdout_contains("'next'");
        shop.is_sound();
    }
}

#[test]
fn a_branch_that_is_named_goes_on_and_releases_the_queue() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two"]);
        shop.deploy(&["--rollback"]).success();
        shop.deployable("next", "next.txt", "next\n");
        shop.deployable("after", "after.txt", "after\n");
        shop.deploy(&["next"]).success().stdout_contains("deployment-0004");
        shop.deploy(&[]).success().stdout_contains("'after'");
        shop.is_sound();
    }
}

#[test]
fn all_commits_of_a_deployment_have_to_be_reverted() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one"]);
    shop.repo.git(&["switch", "--quiet", "-c", "two"]);
    let first = shop.repo.commit("a.txt", "a\n", "A");
    let second = shop.repo.commit("b.txt", "b\n", "B");
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&[]).success();
    shop.deploy(&["--rollback"]).success();
    shop.deployable("next", "next.txt", "next\n");
    shop.repo.git(&["revert", "--no-edit", &second]);
    shop.deploy(&[]).code_is(75).stderr_contains("the queue is held");
    shop.repo.git(&["revert", "--no-edit", &first]);
    shop.deploy(&[]).success().stdout_contains("'next'");
}

#[test]
fn a_revert_that_was_itself_reverted_takes_nothing_back() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one", "two"]);
    shop.deploy(&["--rollback"]).success();
    shop.deployable("next", "next.txt", "next\n");
    shop.repo.git(&["revert", "--no-edit", "master"]);
    shop.repo.git(&["revert", "--no-edit", "master"]);
    shop.deploy(&[]).code_is(75).stderr_contains("the queue is held");
    shop.repo.git(&["revert", "--no-edit", "master"]);
    shop.deploy(&[]).success();
}

#[test]
fn several_commits_may_be_taken_back_by_one() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one"]);
    let before = shop.repo.id("master");
    shop.repo.git(&["switch", "--quiet", "-c", "two"]);
    shop.repo.commit("a.txt", "a\n", "A");
    shop.repo.commit("b.txt", "b\n", "B");
    shop.repo.git(&["switch", "--quiet", "master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "two"]);
    shop.deploy(&[]).success();
    shop.deploy(&["--rollback"]).success();
    shop.deployable("next", "next.txt", "next\n");
    shop.repo.git(&["revert", "--no-commit", &format!("{before}..master")]);
    shop.repo.git(&["commit", "--quiet", "--message", "Take all of it back"]);
    shop.deploy(&[]).success().stdout_contains("'next'");
}

#[test]
fn going_back_past_what_took_something_back_holds_nothing_where_base_has_the_very_files() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one", "two"]);
    shop.deploy(&["--rollback"]).success();
    reverting(&shop, "back", &["master"]);
    shop.repo.deploy("deploy-state", &["set", "deployable", "back"]);
    shop.deploy(&[]).success();
    shop.deploy(&["--rollback=deployment-0001"]).success().lacks("the queue is held");
    shop.deployable("next", "next.txt", "next\n");
    shop.deploy(&[]).success().stdout_contains("'next'");
}

#[test]
fn going_forward_again_releases_the_queue() {
    let shop = Shop::alone(&sandbox!());
    deployed(&shop, &["one", "two"]);
    shop.deploy(&["--rollback"]).success();
    shop.deploy(&["--rollback=deployment-0002"]).success().lacks("the queue is held");
    shop.deployable("next", "next.txt", "next\n");
    shop.deploy(&[]).success().stdout_contains("deployment-0005");
}

#[test]
fn base_that_is_not_there_any_more_does_not_come_back_with_a_rollback() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let begin = shop.authority().id("master");
        deployed(&shop, &["one", "two"]);
        // Somebody made base anew, without what was deployed.
        shop.repo.git(&["reset", "--quiet", "--hard", &begin]);
        shop.repo.commit("other.txt", "other\n", "Begin again");
        if shop.remote.is_some() {
            shop.repo.git(&["push", "--quiet", "--force", "origin", "master"]);
        }
        let base = shop.authority().id("master");
        shop.deploy(&["--rollback"]).success();
        assert_eq!(shop.authority().id("master"), base);
        assert_eq!(replicas(&shop), "3");
    }
}

#[test]
fn a_dry_run_of_a_rollback_shows_the_plan_and_changes_nothing() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        deployed(&shop, &["one", "two"]);
        let before = (shop.repo.refs(), shop.authority().refs());
        let output = shop.deploy(&["--dry-run", "--rollback"]);
        output.success().stdout_contains("deployment-0001").stdout_contains("as deployment-0003");
        output.stdout_contains("change  Deployment 'web'").stdout_contains("keep    Service 'web'");
        shop.deploy(&["--dry-run", "-v", "--rollback"])
            .success()
            .stdout_contains("-  replicas: 4\n+  replicas: 3\n");
        assert_eq!((shop.repo.refs(), shop.authority().refs()), before);
    }
}

/// Two deployments that succeeded, and a third that was killed when it had begun to change the environment.
fn left_open(shop: &Shop) {
    deployed(shop, &["one", "two"]);
    shop.deployable("three", "three.txt", "3\n");
    let attempt = ["refs/deploy/attempts/deployment-0003"];
    let switch = shop.authority().kill_at_transaction_of(&attempt, 2, RefPhase::Committed, Victim::Process);
    shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
}

#[test]
fn a_rollback_while_something_is_open_gives_that_up_and_goes_no_further_back() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        left_open(&shop);
        let dry = shop.deploy(&["--rollback", "-n"]);
        dry.success().stdout_contains("would give up deployment-0003");
        dry.stdout_contains("what deployment-0002 had applied");
        let output = shop.deploy(&["--rollback"]);
        output.success().stderr_contains("Aborting deployment-0003").lacks("Resuming");
        output.stdout_contains("deployment-0003: Failed Deployment").stdout_contains("aborted");
        output.stderr_contains("what deployment-0002 had applied stands in 'demo' again");
        assert_eq!(replicas(&shop), "4");
        assert!(shop.tag("deployment-0003").contains("Result: aborted\n"));
        assert_eq!(shop.authority().tip("refs/deploy/attempts/deployment-0004"), None, "no second step back");
        assert_eq!(shop.state("three"), "staged");
        shop.is_sound();
        // Nothing is held, and the next one goes one further back.
        shop.deployable("four", "four.txt", "4\n");
        shop.deploy(&[]).success().stdout_contains("deployment-0004: Successfully Deployed: 'four'");
        shop.deploy(&["--rollback"]).success().stdout_contains("what deployment-0002 had applied");
    }
}

#[test]
fn a_rollback_to_what_is_named_gives_up_what_is_open_and_then_goes_there() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        left_open(&shop);
        shop.deploy(&["--rollback=deployment-0009"])
            .code_is(1)
            .stderr_contains("there is no deployment-0009");
        assert_eq!(shop.authority().tip("refs/tags/deployment-0003"), None, "nothing is given up for that");
        let dry = shop.deploy(&["--rollback=deployment-0001", "-n"]);
        dry.success()
            .stderr_contains("deployment-0003, which an earlier run left behind, would be given up first");
        dry.stdout_contains("would deploy what deployment-0001 had applied")
            .stdout_contains("as deployment-0004");
        let output = shop.deploy(&["--rollback=deployment-0001"]);
        output.success().stderr_contains("Aborting deployment-0003");
        output.stdout_contains("deployment-0004: Successfully Deployed: what deployment-0001 had applied");
        assert!(shop.tag("deployment-0003").contains("Result: aborted\n"));
        assert_eq!(replicas(&shop), "3");
        shop.is_sound();
    }
    let shop = Shop::alone(&sandbox!());
    left_open(&shop);
    shop.deploy(&["--rollback=deployment-0002"]).success().stderr_contains("stands in 'demo' again");
    assert_eq!(replicas(&shop), "4");
    assert_eq!(shop.authority().tip("refs/tags/deployment-0004"), None, "it stands there already");
}

#[test]
fn a_rollback_that_dies_while_it_gives_up_goes_no_further_back_the_next_time() {
    for n in 1.. {
        let shop = Shop::with_remote(&sandbox!());
        left_open(&shop);
        let phase = if n % 2 == 0 { RefPhase::Prepared } else { RefPhase::Committed };
        let Some(died) = killed_at(&shop, n, phase) else {
            assert!(n > 2, "the run was stopped at {n} transactions only");
            return;
        };
        if died.stdout.is_empty() {
            shop.deploy(&["--rollback"]).success().stderr_contains("what deployment-0002 had applied stands");
        }
        assert_eq!(replicas(&shop), "4");
        assert!(shop.tag("deployment-0003").contains("Result: aborted\n"));
        assert_eq!(shop.authority().tip("refs/tags/deployment-0004"), None);
        shop.is_sound();
    }
}

#[test]
fn the_verdict_of_a_deployment_that_is_given_up_says_to_programs_what_stands_again() {
    let shop = Shop::alone(&sandbox!());
    left_open(&shop);
    let output = shop.deploy(&["--rollback", "--json"]);
    output.success().stdout_contains("\"result\":\"aborted\"");
    output.stdout_contains("\"stands_again\":\"deployment-0002\"").stdout_contains("\"exit\":0");
}

/// A rollback that is killed at that ref transaction where it counts; none where there are not so many, and it succeeds.
#[track_caller]
fn killed_at(shop: &Shop, n: usize, phase: RefPhase) -> Option<Output> {
    let switch = shop.authority().kill_at_transaction_of(&["*"], n, phase, Victim::Process);
    let output = shop.repo.command("git-deploy").arg("--rollback").pid_file(switch.pid_file()).output();
    let fired = switch.has_fired();
    switch.remove();
    if !fired {
        output.success();
        return None;
    }
    output.was_killed();
    Some(output)
}

/// Kills a rollback at each ref transaction where it counts; the next run goes back, and once.
fn kill_at_each(with_remote: bool, phase: RefPhase, next: &[&str]) {
    for n in 1.. {
        let sandbox = sandbox!();
        let shop = if with_remote { Shop::with_remote(&sandbox) } else { Shop::alone(&sandbox) };
        deployed(&shop, &["one", "two", "three"]);
        let base = shop.authority().id("master");
        let Some(died) = killed_at(&shop, n, phase) else {
            assert!(n > 3, "the run was stopped at {n} transactions only");
            return;
        };
        let claimed = shop.authority().tip("refs/deploy/attempts/deployment-0004").is_some();
        if claimed && died.stdout.is_empty() {
            shop.deploy(next).success().stdout_contains("deployment-0004: Successfully Deployed");
        } else if !claimed {
            shop.deploy(&["--rollback"]).success();
        }
        assert_eq!(replicas(&shop), "4", "it goes back once");
        assert!(shop.tag("deployment-0004").contains("Rollback: deployment-0002\n"));
        assert_eq!(shop.authority().tip("refs/tags/deployment-0005"), None);
        assert_eq!(shop.authority().id("master"), base);
        shop.is_sound();
    }
}

#[test]
fn a_rollback_that_is_killed_is_finished_by_the_next_run() {
    kill_at_each(false, RefPhase::Prepared, &[]);
}

#[test]
fn a_rollback_that_is_killed_while_the_remote_takes_it_is_continued() {
    kill_at_each(true, RefPhase::Prepared, &["--continue"]);
}

#[test]
fn whoever_asks_again_after_a_kill_goes_back_once() {
    kill_at_each(true, RefPhase::Committed, &["--rollback"]);
}

#[test]
fn a_rollback_that_is_given_up_leaves_the_environment_and_the_queue_as_they_were() {
    let shop = Shop::with_remote(&sandbox!());
    deployed(&shop, &["one", "two"]);
    let remote = shop.authority();
    remote.install_hook("update", "case $1 in refs/tags/*) echo no >&2; exit 1 ;; esac");
    shop.deploy(&["--rollback"]).code_is(75).stderr_contains("deployment-0003 is verified, not landed");
    remote.remove_hook("update");
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("Failed Deployment");
    assert_eq!(replicas(&shop), "4");
    shop.deployable("next", "next.txt", "next\n");
    shop.deploy(&[]).success().stdout_contains("'next'");
    shop.is_sound();
}

#[test]
fn a_rollback_in_an_environment_that_does_not_land_is_of_that_environment() {
    let shop = Shop::alone(&sandbox!());
    let config = "[environment.staging]\nkind = \"rendered\"\nbranch = \"rendered/staging\"\nmanifests = [\"deploy\"]\n\
                  [environment.demo]\nkind = \"rendered\"\nbranch = \"rendered/demo\"\nmanifests = [\"deploy\"]\n\
                  lands = true\n";
    shop.repo.commit("deploy.toml", config, "Have two");
    let web = |replicas: &str| {
        WEB.replace("littleman-co/shop-web:any", "web:1")
            .replace("replicas: 2", &format!("replicas: {replicas}"))
    };
    for (name, count) in [("one", "3"), ("two", "4")] {
        shop.deployable(name, "deploy/web.yaml", &web(count));
        shop.deploy(&["--env=staging", name]).success();
        shop.deploy(&["--env=demo", name]).success();
    }
    // The name says where.
    shop.deploy(&["--rollback=deployment-staging-0001"]).success().stdout_contains("deployment-staging-0003");
    let staging = shop.repo.git(&["show", "rendered/staging:deployment.apps_web.yaml"]).stdout;
    assert!(staging.contains("replicas: 3\n"), "{staging}");
    assert_eq!(replicas(&shop), "4");
    shop.deploy(&["--env=demo", "--rollback=deployment-staging-0001"])
        .code_is(1)
        .stderr_contains("deployment-staging-0001 is a deployment to 'staging'");
    shop.deployable("next", "next.txt", "next\n");
    shop.deploy(&["--env=demo"]).success().stdout_contains("'next'");
}
