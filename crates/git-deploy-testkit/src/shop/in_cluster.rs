//! A shop that is deployed into a namespace of a real cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Shop;
use crate::cluster::{AuditEvent, Cluster, Namespace, eventually};
use crate::{Output, Run, Running, Sandbox};

/// The only environment.
const ENVIRONMENT: &str = "production";

/// More than the `timeout` of any scenario: what the tool says of that is seen.
const LONGEST_DEPLOYMENT: Duration = Duration::from_secs(300);

/// What the set's parent and its Lease are called.
pub const SET: &str = "git-deploy-shop-production";

/// Kinds that the scenarios deploy, as kubectl takes them.
const KINDS: &str = "deployments,statefulsets,daemonsets,jobs,services,serviceaccounts,configmaps,secrets,ingresses,\
                     persistentvolumeclaims,poddisruptionbudgets";

/// What the server and its controllers write, and what tells of a deployment instead of the release.
const NOT_OF_THE_RELEASE: [&str; 13] = [
    "/metadata/annotations/deployment.kubernetes.io~1revision",
    "/metadata/annotations/kubernetes.io~1change-cause",
    "/metadata/creationTimestamp",
    "/metadata/finalizers",
    "/metadata/generation",
    "/metadata/managedFields",
    "/metadata/resourceVersion",
    "/metadata/uid",
    "/spec/clusterIP",
    "/spec/clusterIPs",
    "/spec/healthCheckNodePort",
    "/spec/ports/0/nodePort",
    "/status",
];

/// A shop in the making, whose manifests are in `deploy/`.
#[derive(Debug, Clone)]
#[must_use = "it is not opened yet"]
pub struct Opening<'cluster> {
    cluster: &'cluster Cluster,
    namespace: Namespace<'cluster>,
    project: String,
    settings: String,
    files: Vec<(String, String)>,
}

/// A shop that is deployed into a namespace of its own. All commands in its sandbox find the cluster.
pub struct ClusterShop<'cluster> {
    /// Its repositories.
    pub shop: Shop,
    /// Where it is deployed to; the tool under test makes it.
    pub namespace: Namespace<'cluster>,
    /// Where that is.
    pub cluster: &'cluster Cluster,
    kubeconfig: Option<PathBuf>,
}

/// A shop that is to be deployed into a cluster.
pub fn in_cluster<'cluster>(cluster: &'cluster Cluster, hint: &str) -> Opening<'cluster> {
    let namespace = cluster.namespace(hint);
    Opening { cluster, namespace, project: "shop".to_owned(), settings: String::new(), files: Vec::new() }
}

impl<'cluster> Opening<'cluster> {
    /// A namespace that is there, or that it shares.
    pub fn into_namespace(mut self, namespace: Namespace<'cluster>) -> Self {
        self.namespace = namespace;
        self
    }

    /// Another name for the project and its repository.
    pub fn project(mut self, name: &str) -> Self {
        name.clone_into(&mut self.project);
        self
    }

    /// A line of its environment in `deploy.toml`.
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// A file in the first commit.
    pub fn file(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.push((path.to_owned(), text.into()));
        self
    }

    /// A shop on one disk.
    #[must_use]
    pub fn alone(self, sandbox: &Sandbox) -> ClusterShop<'cluster> {
        let kubeconfig = sandbox.home().join(".kube");
        fs::create_dir_all(&kubeconfig)
            .and_then(|()| fs::copy(self.cluster.kubeconfig(), kubeconfig.join("config")))
            .unwrap_or_else(|error| panic!("cannot copy the kubeconfig: {error}"));
        let deploy_toml = self.deploy_toml();
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let files: Vec<(&str, &str)> =
            [("deploy.toml", deploy_toml.as_str())].into_iter().chain(files).collect();
        let repo = sandbox.repository(&self.project);
        repo.commit_files(&files, "Open the shop");
        let shop = Shop { repo, remote: None };
        ClusterShop { shop, namespace: self.namespace, cluster: self.cluster, kubeconfig: None }
    }

    /// A shop with a bare remote on disk, from which it was cloned.
    #[must_use]
    pub fn with_remote(self, sandbox: &Sandbox) -> ClusterShop<'cluster> {
        let alone = self.alone(sandbox);
        ClusterShop { shop: alone.shop.behind_a_remote(), ..alone }
    }

    fn deploy_toml(&self) -> String {
        format!(
            "[image-name]\ncontainer-namespace = \"littleman-co\"\nproject-namespace = \"{}\"\n\n\
             [environment.{ENVIRONMENT}]\ncontext = \"{}\"\nkube-namespace = \"{}\"\nmanifests = [\"deploy\"]\n{}\n\
             [environment.{ENVIRONMENT}.lint]\nimage-tag = \"warn\"\n",
            self.project,
            self.cluster.context(),
            self.namespace,
            self.settings,
        )
    }
}

impl Deref for ClusterShop<'_> {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

impl ClusterShop<'_> {
    /// A deployable branch off master with these files.
    pub fn release(&self, name: &str, files: &[(&str, &str)]) -> String {
        self.repo.git(&["switch", "--quiet", "-c", name, "master"]);
        let id = self.repo.commit_files(files, &format!("Release {name}"));
        self.push(&[name]);
        self.repo.git(&["switch", "--quiet", "master"]);
        self.repo.deploy("deploy-state", &["set", "deployable", name]);
        id
    }

    /// A deployable branch off master with these manifests in a file of their own.
    pub fn release_more(&self, name: &str, manifests: &str) -> String {
        self.release(name, &[("deploy/more.yaml", manifests)])
    }

    /// A deployable branch off master in which a file is gone.
    pub fn release_without(&self, name: &str, path: &str) {
        self.repo.git(&["switch", "--quiet", "-c", name, "master"]);
        self.repo.git(&["rm", "--quiet", path]);
        self.repo.git(&["commit", "--quiet", "--message", &format!("Remove {path}")]);
        self.push(&[name]);
        self.repo.git(&["switch", "--quiet", "master"]);
        self.repo.deploy("deploy-state", &["set", "deployable", name]);
    }

    /// Says on base how long a deployment may take from now on: what has to be ready before gets all the time that it needs.
    pub fn set_timeout(&self, timeout: &str) {
        let deploy_toml = self.repo.read("deploy.toml");
        let others = deploy_toml.lines().filter(|line| !line.starts_with("timeout = "));
        let lines = others.flat_map(|line| match line.starts_with("manifests = ") {
            true => vec![line.to_owned(), format!("timeout = \"{timeout}\"")],
            false => vec![line.to_owned()],
        });
        self.on_master("deploy.toml", &(lines.collect::<Vec<_>>().join("\n") + "\n"));
    }

    /// The same shop, deployed with that kubeconfig from now on.
    #[must_use]
    pub fn by(self, kubeconfig: PathBuf) -> Self {
        Self { kubeconfig: Some(kubeconfig), ..self }
    }

    /// `git-deploy` itself, so that what is killed is it.
    pub fn command(&self, arguments: &[&str]) -> Run {
        self.with_kubeconfig(self.repo.command("git-deploy").args(arguments))
    }

    /// Starts a deployment.
    pub fn start(&self) -> Running {
        self.command(&[]).time_limit(LONGEST_DEPLOYMENT).start()
    }

    /// Runs `git deploy`, whatever comes of it.
    pub fn deploy(&self, arguments: &[&str]) -> Output {
        self.with_kubeconfig(self.repo.command("git").arg("deploy").args(arguments)).output()
    }

    /// Deploys a branch with these manifests in a file of their own.
    #[track_caller]
    pub fn deploy_more(&self, name: &str, manifests: &str) {
        self.release_more(name, manifests);
        self.deploy(&[]).success();
    }

    fn with_kubeconfig(&self, run: Run) -> Run {
        match &self.kubeconfig {
            Some(path) => run.env("KUBECONFIG", path),
            None => run,
        }
    }

    /// What the tool under test has changed in the namespace, its own records apart.
    #[must_use]
    pub fn changes(&self) -> Vec<AuditEvent> {
        let mut events = self.namespace.audit();
        events.retain(|event| {
            event.is_ours()
                && event.is_change()
                && event.code < 400
                && event.resource != "leases"
                && !event.name.starts_with("git-deploy-")
        });
        events
    }

    /// The tool under test has changed nothing in the namespace.
    #[track_caller]
    pub fn changed_nothing(&self) {
        let changes = self.changes();
        assert!(changes.is_empty(), "{changes:#?}");
    }

    /// No number was used up.
    #[track_caller]
    pub fn claimed_nothing(&self) {
        let refs = self.authority().refs();
        let is_claim =
            |name: &&String| name.starts_with("refs/tags/") || name.starts_with("refs/deploy/attempts/");
        assert_eq!(refs.keys().find(is_claim), None, "{refs:#?}");
        self.shop.is_sound();
    }

    /// The deployment failed for that reason. Whether the Lease is free is not asked: the cluster may be away.
    #[track_caller]
    pub fn failed(&self, tag: &str, reason: &str) {
        let text = self.tag(tag);
        assert!(text.starts_with("Failed Deployment\n") && text.contains(reason), "{reason}\n{text}");
        self.shop.is_sound();
    }

    /// The deployment succeeded.
    #[track_caller]
    pub fn succeeded(&self, tag: &str) {
        let text = self.tag(tag);
        assert!(text.starts_with("Successfully Deployed\n"), "{text}");
        self.shop.is_sound();
    }

    /// Waits until the parent tells that phase.
    #[track_caller]
    pub fn wait_for_phase(&self, phase: &str) {
        eventually(&format!("the phase is {phase}"), || self.phase() == phase);
    }

    /// The set's parent.
    #[must_use]
    #[track_caller]
    pub fn parent(&self) -> Value {
        self.namespace.get("configmap", SET)
    }

    /// How far the cluster says that a deployment has come there; nothing where it has seen none.
    #[must_use]
    #[track_caller]
    pub fn phase(&self) -> String {
        text(
            &self.namespace.find("configmap", SET).unwrap_or_default(),
            "/metadata/annotations/git-deploy~1phase",
        )
    }

    /// What its members have in their label `applyset.kubernetes.io/part-of`.
    #[must_use]
    #[track_caller]
    pub fn set_id(&self) -> String {
        text(&self.parent(), "/metadata/labels/applyset.kubernetes.io~1id")
    }

    /// All members of the set of these kinds, as kubectl finds them by their label, without what controllers made of them.
    #[must_use]
    #[track_caller]
    pub fn members_of(&self, kinds: &str) -> Vec<Value> {
        let selector = format!("applyset.kubernetes.io/part-of={}", self.set_id());
        let output = self.namespace.kubectl(&["get", kinds, "--selector", &selector, "-o", "json"]);
        let list: Value = serde_json::from_str(&output.success().stdout)
            .unwrap_or_else(|error| panic!("kubectl prints no JSON: {error}\n{output}"));
        let items = list["items"].as_array().cloned().unwrap_or_default();
        // A Service's labels go on to what is made of it, of which Endpoints do not even name an owner.
        let is_made =
            |item: &Value| item["kind"] == "Endpoints" || item.pointer("/metadata/ownerReferences").is_some();
        items.into_iter().filter(|item| !is_made(item)).collect()
    }

    /// The names of all members of the set, of whatever kind.
    #[must_use]
    #[track_caller]
    pub fn members(&self) -> BTreeSet<String> {
        let kinds = self.namespace.kubectl(&["api-resources", "--namespaced", "--verbs=list", "-o", "name"]);
        let kinds = kinds.success().lines().join(",");
        self.members_of(&kinds).iter().map(title).collect()
    }

    /// The members of the set without what no release decides, by name: equal releases are equal here.
    #[must_use]
    #[track_caller]
    pub fn standing(&self) -> BTreeMap<String, Value> {
        self.members_of(KINDS).into_iter().map(|object| (title(&object), comparable(object))).collect()
    }

    /// Lets whoever holds the environment be a process of another machine, of which nobody here can tell whether it lives.
    ///
    /// # Panics
    /// If nobody holds it.
    #[track_caller]
    pub fn holder_is_elsewhere(&self) {
        let lease = self.namespace.get("lease", SET);
        let holder = text(&lease, "/metadata/annotations/git-deploy~1holder");
        let annotation = format!("git-deploy/holder={}", elsewhere(&holder, None));
        self.namespace.kubectl(&["annotate", "--overwrite", "lease", SET, &annotation]).success();
    }

    /// The same of all that it holds, also in git; it may stand still for so many seconds.
    ///
    /// # Panics
    /// If nobody holds it.
    #[track_caller]
    pub fn holder_was_elsewhere(&self, ttl: u64) {
        let lease = self.namespace.get("lease", SET);
        let holder = text(&lease, "/metadata/annotations/git-deploy~1holder");
        let annotation = format!("git-deploy/holder={}", elsewhere(&holder, Some(ttl)));
        self.namespace.kubectl(&["annotate", "--overwrite", "lease", SET, &annotation]).success();
        let remote = self.authority();
        for (name, at) in remote.refs().into_iter().filter(|(name, _)| name.starts_with("refs/deploy/lock/"))
        {
            let held = remote.git(&["log", "-1", "--format=%B", &at]).stdout;
            let tree = format!("{at}^{{tree}}");
            let there = remote.command("git").args(["commit-tree", &tree]).stdin(elsewhere(&held, Some(ttl)));
            remote.git(&["update-ref", &name, there.output().success().line(), &at]);
        }
    }

    /// Nobody holds the environment.
    #[track_caller]
    pub fn lease_is_free(&self) {
        let lease = self.namespace.find("lease", SET).unwrap_or_default();
        let holder = text(&lease, "/spec/holderIdentity");
        assert_eq!(holder, "", "somebody holds the environment: {lease:#}");
    }

    /// What must be so after any deployment, however it ended.
    #[track_caller]
    pub fn is_sound(&self) {
        self.shop.is_sound();
        self.lease_is_free();
    }
}

/// What a holder says of itself, as one of another machine would.
#[track_caller]
fn elsewhere(holder: &str, ttl: Option<u64>) -> String {
    let there = |line: &str| match (line.split_once(": "), ttl) {
        (Some((key @ ("boot" | "clone"), value)), _) => format!("{key}: elsewhere{value}\n"),
        (Some(("ttl", _)), Some(ttl)) => format!("ttl: {ttl}\n"),
        _ => format!("{line}\n"),
    };
    let elsewhere: String = holder.lines().map(there).collect();
    assert_ne!(elsewhere.trim(), holder.trim(), "the holder says nothing of its machine: {holder}");
    elsewhere
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn title(object: &Value) -> String {
    format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"))
}

fn comparable(mut object: Value) -> Value {
    for pointer in NOT_OF_THE_RELEASE {
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(&key.replace("~1", "/"));
        }
    }
    // Without any is the same as with none.
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    object
}
