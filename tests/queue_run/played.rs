//! What a runner makes of what its `git deploy` says, which a script plays here.

use std::fs;
use std::time::Duration;

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Run, sandbox};

use super::{ends, is_told_once, standstill};

/// A runner whose `git deploy` is that script.
fn runner(shop: &Shop, script: &str) -> Run {
    let sandbox = shop.repo.sandbox();
    let script = sandbox.add_program("git-deploy", &format!("#!/bin/sh\n{script}"));
    let program = script.with_file_name("git-deploy-queue");
    // Another process writes it: nothing that is started here meanwhile keeps it open.
    let to = program.to_str().expect("a temporary directory in UTF-8");
    sandbox.run("cp", &[env!("CARGO_BIN_EXE_git-deploy-queue"), to]);
    shop.repo.command(program).arg("run")
}

#[test]
fn what_fails_in_the_same_way_again_is_waited_for_and_told() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let fails = r#"echo '{"event":"verdict","result":"failure","branch":"refs/heads/login","reason":"no pod starts"}'
exit 1"#;
    let mut watching = runner(&shop, fails).arg("--watch").start();
    watching.wait_for_words("tried again in 5 s");
    let (_, why) = standstill(&shop.repo).expect("it is told");
    assert_eq!(why, "no pod starts");
    ends(watching);
}

#[test]
fn who_gets_on_is_told_to_stand_still_no_more_and_who_fails_once_more_has_done_so_all_the_time() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let [answers, fails] = ["answers", "fails"].map(|end| shop.repo.path().with_extension(end));
    let script = format!(
        r#"say() {{ echo "{{\"event\":\"step\",\"step\":\"$1\",\"text\":\"it\"}}"; }}
say fetching
if [ -e '{}' ]; then
  say building
  until [ -e '{}' ]; do sleep 0.05; done
fi
echo '{{"event":"verdict","result":"error","reason":"no registry"}}'
exit 75"#,
        answers.display(),
        fails.display()
    );
    let mut watching = runner(&shop, &script).arg("--watch").start();
    watching.wait_for_words("tried again in 5 s");
    let first = standstill(&shop.repo);
    assert_eq!(first.as_ref().map(|(_, why)| why.as_str()), Some("no registry"));
    fs::write(&answers, "").expect("it can be written");
    // Its time is told in seconds.
    std::thread::sleep(Duration::from_millis(1100));
    watching.wake();
    watching.wait_for_words("building it");
    assert_eq!(standstill(&shop.repo), None);
    fs::write(&fails, "").expect("it can be written");
    watching.wait_for_words("tried again in 10 s");
    assert_eq!(standstill(&shop.repo), first);
    ends(watching);
}

#[test]
fn what_a_deployment_says_that_ends_without_a_verdict_is_passed_on() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let older = "exec >&2; echo \"error: unexpected argument '--json' found\"; echo; echo 'Usage: git deploy [<branch>]'\n\
                 echo 'hint: see git deploy -h'; exit 129";
    let output = runner(&shop, older).output();
    output.code_is(129).stderr_contains("Usage: git deploy [<branch>]").lacks("says nothing of why");
    output.stderr_contains("hint: see git deploy -h");
    is_told_once(&output, "error: unexpected argument '--json' found");
    let events = runner(&shop, older).arg("--json").output();
    events.code_is(129).stdout_contains("Usage: git deploy [<branch>]");
    events.stdout_contains("\"text\":\"unexpected argument '--json' found\"");
}

#[test]
fn whom_a_runner_waits_for_is_no_error_in_whatever_order_that_is_read() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let waits = r#"echo 'error: ada deploys just now' >&2
sleep 0.3
echo '{"event":"step","step":"recovered","text":"it"}'
echo '{"event":"verdict","result":"error","reason":"ada deploys just now","waits":"deployment"}'
exit 75"#;
    let output = runner(&shop, waits).output();
    output.code_is(75).stderr_contains("recovered it").stderr_contains("waits: ada deploys just now");
    output.lacks("error: ada deploys");
    output.stderr_contains("ends: nothing can be taken from the queue now: ada deploys just now");
    let events = runner(&shop, waits).arg("--json").output();
    events.stdout_contains("\"reason\":\"nothing can be taken from the queue now: ada deploys just now\"");
}
