//! The README keeps its word.

use git_deploy_testkit::{readme, sandbox};

#[test]
fn the_first_deployment_succeeds_exactly_as_printed() {
    let script = readme::block("first-deployment");
    assert!(script.lines().count() < 20, "{script}");
    // A pager would swallow the rest of what was pasted.
    for shows in ["log", "tag -n", "show"] {
        assert!(!script.contains(&format!("git {shows} ")), "{script}");
    }
    let sandbox = sandbox!();
    let output = sandbox.command("sh").args(["-eu", "-c", &script]).output();
    output
        .success()
        .stdout_contains("state: deployed")
        .stdout_contains("deployment-0001 Successfully Deployed");

    let shop = sandbox.open("shop");
    assert_eq!(shop.id("deployment-0001^{commit}"), shop.id("master"));
    assert_eq!(shop.git(&["log", "-1", "--format=%s", "master"]).line(), "Greet visitors");
    shop.git(&["tag", "--list", "--format=%(contents:subject)", "deployment-0001"])
        .stdout_is("Successfully Deployed\n");
    shop.git(&["grep", "--quiet", "Hello", "rendered/default"]);
    shop.deploy("deploy-state", &["get", "greeting"]).stdout_is("deployed\n");
}

#[test]
fn every_state_and_every_exit_code_is_explained() {
    let readme = readme::text();
    for word in ["development", "staged", "deployable", "deployed", "broken"] {
        assert!(readme.contains(&format!("| `{word}` |")), "{word}");
    }
    for code in ["0", "1", "70", "75", "128", "129", "130, 143", "141"] {
        assert!(readme.contains(&format!("\n| {code} |")), "{code}");
    }
}

#[test]
fn the_starter_manifests_can_be_deployed() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("shop");
    repo.deploy("deploy-init", &[]);
    repo.git(&["add", "."]);
    repo.git(&["commit", "--quiet", "--message", "Set up git-deploy"]);
    repo.branch("hello");
    repo.deploy("deploy-init", &["--starter"]);
    repo.git(&["add", "."]);
    repo.git(&["commit", "--quiet", "--message", "Say hello"]);
    repo.deploy("deploy-state", &["set", "deployable"]);
    repo.deploy("deploy", &[]).stdout_contains("Successfully Deployed");
    let files = repo.git(&["ls-tree", "--name-only", "rendered/default"]);
    files.stdout_is("deployment.apps_hello.yaml\nservice_hello.yaml\n");
}
