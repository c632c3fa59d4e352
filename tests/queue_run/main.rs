//! `git deploy-queue run`: works the queue off, once or for as long as it is wanted.

mod played;
mod waiting;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{Output, Repo, Running, sandbox};

/// A manifest that only its branch is to blame for.
const WRONG: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n";

fn run(shop: &Shop, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-queue", &[&["run"], arguments].concat())
}

fn watch(shop: &Shop) -> Running {
    let arguments = ["run", "--watch", "--interval=1"];
    shop.repo.command("git-deploy-queue").args(arguments).start()
}

/// Tells one that watches to end, as it does then.
#[track_caller]
fn ends(mut watching: Running) -> Output {
    watching.terminate();
    let output = watching.wait();
    output.code_is(143);
    output
}

/// It says that in one line, and each hint once.
#[track_caller]
fn is_told_once(output: &Output, what: &str) {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let hints = lines.iter().filter_map(|line| line.split_once("hint: ")).map(|(_, hint)| hint);
    assert_eq!(lines.iter().filter(|line| line.contains(what)).count(), 1, "{output}");
    let mut told = BTreeSet::new();
    assert!(hints.clone().count() > 0 && hints.into_iter().all(|hint| told.insert(hint)), "{output}");
}

/// What is told of a runner there that does not get on: since when, and why.
fn standstill(repo: &Repo) -> Option<(String, String)> {
    let json = repo.deploy("deploy-queue", &["--json"]).line().to_owned();
    let place: serde_json::Value = serde_json::from_str(&json).expect("an object");
    let standstill = place.get("standstill")?;
    let text = |key: &str| standstill[key].as_str().map(str::to_owned).expect("a text");
    Some((text("since"), text("reason")))
}

/// Lets the remote refuse what lands.
fn protect_base(shop: &Shop) {
    shop.authority()
        .install_hook("update", "case $1 in refs/heads/master) echo protected >&2; exit 1 ;; esac");
}

/// The branches of the ledger with their results, oldest first.
fn ledger(repo: &Repo) -> Vec<String> {
    let format = "--format=%(contents:subject) %(contents)";
    let tags = repo.git(&["for-each-ref", "--format=%(refname:short)", "refs/tags/deployment-*"]);
    let line = |tag: &str| {
        let text = repo.git(&["for-each-ref", format, &format!("refs/tags/{tag}")]).stdout;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim_start_matches("refs/heads/").to_owned()
        };
        format!("{} {}", value("Branch: "), value("Result: "))
    };
    tags.lines().into_iter().map(line).collect()
}

#[test]
fn the_queue_is_worked_off_in_its_order() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        for name in ["login", "cart", "search"] {
            shop.deployable(name, &format!("{name}.txt"), "new\n");
        }
        shop.repo.deploy("deploy-state", &["set", "deployable", "--priority=1", "search"]);
        run(&shop, &[]).success().stderr_contains("the queue is empty");
        assert_eq!(ledger(shop.authority()), ["search success", "login success", "cart success"]);
        assert_eq!(shop.authority().id("master"), shop.authority().id("cart"));
        shop.is_sound();
    }
}

#[test]
fn an_empty_queue_is_worked_off_at_once() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        run(&shop, &[]).success().stderr_contains("the queue is empty");
        assert_eq!(ledger(shop.authority()), Vec::<String>::new());
    }
}

#[test]
fn those_that_nobody_can_take_are_named_with_what_they_wait_for() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        for name in ["login", "cart"] {
            shop.deployable(name, &format!("{name}.txt"), "new\n");
        }
        shop.repo.deploy("deploy-queue", &["hold", "--reason=until Monday", "login"]);
        shop.repo.deploy("deploy-state", &["set", "deployable", "--after=login", "cart"]);
        run(&shop, &[])
            .success()
            .stderr_contains("left 'login' in the queue: held: until Monday")
            .stderr_contains("left 'cart' in the queue: waits until 'login' is deployed")
            .stderr_contains("nothing can be taken from the queue now: 2 branches stay in it")
            .lacks("worked off");
        run(&shop, &["--json"]).success().stdout_contains("\"waits\":{\"hold\":\"until Monday\"}");
    }
}

#[test]
fn what_holds_the_queue_is_told_once_by_who_watches() {
    let shop = Shop::with_remote(&sandbox!());
    let freeze =
        "[[environment.demo.freeze]]\nfrom = \"2000-01-01\"\nto = \"2200-01-01\"\ntime-zone = \"UTC\"\n";
    let toml = format!("{}{freeze}", shop.repo.read("deploy.toml"));
    shop.on_master("deploy.toml", &toml);
    shop.deployable("login", "login.txt", "hello\n");
    run(&shop, &[]).code_is(75).stderr_contains(
        "ends: nothing can be taken from the queue now: 'login' waits: nothing is deployed to 'demo'",
    );
    let mut watching = watch(&shop);
    watching.wait_for_words("Z nothing is deployed to 'demo'");
    // What moves meanwhile is seen, and the freeze is the same.
    shop.deployable("cart", "cart.txt", "hello\n");
    shop.on_master("one.txt", "new\n");
    watching.wait_for_words("rebased 'cart'");
    shop.deployable("search", "search.txt", "hello\n");
    shop.on_master("two.txt", "new\n");
    watching.wait_for_words("rebased 'search'");
    let output = ends(watching);
    let told_again = "\"text\":\"nothing is deployed";
    run(&shop, &["--json"]).code_is(75).stdout_contains("\"result\":\"error\"").lacks(told_again);
    let told =
        output.lacks("error: nothing").stderr.lines().filter(|line| line.contains("nothing is deployed"));
    assert_eq!(told.count(), 1, "{output}");
    shop.on_master("deploy.toml", &toml.replace("2200", "2001"));
    run(&shop, &[]).success();
    assert_eq!(ledger(shop.authority()), ["login success", "cart success", "search success"]);
}

#[test]
fn what_fails_or_conflicts_steps_aside_and_the_others_land() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        shop.deployable("first", "shared.txt", "first\n");
        shop.deployable("conflicts", "shared.txt", "second\n");
        shop.deployable("wrong", "deploy/secret.yaml", WRONG);
        shop.deployable("last", "last.txt", "new\n");
        run(&shop, &[]).code_is(1).stderr_contains("'conflicts'").stderr_contains("'wrong'");
        assert_eq!(ledger(shop.authority()), ["first success", "wrong failure", "last success"]);
        let states = ["first", "conflicts", "wrong", "last"].map(|name| shop.state(name));
        assert_eq!(states, ["deployed", "broken", "staged", "deployed"]);
        shop.is_sound();
    }
}

#[test]
fn what_is_nobodys_fault_blames_nobody_and_ends_a_single_run() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    protect_base(&shop);
    let output = run(&shop, &[]);
    output.code_is(75).stderr_contains("verified, not landed");
    let ends = output
        .stderr
        .lines()
        .find_map(|line| line.split_once("ends: the queue waits for something that is nobody's fault: "));
    assert!(ends.is_some_and(|(_, why)| why.contains("not landed")), "{output}");
    shop.authority().remove_hook("update");
    run(&shop, &[]).success();
    assert_eq!(ledger(shop.authority()), ["login success"]);
    shop.is_sound();
}

#[test]
fn a_remote_that_does_not_answer_ends_a_single_run() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    shop.repo.set_config("remote.origin.url", "/nowhere/at/all");
    let output = run(&shop, &[]);
    output.code_is(75).stderr_contains("ends: cannot reach remote 'origin'");
    is_told_once(&output, "error: cannot reach remote 'origin'");
    let events = run(&shop, &["--json"]);
    events.code_is(75).stdout_contains("\"event\":\"error\"").stdout_contains("\"event\":\"end\"");
}

#[test]
fn who_watches_deploys_what_comes_until_told_to_end() {
    for shop in Shop::both(&sandbox!(), &sandbox!()) {
        let mut watching = watch(&shop);
        watching.wait_for_words("the queue is empty");
        shop.deployable("login", "login.txt", "hello\n");
        watching.wait_for_words("Successfully Deployed");
        shop.deployable("cart", "cart.txt", "hello\n");
        watching.wait_for_words("deployment-0002: Successfully Deployed");
        ends(watching).lacks("error: interrupted again");
        assert_eq!(ledger(shop.authority()), ["login success", "cart success"]);
        shop.is_sound();
    }
}

#[test]
fn who_watches_is_woken_by_a_signal() {
    let shop = Shop::with_remote(&sandbox!());
    let mut watching = watch(&shop);
    watching.wait_for_words("the queue is empty");
    watching.wake();
    // Nothing has changed: only who is woken asks again.
    watching.wait_for_words("woken by SIGUSR1");
    shop.deployable("login", "login.txt", "hello\n");
    watching.wait_for_words("Successfully Deployed");
    ends(watching);
}

#[test]
fn who_watches_keeps_staged_branches_on_base() {
    let shop = Shop::with_remote(&sandbox!());
    shop.branch("staged", "staged.txt", "x\n");
    shop.repo.deploy("deploy-state", &["set", "staged", "staged"]);
    let mut watching = watch(&shop);
    watching.wait_for_words("the queue is empty");
    let other = shop.authority().clone_to("other");
    let base = other.commit("other.txt", "x\n", "Something else");
    other.git(&["push", "--quiet", "origin", "master"]);
    watching.wait_for_words("rebased");
    ends(watching);
    assert_eq!(shop.authority().id("staged^"), base);
}

#[test]
fn trouble_is_waited_out_by_who_watches() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    protect_base(&shop);
    let mut watching = watch(&shop);
    watching.wait_for_words("verified, not landed");
    watching.wait_for_words("tried again in");
    shop.authority().remove_hook("update");
    watching.wait_for_words("deployment-0001: Successfully Deployed");
    ends(watching);
    shop.is_sound();
}

#[test]
fn a_deployment_that_is_killed_is_taken_up_again() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    // The one that has claimed a number ends there, once.
    let killed = shop.repo.path().with_extension("killed");
    let hook = format!(
        "grep -q refs/deploy/attempts/ || exit 0; [ -e '{0}' ] && exit 0; : >'{0}'; process=$$\n\
         until read -r name </proc/$process/comm && [ \"$name\" = git-deploy ]; do\n  \
         process=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$process/status)\ndone\nkill -9 $process",
        killed.display()
    );
    shop.authority().install_hook("post-receive", &hook);
    let mut watching = watch(&shop);
    watching.wait_for_file(&killed);
    watching.wait_for_words("deployment-0001: Successfully Deployed");
    ends(watching);
    shop.is_sound();
}

/// Lets whoever makes a claim there wait for that hook, until there is the second of these files.
fn hold_the_claim(repo: &Repo, hook: &str) -> (PathBuf, PathBuf) {
    let [held, goes_on] = ["held", "goes-on"].map(|end| repo.path().with_extension(end));
    let script = format!(
        "trap '' TERM; [ \"${{1:-committed}}\" = committed ] || exit 0; grep -q refs/deploy/attempts/ || exit 0; : >'{}'; until [ -e '{}' ]; do sleep 0.05; done",
        held.display(),
        goes_on.display()
    );
    repo.install_hook(hook, &script);
    (held, goes_on)
}

#[test]
fn who_is_told_to_end_ends_between_two_steps_of_a_deployment() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let (held, goes_on) = hold_the_claim(shop.authority(), "post-receive");
    let mut watching = watch(&shop);
    watching.wait_for_file(&held);
    watching.terminate();
    // Nobody waits long for the answer to the claim: it is looked whether that has arrived.
    let output = watching.wait();
    output.code_is(143).stderr_contains("deployment-0001 is claimed").lacks("Successfully Deployed");
    output.lacks("tried again");
    std::fs::write(&goes_on, "").expect("it can be written");
    assert_eq!(ledger(shop.authority()), Vec::<String>::new());
    run(&shop, &[]).success();
    assert_eq!(ledger(shop.authority()), ["login success"]);
    shop.is_sound();
}

#[test]
fn who_is_told_twice_ends_at_once_and_the_deployment_with_it() {
    // Who is told to end waits two seconds for a remote, and for its own git as long as that takes.
    let shop = Shop::alone(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let (held, goes_on) = hold_the_claim(&shop.repo, "reference-transaction");
    let mut watching = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--json"]).start();
    watching.wait_for_file(&held);
    watching.terminate();
    // What comes within a second is the same signal, and the first may be heard late.
    std::thread::sleep(Duration::from_secs(3));
    watching.terminate();
    let output = watching.wait();
    // Either by the signal or, where the deployment has ended sooner, as a shell tells of that.
    assert!(output.signal == Some(15) || output.code == Some(143), "{output}");
    let last: serde_json::Value = serde_json::from_str(output.lines().last().expect("it says that it ends"))
        .expect("each line is an object");
    assert_eq!((last["event"].as_str(), last["exit"].as_u64()), (Some("end"), Some(143)), "{output}");
    std::fs::write(&goes_on, "").expect("it can be written");
    run(&shop, &[]).success();
    assert_eq!(ledger(shop.authority()), ["login success"]);
    shop.is_sound();
}

#[test]
fn a_program_reads_each_event_with_its_time_and_how_it_ended() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let output = run(&shop, &["--json"]);
    output.success();
    let events: Vec<serde_json::Value> = output
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert!(
        events.iter().all(|event| event["time"].as_str().is_some_and(|time| time.ends_with('Z'))),
        "{output}"
    );
    let verdict = events.iter().find(|event| event["deployment"] == "deployment-0001").expect("it is told");
    assert_eq!(verdict["result"], "success");
    let last = events.last().expect("there is a last one");
    assert_eq!((last["event"].as_str(), last["exit"].as_u64()), (Some("end"), Some(0)));
}

#[test]
fn where_nothing_can_be_deployed_at_all_who_watches_says_why_and_ends() {
    let sandbox = sandbox!();
    let repo = sandbox.repository("bare-of-everything");
    repo.commit("a.txt", "one\n", "Begin");
    for arguments in [&["run"][..], &["run", "--watch"]] {
        let output = repo.try_deploy("deploy-queue", arguments);
        output.code_is(128).stderr_contains("deploy.toml");
        is_told_once(&output, "fatal: ");
    }
}

#[test]
fn a_mistake_in_the_deploy_toml_of_base_is_told_once_and_waited_for_until_it_is_mended() {
    for comes_later in [false, true] {
        let shop = Shop::with_remote(&sandbox!());
        let toml = shop.repo.read("deploy.toml");
        let wrong = toml.replace("kind = \"rendered\"", "kind = \"rendered\"\nafter = \"stagin\"");
        let mistake = || shop.on_master("deploy.toml", &wrong);
        if !comes_later {
            mistake();
            is_told_once(run(&shop, &[]).code_is(128), "fatal: ");
        }
        let mut watching = watch(&shop);
        if comes_later {
            watching.wait_for_words("the queue is empty");
            mistake();
            watching.wake();
        }
        watching.wait_for_words("tried again in 10 s");
        shop.on_master("deploy.toml", &toml);
        shop.deployable("login", "login.txt", "hello\n");
        watching.wake();
        watching.wait_for_words("Successfully Deployed: 'login'");
        let output = ends(watching);
        let is_told = |line: &&str| line.contains("error: ") && line.contains("'stagin'");
        assert_eq!(output.stderr.lines().filter(is_told).count(), 1, "{output}");
    }
}

#[test]
fn what_happens_is_told_to_the_commands_that_are_configured() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("good", "good.txt", "new\n");
    shop.deployable("wrong", "deploy/secret.yaml", WRONG);
    let heard = shop.repo.path().with_extension("heard");
    shop.repo.git(&["config", "--add", "deploy.onEvent", &format!("cat >>'{}'", heard.display())]);
    shop.repo.git(&["config", "--add", "deploy.onEvent", "echo no network >&2; exit 7"]);
    run(&shop, &[])
        .code_is(1)
        .stderr_contains(
            "warning: deploy.onEvent 'echo no network >&2; exit 7': 'sh' failed with exit status 7",
        )
        .stderr_contains("no network");
    let heard = std::fs::read_to_string(heard).unwrap();
    let events: Vec<&str> = heard.lines().collect();
    assert_eq!(events.len(), 3, "{heard}");
    assert!(events[0].contains("\"result\":\"success\"") && events[0].contains("\"time\":"), "{heard}");
    assert!(
        events[1].contains("refs/heads/wrong") && events[1].contains("\"result\":\"failure\""),
        "{heard}"
    );
    assert!(events[2].contains("\"event\":\"end\""), "{heard}");
    shop.is_sound();
}

#[test]
fn who_is_told_to_end_lets_a_command_that_hears_of_an_event_say_it() {
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let [begun, said] = ["begun", "said"].map(|end| shop.repo.path().with_extension(end));
    let command =
        format!("grep -q success && : >'{}' && sleep 1 && : >'{}'", begun.display(), said.display());
    shop.repo.set_config("deploy.onEvent", &command);
    let mut watching = watch(&shop);
    watching.wait_for_file(&begun);
    watching.terminate();
    watching.wait().code_is(143);
    assert!(said.is_file());
}

#[test]
fn nothing_is_prepared_where_nothing_is_under_way_or_nobody_is_behind_it() {
    const NONE_HERE: &str = "no branch is being deployed here, or it could not land as it is";
    let shop = Shop::with_remote(&sandbox!());
    shop.deployable("login", "login.txt", "hello\n");
    let nothing = |why: &str| {
        shop.deploy(&["--ahead"])
            .success()
            .stdout_is("")
            .stderr_is(&format!("note: nothing to prepare: {why}\n"));
    };
    nothing(NONE_HERE);
    shop.authority().install_hook("update", "case $1 in refs/heads/master) exit 1 ;; esac");
    shop.deploy(&[]).code_is(75);
    nothing("no branch in the queue could be deployed next");
    // Who conflicts with what is under way is passed over, and stays what it is.
    shop.deployable("conflicts", "login.txt", "other\n");
    shop.deployable("wrong", "deploy/more.yaml", "kind: [\n");
    let before = shop.authority().refs();
    let output = shop.deploy(&["--ahead", "--json"]);
    output
        .code_is(1)
        .stdout_contains("\"result\":\"refused\"")
        .stdout_contains("\"branch\":\"refs/heads/wrong\"");
    output.stdout_contains("\"upon\":\"deployment-0001\"");
    output.stdout_contains(
        "'conflicts' would be broken when deployment-0001 has landed: conflict in 'login.txt'",
    );
    assert_eq!(["conflicts", "wrong"].map(|name| shop.state(name)), ["deployable", "deployable"]);
    assert_eq!(shop.authority().refs(), before);
    // Somebody says that it is of another commit, which nobody has approved.
    let attempt = "refs/deploy/attempts/deployment-0001";
    let claimed = shop.authority().git(&["log", "-1", "--format=%B", attempt]).stdout;
    let forged = claimed.replace(&shop.repo.id("login"), &shop.repo.commit_empty("Forged"));
    assert_ne!(forged, claimed);
    shop.repo.git(&["push", "--quiet", "origin", "HEAD:refs/heads/forged"]);
    let made = ["commit-tree", "forged^{tree}", "-p", "forged"];
    let made = shop.authority().command("git").args(made).stdin(forged).output().line().to_owned();
    let told = shop.authority().id(attempt);
    shop.authority().git(&["update-ref", attempt, &made]);
    shop.repo.deploy("deploy-sync", &[]);
    nothing(NONE_HERE);
    shop.authority().git(&["update-ref", attempt, &told]);
    // What base has moved away from cannot land as it is.
    shop.authority().remove_hook("update");
    shop.on_master("other.txt", "new\n");
    shop.repo.git(&["fetch", "--quiet"]);
    nothing(NONE_HERE);
}

#[test]
fn who_is_broken_by_a_landing_is_told_to_everybody() {
    let shop = Shop::with_remote(&sandbox!());
    let heard = shop.repo.path().with_extension("heard");
    shop.repo.set_config("deploy.onEvent", &format!("cat >>'{}'", heard.display()));
    shop.deployable("first", "shared.txt", "first\n");
    shop.repo.deploy("deploy-state", &["set", "deployable", "--priority=1", "first"]);
    shop.deployable("conflicts", "shared.txt", "second\n");
    let broken = "\"event\":\"rebase\",\"verdict\":\"broken\",\"ref\":\"refs/heads/conflicts\"";
    run(&shop, &["--json"]).code_is(1).stdout_contains(broken).stdout_contains("not everything has landed");
    let heard = std::fs::read_to_string(heard).expect("it was told");
    assert!(heard.contains("refs/heads/conflicts"), "{heard}");
}
