//! The runner in a pod of the cluster that it deploys to, by the manifests that `git deploy-init runner` writes.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use git_deploy_testkit::cluster::{Image, Namespace, NodeCluster, eventually};
use git_deploy_testkit::shop::{ClusterShop, SET, in_cluster};
use git_deploy_testkit::{Running, Sandbox, node_cluster, sandbox};

use crate::support::manifests;
use crate::web_server;

/// The node, as its pods reach it.
const NODE: &str = "10.1.0.1";

/// The pods find the API server under its usual name: there is no name service here.
const NAMES: &str = "      hostAliases:
      - ip: 10.1.0.1
        hostnames: [kubernetes.default.svc]
      enableServiceLinks: false
";

/// What the Containerfile makes of Debian, made of what this machine has.
fn image(cluster: &NodeCluster) -> String {
    let image = Image::new("runner:1")
        .program(Path::new(env!("CARGO_BIN_EXE_git-deploy")), "usr/local/bin/git-deploy")
        .program(Path::new(env!("CARGO_BIN_EXE_git-deploy-queue")), "usr/local/bin/git-deploy-queue")
        .program(Path::new("/usr/bin/git"), "usr/bin/git")
        .file("etc/passwd", "runner:x:65532:65532::/work:/bin/sh\n");
    cluster.push(&image)
}

/// A server of git, and a way to the API server, where pods reach them.
fn serve(sandbox: &Sandbox, cluster: &NodeCluster) -> [Running; 2] {
    let inside = |words: &[&str]| {
        let entering = cluster.entering();
        sandbox.command(&entering[0]).args(&entering[1..]).args(words).start()
    };
    let root = format!("--base-path={}", sandbox.root().display());
    let port = cluster.address().port().to_string();
    [
        inside(&["git", "daemon", "--reuseaddr", "--export-all", "--enable=receive-pack", &root]),
        inside(&["/bin/busybox", "nc", "-ll", "-p", "443", "-e", "/bin/busybox", "nc", "127.0.0.1", &port]),
    ]
}

/// The name of the pod that deploys just now.
fn holder(shop: &ClusterShop<'_>) -> Option<String> {
    let lease = shop.namespace.find("lease", SET)?;
    let holder = lease["metadata"]["annotations"]["git-deploy/holder"].as_str()?.to_owned();
    holder.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Kills the runner of a pod as the kernel does when there is no memory left.
fn kill(cluster: &NodeCluster, pod: &str) {
    let script = "for process in /proc/[0-9]*; do
        test \"$(cat $process/comm)\" = git-deploy-queu || continue
        test \"$(cat $process/root/etc/hostname)\" = \"$0\" && kill -KILL ${process#/proc/} && exit
    done; exit 1";
    cluster.run("sh", &["-c", script, pod]).success();
}

fn logs(namespace: &Namespace<'_>) -> String {
    let all =
        ["logs", "--selector=app.kubernetes.io/name=git-deploy-runner", "--all-containers", "--tail=-1"];
    let previous = namespace.kubectl(&[&all[..], &["--previous", "--ignore-errors"]].concat()).stdout;
    namespace.kubectl(&all).stdout + &previous
}

/// Two runners in pods, and branches that are approved; each needs some seconds until it is ready.
struct Scene<'cluster> {
    shop: ClusterShop<'cluster>,
    /// Where the runners are.
    here: Namespace<'cluster>,
    _servers: [Running; 2],
    _turn: MutexGuard<'static, ()>,
}

/// Their servers need ports that the node has once.
static TURN: Mutex<()> = Mutex::new(());

impl<'cluster> Scene<'cluster> {
    fn new(cluster: &'cluster NodeCluster, sandbox: &Sandbox, name: &str, branches: &[&str]) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let here = cluster.namespace(name).create();
        let web = manifests(&web_server(cluster, name))
            .replace("periodSeconds: 1 }", "periodSeconds: 1, initialDelaySeconds: 4 }");
        let shop = in_cluster(cluster, "shop")
            .into_namespace(cluster.namespace("shop").create())
            .setting("timeout = \"60s\"")
            .file("deploy/web.yaml", web)
            .with_remote(sandbox);
        let servers = serve(sandbox, cluster);
        for branch in branches {
            shop.release(branch, &[(&format!("{branch}.txt"), "new\n")]);
        }
        let url = shop.repo.git(&["config", "remote.origin.url"]).line().to_owned();
        shop.repo.set_config("remote.origin.url", &format!("git://{NODE}/shop.git"));
        let (namespace, image) = (format!("--namespace={here}"), format!("--image={}", image(cluster)));
        let written = shop.repo.deploy("deploy-init", &["runner", &namespace, &image]).stdout;
        shop.repo.set_config("remote.origin.url", &url);
        let written = written.replace("      enableServiceLinks: false\n", NAMES);
        here.kubectl(&["create", "secret", "generic", "git-deploy-runner", "--from-literal=username=none"])
            .success();
        cluster.kubectl_with_input(&["apply", "--filename=-"], written).success();
        Self { shop, here, _servers: servers, _turn: turn }
    }

    /// The pod that deploys, once there is something to wait for.
    fn first(&self) -> String {
        eventually("one of them waits for pods", || self.shop.namespace.find("deployment", "web").is_some());
        holder(&self.shop).expect("somebody holds the Lease")
    }

    /// Waits until all have landed, each once.
    fn all_land(&self, branches: &[&str]) {
        let ledger = || {
            let tags = ["for-each-ref", "--format=%(refname:short) %(contents:subject)", "refs/tags"];
            self.shop.authority().git(&tags).stdout
        };
        for count in 1..=branches.len() {
            eventually(&format!("{count} branches have landed"), || ledger().lines().count() >= count);
        }
        let landed = (1..=branches.len()).map(|n| format!("deployment-{n:04} Successfully Deployed\n"));
        assert_eq!(ledger(), landed.collect::<String>(), "{}", logs(&self.here));
        self.shop.repo.deploy("deploy-sync", &[]);
        assert!(branches.iter().all(|branch| self.shop.state(branch) == "deployed"), "{}", logs(&self.here));
        let said = logs(&self.here);
        assert!(!said.contains("warning: cannot") && !said.contains(" may not "), "it lacks rights: {said}");
    }

    fn ends(&self) {
        self.here.kubectl(&["scale", "deployment/git-deploy-runner", "--replicas=0"]).success();
        eventually("the runners have ended", || self.here.list("pods").is_empty());
        self.shop.lease_is_free();
    }
}

#[test]
fn two_runners_in_the_cluster_land_each_branch_once_though_one_is_killed() {
    let cluster = node_cluster!();
    let sandbox = sandbox!();
    let scene = Scene::new(cluster, &sandbox, "runners", &["one", "two"]);
    let first = scene.first();
    kill(cluster, &first);
    scene.all_land(&["one", "two"]);
    let pods = scene.here.list("pods");
    assert_eq!(pods.len(), 2, "{pods:#?}");
    let killed = pods.iter().find(|pod| pod["metadata"]["name"] == first.as_str());
    let killed = killed.expect("its container was started again");
    assert_eq!(killed["status"]["containerStatuses"][0]["restartCount"], 1);
    scene.ends();
}

#[test]
fn a_runner_whose_pod_is_deleted_hands_over_what_it_does() {
    let cluster = node_cluster!();
    let sandbox = sandbox!();
    let scene = Scene::new(cluster, &sandbox, "deleted", &["one", "two"]);
    let first = scene.first();
    // As a rollout, an upgrade of the node or an autoscaler ends pods. Who has to be watched for dead is taken over from after two
    // minutes.
    let begun = Instant::now();
    scene.here.kubectl(&["delete", "pod", &first]).success();
    eventually("somebody else deploys", || holder(&scene.shop).is_some_and(|pod| pod != first));
    assert!(begun.elapsed() < Duration::from_secs(110), "it was watched for dead: {}", logs(&scene.here));
    scene.all_land(&["one", "two"]);
    scene.ends();
}
