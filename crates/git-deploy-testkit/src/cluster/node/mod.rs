//! A cluster with a node that is real: kubelet, kube-proxy, containerd, runc and a registry.
//!
//! Images are pulled, containers run, Services answer. As root on Linux only, with programs of Debian; elsewhere its
//! tests are skipped with the reason. All of it is in [namespaces] of its own, the API server too, so that
//! several stand side by side and nothing is left of them; whatever gets into the network goes through a proxy, or is
//! [run inside](NodeCluster::run).
//!
//! Pods have no name service, and nothing in there reaches the world.

mod files;
mod image;
mod namespaces;
mod requirements;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

pub use image::{Image, has_package};
pub(super) use namespaces::{Namespaces, enter};
pub(crate) use requirements::{BUSYBOX, is_static};

use super::component::Component;
use super::port::Port;
use super::supervisor::Group;
use super::{Cluster, Missing, Options, programs};
use crate::Output;

/// The name of the one node.
const NODE: &str = "node";

/// Its address; `setup.sh` gives it.
const ADDRESS: &str = "10.1.0.1";

/// Those of its pods. Services have 10.0.0.0/16.
const PODS: &str = "10.2.0.0/16";

/// After this an answer of a Service is thought to be none.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The cluster with a node that all tests of a process share. A test that stands where there can be none is skipped.
#[macro_export]
macro_rules! node_cluster {
    () => {
        $crate::cluster!(@ $crate::cluster::NodeCluster::shared())
    };
    (own) => {
        $crate::cluster!(@ $crate::cluster::NodeCluster::start_own())
    };
}

/// A control plane and a node. Ends when it is dropped, and with the test process.
#[derive(Debug)]
pub struct NodeCluster {
    cluster: Cluster,
}

/// What runs on the node.
#[derive(Debug)]
pub(super) struct Node {
    // In this order they end.
    kubelet: Component,
    kube_proxy: Component,
    containerd: Component,
    registry: Component,
    registry_port: Port,
    namespaces: Namespaces,
}

impl NodeCluster {
    /// The cluster of this test process, started by whoever asks first.
    ///
    /// # Errors
    /// Where there can be none.
    ///
    /// # Panics
    /// If there can be one, and it does not come up.
    pub fn shared() -> Result<&'static Self, Missing> {
        static SHARED: OnceLock<Result<NodeCluster, Missing>> = OnceLock::new();
        SHARED.get_or_init(Self::start_own).as_ref().map_err(Clone::clone)
    }

    /// A cluster of one's own, to be harmed.
    ///
    /// # Errors
    /// Where there can be none.
    ///
    /// # Panics
    /// If there can be one, and it does not come up.
    pub fn start_own() -> Result<Self, Missing> {
        let programs = possible()?;
        let cluster = Cluster::start(&programs, &Options::new().real_node())
            .unwrap_or_else(|error| panic!("the cluster did not start: {error}"));
        Ok(Self { cluster })
    }

    /// Whether there can be one here; starts none.
    ///
    /// # Errors
    /// Where there can be none.
    pub fn is_possible() -> Result<(), Missing> {
        possible().map(drop)
    }

    /// Why a container is not ended that takes more memory than it may, if that is so on this machine.
    #[must_use]
    pub fn unlimited_memory() -> Option<&'static str> {
        requirements::unlimited_memory()
    }

    /// Where the registry listens, inside and outside: `127.0.0.1:<port>`. It speaks plain HTTP.
    #[must_use]
    pub fn registry(&self) -> SocketAddr {
        self.node().registry_port.address()
    }

    /// The kubelet.
    #[must_use]
    pub fn kubelet(&self) -> &Component {
        &self.node().kubelet
    }

    /// The registry, to see what is done without it.
    #[must_use]
    pub fn registry_program(&self) -> &Component {
        &self.node().registry
    }

    /// Runs a program as a process of the node, to its end or for a minute.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        run(&self.node().namespaces, self.cluster.kubectl.group, self.directory(), program, arguments)
    }

    /// Connects to that address from inside the network, as a pod or the node itself would.
    ///
    /// # Errors
    /// Where nobody answers there.
    pub fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.node().namespaces.connect(address)
    }

    /// The body of what is answered to a GET over HTTP, from inside the network.
    ///
    /// # Errors
    /// Where there is no answer, or one with another status than 200.
    pub fn http_get(&self, address: SocketAddr, path: &str) -> io::Result<String> {
        let mut stream = self.connect(address)?;
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if head.split(' ').nth(1) != Some("200") {
            return Err(io::Error::other(format!("answered: {answer}")));
        }
        Ok(body.to_owned())
    }

    /// The command that runs another one, its arguments, in the network alone: what a person wants to try by hand.
    #[must_use]
    pub fn entering(&self) -> Vec<String> {
        self.node().namespaces.in_network()
    }

    fn node(&self) -> &Node {
        self.cluster.real_node().expect("was started with one")
    }
}

impl Deref for NodeCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Node {
    pub(super) fn new(
        programs: &Path,
        directory: &Path,
        group: Group,
        namespaces: Namespaces,
    ) -> io::Result<Self> {
        let registry_port = Port::into_network(namespaces.network()?)?;
        files::write(directory, &registry_port.address().to_string())?;
        let inside = |name, program| {
            Component::new(name, program, directory.to_owned(), group).below(namespaces.in_all())
        };
        let file = |name: &str| directory.join(name).display().to_string();
        let kubelet = inside("kubelet", programs.join("kubelet")).args([
            format!("--config={}", file("kubelet.json")),
            format!("--kubeconfig={}", file("system:node:node.kubeconfig")),
            format!("--hostname-override={NODE}"),
            format!("--node-ip={ADDRESS}"),
        ]);
        let kube_proxy = inside("kube-proxy", programs.join("kube-proxy"))
            .args([format!("--config={}", file("kube-proxy.json"))]);
        let containerd = inside("containerd", "containerd".into())
            .args([format!("--config={}", file("containerd.toml")), "--log-level=warn".to_owned()]);
        let registry = inside("docker-registry", "docker-registry".into())
            .args(["serve".to_owned(), file("registry.json")]);
        Ok(Self { kubelet, kube_proxy, containerd, registry, registry_port, namespaces })
    }

    /// Starts what needs no API server, and makes the image that each pod begins with.
    pub(super) fn prepare(&self, group: Group, directory: &Path) -> io::Result<()> {
        self.containerd.launch()?;
        self.registry.launch()?;
        super::eventually("the registry listens", || {
            self.registry.assert_alive();
            self.namespaces.connect(self.registry_port.address()).is_ok()
        });
        let pause = Image::new("pause:1").command(&["/bin/busybox", "sleep", "2147483647"]);
        image::push(self, group, directory, &pause)?;
        super::eventually("containerd listens", || {
            self.containerd.assert_alive();
            directory.join("private/run/containerd/containerd.sock").exists()
        });
        Ok(())
    }

    /// What comes after the API server.
    pub(super) fn components(&self) -> [&Component; 2] {
        [&self.kubelet, &self.kube_proxy]
    }
}

/// The directory of the programs, where a node can be.
fn possible() -> Result<PathBuf, Missing> {
    let programs = programs::find()?;
    requirements::missing(&programs).map_or(Ok(programs), |reason| Err(Missing::Node(reason)))
}

fn run(namespaces: &Namespaces, group: Group, directory: &Path, program: &str, arguments: &[&str]) -> Output {
    let description = format!("{program} {}", arguments.join(" "));
    let words = namespaces.in_all();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(program).args(arguments).stdin(Stdio::null());
    super::kubectl::run_to_end(&description, &mut command, group, directory)
        .unwrap_or_else(|error| panic!("cannot run {description}: {error}"))
}
