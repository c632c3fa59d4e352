//! The way to the cluster, and what people are told when there is none.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use git_deploy_cluster::{ConnectError, Resources};
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::Kubeconfig;

use crate::support::try_open;

fn told(error: Result<git_deploy_cluster::Connection, ConnectError>) -> (String, Option<String>) {
    let error = error.err().expect("there is no way to this cluster");
    (error.to_string(), error.hint())
}

#[tokio::test]
async fn only_the_context_that_is_named_is_taken() {
    let cluster = cluster!();
    let directory = tempfile();
    let path = directory.join("kubeconfig");
    Kubeconfig::new().context("production", cluster.access()).write(&path);
    let (text, _) = told(git_deploy_cluster::Connection::open_with(&path, "producton").await);
    assert_eq!(
        text,
        format!("kubeconfig '{}' has no context 'producton', did you mean 'production'?", path.display())
    );
    let (text, _) = told(git_deploy_cluster::Connection::open_with(&path, "staging").await);
    assert!(text.ends_with("has no context 'staging', only 'production'"), "{text}");
    let (text, hint) =
        told(git_deploy_cluster::Connection::open_with(&directory.join("none"), "staging").await);
    assert!(text.starts_with("cannot read kubeconfig"), "{text} {hint:?}");
    std::fs::write(&path, "a: [").unwrap();
    let (text, _) = told(git_deploy_cluster::Connection::open_with(&path, "staging").await);
    assert!(text.starts_with("cannot read kubeconfig") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn a_token_that_is_no_longer_valid_is_told_as_such() {
    let cluster = cluster!();
    let path = cluster.kubeconfig_with(cluster.access().with_token("expired"));
    let (text, hint) = told(try_open(&path).await);
    assert!(text.contains("refuses the credentials"), "{text}");
    assert!(hint.unwrap().contains("log in again"));
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_told_soon() {
    let cluster = cluster!();
    let (text, _) = told(try_open(&cluster.kubeconfig_with(cluster.access().at("127.0.0.1:1"))).await);
    assert!(text.contains("cannot reach the cluster of context 'test' at https://127.0.0.1:1/: "), "{text}");
    let proxy = cluster.proxy();
    proxy.refuse();
    let (text, _) = told(try_open(&cluster.kubeconfig_through(&proxy)).await);
    assert!(text.contains("cannot reach the cluster"), "{text}");
    // In the 20 s of later requests it would be tried for more than ten times.
    assert!((2..=4).contains(&proxy.connections()), "{}", proxy.connections());
}

#[tokio::test]
async fn a_proxy_that_the_kubeconfig_names_is_gone_through() {
    let cluster = cluster!();
    let path = tempfile().join("proxied");
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let server = text
        .split("https://")
        .nth(1)
        .and_then(|rest| rest.split(['"', '\'', '\n', ',', ' ']).next())
        .unwrap();
    let quoted = format!("\"https://{server}\"");
    assert!(text.contains(&quoted), "{text}");
    std::fs::write(&path, text.replace(&quoted, &format!("{quoted}, \"proxy-url\": \"http://127.0.0.1:1\"")))
        .unwrap();
    let (text, _) = told(try_open(&path).await);
    assert!(text.contains("cannot reach the cluster"), "{text}");
}

#[tokio::test]
async fn a_program_gives_the_token_and_gives_another_when_it_expires() {
    let cluster = cluster!();
    let directory = tempfile();
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    let token = config["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    // Good for one request only.
    let (given, asked) = (directory.join("given"), directory.join("asked"));
    let status = serde_json::json!({"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"});
    std::fs::write(&given, serde_json::json!({"status": status}).to_string()).unwrap();
    let script = format!("echo >>{}; cat {}", asked.display(), given.display());
    config["users"][0]["user"] = serde_json::json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "Never",
        "command": "sh",
        "args": ["-c", script],
    }});
    let path = directory.join("with-program");
    std::fs::write(&path, config.to_string()).unwrap();
    let connection = try_open(&path).await.unwrap();
    let resources = Resources::discover(&connection).await.unwrap();
    assert!(resources.find("apps", "v1", "Deployment").is_some());
    assert!(std::fs::read_to_string(asked).unwrap().lines().count() > 2);
    std::fs::write(&given, "nothing").unwrap();
    let error = Resources::discover(&connection).await.err().unwrap().to_string();
    assert!(error.contains("the program for credentials 'sh' prints none"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_for_a_moment_is_no_failure() {
    let cluster = cluster!();
    let proxy = cluster.proxy();
    let connection = try_open(&cluster.kubeconfig_through(&proxy)).await.unwrap();
    Resources::discover(&connection).await.unwrap();
    proxy.refuse();
    let again = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.resume();
    };
    let (found, ()) = tokio::join!(Resources::discover(&connection), again);
    assert!(found.unwrap().find("apps", "v1", "Deployment").is_some());
}

#[tokio::test]
async fn the_api_server_is_told_who_asks() {
    let cluster = cluster!();
    let namespace = cluster.namespace("agent").create();
    let connection = try_open(cluster.kubeconfig()).await.unwrap();
    let resources = Resources::discover(&connection).await.unwrap();
    let (resource, _) = resources.find("", "v1", "ConfigMap").unwrap();
    let api = connection.api(&resource, Some(namespace.name()));
    api.get_opt("none").await.unwrap();
    let agents: Vec<String> = namespace.audit().into_iter().map(|event| event.user_agent).collect();
    assert!(agents.contains(&format!("git-deploy/{}", env!("CARGO_PKG_VERSION"))), "{agents:?}");
}

#[tokio::test]
async fn a_server_that_is_asked_too_much_is_asked_again_when_it_says() {
    let answers = ["200 OK\r\n", "429 Too Many Requests\r\nRetry-After: 1\r\n", "200 OK\r\n"];
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = server.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let text = format!("HTTP/1.1 {answer}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    let path = tempfile().join("plain");
    let kubeconfig = format!(
        "{{clusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}], contexts: [{{name: test, context: {{cluster: a, user: ''}}}}]}}"
    );
    std::fs::write(&path, kubeconfig).unwrap();
    let connection = try_open(&path).await.unwrap();
    let begin = Instant::now();
    let request = http::Request::get("/api/v1/namespaces").body(Vec::new()).unwrap();
    connection.call(request).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(connection.calls(), 3);
    answering.join().unwrap();
}

fn tempfile() -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("git-deploy-connecting-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("there is room");
    directory
}
