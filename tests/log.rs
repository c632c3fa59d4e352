//! `git deploy-log`: the ledger, as it stands in annotated tags.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, Sandbox, sandbox};

fn shop(sandbox: &Sandbox) -> Repo {
    let repo = sandbox.repository("shop");
    repo.commit("a.txt", "one\n", "Begin");
    repo
}

/// Makes the tag of a deployment that finished at that minute.
fn tag(repo: &Repo, name: &str, result: &str, environment: &str, minute: u32, more: &str) {
    let subject = if result == "success" { "Successfully Deployed" } else { "Failed Deployment" };
    let commit = repo.id("HEAD");
    let message = format!(
        "{subject}\n\nEnvironment: {environment}\nCommit: {commit}\nBranch: login\n\
         Started: 2026-11-20T12:00:00Z\nFinished: 2026-11-20T12:{minute:02}:00Z\nResult: {result}\n{more}"
    );
    repo.git(&["tag", "-a", "--cleanup=verbatim", "-m", &message, name]);
}

#[test]
fn deployments_are_shown_newest_first() {
    let repo = shop(&sandbox!());
    tag(&repo, "deployment-0001", "success", "production", 1, "");
    tag(&repo, "deployment-0002", "failure", "production", 5, "Reason: lint: image 'nginx' has no tag\n");
    tag(&repo, "deployment-staging-0001", "aborted", "staging", 3, "");
    let commit = repo.id("HEAD");
    repo.deploy("deploy-log", &["--porcelain"]).stderr_is("").stdout_is(&format!(
        "deployment-0002 failure production {commit} 2026-11-20T12:05:00Z -\n\
         deployment-staging-0001 aborted staging {commit} 2026-11-20T12:03:00Z -\n\
         deployment-0001 success production {commit} 2026-11-20T12:01:00Z -\n"
    ));
    let people = repo.deploy("deploy-log", &[]);
    let short = &commit[..10];
    assert_eq!(
        people.lines()[0],
        format!(
            "deployment-0002          failure  production  {short}  2026-11-20T12:05:00Z  login  lint: image 'nginx' has no tag"
        )
    );
}

#[test]
fn the_deployments_of_one_environment_are_shown_by_their_numbers_whatever_clocks_say() {
    let repo = shop(&sandbox!());
    let finished =
        [("0001", 8), ("0002", 3), ("0003", 4), ("0004", 9), ("staging-0001", 2), ("staging-0002", 5)];
    for (number, minute) in finished {
        tag(&repo, &format!("deployment-{number}"), "success", "production", minute, "");
    }
    let printed = repo.deploy("deploy-log", &["--porcelain"]);
    let tags: Vec<_> = printed.lines().iter().map(|line| line[11..].split(' ').next().unwrap()).collect();
    assert_eq!(tags, ["0004", "0003", "0002", "0001", "staging-0002", "staging-0001"]);
    let printed = repo.deploy("deploy-log", &["--porcelain", "-n", "1"]);
    assert!(printed.lines()[0].starts_with("deployment-0004 "), "{printed}");
}

#[test]
fn one_may_ask_for_the_last_of_one_environment() {
    let repo = shop(&sandbox!());
    for number in 1..=3 {
        tag(&repo, &format!("deployment-000{number}"), "success", "production", number, "");
    }
    tag(&repo, "deployment-staging-0001", "success", "staging", 9, "");
    let tags = |arguments: &[&str]| {
        let printed = repo.deploy("deploy-log", &[&["--porcelain"], arguments].concat());
        printed.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tags(&["-n", "1"]), ["deployment-staging-0001"]);
    assert_eq!(tags(&["-n2", "--env=production"]), ["deployment-0003", "deployment-0002"]);
    assert_eq!(tags(&["--env=nowhere"]), [""; 0]);
    assert_eq!(tags(&["-n0"]), [""; 0]);
    assert_eq!(tags(&["-2"]), ["deployment-staging-0001", "deployment-0003"]);
    repo.deploy("deploy-log", &["-n", "0"]).is_silent();
    repo.deploy("deploy-log", &["--env=prodution"]).stdout_is("").stderr_is(
        "note: nothing was deployed to 'prodution' yet\nhint: there were deployments to: production, staging\n",
    );
}

#[test]
fn programs_get_all_that_a_tag_says() {
    let repo = shop(&sandbox!());
    let more = "Image: a/b:c@sha256:0\nReason: it did not run\nPrevious: deployment-0001\nFuture: x\n";
    tag(&repo, "deployment-0002", "failure", "production", 5, more);
    let commit = repo.id("HEAD");
    repo.deploy("deploy-log", &["--json"]).stdout_is(&format!(
        "{{\"tag\":\"deployment-0002\",\"result\":\"failure\",\"environment\":\"production\",\"commit\":\"{commit}\",\
         \"finished\":\"2026-11-20T12:05:00Z\",\"branch\":\"login\",\"started\":\"2026-11-20T12:00:00Z\",\
         \"reason\":\"it did not run\",\"previous\":\"deployment-0001\",\"images\":[{{\"name\":\"a/b:c\",\"digest\":\"sha256:0\"}}]}}\n"
    ));
}

#[test]
fn tags_that_are_no_deployments_are_passed_over_and_unreadable_ones_are_told() {
    let repo = shop(&sandbox!());
    tag(&repo, "deployment-0002", "success", "production", 5, "");
    repo.git(&["tag", "deployment-plan"]);
    repo.git(&["tag", "v1"]);
    repo.git(&["tag", "deployment-0003"]);
    repo.git(&["tag", "-a", "-m", "Successfully Deployed", "deployment-0004"]);
    let printed = repo.deploy("deploy-log", &["--porcelain"]);
    assert_eq!(printed.lines().len(), 1, "{printed}");
    printed
        .stderr_contains(
            "warning: tag 'deployment-0003' cannot be read as a deployment: it is not an annotated tag",
        )
        .stderr_contains(
            "warning: tag 'deployment-0004' cannot be read as a deployment: it has no line 'Result:'",
        )
        .stderr_contains("hint: look at it with: git show deployment-0004")
        .lacks("deployment-plan");
}

#[test]
fn an_empty_ledger_is_no_error() {
    let repo = shop(&sandbox!());
    repo.deploy("deploy-log", &[]).stdout_is("").stderr_is("note: nothing was deployed yet\n");
    repo.deploy("deploy-log", &["--porcelain"]).stdout_is("");
}

#[test]
fn a_reason_cannot_reach_the_terminal_with_its_control_characters() {
    let repo = shop(&sandbox!());
    tag(&repo, "deployment-0001", "failure", "production", 5, "Reason: \x1b[2J\u{9b}31m\n");
    for arguments in [&[][..], &["--json"]] {
        repo.deploy("deploy-log", arguments).lacks("\x1b").lacks("\u{9b}");
    }
}

#[test]
fn a_deployed_branch_is_told_by_its_tag_and_not_by_its_note() {
    let repo = shop(&sandbox!());
    repo.branch("login");
    repo.commit("b.txt", "b\n", "Log in");
    repo.git(&["notes", "--ref=deploy", "add", "-m", "state: deployed\nref: refs/heads/login"]);
    repo.deploy("deploy-state", &[]).stdout_is("development\n");
    tag(&repo, "deployment-0001", "success", "production", 1, "");
    repo.deploy("deploy-state", &[]).stdout_is("development\n");
    repo.switch("master");
    repo.git(&["merge", "--quiet", "--ff-only", "login"]);
    repo.deploy("deploy-state", &["get", "-v", "login"])
        .stdout_is("deployed\n")
        .stderr_contains("deployment-0001");
    let commit = repo.id("login");
    repo.deploy("deploy-state", &["list", "--porcelain"])
        .stdout_is(&format!("deployed {commit} refs/heads/login\n"));
    repo.try_deploy("deploy-state", &["set", "development", "login"])
        .code_is(1)
        .stderr_contains("cannot set 'login' to development: it is deployed, and nothing leaves that state");
}

#[test]
fn a_long_reason_is_one_short_line_for_people_and_whole_for_programs() {
    let repo = shop(&sandbox!());
    let reason = "it did not run ".repeat(20);
    tag(&repo, "deployment-0001", "failure", "production", 5, &format!("Reason: {reason}\n"));
    let people = repo.deploy("deploy-log", &[]);
    assert!(people.line().ends_with("it did not run..."), "{people}");
    assert!(people.line().len() < 160, "{people}");
    repo.deploy("deploy-log", &["-v"]).stdout_contains(reason.trim_end());
    repo.deploy("deploy-log", &["--json"]).stdout_contains(reason.trim_end());
}

#[test]
fn a_success_that_went_back_says_so_and_where_to() {
    let shop = Shop::alone(&sandbox!());
    for name in ["one", "two"] {
        shop.deployable(name, &format!("{name}.txt"), "x\n");
        shop.deploy(&[]).success();
    }
    shop.deploy(&["--rollback"]).success();
    let log = |arguments: &[&str]| shop.repo.deploy("deploy-log", arguments);
    let lines = log(&[]);
    assert!(lines.lines()[0].ends_with("back to deployment-0001"), "{lines}");
    assert!(lines.lines()[1].ends_with("two"), "{lines}");
    let lines = log(&["--porcelain"]);
    let last = |index: usize| lines.lines()[index].rsplit(' ').next().unwrap_or_default().to_owned();
    assert_eq!((last(0).as_str(), last(1).as_str()), ("deployment-0001", "-"), "{lines}");
    let lines = log(&["--json"]);
    assert!(lines.lines()[0].contains(r#""rollback":"deployment-0001""#), "{lines}");
    assert!(!lines.lines()[1].contains("rollback"), "{lines}");
}
