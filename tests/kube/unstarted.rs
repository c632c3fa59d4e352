//! One-time jobs of runs that died when they were about to start them.

use std::net::TcpListener;

use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::manifests::webhook;
use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{Victim, cluster, sandbox};
use serde_json::{Value, json};

use crate::jobs::{Forgetful, again, failing, fine, is_held, job, jobs, name, open, recorded, release, shop};
use crate::support::{config_map, deployment};

/// A webhook that is asked about each new job, and does not answer for a long time.
struct Silent {
    /// Where it listens, for as long as this lives.
    _listener: TcpListener,
    name: String,
}

impl Silent {
    fn in_front_of(shop: &ClusterShop<'_>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let name = shop.namespace.to_string();
        let hook = webhook(&name, "batch", "jobs").replace("127.0.0.1:1/", &format!("{address}/"))
            + "  timeoutSeconds: 30\n  matchConditions: [{ name: real, expression: '!has(request.dryRun) || !request.dryRun' }]\n";
        shop.namespace.apply(&hook);
        let probe = ["create", "job", "probe", "--image=example.org/probe:1", "--request-timeout=1s"];
        eventually("it is asked", || {
            shop.namespace.kubectl(&["delete", "job", "probe", "--ignore-not-found"]).success();
            shop.namespace.kubectl(&probe).code != Some(0)
        });
        Self { _listener: listener, name }
    }

    fn take_away(self, shop: &ClusterShop<'_>) {
        shop.namespace.kubectl(&["delete", "validatingwebhookconfiguration", &self.name]).success();
        eventually("it is asked no more", || {
            let probe = ["create", "job", "probe", "--image=example.org/probe:1", "--request-timeout=1s"];
            shop.namespace.kubectl(&probe).code == Some(0)
        });
        shop.namespace.kubectl(&["delete", "job", "probe"]).success();
    }
}

/// The good release stands, and a run of the next one dies when it has said that it starts a job, which never comes through.
fn dies_before_the_job(shop: &ClusterShop<'_>) {
    open(shop);
    let mut migration = fine();
    // As others mark what they are to do something with.
    migration["metadata"]["labels"] = json!({ "kueue.x-k8s.io/queue-name": "migrations" });
    migration["metadata"]["annotations"]["example.org/notify"] = json!("ada");
    release(shop, "next", "1\n", &[migration, config_map("colours", "2"), deployment("web", "2")]);
    let silent = Silent::in_front_of(shop);
    let running = shop.start();
    eventually("it is about to start the job", || {
        said_of_jobs(shop) == ["starting forward-only deployment-0002"]
    });
    running.kill(Victim::Process).was_killed();
    silent.take_away(shop);
    assert_eq!(jobs(shop), Vec::<Value>::new());
}

/// All that the set's parent says of jobs.
fn said_of_jobs(shop: &ClusterShop<'_>) -> Vec<String> {
    let parent = shop.parent();
    let said = parent["data"].as_object().into_iter().flatten();
    said.map(|(_, said)| said.as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_job_that_was_never_started_does_not_close_the_way_back_and_can_still_be_started() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    dies_before_the_job(&shop);
    let output = shop.deploy(&["--abort"]);
    output.code_is(1).stderr_contains("of deployment-0002 was never started, and will not be");
    output.stderr_contains("Restoring what deployment-0001 had applied");
    assert_eq!(said_of_jobs(&shop), ["starting rollback-safe deployment-0002"]);
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "1");
    let barred = job(&shop);
    assert!(!is_held(&barred), "{barred:#}");
    // It takes the place of what has kept its name.
    again(&shop, "next", &["next"]).success();
    let ran = job(&shop);
    assert_eq!(name(&ran), name(&barred));
    assert_ne!(ran["metadata"]["uid"], barred["metadata"]["uid"]);
    assert_eq!(recorded(&shop, &ran), "succeeded forward-only deployment-0003");
    shop.is_sound();
}

#[test]
fn whether_a_job_was_started_is_found_out_by_whoever_deploys_next() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    dies_before_the_job(&shop);
    // Given up while the cluster is away: nobody can look.
    let away = cluster.kubeconfig_with(cluster.access().at("127.0.0.1:1"));
    shop.command(&["--abort"]).env("KUBECONFIG", away).output().code_is(1);
    let output = shop.deploy(&["--rollback=deployment-0001"]);
    output
        .stderr_contains("nobody knows whether one-time job 'migrate-")
        .stderr_contains("only forward is safe");
    assert_ne!(output.code, Some(0));
    release(&shop, "other", "0\n", &[config_map("colours", "3"), deployment("web", "3")]);
    shop.deploy(&["other"]).success().stderr_contains("was never started, and will not be");
    shop.deploy(&["--rollback=deployment-0001"]).success();
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "1");
    shop.is_sound();
}

#[test]
fn what_keeps_the_name_of_a_job_runs_nothing_whoever_starts_it_and_goes_by_itself() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    dies_before_the_job(&shop);
    shop.deploy(&["--abort"]).code_is(1).stderr_contains("was never started, and will not be");
    let barred = job(&shop);
    let metadata = &barred["metadata"];
    assert_eq!(metadata["finalizers"], Value::Null, "{barred:#}");
    assert_eq!(metadata["labels"]["kueue.x-k8s.io/queue-name"], Value::Null, "{barred:#}");
    let annotations = metadata["annotations"].as_object().expect("its marks");
    assert!(annotations.keys().all(|name| !name.contains("example.org")), "{barred:#}");
    let [parallelism, completions] = ["parallelism", "completions"].map(|field| &barred["spec"][field]);
    assert_eq!((parallelism, completions), (&json!(0), &json!(0)), "{barred:#}");

    let patch =
        |spec: &str| shop.namespace.kubectl(&["patch", "job", &name(&barred), "--type=merge", "-p", spec]);
    eventually("nothing is left to be done for it", || {
        let conditions = job(&shop)["status"]["conditions"].clone();
        conditions.as_array().is_some_and(|all| all.iter().any(|one| one["type"] == "Complete"))
    });
    patch(r#"{"spec":{"suspend":false,"parallelism":1}}"#).success();
    assert_ne!(patch(r#"{"spec":{"completions":1}}"#).code, Some(0));
    patch(r#"{"spec":{"ttlSecondsAfterFinished":1}}"#).success();
    eventually("its time is over", || jobs(&shop).is_empty());
    assert_eq!(pods_made(&shop, &barred), 0);

    again(&shop, "next", &["next"]).success();
    assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0003");
    eventually("the pod of the job itself is told of", || pods_made(&shop, &barred) == 1);
    shop.is_sound();
}

/// How many pods were made for jobs of that name, as the controller tells.
fn pods_made(shop: &ClusterShop<'_>, job: &Value) -> usize {
    let is_one = |event: &&Value| {
        let about = &event["involvedObject"];
        about["kind"] == "Job" && about["name"] == name(job) && event["reason"] == "SuccessfulCreate"
    };
    shop.namespace.list("events").iter().filter(is_one).count()
}

/// A run that makes a job anew dies when the old one is deleted and there is no new one yet.
fn dies_between_two_jobs(shop: &ClusterShop<'_>, branch: &str, old: &Value) {
    let finalizers = |value: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{value}}}}}"#);
        shop.namespace.kubectl(&["patch", "job", &name(old), "--type=merge", "-p", &patch]).success();
    };
    finalizers(r#"["example.org/hold"]"#);
    let running = shop.command(&[branch, &format!("--retry-job={}", name(old))]).start();
    eventually("the old one is deleted", || !job(shop)["metadata"]["deletionTimestamp"].is_null());
    running.kill(Victim::Process).was_killed();
    finalizers("null");
    eventually("it is gone", || jobs(shop).is_empty());
}

#[test]
fn a_job_that_ran_and_was_to_run_again_keeps_the_way_back_closed() {
    let cluster = cluster!();
    for is_known in [true, false] {
        let shop = shop(cluster).with_remote(&sandbox!());
        open(&shop);
        release(&shop, "next", "1\n", &[failing(), config_map("colours", "2"), deployment("web", "2")]);
        if is_known {
            shop.deploy(&[]).code_is(1);
        } else {
            let forgetful = Forgetful::around(&shop);
            shop.deploy(&[]).code_is(75);
            forgetful.take_away(&shop);
        }
        let old = job(&shop);
        let said = if is_known { "failed" } else { "starting" };
        assert_eq!(recorded(&shop, &old), format!("{said} forward-only deployment-0002"));
        eventually("it has failed", || job(&shop)["status"]["failed"] == 1);
        release(&shop, "mended", "1\n", &[fine(), config_map("colours", "3"), deployment("web", "3")]);
        dies_between_two_jobs(&shop, "mended", &old);
        assert_eq!(recorded(&shop, &old), "started forward-only deployment-0003");

        let output = shop.deploy(&["--abort"]);
        output.code_is(1).lacks("was never started").lacks("Restoring");
        output.stderr_contains("only forward is safe");
        assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "3");
        let retry = format!("--retry-job={}", name(&old));
        again(&shop, "mended", &["mended"])
            .stderr_contains("is gone, and nobody knows how it ended")
            .stderr_contains(&format!("git deploy {retry}"));
        again(&shop, "mended", &["mended", &retry]).success();
        assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0004");
        shop.is_sound();
    }
}

/// The job of a branch, which has failed; the good release stands.
fn failed_once(shop: &ClusterShop<'_>) -> Value {
    open(shop);
    release(shop, "next", "1\n", &[failing(), deployment("web", "2")]);
    shop.deploy(&[]).code_is(1);
    job(shop)
}

#[test]
fn a_job_that_was_made_anew_runs_once_more_in_all_however_often_its_deployment_goes_on() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    let old = failed_once(&shop);
    let retry = format!("--retry-job={}", name(&old));
    release(&shop, "again", "1\n", &[failing(), deployment("web", "3")]);
    let running = shop.command(&["again", &retry]).start();
    let is_new = |job: &Value| job["metadata"]["uid"] != old["metadata"]["uid"];
    eventually("there is another", || jobs(&shop).iter().any(is_new));
    running.kill(Victim::Process).was_killed();
    eventually("it has failed, too", || job(&shop)["status"]["failed"] == 1);
    let new = job(&shop);
    shop.deploy(&["--continue", &retry]).code_is(1).stdout_contains("Failed Deployment").lacks("Created");
    assert_eq!(job(&shop)["metadata"]["uid"], new["metadata"]["uid"]);
    assert_eq!(recorded(&shop, &new), "failed forward-only deployment-0003");
    shop.is_sound();
}

#[test]
fn a_job_that_is_to_run_again_does_so_where_its_deployment_goes_on_after_the_old_one_is_gone() {
    let cluster = cluster!();
    // Nobody has to say again what whoever began it has said, be it a person or the next run of the queue.
    for arguments in [&["--continue"][..], &[]] {
        let shop = shop(cluster).with_remote(&sandbox!());
        let old = failed_once(&shop);
        release(&shop, "mended", "1\n", &[fine(), deployment("web", "3")]);
        dies_between_two_jobs(&shop, "mended", &old);
        let dry_run = shop.deploy(&["-n", "mended"]);
        dry_run.success().stdout_contains(&name(&old));
        shop.deploy(arguments).success();
        assert_eq!(recorded(&shop, &job(&shop)), "succeeded forward-only deployment-0003");
        shop.is_sound();
    }
}

#[test]
fn a_first_job_that_is_said_to_run_again_runs_once_however_often_its_deployment_goes_on() {
    let cluster = cluster!();
    let shop = shop(cluster).with_remote(&sandbox!());
    open(&shop);
    release(&shop, "next", "1\n", &[failing(), deployment("web", "2")]);
    let running = shop.command(&["next", "--retry-job=migrate"]).start();
    eventually("there is one", || !jobs(&shop).is_empty());
    running.kill(Victim::Process).was_killed();
    eventually("it has failed", || job(&shop)["status"]["failed"] == 1);
    let only = job(&shop);
    shop.deploy(&["--continue"]).code_is(1).stdout_contains("Failed Deployment");
    assert_eq!(job(&shop)["metadata"]["uid"], only["metadata"]["uid"]);
    shop.is_sound();
}
