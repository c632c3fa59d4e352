//! What the README says about images of one's own.

use std::fs;

use git_deploy_testkit::cluster::Image;
use git_deploy_testkit::{node_cluster, readme, sandbox};

#[test]
fn the_first_deployment_with_images_of_ones_own_succeeds_exactly_as_printed() {
    let cluster = node_cluster!();
    let registry = cluster.registry().to_string();
    // Stands in for the one of Docker Hub, which tests do not ask.
    cluster.push(&Image::new("library/busybox:latest"));
    let sandbox = sandbox!();
    let store = sandbox.root().join("store");
    fs::create_dir(&store).expect("a folder");
    let [storage, registries] = ["storage.conf", "registries.conf"].map(|file| store.join(file));
    let at = store.display();
    let own = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{at}/graph\"\nrunroot = \"{at}/run\"\n");
    fs::write(&storage, own).expect("a file");
    let mirror =
        format!("[[registry]]\nprefix = \"docker.io\"\nlocation = \"{registry}\"\ninsecure = true\n");
    fs::write(&registries, mirror).expect("a file");

    let output = sandbox
        .command("sh")
        .args(["-eu", "-c", &readme::block("own-images")])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("CONTEXT", cluster.context())
        .env("REGISTRY", &registry)
        .env("CONTAINERS_STORAGE_CONF", storage)
        .env("CONTAINERS_REGISTRIES_CONF", registries)
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
