//! No way to the cluster.

use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Cluster, Kubeconfig, Options};
use git_deploy_testkit::{Output, cluster, sandbox};

use crate::lab::{Lab, config_map};

/// A branch that waits for its deployment.
fn waiting<'c>(cluster: &'c Cluster) -> Lab<'c> {
    let lab = Lab::new(&sandbox!(), cluster);
    lab.deployable("more", &config_map("more", "a: b"));
    lab
}

/// Nothing has begun, and the branch can be deployed as soon as the cause is gone.
#[track_caller]
fn nothing_begun(lab: &Lab<'_>, output: &Output) {
    let errors =
        output.stderr.lines().filter(|line| line.starts_with("error: ") || line.starts_with("fatal: "));
    assert_eq!(errors.count(), 1, "{output}");
    lab.claimed_nothing();
    lab.changed_nothing();
    assert_eq!(lab.shop.state("more"), "deployable");
    lab.deploy(&[]).success();
    lab.succeeded("deployment-0001");
}

#[test]
fn no_kubeconfig_is_an_error_that_says_where_it_was_looked_for() {
    let lab = waiting(cluster!());
    let output = lab.command(&[]).env_remove("KUBECONFIG").output();
    output.code_is(128).stderr_contains("cannot find a kubeconfig").stderr_contains("home/.kube/config'");
    output.stderr_contains("hint: set KUBECONFIG");
    let nowhere = lab.root().join("nowhere");
    let named = lab.command(&[]).env("KUBECONFIG", &nowhere).output();
    named.code_is(128).stderr_contains("nothing is where KUBECONFIG says, '").stderr_contains("nowhere'");
    nothing_begun(&lab, &output);
}

#[test]
fn a_kubeconfig_that_is_none_is_named() {
    let lab = waiting(cluster!());
    let path = lab.root().join("broken");
    std::fs::write(&path, "clusters: [\x1b[31m\n").unwrap();
    let output = lab.command(&[]).env("KUBECONFIG", &path).output();
    output
        .code_is(128)
        .stderr_contains("cannot read kubeconfig '")
        .stderr_contains("broken'")
        .lacks("\x1b[31m");
    nothing_begun(&lab, &output);
}

#[test]
fn a_context_that_does_not_exist_is_an_error_and_the_current_one_is_never_taken() {
    let lab = waiting(cluster!());
    let path = lab.root().join("kubeconfig");
    let access = lab.cluster.access();
    Kubeconfig::new().context("tset", access.clone()).context("other", access).current("tset").write(&path);
    let output = lab.command(&[]).env("KUBECONFIG", &path).output();
    output
        .code_is(128)
        .stderr_contains("has no context 'test'")
        .stderr_contains("did you mean 'tset'?")
        .stderr_contains("hint: write");
    nothing_begun(&lab, &output);
}

#[test]
fn a_cluster_that_is_not_there_is_nobodys_fault() {
    let lab = waiting(cluster!());
    let path = lab.cluster.kubeconfig_with(lab.cluster.access().at("127.0.0.1:1"));
    let begin = Instant::now();
    let output = lab.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("cannot reach the cluster of context 'test' at https://127.0.0.1:1/");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let json = lab.command(&["--json"]).env("KUBECONFIG", &path).output();
    let last = json.lines().last().copied().unwrap_or_default().to_owned();
    assert!(last.contains("\"blame\":\"nobody\"") && last.contains("\"exit\":75"), "{json}");
    nothing_begun(&lab, &output);
}

#[test]
fn a_cluster_that_never_answers_is_given_up_within_seconds() {
    let lab = waiting(cluster!());
    let proxy = lab.cluster.proxy();
    proxy.stall();
    let path = lab.cluster.kubeconfig_through(&proxy);
    let begin = Instant::now();
    let output = lab.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("cannot reach the cluster of context 'test'");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    nothing_begun(&lab, &output);
}

#[test]
fn an_expired_token_is_told_as_such() {
    let lab = waiting(cluster!());
    let path = lab.cluster.kubeconfig_with(lab.cluster.access().with_token("expired"));
    let output = lab.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("refuses the credentials").stderr_contains("hint: log in again");
    nothing_begun(&lab, &output);
}

#[test]
fn a_program_that_should_give_credentials_and_does_not_is_named() {
    let lab = waiting(cluster!());
    let config = |user: &str| {
        let text = std::fs::read_to_string(lab.cluster.kubeconfig()).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"] = serde_json::from_str(user).unwrap();
        let path = lab.root().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        lab.command(&[]).env("KUBECONFIG", path).output()
    };
    let program = |command: &str| {
        format!(
            "{{\"exec\":{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"interactiveMode\":\"Never\",\"command\":\"{command}\",\"args\":[\"-c\",\"echo hush-hush; echo log in first >&2; exit 3\"]}}}}"
        )
    };
    let missing = config(&program("no-such-program"));
    assert!(matches!(missing.code, Some(128)), "{missing}");
    missing.stderr_contains("context 'test'").stderr_contains("no-such-program");
    let failing = config(&program("/bin/sh"));
    assert!(matches!(failing.code, Some(128)), "{failing}");
    failing.stderr_contains("context 'test'").stderr_contains("status: 3: log in first").lacks("hush-hush");
    let talking = config(&program("/bin/echo"));
    assert!(matches!(talking.code, Some(128)), "{talking}");
    talking.stderr_contains("context 'test'").lacks("hush-hush");
    let file = config("{\"tokenFile\":\"/no/such/token\"}");
    assert!(matches!(file.code, Some(128)), "{file}");
    file.stderr_contains("/no/such/token");
    nothing_begun(&lab, &missing);
}

#[test]
fn a_certificate_of_somebody_else_is_told_as_such() {
    let lab = waiting(cluster!());
    let other = cluster!(Options::new().nodes(0));
    let path = lab.root().join("kubeconfig");
    Kubeconfig::new().context("test", other.access().at(lab.cluster.address())).write(&path);
    let output = lab.command(&[]).env("KUBECONFIG", path).output();
    output
        .code_is(75)
        .stderr_contains("cannot reach the cluster of context 'test'")
        .stderr_contains("certificate");
    nothing_begun(&lab, &output);
}

#[test]
fn something_that_is_no_api_server_is_told_as_such() {
    let lab = waiting(cluster!());
    // Speaks, but no TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = std::io::Write::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.9\r\n");
        }
    });
    let path = lab.cluster.kubeconfig_with(lab.cluster.access().at(address));
    let output = lab.command(&[]).env("KUBECONFIG", &path).output();
    output.code_is(75).stderr_contains("cannot reach the cluster of context 'test'");
    nothing_begun(&lab, &output);
}
