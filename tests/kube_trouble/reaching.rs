//! No way to the cluster.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Cluster, Kubeconfig, Options, eventually};
use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{Output, Victim, cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{config_map, open};

/// A branch that waits for its deployment.
fn waiting<'c>(cluster: &'c Cluster) -> ClusterShop<'c> {
    let shop = open(&sandbox!(), cluster);
    shop.release_more("more", &config_map("more", "a: b"));
    shop
}

/// Nothing has begun, and the branch can be deployed as soon as the cause is gone.
#[track_caller]
fn nothing_begun(shop: &ClusterShop<'_>, output: &Output) {
    let errors =
        output.stderr.lines().filter(|line| line.starts_with("error: ") || line.starts_with("fatal: "));
    assert_eq!(errors.count(), 1, "{output}");
    shop.claimed_nothing();
    shop.changed_nothing();
    assert_eq!(shop.state("more"), "deployable");
    shop.deploy(&[]).success();
    shop.succeeded("deployment-0001");
}

#[test]
fn no_kubeconfig_is_an_error_that_says_where_it_was_looked_for() {
    let shop = waiting(cluster!());
    let home = shop.repo.sandbox().home().join(".kube");
    let away = home.with_extension("away");
    std::fs::rename(&home, &away).unwrap();
    let output = shop.command(&[]).output();
    output.code_is(128).stderr_contains("cannot find a kubeconfig").stderr_contains("home/.kube/config'");
    output.stderr_contains("hint: set KUBECONFIG");
    let nowhere = shop.repo.sandbox().root().join("nowhere");
    let named = shop.command(&[]).env("KUBECONFIG", &nowhere).output();
    named.code_is(128).stderr_contains("nothing is where KUBECONFIG says, '").stderr_contains("nowhere'");
    std::fs::rename(&away, &home).unwrap();
    nothing_begun(&shop, &output);
}

#[test]
fn a_kubeconfig_that_is_none_is_named() {
    let shop = waiting(cluster!());
    let path = shop.repo.sandbox().root().join("broken");
    std::fs::write(&path, "clusters: [\x1b[31m\n").unwrap();
    let output = shop.command(&[]).env("KUBECONFIG", &path).output();
    output
        .code_is(128)
        .stderr_contains("cannot read kubeconfig '")
        .stderr_contains("broken'")
        .lacks("\x1b[31m");
    nothing_begun(&shop, &output);
}

#[test]
fn a_context_that_does_not_exist_is_an_error_and_the_current_one_is_never_taken() {
    let shop = waiting(cluster!());
    let path = shop.repo.sandbox().root().join("kubeconfig");
    let access = shop.cluster.access();
    Kubeconfig::new().context("tset", access.clone()).context("other", access).current("tset").write(&path);
    let output = shop.command(&[]).env("KUBECONFIG", &path).output();
    output
        .code_is(128)
        .stderr_contains("has no context 'test'")
        .stderr_contains("did you mean 'tset'?")
        .stderr_contains("hint: write");
    nothing_begun(&shop, &output);
}

#[test]
fn a_cluster_that_is_not_there_is_nobodys_fault() {
    let shop = waiting(cluster!());
    let path = shop.cluster.kubeconfig_with(shop.cluster.access().at("127.0.0.1:1"));
    let begin = Instant::now();
    let output = shop.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("cannot reach the cluster of context 'test' at https://127.0.0.1:1/");
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "only later requests are tried for 20 s: {:?}",
        begin.elapsed()
    );
    let json = shop.command(&["--json"]).env("KUBECONFIG", &path).output();
    let last = json.lines().last().copied().unwrap_or_default().to_owned();
    assert!(last.contains("\"blame\":\"nobody\"") && last.contains("\"exit\":75"), "{json}");
    nothing_begun(&shop, &output);
}

#[test]
fn a_cluster_that_never_answers_is_given_up_after_one_try() {
    let shop = waiting(cluster!());
    let proxy = shop.cluster.proxy();
    proxy.stall();
    let path = shop.cluster.kubeconfig_through(&proxy);
    let output = shop.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("cannot reach the cluster of context 'test'");
    output.stderr_contains(": no connection within 5 seconds");
    assert_eq!(proxy.connections(), 1);
    nothing_begun(&shop, &output);
}

#[test]
fn an_expired_token_is_told_as_such() {
    let shop = waiting(cluster!());
    let path = shop.cluster.kubeconfig_with(shop.cluster.access().with_token("expired"));
    let output = shop.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("refuses the credentials").stderr_contains("hint: log in again");
    nothing_begun(&shop, &output);
}

#[test]
fn a_program_that_should_give_credentials_and_does_not_is_named() {
    let shop = waiting(cluster!());
    let config = |user: &str| {
        let text = std::fs::read_to_string(shop.cluster.kubeconfig()).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"] = serde_json::from_str(user).unwrap();
        let path = shop.repo.sandbox().root().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        shop.command(&[]).env("KUBECONFIG", path).output()
    };
    let program = |command: &str| {
        format!(
            "{{\"exec\":{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"interactiveMode\":\"Never\",\"command\":\"{command}\",\"args\":[\"-c\",\"echo hush-hush; echo log in first >&2; exit 3\"]}}}}"
        )
    };
    let missing = config(&program("no-such-program"));
    assert!(matches!(missing.code, Some(128)), "{missing}");
    missing.stderr_contains("context 'test'").stderr_contains("no-such-program");
    // Whom it asks may be away.
    let failing = config(&program("/bin/sh"));
    failing.code_is(75).stderr_contains("hint: see what it waits for, or complains of, with 'kubectl ");
    failing.stderr_contains("context 'test'").stderr_contains("status: 3: log in first").lacks("hush-hush");
    let talking = config(&program("/bin/echo"));
    assert!(matches!(talking.code, Some(128)), "{talking}");
    talking.stderr_contains("context 'test'").lacks("hush-hush");
    let file = config("{\"tokenFile\":\"/no/such/token\"}");
    assert!(matches!(file.code, Some(128)), "{file}");
    file.stderr_contains("/no/such/token");
    nothing_begun(&shop, &missing);
}

/// A kubeconfig with a program for credentials that hangs, and says as which process.
fn hanging(shop: &ClusterShop<'_>, pid: &Path) -> PathBuf {
    let script = format!("echo $$ >{0}.new; mv {0}.new {0}; sleep 600", pid.display());
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "IfAvailable",
        "command": "/bin/sh",
        "args": ["-c", script],
    });
    let text = std::fs::read_to_string(shop.cluster.kubeconfig()).expect("the cluster's kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    config["users"][0]["user"] = json!({ "exec": exec });
    let path = shop.repo.sandbox().root().join("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("a directory that can be written to");
    path
}

#[test]
fn a_program_that_should_give_credentials_is_not_left_behind_by_a_run_that_is_killed() {
    let shop = waiting(cluster!());
    let pid = shop.repo.sandbox().root().join("pid");
    let running = shop.command(&[]).env("KUBECONFIG", hanging(&shop, &pid)).start();
    eventually("the program runs", || pid.exists());
    running.kill(Victim::Process).was_killed();
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // Whoever is its parent now may not have looked yet.
    let is_dead = |stat: &str| stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z'));
    eventually("the program has ended", || {
        std::fs::read_to_string(&stat).map_or(true, |stat| is_dead(&stat))
    });
}

#[test]
fn a_program_that_should_give_credentials_and_hangs_is_ended_and_named() {
    let shop = waiting(cluster!());
    let pid = shop.repo.sandbox().root().join("pid");
    let path = hanging(&shop, &pid);
    let output = shop.command(&[]).env("KUBECONFIG", path).output();
    output
        .code_is(75)
        .stderr_contains("the program for credentials '/bin/sh' gave none within 30 s and was ended")
        .stderr_contains(
            "hint: see what it waits for, or complains of, with 'kubectl --context=test version'",
        );
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "it still runs");
    nothing_begun(&shop, &output);
}

#[test]
fn a_certificate_of_somebody_else_is_told_as_such() {
    let shop = waiting(cluster!());
    let other = cluster!(Options::new().nodes(0));
    let path = shop.repo.sandbox().root().join("kubeconfig");
    Kubeconfig::new().context("test", other.access().at(shop.cluster.address())).write(&path);
    let output = shop.command(&[]).env("KUBECONFIG", path).output();
    output
        .code_is(75)
        .stderr_contains("cannot reach the cluster of context 'test'")
        .stderr_contains("certificate");
    nothing_begun(&shop, &output);
}

#[test]
fn something_that_is_no_api_server_is_told_as_such() {
    let shop = waiting(cluster!());
    // Speaks, but no TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = std::io::Write::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.9\r\n");
        }
    });
    let path = shop.cluster.kubeconfig_with(shop.cluster.access().at(address));
    let output = shop.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("cannot reach the cluster of context 'test'");
    nothing_begun(&shop, &output);
}
