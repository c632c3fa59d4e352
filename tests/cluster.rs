//! The test cluster itself: what the other scenarios rely on.

use std::time::Instant;

use git_deploy_testkit::cluster;

/// A Deployment whose pods have a label and annotations of their own.
fn deployment(name: &str, replicas: usize, behaviour: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata:
      labels: {{ app: {name}, test.git-deploy/pod: {behaviour} }}
    spec:
      containers: [{{ name: main, image: registry.example.org/shop:1 }}]
"#
    )
}

#[test]
fn a_deployment_becomes_ready() {
    let cluster = cluster!();
    let namespace = cluster.namespace("shop").create();
    let started = Instant::now();
    namespace.apply(&deployment("web", 3, "plain"));
    namespace.kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"]).success();
    assert_eq!(namespace.get("deployment", "web")["status"]["readyReplicas"], 3);
    assert!(started.elapsed().as_secs() < 10, "it took {:?}", started.elapsed());
}
