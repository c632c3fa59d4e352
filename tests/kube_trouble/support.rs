//! Shops in trouble, and their manifests.

use git_deploy_testkit::cluster::{Cluster, Namespace};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, Sandbox};

/// What base brings along.
pub(crate) const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { colour: blue }\n";

/// A shop in a namespace of its own, which is there.
pub(crate) fn open<'c>(sandbox: &Sandbox, cluster: &'c Cluster) -> ClusterShop<'c> {
    open_with(sandbox, cluster, "")
}

/// The same with more lines for the environment in base's `deploy.toml`.
pub(crate) fn open_with<'c>(sandbox: &Sandbox, cluster: &'c Cluster, lines: &str) -> ClusterShop<'c> {
    open_in(sandbox, cluster, cluster.namespace("trouble").create(), "shop", lines)
}

/// A project of that name, which deploys into that namespace.
pub(crate) fn open_in<'c>(
    sandbox: &Sandbox,
    cluster: &'c Cluster,
    namespace: Namespace<'c>,
    project: &str,
    lines: &str,
) -> ClusterShop<'c> {
    let timeout = if lines.contains("timeout = ") { "" } else { "timeout = \"2m\"" };
    in_cluster(cluster, project)
        .into_namespace(namespace)
        .project(project)
        .setting(timeout)
        .setting(lines)
        .file("deploy/settings.yaml", SETTINGS)
        .alone(sandbox)
}

/// Tries to deploy that branch where a deployment cannot even be planned, which is nobody's fault: it gets no number, nothing
/// is changed, and the branch stays in the queue.
#[track_caller]
pub(crate) fn gets_no_number(shop: &ClusterShop<'_>, branch: &str, arguments: &[&str]) -> Output {
    let (numbers, changes) = (numbers(shop), shop.changes().len());
    let output = shop.deploy(arguments);
    output.code_is(75).stderr_contains("error: plan: ").lacks("Failed Deployment");
    assert_eq!(self::numbers(shop), numbers, "a number was used");
    assert_eq!(shop.changes().len(), changes, "{:#?}", shop.changes());
    assert_eq!(shop.state(branch), "deployable", "no branch is to blame for it");
    shop.is_sound();
    output
}

/// All that bears a number: tags and attempts.
fn numbers(shop: &ClusterShop<'_>) -> Vec<String> {
    let has_number =
        |name: &String| name.starts_with("refs/tags/") || name.starts_with("refs/deploy/attempts/");
    shop.authority().refs().into_keys().filter(has_number).collect()
}

/// Other words in base's `deploy.toml`.
pub(crate) fn set(shop: &ClusterShop<'_>, before: &str, after: &str) {
    let deploy_toml = shop.repo.read("deploy.toml");
    assert!(deploy_toml.contains(before), "{deploy_toml}");
    shop.on_master("deploy.toml", &deploy_toml.replace(before, after));
}

/// A ConfigMap.
pub(crate) fn config_map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ {data} }}\n---\n")
}

/// Whether and how pods become ready: see the test cluster's stages.
pub(crate) enum Pods {
    Ready,
    Slow(&'static str),
    Unready,
    Waiting,
}

/// A Deployment of two pods with that version of its image.
pub(crate) fn deployment(name: &str, version: &str, pods: &Pods) -> String {
    let (behaviour, after) = match pods {
        Pods::Ready => ("plain", "0s"),
        Pods::Slow(after) => ("slow", *after),
        Pods::Unready => ("unready", "0s"),
        Pods::Waiting => ("waiting", "0s"),
    };
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata:
      labels: {{ app: {name}, test.git-deploy/pod: {behaviour} }}
      annotations: {{ test.git-deploy/after: {after} }}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {{ name: web, image: 'registry.example.org/web:{version}', readinessProbe: {{ tcpSocket: {{ port: 8080 }} }} }}
---
"
    )
}
