//! What the tests have in common: the way into the cluster, and what Lease and set are asked with.

use std::path::Path;
use std::time::Duration;

use git_deploy_cluster::{ConnectError, Connection, LeasePlace, Set, Terms};
use git_deploy_core::attempt::Lock;
use git_deploy_testkit::cluster::Cluster;

/// Short enough for tests, long enough for a machine that has other things to do.
pub(crate) const TTL: Duration = Duration::from_secs(6);

/// The way that a kubeconfig of the tests shows, if it is one.
pub(crate) async fn try_open(kubeconfig: &Path) -> Result<Connection, ConnectError> {
    Connection::open_with(kubeconfig, "test").await
}

/// The way into the cluster with that kubeconfig.
pub(crate) async fn open(cluster: &Cluster, kubeconfig: &Path) -> Connection {
    Connection::open_with(kubeconfig, cluster.context()).await.expect("the cluster can be reached")
}

/// The administrator's way into the cluster.
pub(crate) async fn admin(cluster: &Cluster) -> Connection {
    open(cluster, cluster.kubeconfig()).await
}

/// The set of the environment `production` of the project `shop`.
pub(crate) fn shop(namespace: &str) -> Set {
    Set::new("shop", "production", namespace, root('1'))
}

/// A root commit.
pub(crate) fn root(digit: char) -> git_deploy_core::ids::CommitId {
    digit.to_string().repeat(40).parse().expect("a commit id")
}

/// The Lease of that environment.
pub(crate) fn place(connection: &Connection, namespace: &str) -> LeasePlace {
    // A busy machine may take its time to answer.
    let terms = Terms { request: TTL / 3, ..Terms::of(TTL) };
    LeasePlace::new(connection, namespace, &shop(namespace).name, terms)
}

/// A run of somebody.
pub(crate) fn run(name: &str) -> Lock {
    Lock {
        run: name.to_owned(),
        by: format!("{name} <{name}@example.org>"),
        host: format!("host-of-{name}"),
        boot: String::new(),
        clone: String::new(),
        pid: 1,
        deployment: Some("deployment-0007".parse().expect("the name of a deployment")),
        ttl: TTL.as_secs(),
    }
}

/// Who holds a Lease is alive.
pub(crate) fn alive(_: &Lock, _: &str) -> bool {
    false
}

/// Who holds a Lease is dead.
pub(crate) fn dead(_: &Lock, _: &str) -> bool {
    true
}
