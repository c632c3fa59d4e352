//! Looking at a real cluster, and going back there: `git deploy-diff`, `git deploy-status`, `git deploy --rollback`.

use std::time::Duration;

use git_deploy_testkit::cluster::{Cluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, Victim, cluster, sandbox};

/// A shop whose objects have a value that the scenarios change.
fn web(colour: &str, replicas: u32) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: colours}}\ndata: {{colour: {colour}}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      \
         containers: [{{name: web, image: \"registry.example.org/web:1\"}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
    )
}

const FILE: &str = "deploy/web.yaml";

fn open(cluster: &Cluster) -> ClusterShop<'_> {
    let shop = in_cluster(cluster, "look").with_remote(&sandbox!());
    shop.release("one", &[(FILE, &web("red", 2))]);
    shop.deploy(&[]).success();
    shop
}

fn diff(shop: &ClusterShop<'_>, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-diff", arguments)
}

fn status(shop: &ClusterShop<'_>, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-status", arguments)
}

/// How often git-deploy has changed something in the namespace.
fn changes(shop: &ClusterShop<'_>) -> usize {
    shop.namespace.audit().iter().filter(|event| event.is_ours() && event.is_change()).count()
}

#[test]
fn a_diff_shows_what_a_deployment_would_change_and_changes_nothing() {
    let shop = open(cluster!());
    let name = shop.namespace.name().to_owned();
    diff(&shop, &["one"])
        .success()
        .stdout_is("")
        .stderr_contains("0 created, 0 changed, 0 deleted, 3 unchanged");
    let before = (changes(&shop), shop.authority().refs());
    let more = format!(
        "{}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: more}}\ndata: {{a: b}}\n",
        web("blue", 3)
    );
    shop.branch("more", FILE, &more);
    let output = diff(&shop, &["more"]);
    output.code_is(1).stdout_contains(&format!("create ConfigMap '{name}/more'\n--- /dev/null\n"));
    output
        .stdout_contains(&format!("change Deployment '{name}/web'\n"))
        .stdout_contains("-  replicas: 2\n+  replicas: 3\n");
    output.stdout_contains("-  colour: red\n+  colour: blue\n").lacks("managedFields").lacks("Service");
    output.stderr_contains("1 created, 2 changed, 0 deleted, 1 unchanged");
    shop.branch("less", FILE, web("red", 2).rsplit_once("---\n").map_or("", |(rest, _)| rest));
    let output = diff(&shop, &["--porcelain", "less"]);
    output.code_is(1).stdout_contains(&format!("delete Service/{name}/web validated\n"));
    assert_eq!(
        (changes(&shop), shop.authority().refs().len()),
        (before.0, before.1.len() + 2),
        "two branches are new"
    );
    // And what it showed is what comes.
    shop.repo.deploy("deploy-state", &["set", "deployable", "more"]);
    shop.deploy(&["--dry-run", "-v"]).success().stdout_contains("+  colour: blue\n");
    shop.deploy(&[]).success();
    diff(&shop, &["more"]).success();
}

#[test]
fn what_cannot_be_tried_yet_is_shown_as_unvalidated() {
    let shop = in_cluster(cluster!(), "look").with_remote(&sandbox!());
    shop.branch("one", FILE, &web("red", 2));
    let output = diff(&shop, &["--porcelain", "one"]);
    let name = shop.namespace.name();
    output.code_is(1).stdout_contains(&format!("create Deployment/{name}/web unvalidated\n"));
    diff(&shop, &["one"])
        .code_is(1)
        .stdout_contains(&format!("create Deployment '{name}/web' (unvalidated)\n"));
}

#[test]
fn values_of_secrets_are_masked_wherever_they_are_shown() {
    let shop = open(cluster!());
    let secret = |value: &str| {
        format!(
            "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\nstringData: {{key: {value}}}\n",
            web("red", 2)
        )
    };
    shop.release("two", &[(FILE, &secret("hush"))]);
    diff(&shop, &["two"]).code_is(1).stdout_contains("Secret").lacks("hush").lacks("aHVzaA");
    shop.deploy(&[]).success();
    shop.branch("three", FILE, &secret("quiet"));
    let output = diff(&shop, &["three"]);
    output.code_is(1).stdout_contains("*** (before)").stdout_contains("*** (after)");
    output.lacks("hush").lacks("quiet").lacks("aHVzaA").lacks("cXVpZXQ");
    status(&shop, &[]).success().lacks("Secret");
}

#[test]
fn a_status_tells_what_runs_and_what_was_changed_by_hand() {
    let shop = open(cluster!());
    let name = shop.namespace.name().to_owned();
    let before = changes(&shop);
    let output = status(&shop, &[]);
    output.success().stdout_contains("production: well, deployment-0001 of 'one'");
    output.stdout_contains(&format!("  Deployment '{name}/web'  2/2\n")).stdout_contains("queue: empty\n");
    let output = status(&shop, &["--porcelain"]);
    output.success().stdout_contains(&format!("workload production Deployment/{name}/web 2 2 -\n"));
    shop.namespace.kubectl(&["scale", "deployment/web", "--replicas=3"]).success();
    shop.namespace.kubectl(&["delete", "service", "web"]).success();
    shop.namespace.kubectl(&["rollout", "status", "deployment/web"]).success();
    let output = status(&shop, &["-v"]);
    output
        .code_is(1)
        .stdout_contains("production: drifted")
        .stdout_contains(&format!("  changed by hand (kubectl): Deployment '{name}/web'\n"))
        .stdout_contains("-  replicas: 3\n+  replicas: 2\n");
    let output = status(&shop, &["--porcelain"]);
    output.code_is(1).stdout_contains(&format!("drift production changed Deployment/{name}/web kubectl\n"));
    output.stdout_contains(&format!("drift production missing Service/{name}/web -\n")).lacks("ConfigMap");
    assert_eq!(changes(&shop), before, "looking changes nothing");
    // As the hint says.
    output.lacks("warning");
    let output = status(&shop, &[]);
    let undo = ["--env=production", "--rollback=deployment-0001", "--force-conflicts"];
    output.code_is(1).stderr_contains(&format!("git deploy {}", undo.join(" ")));
    shop.deploy(&undo).success();
    status(&shop, &[])
        .success()
        .stdout_contains("production: well, deployment-0002, back to deployment-0001");
}

#[test]
fn pods_that_are_not_ready_are_counted() {
    let shop = open(cluster!());
    // The release is good, and breaks afterwards.
    let patch = r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},
        "template":{"metadata":{"labels":{"test.git-deploy/pod":"unready"}}}}}"#;
    shop.namespace.kubectl(&["patch", "deployment", "web", "-p", patch]).success();
    eventually("the Deployment has lost pods", || {
        shop.namespace.get("deployment", "web")["status"]["readyReplicas"].as_i64().unwrap_or(0) < 2
    });
    let output = status(&shop, &[]);
    output.code_is(1).stdout_contains("production: not ready").stdout_contains("/2");
}

#[test]
fn who_deploys_just_now_is_told_with_how_far_that_is() {
    let shop = open(cluster!());
    let slow = web("blue", 2).replacen(
        "metadata: {labels: {app: web}}",
        "metadata: {labels: {app: web, test.git-deploy/pod: unready}}",
        1,
    );
    shop.release("slow", &[(FILE, &slow)]);
    let running = shop.repo.command("git-deploy").start();
    eventually("the deployment applies", || shop.phase() == "applying");
    shop.repo.deploy("deploy-sync", &[]);
    let output = status(&shop, &[]);
    output.success().stdout_contains("production: deploying, deployment-0001 of 'one'");
    output
        .stdout_contains("deployment-0002 of 'slow' is applying, begun ")
        .stdout_contains("by Ada Lovelace")
        .lacks("by hand");
    let output = status(&shop, &["--porcelain"]);
    output
        .success()
        .stdout_contains("\ndeploying production deployment-0002 applying 20")
        .stdout_contains("\nholder production deployment-0002 ");
    diff(&shop, &["one"]).stderr_contains("deploys there just now");
    // Killed, it lies there, and everybody can see that.
    running.kill_after(Duration::ZERO, Victim::Process).was_killed();
    status(&shop, &[])
        .code_is(1)
        .stdout_contains("production: stopped")
        .stdout_contains("nobody works on it")
        .stdout_contains("  changed by deployment-0002: ConfigMap")
        .lacks("by hand");
    shop.deploy(&["--abort"]).code_is(1);
    status(&shop, &[]).success().stdout_contains("production: well, deployment-0001 of 'one'");
}

#[test]
fn while_a_deployment_is_stopped_a_plan_says_what_becomes_of_it_and_nothing_is_degraded() {
    let shop = open(cluster!());
    let slow = web("green", 2).replacen(
        "metadata: {labels: {app: web}}",
        "metadata: {labels: {app: web, test.git-deploy/pod: unready}}",
        1,
    );
    shop.release("slow", &[(FILE, &slow)]);
    let mut running = shop.repo.command("git-deploy").start();
    running.wait_for_words("Verifying");
    running.interrupt();
    running.wait().code_is(130);
    shop.release("other", &[("other.txt", "1\n")]);
    for stopped_by in ["Ctrl-C", "a kill"] {
        let output = shop.deploy(&["-n"]);
        output
            .success()
            .stdout_contains("would finish deployment-0002, which an earlier run left behind: 'slow'");
        output.stdout_contains("keep    Deployment '").lacks("degraded");
        let output = shop.deploy(&["-n", "other"]);
        output.success().stdout_contains("would deploy 'other'").stdout_contains("as deployment-0003");
        output.stderr_contains("deployment-0002, which an earlier run left behind, would be finished first");
        output.lacks("degraded");
        let output = shop.deploy(&["-n", "--rollback"]);
        output.success().stdout_contains("would give up deployment-0002").lacks("degraded");
        output
            .stdout_contains("bring what deployment-0001 had applied")
            .stdout_contains("change  Deployment '");
        let output = diff(&shop, &["one"]);
        output.stderr_contains("deployment-0002 was stopped there").lacks("degraded");
        output.lacks("deploys there just now");
        status(&shop, &[]).stdout_contains("production: stopped");
        if stopped_by == "Ctrl-C" {
            let mut running = shop.repo.command("git-deploy").start();
            running.wait_for_words("Verifying");
            running.kill(Victim::Process).was_killed();
        }
    }
}

#[test]
fn what_a_failed_first_deployment_left_is_degraded() {
    let shop = in_cluster(cluster!(), "look").setting("crash-grace = \"1s\"").with_remote(&sandbox!());
    let bad = web("red", 2).replacen(
        "metadata: {labels: {app: web}}",
        "metadata: {labels: {app: web, test.git-deploy/pod: waiting}}",
        1,
    );
    shop.release("bad", &[(FILE, &bad)]);
    shop.deploy(&[]).code_is(1);
    let output = status(&shop, &[]);
    output
        .code_is(1)
        .stdout_contains("production: degraded")
        .stdout_contains("deployment-0001 failed, and was left as it is: ");
}

#[test]
fn a_rollback_brings_the_cluster_back_and_leaves_base() {
    let shop = open(cluster!());
    let first = shop.standing();
    let more = format!(
        "{}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: more}}\ndata: {{a: b}}\n",
        web("blue", 3)
    );
    shop.release("two", &[(FILE, &more)]);
    shop.deploy(&[]).success();
    let (second, base) = (shop.standing(), shop.authority().id("master"));
    assert_ne!(second, first);
    let before = changes(&shop);
    shop.deploy(&["--dry-run", "--rollback"]).success().stdout_contains("delete  ConfigMap");
    assert_eq!(changes(&shop), before);
    shop.deploy(&["--rollback"]).success().stdout_contains("what deployment-0001 had applied");
    assert_eq!(shop.standing(), first);
    assert_eq!(shop.authority().id("master"), base);
    status(&shop, &[])
        .success()
        .stdout_contains("production: well, deployment-0003, back to deployment-0001");
    shop.deploy(&["--rollback=deployment-0002"]).success();
    assert_eq!(shop.standing(), second);
    shop.is_sound();
}

#[test]
fn whoever_may_not_look_is_told_so_in_its_place() {
    let cluster = cluster!();
    let shop = open(cluster);
    let run = |command: &str| {
        let run = shop.repo.command("git").arg(command).env("KUBECONFIG", cluster.kubeconfig_for("alice"));
        run.output()
    };
    let output = run("deploy-status");
    output
        .code_is(75)
        .stdout_contains("production: unknown, deployment-0001 of 'one'")
        .stdout_contains("cannot be asked: ");
    output.stdout_contains("queue: empty");
    run("deploy-diff").code_is(75).stdout_is("");
}
