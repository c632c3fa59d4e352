//! Releases that do not run: each fails with its own words, and the pods of the one before never stop answering.

use std::io::{self, Write};

use git_deploy_testkit::cluster::{AuditEvent, NodeCluster};
use git_deploy_testkit::{Output, node_cluster, sandbox, skip};
use serde_json::Value;

use crate::support::{CONTAINERFILE, Web, assert_answers, graceful, manifests};

/// In seconds, as the shop's `crash-grace`.
const CRASH_GRACE: f64 = 5.0;

const A_DAY: f64 = 86_400.0;

/// What `git deploy` ends with where nobody is known to blame when its time is over.
const TIMED_OUT: i32 = 70;

/// The time of a release that is to use all of it: what has to be well gets more.
const SHORT: &str = "30s";

/// A release that does not run.
struct Bad<'a> {
    /// What differs from the one before.
    files: &'a [(&'a str, &'a str)],
    /// With what `git deploy` ends.
    code: i32,
    /// The reason that the tag tells, and all that is printed.
    reason: &'a str,
    /// What else is printed.
    says: &'a [&'a str],
}

/// Deploys it after one that is well, and looks at everything that must be so then.
#[track_caller]
fn fails(web: &Web<'_>, bad: &Bad<'_>) -> Output {
    fails_in(web, bad, || web.while_asked(&["one"], || web.deploy(&[])))
}

/// The same with what deploys it.
#[track_caller]
fn fails_in(web: &Web<'_>, bad: &Bad<'_>, deploy: impl FnOnce() -> Output) -> Output {
    let Web { shop, .. } = web;
    shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success();
    assert_answers(web.cluster, &shop.namespace, "one");
    let (pods, standing) = (pods(web), shop.standing());
    if bad.code == TIMED_OUT {
        shop.set_timeout(SHORT);
    }
    let master = shop.repo.id("master");
    shop.release("two", bad.files);
    let output = deploy();
    output.code_is(bad.code).stdout_contains("deployment-0002: Failed Deployment");
    output.stdout_contains(bad.reason);
    shop.failed("deployment-0002", bad.reason);
    for said in bad.says {
        assert!(output.to_string().contains(said), "{said}\n{output}");
    }
    assert_eq!(shop.state("two"), "staged", "{output}");
    let told =
        |note: &String| note.lines().any(|line| line.starts_with("reason: ") && line.contains(bad.reason));
    assert!(shop.repo.notes().values().any(told), "{:#?}", shop.repo.notes());
    assert_eq!(shop.repo.id("master"), master);
    assert_eq!(shop.standing(), standing, "the cluster is back on the old release");
    let after = self::pods(web);
    assert!(pods.iter().all(|pod| after.contains(pod)), "other pods than before: {pods:?}, {after:?}");
    output
}

/// What its pods are, and how often their containers were started again.
fn pods(web: &Web<'_>) -> Vec<(String, i64)> {
    let pod = |pod: &Value| {
        let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_i64();
        (pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned(), restarts.unwrap_or_default())
    };
    web.shop.namespace.list("pods").iter().map(pod).collect()
}

/// How many seconds after it could be known at the earliest it was decided that a release crashes for ever, by the API
/// server's clock: the container that dooms it has crashed twice, and for as long as it may.
#[track_caller]
fn decided_after(web: &Web<'_>) -> f64 {
    let events = web.shop.namespace.audit();
    let crashes = |event: &&AuditEvent| {
        let status = event.object.as_ref().map(|pod| &pod["status"]["containerStatuses"][0])?;
        let ended = status["state"]["terminated"].is_object();
        let restarts = status["restartCount"].as_i64().unwrap_or_default();
        let loops = status["state"]["waiting"]["reason"] == "CrashLoopBackOff";
        let crashes = if loops { restarts.max(2) } else { restarts + i64::from(ended) };
        (crashes > 0).then(|| (crashes, ended || loops, seconds(&event.stage_timestamp)))
    };
    let is_of_node =
        |event: &&AuditEvent| event.user == "system:node:node" && event.resource == "pods/status";
    let seen: Vec<_> = events.iter().filter(is_of_node).filter_map(|event| crashes(&event)).collect();
    let (.., first) = seen.first().expect("a node has said that it crashes");
    let (.., again) =
        seen.iter().find(|(crashes, is_down, _)| *crashes > 1 && *is_down).expect("a second time");
    // What it wrote is asked for as soon as that is decided, and for nothing else.
    let decided = events.iter().find(|event| event.is_ours() && event.resource == "pods/log");
    let decided = seconds(&decided.expect("what it wrote was asked for").received);
    (decided - (first + CRASH_GRACE).max(*again) + A_DAY / 2.0).rem_euclid(A_DAY) - A_DAY / 2.0
}

/// Since midnight.
fn seconds(time: &str) -> f64 {
    let (_, time) = time.split_once('T').expect("a time has a day");
    let parts = time.trim_end_matches('Z').split(':').map(|part| part.parse::<f64>().expect("a number"));
    parts.fold(0.0, |sum, part| sum * 60.0 + part)
}

/// The manifests of the shop with these lines in the container.
fn changed(web: &Web<'_>, lines: &str) -> String {
    let image = format!("{}/littleman-co/shop-web:any", web.cluster.registry());
    graceful(&format!("{image}\n{lines}"))
}

/// What the image runs instead.
fn running(command: &str) -> String {
    format!("{CONTAINERFILE}CMD {command}\n")
}

#[test]
fn a_release_that_exits_on_start_fails_with_its_last_lines_as_soon_as_crash_grace_is_over() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let command =
        r#"["/bin/busybox", "sh", "-c", "echo reading colours >&2; echo no colours here >&2; exit 3"]"#;
    fails(
        &web,
        &Bad {
            files: &[("web/Containerfile", &running(command))],
            code: 1,
            reason: "crashed 2 times: exit status 3; it wrote: reading colours | no colours here",
            says: &["before it was started again:\n", " | reading colours\n", " | no colours here\n"],
        },
    );
    let seconds = decided_after(&web);
    writeln!(io::stdout().lock(), "decided {seconds:.2} s after it could be known")
        .expect("somebody reads it");
    // Less than one where the machine has nothing else to do. Times of containers have whole seconds, rounded down.
    assert!((-1.0..4.0).contains(&seconds), "decided {seconds:.2} s after it could be known");
}

#[test]
fn a_release_that_nobody_probes_and_that_exits_a_moment_later_fails_as_well() {
    let web = Web::open(&sandbox!(), node_cluster!());
    web.shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success();
    let command = r#"["/bin/busybox", "sh", "-c", "/bin/busybox sleep 0.7; exit 3"]"#;
    let image = format!("{}/littleman-co/shop-web:any", web.cluster.registry());
    let unprobed: Vec<String> =
        graceful(&image).lines().filter(|line| !line.contains("readinessProbe")).map(str::to_owned).collect();
    let files = [("web/Containerfile", running(command)), ("deploy/web.yaml", unprobed.join("\n") + "\n")];
    web.shop.release("two", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let output = web.deploy(&[]);
    output.code_is(1).stdout_contains("deployment-0002: Failed Deployment").stderr_contains("Restoring");
    web.shop.failed("deployment-0002", "exit status 3");
    assert_answers(web.cluster, &web.shop.namespace, "one");
}

#[test]
fn a_release_whose_command_is_not_there_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    fails(
        &web,
        &Bad {
            files: &[("web/Containerfile", &running("[\"/bin/nothing\"]"))],
            code: 1,
            reason: "/bin/nothing",
            says: &[],
        },
    );
}

#[test]
fn a_release_whose_image_is_not_there_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let image = format!("{}/littleman-co/nobody-builds-this:1", web.cluster.registry());
    fails(
        &web,
        &Bad {
            files: &[("deploy/web.yaml", &graceful(&image))],
            code: 1,
            reason: "nobody-builds-this:1",
            says: &[],
        },
    );
}

#[test]
fn a_release_that_brings_an_image_of_others_whose_registry_refuses_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    fails_in(
        &web,
        &Bad {
            files: &[("deploy/web.yaml", &graceful("127.0.0.1:1/cache:7"))],
            code: TIMED_OUT,
            reason: "connect: connection refused",
            says: &["127.0.0.1:1/cache:7", "hint: the image is new with this branch"],
        },
        || web.deploy(&[]),
    );
    assert_answers(web.cluster, &web.shop.namespace, "one");
}

#[test]
fn a_release_that_brings_an_image_waits_while_one_that_was_there_before_cannot_be_pulled_either() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let shop = &web.shop;
    let old = |replicas: &str| {
        let manifest = manifests("127.0.0.1:2/old:1").replace("replicas: 2", replicas);
        // Behind the other in every list.
        manifest.replace("name: web", "name: worker").replace("app: web", "app: worker")
    };
    shop.release("one", &[("deploy/worker.yaml", &old("replicas: 0"))]);
    web.deploy(&[]).success();
    // The rules of the Service follow the pods after a moment.
    assert_answers(web.cluster, &shop.namespace, "one");
    let standing = shop.standing();
    shop.set_timeout(SHORT);
    let files =
        [("deploy/web.yaml", &*graceful("127.0.0.1:1/cache:7")), ("deploy/worker.yaml", &old("replicas: 1"))];
    shop.release("two", &files);
    let output = web.deploy(&["--json"]);
    output.code_is(TIMED_OUT).stdout_contains("\"blame\":\"nobody\"");
    output.stdout_contains("connect: connection refused");
    output.stdout_contains("127.0.0.1:1/cache:7").stdout_contains("127.0.0.1:2/old:1");
    shop.failed("deployment-0002", "connect: connection refused");
    assert_eq!(shop.state("two"), "deployable", "{output}");
    assert_eq!(shop.standing(), standing, "the cluster is back on the old release");
    assert_answers(web.cluster, &shop.namespace, "one");
}

#[test]
fn a_release_that_wants_a_key_that_its_config_map_lacks_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let env =
        "        env: [{ name: COLOUR, valueFrom: { configMapKeyRef: { name: settings, key: colour } } }]";
    let settings = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: { size: big } }";
    fails(
        &web,
        &Bad {
            files: &[("deploy/web.yaml", &changed(&web, env)), ("deploy/settings.yaml", settings)],
            code: 1,
            reason: "CreateContainerConfigError",
            says: &["colour"],
        },
    );
}

#[test]
fn a_release_whose_config_map_is_not_there_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let env = "        envFrom: [{ configMapRef: { name: settings } }]";
    fails(
        &web,
        &Bad {
            files: &[("deploy/web.yaml", &changed(&web, env))],
            code: 1,
            reason: "configmap \"settings\" not found",
            says: &[],
        },
    );
}

#[test]
fn a_release_that_mounts_a_config_map_that_is_not_there_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let mount = "        volumeMounts: [{ name: settings, mountPath: /settings }]";
    let volume = "    spec:\n      volumes: [{ name: settings, configMap: { name: settings } }]\n";
    let manifests = changed(&web, mount).replace("    spec:\n", volume);
    fails(
        &web,
        &Bad {
            files: &[("deploy/web.yaml", &manifests)],
            code: 1,
            reason: "configmap \"settings\" not found",
            says: &[],
        },
    );
}

#[test]
fn a_release_that_answers_nobody_is_not_ready_in_time() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let command = r#"["/bin/busybox", "httpd", "-f", "-v", "-p", "9090"]"#;
    fails(
        &web,
        &Bad {
            files: &[("web/Containerfile", &running(command))],
            code: TIMED_OUT,
            reason: "runs but does not become ready: Readiness probe failed: Get ",
            says: &["connection refused"],
        },
    );
}

#[test]
fn a_release_that_takes_more_memory_than_it_may_fails() {
    if let Some(reason) = NodeCluster::unlimited_memory() {
        skip!(reason);
    }
    let web = Web::open(&sandbox!(), node_cluster!());
    let command = r#"["/bin/busybox", "sh", "-c", "echo loading everything; busybox tail /dev/zero"]"#;
    let limits = "        resources: { limits: { memory: 24Mi } }";
    fails(
        &web,
        &Bad {
            files: &[("web/Containerfile", &running(command)), ("deploy/web.yaml", &changed(&web, limits))],
            code: 1,
            reason: "exit status 137 (OOMKilled)",
            says: &[" | loading everything\n"],
        },
    );
}

#[test]
fn a_release_that_is_not_alive_by_its_own_probe_fails() {
    let web = Web::open(&sandbox!(), node_cluster!());
    let probe =
        "        livenessProbe: { httpGet: { path: /, port: 9090 }, periodSeconds: 1, failureThreshold: 1 }";
    let manifests = changed(&web, probe).replace("path: /, port: 8080", "path: /never, port: 8080");
    fails(
        &web,
        &Bad {
            files: &[("deploy/web.yaml", &manifests)],
            code: 1,
            reason: "exit status 137: Liveness probe failed: Get ",
            says: &[],
        },
    );
}
