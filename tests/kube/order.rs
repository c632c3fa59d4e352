//! The order of things, as the API server's audit log has it.

use git_deploy_testkit::cluster::{AuditEvent, Cluster};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{cluster, sandbox};
use serde_json::{Value, json};

use crate::support::{MANIFEST, all_ready, behaving, config_map, deployment, ours, service, yaml};

/// A kind of the namespace's own, so that tests do not meet in what has no namespace.
pub(crate) fn definition(namespace: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("sales.{namespace}.example.org") },
        "spec": {
            "group": format!("{namespace}.example.org"),
            "scope": "Namespaced",
            "names": { "kind": "Sale", "plural": "sales", "singular": "sale" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": {
                        "type": "object",
                        "properties": { "percent": { "type": "integer", "maximum": 90 } },
                    } },
                } },
            }],
        },
    })
}

pub(crate) fn sale(namespace: &str, percent: u32) -> Value {
    json!({
        "apiVersion": format!("{namespace}.example.org/v1"),
        "kind": "Sale",
        "metadata": { "name": "spring" },
        "spec": { "percent": percent },
    })
}

/// Asks about objects of a group that nobody has.
fn webhook(namespace: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": namespace },
        "webhooks": [{
            "name": format!("sales.{namespace}.example.org"),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Ignore",
            "clientConfig": { "service": { "name": "nobody", "namespace": namespace } },
            "rules": [{
                "apiGroups": ["nobody.example.org"], "apiVersions": ["v1"],
                "operations": ["CREATE"], "resources": ["nothings"],
            }],
        }],
    })
}

fn ingress(version: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": "web" },
        "spec": { "rules": [{
            "host": format!("{version}.example.org"),
            "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": "web", "port": { "number": 80 } } },
            }] },
        }] },
    })
}

fn account(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } })
}

fn slowly(deployment: Value) -> Value {
    behaving(deployment, "slow", json!({ "test.git-deploy/after": "800ms" }))
}

/// What it begins with.
fn before() -> String {
    yaml(&[
        ingress("one"),
        deployment("web", "1"),
        deployment("old", "1"),
        service("web", "1"),
        config_map("colours", "1"),
        config_map("old", "1"),
    ])
}

/// Everything is changed, in an order that would not do; requests go to another Deployment, and the old one goes.
fn after(namespace: &str) -> String {
    let mut web = service("web", "2");
    web["spec"]["selector"] = json!({ "app": "front" });
    yaml(&[
        webhook(namespace),
        ingress("two"),
        web,
        slowly(deployment("front", "2")),
        slowly(deployment("web", "2")),
        service("front", "2"),
        sale(namespace, 10),
        account("front"),
        config_map("colours", "2"),
        definition(namespace),
    ])
}

/// What was asked of the API server about a namespace's objects and what has its name.
struct Log(Vec<AuditEvent>);

impl Log {
    /// What came after so many requests.
    fn since(cluster: &Cluster, shop: &ClusterShop<'_>, count: usize) -> Self {
        let name = shop.namespace.name();
        let mut events = cluster.audit();
        events.drain(..count);
        events.retain(|event| event.namespace == name || event.name.contains(name));
        Self(events)
    }

    /// The changes of these objects, `resource/name`, by the tool under test.
    fn changes(&self, of: &[&str]) -> Vec<&AuditEvent> {
        let all = ours(&self.0).into_iter();
        let found: Vec<_> =
            all.filter(|event| of.contains(&format!("{}/{}", event.resource, event.name).as_str())).collect();
        for object in of {
            let is_it = |event: &&AuditEvent| format!("{}/{}", event.resource, event.name) == *object;
            assert!(found.iter().any(is_it), "'{object}' was not changed: {:#?}", ours(&self.0));
        }
        found
    }

    /// Each of these groups was changed after the one before it.
    fn is_in_order(&self, groups: &[&[&str]]) {
        for pair in groups.windows(2) {
            let earlier = self.changes(pair[0]).into_iter().map(|event| &event.received).max();
            let later = self.changes(pair[1]).into_iter().map(|event| &event.received).min();
            assert!(earlier < later, "{:?} at {earlier:?}, then {:?} at {later:?}", pair[0], pair[1]);
        }
    }

    /// These were changed when all Deployments were ready.
    fn is_after_ready(&self, of: &[&str]) {
        let ready = all_ready(&self.0);
        for event in self.changes(of) {
            assert!(event.received > ready, "{} before all was ready, {ready}: {event:#?}", event.name);
        }
    }
}

#[test]
fn what_others_need_comes_first_and_what_leads_to_pods_when_these_are_ready() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "order").setting("allow-kinds = [\"*\"]").with_remote(&sandbox!());
    let name = shop.namespace.name();
    shop.release("before", &[(MANIFEST, &before())]);
    shop.deploy(&[]).success();
    let count = cluster.audit().len();
    shop.release("after", &[(MANIFEST, &after(name))]);
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    let log = Log::since(cluster, &shop, count);
    let crd = format!("customresourcedefinitions/sales.{name}.example.org");
    let hook = format!("validatingwebhookconfigurations/{name}");
    log.is_in_order(&[
        &[&crd],
        &["serviceaccounts/front", "configmaps/colours"],
        &["sales/spring"],
        &["services/front"],
        &["deployments/front", "deployments/web"],
        &["services/web", "ingresses/web"],
        &[&hook],
        &["deployments/old"],
        &["configmaps/old"],
    ]);
    log.is_after_ready(&["services/web", "ingresses/web", &hook, "deployments/old", "configmaps/old"]);
    assert_eq!(shop.namespace.get(&format!("sales.{name}.example.org"), "spring")["spec"]["percent"], 10);
    shop.is_sound();
}

#[test]
fn what_is_no_longer_wanted_is_deleted_in_the_reverse_order() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "order").setting("allow-kinds = [\"*\"]").alone(&sandbox!());
    let name = shop.namespace.name();
    shop.release("after", &[(MANIFEST, &after(name))]);
    shop.deploy(&[]).success();
    let count = cluster.audit().len();
    shop.release("before", &[(MANIFEST, &yaml(&[slowly(deployment("web", "3"))]))]);
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    let log = Log::since(cluster, &shop, count);
    let crd = format!("customresourcedefinitions/sales.{name}.example.org");
    let hook = format!("validatingwebhookconfigurations/{name}");
    let order: [&[&str]; 7] = [
        &[&hook],
        &["ingresses/web"],
        &["sales/spring"],
        &["deployments/front"],
        &["services/front", "services/web"],
        &["serviceaccounts/front", "configmaps/colours"],
        &[&crd],
    ];
    log.is_in_order(&order);
    log.is_after_ready(&order.concat());
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), ["Deployment web"]);
    cluster.kubectl(&["get", "--ignore-not-found", &crd]).success().stdout_is("");
    shop.is_sound();
}

#[test]
fn a_custom_resource_that_its_new_definition_refuses_fails_the_deployment() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "order").setting("allow-kinds = [\"*\"]").with_remote(&sandbox!());
    let name = shop.namespace.name();
    shop.release("before", &[(MANIFEST, &before())]);
    shop.deploy(&[]).success();
    let standing = shop.standing();
    let release =
        yaml(&[definition(name), sale(name, 99), deployment("web", "2"), config_map("colours", "2")]);
    shop.release("refused", &[(MANIFEST, &release)]);
    let output = shop.deploy(&[]);
    output.code_is(1).stdout_contains("Failed Deployment").stdout_contains("spring").stdout_contains("90");
    assert_eq!(shop.standing(), standing, "{output}");
    assert_eq!(shop.state("refused"), "staged");
    shop.is_sound();
}

#[test]
fn kinds_without_a_namespace_have_to_be_allowed() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "order").alone(&sandbox!());
    let name = shop.namespace.name();
    shop.release("greedy", &[(MANIFEST, &yaml(&[definition(name), config_map("colours", "1")]))]);
    shop.deploy(&[]).code_is(1).stdout_contains("CustomResourceDefinition").stdout_contains("allow-kinds");
    assert_eq!(shop.state("greedy"), "staged");
    assert_eq!(shop.namespace.find("configmap", "colours"), None);
    shop.is_sound();
}

#[test]
fn what_is_never_pruned_stays_and_is_of_the_set_still() {
    let cluster = cluster!();
    let shop = in_cluster(cluster, "order").setting("prune = \"never\"").with_remote(&sandbox!());
    shop.release("before", &[(MANIFEST, &before())]);
    shop.deploy(&[]).success();
    shop.release("less", &[(MANIFEST, &yaml(&[deployment("web", "2")]))]);
    shop.deploy(&[]).success().stdout_contains("deployment-0002: Successfully Deployed");
    let all = [
        "ConfigMap colours",
        "ConfigMap old",
        "Deployment old",
        "Deployment web",
        "Ingress web",
        "Service web",
    ];
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), all);
    let events = shop.namespace.audit();
    assert!(!ours(&events).iter().any(|event| event.is_delete()), "{events:#?}");
    // Once it may be, all that was left goes.
    let deploy_toml = shop.repo.read("deploy.toml").replace("\"never\"", "\"now\"");
    shop.repo.git(&["pull", "--quiet", "--ff-only"]);
    shop.on_master("deploy.toml", &deploy_toml);
    shop.release("tidy", &[(MANIFEST, &yaml(&[deployment("web", "3")]))]);
    shop.deploy(&[]).success().stdout_contains("deployment-0003: Successfully Deployed");
    assert_eq!(shop.standing().into_keys().collect::<Vec<_>>(), ["Deployment web"]);
    shop.is_sound();
}
