//! A cluster without a registry: images come into it as with kind, k3d and minikube, from the builder's store by a program.

use std::fs;

use git_deploy_testkit::cluster::{NodeCluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, Sandbox, node_cluster, sandbox};

const CONTAINERFILE: &str = "FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]
";

/// One pod of an image that is in no registry, and a Service. Without a word about pulling: a tag that is not `latest` is
/// only pulled where it is missing.
const MANIFESTS: &str = "apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: littleman-co/shop-web:any
        readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [ { port: 80, targetPort: 8080 } ]
";

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
}

impl<'cluster> Loaded<'cluster> {
    fn open(sandbox: &Sandbox, cluster: &'cluster NodeCluster) -> Loaded<'cluster> {
        let store = sandbox.root().join("store");
        fs::create_dir_all(&store).expect("a folder");
        let configuration = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            store.display()
        );
        fs::write(store.join("storage.conf"), configuration).expect("a file");
        fs::write(store.join("registries.conf"), "").expect("a file");
        let socket = cluster.directory().join("private/run/containerd/containerd.sock");
        sandbox.add_program("load-image", &LOAD.replace("SOCKET", &socket.display().to_string()));
        let shop = in_cluster(cluster, "loaded")
            .setting("timeout = \"40s\"\ncrash-grace = \"5s\"")
            .setting("[registry]\nload = [\"load-image\", \"{image}\"]")
            .setting("[[image]]\nname = \"web\"\ncontext = \"web\"")
            .file("web/Containerfile", CONTAINERFILE)
            .file("web/index.html", "none")
            .file("deploy/web.yaml", MANIFESTS)
            .alone(sandbox);
        fs::copy("/bin/busybox", shop.repo.path().join("web/busybox")).expect("a static busybox");
        shop.repo.git(&["add", "web/busybox"]);
        shop.repo.git(&["commit", "--quiet", "--message", "Bring a server"]);
        Loaded { cluster, shop }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let store = self.shop.repo.sandbox().root().join("store");
        let run = self.shop.repo.command("git").arg(command).args(arguments);
        run.env("CONTAINERS_STORAGE_CONF", store.join("storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", store.join("registries.conf"))
            .output()
    }

    #[track_caller]
    fn answers(&self, text: &str) {
        let service = self.shop.namespace.get("service", "web");
        let address = service["spec"]["clusterIP"].as_str().expect("a Service has an address");
        let address = format!("{address}:80").parse().expect("it is one");
        // The rules of the Service follow the pods after a moment.
        eventually(&format!("the Service answers '{text}'"), || {
            self.cluster.http_get(address, "/").is_ok_and(|body| body == text)
        });
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
