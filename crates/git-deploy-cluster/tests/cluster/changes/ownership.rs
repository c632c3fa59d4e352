//! Objects of others.

use git_deploy_cluster::Planned;
use git_deploy_core::deployment::Blame;
use git_deploy_core::environment::Effect;
use git_deploy_testkit::cluster;

use super::lab::{Lab, config_map, deployment};

#[tokio::test]
async fn an_object_of_another_set_is_refused_even_by_force() {
    let lab = Lab::new(cluster!(), "other").await.forcing();
    lab.namespace.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours, labels: { applyset.kubernetes.io/part-of: applyset-other-v1 } }\n",
    );
    let error = lab.refusal(&config_map("colours", "a: b")).await;
    assert_eq!(
        error.to_string(),
        format!(
            "ConfigMap '{}/colours' belongs to another set of objects, 'applyset-other-v1'",
            lab.namespace
        )
    );
    assert_eq!(error.blame(), Blame::Nobody);
}

#[tokio::test]
async fn an_object_that_is_in_no_set_is_taken_only_by_force() {
    let lab = Lab::new(cluster!(), "foreign").await;
    lab.namespace.kubectl(&["create", "configmap", "colours", "--from-literal=a=b"]).success();
    let wanted = config_map("colours", "a: c");
    let error = lab.refusal(&wanted).await;
    assert_eq!(
        error.to_string(),
        format!(
            "ConfigMap '{}/colours' is there already and was not deployed by git-deploy, but by 'kubectl-create'",
            lab.namespace
        )
    );
    assert!(error.hints().iter().any(|hint| hint.contains("--force-conflicts")));
    let lab = lab.forcing();
    lab.deploy(&wanted).await;
    assert_eq!(lab.namespace.get("configmap", "colours")["data"]["a"], "c");
}

#[tokio::test]
async fn the_environments_own_namespace_may_be_in_the_manifests_and_is_no_member() {
    let lab = Lab::new(cluster!(), "own").await;
    let own = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {}, labels: {{ team: shop }} }}\n",
        lab.namespace
    );
    lab.deploy(&own).await;
    let live = lab.namespace.get("namespace", lab.namespace.name());
    assert_eq!(live["metadata"]["labels"]["team"], "shop");
    assert_eq!(live["metadata"]["labels"].get(git_deploy_manifest::PART_OF_LABEL), None);
}

#[tokio::test]
async fn an_object_of_ours_that_lost_its_label_is_still_ours() {
    let lab = Lab::new(cluster!(), "label").await;
    let wanted = config_map("colours", "a: b");
    lab.deploy(&wanted).await;
    lab.namespace.kubectl(&["label", "configmap", "colours", "applyset.kubernetes.io/part-of-"]).success();
    assert_eq!(lab.effects(&wanted).await, [(Effect::Change, "colours".to_owned())]);
    lab.deploy(&wanted).await;
    let live = lab.namespace.get("configmap", "colours");
    assert_eq!(live["metadata"]["labels"][git_deploy_manifest::PART_OF_LABEL], lab.set().id.as_str());
}

#[tokio::test]
async fn one_that_somebody_makes_between_plan_and_apply_is_not_taken() {
    let lab = Lab::new(cluster!(), "taken").await;
    lab.deploy(&config_map("colours", "a: b")).await;
    let planned = lab.plan(&config_map("colours", "a: c")).await.unwrap();
    lab.namespace.kubectl(&["delete", "configmap", "colours"]).success();
    lab.namespace.kubectl(&["create", "configmap", "colours", "--from-literal=a=theirs"]).success();
    let error = lab.apply(&planned).await.unwrap_err();
    assert!(error.to_string().ends_with("somebody else made it since the plan was made"), "{error}");
    assert_eq!(lab.namespace.get("configmap", "colours")["data"]["a"], "theirs");
}

/// As another tool marks what is its own.
const THEIRS: &str = "applyset.kubernetes.io/part-of=applyset-other-v1";

/// Applies to what another set has taken meanwhile, which is left as it is.
async fn is_left(lab: &Lab, planned: &Planned, kind: &str, name: &str) {
    lab.namespace.kubectl(&["label", "--overwrite", kind, name, THEIRS]).success();
    let before = lab.namespace.get(kind, name);
    let error = lab.apply(planned).await.expect_err("it belongs to another set").to_string();
    assert!(error.contains("belongs to another set of objects"), "{error}");
    assert!(error.ends_with("'applyset-other-v1'"), "{error}");
    let after = lab.namespace.get(kind, name);
    for part in ["spec", "data"] {
        assert_eq!(after[part], before[part]);
    }
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
}

#[tokio::test]
async fn one_that_another_set_takes_between_plan_and_apply_is_left_to_it() {
    // Where replicas are taken back from our own helper.
    let lab = Lab::new(cluster!(), "taken").await;
    lab.deploy(&deployment("web", "replicas: 5", "", "")).await;
    lab.deploy(&deployment("web", "", "", "")).await;
    let planned = lab.plan(&deployment("web", "replicas: 2", "", "")).await.unwrap();
    is_left(&lab, &planned, "deployment", "web").await;
    // Where the user wants to take what is in no set.
    let lab = Lab::new(cluster!(), "taken").await.forcing();
    lab.namespace.kubectl(&["create", "configmap", "colours", "--from-literal=a=theirs"]).success();
    let planned = lab.plan(&config_map("colours", "a: ours")).await.unwrap();
    is_left(&lab, &planned, "configmap", "colours").await;
}

#[tokio::test]
async fn replicas_that_somebody_sets_between_plan_and_apply_are_theirs() {
    let lab = Lab::new(cluster!(), "scaled").await;
    lab.deploy(&deployment("web", "replicas: 5", "", "")).await;
    lab.deploy(&deployment("web", "", "", "")).await;
    let planned = lab.plan(&deployment("web", "replicas: 2", "", "")).await.unwrap();
    lab.namespace.kubectl(&["scale", "deployment/web", "--replicas=7"]).success();
    let error = lab.apply(&planned).await.unwrap_err().to_string();
    assert!(error.contains("'kubectl' holds .spec.replicas"), "{error}");
    assert_eq!(lab.namespace.get("deployment", "web")["spec"]["replicas"], 7);
}
