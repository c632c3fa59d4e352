//! What happens to a deployment when the world moves while it is on its way.

use git_deploy_testkit::shop::{Shop, WEB};
use git_deploy_testkit::{RefPhase, Victim, sandbox, skip};

/// Lets somebody else's commit land on base when the first number has been claimed.
fn move_base_after_the_claim(shop: &Shop, path: &str, text: &str) -> String {
    shop.repo.git(&["switch", "--quiet", "-c", "hotfix", "master"]);
    let hotfix = shop.repo.commit(path, text, "Fix it at once");
    shop.repo.git(&["switch", "--quiet", "master"]);
    let remote = shop.authority();
    shop.repo.git(&["push", "--quiet", "origin", "hotfix:refs/heads/hotfix"]);
    remote.install_hook(
        "post-receive",
        &format!(
            "while read -r old new ref; do\n  case \"$ref $old\" in 'refs/deploy/attempts/deployment-0001 000000'*)\n    \
             git update-ref refs/heads/master {hotfix} ;;\n  esac\ndone"
        ),
    );
    hotfix
}

#[test]
fn when_base_moved_the_branch_is_rebased_and_deployed_under_the_next_number() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let hotfix = move_base_after_the_claim(&shop, "hotfix.txt", "fixed\n");
    shop.deploy(&[]).success().stdout_contains("deployment-0002").stderr_contains("base moved");
    assert!(shop.tag("deployment-0001").contains("Result: failure\nReason: base moved\n"));
    assert!(shop.tag("deployment-0002").starts_with("Successfully Deployed"));
    assert_eq!(shop.authority().id("master^"), hotfix);
    assert_eq!(shop.authority().id("master"), shop.authority().id("login"));
    shop.is_sound();
}

#[test]
fn when_base_moved_and_the_branch_no_longer_rebases_it_is_broken() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let hotfix = move_base_after_the_claim(&shop, "login.txt", "other\n");
    shop.deploy(&[]).code_is(1).stderr_contains("broken");
    assert_eq!(shop.state("login"), "broken");
    assert_eq!(shop.authority().id("master"), hotfix);
    shop.is_sound();
}

#[test]
fn a_protected_base_leaves_it_verified_and_continue_lands_it() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let base = shop.authority().id("master");
    let remote = shop.authority();
    remote.install_hook("update", "case $1 in refs/heads/master) echo protected >&2; exit 1 ;; esac");
    let output = shop.deploy(&[]);
    output
        .code_is(75)
        .stderr_contains("deployment-0001 is verified, not landed")
        .stderr_contains("--continue");
    assert_eq!(shop.authority().id("master"), base);
    assert_eq!(shop.authority().tip("refs/tags/deployment-0001"), None);
    // Whoever may land it, wherever that is, waits for nobody.
    assert_eq!(remote.git(&["for-each-ref", "refs/deploy/lock"]).stdout, "", "{output}");
    // The queue pauses: the next run tries the same landing again, and nothing else.
    shop.deployable("next", "next.txt", "next\n");
    shop.deploy(&[]).code_is(75).stderr_contains("deployment-0001 is verified, not landed");
    remote.remove_hook("update");
    shop.deploy(&["--continue"]).success().stdout_contains("deployment-0001: Successfully Deployed");
    assert_eq!(shop.authority().id("master"), shop.authority().id("login"));
    shop.is_sound();
    shop.deploy(&["--continue"]).code_is(1).stderr_contains("no deployment is under way");
}

#[test]
fn abort_ends_it_as_failed_and_stages_the_branch() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let remote = shop.authority();
    remote.install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75);
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("Failed Deployment");
    assert!(shop.tag("deployment-0001").contains("Result: aborted\n"));
    assert_eq!(shop.state("login"), "staged");
    assert_eq!(shop.authority().tip("rendered/demo"), None);
    remote.remove_hook("update");
    shop.is_sound();
}

#[test]
fn a_remote_that_goes_away_leaves_a_deployment_that_the_next_run_ends() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let remote = shop.authority();
    let (here, away) = (remote.path().to_owned(), remote.path().with_extension("away"));
    remote.install_hook(
        "post-receive",
        &format!("grep -q attempts/deployment-0001 && mv '{}' '{}'", here.display(), away.display()),
    );
    shop.deploy(&[]).code_is(75).stderr_contains("deployment-0001");
    shop.deploy(&[]).stderr_contains("cannot reach remote 'origin'");
    std::fs::rename(&away, &here).unwrap();
    remote.remove_hook("post-receive");
    shop.deploy(&[]).success().stdout_contains("deployment-0001: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn a_verdict_found_while_the_remote_was_away_is_pushed_by_the_next_run() {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    shop.deployable("latest", "deploy/web.yaml", &WEB.replace("littleman-co/shop-web:any", "nginx:latest"));
    // The remote takes one push, that of the claim, and no more.
    let claimed = sandbox.root().join("claimed");
    let script = format!(
        "#!/bin/sh\n[ -e '{0}' ] && exit 1\n: >'{0}'\nexec git-receive-pack \"$@\"\n",
        claimed.display()
    );
    let once = sandbox.add_program("receive-once", &script);
    shop.repo.set_config("remote.origin.receivepack", &once.display().to_string());
    shop.deploy(&[]).code_is(1).stdout_contains("Failed Deployment").stderr_contains("only here");
    let tag = shop.repo.id("refs/tags/deployment-0001");
    assert_eq!(shop.authority().tip("refs/tags/deployment-0001"), None);
    shop.repo.git(&["config", "--unset", "remote.origin.receivepack"]);
    shop.deploy(&[]).code_is(1).stdout_contains("deployment-0001: Failed Deployment");
    assert_eq!(shop.authority().id("refs/tags/deployment-0001"), tag);
    assert_eq!(shop.state("latest"), "staged");
    shop.is_sound();
}

#[test]
fn a_withdrawal_before_the_first_change_aborts() {
    let shop = Shop::with_remote(&sandbox!());
    let id = shop.deployable("login", "login.txt", "hello\n");
    let remote = shop.authority();
    // Somebody pushes another commit to the branch at the moment of the claim.
    shop.repo.git(&["switch", "--quiet", "-c", "more", "login"]);
    let more = shop.repo.commit("more.txt", "more\n", "One more thing");
    shop.repo.git(&["push", "--quiet", "origin", "more"]);
    shop.repo.git(&["switch", "--quiet", "master"]);
    remote.install_hook(
        "post-receive",
        &format!("grep -q attempts/deployment-0001 && git update-ref refs/heads/login {more} {id}"),
    );
    shop.deploy(&[]).code_is(1).stdout_contains("branch 'login' was moved");
    assert!(shop.tag("deployment-0001").contains("Result: aborted\nReason: branch 'login' was moved\n"));
    remote.remove_hook("post-receive");
    assert_eq!(shop.authority().id("login"), more, "the new commit is not touched");
    assert_eq!(shop.state("login"), "development");
    shop.is_sound();
}

#[test]
fn two_runners_deploy_each_branch_once_and_use_no_number_twice() {
    let sandbox = sandbox!();
    let shop = Shop::with_remote(&sandbox);
    for index in 0..6 {
        shop.deployable(&format!("b{index}"), &format!("b{index}.txt"), "x\n");
    }
    let other = shop.authority().clone_to("other");
    for _ in 0..12 {
        let running = [&shop.repo, &other].map(|repo| repo.command("git-deploy").start());
        for output in running.map(git_deploy_testkit::Running::wait) {
            assert!([Some(0), Some(75)].contains(&output.code), "{output:?}");
        }
    }
    for _ in 0..6 {
        shop.deploy(&[]);
    }
    for index in 0..6 {
        assert_eq!(shop.state(&format!("b{index}")), "deployed", "{:#?}", shop.authority().refs());
    }
    assert_eq!(shop.authority().git(&["rev-list", "--count", "master"]).line(), "7");
    shop.is_sound();
}

#[test]
fn an_interrupted_run_says_what_stands_where_and_is_continued() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let claimed = shop.repo.path().with_extension("claimed");
    shop.authority().install_hook(
        "post-receive",
        &format!("grep -q attempts/deployment-0001 && : >'{}' && sleep 1; true", claimed.display()),
    );
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_file(&claimed);
    running.terminate();
    let output = running.wait();
    output
        .code_is(143)
        .stderr_contains("deployment-0001 is claimed")
        .stderr_contains("git deploy --continue");
    shop.authority().remove_hook("post-receive");
    shop.deploy(&["--continue"]).success().stdout_contains("deployment-0001: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn ctrl_c_reaches_git_too_and_the_run_is_continued_all_the_same() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let asked = shop.repo.path().with_extension("asked");
    shop.authority().install_hook("pre-receive", &format!(": >'{}'; sleep 1", asked.display()));
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_file(&asked);
    running.interrupt();
    running.wait().code_is(130).stderr_contains("interrupted");
    shop.authority().remove_hook("pre-receive");
    shop.deploy(&[]).success().stdout_contains("Successfully Deployed");
    shop.is_sound();
}

#[test]
fn a_verdict_that_a_dying_run_could_not_tell_is_told_by_the_next_one() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("login", "login.txt", "hello\n");
        let place = shop.authority();
        let switch = place.kill_at_transaction_of(&["refs/tags/*"], 1, RefPhase::Prepared, Victim::Process);
        shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
        switch.remove();
        shop.deploy(&["--continue"]).success().stdout_contains("deployment-0001: Successfully Deployed");
        shop.deploy(&["--continue"]).code_is(1).stderr_contains("no deployment is under way");
        shop.is_sound();
    }
}

#[test]
fn an_abort_after_the_landing_says_that_it_has_ended() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let switch = shop.repo.kill_at_transaction_of(&["refs/tags/*"], 1, RefPhase::Prepared, Victim::Process);
    shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    shop.deploy(&["--abort"]).code_is(1).stderr_contains("deployment-0001 has ended already");
    assert!(shop.tag("deployment-0001").starts_with("Successfully Deployed"));
    shop.is_sound();
}

#[test]
fn a_withdrawal_after_the_first_change_comes_too_late_and_that_is_said() {
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let told = shop.repo.path().with_extension("told");
    shop.repo.install_hook(
        "reference-transaction",
        &format!(
            "[ $1 = committed ] && grep -q refs/deploy/rendered && \
\
             git deploy-state set development login 2>'{}'; true",
            told.display()
        ),
    );
    shop.deploy(&[]).success().stderr_contains("'login' was set to development when it was on its way");
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains("too late for deployment-0001"), "{told}");
    shop.repo.remove_hook("reference-transaction");
    assert_eq!(shop.state("login"), "deployed");
    shop.is_sound();
}

#[test]
fn what_a_remote_says_when_it_refuses_is_told() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.authority().install_hook(
        "pre-receive",
        "grep -q refs/heads/master && echo 'master is protected' && exit 1; true",
    );
    let output = shop.deploy(&[]);
    output.code_is(75).stderr_contains("master is protected");
    assert_eq!(output.stderr.matches("pre-receive hook declined").count(), 1, "{}", output.stderr);
}

/// Lands where base is checked out on a small disk, says what stands there then, makes room, and lands again.
const WITHOUT_ROOM: &str = r#"
mount -t tmpfs -o size=1m none "$0" && git switch --quiet --detach && git worktree add --quiet "$0/tree" master || exit 99
stands() {
    echo "$1 $(git rev-parse master) $(git -C "$0/tree" status --porcelain | wc -l) $(git tag | wc -l)"
}
git deploy >&2; stands $?
[ ! -e "$0/tree/first.txt" ] || exit 98
mount -o remount,size=16m "$0" || exit 97
git deploy --continue >&2; stands $?
"#;

#[test]
fn base_does_not_move_where_its_work_tree_has_no_room_to_follow() {
    let sandbox = sandbox!();
    let shop = Shop::alone(&sandbox);
    shop.branch("login", "first.txt", "hello\n");
    shop.repo.switch("login");
    shop.repo.commit("large.txt", &"hello\n".repeat(500_000), "Greet everybody");
    shop.repo.switch("master");
    shop.repo.deploy("deploy-state", &["set", "deployable", "login"]);
    let (base, notes) = (shop.repo.id("master"), shop.repo.notes());
    let disk = sandbox.root().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let run =
        |script: &str| shop.repo.command("unshare").args(["--mount", "sh", "-c", script]).arg(&disk).output();
    if run("mount -t tmpfs none \"$0\"").code != Some(0) {
        skip!("mounts are not allowed here");
    }
    let run = run(WITHOUT_ROOM);
    let tip = shop.repo.id("login");
    run.success().stdout_is(&format!("75 {base} 0 0\n0 {tip} 0 1\n"));
    run.stderr_contains("deployment-0001 is verified, not landed: '")
        .stderr_contains("/disk/tree' cannot follow: unable to write file large.txt")
        .stderr_contains("hint: mend the cause, then: git deploy --continue");
    assert_ne!(shop.repo.notes(), notes);
    assert_eq!(shop.state("login"), "deployed");
    shop.is_sound();
}

#[test]
fn nothing_lands_where_a_branch_is_in_the_way_of_the_rendered_one() {
    let sandbox = sandbox!();
    let shop = Shop::alone(&sandbox);
    let tip = shop.deployable("login", "a.txt", "a\n");
    let base = shop.repo.id("master");
    shop.repo.branch("rendered");
    shop.repo.switch("master");
    shop.deploy(&[])
        .code_is(75)
        .stderr_contains("cannot make ref 'refs/heads/rendered/demo': 'refs/heads/rendered' is there")
        .stderr_contains("hint: mend the cause, then: git deploy --continue");
    assert_eq!(shop.repo.id("master"), base);
    shop.repo.git(&["branch", "-m", "rendered", "mine"]);
    shop.deploy(&["--continue"]).success();
    assert_eq!(shop.repo.id("master"), tip);
    shop.is_sound();
}

#[test]
fn a_base_that_somebody_has_set_back_is_said_to_lack_what_has_landed() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let before = shop.repo.id("master");
        shop.deployable("login", "login.txt", "hello\n");
        shop.deploy(&[]).success().lacks("set back");
        shop.deployable("search", "search.txt", "x\n");
        shop.deploy(&[]).success().lacks("set back");
        shop.repo.git(&["reset", "--quiet", "--hard", &before]);
        if shop.authority().path() != shop.repo.path() {
            shop.repo.git(&["push", "--quiet", "--force", "--no-verify", "origin", "master"]);
        }
        shop.deployable("mail", "mail.txt", "x\n");
        let set_back = "warning: 'master' was set back and lacks deployment-0002 of 'search', which ";
        shop.deploy(&[]).success().stderr_contains(&format!("{set_back}stands in demo: what only that "));
        shop.deployable("news", "news.txt", "x\n");
        shop.deploy(&[]).success().lacks("set back");
        // What was begun upon it has it still.
        let landed = shop.repo.id("master");
        shop.branch("late", "late.txt", "x\n");
        shop.repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        if shop.authority().path() != shop.repo.path() {
            shop.repo.git(&["push", "--quiet", "--force", "--no-verify", "origin", "master"]);
        }
        shop.repo.deploy("deploy-state", &["set", "deployable", "late"]);
        shop.deploy(&[]).success().stderr_contains("of 'news', which comes there again with this");
        shop.repo.git(&["merge-base", "--is-ancestor", &landed, "master"]);
    }
}
