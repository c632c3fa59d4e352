//! Values of Secrets.

use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{Output, cluster, sandbox};

use crate::support::{Pods, deployment, gets_no_number, open};

/// In base64 `aHVzaC1odXNoLTE=`, `aHVzaC1odXNoLTI=`.
const VALUES: [&str; 4] = ["hush-hush-1", "aHVzaC1odXNoLTE=", "hush-hush-2", "aHVzaC1odXNoLTI="];

fn secret(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: key }}\nstringData: {{ key: {value} }}\n---\n{}",
        deployment("web", value, &Pods::Ready)
    )
}

#[track_caller]
fn tells_nothing(output: &Output) {
    for value in VALUES {
        output.lacks(value);
    }
}

/// Nothing that any ref leads to has a value in it, the branches' own commits apart.
#[track_caller]
fn keeps_nothing(shop: &ClusterShop<'_>) {
    let repo = &shop.repo;
    for (name, _) in repo.refs() {
        if name.starts_with("refs/heads/") {
            continue;
        }
        // Tags and attempts lead to the branches' commits, whose trees are what they are.
        let of_branches = name.starts_with("refs/tags/") || name.starts_with("refs/deploy/attempts/");
        for value in VALUES {
            if !of_branches {
                let found = repo.try_git(&["grep", "--fixed-strings", "-e", value, &name]);
                found.code_is(1);
            }
            repo.git(&["log", "--format=%B%N", "--notes=deploy", &name]).lacks(value);
        }
    }
    let tags = repo.git(&["for-each-ref", "--format=%(contents)"]);
    tells_nothing(&tags);
}

#[test]
fn a_secrets_values_reach_the_cluster_and_nothing_else() {
    let shop = open(&sandbox!(), cluster!());
    shop.release_more("one", &secret(VALUES[0]).replace("web:hush-hush-1", "web:1"));
    tells_nothing(shop.deploy(&["--dry-run", "--json"]).success());
    tells_nothing(shop.deploy(&["-vv"]).success());
    assert_eq!(shop.namespace.get("secret", "key")["data"]["key"], VALUES[1]);
    keeps_nothing(&shop);

    shop.release_more("two", &secret(VALUES[2]).replace("web:hush-hush-2", "web:2"));
    let plan = shop.deploy(&["--dry-run", "--json"]);
    tells_nothing(plan.success().stdout_contains("*** (before)"));
    tells_nothing(shop.deploy(&["--json"]).success());
    assert_eq!(shop.namespace.get("secret", "key")["data"]["key"], VALUES[3]);
    keeps_nothing(&shop);
    // Nor in the records in the cluster.
    let records = shop.parent().to_string();
    assert!(!VALUES.iter().any(|value| records.contains(value)), "{records}");
}

#[test]
fn an_error_about_a_secret_does_not_tell_its_values() {
    let shop = open(&sandbox!(), cluster!());
    let broken = [
        "apiVersion: v1\nkind: Secret\nmetadata: { name: key }\ndata: { key: 'hush-hush-1' }\n",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: key }\ndata: { key: [hush-hush-1] }\n",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: key }\nstringData: { key: { a: hush-hush-1 } }\n",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: key }\ndata: hush-hush-1\n",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: key }\ntype: kubernetes.io/tls\nstringData: { tls.crt: hush-hush-1 }\n",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: key }\ntype: kubernetes.io/dockerconfigjson\nstringData: { .dockerconfigjson: '{hush-hush-1' }\n",
    ];
    for (number, manifest) in broken.iter().enumerate() {
        shop.release_more(&format!("broken-{number}"), manifest);
        let output = shop.deploy(&[]);
        output.code_is(1).stdout_contains("Failed Deployment");
        tells_nothing(&output);
    }
    shop.changed_nothing();
    keeps_nothing(&shop);
}

#[test]
fn a_secret_that_others_have_changed_is_told_without_its_values() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &secret(VALUES[0]).replace("web:hush-hush-1", "web:1"));
    let patch = format!("{{\"data\":{{\"key\":\"{}\"}}}}", VALUES[3]);
    shop.namespace.kubectl(&["patch", "secret", "key", "-p", &patch]).success();
    shop.release_more("two", &secret(VALUES[0]).replace("web:hush-hush-1", "web:2"));
    let output = gets_no_number(&shop, "two", &[]);
    tells_nothing(output.stderr_contains("'kubectl-patch' holds .data.key"));
    tells_nothing(shop.deploy(&["--force-conflicts"]).success());
    shop.succeeded("deployment-0002");
    assert_eq!(shop.namespace.get("secret", "key")["data"]["key"], VALUES[1]);
    keeps_nothing(&shop);
}

#[test]
fn going_back_leaves_secrets_as_they_are_and_says_so() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &secret(VALUES[0]).replace("web:hush-hush-1", "web:1"));
    let bad = deployment("web", "2", &Pods::Waiting);
    let key = secret(VALUES[2]).split("---\n").next().unwrap_or_default().to_owned();
    shop.release_more("two", &format!("{key}---\n{bad}"));
    let output = shop.deploy(&[]);
    tells_nothing(
        output.code_is(1).stderr_contains("/key' is left as it is: its values are not kept in git"),
    );
    assert_eq!(shop.namespace.get("secret", "key")["data"]["key"], VALUES[3], "as it was left");
    let live = shop.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:1");
    shop.failed("deployment-0002", "verify: ");
    keeps_nothing(&shop);
}
