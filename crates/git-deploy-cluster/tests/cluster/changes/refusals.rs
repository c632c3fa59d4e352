//! What the API server refuses, and whose fault that is.

use git_deploy_cluster::{ApiErrorKind, PlanProblem};
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::{SourceFile, read};
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::eventually;
use git_deploy_testkit::manifests::{policy, webhook};

use super::lab::{Lab, config_map, deployment};

async fn kind_and_blame(lab: &Lab, manifests: &str) -> (ApiErrorKind, Blame, String) {
    let error = lab.refusal(manifests).await;
    let PlanProblem::Refused { why, .. } = &error.problems[0] else { panic!("{error}") };
    (why.kind().clone(), error.blame(), error.to_string())
}

#[tokio::test]
async fn an_object_that_is_not_valid_is_the_branchs_fault() {
    let lab = Lab::new(cluster!(), "invalid").await;
    for manifests in [
        deployment("web", "replicas: many", "", ""),
        deployment("web", "replicaz: 1", "", ""),
        deployment("web", "replicas: -1", "", ""),
        deployment("web", "", "", "imagePullPolicy: Sometimes"),
        config_map("colours", "a: b").replace("\ndata:", "\ndater:"),
        config_map("colours", "a: b").replace("name: colours", "name: Colours"),
        "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\ndata: { a: '???' }\n".to_owned(),
    ] {
        let (kind, blame, text) = kind_and_blame(&lab, &manifests).await;
        assert_eq!((kind, blame), (ApiErrorKind::Invalid, Blame::Branch), "{text}\n{manifests}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_together() {
    let lab = Lab::new(cluster!(), "invalid").await;
    let manifests = format!(
        "{}{}{}",
        deployment("web", "replicaz: 1", "", ""),
        config_map("colours", "a: b"),
        deployment("api", "replicas: -1", "", "")
    );
    let error = lab.plan(&manifests).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.problems.len(), 2, "{text}");
    assert!(text.contains("/web'") && text.contains("/api'"), "{text}");
}

#[tokio::test]
async fn a_field_that_cannot_be_changed_is_the_branchs_fault() {
    let lab = Lab::new(cluster!(), "immutable").await;
    let job = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: a }}\nspec: {{ template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: a, image: '{image}' }}] }} }} }}\n---\n"
        )
    };
    let claim = |size: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: a }}\nspec: {{ accessModes: [{size}], resources: {{ requests: {{ storage: 1Gi }} }} }}\n---\n"
        )
    };
    let frozen = |value: &str| {
        format!("{}immutable: true\n", config_map("a", &format!("a: {value}")).replace("---\n", ""))
    };
    let set = |service: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{ name: a }}\nspec: {{ serviceName: {service}, selector: {{ matchLabels: {{ a: b }} }}, template: {{ metadata: {{ labels: {{ a: b }} }}, spec: {{ containers: [{{ name: a, image: a:1 }}] }} }} }}\n---\n"
        )
    };
    for (before, after) in [
        (job("a:1"), job("a:2")),
        (claim("ReadWriteOnce"), claim("ReadWriteMany")),
        (frozen("b"), frozen("c")),
        (set("one"), set("two")),
        (deployment("web", "", "", ""), deployment("web", "", "", "").replace("app: web", "app: other")),
    ] {
        lab.deploy(&before).await;
        let (kind, blame, text) = kind_and_blame(&lab, &after).await;
        assert_eq!((kind, blame), (ApiErrorKind::Immutable, Blame::Branch), "{text}");
    }
}

#[tokio::test]
async fn what_a_policy_denies_is_the_branchs_fault() {
    let lab = Lab::new(cluster!(), "denied").await;
    lab.namespace
        .kubectl(&[
            "label",
            "namespace",
            lab.namespace.name(),
            "pod-security.kubernetes.io/enforce=restricted",
        ])
        .success();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: one }\nspec: { hostNetwork: true, containers: [{ name: a, image: a:1 }] }\n";
    // The account of the namespace may still be on its way.
    eventually("the account is there", || lab.namespace.find("serviceaccount", "default").is_some());
    let (kind, blame, text) = kind_and_blame(&lab, pod).await;
    assert_eq!((kind, blame), (ApiErrorKind::Denied, Blame::Branch), "{text}");

    let name = lab.namespace.name();
    lab.namespace.apply(&policy(name));
    eventually("the policy is in force", || {
        let create = ["create", "configmap", "colours", "--dry-run=server"];
        lab.namespace.kubectl(&create).code != Some(0)
    });
    let (kind, blame, text) = kind_and_blame(&lab, &config_map("colours", "a: b")).await;
    assert_eq!((kind, blame), (ApiErrorKind::Denied, Blame::Branch), "{text}");
    assert!(text.contains("no colours here"), "{text}");
    lab.namespace
        .kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name])
        .success();
}

#[tokio::test]
async fn what_would_let_others_delete_an_object_is_the_branchs_fault() {
    let lab = Lab::new(cluster!(), "owned").await.forcing();
    let owner = "ownerReferences: [{ apiVersion: v1, kind: ConfigMap, name: none, uid: none }]";
    let with =
        |manifest: &str, field: &str| manifest.replace("metadata: { ", &format!("metadata: {{ {field}, "));
    let map = config_map("colours", "a: b");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {} }}\n", lab.namespace);
    for (manifest, field) in [
        (with(&map, owner), "ownerReferences"),
        (with(&namespace, owner), "ownerReferences"),
        (with(&map, "deletionTimestamp: '2026-11-20T12:00:00Z'"), "deletionTimestamp"),
        (with(&map, "deletionGracePeriodSeconds: 0"), "deletionGracePeriodSeconds"),
        (with(&namespace, "finalizers: [example.org/held]"), "finalizers"),
    ] {
        let error = lab.refusal(&manifest).await;
        let text = error.to_string();
        assert!(text.ends_with(&format!(": a manifest must not give it 'metadata.{field}'")), "{text}");
        assert_eq!(error.blame(), Blame::Branch, "{text}");
    }
    for harmless in ["ownerReferences: []", "deletionTimestamp: null", "finalizers: [example.org/held]"] {
        assert_eq!(lab.effects(&with(&map, harmless)).await.len(), 1, "{harmless}");
    }
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_is_nobodys_fault() {
    let lab = Lab::new(cluster!(), "webhook").await;
    let name = lab.namespace.name();
    lab.namespace.apply(&webhook(name, "", "configmaps"));
    eventually("the webhook is asked", || {
        let create = ["create", "configmap", "colours", "--dry-run=server"];
        lab.namespace.kubectl(&create).code != Some(0)
    });
    let (kind, blame, text) = kind_and_blame(&lab, &config_map("colours", "a: b")).await;
    assert_eq!((kind, blame), (ApiErrorKind::Server, Blame::Nobody), "{text}");
    lab.namespace.kubectl(&["delete", "validatingwebhookconfiguration", name]).success();
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_nobodys_fault() {
    let lab = Lab::new(cluster!(), "quota").await;
    lab.namespace.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { count/configmaps: 1 } }\n");
    eventually("the quota counts", || {
        lab.namespace.get("resourcequota", "few")["status"]["used"]["count/configmaps"] == "1"
    });
    let (kind, blame, text) = kind_and_blame(&lab, &config_map("colours", "a: b")).await;
    assert_eq!((kind, blame), (ApiErrorKind::Quota, Blame::Nobody), "{text}");
}

#[tokio::test]
async fn kinds_that_nobody_knows_and_what_is_out_of_bounds_are_told_together() {
    let mut lab = Lab::new(cluster!(), "unknown").await;
    lab.bounds.kinds = None;
    let manifests = "apiVersion: apps/v1\nkind: Deploymant\nmetadata: { name: a }\n---\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: { name: a }\n---\napiVersion: example.org/v1\nkind: Unicorn\nmetadata: { name: a }\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: a, namespace: b }\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: kube-system }\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: a }\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: a, namespace: NAMESPACE }\n";
    let manifests = manifests.replace("NAMESPACE", lab.namespace.name());
    let file = SourceFile { path: "all.yaml".to_owned(), bytes: manifests.into_bytes() };
    let objects = read(&[file]).unwrap();
    let problems =
        lab.resources().await.targets(&objects, lab.namespace.name(), Some(&lab.bounds)).unwrap_err();
    let texts: Vec<String> = problems
        .iter()
        .map(|problem| problem.to_string().replace(lab.namespace.name(), "NAMESPACE"))
        .collect();
    assert_eq!(
        texts,
        [
            "Deploymant 'a': the cluster does not know the kind 'Deploymant' of 'apps/v1', did you mean 'Deployment' of 'apps/v1'?",
            "Ingress 'a': the cluster does not know the kind 'Ingress' of 'extensions/v1beta1', did you mean 'Ingress' of 'networking.k8s.io/v1'?",
            "Unicorn 'a': the cluster does not know the kind 'Unicorn' of 'example.org/v1'",
            "ClusterRole 'a': the environment does not allow objects of kind 'ClusterRole.rbac.authorization.k8s.io', see 'allow-kinds' in deploy.toml",
            "ConfigMap 'kube-system/a': the environment does not allow namespace 'kube-system', see 'allow-namespaces' in deploy.toml",
            "Secret 'NAMESPACE/a' stands there twice, once with its namespace and once without; remove one",
        ]
    );
}
