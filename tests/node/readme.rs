//! What the README says about images of one's own.

use git_deploy_testkit::cluster::Image;
use git_deploy_testkit::{Store, node_cluster, readme, sandbox};

#[test]
fn the_first_deployment_with_images_of_ones_own_succeeds_exactly_as_printed() {
    let cluster = node_cluster!();
    let registry = cluster.registry().to_string();
    // Stands in for the one of Docker Hub, which tests do not ask.
    cluster.push(&Image::new("library/busybox:latest"));
    let sandbox = sandbox!();
    let mirror =
        format!("[[registry]]\nprefix = \"docker.io\"\nlocation = \"{registry}\"\ninsecure = true\n");
    let store = Store::new(sandbox.root().join("store")).registries(&mirror);

    let output = sandbox
        .command("sh")
        .args(["-eu", "-c", &readme::block("own-images")])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("CONTEXT", cluster.context())
        .env("REGISTRY", &registry)
        .with_store(&store)
        .output();

    output
        .success()
        .stdout_contains("deployment-0001: Successfully Deployed")
        .stdout_contains("Deployment 'web/server'  1/1");
    let service = cluster.kubectl(&[
        "get",
        "service",
        "server",
        "--namespace=web",
        "--output=jsonpath={.spec.clusterIP}",
    ]);
    let address = format!("{}:80", service.success().stdout).parse().expect("it has an address");
    git_deploy_testkit::cluster::eventually("it answers", || {
        cluster.http_get(address, "/").is_ok_and(|body| body == "Hello\n")
    });
    let web = sandbox.open("web");
    web.git(&["log", "-1", "--format=%N", "--notes=deploy", "master"])
        .stdout_contains(&format!("image: {registry}/littleman-co/web-server:"));
}
