//! From a commit to pods that answer: nothing is simulated.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use git_deploy_testkit::cluster::NodeCluster;
use git_deploy_testkit::shop::{ClusterShop, in_cluster};
use git_deploy_testkit::{Output, Sandbox, node_cluster, sandbox};
use serde_json::Value;

use crate::{address, assert_answers};

const CONTAINERFILE: &str = "FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]
";

/// A web application with its own image, and buildah's place for it.
struct Web<'cluster> {
    shop: ClusterShop<'cluster>,
    store: PathBuf,
}

impl<'cluster> Web<'cluster> {
    fn open(sandbox: &Sandbox, cluster: &'cluster NodeCluster) -> Web<'cluster> {
        let store = sandbox.root().join("store");
        fs::create_dir_all(&store).expect("a folder");
        let configuration = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            store.display()
        );
        fs::write(store.join("storage.conf"), configuration).expect("a file");
        fs::write(store.join("registries.conf"), "").expect("a file");
        fs::write(store.join("auth.json"), "{}").expect("a file");
        let registry = cluster.registry();
        let shop = in_cluster(cluster, "shop")
            .setting("timeout = \"30s\"\ncrash-grace = \"5s\"")
            .setting(&format!(
                "[registry]\naddress = \"{registry}\"\n[[image]]\nname = \"web\"\ncontext = \"web\""
            ))
            .file("web/Containerfile", CONTAINERFILE)
            .file("web/index.html", "one")
            .file("deploy/web.yaml", manifests(&format!("{registry}/littleman-co/shop-web:any")))
            .alone(sandbox);
        fs::copy("/bin/busybox", shop.repo.path().join("web/busybox")).expect("a static busybox");
        shop.repo.git(&["add", "web/busybox"]);
        shop.repo.git(&["commit", "--quiet", "--message", "Bring a server"]);
        Web { shop, store }
    }

    fn deploy(&self, arguments: &[&str]) -> Output {
        let run = self.shop.repo.command("git").arg("deploy").args(arguments);
        run.env("CONTAINERS_STORAGE_CONF", self.store.join("storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.store.join("registries.conf"))
            .env("REGISTRY_AUTH_FILE", self.store.join("auth.json"))
            .output()
    }
}

/// Two pods that go on answering for some seconds when they are to end, as long as the rules of the Service take.
fn manifests(image: &str) -> String {
    crate::manifests(image).replace("terminationGracePeriodSeconds: 0", "terminationGracePeriodSeconds: 3")
}

#[test]
fn a_commit_becomes_pods_that_answer_and_the_next_release_rolls_over_without_a_failed_request() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    web.shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success().stderr_contains("Building").stderr_contains("Pushing");
    web.shop.succeeded("deployment-0001");
    assert_answers(cluster, &web.shop.namespace, "one");
    let live = web.shop.namespace.get("deployment", "web");
    let image = live["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("it has one");
    assert!(image.contains("/littleman-co/shop-web:") && image.contains("@sha256:"), "{image}");

    web.shop.release("two", &[("web/index.html", "two")]);
    let address = address(&web.shop.namespace);
    let (is_over, asked, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = cluster.http_get(address, "/");
                if !answer.is_ok_and(|body| body == "one" || body == "two") {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let output = web.deploy(&[]);
        assert_answers(cluster, &web.shop.namespace, "two");
        is_over.store(true, Ordering::SeqCst);
        output.success();
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {asked:?}");
    assert!(asked.load(Ordering::SeqCst) > 50, "{asked:?}");
    web.shop.succeeded("deployment-0002");
}

/// What a release runs that fails, and what is said of it.
const BAD: [(&str, &str, &str); 3] = [
    ("exits", "[\"/bin/busybox\", \"cat\", \"/no/config\"]", "can't open '/no/config'"),
    ("command", "[\"/bin/nothing\"]", "/bin/nothing"),
    ("unready", "[\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"9090\"]", "connection refused"),
];

#[test]
fn a_release_that_does_not_start_fails_with_its_own_words_and_the_old_pods_go_on() {
    let cluster = node_cluster!();
    let web = Web::open(&sandbox!(), cluster);
    web.shop.release("one", &[("case", "one")]);
    web.deploy(&[]).success();
    let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let pods = || web.shop.namespace.list("pods").iter().map(uid).collect::<Vec<String>>();
    let before = pods();
    for (name, command, said) in BAD {
        let containerfile = format!("{CONTAINERFILE}CMD {command}\n");
        web.shop.release(name, &[("web/Containerfile", &containerfile)]);
        let output = web.deploy(&[]);
        assert!([1, 70].contains(&output.code.unwrap_or_default()), "{name}\n{output}");
        assert!(output.to_string().contains(said), "{name}\n{output}");
        assert_eq!(web.shop.state(name), "staged", "{name}\n{output}");
        assert_answers(cluster, &web.shop.namespace, "one");
    }
    let still = pods().iter().filter(|pod| before.contains(pod)).count();
    assert_eq!(still, 2, "the old pods were never taken away");
}
