//! From a commit to pods that answer: nothing is simulated.

use git_deploy_testkit::{node_cluster, sandbox};

use crate::support::{Web, assert_answers};

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
