//! A real control plane, with nodes that only pretend; or, where a machine allows it, with one that is real ([`NodeCluster`]).
//!
//! etcd, API server, controller manager and scheduler are Kubernetes' own; kwok plays the kubelets: pods become ready
//! at once unless a label says otherwise (`tests/cluster/stages/`). Nothing that is started here outlives the test
//! process, however that ends.
//!
//! ```no_run
//! use git_deploy_testkit::cluster;
//!
//! fn a_deployment_becomes_ready() {
//!     let cluster = cluster!(); // skips the test where there can be none
//!     let namespace = cluster.namespace("shop").create();
//!     namespace.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours }\n");
//!     assert_eq!(namespace.get("configmap", "colours")["kind"], "ConfigMap");
//! }
//! ```
//!
//! The binaries under test get `KUBECONFIG` (or whatever they read) set to [`Cluster::kubeconfig`] and use the
//! context [`Cluster::context`].

mod any;
mod audit;
mod component;
mod control_plane;
mod front;
mod kubeconfig;
mod kubectl;
mod namespace;
mod node;
mod port;
mod programs;
mod proxy;
pub(crate) mod supervisor;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use any::{AnyCluster, BorrowedNamespace};
pub use audit::AuditEvent;
pub use component::Component;
pub use control_plane::Options;
pub use front::Front;
pub use kubeconfig::{Access, Kubeconfig};
pub use namespace::Namespace;
pub(crate) use node::{BUSYBOX, is_static};
pub use node::{Image, NodeCluster, has_package};
pub use programs::Missing;
pub use proxy::Proxy;

use crate::Output;
use kubectl::Kubectl;
use node::Node;
use port::Port;
use supervisor::Supervisor;

/// The one context of [`Cluster::kubeconfig`].
const CONTEXT: &str = "test";

/// How the path of a request begins that is only made to be found in the audit log.
const MARKER: &str = "/version?marker=";

/// Nothing that a test waits for takes as long: controllers that have lost their API server several times look for it again after
/// a minute, too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The cluster that all tests of a process share, or with [`Options`] one of the test's own, to be harmed. A test
/// that stands where there can be none is skipped. `cluster!(@ AnyCluster::find())` is whatever cluster there is.
#[macro_export]
macro_rules! cluster {
    () => {
        $crate::cluster!(@ $crate::cluster::Cluster::shared())
    };
    (@ $started:expr) => {
        match $started {
            Ok(cluster) => cluster,
            Err(missing) => {
                fn here() {}
                $crate::macros::no_cluster($crate::macros::enclosing_function(&here), &missing);
                return;
            }
        }
    };
    ($options:expr) => {
        $crate::cluster!(@ $crate::cluster::Cluster::start_own(&$options))
    };
}

/// A control plane. Ends when it is dropped, and with the test process.
#[derive(Debug)]
pub struct Cluster {
    // In this order they end.
    nodes: Nodes,
    scheduler: Component,
    controller_manager: Component,
    api_server: Component,
    etcd: Component,
    _supervisor: Supervisor,
    port: Port,
    directory: PathBuf,
    access: Access,
    kubectl: Kubectl,
    names: AtomicUsize,
}

/// Who runs the pods.
#[derive(Debug)]
enum Nodes {
    /// kwok, which only says so.
    Pretended(Box<Component>),
    Real(Box<Node>),
}

impl Cluster {
    /// The cluster of this test process, started by whoever asks first.
    ///
    /// # Errors
    /// Where its programs are not built.
    ///
    /// # Panics
    /// If they are, and it does not come up.
    pub fn shared() -> Result<&'static Self, Missing> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let programs = programs::find()?;
        let started =
            SHARED.get_or_init(|| Self::start(&programs, &Options::new()).map_err(|error| error.to_string()));
        match started {
            Ok(cluster) => Ok(cluster),
            Err(error) => panic!("the cluster did not start: {error}"),
        }
    }

    /// A cluster of one's own, to be harmed.
    ///
    /// # Errors
    /// Where its programs are not built.
    ///
    /// # Panics
    /// If they are, and it does not come up.
    pub fn start_own(options: &Options) -> Result<Self, Missing> {
        let programs = programs::find()?;
        Ok(Self::start(&programs, options)
            .unwrap_or_else(|error| panic!("the cluster did not start: {error}")))
    }

    /// A kubeconfig whose only context, [`Self::context`], is an administrator's.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubectl.kubeconfig
    }

    /// One for people, with the administrator's context as the current one. It goes with the cluster.
    #[must_use]
    pub fn current_kubeconfig(&self) -> PathBuf {
        let path = self.directory.join("current.kubeconfig");
        Kubeconfig::new().context(CONTEXT, self.access()).current(CONTEXT).write(&path);
        path
    }

    /// kubectl, and the administrator's kubeconfig.
    pub(super) fn kubectl_program(&self) -> (&Path, &Path) {
        (&self.kubectl.program, &self.kubectl.kubeconfig)
    }

    /// The name of the context, which is not the current one.
    #[must_use]
    pub fn context(&self) -> &'static str {
        CONTEXT
    }

    /// The administrator's way into the cluster, for a [`Kubeconfig`] of another kind.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access.clone()
    }

    /// Writes a kubeconfig with that access in the context [`Self::context`].
    pub fn kubeconfig_with(&self, access: Access) -> PathBuf {
        let path = self.directory.join(format!("kubeconfig-{}", self.next_number()));
        Kubeconfig::new().context(CONTEXT, access).write(&path);
        path
    }

    /// A kubeconfig for `alice` or `bob`, who may do nothing until a test binds a role to them.
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        self.kubeconfig_with(self.access().as_user(user))
    }

    /// A kubeconfig for the administrator through a proxy.
    pub fn kubeconfig_through(&self, proxy: &Proxy) -> PathBuf {
        self.kubeconfig_with(self.access().at(proxy.address()))
    }

    /// A network between the tool under test and the API server.
    ///
    /// # Panics
    /// If there is no port for it.
    #[must_use]
    pub fn proxy(&self) -> Proxy {
        Proxy::start(self.address()).unwrap_or_else(|error| panic!("cannot start a proxy: {error}"))
    }

    /// What can answer in the API server's place, without TLS.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn front(&self) -> Front {
        let socket = self.directory.join(format!("front-{}", self.next_number()));
        Front::start(&self.kubectl, socket).unwrap_or_else(|error| panic!("cannot start a front: {error}"))
    }

    /// Where the API server listens, also after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A new name for a namespace, which is not made yet.
    #[must_use]
    pub fn namespace(&self, hint: &str) -> Namespace<'_> {
        Namespace::new(self, format!("{hint}-{}", self.next_number()))
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[impl AsRef<OsStr>]) -> Output {
        self.kubectl.run(arguments, b"")
    }

    /// Runs kubectl as the administrator, with that input.
    pub fn kubectl_with_input(&self, arguments: &[impl AsRef<OsStr>], input: impl AsRef<[u8]>) -> Output {
        self.kubectl.run(arguments, input.as_ref())
    }

    /// Runs kubectl as the administrator, with that input, and these in its environment.
    pub fn kubectl_with_env(
        &self,
        arguments: &[impl AsRef<OsStr>],
        input: impl AsRef<[u8]>,
        env: &[(&str, &str)],
    ) -> Output {
        self.kubectl.run_with_env(arguments, input.as_ref(), env)
    }

    /// What the API server answers to a GET of that path.
    ///
    /// # Panics
    /// If it refuses.
    #[must_use]
    #[track_caller]
    pub fn get_raw(&self, path: &str) -> Value {
        let output = self.kubectl(&["get", "--raw", path]);
        serde_json::from_str(&output.success().stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
    }

    /// All requests to the API server so far, in their order.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditEvent> {
        let log = self.directory.join(control_plane::AUDIT_LOG);
        // Requests are written down after they are answered, so one is made and looked for.
        let marker = format!("{MARKER}{}-", self.next_number());
        if self.kubectl(&["get", "--raw", &marker, "--request-timeout=2s"]).code == Some(0) {
            eventually("the audit log is written", || audit::contains(&log, &marker));
        }
        let mut events = audit::read(&log);
        events.retain(|event| !event.uri.starts_with(MARKER));
        events
    }

    /// The API server.
    #[must_use]
    pub fn api_server(&self) -> &Component {
        &self.api_server
    }

    /// Starts the API server after its end.
    ///
    /// kwok is started anew as well: a request that died with the API server it never sends again, as a kubelet would.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn revive_api_server(&self) {
        let Nodes::Pretended(kwok) = &self.nodes else { return self.api_server.start() };
        kwok.kill();
        self.api_server.start();
        kwok.start();
    }

    /// Where everything of this cluster is, logs included. Set `GIT_DEPLOY_TESTKIT_KEEP` to look into it afterwards.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn real_node(&self) -> Option<&Node> {
        match &self.nodes {
            Nodes::Real(node) => Some(node),
            Nodes::Pretended(_) => None,
        }
    }

    fn next_number(&self) -> usize {
        self.names.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// What a test says that finds no cluster.
pub fn no_cluster(test: &str, missing: &Missing) {
    match missing {
        Missing::Programs | Missing::Node(_) => crate::skip(test, &missing.to_string()),
        Missing::LeftOut => crate::skip::left_out(test),
    }
}

/// Waits until that holds.
///
/// # Panics
/// If it does not within three minutes.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
