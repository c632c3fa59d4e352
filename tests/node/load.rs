//! A cluster without a registry: images come into it as with kind, k3d and minikube, from the builder's store by a program.

use std::fs;

use git_deploy_testkit::cluster::NodeCluster;
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, Sandbox, Store, node_cluster, sandbox};

use crate::support::{CONTAINERFILE, assert_answers, manifests};

/// What `kind load docker-image` does.
const LOAD: &str = "#!/bin/sh
set -e
archive=$(mktemp -u)
trap 'rm -f \"$archive\"' EXIT
buildah push --quiet \"$1\" \"docker-archive:$archive:$1\"
ctr --address SOCKET --namespace k8s.io images import \"$archive\"
";

struct Loaded<'cluster> {
    cluster: &'cluster NodeCluster,
    shop: ClusterShop<'cluster>,
    store: Store,
}

impl<'cluster> Loaded<'cluster> {
    fn open(sandbox: &Sandbox, cluster: &'cluster NodeCluster) -> Loaded<'cluster> {
        let store = Store::new(sandbox.root().join("store"));
        let socket = cluster.directory().join("private/run/containerd/containerd.sock");
        sandbox.add_program("load-image", &LOAD.replace("SOCKET", &socket.display().to_string()));
        let shop = in_cluster(cluster, "loaded")
            .setting("timeout = \"40s\"\ncrash-grace = \"5s\"")
            .setting("[registry]\nload = [\"load-image\", \"{image}\"]")
            .setting("[[image]]\nname = \"web\"\ncontext = \"web\"")
            .file("web/Containerfile", CONTAINERFILE)
            .file("web/index.html", "none")
            .file("deploy/web.yaml", manifests("littleman-co/shop-web:any"))
            .alone(sandbox);
        fs::copy("/bin/busybox", shop.repo.path().join("web/busybox")).expect("a static busybox");
        shop.repo.git(&["add", "web/busybox"]);
        shop.repo.git(&["commit", "--quiet", "--message", "Bring a server"]);
        Loaded { cluster, shop, store }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        self.shop.repo.command("git").arg(command).args(arguments).with_store(&self.store).output()
    }

    #[track_caller]
    fn answers(&self, text: &str) {
        assert_answers(self.cluster, &self.shop.namespace, text);
    }
}

#[test]
fn an_image_that_no_registry_has_is_loaded_and_runs_and_is_loaded_again_where_it_was_lost() {
    let cluster = node_cluster!();
    let loaded = Loaded::open(&sandbox!(), cluster);
    loaded.shop.release("one", &[("web/index.html", "one")]);
    loaded.run("deploy", &[]).success().stderr_contains("Loading");
    loaded.shop.succeeded("deployment-0001");
    loaded.answers("one");

    // Built and loaded, and then the node lost it, as one does that is made anew.
    loaded.shop.release("two", &[("web/index.html", "two")]);
    let name = loaded.run("deploy-build", &["two"]).success().line().to_owned();
    let image = format!("docker.io/{name}");
    cluster.run("ctr", &["--namespace", "k8s.io", "images", "rm", "--sync", &image]).success();
    loaded.run("deploy", &[]).success().stderr_contains("Loading").lacks("Building");
    loaded.shop.succeeded("deployment-0002");
    loaded.answers("two");
}
