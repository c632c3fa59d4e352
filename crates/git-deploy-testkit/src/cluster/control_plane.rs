//! How the processes are started. The flags are those that were measured to be needed.

use std::fs;
use std::io::{self, Error, Read};
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use serde_json::{Value, json};

use super::component::Component;
use super::kubeconfig::{Access, Kubeconfig};
use super::kubectl::{self, Kubectl};
use super::node::{Namespaces, Node};
use super::port::Port;
use super::supervisor::{self, Group, Supervisor};
use super::{CONTEXT, Cluster, Nodes, programs};

pub(super) const AUDIT_LOG: &str = "audit.log";

/// Set this to keep the directories of all clusters, to look into them.
const KEEP: &str = "GIT_DEPLOY_TESTKIT_KEEP";

/// Name and group of those whose tokens the API server knows.
const USERS: [(&str, &str); 8] = [
    ("admin", "system:masters"),
    ("alice", ""),
    ("bob", ""),
    ("system:kube-controller-manager", ""),
    ("system:kube-scheduler", ""),
    ("kwok", "system:masters"),
    ("system:node:node", "system:nodes"),
    ("system:kube-proxy", ""),
];

/// What decides how long a rollout takes must be the tool under test, not the throttle of these clients.
const UNTHROTTLED: [&str; 2] = ["--kube-api-qps=2000", "--kube-api-burst=4000"];

/// What one's own cluster has that others have not.
#[derive(Debug, Clone)]
#[must_use = "options are for starting a cluster"]
pub struct Options {
    api_server: Vec<String>,
    nodes: usize,
    real_node: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { api_server: Vec::new(), nodes: 3, real_node: false }
    }
}

impl Options {
    /// As the shared cluster is.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more flag for the API server, for example `--enable-admission-plugins=AlwaysPullImages`.
    pub fn api_server_flag(mut self, flag: &str) -> Self {
        self.api_server.push(flag.to_owned());
        self
    }

    /// That many nodes instead of three.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// One real node instead of those that pretend.
    pub(super) fn real_node(mut self) -> Self {
        self.real_node = true;
        self
    }
}

impl Cluster {
    pub(super) fn start(programs: &Path, options: &Options) -> io::Result<Self> {
        let directory = supervisor::new_directory()?;
        let supervisor = Supervisor::start(&directory, std::env::var_os(KEEP).is_some())?;
        let group = supervisor.group();
        let namespaces = if options.real_node { Some(Namespaces::start(&directory, group)?) } else { None };
        let port = match &namespaces {
            Some(namespaces) => Port::into_network(namespaces.network()?)?,
            None => Port::reserve()?,
        };
        let access = access(&directory, &port)?;
        for (user, _) in USERS {
            let path = directory.join(user).with_extension("kubeconfig");
            Kubeconfig::new().context(CONTEXT, access.clone().as_user(user)).current(CONTEXT).write(&path);
        }
        let kubeconfig = directory.join("kubeconfig");
        Kubeconfig::new().context(CONTEXT, access.clone()).write(&kubeconfig);
        let kubectl =
            Kubectl { program: kubectl::program(programs), kubeconfig, directory: directory.clone(), group };
        let behind = namespaces.as_ref().map(Namespaces::in_network).unwrap_or_default();
        let plan = Plan { programs, directory: &directory, group, behind };
        let nodes = match namespaces {
            Some(namespaces) => Nodes::Real(Box::new(Node::new(programs, &directory, group, namespaces)?)),
            None => Nodes::Pretended(Box::new(plan.kwok()?)),
        };
        let cluster = Self {
            nodes,
            scheduler: plan.scheduler(),
            controller_manager: plan.controller_manager(),
            api_server: plan.api_server(&port, options).probe(port.address(), kubectl.clone()),
            etcd: plan.etcd(),
            _supervisor: supervisor,
            port,
            directory,
            access,
            kubectl,
            names: AtomicUsize::new(0),
        };
        cluster.bring_up(options)?;
        Ok(cluster)
    }

    fn bring_up(&self, options: &Options) -> io::Result<()> {
        self.etcd.launch()?;
        self.api_server.launch()?;
        if let Nodes::Real(node) = &self.nodes {
            node.prepare(self.kubectl.group, &self.directory)?;
        }
        self.api_server.wait_until_it_answers();
        // These end at once where there is no API server yet.
        let mut others = vec![&self.controller_manager, &self.scheduler];
        match &self.nodes {
            Nodes::Pretended(kwok) => others.push(kwok),
            Nodes::Real(node) => others.extend(node.components()),
        }
        for component in &others {
            component.launch()?;
        }
        if self.real_node().is_none() {
            self.create_nodes(options)?;
        }
        // A real one comes by itself.
        let count = if self.real_node().is_some() { 1 } else { options.nodes };
        super::eventually("all nodes are ready", || {
            for component in &others {
                component.assert_alive();
            }
            let nodes = self.get_raw("/api/v1/nodes");
            nodes["items"]
                .as_array()
                .is_some_and(|nodes| nodes.len() == count && nodes.iter().all(takes_pods))
        });
        Ok(())
    }

    fn create_nodes(&self, options: &Options) -> io::Result<()> {
        let objects: Vec<Value> = (1..=options.nodes).map(node).chain([storage_class()]).collect();
        let objects = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        // Without the schema, which the API server needs a second to make.
        let created =
            self.kubectl_with_input(&["create", "--validate=false", "-f", "-"], objects.to_string());
        if created.code != Some(0) {
            return Err(Error::other(created.to_string()));
        }
        Ok(())
    }
}

/// What all processes of one cluster have in common.
struct Plan<'a> {
    programs: &'a Path,
    directory: &'a Path,
    group: Group,
    behind: Vec<String>,
}

impl Plan<'_> {
    fn component(&self, name: &'static str) -> Component {
        Component::new(name, self.programs.join(name), self.directory.to_owned(), self.group)
            .behind(self.behind.clone())
    }

    /// On sockets in its directory, which is also its working directory: no ports to be taken by others.
    fn etcd(&self) -> Component {
        self.component("etcd").args([
            "--unsafe-no-fsync",
            "--name=test",
            "--data-dir=etcd",
            "--listen-client-urls=unix://etcd.sock:0",
            "--advertise-client-urls=unix://etcd.sock:0",
            "--listen-peer-urls=unix://peer.sock:0",
            "--initial-advertise-peer-urls=unix://peer.sock:0",
            "--initial-cluster=test=unix://peer.sock:0",
            "--log-level=warn",
        ])
    }

    fn api_server(&self, port: &Port, options: &Options) -> Component {
        let key = self.programs.join("service-account.key");
        self.component("kube-apiserver")
            .args([
                "--etcd-servers=unix://etcd.sock:0",
                "--bind-address=127.0.0.1",
                "--cert-dir=.",
                "--token-auth-file=tokens",
                "--authorization-mode=Node,RBAC",
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.0.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--allow-privileged=true",
                "--permit-port-sharing=true",
                "--permit-address-sharing=true",
                // The name of a real node is not known to anybody.
                "--kubelet-preferred-address-types=InternalIP",
            ])
            .args([
                format!("--secure-port={}", port.number()),
                format!("--service-account-key-file={}", key.display()),
                format!("--service-account-signing-key-file={}", key.display()),
                format!("--audit-policy-file={}", programs::files().join("audit-policy.yaml").display()),
                format!("--audit-log-path={AUDIT_LOG}"),
            ])
            .args(options.api_server.iter().cloned())
    }

    fn controller_manager(&self) -> Component {
        let key = self.programs.join("service-account.key");
        self.component("kube-controller-manager")
            .args([
                "--kubeconfig=system:kube-controller-manager.kubeconfig",
                "--root-ca-file=apiserver.crt",
                "--use-service-account-credentials",
                // Nobody tells of these nodes that they are still there.
                "--node-monitor-grace-period=24h",
                "--leader-elect=false",
                "--secure-port=0",
            ])
            .args(UNTHROTTLED)
            .args([format!("--service-account-private-key-file={}", key.display())])
    }

    fn scheduler(&self) -> Component {
        self.component("kube-scheduler")
            .args([
                "--kubeconfig=system:kube-scheduler.kubeconfig",
                "--leader-elect=false",
                "--secure-port=0",
            ])
            .args(UNTHROTTLED)
    }

    /// Without leases: with them it looks at the pods of a node once, when it takes the node's lease, and passes over all
    /// where its own watch has not told it of that lease yet.
    fn kwok(&self) -> io::Result<Component> {
        let mut stages = vec![self.programs.join("stages.yaml")];
        for file in fs::read_dir(programs::files().join("stages"))? {
            stages.push(file?.path());
        }
        Ok(self
            .component("kwok")
            .args([
                "--kubeconfig=kwok.kubeconfig",
                "--manage-all-nodes=true",
                "--node-lease-duration-seconds=0",
            ])
            .args(stages.iter().map(|file| format!("--config={}", file.display()))))
    }
}

/// Tokens for all users, told to the API server, and the administrator's access.
fn access(directory: &Path, port: &Port) -> io::Result<Access> {
    let mut tokens = Vec::new();
    let mut lines = String::new();
    for (user, group) in USERS {
        let token = token()?;
        lines += &format!("{token},{user},{user},\"{group}\"\n");
        tokens.push((user.to_owned(), token));
    }
    super::kubeconfig::write_private(&directory.join("tokens"), &lines)?;
    Ok(Access {
        server: format!("https://127.0.0.1:{}", port.number()),
        certificate_authority: directory.join("apiserver.crt"),
        token: tokens[0].1.clone(),
        tokens,
    })
}

fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn node(number: usize) -> Value {
    let name = format!("node-{number}");
    let room = json!({ "cpu": "1k", "memory": "1Ti", "pods": "100k" });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }},
        "status": { "allocatable": room, "capacity": room },
    })
}

/// For claims that name none. kwok provides its volumes.
fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "kwok-volume",
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "kwok.x-k8s.io/volume",
        "volumeBindingMode": "Immediate",
    })
}

fn takes_pods(node: &Value) -> bool {
    let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let ready = node["status"]["conditions"].as_array().is_some_and(|found| found.iter().any(is_ready));
    ready && node["spec"]["taints"].is_null()
}
