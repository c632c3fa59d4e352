//! A small web application, and somebody who asks it all the time.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Namespace, NodeCluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, Opening, in_cluster};
use git_deploy_testkit::{Output, Run, Sandbox, Store};

/// How often somebody asks.
const EACH: Duration = Duration::from_millis(20);

/// A static busybox that serves `web/index.html`.
pub(crate) const CONTAINERFILE: &str = "FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]
";

/// A web application whose image `web` is made of the folder of that name, and buildah's place for it.
pub(crate) struct Web<'cluster> {
    pub(crate) shop: ClusterShop<'cluster>,
    pub(crate) cluster: &'cluster NodeCluster,
    store: Store,
}

impl<'cluster> Web<'cluster> {
    /// The one with the [`CONTAINERFILE`], which answers `one`. Nothing of it is deployed yet.
    pub(crate) fn open(sandbox: &Sandbox, cluster: &'cluster NodeCluster) -> Web<'cluster> {
        let web = Web::with(sandbox, cluster, |opening| {
            opening.file("web/Containerfile", CONTAINERFILE).file("web/index.html", "one")
        });
        let repo = &web.shop.repo;
        fs::copy("/bin/busybox", repo.path().join("web/busybox")).expect("a static busybox");
        repo.git(&["add", "web/busybox"]);
        repo.git(&["commit", "--quiet", "--message", "Bring a server"]);
        web
    }

    /// One that is made of what else is put into its first commit.
    pub(crate) fn with(
        sandbox: &Sandbox,
        cluster: &'cluster NodeCluster,
        more: impl FnOnce(Opening<'cluster>) -> Opening<'cluster>,
    ) -> Web<'cluster> {
        let insecure = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", cluster.registry());
        let store = Store::new(sandbox.root().join("store")).registries(&insecure);
        let registry = cluster.registry();
        let opening = in_cluster(cluster, "shop")
            .setting("timeout = \"2m\"\ncrash-grace = \"5s\"")
            .setting(&format!(
                "[registry]\naddress = \"{registry}\"\n[[image]]\nname = \"web\"\ncontext = \"web\""
            ))
            .file("deploy/web.yaml", graceful(&format!("{registry}/littleman-co/shop-web:any")));
        Web { shop: more(opening).alone(sandbox), cluster, store }
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output()
    }

    /// `git-deploy` itself, so that what is interrupted is it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Run {
        self.shop.command(arguments).with_store(&self.store)
    }

    /// Does that while somebody asks its Service 50 times a second, of whom each gets one of these answers.
    #[track_caller]
    pub(crate) fn while_asked<T>(&self, answers: &[&str], work: impl FnOnce() -> T) -> T {
        let address = address(&self.shop.namespace);
        let is_over = AtomicBool::new(false);
        let (done, (asked, wrong)) = thread::scope(|scope| {
            let asking = scope.spawn(|| ask(self.cluster, address, answers, &is_over));
            let done = work();
            is_over.store(true, Ordering::SeqCst);
            (done, asking.join().expect("somebody who asks does not panic"))
        });
        assert!(asked > 50, "asked {asked} times only");
        assert!(wrong.is_empty(), "{} of {asked} questions had no right answer: {wrong:#?}", wrong.len());
        done
    }
}

/// How often it was asked, and what was no answer.
fn ask(
    cluster: &NodeCluster,
    address: SocketAddr,
    answers: &[&str],
    is_over: &AtomicBool,
) -> (usize, Vec<String>) {
    let (mut asked, mut wrong) = (0, Vec::new());
    while !is_over.load(Ordering::SeqCst) {
        let begun = Instant::now();
        asked += 1;
        match cluster.http_get(address, "/") {
            Ok(body) if answers.contains(&body.as_str()) => {}
            Ok(body) => wrong.push(body),
            Err(error) => wrong.push(error.to_string()),
        }
        thread::sleep(EACH.saturating_sub(begun.elapsed()));
    }
    (asked, wrong)
}

/// Two pods and their Service.
pub(crate) fn manifests(image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: {image}
        readinessProbe: {{ httpGet: {{ path: /, port: 8080 }}, periodSeconds: 1 }}
---
apiVersion: v1
kind: Service
metadata: {{ name: web }}
spec:
  selector: {{ app: web }}
  ports: [ {{ port: 80, targetPort: 8080 }} ]
"
    )
}

/// The same, but pods go on answering for some seconds when they are to end: as long as the rules of the Service take.
pub(crate) fn graceful(image: &str) -> String {
    manifests(image).replace("terminationGracePeriodSeconds: 0", "terminationGracePeriodSeconds: 3")
}

pub(crate) fn address(namespace: &Namespace) -> SocketAddr {
    let service = namespace.get("service", "web");
    let address = service["spec"]["clusterIP"].as_str().expect("a Service has an address");
    format!("{address}:80").parse().expect("it is one")
}

#[track_caller]
pub(crate) fn assert_answers(cluster: &NodeCluster, namespace: &Namespace, text: &str) {
    let address = address(namespace);
    // The rules of the Service follow the pods after a moment.
    eventually(&format!("the Service answers '{text}'"), || {
        cluster.http_get(address, "/").is_ok_and(|body| body == text)
    });
}
