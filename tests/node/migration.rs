//! A migration with the commit's image runs before the pods, and what it writes is seen while it writes it.

use std::time::Duration;

use git_deploy_testkit::cluster::{NodeCluster, eventually};
use git_deploy_testkit::{Output, node_cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{Web, assert_answers};

/// What the migration depends on, and nothing else.
const SCHEMA: &str = "db/schema.sql";
const MANIFEST: &str = "deploy/migrate.yaml";

/// A one-time job that runs this script in the image of the commit.
fn job(cluster: &NodeCluster, name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "annotations": { "git-deploy/one-time": "true", "git-deploy/once-paths": SCHEMA },
        },
        "spec": {
            "backoffLimit": 0,
            "template": { "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "dnsPolicy": "Default",
                "containers": [{
                    "name": "main",
                    "image": format!("{}/littleman-co/shop-web:any", cluster.registry()),
                    "command": ["/bin/busybox", "sh", "-c", script],
                }],
            } },
        },
    })
}

fn config_map(version: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "colours" },
        "data": { "version": version },
    })
}

/// A deployable branch with that schema, these objects and a page that says so.
fn release(web: &Web<'_>, name: &str, schema: &str, objects: &[Value]) {
    let manifest: String = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    web.shop.release(name, &[(SCHEMA, schema), (MANIFEST, &manifest), ("web/index.html", name)]);
}

/// A release without any job stands and answers.
fn open(web: &Web<'_>, cluster: &NodeCluster) {
    web.shop.release("good", &[("web/index.html", "good")]);
    web.deploy(&[]).success();
    assert_answers(cluster, &web.shop.namespace, "good");
}

/// How often a line of a log was shown.
fn times(output: &Output, line: &str) -> usize {
    output.stderr.lines().filter(|shown| shown.ends_with(&format!("/main | {line}"))).count()
}

fn has_ended(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    let is_end = |kind: &Value| kind == "Complete" || kind == "Failed";
    conditions.into_iter().flatten().any(|one| is_end(&one["type"]) && one["status"] == "True")
}

/// The pods of the release, and what is changed in its Deployment.
fn standing(web: &Web<'_>) -> (Vec<String>, Value) {
    let pods = web.shop.namespace.list("pods");
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let of_web = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == "web").filter(stays);
    let uids = of_web.map(|pod| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned());
    let generation = web.shop.namespace.get("deployment", "web")["metadata"]["generation"].clone();
    (uids.collect(), generation)
}

#[test]
fn what_a_job_writes_is_shown_while_it_runs_and_the_pods_come_after_it() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    let script = "echo begun; /bin/busybox sleep 4; echo done >&2";
    release(&web, "one", "1\n", &[job(cluster, "migrate", script)]);
    let mut running = web.command(&[]).start();
    running.wait_for_words("/main | begun\n");
    let namespace = &web.shop.namespace;
    let migration = namespace.list("jobs").remove(0);
    assert!(!has_ended(&migration), "{migration:#}");
    assert_eq!(namespace.find("deployment", "web"), None, "the workloads come after it");
    let output = running.wait();
    output.success();
    assert_eq!((times(&output, "begun"), times(&output, "done")), (1, 1), "{output}");
    assert!(!output.stderr.contains("warning"), "{output}");
    assert_answers(cluster, namespace, "one");
    let migration = namespace.list("jobs").remove(0);
    let image = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image(&migration), image(&namespace.get("deployment", "web")));
    assert!(image(&migration).as_str().is_some_and(|image| image.contains("@sha256:")), "{migration:#}");

    // The same commit, and another one with the same schema.
    web.deploy(&["--env=production", "master"]).success().stderr_contains("nothing to deploy");
    web.shop.release("two", &[("web/index.html", "two")]);
    let output = web.deploy(&[]);
    output.success();
    assert_eq!(times(&output, "begun"), 0, "{output}");
    assert_answers(cluster, namespace, "two");
    let output = web.deploy(&["--rollback"]);
    output.success();
    assert_eq!(times(&output, "begun"), 0, "{output}");
    assert_answers(cluster, namespace, "one");
    let jobs = namespace.list("jobs");
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    assert_eq!(jobs[0]["metadata"]["uid"], migration["metadata"]["uid"]);
    web.shop.is_sound();
}

#[test]
fn a_job_that_fails_leaves_the_pods_as_they_are_and_says_why() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    release(&web, "good", "0\n", &[config_map("1")]);
    web.deploy(&[]).success();
    let before = standing(&web);
    let colours = || web.shop.namespace.get("configmap", "colours")["data"]["version"].clone();
    let failing = job(cluster, "migrate", "echo begun; echo no such table; exit 3");

    release(&web, "next", "1\n", &[config_map("2"), failing.clone()]);
    let output = web.deploy(&[]);
    output.code_is(1);
    assert!(times(&output, "begun") == 1 && times(&output, "no such table") == 1, "{output}");
    output.stderr_contains("has run: what it has changed itself stays").stderr_contains("Restoring");
    assert_failed(&web, "deployment-0002", "no such table");
    assert_eq!(web.shop.state("next"), "staged", "{output}");
    assert_eq!(standing(&web), before, "{output}");
    assert_answers(cluster, &web.shop.namespace, "good");
    assert_eq!(colours(), "1", "who goes on finds the configuration that it had");

    // What is mended has another schema, and another page.
    release(&web, "mended", "2\n", &[config_map("3"), job(cluster, "migrate", "echo begun")]);
    web.deploy(&["mended"]).success();
    assert_answers(cluster, &web.shop.namespace, "mended");

    let before = standing(&web);
    let mut safe = failing;
    safe["metadata"]["annotations"]["git-deploy/rollback"] = json!("safe");
    let careful = "echo begun; printf no-change >/dev/termination-log; exit 3";
    let unsuccessful = [("worse", "3\n", safe), ("careful", "4\n", job(cluster, "migrate", careful))];
    for (number, (name, schema, job)) in (4..).zip(unsuccessful) {
        release(&web, name, schema, &[config_map("4"), job]);
        let output = web.deploy(&[name, "-q"]);
        output.code_is(1);
        assert_eq!(times(&output, "begun"), 0, "{output}");
        assert_failed(&web, &format!("deployment-000{number}"), "exit status 3");
        output.lacks("has run");
        assert_eq!((standing(&web), colours()), (before.clone(), json!("3")), "{output}");
        assert_answers(cluster, &web.shop.namespace, "mended");
    }
    web.shop.is_sound();
}

#[test]
fn a_job_whose_last_pod_takes_its_time_to_end_has_failed_all_the_same() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    open(&web, cluster);
    let before = standing(&web);
    let stubborn = "trap '' TERM; [ $JOB_COMPLETION_INDEX = 1 ] || exec /bin/busybox sleep 6; exit 3";
    let mut slow = job(cluster, "migrate", stubborn);
    for (key, value) in
        [("completionMode", json!("Indexed")), ("completions", json!(2)), ("parallelism", json!(2))]
    {
        slow["spec"][key] = value;
    }
    slow["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
    release(&web, "next", "1\n", &[slow]);
    let output = web.deploy(&[]);
    output.code_is(1).stderr_contains("Restoring").lacks("only forward is safe");
    assert_eq!(standing(&web), before, "{output}");
    web.shop.is_sound();
}

/// The tag says which job failed, how, and that.
#[track_caller]
fn assert_failed(web: &Web<'_>, tag: &str, words: &str) {
    let text = web.shop.tag(tag);
    assert!(text.starts_with("Failed Deployment\n"), "{text}");
    for part in ["Job '", "/migrate-", "ended: exit status 3", words] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_job_that_is_tried_again_is_heard_each_time() {
    let cluster = node_cluster!();
    let sandbox = sandbox!();
    let mut web = Web::open(&sandbox, cluster);
    // Whoever hears of a run late asks the node when the next one may have begun.
    let proxy = cluster.proxy();
    proxy.set_delay(Duration::from_millis(150));
    web.shop = web.shop.by(cluster.kubeconfig_through(&proxy));
    // Of what ran before a node keeps no log once this run has ended, too.
    let script = "[ -e /state/tried ] && echo second && /bin/busybox sleep 5 && exit; echo first; : >/state/tried; exit 3";
    let with_state = |name: &str, restarts: &str, volume: Value| {
        let mut job = job(cluster, name, script);
        // Restarts are failures from the last one on.
        job["spec"]["backoffLimit"] = json!(if restarts == "Never" { 1 } else { 2 });
        let spec = &mut job["spec"]["template"]["spec"];
        spec["restartPolicy"] = json!(restarts);
        spec["volumes"] = json!([volume]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "state", "mountPath": "/state" }]);
        job
    };
    let shared = sandbox.root().join("state");
    let shared = json!({ "name": "state", "hostPath": { "path": shared, "type": "DirectoryOrCreate" } });
    let own = json!({ "name": "state", "emptyDir": {} });
    // Another pod each time, and the same one.
    let jobs = [with_state("anew", "Never", shared), with_state("again", "OnFailure", own)];
    release(&web, "one", "1\n", &jobs);
    let output = web.deploy(&[]);
    output.success();
    for name in ["anew", "again"] {
        let of_job = |line: &&str| line.contains(&format!(" {name}-"));
        let lines: Vec<&str> = output.stderr.lines().filter(of_job).collect();
        let shown: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once(" | ")?.1)).collect();
        assert_eq!(shown, ["first", "second"], "{output}");
    }
    assert_answers(cluster, &web.shop.namespace, "one");
    web.shop.is_sound();
}

#[test]
fn a_job_that_hangs_can_be_left_and_is_waited_for_no_longer_than_the_time_limit() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    open(&web, cluster);
    let before = standing(&web);
    web.shop.set_timeout("30s");
    release(&web, "next", "1\n", &[job(cluster, "migrate", "echo begun; exec /bin/busybox sleep 1000")]);
    let mut running = web.command(&[]).start();
    running.wait_for_words("/main | begun\n");
    running.interrupt();
    let output = running.wait();
    output.code_is(130).stderr_contains("git deploy --continue");
    let migration = web.shop.namespace.list("jobs").remove(0);
    assert!(!has_ended(&migration), "{migration:#}");
    assert_eq!(standing(&web), before, "{output}");
    // Whoever goes on waits for the one that runs.
    let output = web.deploy(&["--continue"]);
    assert_eq!(output.code, Some(70), "{output}");
    assert_eq!(times(&output, "begun"), 1, "{output}");
    let jobs = web.shop.namespace.list("jobs");
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    assert_eq!(jobs[0]["metadata"]["uid"], migration["metadata"]["uid"]);
    assert_eq!(standing(&web), before, "{output}");
    assert_answers(cluster, &web.shop.namespace, "good");
    web.shop.is_sound();
}

#[test]
fn a_job_that_writes_without_end_fills_no_terminal_and_does_nothing_to_it() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    let script = "printf 'clear\\033[2J\\033]0;me\\007 and\\ttab\\n'; yes aaaaaaaaaa | head -c 20000000";
    release(&web, "one", "1\n", &[job(cluster, "migrate", script)]);
    let output = web.deploy(&[]);
    output.success();
    assert_eq!(times(&output, "clear and\ttab"), 1, "{}", &output.stderr[..2000]);
    assert!(output.stderr.len() < 2 << 20, "{}", output.stderr.len());
    let remarks = output.stderr.matches("no more is shown of what one-time jobs write").count();
    assert_eq!(remarks, 1);
    web.shop.is_sound();
}

/// The rights of somebody who may do all that it takes, and may not read logs.
const DEAF: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: deaf }
rules:
- { apiGroups: [batch, apps, coordination.k8s.io], resources: ['*'], verbs: ['*'] }
- { apiGroups: [''], resources: [configmaps, services, pods, events], verbs: ['*'] }
";

#[test]
fn whoever_may_not_read_logs_is_told_so_once_and_deploys() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    open(&web, cluster);
    let namespace = &web.shop.namespace;
    namespace.apply(DEAF);
    namespace.kubectl(&["create", "rolebinding", "deaf", "--role=deaf", "--user=alice"]).success();
    let kubeconfig = cluster.kubeconfig_for("alice");
    let path = kubeconfig.to_str().expect("a temporary directory in UTF-8");
    eventually("the binding has taken effect", || {
        namespace.kubectl(&["--kubeconfig", path, "get", "jobs"]).code == Some(0)
    });
    let jobs = ["one", "two"].map(|name| job(cluster, name, "echo begun; /bin/busybox sleep 2"));
    release(&web, "next", "1\n", &jobs);
    let output = web.command(&[]).env("KUBECONFIG", &kubeconfig).output();
    output.success();
    let remarks = output.stderr.matches("cannot show what one-time jobs write").count();
    assert!(remarks == 1 && output.stderr.contains("pods/log"), "{output}");
    assert_eq!(times(&output, "begun"), 0, "{output}");
    assert_answers(cluster, namespace, "next");
    web.shop.is_sound();
}

#[test]
fn a_log_that_breaks_off_goes_on_where_it_was() {
    let cluster = node_cluster!(own);
    let web = Web::open(&sandbox!(), &cluster);
    let script = "for i in $(seq 100 399); do echo line $i; /bin/busybox sleep 0.1; done";
    release(&web, "one", "1\n", &[job(&cluster, "migrate", script)]);
    let mut running = web.command(&[]).time_limit(Duration::from_secs(180)).start();
    running.wait_for_words("/main | line 110\n");
    cluster.api_server().restart();
    running.wait_for_words("/main | line 180\n");
    cluster.kubelet().kill();
    running.wait_for_words("/main broke off: ");
    cluster.kubelet().start();
    let output = running.wait();
    output.success();
    let shown: Vec<usize> = (100..400).map(|n| times(&output, &format!("line {n}"))).collect();
    assert_eq!(shown, [1; 300], "{output}");
    assert_eq!(output.stderr.matches("broke off").count(), 1, "{output}");
    assert_answers(&cluster, &web.shop.namespace, "one");
    web.shop.is_sound();
}
