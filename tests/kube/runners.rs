//! Several at once: one deploys, the others wait or are told who does.

use std::thread;
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::{ClusterShop, SET, in_cluster};
use git_deploy_testkit::{Output, RefPhase, Repo, Running, Victim, cluster, sandbox};
use serde_json::json;

use crate::support::{MANIFEST, behaving, config_map, deployment, ours, service, yaml};

/// Its pods take so long that others meet the run that deploys it.
fn slow(version: &str) -> String {
    let web = behaving(deployment("web", version), "slow", json!({ "test.git-deploy/after": "2s" }));
    yaml(&[config_map("colours", version), service("web", version), web])
}

/// Starts a deployment and waits until its pods are waited for.
fn met_while_it_verifies(repo: &Repo) -> Running {
    let mut running = repo.command("git-deploy").start();
    running.wait_for_words("Verifying");
    running
}

/// Another was told that Ada deploys, and has claimed nothing.
fn is_told_who(output: &Output, id: &str) {
    output.code_is(75).stderr_contains("Ada Lovelace").stderr_contains(id);
    output.stderr_contains("hint: ").lacks("Claimed");
}

#[test]
fn who_finds_another_run_of_the_same_remote_is_told_who_deploys() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "runners").with_remote(&sandbox!());
    shop.release("one", &[(MANIFEST, &slow("1"))]);
    let other = shop.authority().clone_to("other");
    let running = met_while_it_verifies(&shop.repo);
    let late = other.command("git-deploy").as_person("Grace Hopper", "grace@example.org").output();
    is_told_who(&late, "deployment-0001");
    running.wait().success().stdout_contains("deployment-0001: Successfully Deployed");
    shop.is_sound();
}

#[test]
fn a_lease_keeps_out_whoever_cannot_see_the_lock_in_git() {
    let cluster = cluster!();
    let sandbox = sandbox!();
    let shop = in_cluster(cluster, "runners").alone(&sandbox);
    shop.release("zero", &[(MANIFEST, &yaml(&[deployment("web", "0")]))]);
    shop.deploy(&[]).success();
    shop.release("one", &[(MANIFEST, &slow("1"))]);
    // All of it is copied, also what this repository calls itself.
    let copy = sandbox.root().join("copy");
    sandbox.command("cp").arg("-r").arg(shop.repo.path()).arg(&copy).output().success();
    let copy = sandbox.open("copy");
    let running = met_while_it_verifies(&shop.repo);
    let late = copy.command("git-deploy").as_person("Grace Hopper", "grace@example.org").output();
    is_told_who(&late, "deployment-0002");
    assert_eq!(copy.tip("refs/deploy/attempts/deployment-0002"), None);
    running.wait().success();
    shop.is_sound();
    // The other one's ledger knows nothing of what stands there now.
    copy.command("git-deploy").output().code_is(128).stderr_contains("deployment-0002");
    assert_eq!(copy.tip("refs/tags/deployment-0002"), None);
}

/// Whose changes follow each other, without repetitions.
fn turns(shop: &ClusterShop<'_>) -> Vec<String> {
    let events = shop.namespace.audit();
    let changes = events.iter().filter(|event| event.is_ours() && event.is_change() && event.code < 300);
    let changes = changes.filter(|event| event.resource != "leases");
    let mut users: Vec<String> = changes.map(|event| event.user.clone()).collect();
    users.dedup();
    users
}

#[test]
fn two_runners_never_change_the_cluster_at_the_same_time() {
    const RELEASES: usize = 4;
    let cluster = cluster!();
    let mut shop = in_cluster(cluster, "runners").with_remote(&sandbox!());
    shop.namespace = shop.namespace.create();
    let binding =
        ["create", "rolebinding", "runners", "--clusterrole=cluster-admin", "--user=alice", "--user=bob"];
    shop.namespace.kubectl(&binding).success();
    for index in 0..RELEASES {
        shop.release(
            &format!("b{index}"),
            &[(&format!("deploy/{index}.yaml"), &yaml(&[deployment(&format!("web-{index}"), "1")]))],
        );
    }
    let other = shop.authority().clone_to("other");
    let places = [(&shop.repo, cluster.kubeconfig_for("alice")), (&other, cluster.kubeconfig_for("bob"))];
    let mut rounds = 0;
    loop {
        rounds += 1;
        assert!(rounds < 30, "they hinder each other");
        let running =
            [0, 1].map(|n| places[n].0.command("git-deploy").env("KUBECONFIG", &places[n].1).start());
        let outputs = running.map(Running::wait);
        for output in &outputs {
            assert!([Some(0), Some(75)].contains(&output.code), "{output}");
        }
        if outputs.iter().any(|output| output.stderr.contains("the queue is empty")) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let turns = turns(&shop);
    assert!(turns.len() <= RELEASES, "{turns:?} for {RELEASES} deployments");
    let events = shop.namespace.audit();
    assert!(ours(&events).iter().all(|event| event.user != "admin"), "nobody else deploys here");
    let tags = shop.authority().git(&["tag", "--list", "deployment-*"]);
    let verdicts: Vec<String> = tags.lines().iter().map(|tag| shop.tag(tag)).collect();
    let successes = verdicts.iter().filter(|verdict| verdict.starts_with("Successfully Deployed")).count();
    assert_eq!(successes, RELEASES, "{verdicts:#?}");
    assert_eq!(shop.standing().len(), RELEASES);
    shop.is_sound();
}

#[test]
fn what_was_prepared_upon_one_that_fails_is_deployed_upon_base() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "runners").with_remote(&sandbox!());
    shop.release("zero", &[(MANIFEST, &yaml(&[deployment("web", "0")]))]);
    shop.deploy(&[]).success();
    shop.set_timeout("15s");
    let base = shop.authority().id("master");
    let unready = behaving(deployment("web", "1"), "unready", json!({}));
    shop.release("bad", &[(MANIFEST, &yaml(&[unready]))]);
    shop.release_more("good", &yaml(&[config_map("colours", "1")]));
    let output = shop.repo.try_deploy("deploy-queue", &["run"]);
    output.code_is(1).stderr_contains("upon deployment-0002").stderr_contains("ahead: prepared 'good' (");
    assert_eq!((shop.state("bad"), shop.state("good")), ("staged".to_owned(), "deployed".to_owned()));
    assert_eq!(shop.authority().id("master^"), base);
    shop.is_sound();
}

/// Seconds that what a run holds may stand still, where nobody can tell otherwise whether it lives.
const TTL: u64 = 5;

/// Runs again and again until one gets through. Returns when that one began and ended, from the beginning of the first.
fn taken_over(clone: &Repo) -> (Duration, Duration) {
    let first = Instant::now();
    for _ in 0..120 {
        let begun = first.elapsed();
        let output = clone.command("git-deploy").output();
        if output.code == Some(0) {
            return (begun, first.elapsed());
        }
        output.code_is(75).stderr_contains("deploys just now");
        thread::sleep(Duration::from_millis(500));
    }
    panic!("nobody takes it over");
}

#[test]
fn all_that_the_dead_held_is_watched_at_once() {
    let cluster = cluster!();
    // Nobody was told anything by whoever died: before anything is applied, and when it was just to land.
    let moments = ["refs/deploy/attempts/*", "refs/deploy/lock/base"];
    for (moment, locks) in moments.into_iter().zip([1, 2]) {
        let shop = in_cluster(cluster, "watched").with_remote(&sandbox!());
        shop.release("one", &[(MANIFEST, &slow("1"))]);
        let nth = if locks == 1 { 2 } else { 1 };
        let switch =
            shop.authority().kill_at_transaction_of(&[moment], nth, RefPhase::Committed, Victim::Process);
        shop.repo.command("git-deploy").pid_file(switch.pid_file()).output().was_killed();
        switch.remove();
        shop.holder_was_elsewhere(TTL);
        let held = shop.authority().git(&["for-each-ref", "refs/deploy/lock"]).stdout;
        assert_eq!(held.lines().count(), locks, "{held}");
        let (begun, ended) = taken_over(&shop.authority().clone_to("other"));
        let watched = Duration::from_secs(2 * TTL);
        // A second is what a clock of whole seconds may leave out.
        assert!(ended + Duration::from_secs(1) >= watched, "{ended:?}: nobody was watched for dead");
        assert!(begun < watched * 2, "{begun:?}: one was watched after the other");
        shop.is_sound();
    }
}

#[test]
fn who_is_terminated_while_it_takes_the_environment_gives_it_back() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "taking").with_remote(&sandbox!());
    shop.release("one", &[(MANIFEST, &slow("1"))]);
    let proxy = cluster.proxy();
    let kubeconfig = cluster.kubeconfig_through(&proxy);
    let mut running = shop.repo.command("git-deploy").env("KUBECONFIG", &kubeconfig).start();
    running.wait_for_words("Claimed");
    proxy.set_delay(Duration::from_millis(400));
    let holder =
        || shop.namespace.find("lease", SET).is_some_and(|lease| lease["spec"]["holderIdentity"].is_string());
    eventually("the Lease is taken", holder);
    running.terminate();
    let output = running.wait();
    output.code_is(143).stderr_contains("Leaving deployment-0001 to whoever goes on");
    assert!(shop.namespace.find("configmap", SET).is_none(), "it had come further: {output}");
    shop.lease_is_free();
    let other = shop.authority().clone_to("other");
    other.command("git-deploy").output().success().stdout_contains("deployment-0001: Successfully Deployed");
    shop.is_sound();
}
