//! `prune` as a duration: what is no longer wanted stays for so long, and goes with the next deployment or when nothing is
//! deployed.

use git_deploy_testkit::cluster::{Cluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, Opening, SET, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::{Value, json};

use crate::order::{definition, sale};
use crate::support::{MANIFEST, behaving, config_map, deployment, service, yaml};

mod in_doubt;

/// Longer than any scenario takes; what is to be older is made so.
const TIME: &str = "prune = \"6h\"";

fn opening(cluster: &Cluster) -> Opening<'_> {
    in_cluster(cluster, "keeping").setting("crash-grace = \"1s\"").setting(TIME)
}

fn release(shop: &ClusterShop<'_>, name: &str, objects: &[Value]) {
    shop.release(name, &[(MANIFEST, &yaml(objects))]);
}

/// A shop in which the second release stands, which does not want all that the first one had.
fn opened(opening: Opening<'_>) -> ClusterShop<'_> {
    let shop = opening.with_remote(&sandbox!());
    release(&shop, "one", &[config_map("old", "1"), deployment("old", "1"), deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "2")]);
    shop.deploy(&[]).success().lacks("prune");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    shop
}

fn names(shop: &ClusterShop<'_>) -> Vec<String> {
    shop.standing().into_keys().collect()
}

/// What the set's parent lists.
fn list(shop: &ClusterShop<'_>) -> String {
    shop.parent()["data"]["kept"].as_str().unwrap_or_default().to_owned()
}

/// Since when things are kept, with the deployment that wanted them last.
fn since(shop: &ClusterShop<'_>) -> Vec<String> {
    list(shop).lines().filter_map(|line| line.strip_prefix("@ ")).map(str::to_owned).collect()
}

/// Lets all that is kept be kept since long ago.
fn age(shop: &ClusterShop<'_>) {
    let aged = |line: &str| match line.strip_prefix("@ ").and_then(|rest| rest.split_once(' ')) {
        Some((_, by)) => format!("@ 2026-01-01T12:00:00Z {by}\n"),
        None => format!("{line}\n"),
    };
    write_list(shop, &list(shop).lines().map(aged).collect::<String>());
}

fn write_list(shop: &ClusterShop<'_>, list: &str) {
    let patch = json!({ "data": { "kept": list } }).to_string();
    shop.namespace.kubectl(&["patch", "configmap", SET, "--type=merge", "--patch", &patch]).success();
}

fn run_queue(shop: &ClusterShop<'_>) -> Output {
    shop.repo.try_deploy("deploy-queue", &["run"])
}

#[test]
fn what_is_no_longer_wanted_stays_for_its_time_and_goes_with_the_deployment_after_it() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let name = shop.namespace.name().to_owned();
    let began = since(&shop);
    assert!(began.len() == 1 && began[0].ends_with(" deployment-0001"), "{began:?}");

    // It is shown, is no drift, and a deployment before its time leaves it.
    let status = shop.repo.try_deploy("deploy-status", &[]);
    status.success().stdout_contains("production: well").lacks("by hand");
    status.stdout_contains(&format!("  left: ConfigMap '{name}/old' (kept until 20"));
    shop.repo
        .try_deploy("deploy-status", &["--json"])
        .success()
        .stdout_contains(r#""drift":[],"kept":[{"object":{"apiVersion":"v1","kind":"ConfigMap","#)
        .stdout_contains(r#","until":"20"#);
    release(&shop, "three", &[deployment("web", "3")]);
    let planned = shop.deploy(&["-n"]);
    planned
        .success()
        .lacks("delete")
        .stdout_contains(&format!("  stay    Deployment '{name}/old' (kept until 20"));
    shop.deploy(&[]).success().lacks("Deleted");
    assert_eq!(since(&shop), began, "its time goes on");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    let kinds = |shop: &ClusterShop<'_>| {
        shop.parent()["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"].clone()
    };
    assert_eq!(kinds(&shop), "ConfigMap,Deployment.apps");

    age(&shop);
    release(&shop, "four", &[deployment("web", "4"), service("web", "4")]);
    shop.deploy(&["-n"])
        .success()
        .lacks("stay")
        .stdout_contains(&format!("  delete  ConfigMap '{name}/old'\n"));
    let output = shop.deploy(&[]);
    output.success().stderr_contains(&format!("Deleted Deployment '{name}/old'"));
    assert_eq!(names(&shop), ["Deployment web", "Service web"]);
    assert_eq!(list(&shop), "= deployment-0004\n");
    assert_eq!(kinds(&shop), "Deployment.apps,Service");
    shop.is_sound();
}

#[test]
fn a_runner_with_nothing_to_deploy_deletes_what_was_kept_for_long_enough() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let parent = shop.parent();
    run_queue(&shop).success().lacks("deleted").lacks("tidying");
    assert_eq!(shop.parent(), parent, "who only looks writes nothing");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    age(&shop);
    let output = run_queue(&shop);
    let name = shop.namespace.name();
    output.success().stderr_contains(&format!("deleted ConfigMap '{name}/old'"));
    assert_eq!(names(&shop), ["Deployment web"]);
    assert_eq!(list(&shop), "= deployment-0002\n");
    assert_eq!(shop.phase(), "done");
    shop.is_sound();
    shop.deploy(&["--tidy"]).success().stderr_contains("nothing to delete");
}

#[test]
fn a_runner_that_watches_deletes_it_when_the_time_is_over() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "keeping").setting("prune = \"8s\"").alone(&sandbox!());
    release(&shop, "one", &[config_map("old", "1"), config_map("colours", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[config_map("colours", "2")]);
    shop.deploy(&[]).success();
    let mut running = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]).start();
    eventually("it is deleted", || names(&shop) == ["ConfigMap colours"]);
    eventually("it is written down", || list(&shop) == "= deployment-0002\n");
    running.terminate();
    let output = running.wait();
    assert_eq!(output.stderr.matches("tidying").count(), 1, "{output}");
    shop.is_sound();
}

#[test]
fn what_is_wanted_again_begins_anew_when_it_is_not() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    release(&shop, "three", &[config_map("old", "1"), deployment("web", "3")]);
    shop.deploy(&[]).success().stderr_contains("Deleted Deployment").lacks("Deleted ConfigMap");
    assert_eq!(list(&shop), "= deployment-0003\n");
    release(&shop, "four", &[deployment("web", "4")]);
    shop.deploy(&[]).success().lacks("Deleted");
    let since = since(&shop);
    assert!(since[0].ends_with(" deployment-0003") && !since[0].starts_with("2026-01"), "{since:?}");
    run_queue(&shop).success();
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment web"]);
}

#[test]
fn a_release_that_fails_leaves_what_was_kept_as_it_was_before() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let (before, listed) = (shop.standing(), list(&shop));
    let uid = |kind| shop.namespace.get(kind, "old")["metadata"]["uid"].clone();
    let uids = ["configmap", "deployment"].map(uid);
    let crashing =
        behaving(deployment("failing", "1"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    release(
        &shop,
        "three",
        &[
            config_map("old", "3"),
            deployment("old", "3"),
            config_map("more", "3"),
            deployment("web", "3"),
            crashing,
        ],
    );
    shop.deploy(&[])
        .code_is(1)
        .stderr_contains("Restoring what deployment-0002 had applied")
        .lacks("going back failed");
    assert_eq!(shop.standing(), before, "it runs what the deployment had that wanted it last");
    assert_eq!(["configmap", "deployment"].map(uid), uids);
    assert_eq!(list(&shop), listed, "its time goes on");
    age(&shop);
    // What stands there was applied by a deployment that failed: nothing is deleted before a success.
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    release(&shop, "four", &[deployment("web", "4")]);
    shop.deploy(&[]).success().stderr_contains("Deleted ConfigMap");
    assert_eq!(names(&shop), ["Deployment web"]);
    shop.is_sound();
}

#[test]
fn nothing_is_deleted_while_a_rollback_holds_the_queue() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    release(&shop, "one", &[deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "2"), config_map("new", "2")]);
    shop.deploy(&[]).success();
    // A way back is a deployment like any other: what it does not want stays for a while.
    shop.deploy(&["--rollback"]).success();
    let both = ["ConfigMap new", "Deployment web"];
    assert_eq!(names(&shop), both);
    assert!(since(&shop)[0].ends_with(" deployment-0002"), "{}", list(&shop));
    age(&shop);
    run_queue(&shop).success().lacks("deleted");
    shop.deploy(&["--tidy"]).success().stderr_contains("nothing to delete");
    assert_eq!(names(&shop), both);
    // Base takes back what was rolled back.
    shop.repo.git(&["pull", "--quiet", "--ff-only"]);
    shop.repo.git(&["revert", "--no-edit", "HEAD"]);
    shop.push(&["master"]);
    let output = shop.repo.try_deploy("deploy-queue", &["run", "--json"]);
    output.success().stdout_contains(r#""event":"tidy""#).stdout_contains(r#""result":"tidied""#);
    assert_eq!(names(&shop), ["Deployment web"]);
    shop.is_sound();
}

#[test]
fn nothing_is_deleted_while_somebody_holds_the_queue_or_nothing_is_to_be_deployed() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let all = names(&shop);
    shop.repo.deploy("deploy-queue", &["hold", "--reason=sale"]);
    run_queue(&shop).code_is(75).stderr_contains("sale").lacks("deleted");
    shop.deploy(&["--tidy"]).success().stderr_contains("nothing to delete");
    assert_eq!(names(&shop), all);
    shop.repo.deploy("deploy-queue", &["release"]);
    shop.repo.git(&["pull", "--quiet", "--ff-only"]);
    let deploy_toml = shop.repo.read("deploy.toml");
    let freeze = "\n[[environment.production.freeze]]\nfrom = \"2020-01-01\"\nto = \"2100-01-01\"\ntime-zone = \"UTC\"\n";
    shop.on_master("deploy.toml", &format!("{deploy_toml}{freeze}"));
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), all);
    shop.on_master("deploy.toml", &deploy_toml);
    run_queue(&shop).success().stderr_contains("deleted ConfigMap");
    assert_eq!(names(&shop), ["Deployment web"]);
}

#[test]
fn what_does_not_go_is_told_and_is_no_error() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let name = shop.namespace.name().to_owned();
    let finalizers = |text: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{text}}}}}"#);
        shop.namespace.kubectl(&["patch", "configmap", "old", "--type=merge", "--patch", &patch]).success();
    };
    finalizers(r#"["example.org/held"]"#);
    age(&shop);
    let output = run_queue(&shop);
    output.success().stderr_contains(&format!("deleted Deployment '{name}/old'"));
    output.stderr_contains(&format!(
        "still not gone 60 s after it was deleted: ConfigMap '{name}/old' (finalizer 'example.org/held')"
    ));
    assert!(list(&shop).contains(" old\n") && !list(&shop).contains("Deployment"), "{}", list(&shop));
    shop.is_sound();
    let begun = std::time::Instant::now();
    run_queue(&shop).success().lacks("tidying");
    assert!(begun.elapsed().as_secs() < 30, "what is being deleted is not waited for again");
    finalizers("null");
    run_queue(&shop).success();
    assert_eq!(list(&shop), "= deployment-0002\n");
}

#[test]
fn what_something_needs_that_is_kept_stays_with_it() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    let mut reading = deployment("old", "1");
    reading["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{ "configMapRef": { "name": "old" } }]);
    release(&shop, "one", &[config_map("old", "1"), reading, deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "2")]);
    shop.deploy(&[]).success();
    // The ConfigMap alone is old enough.
    let map = format!("# ConfigMap {}\n", shop.namespace.name());
    let old = format!("@ 2026-01-01T12:00:00Z deployment-0001\n{map}");
    let younger = list(&shop).replace("# Deployment", &format!("@ {}\n# Deployment", since(&shop)[0]));
    write_list(&shop, &younger.replace(&map, &old));
    run_queue(&shop).success().lacks("deleted");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    age(&shop);
    run_queue(&shop).success().stderr_contains("deleted ConfigMap");
    assert_eq!(names(&shop), ["Deployment web"]);
}

#[test]
fn what_cannot_be_looked_at_is_told_once_and_blames_nobody() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let kubeconfig = shop.cluster.kubeconfig_for("alice");
    // Who may do nothing there.
    let by = |arguments: &[&str]| {
        shop.repo.command("git-deploy-queue").args(arguments).env("KUBECONFIG", &kubeconfig)
    };
    let output = by(&["run"]).output();
    output.code_is(75).stderr_contains("error: ").stderr_contains("what was kept for long enough");
    let mut running = by(&["run", "--watch", "--interval=1"]).start();
    running.wait_for_words("error: ");
    std::thread::sleep(std::time::Duration::from_secs(8));
    // It deploys what can be deployed all the same, and goes on when it may.
    running.terminate();
    let output = running.wait();
    assert_eq!(output.stderr.matches("Z error: ").count(), 1, "{output}");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    shop.is_sound();
}

#[test]
fn who_died_while_something_was_deleted_is_followed_by_another() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let finalizers = |text: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{text}}}}}"#);
        shop.namespace.kubectl(&["patch", "configmap", "old", "--type=merge", "--patch", &patch]).success();
    };
    finalizers(r#"["example.org/held"]"#);
    let running = shop.command(&["--tidy"]).start();
    eventually("it is being deleted", || {
        !shop.namespace.get("configmap", "old")["metadata"]["deletionTimestamp"].is_null()
    });
    drop(running.kill(git_deploy_testkit::Victim::Process));
    finalizers("null");
    // A deployment takes over what it held, and writes down what is there.
    release(&shop, "three", &[deployment("web", "3")]);
    shop.deploy(&[]).success();
    assert_eq!(names(&shop), ["Deployment web"]);
    assert_eq!(list(&shop), "= deployment-0003\n");
    shop.is_sound();
}

#[test]
fn what_could_not_be_written_down_any_more_is_written_down_by_an_idle_runner() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    let listed = list(&shop);
    // As if the second had died when it had landed.
    write_list(&shop, "= deployment-0001\n");
    run_queue(&shop).success().lacks("deleted");
    let without_times = |list: &str| {
        list.lines().map(|line| line.split(' ').rev().collect::<Vec<_>>()[0].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(without_times(&list(&shop)), without_times(&listed));
    assert!(since(&shop)[0].ends_with(" deployment-0001"), "{}", list(&shop));
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
}

#[test]
fn when_the_time_is_taken_out_nothing_of_it_counts_later() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let set = |prune: &str| {
        shop.repo.git(&["pull", "--quiet", "--ff-only"]);
        let deploy_toml = shop.repo.read("deploy.toml");
        let lines = deploy_toml.lines().map(|line| if line.starts_with("prune") { prune } else { line });
        shop.on_master("deploy.toml", &(lines.collect::<Vec<_>>().join("\n") + "\n"));
    };
    set("prune = \"never\"");
    release(&shop, "three", &[deployment("web", "3")]);
    shop.deploy(&[]).success().lacks("Deleted");
    assert_eq!(list(&shop), "");
    set(TIME);
    run_queue(&shop).success().lacks("deleted");
    assert!(!since(&shop)[0].starts_with("2026-01"), "{}", list(&shop));
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
}

#[test]
fn what_a_failed_release_changed_and_nobody_can_give_back_stays_and_is_told() {
    let cluster = cluster!();
    let shop = opening(cluster).with_remote(&sandbox!());
    let secret = |name: &str, version: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name },
            "stringData": { "version": version },
        })
    };
    let kept = [secret("old", "1"), secret("same", "1"), config_map("old", "1"), config_map("same", "1")];
    release(&shop, "one", &[&kept[..], &[deployment("web", "1")]].concat());
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "2")]);
    shop.deploy(&[]).success();
    let before = shop.standing();
    let crashing =
        behaving(deployment("failing", "1"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    let changed = [secret("old", "3"), secret("same", "1"), config_map("same", "1")];
    release(&shop, "three", &[&changed[..], &[deployment("web", "3"), crashing.clone()]].concat());
    let name = shop.namespace.name();
    let output = shop.deploy(&[]);
    output.code_is(1).stderr_contains(&format!(
        "warning: Secret '{name}/old' was changed by what failed, and its values of before are not kept in git: it stays as it is"
    ));
    let without_secret =
        |mut standing: std::collections::BTreeMap<_, _>| standing.remove("Secret old").map(|_| standing);
    let expected = without_secret(before);
    assert!(expected.is_some() && without_secret(shop.standing()) == expected);

    // What the first one had applied is not known here any more.
    shop.repo.git(&["push", "--quiet", "--no-verify", "origin", ":refs/deploy/rendered/production/0001"]);
    release(&shop, "four", &[config_map("old", "4"), deployment("web", "4"), crashing]);
    shop.deploy(&[]).code_is(1).stderr_contains(&format!(
        "warning: ConfigMap '{name}/old' was changed by what failed, and what it was before is not known any more: it stays as it is"
    ));
    let all = ["ConfigMap old", "ConfigMap same", "Deployment web", "Secret old", "Secret same"];
    assert_eq!(names(&shop), all);
    shop.is_sound();
}

#[test]
fn nothing_is_deleted_while_a_deployment_is_under_way() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let web = behaving(deployment("web", "3"), "slow", json!({ "test.git-deploy/after": "2s" }));
    release(&shop, "three", &[web]);
    let mut running = shop.start();
    running.wait_for_words("Verifying");
    drop(running.kill(git_deploy_testkit::Victim::Process));
    shop.deploy(&["--tidy"]).success().stderr_contains("nothing to delete");
    assert_eq!(names(&shop), ["ConfigMap old", "Deployment old", "Deployment web"]);
    // It is finished by the runner, and deletes what is due itself.
    run_queue(&shop).success().stderr_contains("deleted ConfigMap").lacks("tidying");
    assert_eq!(names(&shop), ["Deployment web"]);
    shop.is_sound();
}

#[test]
fn kinds_that_a_release_brought_and_objects_elsewhere_stay_and_go_in_the_same_way() {
    let cluster = cluster!();
    let elsewhere = cluster.namespace("elsewhere").create();
    let own = cluster.namespace("keeping");
    let name = own.name().to_owned();
    let allowed = format!("allow-kinds = [\"*\"]\nallow-namespaces = [\"{name}\", \"{elsewhere}\"]");
    let shop = opening(cluster).into_namespace(own).setting(&allowed).with_remote(&sandbox!());
    let mut map = config_map("there", "1");
    map["metadata"]["namespace"] = json!(elsewhere.name());
    release(&shop, "one", &[definition(&name), sale(&name, 10), map, deployment("web", "1")]);
    shop.deploy(&[]).success();
    release(&shop, "two", &[deployment("web", "2")]);
    shop.deploy(&[]).success().lacks("Deleted");
    release(&shop, "three", &[deployment("web", "3")]);
    shop.deploy(&[]).success().lacks("Deleted");
    assert!(elsewhere.find("configmap", "there").is_some());
    age(&shop);
    let output = run_queue(&shop);
    output.success().stderr_contains("deleted Sale").lacks("deleted CustomResourceDefinition");
    assert_eq!(elsewhere.find("configmap", "there"), None);
    run_queue(&shop).success().lacks("deleted");
    // Its objects would go with it: that is nothing to do unwatched.
    shop.repo.try_deploy("deploy-status", &[]).success().stdout_contains("then only a deployment deletes it");
    release(&shop, "four", &[deployment("web", "4")]);
    shop.deploy(&[]).success().stderr_contains("Deleted CustomResourceDefinition");
    assert_eq!(list(&shop), "= deployment-0004\n");
    shop.is_sound();
}

#[test]
fn of_several_runners_one_deletes_and_the_others_leave_it_to_it() {
    let cluster = cluster!();
    let shop = opened(opening(cluster));
    age(&shop);
    let clones = ["one", "two", "three"].map(|name| shop.authority().clone_to(name));
    let running = clones.each_ref().map(|clone| clone.command("git-deploy-queue").arg("run").start());
    let outputs = running.map(git_deploy_testkit::Running::wait);
    for output in &outputs {
        output.success().lacks("error");
    }
    let deleted = |output: &&Output| output.stderr.contains("deleted ConfigMap");
    assert_eq!(outputs.iter().filter(deleted).count(), 1, "{outputs:#?}");
    assert_eq!(names(&shop), ["Deployment web"]);
    shop.is_sound();
}
