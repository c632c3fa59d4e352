//! From a commit to pods that answer: nothing is simulated.

use git_deploy_testkit::{node_cluster, sandbox};
use serde_json::Value;

use crate::support::{CONTAINERFILE, Web, assert_answers};

#[test]
fn a_commit_becomes_pods_that_answer_and_the_next_release_rolls_over_without_a_failed_request() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    web.shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success().stderr_contains("Building").stderr_contains("Pushing");
    web.shop.succeeded("deployment-0001");
    assert_answers(cluster, &web.shop.namespace, "one");
    let live = web.shop.namespace.get("deployment", "web");
    let image = live["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("it has one");
    assert!(image.contains("/littleman-co/shop-web:") && image.contains("@sha256:"), "{image}");

    web.shop.release("two", &[("web/index.html", "two")]);
    web.while_asked(&["one", "two"], || {
        web.deploy(&[]).success();
        assert_answers(cluster, &web.shop.namespace, "two");
    });
    web.shop.succeeded("deployment-0002");
}

/// What a release runs that fails, and what is said of it.
const BAD: [(&str, &str, &str); 3] = [
    ("exits", "[\"/bin/busybox\", \"cat\", \"/no/config\"]", "can't open '/no/config'"),
    ("command", "[\"/bin/nothing\"]", "/bin/nothing"),
    ("unready", "[\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"9090\"]", "connection refused"),
];

#[test]
fn a_release_that_does_not_start_fails_with_its_own_words_and_the_old_pods_go_on() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    web.shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success();
    let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let pods = || web.shop.namespace.list("pods").iter().map(uid).collect::<Vec<String>>();
    let before = pods();
    for (name, command, said) in BAD {
        let containerfile = format!("{CONTAINERFILE}CMD {command}\n");
        web.shop.release(name, &[("web/Containerfile", &containerfile)]);
        let output = web.deploy(&[]);
        assert!([1, 70].contains(&output.code.unwrap_or_default()), "{name}\n{output}");
        assert!(output.to_string().contains(said), "{name}\n{output}");
        assert_eq!(web.shop.state(name), "staged", "{name}\n{output}");
        assert_answers(cluster, &web.shop.namespace, "one");
    }
    let still = pods().iter().filter(|pod| before.contains(pod)).count();
    assert_eq!(still, 2, "the old pods were never taken away");
}
