//! `kill -9`, Ctrl-C and `--abort` in the middle of a deployment: the next run always comes to a verdict, and the cluster
//! is one of the two releases.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use git_deploy_testkit::shop::boutique::Boutique;
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, RefPhase, Victim, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, migration, service, yaml};

/// How often a shop's deployment is killed.
const KILLS: u32 = 15;

type Standing = BTreeMap<String, Value>;

/// A release of 25 objects, one of which only it has.
fn release(version: &str) -> String {
    Boutique::own().earlier_as(version) + &yaml(&[config_map(&format!("only-{version}"), version)])
}

/// Goes from one release to the other, and is killed on the way each time.
struct Pendulum<'c> {
    shop: ClusterShop<'c>,
    releases: [(&'static str, Standing); 2],
    /// How long it takes where nobody interferes.
    takes: Duration,
}

impl<'c> Pendulum<'c> {
    fn new(shop: ClusterShop<'c>) -> Self {
        let mut takes = Duration::ZERO;
        let releases = ["one", "two"].map(|version| {
            shop.release(version, &[(MANIFEST, &release(version))]);
            let begun = Instant::now();
            shop.deploy(&[]).success();
            takes = begun.elapsed();
            (version, shop.standing())
        });
        assert_ne!(releases[0].1, releases[1].1);
        Self { shop, releases, takes }
    }

    /// The n-th kill, at a moment of its own.
    fn swing(&self, n: u32, victim: Victim) {
        let shop = &self.shop;
        let (version, after) = &self.releases[usize::from(!n.is_multiple_of(2))];
        let (_, before) = &self.releases[usize::from(n.is_multiple_of(2))];
        let id = format!("deployment-{:04}", n + 3);
        // Also the local base has followed a run that died when its push was taken.
        assert_eq!(shop.repo.id("master"), shop.authority().id("master"), "kill {n}");
        shop.release(&format!("swing-{n}"), &[(MANIFEST, &release(version))]);
        let running = shop.repo.command("git-deploy").start();
        let died = running.kill_after(self.takes.mul_f64(fraction(n)), victim);
        let ended = self.recover(&id, n, &died);
        let tag = shop.tag(&id);
        let expected = if tag.starts_with("Successfully Deployed\n") { after } else { before };
        assert_eq!(&shop.standing(), expected, "kill {n}\n{died}\n{ended}\n{tag}");
        assert!(tag.starts_with("Successfully Deployed\n"), "kill {n}\n{died}\n{ended}\n{tag}");
        assert_eq!(shop.phase(), "done", "kill {n}\n{died}\n{ended}");
        shop.is_sound();
    }

    /// The next run, as a person would start it who knows that the last one died, or does not.
    fn recover(&self, id: &str, n: u32, died: &Output) -> Output {
        let is_claimed = self.shop.authority().tip(&format!("refs/deploy/attempts/{id}")).is_some();
        // Where it died before the claim, or had told the verdict, there is nothing to continue.
        let arguments: &[&str] = match is_claimed && n % 4 < 2 && died.stdout.is_empty() {
            true => &["--continue"],
            false => &[],
        };
        let output = self.shop.deploy(arguments);
        output.success();
        output
    }
}

/// The n-th of a sequence that fills the interval from 0 to 1 evenly (van der Corput), so that no moment is left out.
fn fraction(n: u32) -> f64 {
    f64::from((n + 1).reverse_bits()) / f64::from(u32::MAX)
}

fn kills() -> u32 {
    std::env::var("GIT_DEPLOY_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

#[test]
fn a_run_without_a_remote_that_dies_at_any_moment_is_finished_by_the_next() {
    let cluster = cluster!();
    let pendulum = Pendulum::new(in_cluster(cluster, "kill").alone(&sandbox!()));
    for n in 0..kills() {
        pendulum.swing(n, if n % 3 == 0 { Victim::Group } else { Victim::Process });
    }
}

#[test]
fn a_run_with_a_remote_that_dies_at_any_moment_is_finished_by_the_next() {
    let cluster = cluster!();
    let pendulum = Pendulum::new(in_cluster(cluster, "kill").with_remote(&sandbox!()));
    for n in 0..kills() {
        // A remote does not die with the run: what it would leave locked is the remote's.
        pendulum.swing(n, Victim::Process);
    }
}

fn good() -> String {
    yaml(&[config_map("colours", "1"), service("web", "1"), deployment("web", "1")])
}

fn broken() -> String {
    let web = behaving(deployment("web", "2"), "waiting", json!({}));
    yaml(&[config_map("colours", "2"), service("web", "2"), web, config_map("more", "2")])
}

/// Its pods take their time, so that a run can be met while it verifies.
fn slow() -> String {
    let web = behaving(deployment("web", "2"), "slow", json!({ "test.git-deploy/after": "2s" }));
    yaml(&[config_map("colours", "2"), service("web", "2"), web, config_map("more", "2")])
}

/// The good release stands, the other is deployable.
fn prepare(shop: &ClusterShop<'_>, next: &str) -> Standing {
    shop.release("good", &[(MANIFEST, &good())]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    shop.release("next", &[(MANIFEST, next)]);
    before
}

#[test]
fn a_run_that_dies_on_its_way_back_is_followed_by_one_that_goes_on_back() {
    let cluster = cluster!();
    for (n, moment) in [0, 40, 120, 250, 500, 900].into_iter().enumerate() {
        let opening = in_cluster(cluster, "back").setting("crash-grace = \"1s\"");
        let shop = if n % 2 == 0 { opening.alone(&sandbox!()) } else { opening.with_remote(&sandbox!()) };
        let before = prepare(&shop, &broken());
        let mut running = shop.repo.command("git-deploy").start();
        running.wait_for_words("Restoring");
        thread::sleep(Duration::from_millis(moment));
        let died = running.kill(Victim::Process);
        let was_faster = !died.stdout.is_empty();
        let output = match was_faster {
            true => died.clone(),
            false => shop.deploy(if n % 4 < 2 { &["--continue"] } else { &[] }),
        };
        output.stdout_contains("deployment-0002: Failed Deployment").stdout_contains("ImagePullBackOff");
        if !was_faster {
            output.code_is(1).lacks("Applying deployment-0002");
        }
        assert!(shop.tag("deployment-0002").contains("ImagePullBackOff"), "{died}\n{output}");
        assert_eq!(shop.standing(), before, "{died}\n{output}");
        assert_eq!(shop.state("next"), "staged");
        assert_eq!(shop.phase(), "done");
        if !was_faster {
            shop.is_sound();
            shop.deploy(&[]).success().stderr_contains("the queue is empty");
        }
    }
}

#[test]
fn a_release_that_fails_is_gone_back_from_at_whatever_moments_runs_die() {
    const KILLS: u32 = 8;
    let cluster = cluster!();
    let shop = in_cluster(cluster, "fails").setting("crash-grace = \"1s\"").with_remote(&sandbox!());
    shop.release("good", &[(MANIFEST, &good())]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    let mut takes = Duration::ZERO;
    for n in 0..=KILLS {
        let (branch, id) = (format!("broken-{n}"), format!("deployment-{:04}", n + 2));
        // Nobody approves the same commit twice.
        shop.release(&branch, &[(MANIFEST, &broken()), ("try.txt", &format!("{n}\n"))]);
        let begun = Instant::now();
        let mut ended = match n {
            0 => shop.deploy(&[]),
            // Whoever takes it up dies, too.
            _ => {
                let moments = [takes.mul_f64(fraction(n)), takes.mul_f64(fraction(n + KILLS))];
                for moment in moments {
                    drop(shop.repo.command("git-deploy").start().kill_after(moment, Victim::Process));
                }
                shop.deploy(&[])
            }
        };
        takes = if n == 0 { begun.elapsed() } else { takes };
        // The second may have told the verdict before it was to die.
        if ended.code == Some(0) {
            ended = shop.deploy(&["--continue"]);
            ended.stderr_contains("no deployment is under way");
        }
        let tag = shop.tag(&id);
        assert!(tag.starts_with("Failed Deployment\n") && tag.contains("ImagePullBackOff"), "{ended}\n{tag}");
        assert_eq!(shop.standing(), before, "kill {n}\n{ended}");
        assert_eq!(shop.state(&branch), "staged", "kill {n}\n{ended}");
        assert_eq!(shop.phase(), "done", "kill {n}\n{ended}");
        shop.is_sound();
    }
}

#[test]
fn what_a_machine_held_that_died_after_the_verdict_is_free_for_everybody() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "elsewhere").with_remote(&sandbox!());
    shop.release("good", &[(MANIFEST, &good())]);
    let remote = shop.authority();
    let switch = remote.kill_at_transaction_of(&["refs/tags/*"], 1, RefPhase::Committed, Victim::Process);
    shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
    switch.remove();
    assert!(shop.tag("deployment-0001").starts_with("Successfully Deployed\n"));
    shop.holder_is_elsewhere();
    let other = remote.clone_to("other");
    shop.repo.git(&["pull", "--quiet", "--ff-only"]);
    shop.release("next", &[(MANIFEST, &slow())]);
    other.command("git-deploy").output().success().stdout_contains("deployment-0002: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn a_first_deployment_that_dies_at_any_moment_is_finished_by_the_next_run() {
    const KILLS: u32 = 8;
    let cluster = cluster!();
    let mut takes = Duration::from_secs(2);
    for n in 0..KILLS {
        let opening = in_cluster(cluster, "first");
        let shop = if n % 2 == 0 { opening.alone(&sandbox!()) } else { opening.with_remote(&sandbox!()) };
        shop.release("first", &[(MANIFEST, &good())]);
        let begun = Instant::now();
        let running = shop.repo.command("git-deploy").start();
        let died = running.kill_after(takes.mul_f64(fraction(n)), Victim::Process);
        let ended = shop.deploy(&[]);
        ended.success();
        let whole = ["ConfigMap colours", "Deployment web", "Service web"];
        assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), whole, "{died}\n{ended}");
        assert!(shop.tag("deployment-0001").starts_with("Successfully Deployed\n"), "{died}\n{ended}");
        shop.is_sound();
        takes = takes.min(begun.elapsed());
    }
}

#[test]
fn who_is_interrupted_while_it_verifies_says_what_stands_and_is_continued() {
    let cluster = cluster!();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let shop = in_cluster(cluster, "signal").with_remote(&sandbox!());
        prepare(&shop, &slow().replace("2s", "8s"));
        let mut running = shop.repo.command("git-deploy").start();
        running.wait_for_words("Verifying");
        thread::sleep(Duration::from_millis(300));
        if code == 130 {
            running.interrupt();
        } else {
            running.terminate();
        }
        let output = running.wait();
        output.code_is(code).stderr_contains("deployment-0002 is applying");
        output.stderr_contains("git deploy --continue").stderr_contains("git deploy --abort");
        assert_eq!(shop.phase(), "applying", "{signal}: nothing was undone");
        let ended = shop.deploy(if code == 130 { &["--continue"] } else { &[] });
        ended.success().stdout_contains("deployment-0002: Successfully Deployed");
        assert!(shop.standing().contains_key("ConfigMap more"));
        shop.is_sound();
    }
}

#[test]
fn what_a_run_left_that_died_is_aborted_and_the_cluster_goes_back() {
    let cluster = cluster!();
    for shop in [
        in_cluster(cluster, "abort").alone(&sandbox!()),
        in_cluster(cluster, "abort").with_remote(&sandbox!()),
    ] {
        let before = prepare(&shop, &unready());
        let mut running = shop.repo.command("git-deploy").start();
        running.wait_for_words("Verifying");
        running.kill(Victim::Process).was_killed();
        assert_ne!(shop.standing(), before);
        let aborted = shop.deploy(&["--abort"]);
        aborted.code_is(1).stdout_contains("deployment-0002: Failed Deployment").stdout_contains("aborted");
        assert!(shop.tag("deployment-0002").contains("Result: aborted\n"));
        assert_eq!(shop.standing(), before, "{aborted}");
        assert_eq!(shop.state("next"), "staged");
        shop.is_sound();
        shop.deploy(&["--abort"]).code_is(1).stderr_contains("no deployment is under way");
    }
}

/// Its pods never become ready, and nothing says that they will not.
fn unready() -> String {
    let web = behaving(deployment("web", "2"), "slow", json!({ "test.git-deploy/after": "1h" }));
    yaml(&[config_map("colours", "2"), service("web", "2"), web, config_map("more", "2")])
}

#[test]
fn a_rollback_after_a_kill_goes_back_to_the_last_success_and_no_further() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "killed").with_remote(&sandbox!());
    shop.release("older", &[(MANIFEST, &yaml(&[config_map("colours", "0"), deployment("web", "0")]))]);
    shop.deploy(&[]).success();
    shop.release("good", &[(MANIFEST, &good())]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    shop.release("bad", &[(MANIFEST, &unready())]);
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_words("Verifying");
    thread::sleep(Duration::from_millis(200));
    running.kill(Victim::Process).was_killed();
    assert_ne!(shop.standing(), before);

    let output = shop.deploy(&["--rollback"]);
    output.success().stderr_contains("Aborting deployment-0003").lacks("Verifying deployment-0003");
    output.stderr_contains("what deployment-0002 had applied stands in 'production' again");
    assert_eq!(shop.standing(), before, "{output}");
    assert!(shop.tag("deployment-0003").contains("Result: aborted\n"));
    assert_eq!(shop.repo.tip("deployment-0004"), None, "no second step back");
    assert_eq!(shop.state("bad"), "staged");
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
    shop.release("next", &[(MANIFEST, &slow())]);
    shop.deploy(&[]).success().stdout_contains("deployment-0004: Successfully Deployed: 'next'");
}

#[test]
fn a_rollback_after_a_kill_behind_a_migration_leaves_what_stands_there_and_says_so() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "killed").alone(&sandbox!());
    let web = behaving(deployment("web", "2"), "slow", json!({ "test.git-deploy/after": "1h" }));
    prepare(&shop, &yaml(&[config_map("colours", "2"), migration("exits", json!({})), web]));
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_words("Verifying");
    thread::sleep(Duration::from_millis(200));
    running.kill(Victim::Process).was_killed();
    let output = shop.deploy(&["--rollback"]);
    output.code_is(1).stderr_contains("Aborting deployment-0002").stderr_contains("only forward is safe");
    output.lacks("stands in 'production' again").lacks("Restoring");
    assert!(shop.tag("deployment-0002").contains("Result: aborted\n"));
    assert_eq!(shop.repo.tip("deployment-0003"), None);
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "2");
    shop.is_sound();
}
