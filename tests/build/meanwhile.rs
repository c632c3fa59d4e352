//! What others do while images are made.

use git_deploy_testkit::{RefPhase, Repo, Victim, sandbox};

use crate::scene::{Builds, deployable, registry};

/// A branch whose step does something the first time that it runs, and ends as it is told then.
fn branch_with_step(builds: &Builds, does: &str, status: u8) {
    let done = builds.store.path().join("done");
    let step = format!("[ -e {0} ] || {{ touch {0}; {does}; exit {status}; }}", done.display());
    let text = format!("{}[build]\nsteps = [{step:?}]\n", builds.repo.read("deploy.toml"));
    builds.branch("login", "deploy.toml", &text);
}

/// Steps know nothing of who runs them: who commits stands in the repository.
fn with_identity(repo: Repo) -> Repo {
    repo.set_config("user.name", "Somebody");
    repo.set_config("user.email", "somebody@example.org");
    repo
}

/// Somebody else's clone, which the shop shares its branches with.
fn colleague(builds: &Builds) -> Repo {
    let remote = builds.repo.sandbox().bare("remote.git");
    builds.repo.add_remote("origin", &remote);
    builds.repo.git(&["push", "--quiet", "--set-upstream", "origin", "master"]);
    with_identity(remote.clone_to("colleague"))
}

#[test]
fn a_base_that_moves_while_images_are_made_costs_no_number_whatever_became_of_them() {
    for status in [0, 1] {
        let registry = registry!();
        let builds = deployable(&sandbox!(), &registry);
        let colleague = colleague(&builds);
        let path = colleague.path().display();
        let moves = format!("cd {path} && git commit -q --allow-empty -m Other && git push -q origin HEAD");
        branch_with_step(&builds, &moves, status);
        builds.repo.git(&["push", "--quiet", "origin", "login", "refs/notes/deploy"]);
        let output = builds.run("deploy", &["login"]);
        output.success().stdout_contains("deployment-0001: Successfully Deployed");
        output.stderr_contains("'master' moved while images of ");
        let history = builds.repo.git(&["log", "--format=%s", "origin/master"]).stdout;
        assert!(history.starts_with("Change deploy.toml\nOther\n"), "{history}");
        let landed = builds.repo.id("origin/master");
        let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
        assert!(tag.contains(&format!("shop-web:{}@sha256:", &landed[..7])), "{tag}");
        builds.is_tidy();
    }
}

#[test]
fn a_base_that_moves_whenever_images_are_made_is_said_to() {
    for status in [0, 1] {
        let registry = registry!();
        let builds = deployable(&sandbox!(), &registry);
        let builds = Builds { repo: with_identity(builds.repo), ..builds };
        let other = builds.repo.sandbox().root().join("other");
        builds.repo.git(&[
            "worktree",
            "add",
            "--quiet",
            "--detach",
            other.to_str().expect("UTF-8"),
            "master",
        ]);
        let moves = format!(
            "cd {} && git reset -q --hard master && git commit -q --allow-empty -m Other",
            other.display()
        );
        let text = builds.repo.read("deploy.toml");
        let step = format!("{moves} && git push -q . HEAD:master; exit {status}");
        builds.branch("login", "deploy.toml", &format!("{text}[build]\nsteps = [{step:?}]\n"));
        builds.repo.git(&["switch", "--quiet", "--detach"]);
        let output = builds.run("deploy", &[]);
        // Steps are the branch's alone: base is looked at, too, when they fail.
        assert_eq!(output.stderr.matches("Preparing").count(), 3, "{output}");
        if status == 0 {
            output.code_is(75).stderr_contains("'master' moved while images were made, 3 times in a row");
            assert_eq!(builds.repo.tip("refs/tags/deployment-0001"), None, "{output}");
        } else {
            output.code_is(1).stdout_contains("Failed Deployment");
            assert_eq!(builds.repo.deploy("deploy-state", &["get", "login"]).line(), "staged");
        }
    }
}

#[test]
fn a_branch_that_is_withdrawn_after_the_claim_waits_for_no_registry() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.branch("login", "web/index.html", "login\n");
    let claimed = ["refs/deploy/attempts/*"];
    let switch = builds.repo.kill_at_transaction_of(&claimed, 1, RefPhase::Committed, Victim::Process);
    builds.run_of("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    builds.repo.deploy("deploy-state", &["set", "development", "login"]);
    registry.stop();
    builds.run("deploy", &[]).stdout_contains("was set to development").lacks("cannot ask registry");
}

#[test]
fn an_approval_that_is_withdrawn_while_images_are_made_is_none() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let builds = Builds { repo: with_identity(builds.repo), ..builds };
    let withdraw = format!("cd {} && git deploy-state set development login", builds.repo.path().display());
    branch_with_step(&builds, &withdraw, 0);
    let output = builds.run("deploy", &[]);
    output
        .stderr_contains("the queue is empty")
        .stderr_contains("branch 'login' was set to development while");
    assert_eq!(builds.repo.tip("refs/tags/deployment-0001"), None, "{output}");
    assert_eq!(builds.repo.tip("rendered/demo"), None, "{output}");
}

#[test]
fn of_what_the_rules_forbid_no_image_is_made() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let manifest = builds.repo.read("deploy/web.yaml").replace("shop-web:any", "another:latest");
    builds.branch("login", "deploy/web.yaml", &manifest);
    let output = builds.run("deploy", &[]);
    output.code_is(1).stdout_contains("lint: ").lacks("Building");
}
