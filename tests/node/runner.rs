//! The runner in a pod of the cluster that it deploys to, by the manifests that `git deploy-init runner` writes.

use std::path::Path;

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

#[test]
fn two_runners_in_the_cluster_land_each_branch_once_though_one_is_killed() {
    let cluster = node_cluster!();
    let sandbox = sandbox!();
    let here = cluster.namespace("runners").create();
    let web = manifests(&web_server(cluster, "runners"))
        .replace("periodSeconds: 1 }", "periodSeconds: 1, initialDelaySeconds: 4 }");
    let shop = in_cluster(cluster, "shop")
        .into_namespace(cluster.namespace("shop").create())
        .setting("timeout = \"60s\"")
        .file("deploy/web.yaml", web)
        .with_remote(&sandbox);
    let _servers = serve(&sandbox, cluster);
    for name in ["one", "two"] {
        shop.release(name, &[(&format!("{name}.txt"), "new\n")]);
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

    eventually("one of them waits for pods", || shop.namespace.find("deployment", "web").is_some());
    let first = holder(&shop).expect("somebody holds the Lease");
    kill(cluster, &first);

    let ledger = || {
        let tags = ["for-each-ref", "--format=%(refname:short) %(contents:subject)", "refs/tags"];
        shop.authority().git(&tags).stdout
    };
    for count in 1..=2 {
        eventually(&format!("{count} of two branches have landed"), || ledger().lines().count() >= count);
    }
    let landed = "deployment-0001 Successfully Deployed\ndeployment-0002 Successfully Deployed\n";
    assert_eq!(ledger(), landed, "{}", logs(&here));
    shop.repo.deploy("deploy-sync", &[]);
    assert_eq!(["one", "two"].map(|name| shop.state(name)), ["deployed", "deployed"]);
    let pods = here.list("pods");
    assert_eq!(pods.len(), 2, "{pods:#?}");
    let killed = pods.iter().find(|pod| pod["metadata"]["name"] == first.as_str());
    let killed = killed.expect("its container was started again");
    assert_eq!(killed["status"]["containerStatuses"][0]["restartCount"], 1);
    let said = logs(&here);
    assert!(!said.contains("warning: cannot") && !said.contains(" may not "), "it lacks rights: {said}");
    here.kubectl(&["scale", "deployment/git-deploy-runner", "--replicas=0"]).success();
    shop.lease_is_free();
}
