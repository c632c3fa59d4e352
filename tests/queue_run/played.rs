//! What a runner makes of what its `git deploy` says, which a script plays here.

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Run, sandbox};

use super::{ends, standstill};

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
