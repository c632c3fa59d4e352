//! What base allows is for what is new: what was accepted before can be looked at, and gone back to.

use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, behaving, config_map, deployment, yaml};

const ALLOWED: &str = "allow-kinds = [\"ConfigMap\", \"Deployment\", \"Role\"]";

fn role() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] }],
    })
}

/// A shop with a role, which base does not allow any more.
fn shop(cluster: &git_deploy_testkit::cluster::Cluster) -> ClusterShop<'_> {
    let shop = in_cluster(cluster, "allowed").setting(ALLOWED).with_remote(&sandbox!());
    shop.release("one", &[(MANIFEST, &yaml(&[config_map("colours", "1"), role()]))]);
    shop.deploy(&[]).success();
    let deploy_toml = shop.repo.read("deploy.toml");
    assert!(deploy_toml.contains(ALLOWED), "{deploy_toml}");
    shop.on_master("deploy.toml", &deploy_toml.replace(ALLOWED, ""));
    shop
}

fn has_role(shop: &ClusterShop<'_>) -> bool {
    shop.namespace.find("role", "reader").is_some()
}

#[test]
fn what_is_no_longer_allowed_is_shown_where_it_stands_and_gone_back_to() {
    let shop = shop(cluster!());
    let status = shop.repo.try_deploy("deploy-status", &[]);
    status.success().stdout_contains("production: well, deployment-0001 of 'one'");

    let crashing = behaving(deployment("web", "2"), "crash", json!({ "test.git-deploy/period": "500ms" }));
    shop.release("fails", &[(MANIFEST, &yaml(&[config_map("colours", "2"), crashing]))]);
    let output = shop.deploy(&[]);
    output
        .code_is(1)
        .stderr_contains("Restoring what deployment-0001 had applied")
        .lacks("going back failed");
    assert_eq!(shop.namespace.get("configmap", "colours")["data"]["version"], "1");
    assert!(has_role(&shop));

    shop.release("without", &[(MANIFEST, &yaml(&[config_map("colours", "3")]))]);
    shop.deploy(&[]).success();
    assert!(!has_role(&shop), "it was taken out");
    shop.deploy(&["--rollback", "--dry-run"]).success();
    shop.deploy(&["--rollback"]).success();
    assert!(has_role(&shop));
    shop.is_sound();
}

#[test]
fn what_is_no_longer_allowed_stages_nobody_who_has_not_brought_it() {
    let shop = shop(cluster!());
    shop.release("two", &[("deploy/two.yaml", &yaml(&[config_map("two", "1")]))]);
    let output = shop.deploy(&[]);
    output
        .code_is(75)
        .stderr_contains("the environment does not allow objects of kind 'Role.rbac.authorization.k8s.io'")
        .stderr_contains("hint: deployment-0001 had it: whoever may change base can allow it: 'allow-kinds'")
        .stderr_contains("; or go forward with a branch that takes it out: git deploy <branch>");
    assert_eq!(shop.state("two"), "deployable");
    let mut wider = role();
    wider["rules"][0]["verbs"] = json!(["*"]);
    shop.repo.deploy("deploy-state", &["set", "development", "two"]);
    shop.release("wider", &[(MANIFEST, &yaml(&[config_map("colours", "1"), wider]))]);
    shop.deploy(&[]).code_is(1).stdout_contains("deployment-0002: Failed Deployment");
    assert_eq!(shop.state("wider"), "staged");
}
