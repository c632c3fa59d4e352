//! What is said while a release is waited for: enough, and not too much.

use git_deploy_testkit::shop::in_cluster;
use git_deploy_testkit::{cluster, sandbox};
use serde_json::json;

use crate::support::{MANIFEST, deployment, yaml};

#[test]
fn pods_that_a_quota_refuses_are_one_event_with_a_count() {
    let cluster = cluster!();
    let mut shop = in_cluster(cluster, "progress").alone(&sandbox!());
    shop.namespace = shop.namespace.create();
    shop.namespace.kubectl(&["create", "quota", "small", "--hard=pods=2"]).success();
    let mut web = deployment("web", "1");
    web["spec"]["replicas"] = json!(8);
    shop.release("greedy", &[(MANIFEST, &yaml(&[web]))]);
    let output = shop.deploy(&[]);
    output.code_is(75).stdout_contains("its pods cannot be created").stdout_contains("exceeded quota: small");
    let seen: Vec<_> = output.stderr.lines().filter(|line| line.contains("FailedCreate")).collect();
    assert_eq!(seen.len(), 1, "{output}");
    assert!(seen[0].contains("FailedCreate, ") && seen[0].contains(" times (ReplicaSet 'web-"), "{output}");
    shop.is_sound();
}
