use serde_json::json;

use super::*;

fn stage(group: &str, kind: &str, object: &Value) -> Stage {
    let id = ObjectId {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        name: "a".to_owned(),
    };
    Stage::of(&id, object)
}

#[test]
fn what_others_need_to_be_accepted_comes_before_them() {
    let none = json!({});
    let token = json!({"type": "kubernetes.io/service-account-token"});
    let once = json!({"metadata": {"annotations": {"git-deploy/one-time": "true"}}});
    for (group, kind, object, expected) in [
        ("", "Namespace", &none, Stage::Foundations),
        ("apiextensions.k8s.io", "CustomResourceDefinition", &none, Stage::Foundations),
        ("scheduling.k8s.io", "PriorityClass", &none, Stage::Foundations),
        ("storage.k8s.io", "StorageClass", &none, Stage::Foundations),
        ("", "PersistentVolume", &none, Stage::Foundations),
        ("", "ConfigMap", &none, Stage::Configuration),
        ("", "Secret", &none, Stage::Configuration),
        ("", "Secret", &token, Stage::Bindings),
        ("", "ServiceAccount", &none, Stage::Configuration),
        ("", "ResourceQuota", &none, Stage::Configuration),
        ("", "LimitRange", &none, Stage::Configuration),
        ("", "PersistentVolumeClaim", &none, Stage::Configuration),
        ("networking.k8s.io", "NetworkPolicy", &none, Stage::Configuration),
        ("policy", "PodDisruptionBudget", &none, Stage::Configuration),
        ("rbac.authorization.k8s.io", "Role", &none, Stage::Configuration),
        ("rbac.authorization.k8s.io", "ClusterRole", &none, Stage::Configuration),
        ("rbac.authorization.k8s.io", "RoleBinding", &none, Stage::Bindings),
        ("example.org", "Widget", &none, Stage::CustomResources),
        ("batch", "Job", &once, Stage::Jobs),
        ("batch", "Job", &none, Stage::Workloads),
        ("batch", "CronJob", &none, Stage::Workloads),
        ("", "Service", &none, Stage::Services),
        ("", "Pod", &none, Stage::Workloads),
        ("apps", "Deployment", &none, Stage::Workloads),
        ("autoscaling", "HorizontalPodAutoscaler", &none, Stage::Workloads),
        ("networking.k8s.io", "Ingress", &none, Stage::Traffic),
        ("gateway.networking.k8s.io", "HTTPRoute", &none, Stage::Traffic),
        ("apiregistration.k8s.io", "APIService", &none, Stage::Admission),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", &none, Stage::Admission),
    ] {
        assert_eq!(stage(group, kind, object), expected, "{kind}.{group}");
    }
    assert!(Stage::ALL.is_sorted());
}

#[test]
fn deleting_goes_the_other_way_round_with_custom_resources_before_their_controllers() {
    let mut stages = Stage::ALL;
    stages.sort_by_key(|stage| stage.deletion_rank());
    let at = |stage| stages.iter().position(|other| *other == stage).unwrap();
    assert!(at(Stage::Admission) < at(Stage::Traffic));
    assert!(at(Stage::Traffic) < at(Stage::Workloads));
    assert!(at(Stage::CustomResources) < at(Stage::Workloads));
    assert!(at(Stage::Workloads) < at(Stage::Services));
    assert!(at(Stage::Services) < at(Stage::Configuration));
    assert_eq!(at(Stage::Foundations), stages.len() - 1);
}

#[test]
fn an_order_is_an_integer_and_nothing_else() {
    let with = |text: &str| json!({"metadata": {"annotations": {"git-deploy/order": text}}});
    assert_eq!(order(&json!({})), Ok(0));
    assert_eq!(order(&with("-3")), Ok(-3));
    assert_eq!(order(&with(" 7 ")), Ok(7));
    assert_eq!(order(&with("first")), Err("first".to_owned()));
}

#[test]
fn a_service_leads_elsewhere_when_its_selector_is_another() {
    let service = |selector: Value| json!({"spec": {"selector": selector}});
    assert!(!selector_changes(&service(json!({"app": "a"})), &service(json!({"app": "a"}))));
    assert!(selector_changes(&service(json!({"app": "a"})), &service(json!({"app": "b"}))));
    assert!(!selector_changes(&json!({"spec": {}}), &service(json!(null))));
    assert!(selector_changes(&json!({"spec": {}}), &service(json!({"app": "b"}))));
}
