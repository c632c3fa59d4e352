//! `git deploy-status` on `rendered` environments.

use git_deploy_testkit::shop::{DEPLOY_TOML, Shop, WEB};
use git_deploy_testkit::{Output, RefPhase, Victim, sandbox};

fn status(shop: &Shop, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-status", arguments)
}

/// Somebody commits to the environment's branch.
fn by_hand(shop: &Shop, change: impl Fn(String) -> String) {
    let place = shop.authority();
    let hand = place.sandbox().root().join("hand");
    place.git(&["clone", "--quiet", "--branch", "rendered/demo", ".", &hand.display().to_string()]);
    let hand = place.sandbox().open("hand");
    hand.write("deployment.apps_web.yaml", change(hand.read("deployment.apps_web.yaml")));
    hand.git(&["commit", "--quiet", "--all", "--message", "By hand"]);
    hand.git(&["push", "--quiet", "origin", "rendered/demo"]);
    if shop.remote.is_some() {
        shop.repo.deploy("deploy-sync", &[]);
    }
}

#[test]
fn before_the_first_deployment_nothing_is_wrong() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let output = status(&shop, &[]);
        output.success().stdout_is("demo: empty, nothing was deployed there yet\nqueue: empty\n");
        status(&shop, &["--porcelain"])
            .success()
            .stdout_is("environment demo empty - - - -\nqueue 0 - free\n");
    }
}

#[test]
fn what_stands_there_is_told_with_who_is_next() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
        shop.deployable("two", "two.txt", "2\n");
        let before = (shop.repo.refs(), shop.authority().refs());
        let commit = shop.authority().id("deployment-0001^{commit}");
        let output = status(&shop, &[]);
        output
            .success()
            .stdout_contains(&format!("demo: well, deployment-0001 of 'one' ({}) since 20", &commit[..10]));
        output.stdout_contains("queue: 1 branch, next is two\n");
        output.stderr_contains("git deploy-queue");
        let output = status(&shop, &["--porcelain"]);
        let lines = output.success().lines();
        assert!(
            lines[0].starts_with(&format!("environment demo well deployment-0001 {commit} 20")),
            "{output}"
        );
        assert!(lines[0].ends_with("Z refs/heads/one"), "{output}");
        assert_eq!(lines[1..], ["queue 1 refs/heads/two free"]);
        let output = status(&shop, &["--json"]);
        output.success().stdout_contains(
            r#"{"environment":"demo","health":"well","lands":true,"deployment":"deployment-0001""#,
        );
        output.stdout_contains("{\"queue\":{\"length\":1,\"head\":\"refs/heads/two\",\"held\":false}}\n");
        assert_eq!((shop.repo.refs(), shop.authority().refs()), before, "nothing is changed");
    }
}

#[test]
fn what_was_changed_by_hand_is_named_and_can_be_undone() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
        by_hand(&shop, |web| web.replace("replicas: 2", "replicas: 9"));
        let output = status(&shop, &[]);
        output
            .code_is(1)
            .stdout_contains("demo: drifted")
            .stdout_contains("  changed by hand: Deployment 'web'\n");
        output.stderr_contains("git deploy-status -v --env=demo").lacks("replicas");
        status(&shop, &["-v"]).code_is(1).stdout_contains("-  replicas: 9\n+  replicas: 2\n");
        status(&shop, &["--porcelain"]).code_is(1).stdout_contains("\ndrift demo changed Deployment/web -\n");
        status(&shop, &["--json"])
            .code_is(1)
            .stdout_contains(r#"{"what":"changed","object":{"apiVersion":"apps/v1","kind":"Deployment","namespace":null,"name":"web"},"by":null,"#);
        // As the hint says.
        shop.deploy(&["--env=demo", "--rollback=deployment-0001"]).success();
        status(&shop, &[]).success().stdout_contains("demo: well, deployment-0002, back to deployment-0001");
        shop.deployable("two", "two.txt", "2\n");
        shop.deploy(&[]).success().stdout_contains("'two'");
    }
}

#[test]
fn what_is_gone_or_was_added_by_hand_is_told_apart() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("one", "one.txt", "1\n");
    shop.deploy(&[]).success();
    shop.repo.git(&["switch", "--quiet", "rendered/demo"]);
    shop.repo.git(&["mv", "service_web.yaml", "service_other.yaml"]);
    shop.repo.git(&["commit", "--quiet", "--message", "Move it"]);
    shop.repo.switch("master");
    let output = status(&shop, &["--porcelain"]);
    output
        .code_is(1)
        .stdout_contains("\ndrift demo missing Service/web -\n")
        .stdout_contains("\ndrift demo extra Service/web -\n");
}

#[test]
fn a_deployment_that_was_left_behind_is_said_to_be_so() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("one", "one.txt", "1\n");
        shop.deploy(&[]).success();
        shop.deployable("two", "two.txt", "2\n");
        let pattern = ["refs/deploy/attempts/*"];
        let switch =
            shop.authority().kill_at_transaction_of(&pattern, 2, RefPhase::Committed, Victim::Process);
        shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
        switch.remove();
        if shop.remote.is_some() {
            shop.repo.deploy("deploy-sync", &[]);
        }
        let output = status(&shop, &[]);
        output
            .code_is(1)
            .stdout_contains("demo: stopped, deployment-0001 of 'one'")
            .stdout_contains("deployment-0002 of 'two' is ");
        output
            .stdout_contains("by Ada Lovelace")
            .stdout_contains("nobody works on it")
            .stderr_contains("git deploy --continue");
        status(&shop, &["--porcelain"]).code_is(1).stdout_contains("\ndeploying demo deployment-0002 ");
        status(&shop, &["--json"]).code_is(1).stdout_contains(r#""is-left":true"#);
        shop.deploy(&["--continue"]).success();
        status(&shop, &[]).success().stdout_contains("demo: well, deployment-0002 of 'two'");
    }
}

#[test]
fn a_landing_that_was_interrupted_is_told_wherever_somebody_looks() {
    // First the note is written, then base moves, then there is a verdict.
    for (pattern, is_on_base) in [("refs/heads/master", false), ("refs/tags/*", true)] {
        let shop = Shop::alone(&sandbox!());
        shop.deployable("one", "one.txt", "1\n");
        let approved = shop.repo.id("one");
        let switch = shop.repo.kill_at_transaction_of(&[pattern], 1, RefPhase::Prepared, Victim::Group);
        shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
        switch.remove();
        assert_eq!(shop.repo.id("master") == approved, is_on_base);
        let told = "landing with deployment-0001, which has no verdict yet";
        shop.repo.deploy("deploy-state", &["list"]).stdout_contains(told);
        shop.repo
            .deploy("deploy-state", &["get", "one"])
            .stderr_contains(told)
            .stderr_contains("hint: if nobody works on it any more, end it with: git deploy --continue\n");
        shop.repo
            .deploy("deploy-state", &["list", "--json"])
            .stdout_contains("\"landing\":\"deployment-0001\"");
        shop.repo
            .deploy("deploy-queue", &["show", "one"])
            .stdout_contains(told)
            .stderr_contains("git deploy --continue");
        let waits = match is_on_base {
            true => "deployment-0001 of 'one' is on 'master', and has no verdict yet: the queue waits",
            false => "deployment-0001 of 'one' is verified, not landed: the queue waits",
        };
        shop.repo.deploy("deploy-queue", &[]).stderr_contains(waits);
        let phase =
            if is_on_base { "verified and landed, without its verdict yet" } else { "verified, not landed" };
        let said = status(&shop, &[]);
        said.code_is(1).stdout_contains(&format!("deployment-0001 of 'one' is {phase}, begun "));
        assert_eq!(
            said.stderr.contains("git deploy --abort"),
            !is_on_base,
            "what has landed is not given up: {said}"
        );
        shop.deploy(&["--continue"]).success();
        shop.repo.deploy("deploy-state", &["get", "one"]).stdout_is("deployed\n").stderr_is("");
    }
}

#[test]
fn somebody_who_deploys_just_now_is_named() {
    let shop = Shop::with_remote(&sandbox!());
    let other = shop.authority().clone_to("other");
    shop.deployable("one", "one.txt", "1\n");
    // At the moment when the deployment is going to land, somebody else looks.
    shop.authority().install_hook(
        "pre-receive",
        &format!(
            "grep -q refs/tags/ || exit 0\nunset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH\n\
             cd '{}' && git deploy-sync >/dev/null 2>&1 && git deploy-status --porcelain >'{}' 2>&1 || :",
            other.path().display(),
            other.path().join("seen").display()
        ),
    );
    shop.deploy(&[]).success();
    let seen = other.read("seen");
    assert!(
        seen.starts_with("environment demo deploying - - - -\ndeploying demo deployment-0001 verified 20"),
        "{seen}"
    );
    assert!(seen.contains(" refs/heads/one Ada Lovelace <ada@example.org>\n"), "{seen}");
}

#[test]
fn a_rollback_and_what_it_holds_are_told() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        for name in ["one", "two"] {
            shop.deployable(name, &format!("{name}.txt"), "x\n");
            shop.deploy(&[]).success();
        }
        shop.deploy(&["--rollback"]).success();
        shop.deployable("next", "next.txt", "next\n");
        let output = status(&shop, &[]);
        output.success().stdout_contains("demo: well, deployment-0003, back to deployment-0001");
        output.stdout_contains("queue: 1 branch, held since deployment-0003 went back to deployment-0001\n");
        output.stderr_contains("git revert").stderr_contains("git deploy <branch>");
        status(&shop, &["--porcelain"]).success().stdout_contains("\nqueue 1 - held\n");
    }
}

#[test]
fn an_environment_that_cannot_be_asked_hides_no_other() {
    let shop = Shop::alone(&sandbox!());
    let moon = "[environment.moon]\ncontext = \"moon\"\nkube-namespace = \"shop\"\nmanifests = [\"deploy\"]\n\n[environment.demo]\nlands = true";
    shop.repo.commit("deploy.toml", &DEPLOY_TOML.replace("[environment.demo]", moon), "Go to the moon");
    shop.deployable("one", "one.txt", "1\n");
    shop.deploy(&["--env=demo"]).success();
    let output = status(&shop, &[]);
    output
        .code_is(75)
        .stdout_contains("moon: unknown")
        .stdout_contains("cannot be asked: ")
        .stdout_contains("demo: well");
    output.stdout_contains("queue: empty");
    status(&shop, &["--porcelain"]).code_is(75).stdout_contains("\nproblem moon ");
    status(&shop, &["--env=demo"]).success().lacks("moon");
    status(&shop, &["--env=mars"]).code_is(128).stderr_contains("there are: moon, demo");
    // What is known to be wrong is the answer.
    by_hand(&shop, |web| web.replace("replicas: 2", "replicas: 9"));
    status(&shop, &[]).code_is(1);
}

#[test]
fn what_is_not_kept_any_more_is_said_in_its_place() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("one", "deploy/web.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
    shop.deploy(&[]).success();
    shop.repo.git(&["update-ref", "-d", "refs/deploy/rendered/demo/0001"]);
    status(&shop, &[]).code_is(75).stdout_contains("what deployment-0001 applied is not kept any more");
}

#[test]
fn hostile_names_do_no_harm() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("$(touch${IFS}pwned)", "one.txt", "1\n");
    status(&shop, &[]).success().stdout_contains("next is $(touch${IFS}pwned)\n");
    shop.deploy(&[]).success();
    status(&shop, &["--porcelain"]).success().stdout_contains("refs/heads/$(touch${IFS}pwned)\n");
}
