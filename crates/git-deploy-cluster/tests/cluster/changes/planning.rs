//! What a plan says, and what it cannot try yet.

use git_deploy_core::environment::Effect;
use git_deploy_manifest::Stage;
use git_deploy_testkit::cluster;

use super::lab::{Lab, config_map, deployment};

const WIDGETS: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.GROUP }
spec:
  group: GROUP
  scope: Namespaced
  names: { kind: Widget, plural: widgets }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: { spec: { type: object, properties: { size: { type: integer } } } }
---
apiVersion: GROUP/v1
kind: Widget
metadata: { name: small }
spec: { size: 1 }
---
";

#[tokio::test]
async fn planning_changes_nothing_and_tells_what_would_be() {
    let lab = Lab::new(cluster!(), "plan").await;
    lab.deploy(&format!("{}{}", config_map("same", "a: b"), config_map("other", "a: b"))).await;
    let changes = || lab.namespace.audit().iter().filter(|event| event.is_change()).count();
    let before = changes();
    let wanted =
        format!("{}{}{}", config_map("same", "a: b"), config_map("other", "a: c"), config_map("new", "a: d"));
    let planned = lab.plan(&wanted).await.unwrap();
    let effects: Vec<_> = planned.objects.iter().map(|o| (o.effect, o.target.id.name.as_str())).collect();
    assert_eq!(effects, [(Effect::Keep, "same"), (Effect::Change, "other"), (Effect::Create, "new")]);
    let diffs: Vec<String> = planned.objects.iter().map(|object| object.diff()).collect();
    assert_eq!(diffs[0], "");
    assert!(diffs[1].contains("-  a: b\n+  a: c\n"), "{}", diffs[1]);
    assert!(diffs[2].starts_with("--- /dev/null\n"), "{}", diffs[2]);
    assert_eq!(changes(), before);
}

#[tokio::test]
async fn a_definition_and_its_objects_can_be_planned_and_applied_together() {
    let lab = Lab::new(cluster!(), "widgets").await;
    let manifests = WIDGETS.replace("GROUP", &format!("{}.example.org", lab.namespace));
    let planned = lab.plan(&manifests).await.unwrap();
    let steps: Vec<Stage> = planned.steps().iter().map(|(stage, _)| *stage).collect();
    assert_eq!(steps, [Stage::Foundations, Stage::CustomResources]);
    let why = planned.objects[1].unvalidated.as_deref().unwrap();
    assert_eq!(why, "kind 'Widget' is defined by this deployment");
    lab.deploy(&manifests).await;
    assert_eq!(lab.effects(&manifests).await.iter().filter(|(effect, _)| *effect == Effect::Keep).count(), 2);
    // With its definition goes what is of that kind, but not as long as somebody else has one.
    let (deleted, kept) = lab.prune(&config_map("keep", "a: b")).await;
    assert_eq!((deleted.len(), kept.len()), (2, 0), "{deleted:?} {kept:?}");
}

#[tokio::test]
async fn objects_of_a_namespace_that_is_not_there_yet_are_planned_without_a_trial() {
    let mut lab = Lab::new(cluster!(), "outer").await;
    let inner = format!("{}-inner", lab.namespace);
    lab.allow_namespace(&inner);
    let manifests = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {inner} }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: colours, namespace: {inner} }}\n"
    );
    let planned = lab.plan(&manifests).await.unwrap();
    let expected = format!("namespace '{inner}' is not there yet");
    assert_eq!(planned.objects[1].unvalidated.as_deref(), Some(expected.as_str()));
    lab.deploy(&manifests).await;
    assert_eq!(lab.effects(&manifests).await.iter().filter(|(effect, _)| *effect == Effect::Keep).count(), 2);
}

#[tokio::test]
async fn a_pod_whose_account_comes_with_it_is_planned_without_a_trial() {
    let lab = Lab::new(cluster!(), "pod").await;
    let manifests = "apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: robot }\n---\napiVersion: v1\nkind: Pod\nmetadata: { name: one }\nspec: { serviceAccountName: robot, containers: [{ name: a, image: a:1 }] }\n";
    let planned = lab.plan(manifests).await.unwrap();
    assert!(planned.objects[1].unvalidated.is_some());
    lab.deploy(manifests).await;
}

#[tokio::test]
async fn a_service_is_new_before_the_workloads_and_changes_its_selector_after_them() {
    let lab = Lab::new(cluster!(), "selector").await;
    let manifests = |selector: &str| {
        format!(
            "{}apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec: {{ selector: {{ app: {selector} }}, ports: [{{ port: 80 }}] }}\n",
            deployment("web", "", "", "")
        )
    };
    let stages = |planned: git_deploy_cluster::Planned| -> Vec<(Stage, String)> {
        planned.objects.into_iter().map(|object| (object.stage, object.target.id.kind)).collect()
    };
    let service = |stage| (stage, "Service".to_owned());
    let workload = (Stage::Workloads, "Deployment".to_owned());
    let planned = lab.plan(&manifests("web")).await.unwrap();
    assert_eq!(stages(planned), [service(Stage::Services), workload.clone()]);
    lab.deploy(&manifests("web")).await;
    let planned = lab.plan(&manifests("next")).await.unwrap();
    assert_eq!(stages(planned), [workload, service(Stage::Traffic)]);
}

#[tokio::test]
async fn order_within_a_stage_makes_steps_of_their_own() {
    let lab = Lab::new(cluster!(), "order").await;
    let with = |name: &str, order: &str| {
        config_map(name, "a: b").replace(
            "metadata: { ",
            &format!("metadata: {{ annotations: {{ git-deploy/order: '{order}' }}, "),
        )
    };
    let planned =
        lab.plan(&format!("{}{}{}", with("c", "1"), with("b", "-1"), config_map("a", "a: b"))).await.unwrap();
    let steps: Vec<Vec<&str>> = planned
        .steps()
        .iter()
        .map(|(_, objects)| objects.iter().map(|object| object.target.id.name.as_str()).collect())
        .collect();
    assert_eq!(steps, [vec!["b"], vec!["a"], vec!["c"]]);
    let error = lab.refusal(&with("c", "first")).await;
    assert!(error.to_string().contains("must be an integer, not 'first'"), "{error}");
}

#[tokio::test]
async fn an_object_in_an_older_version_of_its_kind_is_kept_where_nothing_changes() {
    let lab = Lab::new(cluster!(), "version").await;
    let hpa = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\nspec: { scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }, minReplicas: 1, maxReplicas: 2, targetCPUUtilizationPercentage: 80 }\n";
    lab.deploy(hpa).await;
    assert_eq!(lab.effects(hpa).await, [(Effect::Keep, "web".to_owned())]);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_seen_by_a_plan_that_would_take_it_over() {
    let lab = Lab::new(cluster!(), "drift").await;
    let wanted = deployment("web", "replicas: 1", "", "env: [{ name: A, value: '1' }]");
    lab.deploy(&wanted).await;
    lab.namespace.kubectl(&["set", "env", "deployment/web", "BY_HAND=1"]).success();
    lab.namespace.kubectl(&["scale", "deployment/web", "--replicas=2"]).success();
    assert!(lab.refusal(&wanted).await.to_string().ends_with("'kubectl' holds .spec.replicas"));
    let lab = lab.forcing();
    let planned = lab.plan(&wanted).await.unwrap();
    let diff = planned.objects[0].diff();
    assert_eq!(planned.objects[0].effect, Effect::Change);
    for line in ["-  replicas: 2", "+  replicas: 1", "-        - name: BY_HAND"] {
        assert!(diff.contains(line), "{line}\n{diff}");
    }
    lab.apply(&planned).await.unwrap();
    assert_eq!(lab.effects(&wanted).await, [(Effect::Keep, "web".to_owned())]);
}
