//! An environment that goes to another namespace, or by another name: what it leaves behind is said.

use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};

use crate::support::{MANIFEST, config_map, deployment, yaml};

fn opened(cluster: &git_deploy_testkit::cluster::Cluster) -> ClusterShop<'_> {
    let shop = in_cluster(cluster, "moving").alone(&sandbox!());
    let objects = [config_map("colours", "1"), deployment("web", "1")];
    shop.release("one", &[(MANIFEST, &yaml(&objects))]);
    shop.deploy(&[]).success();
    shop
}

fn status(shop: &ClusterShop<'_>, arguments: &[&str]) -> Output {
    shop.repo.try_deploy("deploy-status", arguments)
}

/// Other words in base's `deploy.toml`.
fn set(shop: &ClusterShop<'_>, before: &str, after: &str) {
    let deploy_toml = shop.repo.read("deploy.toml");
    assert!(deploy_toml.contains(before), "{deploy_toml}");
    shop.on_master("deploy.toml", &deploy_toml.replace(before, after));
}

#[test]
fn an_environment_that_leads_to_another_namespace_is_shown_where_it_stands() {
    let shop = opened(cluster!());
    let (old, new) = (shop.namespace.name().to_owned(), shop.cluster.namespace("moved"));
    set(&shop, &format!("kube-namespace = \"{old}\""), &format!("kube-namespace = \"{new}\""));
    let output = status(&shop, &[]);
    output
        .code_is(1)
        .stdout_contains("production: moved, deployment-0001 of 'one'")
        .stdout_contains(&format!(
            "  stands in namespace '{old}' of context 'test', and deploy.toml leads to namespace '{new}' of context 'test'\n"
        ))
        .stdout_contains(&format!("  Deployment '{old}/web'  2/2\n"))
        .lacks("missing");
    output.stderr_contains("git deploy --env=production --new-cluster");
    status(&shop, &["--porcelain"])
        .code_is(1)
        .stdout_contains(&format!("\nmoved production test {old} test {new}\n"));
    let warning = format!(
        "warning: deployment-0001 stands in namespace '{old}' of context 'test', and deploy.toml leads to namespace '{new}' of context 'test': all that it brought stays there\n"
    );
    shop.repo.try_deploy("deploy-diff", &["one"]).code_is(128).stderr_contains(&warning);
    let output = shop.repo.try_deploy("deploy-diff", &["--new-cluster", "one"]);
    output.code_is(1).stderr_contains(&warning).stderr_contains("2 created, 0 changed, 0 deleted");
    shop.release("two", &[("two.txt", "2\n")]);
    shop.deploy(&["--dry-run", "--new-cluster"]).success().stderr_contains(&warning);
    shop.deploy(&["--new-cluster"]).success();
    // Afterwards it is still there, and is not forgotten.
    let output = status(&shop, &[]);
    output
        .success()
        .stdout_contains("production: well, deployment-0002 of 'two'")
        .stdout_contains(&format!(
            "  left behind in namespace '{old}' of context 'test' by deployment-0001: ConfigMap '{old}/colours', Deployment '{old}/web'\n"
        ));
    let command = format!(
        "kubectl --context=test --namespace={old} delete configmap,deployment.apps --selector=applyset.kubernetes.io/part-of="
    );
    output.stderr_contains(&command);
    status(&shop, &["--porcelain"])
        .success()
        .stdout_contains(&format!("\nremains production deployment-0001 test {old} 2\n"));
    status(&shop, &["--json"]).success().stdout_contains(&format!(
        r#""remains":[{{"environment":"production","deployment":"deployment-0001","place":{{"context":"test","namespace":"{old}"}},"objects":[{{"apiVersion":"v1","kind":"ConfigMap","#
    ));
    // As the hint says.
    let selector = output.stderr.split("--selector=").nth(1).and_then(|rest| rest.lines().next());
    let selector = format!("--selector={}", selector.unwrap_or_default());
    shop.namespace.kubectl(&["delete", "configmap,deployment.apps", &selector]).success();
    status(&shop, &[]).success().lacks("left behind");
}

#[test]
fn what_an_environment_under_another_name_had_brought_is_not_forgotten() {
    let shop = opened(cluster!());
    let (old, new) = (shop.namespace.name().to_owned(), shop.cluster.namespace("renamed"));
    let deploy_toml = shop.repo.read("deploy.toml").replace("production", "live").replace(&old, new.name());
    shop.on_master("deploy.toml", &deploy_toml);
    let output = status(&shop, &[]);
    output
        .success()
        .stdout_contains("live: empty, nothing was deployed there yet\n")
        .stdout_contains("production: not in deploy.toml any more\n")
        .stdout_contains(&format!(
            "  left behind in namespace '{old}' of context 'test' by deployment-0001: ConfigMap "
        ));
    shop.repo.try_deploy("deploy-diff", &["one"]).code_is(1).stderr_contains(&format!(
        "warning: 'production' is not in deploy.toml any more: all that deployment-0001 brought stays in namespace '{old}' of context 'test'\n"
    ));
}
