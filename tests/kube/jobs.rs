//! One-time jobs: each runs once, before what needs it, and nobody goes back over what it may have changed.

use git_deploy_testkit::cluster::{AuditEvent, eventually};
use git_deploy_testkit::shop::{ClusterShop, Opening, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{self, MANIFEST, behaving, config_map, deployment, ours, yaml};

/// What the migration depends on, and nothing else.
const SCHEMA: &str = "db/schema.sql";

/// A migration whose pods behave so, and that runs again when the schema changes.
fn migration(behaviour: &str, annotations: Value) -> Value {
    let mut job = support::migration(behaviour, annotations);
    job["metadata"]["annotations"]["git-deploy/once-paths"] = json!(SCHEMA);
    job
}

/// One that succeeds.
pub(crate) fn fine() -> Value {
    migration("exits", json!({}))
}

/// One that fails.
pub(crate) fn failing() -> Value {
    migration("exits", json!({ "test.git-deploy/exit-code": "3" }))
}

/// One that finds nothing to change.
fn unchanged() -> Value {
    migration("exits", json!({ "test.git-deploy/message": "no-change" }))
}

/// One that takes so long.
fn slow(after: &str) -> Value {
    migration("exits", json!({ "test.git-deploy/after": after }))
}

/// A Deployment whose pods never come up.
fn crashing(version: &str) -> Value {
    behaving(deployment("web", version), "crash", json!({ "test.git-deploy/period": "500ms" }))
}

pub(crate) fn shop<'c>(cluster: &'c git_deploy_testkit::cluster::Cluster) -> Opening<'c> {
    in_cluster(cluster, "jobs").setting("crash-grace = \"1s\"")
}

/// A deployable branch with that schema and these objects.
pub(crate) fn release(shop: &ClusterShop<'_>, name: &str, schema: &str, objects: &[Value]) {
    shop.release(name, &[(SCHEMA, schema), (MANIFEST, &yaml(objects))]);
}

/// The good release stands, without any job.
pub(crate) fn open(shop: &ClusterShop<'_>) {
    release(shop, "good", "0\n", &[config_map("colours", "1"), deployment("web", "1")]);
    shop.deploy(&[]).success();
}

/// The jobs that are there.
pub(crate) fn jobs(shop: &ClusterShop<'_>) -> Vec<Value> {
    shop.namespace.list("jobs")
}

/// The only job that is there.
#[track_caller]
pub(crate) fn job(shop: &ClusterShop<'_>) -> Value {
    let mut jobs = jobs(shop);
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    jobs.remove(0)
}

pub(crate) fn name(job: &Value) -> String {
    job["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// What the set's parent says of that job.
pub(crate) fn recorded(shop: &ClusterShop<'_>, job: &Value) -> String {
    let said = &shop.parent()["data"][format!("job.{}", name(job))];
    said.as_str().unwrap_or_default().to_owned()
}

/// Whether the tool under test holds it.
pub(crate) fn is_held(job: &Value) -> bool {
    let finalizers = job["metadata"]["finalizers"].as_array();
    finalizers.into_iter().flatten().any(|one| one == "git-deploy/one-time")
}

fn has_ended(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    let is_end = |kind: &Value| kind == "Complete" || kind == "Failed";
    conditions.into_iter().flatten().any(|one| is_end(&one["type"]) && one["status"] == "True")
}

/// How often the tool under test made a job.
fn created(shop: &ClusterShop<'_>) -> usize {
    let events = shop.namespace.audit();
    ours(&events).iter().filter(|event| event.resource == "jobs" && event.verb == "create").count()
}

/// The branch, which was staged, is tried once more.
pub(crate) fn again(shop: &ClusterShop<'_>, branch: &str, arguments: &[&str]) -> Output {
    shop.repo.deploy("deploy-state", &["set", "deployable", branch]);
    shop.deploy(arguments)
}

#[test]
fn a_job_runs_once_before_the_workloads_and_again_when_its_paths_change() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    release(&shop, "one", "1\n", &[fine(), deployment("web", "1")]);
    let output = shop.deploy(&[]);
    // A node that gives no logs is no news.
    output.success().lacks("warning:").lacks("Log");
    let first = job(&shop);
    assert_eq!(recorded(&shop, &first), "succeeded forward-only deployment-0001");
    assert!(!is_held(&first), "{first:#}");
    let events = shop.namespace.audit();
    let is_complete = |event: &&AuditEvent| {
        event.resource == "jobs/status" && event.code == 200 && event.object.as_ref().is_some_and(has_ended)
    };
    let completed = &events.iter().find(is_complete).expect("it completed").received;
    let all = ours(&events);
    let web = all.iter().find(|event| event.resource == "deployments").expect("it was applied");
    assert!(web.received > *completed, "the workload came at {}, before {completed}", web.received);
    // Whatever it says itself: its paths are the same.
    release(&shop, "two", "1\n", &[slow("1ms"), deployment("web", "2")]);
    shop.deploy(&[]).success();
    assert_eq!(created(&shop), 1);
    assert_eq!(job(&shop)["metadata"]["uid"], first["metadata"]["uid"]);
    release(&shop, "three", "2\n", &[fine(), deployment("web", "3")]);
    shop.deploy(&[]).success();
    assert_eq!(created(&shop), 2);
    assert_eq!(jobs(&shop).len(), 2, "what has run stays to be looked at");
    shop.is_sound();
}

#[test]
fn a_job_that_fails_fails_the_deployment_and_runs_again_only_when_asked_for() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    let before = shop.standing();
    release(&shop, "next", "1\n", &[failing(), config_map("colours", "2"), deployment("web", "2")]);
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains("deployment-0002: Failed Deployment").stdout_contains("3");
    output.stderr_contains("has run: what it has changed itself stays").stderr_contains("Restoring");
    assert_eq!(shop.standing(), before, "the pods of before keep the configuration that they know");
    assert_eq!((shop.state("next"), shop.phase()), ("staged".to_owned(), "done".to_owned()));
    let first = job(&shop);
    assert_eq!(recorded(&shop, &first), "failed forward-only deployment-0002");
    let hint = format!("git deploy --retry-job={}", name(&first));
    again(&shop, "next", &["next"])
        .code_is(1)
        .stdout_contains("failed in deployment-0002")
        .stderr_contains(&hint);
    assert_eq!(created(&shop), 1);
    // The same schema, and what was wrong with the job is mended.
    release(&shop, "mended", "1\n", &[fine(), deployment("web", "3")]);
    shop.deploy(&["mended", &format!("--retry-job={}", name(&first))]).success();
    assert_eq!(created(&shop), 2);
    assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0004");
    shop.is_sound();
}

#[test]
fn a_job_that_is_run_again_does_not_vouch_for_the_try_before_it() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    release(&shop, "next", "1\n", &[failing(), deployment("web", "2")]);
    shop.deploy(&[]).code_is(1).stderr_contains("Restoring");
    let first = job(&shop);
    assert_eq!(recorded(&shop, &first), "failed forward-only deployment-0002");
    let retry = format!("--retry-job={}", name(&first));
    // The first one may have changed all that there was to change, and crashed then.
    release(&shop, "worse", "1\n", &[migration("waiting", json!({})), deployment("web", "3")]);
    let output = shop.deploy(&["worse", &retry]);
    output.code_is(1).stderr_contains("has not begun and is suspended");
    output.stderr_contains("has run: what it has changed itself stays").stderr_contains("Restoring");
    assert_eq!(recorded(&shop, &job(&shop)), "failed forward-only deployment-0003");
    release(&shop, "mended", "1\n", &[unchanged(), config_map("colours", "4"), crashing("4")]);
    let output = shop.deploy(&["mended", &retry]);
    output
        .code_is(1)
        .stdout_contains("/web' failed")
        .stderr_contains("only forward is safe")
        .lacks("Restoring");
    assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0004");
    assert_eq!(shop.state("mended"), "staged");
    shop.is_sound();
}

#[test]
fn a_failure_after_a_job_that_was_run_again_goes_back_as_any_other() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    let before = shop.standing();
    release(&shop, "next", "1\n", &[migration("waiting", json!({})), deployment("web", "2")]);
    shop.deploy(&[]).code_is(1).stderr_contains("has not begun and is suspended");
    let never = job(&shop);
    release(&shop, "mended", "1\n", &[unchanged(), config_map("colours", "3"), crashing("3")]);
    let output = shop.deploy(&["mended", &format!("--retry-job={}", name(&never))]);
    output.code_is(1).stdout_contains("/web' failed").lacks("going back failed");
    output.stderr_contains("Restoring what deployment-0001 had applied");
    assert_eq!(shop.standing(), before);
    assert_eq!(shop.state("mended"), "staged");
    assert_eq!(recorded(&shop, &job(&shop)), "succeeded rollback-safe deployment-0003");
    // Forward, a name that is none is told as such.
    release(&shop, "other", "1\n", &[fine(), deployment("web", "4")]);
    shop.deploy(&["other", "--retry-job=vacuum"]).stderr_contains("there is no one-time job 'vacuum'");
    shop.is_sound();
}

#[test]
fn after_a_job_neither_a_failure_nor_a_rollback_goes_back() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    release(&shop, "next", "1\n", &[fine(), config_map("colours", "2"), crashing("2")]);
    let output = shop.deploy(&[]);
    output.code_is(1).stderr_contains("only forward is safe").lacks("Restoring");
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "2");
    release(&shop, "mended", "1\n", &[fine(), config_map("colours", "3"), deployment("web", "3")]);
    shop.deploy(&["mended"]).success();
    let output = shop.deploy(&["--rollback=deployment-0001"]);
    output.stderr_contains("one-time job").stderr_contains("only forward is safe");
    assert_ne!(output.code, Some(0));
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "3");
    shop.is_sound();
}

#[test]
fn after_a_job_that_says_so_going_back_is_safe() {
    let cluster = cluster!();
    let mut safe = fine();
    safe["metadata"]["annotations"]["git-deploy/rollback"] = json!("safe");
    for job in [safe, unchanged()] {
        let shop = shop(cluster).with_remote(&sandbox!());
        open(&shop);
        let before = shop.standing();
        release(&shop, "next", "1\n", &[job.clone(), config_map("colours", "2"), crashing("2")]);
        shop.deploy(&[]).code_is(1).stderr_contains("Restoring what deployment-0001 had applied");
        assert_eq!(shop.standing(), before);
        release(&shop, "mended", "1\n", &[job, config_map("colours", "3"), deployment("web", "3")]);
        shop.deploy(&[]).success();
        assert_eq!(created(&shop), 1);
        shop.deploy(&["--rollback=deployment-0001"]).success();
        assert_eq!(shop.standing(), before);
        shop.is_sound();
    }
}

#[test]
fn a_job_that_still_runs_is_waited_for_and_no_second_one_runs_beside_it() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    shop.set_timeout("4s");
    release(&shop, "next", "1\n", &[slow("25s"), deployment("web", "2")]);
    shop.deploy(&[]).code_is(70);
    let running = job(&shop);
    assert!(!has_ended(&running), "{running:#}");
    shop.set_timeout("10m");
    let retry = format!("--retry-job={}", name(&running));
    again(&shop, "next", &["next", &retry]).success();
    let ended = job(&shop);
    assert_eq!(ended["metadata"]["uid"], running["metadata"]["uid"]);
    assert_eq!(created(&shop), 1);
    assert_eq!(recorded(&shop, &ended), "succeeded forward-only deployment-0003");
    assert!(!is_held(&ended), "{ended:#}");
    shop.is_sound();
}

/// The rights of somebody who may do all that it takes, and may not look at pods.
const BLIND: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: blind }
rules:
- apiGroups: [batch, apps, coordination.k8s.io]
  resources: ['*']
  verbs: ['*']
- apiGroups: ['']
  resources: [configmaps]
  verbs: ['*']
";

#[test]
fn a_job_whose_pods_may_not_be_looked_at_is_recorded_and_only_forward_is_safe() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    shop.namespace.apply(BLIND);
    shop.namespace.kubectl(&["create", "rolebinding", "blind", "--role=blind", "--user=alice"]).success();
    let kubeconfig = cluster.kubeconfig_for("alice");
    let path = kubeconfig.to_str().expect("a temporary directory in UTF-8");
    eventually("the binding has taken effect", || {
        shop.namespace.kubectl(&["--kubeconfig", path, "get", "jobs"]).code == Some(0)
    });
    release(&shop, "next", "1\n", &[unchanged(), deployment("web", "2")]);
    shop.repo.command("git-deploy").env("KUBECONFIG", &kubeconfig).output().success();
    let ended = job(&shop);
    assert_eq!(recorded(&shop, &ended), "succeeded forward-only deployment-0002");
    assert!(!is_held(&ended), "{ended:#}");
    shop.deploy(&["--rollback=deployment-0001"]).stderr_contains("only forward is safe");
    shop.is_sound();
}

/// A policy for what is created and changed in the namespace.
fn policy(namespace: &str, group: &str, resource: &str, expression: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{ name: {namespace} }}
spec:
  matchConstraints:
    resourceRules:
    - {{ apiGroups: ['{group}'], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [{resource}] }}
    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {namespace} }} }}
  validations:
  - expression: \"{expression}\"
    message: nothing is started here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{ name: {namespace} }}
spec: {{ policyName: {namespace}, validationActions: [Deny] }}
"
    )
}

/// A policy by which nothing can be recorded as started.
pub(crate) struct Forgetful(String);

impl Forgetful {
    const EXPRESSION: &str =
        "!has(object.data) || !object.data.exists(key, object.data[key].startsWith('started'))";
    const PROBE: [&str; 7] =
        ["create", "configmap", "probe", "--from-literal=job=started", "--dry-run=server", "-o", "name"];

    pub(crate) fn around(shop: &ClusterShop<'_>) -> Self {
        let namespace = shop.namespace.to_string();
        shop.namespace.apply(&policy(&namespace, "", "configmaps", Self::EXPRESSION));
        eventually("the policy is in effect", || shop.namespace.kubectl(&Self::PROBE).code != Some(0));
        Self(namespace)
    }

    pub(crate) fn take_away(self, shop: &ClusterShop<'_>) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            shop.namespace.kubectl(&["delete", kind, &self.0]).success();
        }
        eventually("the policy is gone", || shop.namespace.kubectl(&Self::PROBE).code == Some(0));
    }
}

/// What is created can be tried, and no more.
const ONLY_TRIED: &str = "request.operation != 'CREATE' || (has(request.dryRun) && request.dryRun)";

#[test]
fn a_job_that_is_refused_when_it_is_started_leaves_the_way_back_open() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    let before = shop.standing();
    shop.namespace.apply(&policy(shop.namespace.name(), "batch", "jobs", ONLY_TRIED));
    let probe = ["create", "job", "probe", "--image=example.org/probe:1"];
    let remove = ["delete", "job", "probe", "--ignore-not-found"];
    eventually("the policy is in effect", || {
        shop.namespace.kubectl(&remove).success();
        shop.namespace.kubectl(&probe).code != Some(0)
    });
    release(&shop, "next", "1\n", &[fine(), config_map("colours", "2"), deployment("web", "2")]);
    let output = shop.deploy(&[]);
    output.stdout_contains("nothing is started here").stderr_contains("Restoring");
    assert_eq!(shop.standing(), before);
    assert_eq!(jobs(&shop), Vec::<Value>::new());
    shop.is_sound();
}

#[test]
fn a_job_whose_start_could_not_be_recorded_keeps_the_way_back_closed() {
    let cluster = cluster!();
    for is_there in [true, false] {
        let shop = shop(cluster).with_remote(&sandbox!());
        open(&shop);
        let forgetful = Forgetful::around(&shop);
        release(&shop, "next", "1\n", &[fine(), config_map("colours", "2"), deployment("web", "2")]);
        let output = shop.deploy(&[]);
        output.code_is(75).stderr_contains("only forward is safe").lacks("Restoring");
        let started = job(&shop);
        assert_eq!(recorded(&shop, &started), "starting forward-only deployment-0002");
        forgetful.take_away(&shop);
        if !is_there {
            let name = name(&started);
            let none = r#"{"metadata":{"finalizers":null}}"#;
            shop.namespace.kubectl(&["patch", "job", &name, "--type=merge", "-p", none]).success();
            shop.namespace.kubectl(&["delete", "job", &name]).success();
        }
        shop.deploy(&["next"]).success();
        assert_eq!(created(&shop), if is_there { 1 } else { 2 });
        assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0003");
        shop.is_sound();
    }
}

#[test]
fn a_job_that_never_began_does_not_run_when_nobody_looks_any_more() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    let before = shop.standing();
    release(&shop, "next", "1\n", &[migration("waiting", json!({})), deployment("web", "2")]);
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains("ImagePullBackOff").stderr_contains("Restoring");
    assert_eq!(shop.standing(), before, "nothing ran, so that going back is safe");
    assert_eq!(shop.state("next"), "staged");
    let never = job(&shop);
    assert_eq!(never["spec"]["suspend"], true, "{never:#}");
    assert_eq!(never["spec"]["parallelism"], 0, "whoever lets it go on starts nothing: {never:#}");
    assert_eq!(recorded(&shop, &never), "failed rollback-safe deployment-0002");
    assert!(!is_held(&never), "{never:#}");
    release(&shop, "mended", "1\n", &[fine(), deployment("web", "3")]);
    shop.deploy(&["mended", &format!("--retry-job={}", name(&never))]).success();
    assert_eq!(created(&shop), 2);
    assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0003");
    shop.is_sound();
}

#[test]
fn a_job_that_a_run_held_that_died_is_let_go_by_the_next() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    release(&shop, "one", "1\n", &[fine(), deployment("web", "1")]);
    shop.deploy(&[]).success();
    // As a run leaves it that dies after it has recorded how the job ended.
    let held = r#"{"metadata":{"finalizers":["git-deploy/one-time"]}}"#;
    shop.namespace.kubectl(&["patch", "job", &name(&job(&shop)), "--type=merge", "-p", held]).success();
    assert!(is_held(&job(&shop)));
    release(&shop, "two", "1\n", &[fine(), deployment("web", "2")]);
    shop.deploy(&[]).success();
    assert!(!is_held(&job(&shop)));
    assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0001");
    shop.is_sound();
}

#[test]
fn a_job_in_another_namespace_is_recorded_and_let_go_whenever_it_ends() {
    let cluster = cluster!();
    let (own, other) = (cluster.namespace("jobs").create(), cluster.namespace("other").create());
    let allowed = format!("allow-namespaces = [\"{own}\", \"{other}\"]");
    let shop = shop(cluster).into_namespace(own).setting(&allowed);
    let shop = shop.with_remote(&sandbox!());
    open(&shop);
    shop.set_timeout("4s");
    let mut migration = slow("40s");
    migration["metadata"]["namespace"] = json!(other.name());
    release(&shop, "next", "1\n", &[migration, deployment("web", "2")]);
    shop.deploy(&[]).code_is(70);
    let job = || other.list("jobs").remove(0);
    assert_eq!(recorded(&shop, &job()), "started forward-only deployment-0002");
    shop.set_timeout("10m");
    let good = |version| [config_map("colours", version), deployment("web", "1")];
    // Nothing of the set is there any more but the job, which still runs.
    release(&shop, "more", "0\n", &good("2"));
    shop.deploy(&["more"]).success();
    assert!(is_held(&job()) && !has_ended(&job()), "{:#}", job());
    eventually("it has ended", || has_ended(&job()));
    release(&shop, "most", "0\n", &good("3"));
    shop.deploy(&["most"]).success();
    assert_eq!(recorded(&shop, &job()), "succeeded forward-only deployment-0002");
    assert!(!is_held(&job()), "{:#}", job());
    shop.is_sound();
}

#[test]
fn a_job_that_ends_when_its_branch_is_given_up_is_recorded_by_whoever_deploys_next() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    shop.set_timeout("4s");
    release(&shop, "next", "1\n", &[slow("20s"), deployment("web", "2")]);
    shop.deploy(&[]).code_is(70);
    assert_eq!(recorded(&shop, &job(&shop)), "started forward-only deployment-0002");
    shop.set_timeout("10m");
    eventually("it has ended", || has_ended(&job(&shop)));
    release(&shop, "other", "0\n", &[config_map("colours", "2"), deployment("web", "1")]);
    shop.deploy(&["other"]).success();
    let ended = job(&shop);
    assert_eq!(recorded(&shop, &ended), "succeeded forward-only deployment-0002");
    assert!(!is_held(&ended), "{ended:#}");
    shop.is_sound();
}
