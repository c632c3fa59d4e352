//! An environment that goes to another namespace, or by another name: what it leaves behind is said.

use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, cluster, sandbox};
use serde_json::json;

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
    // As long as that is all that there is of it, nobody is told how to take it away.
    output.stderr_contains("deployment-0001 is the last success of 'production'").lacks("kubectl");
    shop.repo.try_deploy("deploy-diff", &["one"]).code_is(1).stderr_contains(&format!(
        "warning: 'production' is not in deploy.toml any more: all that deployment-0001 brought stays in namespace '{old}' of context 'test'\n"
    ));
    shop.release("two", &[("two.txt", "2\n")]);
    shop.deploy(&[]).success();
    let command =
        format!("kubectl --context=test --namespace={old} delete configmap,deployment.apps --selector=");
    status(&shop, &[]).success().stdout_contains("live: well").stderr_contains(&command);
}

#[test]
fn what_holds_data_or_is_kept_is_in_no_command_that_takes_away_what_is_left_behind() {
    let shop = in_cluster(cluster!(), "moving").alone(&sandbox!());
    let mut kept = config_map("kept", "1");
    kept["metadata"]["annotations"] = json!({ "git-deploy/keep": "true" });
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    let objects = [config_map("colours", "1"), kept, claim, deployment("web", "1")];
    shop.release("one", &[(MANIFEST, &yaml(&objects))]);
    shop.deploy(&[]).success();
    let (old, new) = (shop.namespace.name().to_owned(), shop.cluster.namespace("moved"));
    set(&shop, &format!("kube-namespace = \"{old}\""), &format!("kube-namespace = \"{new}\""));
    shop.release("two", &[("two.txt", "2\n")]);
    shop.deploy(&["--new-cluster"]).success();
    let output = status(&shop, &[]);
    output.success();
    let hints: Vec<&str> = output.stderr.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    let take = format!(
        "when nobody needs it any more, take it away with: kubectl --context=test --namespace={old} delete "
    );
    let commands: Vec<&str> = hints.iter().filter_map(|hint| hint.strip_prefix(&take)).collect();
    assert_eq!(commands.len(), 2, "{output}");
    assert!(
        commands[0].starts_with("deployment.apps --selector=applyset.kubernetes.io/part-of="),
        "{output}"
    );
    assert_eq!(commands[1], "configmap/colours");
    for said in [
        format!(
            "ConfigMap '{old}/kept' is for somebody who knows it to take away: it is annotated with 'git-deploy/keep'"
        ),
        format!(
            "PersistentVolumeClaim '{old}/data' is for somebody who knows it to take away: what is in it would be lost"
        ),
    ] {
        assert!(hints.contains(&said.as_str()), "{said}\n{output}");
    }
    status(&shop, &["--json"]).success().stdout_contains(r#""kept":[{"object":"#);
}

#[test]
fn a_project_that_is_called_otherwise_is_said_to_be() {
    let shop = opened(cluster!());
    let place = format!("namespace '{}' of context 'test'", shop.namespace.name());
    set(&shop, "project-namespace = \"shop\"", "project-namespace = \"store\"");
    shop.repo.try_deploy("deploy-diff", &["--new-cluster", "one"]).stderr_contains(&format!(
        "warning: deployment-0001 stands in {place} as project 'shop', and deploy.toml leads to project 'store': all that it brought stays there\n"
    ));
    status(&shop, &[]).stdout_contains(&format!(
        "  stands in {place} as project 'shop', and deploy.toml leads to project 'store'\n"
    ));
}
