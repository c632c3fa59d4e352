//! What a build that fails says: its exit status and its last lines, once.

use git_deploy_testkit::{Repo, sandbox};

use crate::scene::{Builds, deployable, registry};

const FAILS: &str = "[build]\nsteps = [\"exec >&2; for i in $(seq 20); do echo line-$i.; done; echo; echo it is lost; exit 3\"]\n";
const SAYS: &str = "failed with exit status 3: it is lost\n";

#[test]
fn a_step_that_fails_says_its_status_and_its_last_lines_once() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.change("deploy.toml", |text| text + FAILS);
    // Whoever sees all of it is not shown any of it again, nor is a program that reads standard output.
    for arguments in [&[] as &[&str], &["--porcelain"], &["--json"]] {
        let output = builds.build(arguments);
        output.code_is(1).stdout_is("").stderr_contains(SAYS).stderr_contains("| line-1.\n");
        assert_eq!(output.stderr.matches("| line-15.\n").count(), 1, "{}", output.stderr);
    }
    let output = builds.build(&["--quiet"]);
    output.code_is(1).stdout_is("").stderr_contains(SAYS).stderr_contains("| it is lost\n");
    assert_eq!(output.stderr.matches("| line-").count(), 9, "{}", output.stderr);
    // A long command is told in full, but not in front of each of its lines.
    output
        .stderr_contains("\nexec >&2; for i in $(seq 20); do ... | line-20.\n")
        .stderr_contains("exit 3' failed");
    output.stderr_contains("| line-12.\n").lacks("| line-11.\n").lacks("Preparing");
}

#[test]
fn a_containerfile_that_fails_says_so_to_whoever_wants_to_hear_of_errors_only() {
    let registry = registry!();
    let builds = Builds::new(&sandbox!(), &registry, "shop");
    builds.change("web/Containerfile", |text| text + "COPY nothing /\n");
    let output = builds.build(&["--quiet"]);
    output
        .code_is(1)
        .stderr_contains("shop-web | STEP 3/")
        .stderr_contains("error: cannot build image")
        .lacks("Building");
    assert!(output.stderr.contains("failed with exit status"), "{}", output.stderr);
}

#[test]
fn the_reason_of_a_deployment_that_was_not_built_is_one_line() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    let failing = builds.repo.read("deploy.toml") + FAILS;
    let reason = |repo: &Repo, branch: &str| {
        let note = repo.notes_in("refs/notes/deploy")[&repo.id(branch)].clone();
        note.lines().find(|line| line.starts_with("reason: ")).map(str::to_owned).unwrap_or_default()
    };
    builds.branch("one", "deploy.toml", &failing);
    let output = builds.run("deploy", &["--quiet", "one"]);
    output.code_is(1).stdout_contains("it is lost").stderr_contains("| line-12.\n").lacks("| line-11.\n");
    assert!(reason(&builds.repo, "one").ends_with(SAYS.trim_end()), "{}", reason(&builds.repo, "one"));
    let tag = builds.repo.git(&["cat-file", "tag", "deployment-0001"]).stdout;
    let trailer = tag.lines().find(|line| line.starts_with("Reason: ")).unwrap_or_default();
    assert!(trailer.ends_with(SAYS.trim_end()), "{tag}");
    assert!(!tag.contains("line-12."), "{tag}");
    builds.branch("two", "deploy.toml", &failing);
    let output = builds.run("deploy", &["--json", "two"]);
    output.code_is(1);
    let verdict: serde_json::Value =
        serde_json::from_str(output.stdout.lines().last().unwrap_or_default()).expect("JSON");
    assert!(verdict["reason"].as_str().is_some_and(|reason| reason.ends_with(SAYS.trim_end())), "{verdict}");
    assert_eq!(output.stdout.matches("line-12.").count(), 1, "{}", output.stdout);
}
