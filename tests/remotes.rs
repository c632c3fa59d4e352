//! Runners whose remote is behind a server: over ssh, and over HTTP and HTTPS with a password.

use std::fs;
use std::path::Path;

use git_deploy_manifest::{SourceFile, read};
use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::shop::Shop;
use git_deploy_testkit::{HttpServer, HttpsServer, Sandbox, SshServer, sandbox, skip};

/// Three branches that are approved.
fn shop(sandbox: &Sandbox) -> Shop {
    let shop = Shop::with_remote(sandbox);
    for name in ["login", "cart", "search"] {
        shop.deployable(name, &format!("{name}.txt"), "new\n");
    }
    shop
}

/// All three have landed, in their order.
fn has_landed(shop: &Shop) {
    let subjects = shop.authority().git(&["log", "--reverse", "--format=%s", "-3", "master"]).stdout;
    assert_eq!(subjects, "Change login.txt\nChange cart.txt\nChange search.txt\n");
    for (number, name) in ["login", "cart", "search"].iter().enumerate() {
        let tag = shop.tag(&format!("deployment-{:04}", number + 1));
        assert!(tag.starts_with("Successfully Deployed\n"), "{tag}");
        assert_eq!(shop.state(name), "deployed");
    }
    shop.is_sound();
}

#[test]
fn a_queue_is_worked_off_over_ssh() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = SshServer::start(&sandbox) else { skip!("sshd is not installed") };
    server.serve(shop.authority(), &shop.repo);
    shop.repo.deploy("deploy-queue", &["run"]).stderr_contains("the queue is empty");
    has_landed(&shop);
}

#[test]
fn a_queue_is_worked_off_over_http_with_a_password_that_a_helper_knows() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = HttpServer::start(&sandbox) else { skip!("busybox is not installed") };
    server.serve(shop.authority(), &shop.repo);
    shop.repo.deploy("deploy-queue", &["run"]).stderr_contains("the queue is empty");
    has_landed(&shop);
}

#[test]
fn who_is_not_let_in_waits_blames_nobody_and_goes_on_when_let_in() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = HttpServer::start(&sandbox) else { skip!("busybox is not installed") };
    server.serve_strangers(shop.authority(), &shop.repo);
    let once = shop.repo.try_deploy("deploy-queue", &["run"]);
    once.stderr_contains("could not read Username").lacks("panicked");
    assert_ne!(once.code, Some(0), "{once}");
    assert_eq!(shop.state("login"), "deployable");
    let mut watching = shop.repo.command("git-deploy-queue").args(["run", "--watch", "--interval=1"]).start();
    watching.wait_for_words("could not read Username");
    server.serve(shop.authority(), &shop.repo);
    eventually("all have landed", || shop.authority().tip("refs/tags/deployment-0003").is_some());
    watching.terminate();
    watching.wait().code_is(143);
    has_landed(&shop);
}

#[test]
fn a_remote_whose_ca_nobody_knows_here_blames_nobody_and_is_trusted_when_it_is_named() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = HttpsServer::start(&sandbox) else { skip!("busybox or openssl is not installed") };
    server.serve(shop.authority(), &shop.repo);
    let once = shop.repo.try_deploy("deploy", &[]);
    once.code_is(75).stderr_contains("certificate");
    let hint = "hint: if a CA of your own vouches for it: git config http.<its URL>.sslCAInfo";
    assert_eq!(once.stderr.matches(hint).count(), 1, "{once}");
    shop.repo.try_deploy("deploy-queue", &["run"]).code_is(75).stderr_contains(hint);
    assert_eq!(shop.state("login"), "deployable");
    let ca = server.ca().display().to_string();
    shop.repo.git(&["config", "http.sslCAInfo", &ca]);
    shop.repo.deploy("deploy-queue", &["run"]).stderr_contains("the queue is empty");
    has_landed(&shop);
}

#[test]
fn a_runner_in_a_pod_trusts_the_ca_in_its_secret() {
    let sandbox = sandbox!();
    let shop = shop(&sandbox);
    let Some(server) = HttpsServer::start(&sandbox) else { skip!("busybox or openssl is not installed") };
    server.serve(shop.authority(), &shop.repo);
    let written = shop.repo.deploy("deploy-init", &["runner", "--image=runner"]).stdout;
    // As its pod has it, below the sandbox.
    let at = |folder: &str| sandbox.root().join("pod").join(folder);
    let here = |path: &Path| path.display().to_string();
    let written = ["/etc/git-deploy/secret", "/etc/git-deploy/config", "/work"]
        .into_iter()
        .fold(written, |text, folder| text.replace(folder, &here(&at(&folder[1..]))));
    let file = SourceFile { path: "runner.yaml".to_owned(), bytes: written.into_bytes() };
    let objects = read(&[file]).expect("it is YAML");
    let find =
        |kind: &str| objects.iter().find(|object| object.id().kind == kind).expect("it is there").value();
    let (secret, config, work) = (at("etc/git-deploy/secret"), at("etc/git-deploy/config"), at("work"));
    server.write_secret(&secret);
    [&config, &work].into_iter().for_each(|folder| fs::create_dir_all(folder).expect("it can be made"));
    let gitconfig = find("ConfigMap")["data"]["gitconfig"].as_str().expect("a text");
    fs::write(config.join("gitconfig"), gitconfig).expect("it can be written");
    let clone = &find("Deployment")["spec"]["template"]["spec"]["initContainers"][0];
    let words = |key: &str| {
        let words = clone[key].as_array().expect("a list").iter();
        words.map(|word| word.as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    let env: Vec<(&str, &str)> = clone["env"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["name"].as_str().expect("a name"), one["value"].as_str().unwrap_or_default()))
        .collect();
    let run = |program: &[String], folder: &Path| {
        let run = sandbox.command(&program[0]).args(&program[1..]).in_directory(folder);
        env.iter().fold(run, |run, (name, value)| run.env(name, value)).output()
    };
    let start = [words("command"), words("args")].concat();
    run(&start, &work).success();
    let queue = ["git-deploy-queue", "run"].map(str::to_owned);
    run(&queue, &work.join("repository")).success().stderr_contains("the queue is empty");
    shop.repo.set_config("http.sslCAInfo", &here(server.ca()));
    shop.repo.deploy("deploy-sync", &[]);
    has_landed(&shop);
    // Whoever takes the key away trusts it no more.
    fs::remove_file(secret.join("ca.crt")).expect("it was there");
    run(&start, &work).success();
    run(&queue, &work.join("repository")).code_is(75).stderr_contains("certificate");
}
