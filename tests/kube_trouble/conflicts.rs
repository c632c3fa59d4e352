//! What others hold.

use git_deploy_testkit::{cluster, sandbox};

use crate::lab::{Lab, Pods, config_map, deployment};

#[test]
fn fields_that_others_have_edited_are_named_with_who_did_and_are_taken_over_only_by_force() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &deployment("web", "1", &Pods::Ready));
    let before = lab.changes().len();
    let image = "deployment/web";
    lab.namespace
        .kubectl(&[
            "set",
            "image",
            image,
            "web=registry.example.org/web:edited",
            "--field-manager=kubectl-edit",
        ])
        .success();
    lab.namespace.kubectl(&["scale", image, "--replicas=5"]).success();
    lab.namespace
        .kubectl(&["patch", "configmap", "settings", "-p", "{\"data\":{\"colour\":\"red\"}}"])
        .success();
    let uid = lab.namespace.get("deployment", "web")["metadata"]["uid"].clone();

    lab.deployable("two", &deployment("web", "2", &Pods::Ready));
    let output = lab.deploy(&[]);
    output
        .code_is(75)
        .stdout_contains("'kubectl-edit' holds .spec.template.spec.containers[name=\"web\"].image");
    output
        .stdout_contains("'kubectl' holds .spec.replicas")
        .stdout_contains("'kubectl-patch' holds .data.colour");
    output.stderr_contains("--force-conflicts");
    lab.failed("deployment-0002", "'kubectl-edit' holds");
    assert_eq!(lab.changes().len(), before, "nothing is changed when anything conflicts");
    assert_eq!(lab.colour(), "red");
    assert_eq!(lab.shop.state("two"), "deployable", "no branch is to blame for what was done by hand");

    lab.deploy(&["--force-conflicts"]).success();
    lab.succeeded("deployment-0003");
    let live = lab.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:2");
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(live["metadata"]["uid"], uid);
    assert_eq!(lab.colour(), "blue");
    // They are ours now.
    lab.deployed("three", &deployment("web", "3", &Pods::Ready));
}

#[test]
fn after_a_rollout_was_undone_by_hand_the_next_deployment_conflicts_and_can_be_forced() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.deployed("one", &deployment("web", "1", &Pods::Ready));
    lab.deployed("two", &deployment("web", "2", &Pods::Ready));
    lab.namespace.kubectl(&["rollout", "undo", "deployment/web"]).success();
    lab.deployable("three", &deployment("web", "3", &Pods::Ready));
    lab.deploy(&[])
        .code_is(75)
        .stdout_contains("'kubectl")
        .stdout_contains(".image")
        .stderr_contains("--force-conflicts");
    lab.deploy(&["--force-conflicts"]).success();
    let live = lab.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.org/web:3");
}

#[test]
fn an_object_that_others_made_is_refused_and_by_force_becomes_ours_with_all_that_they_put_there() {
    let lab = Lab::new(&sandbox!(), cluster!());
    lab.namespace.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: more, labels: { team: theirs } }\ndata: { a: theirs, only: theirs }\n",
    );
    lab.namespace
        .kubectl_with_input(
            &["apply", "--server-side", "--field-manager=helm", "-f", "-"],
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: chart, labels: { helm: '3' } }\ndata: { a: theirs, values: theirs }\n",
        )
        .success();
    let manifests = [config_map("more", "a: ours"), config_map("chart", "a: ours")].concat();
    lab.deployable("more", &manifests);
    let output = lab.deploy(&[]);
    output.code_is(75).stdout_contains("/more' is there already and was not deployed by git-deploy");
    output.stdout_contains("but by 'kubectl-client-side-apply'").stdout_contains("but by 'helm'");
    output.stderr_contains("--force-conflicts");
    lab.changed_nothing();
    assert_eq!(lab.namespace.get("configmap", "more")["data"]["a"], "theirs");

    lab.deploy(&["--force-conflicts"]).success();
    for name in ["more", "chart"] {
        let live = lab.namespace.get("configmap", name);
        assert_eq!(live["data"].to_string(), "{\"a\":\"ours\"}", "what they alone had there is gone");
        for label in ["team", "helm"] {
            assert!(live["metadata"]["labels"].get(label).is_none(), "{live:#}");
        }
    }
    // And it is deleted like anything of ours.
    lab.deployable_without("less", "deploy/more.yaml");
    lab.deploy(&[]).success();
    assert!(lab.namespace.find("configmap", "more").is_none());
}
