//! What a runner waits for, and what is said of that: once, where it is to be known, and as what it is.

use std::time::Duration;

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Repo, Victim, sandbox};

use super::{ends, hold_the_claim, ledger, protect_base, run, standstill, watch};

#[test]
fn what_keeps_a_runner_from_getting_on_is_told_to_who_looks_at_the_queue_in_its_clone() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let url = shop.repo.git(&["config", "remote.origin.url"]).line().to_owned();
    let elsewhere = shop.authority().clone_to("elsewhere");
    elsewhere.deploy("deploy-sync", &[]);
    let told = |repo: &Repo| {
        ["list", "show login"].map(|words| {
            let output = repo.deploy("deploy-queue", &words.split(' ').collect::<Vec<_>>());
            let text = format!("{}{}", output.stdout, output.stderr);
            let line = text.lines().find(|line| line.contains("a runner of this clone")).map(str::to_owned);
            line.unwrap_or_default()
        })
    };
    let since = |repo: &Repo| standstill(repo).map(|(since, _)| since);
    shop.repo.set_config("remote.origin.url", "/nowhere/at/all");
    let mut watching = watch(&shop);
    watching.wait_for_words("tried again in 5 s");
    let first = since(&shop.repo).expect("it is told");
    for line in told(&shop.repo) {
        let words =
            format!("a runner of this clone has tried in vain since {first}: cannot reach remote 'origin'");
        assert!(line.contains(&words), "{line}");
    }
    // Others do not know of it.
    assert_eq!((told(&elsewhere), since(&elsewhere)), ([String::new(), String::new()], None));
    // It has been so all the time.
    watching.wake();
    watching.wait_for_words("tried again in 10 s");
    assert_eq!(since(&shop.repo), Some(first));
    // The dead wait for nothing.
    watching.kill(Victim::Process).was_killed();
    assert_eq!((told(&shop.repo), since(&shop.repo)), ([String::new(), String::new()], None));
    let mut watching = watch(&shop);
    watching.wait_for_words("tried again in 5 s");
    assert!(since(&shop.repo).is_some());
    shop.repo.set_config("remote.origin.url", &url);
    shop.repo.deploy("deploy-queue", &["hold", "--reason=until Monday"]);
    watching.wake();
    watching.wait_for_words("the queue is held");
    let is_over = |_| {
        std::thread::sleep(Duration::from_millis(100));
        since(&shop.repo).is_none()
    };
    assert!((0..100).any(is_over), "nothing hinders it any more");
    assert_eq!(told(&shop.repo), [String::new(), String::new()]);
    ends(watching);
    let left = std::fs::read_dir(shop.repo.path().join(".git/deploy/standstill")).expect("it is there");
    assert_eq!(left.count(), 0);
}

#[test]
fn who_waits_for_another_one_that_deploys_says_so_once_and_calls_it_no_error() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let (held, goes_on) = hold_the_claim(shop.authority(), "post-receive");
    let other = shop.authority().clone_to("other");
    let mut deploying = other.command("git-deploy").start();
    deploying.wait_for_file(&held);
    let output = run(&shop, &[]);
    output.code_is(75).stderr_contains(" deploys just now (deployment-0001)\n");
    let is_told = |line: &&str| line.contains("deploys just now");
    assert!(output.stderr.lines().filter(is_told).all(|line| !line.contains("error:")), "{output}");
    run(&shop, &["--json"]).code_is(75).stdout_contains("\"waits\":\"deployment\"");
    let mut watching = watch(&shop);
    watching.wait_for_words("deploys just now (deployment-0001)");
    // It looks again, and again.
    std::thread::sleep(Duration::from_secs(4));
    std::fs::write(&goes_on, "").expect("it can be written");
    deploying.wait().success();
    watching.wait_for_words("the queue is empty");
    let output = ends(watching);
    assert_eq!(output.stderr.lines().filter(is_told).count(), 1, "{output}");
    assert!(output.stderr.matches("fetching").count() > 2, "{output}");
    output.lacks("hint: wait until");
    let errors: Vec<&str> = output.stderr.lines().filter(|line| line.contains("error: ")).collect();
    assert_eq!(errors, ["error: terminated"], "{output}");
    assert_eq!(ledger(shop.authority()), ["login success"]);
}

#[test]
fn what_is_told_of_a_runner_says_nobodys_password() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.set_config("remote.origin.url", "git://ada:secret@127.0.0.1:1/shop.git");
    let mut watching = watch(&shop);
    watching.wait_for_words("tried again in 5 s");
    let (_, why) = standstill(&shop.repo).expect("it is told");
    assert!(why.starts_with("cannot reach remote 'origin'") && !why.contains("secret"), "{why}");
    ends(watching);
}

#[test]
fn a_remote_that_does_not_come_to_an_end_keeps_nobody_from_going_on() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.set_config("deploy.remoteTimeLimit", "15s");
    // The first push that claims a number stands still there.
    let held = shop.repo.path().with_extension("held");
    let hook = format!(
        "grep -q refs/deploy/attempts/ || exit 0; [ -e '{0}' ] && exit 0; : >'{0}'; exec sleep 1000",
        held.display()
    );
    shop.authority().install_hook("pre-receive", &hook);
    let mut watching = watch(&shop);
    watching.wait_for_file(&held);
    watching.wait_for_words(
        "has not come to an end within 15 s; if it only takes long: git config deploy.remoteTimeLimit 1h",
    );
    watching.wait_for_words("deployment-0001: Successfully Deployed");
    ends(watching);
    shop.is_sound();
    shop.repo.set_config("deploy.remoteTimeLimit", "soon");
    run(&shop, &[])
        .code_is(128)
        .stderr_contains("'deploy.remoteTimeLimit' is 'soon', and must be a duration such as '90s'");
}

#[test]
fn a_lock_file_that_a_dead_git_left_in_the_remote_is_named_once_and_waited_for() {
    for (name, what) in [
        ("refs/deploy/lock/env/demo", "cannot claim a number"),
        ("refs/heads/master", "deployment-0001 is verified, not landed"),
    ] {
        let shop = Shop::with_remote(&sandbox!());
        shop.deployable("login", "login.txt", "hello\n");
        let lock = shop.authority().lock_of(name);
        std::fs::create_dir_all(lock.parent().expect("a folder")).expect("it can be made");
        std::fs::write(&lock, "").expect("it can be written");
        let mut watching = watch(&shop);
        watching.wait_for_words("tried again in 5 s");
        watching.wake();
        watching.wait_for_words("tried again in 10 s");
        watching.wake();
        watching.wait_for_words("tried again in 20 s");
        // Whoever looks while it is tried again is told, too.
        let (since, why) = standstill(&shop.repo).expect("it is told");
        let named = format!("{what}: the remote's '{}' has been there since 2", lock.display());
        assert!(why.starts_with(&named) && why.ends_with("remove that file"), "{why}");
        let told = shop.repo.deploy("deploy-queue", &[]);
        told.stderr_contains(&format!("a runner of this clone has tried in vain since {since}: {why}"));
        std::fs::remove_file(&lock).expect("it is there");
        watching.wake();
        watching.wait_for_words("deployment-0001: Successfully Deployed");
        let output = ends(watching);
        // Once by what was claimed, and once by what took that up again.
        let told = output.stderr.matches("has been there since").count();
        assert!(told <= 2, "{output}");
        shop.is_sound();
    }
}

#[test]
fn a_command_that_does_not_come_to_an_end_delays_the_queue_once_and_is_told_once() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.deployable("cart", "cart.txt", "hello\n");
    shop.repo.set_config("deploy.onEvent", "cat >/dev/null; exec sleep 1000");
    let begun = std::time::Instant::now();
    let output = run(&shop, &[]);
    output.success().stderr_contains("; for 10 minutes it gets no more than 10 s");
    // Three times the whole would be more.
    assert!(begun.elapsed() < Duration::from_secs(85), "{output}");
    assert_eq!(output.stderr.matches("deploy.onEvent").count(), 1, "{output}");
    assert_eq!(ledger(shop.authority()), ["login success", "cart success"]);
}

#[test]
fn who_queued_a_branch_is_told_once_that_it_became_broken_and_since_when() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "shared.txt", "login\n");
    shop.deployable("cart", "shared.txt", "cart\n");
    let runner = shop.authority().clone_to("runner");
    runner.deploy("deploy-sync", &[]);
    let decided = shop.repo.deploy("deploy-queue", &["show", "--json", "cart"]).line().to_owned();
    runner.try_deploy("deploy-queue", &["run"]).code_is(1).stderr_contains("broken 'cart'");
    let words = "warning: 'cart' became broken: conflict in 'shared.txt'\n";
    let told = shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(told.stderr.matches(words).count(), 1, "{told}");
    shop.repo.deploy("deploy-sync", &[]).lacks("became broken");
    let shown = shop.repo.deploy("deploy-queue", &["show", "--json", "cart"]).line().to_owned();
    let [before, now] =
        [&decided, &shown].map(|json| serde_json::from_str::<serde_json::Value>(json).expect("an object"));
    assert_eq!(now["conflicts"], serde_json::json!(["shared.txt"]));
    assert!(now["since"].as_str() > before["since"].as_str(), "{shown}");
    let since = now["since"].as_str().expect("it is told");
    shop.repo
        .deploy("deploy-queue", &["show", "cart"])
        .stdout_contains(&format!("'shared.txt', since {since}"));
    // A clone that hears of it for the first time has no news of it.
    shop.authority().clone_to("another").deploy("deploy-sync", &[]).lacks("became broken");
}

#[test]
fn who_withdraws_what_is_on_its_way_is_told_how_it_ends_and_can_end_it() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let runner = shop.authority().clone_to("runner");
    runner.deploy("deploy-sync", &[]);
    protect_base(&shop);
    let mut watching = runner.command("git-deploy-queue").args(["run", "--watch"]).start();
    watching.wait_for_words("tried again in 5 s");
    shop.repo
        .deploy("deploy-state", &["set", "development", "login"])
        .stderr_contains("that comes too late for deployment-0001, which is on its way with 'login'")
        .stderr_contains(
            "hint: it ends when it has landed or failed; to end it before that, stop the run that is at work, then: ",
        );
    ends(watching);
    shop.deploy(&["--abort"]).code_is(1).stdout_contains("aborted");
    assert_eq!(
        (ledger(shop.authority()), shop.state("login")),
        (vec!["login aborted".to_owned()], "development".to_owned())
    );
}
