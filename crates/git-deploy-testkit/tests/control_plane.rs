//! The test cluster itself: what the other scenarios rely on.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Kubeconfig, Namespace, Options, eventually};
use git_deploy_testkit::{Output, Running, Sandbox, Victim, cluster, skip};
use serde_json::{Value, json};

/// A Deployment whose pods behave so, with annotations that say more.
fn deployment(name: &str, replicas: usize, behaviour: &str, annotations: &Value) -> String {
    let labels = json!({ "app": name, "test.git-deploy/pod": behaviour });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": labels, "annotations": annotations }, "spec": pod_spec() },
        },
    })
    .to_string()
}

fn job(name: &str, labels: &Value, annotations: &Value) -> String {
    let mut spec = pod_spec();
    spec["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name },
        "spec": {
            "backoffLimit": 0,
            "template": { "metadata": { "labels": labels, "annotations": annotations }, "spec": spec },
        },
    })
    .to_string()
}

fn pod_spec() -> Value {
    json!({ "containers": [{ "name": "main", "image": "registry.example.org/shop:1" }] })
}

fn service(name: &str, labels: &Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "labels": labels },
        "spec": { "type": "LoadBalancer", "selector": { "app": name }, "ports": [{ "port": 80 }] },
    })
    .to_string()
}

fn config_map(name: &str) -> String {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } }).to_string()
}

fn ready_replicas(namespace: &Namespace, name: &str) -> u64 {
    namespace.get("deployment", name)["status"]["readyReplicas"].as_u64().unwrap_or_default()
}

/// The condition of that type has that status.
fn has_condition(object: &Value, kind: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == kind && one["status"] == status))
}

/// The status of the only container of the first pod for which that holds.
fn container(namespace: &Namespace, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut found = Value::Null;
    eventually(what, || {
        let pods = namespace.list("pods");
        let mut statuses = pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]);
        found = statuses.find(|status| holds(status)).cloned().unwrap_or_default();
        !found.is_null()
    });
    found
}

#[test]
fn a_deployment_becomes_ready() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let started = Instant::now();
    namespace.apply(&deployment("web", 3, "plain", &json!({})));
    namespace.kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"]).success();
    assert_eq!(ready_replicas(&namespace, "web"), 3);
    assert!(started.elapsed().as_secs() < 10, "it took {:?}", started.elapsed());
}

#[test]
fn a_cluster_is_up_in_seconds() {
    let started = Instant::now();
    let cluster = cluster!(Options::new().nodes(1));
    // Alone it takes three; other tests run at the same time.
    assert!(started.elapsed().as_secs() < 20, "it took {:?}", started.elapsed());
    assert_eq!(cluster.get_raw("/api/v1/nodes")["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(cluster.get_raw("/version")["gitVersion"].as_str().map(|version| &version[..2]), Some("v1"));
}

#[test]
fn a_load_balancer_gets_an_address_unless_told_otherwise() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    namespace.apply(&service("never", &json!({ "test.git-deploy/address": "never" })));
    namespace.apply(&service("web", &json!({})));
    let address =
        |name: &str| namespace.get("service", name)["status"]["loadBalancer"]["ingress"][0]["ip"].clone();
    eventually("the service has an address", || address("web") == "192.0.2.1");
    assert!(address("never").is_null());
}

#[test]
fn a_claim_is_bound() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    namespace.apply(&claim.to_string());
    eventually("the claim is bound", || namespace.get("pvc", "data")["status"]["phase"] == "Bound");
}

#[test]
fn a_pod_waits_for_the_reason_that_it_is_given() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let annotations = json!({ "test.git-deploy/reason": "CreateContainerConfigError",
        "test.git-deploy/message": "secret \"tls\" not found" });
    namespace.apply(&deployment("web", 1, "waiting", &annotations));
    let status = container(&namespace, "it waits", |status| status["state"]["waiting"].is_object());
    assert_eq!(status["state"]["waiting"]["reason"], "CreateContainerConfigError");
    assert_eq!(status["state"]["waiting"]["message"], "secret \"tls\" not found");
    eventually("there is an event", || {
        namespace.list("events").iter().any(|event| event["type"] == "Warning" && event["reason"] == "Failed")
    });
}

#[test]
fn a_pod_crashes_again_and_again() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    namespace.apply(&deployment("web", 1, "crash", &json!({ "test.git-deploy/period": "100ms" })));
    let status = container(&namespace, "it was restarted twice", |status| {
        status["restartCount"].as_u64().is_some_and(|count| count >= 2)
    });
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(ready_replicas(&namespace, "web"), 0);
}

#[test]
fn a_slow_pod_becomes_ready_later_and_an_unready_one_never() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    namespace.apply(&deployment("unready", 1, "unready", &json!({})));
    namespace.apply(&deployment("slow", 1, "slow", &json!({ "test.git-deploy/after": "1500ms" })));
    let started = Instant::now();
    eventually("the slow one is ready", || ready_replicas(&namespace, "slow") == 1);
    assert!(started.elapsed() > Duration::from_secs(1));
    assert_eq!(ready_replicas(&namespace, "unready"), 0);
}

#[test]
fn a_job_ends_as_it_is_told() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let exits = json!({ "test.git-deploy/pod": "exits" });
    let chaos = json!({ "pod-container-running-failed.stage.kwok.x-k8s.io": "true" });
    namespace.apply(&job("plain", &json!({}), &json!({})));
    namespace.apply(&job("told", &exits, &json!({ "test.git-deploy/message": "no-change" })));
    namespace.apply(&job("failing", &exits, &json!({ "test.git-deploy/exit-code": "3" })));
    namespace.apply(&job("chaotic", &chaos, &json!({})));
    for (name, condition) in
        [("plain", "Complete"), ("told", "Complete"), ("failing", "Failed"), ("chaotic", "Failed")]
    {
        eventually(&format!("{name} is {condition}"), || {
            has_condition(&namespace.get("job", name), condition, "True")
        });
    }
    let ended = |exit: i32| {
        container(&namespace, "it ended", |status| status["state"]["terminated"]["exitCode"] == exit)
    };
    assert_eq!(ended(3)["state"]["terminated"]["reason"], "Error");
    container(&namespace, "it left a message", |status| {
        status["state"]["terminated"]["message"] == "no-change"
    });
}

#[test]
fn a_pod_fails_by_the_stages_that_kwok_brings_along() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "labels": { "pod-container-running-failed.stage.kwok.x-k8s.io": "true" },
            "annotations": { "pod-container-running-failed.stage.kwok.x-k8s.io/reason": "OutOfLuck" },
        },
        "spec": pod_spec(),
    });
    namespace.apply(&pod.to_string());
    let status = container(&namespace, "it failed", |status| status["state"]["terminated"].is_object());
    assert_eq!(status["state"]["terminated"]["reason"], "OutOfLuck");
}

#[test]
fn requests_are_written_down_in_their_order() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    namespace.apply(&config_map("one"));
    namespace.kubectl(&["delete", "configmap", "one", "--dry-run=server"]).success();
    namespace.kubectl(&["delete", "configmap", "one"]).success();
    let audit = namespace.audit();
    let of_ours = audit.iter().filter(|event| event.resource == "configmaps" && event.name == "one");
    let changes: Vec<(&str, u16)> = of_ours
        .filter(|event| event.user == "admin" && event.is_change())
        .map(|event| (event.verb.as_str(), event.code))
        .collect();
    assert_eq!(changes, [("create", 201), ("delete", 200)]);
    let rehearsed: Vec<_> =
        audit.iter().filter(|event| event.dry_run).map(|event| event.verb.as_str()).collect();
    assert_eq!(rehearsed, ["delete"]);
}

#[test]
fn the_audit_tells_when_a_deployment_became_ready() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    namespace.apply(&config_map("old"));
    namespace.apply(&deployment("web", 2, "slow", &json!({ "test.git-deploy/after": "200ms" })));
    namespace.kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"]).success();
    namespace.kubectl(&["delete", "configmap", "old"]).success();
    let audit = namespace.audit();
    let ready = audit.iter().find(|event| {
        let object = event.object.as_ref();
        event.resource == "deployments/status"
            && object.is_some_and(|object| object["status"]["readyReplicas"] == 2)
    });
    let deleted = audit.iter().find(|event| event.is_delete() && event.name == "old");
    let (ready, deleted) = (ready.expect("it became ready"), deleted.expect("it was deleted"));
    assert!(ready.stage_timestamp < deleted.received, "{ready:?}\n{deleted:?}");
}

#[test]
fn users_may_do_what_they_were_allowed_to() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let alice = cluster.kubeconfig_for("alice");
    let bob = cluster.kubeconfig_for("bob");
    namespace.kubectl(&["create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice"]).success();
    let may_read = |kubeconfig: &Path| {
        let kubeconfig = kubeconfig.to_str().expect("a temporary directory in UTF-8");
        namespace.kubectl(&["--kubeconfig", kubeconfig, "get", "configmaps"])
    };
    eventually("the binding has taken effect", || may_read(&alice).code == Some(0));
    may_read(&bob).code_is(1).stderr_contains("forbidden");
    may_read(&cluster.kubeconfig_with(cluster.access().with_token("expired"))).code_is(1);
    may_read(&cluster.kubeconfig_with(cluster.access().at("127.0.0.1:1"))).code_is(1);
}

#[test]
fn a_kubeconfig_is_private_and_has_no_current_context() {
    let cluster = cluster!();
    let sandbox = Sandbox::new();
    let path = sandbox.root().join("kubeconfig");
    let access = cluster.access();
    Kubeconfig::new()
        .context("staging", access.clone())
        .context("production", access.as_user("bob"))
        .write(&path);
    for file in [cluster.kubeconfig(), &path] {
        let mode = fs::metadata(file).expect("it was written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let content: Value = serde_json::from_slice(&fs::read(file).unwrap()).expect("JSON is YAML");
        assert_eq!(content["current-context"], "");
    }
    let content = fs::read_to_string(&path).unwrap();
    assert!(content.contains("staging") && content.contains("production"), "{content}");
}

#[test]
fn an_api_server_that_was_killed_comes_back_with_its_objects() {
    let cluster = cluster!(Options::new());
    let namespace = cluster.namespace("shop").create();
    namespace.apply(&deployment("web", 1, "plain", &json!({})));
    let uid = namespace.get("deployment", "web")["metadata"]["uid"].clone();
    for _ in 0..3 {
        cluster.api_server().kill();
        assert!(!cluster.api_server().is_alive());
        namespace.kubectl(&["get", "deployments", "--request-timeout=2s"]).code_is(1);
        cluster.revive_api_server();
        assert_eq!(namespace.get("deployment", "web")["metadata"]["uid"], uid);
    }
    // The others have found it again.
    namespace.kubectl(&["scale", "deployment/web", "--replicas=4"]).success();
    eventually("all four are ready", || ready_replicas(&namespace, "web") == 4);
}

#[test]
fn a_paused_api_server_answers_nobody_until_it_goes_on() {
    let cluster = cluster!(Options::new().nodes(1));
    cluster.api_server().pause();
    cluster.kubectl(&["get", "namespaces", "--request-timeout=1s"]).code_is(1);
    assert!(cluster.api_server().is_alive());
    cluster.api_server().resume();
    cluster.kubectl(&["get", "namespaces"]).success();
}

#[test]
fn a_flag_reaches_the_api_server() {
    let options = Options::new().nodes(0).api_server_flag("--enable-admission-plugins=AlwaysPullImages");
    let cluster = cluster!(options);
    let namespace = cluster.namespace("shop").create();
    namespace.kubectl(&["run", "web", "--image=shop:1", "--image-pull-policy=Never"]).success();
    assert_eq!(namespace.get("pod", "web")["spec"]["containers"][0]["imagePullPolicy"], "Always");
}

#[test]
fn a_proxy_cuts_stalls_refuses_and_delays() {
    let cluster = cluster!();
    let proxy = cluster.proxy();
    let kubeconfig = cluster.kubeconfig_through(&proxy);
    let get = |patience: &str| {
        let kubeconfig = kubeconfig.to_str().expect("a temporary directory in UTF-8");
        let patience = format!("--request-timeout={patience}");
        cluster.kubectl(&["--kubeconfig", kubeconfig, "get", "--raw", "/readyz", &patience])
    };
    get("60s").success();
    assert_eq!(proxy.connections(), 1);
    proxy.stall();
    get("1s").code_is(1);
    proxy.resume();
    get("60s").success();
    proxy.refuse();
    let before = proxy.connections();
    get("1s").code_is(1);
    assert!(proxy.connections() > before, "who is refused is counted too");
    proxy.resume();
    proxy.set_delay(Duration::from_millis(100));
    let started = Instant::now();
    get("60s").success();
    assert!(started.elapsed() > Duration::from_millis(300), "a request is more than three pieces of data");
}

#[test]
fn a_front_passes_on_what_is_asked_and_refuses_everybody_while_it_starts() {
    let cluster = cluster!();
    let front = cluster.front();
    let proxy = front.proxy();
    let kubeconfig = cluster.kubeconfig_with(cluster.access().plainly_at(proxy.address()));
    let get = |path: &str| {
        let kubeconfig = kubeconfig.to_str().expect("a temporary directory in UTF-8");
        cluster.kubectl(&["--kubeconfig", kubeconfig, "get", "--raw", path])
    };
    get("/api/v1/namespaces").success().stdout_contains("kube-system");
    front.starts();
    get("/api/v1/namespaces").code_is(1).stderr_contains("cannot get path \"/api/v1/namespaces\"");
    get("/readyz").code_is(1);
    assert_eq!(front.refused(), 1, "who asks whether it is ready is told");
    front.runs();
    get("/readyz").success();
}

#[test]
fn a_watch_that_is_cut_ends() {
    let cluster = cluster!();
    let proxy = cluster.proxy();
    let kubeconfig = cluster.kubeconfig_through(&proxy);
    let watch = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let kubeconfig = kubeconfig.to_str().expect("a temporary directory in UTF-8");
            cluster.kubectl(&["--kubeconfig", kubeconfig, "get", "nodes", "--watch-only"])
        });
        eventually("it is connected", || proxy.connections() > 0);
        while !watch.is_finished() {
            proxy.cut();
            thread::sleep(Duration::from_millis(50));
        }
        watch.join().expect("kubectl ends")
    });
    assert_eq!(watch.signal, None, "it ended by itself\n{watch}");
}

/// For a child process: where it must write the directory of its cluster.
const CHILD: &str = "GIT_DEPLOY_TEST_CHILD";

/// This test binary again, to run that test in it, with what is needed to find the programs of a cluster.
fn child(sandbox: &Sandbox, test: &str, told: &Path) -> Running {
    let binary = env::current_exe().expect("a test binary has a path");
    let mut command = sandbox.command(binary).args(["--exact", test]).env(CHILD, told);
    for name in [
        "HOME",
        "PATH",
        "XDG_CACHE_HOME",
        "GIT_DEPLOY_TEST_CACHE",
        "GIT_DEPLOY_TEST_CLUSTER",
        "KUBEBUILDER_ASSETS",
    ] {
        if let Some(value) = env::var_os(name) {
            command = command.env(name, value);
        }
    }
    command.start()
}

/// What a child does: tells where its cluster is, and waits to be killed.
fn hold_a_cluster(told: &Path) {
    let cluster = cluster!(Options::new().nodes(1));
    let _ = cluster.namespace("theirs").create();
    let unfinished = told.with_extension("new");
    fs::write(&unfinished, cluster.directory().as_os_str().as_encoded_bytes()).expect("it can be written");
    fs::rename(unfinished, told).expect("it can be renamed");
    thread::sleep(Duration::from_secs(100));
}

/// The processes that work in that directory, or name it.
fn processes_of(directory: &Path) -> Vec<String> {
    let name = directory.to_str().expect("a temporary directory in UTF-8");
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("there is /proc").filter_map(Result::ok) {
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        // As text: the kernel writes ` (deleted)` behind a directory that is gone.
        let working = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let working = working.to_string_lossy().starts_with(name);
        if working || words.contains(name) {
            found.push(words);
        }
    }
    found
}

/// How a test process comes to its end.
type End = fn(Running) -> Output;

#[test]
fn nothing_survives_a_test_process_that_is_killed() {
    if let Some(told) = env::var_os(CHILD) {
        return hold_a_cluster(Path::new(&told));
    }
    let _ = cluster!();
    if !Path::new("/proc/self/cwd").exists() {
        skip!("there is no /proc to look for processes in");
    }
    let sandbox = Sandbox::new();
    let ends: [(&str, End); 3] = [
        ("killed", |running| running.kill(Victim::Process)),
        ("killed with its group", |running| running.kill(Victim::Group)),
        ("interrupted", |mut running| {
            running.interrupt();
            running.wait()
        }),
    ];
    for (how, end) in ends {
        let told = sandbox.root().join(how);
        let mut running = child(&sandbox, "nothing_survives_a_test_process_that_is_killed", &told);
        running.wait_for_file(&told);
        let directory = PathBuf::from(fs::read_to_string(&told).unwrap());
        assert!(
            processes_of(&directory).len() >= 5,
            "a whole control plane: {:#?}",
            processes_of(&directory)
        );
        let output = end(running);
        assert!(output.signal.is_some(), "{output}");
        eventually(&format!("{how}: no process is left"), || processes_of(&directory).is_empty());
        assert!(!directory.exists(), "{how}: '{}' is left", directory.display());
    }
}

#[test]
fn two_clusters_do_not_disturb_each_other() {
    let ours = cluster!();
    let theirs = cluster!(Options::new().nodes(1));
    let namespace = theirs.namespace("theirs").create();
    assert_ne!(ours.address(), theirs.address());
    ours.kubectl(&["get", "namespace", namespace.name()]).code_is(1).stderr_contains("NotFound");
    let directory = theirs.directory().to_owned();
    drop(theirs);
    assert!(!directory.exists());
    ours.kubectl(&["get", "namespaces"]).success();
}
