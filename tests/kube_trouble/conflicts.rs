//! What others hold.

use git_deploy_testkit::shop::ClusterShop;
use git_deploy_testkit::{cluster, sandbox};

use crate::support::{Pods, config_map, deployment, gets_no_number, open};

/// What `settings` says.
fn colour(shop: &ClusterShop<'_>) -> String {
    let live = shop.namespace.get("configmap", "settings");
    live["data"]["colour"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn fields_that_others_have_edited_are_named_with_who_did_and_are_taken_over_only_by_force() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &deployment("web", "1", &Pods::Ready));
    let image = "deployment/web";
    shop.namespace
        .kubectl(&[
            "set",
            "image",
            image,
            "web=registry.example.org/web:edited",
            "--field-manager=kubectl-edit",
        ])
        .success();
    shop.namespace.kubectl(&["scale", image, "--replicas=5"]).success();
    shop.namespace
        .kubectl(&["patch", "configmap", "settings", "-p", "{\"data\":{\"colour\":\"red\"}}"])
        .success();
    let uid = shop.namespace.get("deployment", "web")["metadata"]["uid"].clone();

    shop.release_more("two", &deployment("web", "2", &Pods::Ready));
    let output = gets_no_number(&shop, "two", &[]);
    output
        .stderr_contains("'kubectl-edit' holds .spec.template.spec.containers[name=\"web\"].image")
        .stderr_contains("'kubectl' holds .spec.replicas")
        .stderr_contains("'kubectl-patch' holds .data.colour")
        .stderr_contains("--force-conflicts");
    assert_eq!(colour(&shop), "red");

    shop.deploy(&["--force-conflicts"]).success();
    shop.succeeded("deployment-0002");
    let live = shop.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:2");
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(live["metadata"]["uid"], uid);
    assert_eq!(colour(&shop), "blue");
    // They are ours now.
    shop.deploy_more("three", &deployment("web", "3", &Pods::Ready));
}

#[test]
fn after_a_rollout_was_undone_by_hand_the_next_deployment_conflicts_and_can_be_forced() {
    let shop = open(&sandbox!(), cluster!());
    shop.deploy_more("one", &deployment("web", "1", &Pods::Ready));
    shop.deploy_more("two", &deployment("web", "2", &Pods::Ready));
    shop.namespace.kubectl(&["rollout", "undo", "deployment/web"]).success();
    shop.release_more("three", &deployment("web", "3", &Pods::Ready));
    gets_no_number(&shop, "three", &[])
        .stderr_contains("'kubectl")
        .stderr_contains(".image")
        .stderr_contains("--force-conflicts");
    shop.deploy(&["--force-conflicts"]).success();
    shop.succeeded("deployment-0003");
    let live = shop.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:3");
}

#[test]
fn an_object_that_others_made_is_refused_and_by_force_becomes_ours_with_all_that_they_put_there() {
    let shop = open(&sandbox!(), cluster!());
    shop.namespace.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: more, labels: { team: theirs } }\ndata: { a: theirs, only: theirs }\n",
    );
    shop.namespace
        .kubectl_with_input(
            &["apply", "--server-side", "--field-manager=helm", "-f", "-"],
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: chart, labels: { helm: '3' } }\ndata: { a: theirs, values: theirs }\n",
        )
        .success();
    let manifests = [config_map("more", "a: ours"), config_map("chart", "a: ours")].concat();
    shop.release_more("more", &manifests);
    gets_no_number(&shop, "more", &[])
        .stderr_contains("/more' is there already and was not deployed by git-deploy")
        .stderr_contains("but by 'kubectl-client-side-apply'")
        .stderr_contains("but by 'helm'")
        .stderr_contains("--force-conflicts");
    shop.claimed_nothing();
    shop.changed_nothing();
    assert_eq!(shop.namespace.get("configmap", "more")["data"]["a"], "theirs");

    shop.deploy(&["--force-conflicts"]).success();
    shop.succeeded("deployment-0001");
    for name in ["more", "chart"] {
        let live = shop.namespace.get("configmap", name);
        assert_eq!(live["data"].to_string(), "{\"a\":\"ours\"}", "what they alone had there is gone");
        for label in ["team", "helm"] {
            assert!(live["metadata"]["labels"].get(label).is_none(), "{live:#}");
        }
    }
    // And it is deleted like anything of ours.
    shop.release_without("less", "deploy/more.yaml");
    shop.deploy(&[]).success();
    assert!(shop.namespace.find("configmap", "more").is_none());
}
