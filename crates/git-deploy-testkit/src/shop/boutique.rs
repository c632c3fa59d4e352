//! A shop of a dozen services in two releases, with 24 objects and with 35.
//!
//! It is Google's Online Boutique where the project's shared cases are at hand, else one of the same shape and names.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The shared cases, seen from this crate.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cases/online-boutique");

const EARLIER: &str = "v0.3.9";
const LATER: &str = "v0.10.3";

/// The Deployments that have a ServiceAccount in the later release.
pub const SERVICES: [&str; 11] = [
    "adservice",
    "cartservice",
    "checkoutservice",
    "currencyservice",
    "emailservice",
    "frontend",
    "loadgenerator",
    "paymentservice",
    "productcatalogservice",
    "recommendationservice",
    "shippingservice",
];

/// Two releases of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boutique {
    /// 12 Deployments and 12 Services.
    pub earlier: String,
    /// The same with other images, and 11 ServiceAccounts.
    pub later: String,
}

impl Boutique {
    /// The one of the shared cases, else our own.
    #[must_use]
    pub fn find() -> Self {
        match (shared(EARLIER), shared(LATER)) {
            (Some(earlier), Some(later)) => Self { earlier, later },
            _ => Self::own(),
        }
    }

    /// Our own.
    #[must_use]
    pub fn own() -> Self {
        Self { earlier: documents(EARLIER, false), later: documents(LATER, true) }
    }

    /// The earlier release with that version in every image that has one.
    #[must_use]
    pub fn earlier_as(&self, version: &str) -> String {
        self.earlier.replace(&format!(":{EARLIER}"), &format!(":{version}"))
    }
}

fn shared(version: &str) -> Option<String> {
    fs::read_to_string(Path::new(CASES).join(version).join("kubernetes-manifests.yaml")).ok()
}

fn documents(version: &str, accounts: bool) -> String {
    let mut objects =
        vec![deployment("redis-cart", "redis:alpine", None), service("redis-cart", "redis-cart", 6379)];
    for name in SERVICES {
        let image = format!("registry.example.org/boutique/{name}:{version}");
        objects.push(deployment(name, &image, accounts.then_some(name)));
        // It only asks.
        if name != "loadgenerator" {
            objects.push(service(name, name, 8080));
        }
        if accounts {
            objects
                .push(json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } }));
        }
    }
    let mut external = service("frontend-external", "frontend", 80);
    external["spec"]["type"] = json!("LoadBalancer");
    objects.push(external);
    objects.iter().map(|object| format!("---\n{object}\n")).collect()
}

fn deployment(name: &str, image: &str, account: Option<&str>) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "serviceAccountName": account.unwrap_or("default"),
                    "containers": [{
                        "name": "server",
                        "image": image,
                        "readinessProbe": { "tcpSocket": { "port": 8080 } },
                        "env": [{ "name": "PORT", "value": "8080" }],
                        "resources": {
                            "requests": { "cpu": "100m", "memory": "64Mi" },
                            "limits": { "cpu": "200m", "memory": "128Mi" },
                        },
                    }],
                },
            },
        },
    })
}

fn service(name: &str, app: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name },
        "spec": { "type": "ClusterIP", "selector": { "app": app }, "ports": [{ "name": "main", "port": port }] },
    })
}
