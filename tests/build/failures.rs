//! What a build that fails says: its exit status and its last lines, once.

use git_deploy_testkit::{Repo, sandbox};

use crate::scene::{Builds, deployable, registry};

const FAILS: &str = "[build]\nsteps = [\"exec >&2; for i in $(seq 20); do echo line-$i.; done; echo; echo it is lost; exit 3\"]\n";
const SAYS: &str = " failed with exit status 3: line-19. | line-20. | it is lost\n";

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
    assert_eq!(output.stderr.matches("... | line-").count(), 9, "{}", output.stderr);
    // A long command is told in full, but not in front of each of its lines.
    output
        .stderr_contains("\nexec >&2; for i in $(seq 20); do ... | line-20.\n")
        .stderr_contains("exit 3' failed with exit status 3");
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
    output.stderr_contains(
        "failed with exit status 125 at step 'COPY nothing /': 'web/nothing' is not there\n",
    );
    output.lacks(&builds.store.temporary().display().to_string());
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

/// What tag, note, `--quiet` and `--json` say of a branch that changes one file and cannot be built.
#[track_caller]
fn said_everywhere(builds: &Builds, number: u32, path: &str, text: &str, reason: &str) {
    let quiet = format!("quiet-{number}");
    builds.branch(&quiet, path, text);
    let output = builds.run("deploy", &["--quiet", &quiet]);
    output.code_is(1).stdout_contains(reason);
    let tag = builds.repo.git(&["cat-file", "tag", &format!("deployment-{number:04}")]).stdout;
    assert!(tag.lines().any(|line| line.starts_with("Reason: build: ") && line.ends_with(reason)), "{tag}");
    let note = builds.repo.git(&["log", "--notes=deploy", "-1", &quiet]).stdout;
    let is_told = |line: &str| line.trim_start().starts_with("reason: ") && line.ends_with(reason);
    assert!(note.lines().any(is_told), "{note}");
    let json = format!("json-{number}");
    builds.branch(&json, path, text);
    let output = builds.run("deploy", &["--json", &json]);
    output.code_is(1);
    let verdict: serde_json::Value =
        serde_json::from_str(output.stdout.lines().last().unwrap_or_default()).expect("JSON");
    assert!(verdict["reason"].as_str().is_some_and(|said| said.ends_with(reason)), "{verdict}");
}

/// What a program says that was given a password, and as much of that as may be kept.
const REACHES: &str = "cannot reach postgres://ada:s3cret@db:5432/shop";
const KEPT: &str = "cannot reach postgres://...@db:5432/shop";

#[test]
fn a_password_that_a_build_wrote_is_in_no_reason_wherever_the_line_is_cut() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.with_programs(&["sh"]);
    let begin = "FROM scratch\nCOPY bin/sh /bin/sh\nCOPY index.html /\n";
    // What is shown of a command ends within the password, and of a line begins there.
    let long = format!("{} fetch ftp://ada:s3cret@db/", "a".repeat(47));
    let line = format!("http://ada:s3cret@{}", "b".repeat(294));
    let steps = |command: &str| builds.repo.read("deploy.toml") + "[build]\nsteps = [\"" + command + "\"]\n";
    let environment = builds.repo.read("deploy.toml") + "[build]\nenv-file = \"build.env\"\n";
    let file = |run: &str| format!("{begin}RUN {run}\n");
    let cases = [
        ("deploy.toml", steps(&format!("echo '{REACHES}'; exit 2")), KEPT.to_owned()),
        ("deploy.toml", steps(&format!("echo '{line}'; exit 2")), "b".repeat(294)),
        ("web/Containerfile", file(&format!("echo '{REACHES}'; exit 2")), KEPT.to_owned()),
        ("web/Containerfile", file(&format!("echo no; : {long}; exit 2")), "...': no".to_owned()),
    ];
    for (number, (path, text, reason)) in cases.iter().enumerate() {
        said_everywhere(&builds, 2 * number as u32 + 1, path, text, reason);
    }
    builds.repo.commit("deploy.toml", &environment, "Set what varies");
    said_everywhere(&builds, 9, "build.env", &format!("echo '{REACHES}'; exit 2\n"), KEPT);
    let kept = builds.repo.git(&["log", "--all", "--format=%B", "--", ":!*"]).stdout;
    let tags = builds.repo.git(&["for-each-ref", "--format=%(contents)", "refs/tags"]).stdout;
    let notes: String = builds.repo.notes_in("refs/notes/deploy").into_values().collect();
    for text in [kept, tags, notes] {
        assert!(!text.contains("s3c") && !text.contains("cret"), "{text}");
    }
    let output = builds.build(&["--quiet", "json-1"]);
    let error = output.code_is(1).stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.ends_with(KEPT) && !error.contains("s3cret"), "{output}");
}

#[test]
fn tag_note_and_verdict_say_what_the_terminal_showed_of_a_build_that_failed() {
    let registry = registry!();
    let builds = deployable(&sandbox!(), &registry);
    builds.with_programs(&["sh"]);
    let begin = "FROM scratch\nCOPY bin/sh /bin/sh\nCOPY index.html /\n";
    let compiles = "RUN echo 'main.c:3: expected ;' >&2; echo '1 error.' >&2; exit 2";
    said_everywhere(
        &builds,
        1,
        "web/Containerfile",
        &format!("{begin}{compiles}\n"),
        &format!("exit status 2 at step '{compiles}': main.c:3: expected ; | 1 error."),
    );
    said_everywhere(
        &builds,
        3,
        "web/Containerfile",
        &format!("{begin}COPY nothing /\n"),
        "exit status 125 at step 'COPY nothing /': 'web/nothing' is not there",
    );
    let steps = builds.repo.read("deploy.toml") + "[build]\nsteps = [\"bash build/assets.sh\"]\n";
    builds.repo.commit("deploy.toml", &steps, "Build assets");
    said_everywhere(
        &builds,
        5,
        "build/assets.sh",
        "echo no colours >&2\nfalse | cat\necho never\n",
        "exit status 1 at line 2 of 'build/assets.sh', a pipe whose commands ended with 1, 0: no colours",
    );
}
