//! A repository with one environment that is a namespace of a cluster.

use std::path::{Path, PathBuf};

use git_deploy_testkit::cluster::{AuditEvent, Cluster, Namespace, eventually};
use git_deploy_testkit::shop::{SET, Shop};
use git_deploy_testkit::{Output, Repo, Run, Running, Sandbox};
use serde_json::Value;

/// What base brings along.
pub(crate) const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { colour: blue }\n";

/// The repository, and where it deploys to.
pub(crate) struct Lab<'c> {
    pub(crate) shop: Shop,
    pub(crate) cluster: &'c Cluster,
    pub(crate) namespace: Namespace<'c>,
    kubeconfig: PathBuf,
}

impl<'c> Lab<'c> {
    /// In a namespace of its own, which is there.
    pub(crate) fn new(sandbox: &Sandbox, cluster: &'c Cluster) -> Self {
        Self::with(sandbox, cluster, "")
    }

    /// The same with more lines for the environment in base's `deploy.toml`.
    pub(crate) fn with(sandbox: &Sandbox, cluster: &'c Cluster, lines: &str) -> Self {
        let namespace = cluster.namespace("trouble").create();
        Self::into(sandbox, cluster, namespace, "shop", lines)
    }

    /// A repository of that name, which deploys into that namespace.
    pub(crate) fn into(
        sandbox: &Sandbox,
        cluster: &'c Cluster,
        namespace: Namespace<'c>,
        project: &str,
        lines: &str,
    ) -> Self {
        let repo = sandbox.repository(project);
        let toml = deploy_toml(project, namespace.name(), lines);
        repo.commit_files(&[("deploy.toml", &toml), ("deploy/settings.yaml", SETTINGS)], "Open the shop");
        let kubeconfig = cluster.kubeconfig().to_owned();
        Self { shop: Shop { repo, remote: None }, cluster, namespace, kubeconfig }
    }

    /// The same with another kubeconfig.
    pub(crate) fn by(self, kubeconfig: PathBuf) -> Self {
        Self { kubeconfig, ..self }
    }

    pub(crate) fn repo(&self) -> &Repo {
        &self.shop.repo
    }

    /// Another `deploy.toml` on base.
    pub(crate) fn set_lines(&self, project: &str, lines: &str) {
        let toml = deploy_toml(project, self.namespace.name(), lines);
        self.repo().commit("deploy.toml", &toml, "Change the environment");
    }

    /// A branch with that manifest, deployable.
    pub(crate) fn deployable(&self, branch: &str, manifest: &str) {
        self.shop.deployable(branch, "deploy/more.yaml", manifest);
    }

    /// A branch with that manifest, deployed.
    pub(crate) fn deployed(&self, branch: &str, manifest: &str) {
        self.deployable(branch, manifest);
        self.deploy(&[]).success();
    }

    /// A branch in which a file is gone, deployable.
    pub(crate) fn deployable_without(&self, branch: &str, path: &str) {
        self.repo().git(&["switch", "--quiet", "-c", branch, "master"]);
        self.repo().git(&["rm", "--quiet", path]);
        self.repo().git(&["commit", "--quiet", "--message", "Remove"]);
        self.repo().git(&["switch", "--quiet", "master"]);
        self.repo().deploy("deploy-state", &["set", "deployable", branch]);
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Run {
        self.repo().command("git-deploy").args(arguments).env("KUBECONFIG", &self.kubeconfig)
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output()
    }

    pub(crate) fn start(&self) -> Running {
        self.command(&[]).start()
    }

    /// A file that stands in the sandbox.
    pub(crate) fn root(&self) -> &Path {
        self.repo().sandbox().root()
    }

    /// What git-deploy has changed in the namespace, its own records apart.
    pub(crate) fn changes(&self) -> Vec<AuditEvent> {
        let mut events = self.namespace.audit();
        events.retain(|event| {
            event.is_change()
                && event.is_ours()
                && event.code < 400
                && event.resource != "leases"
                && !event.name.starts_with("git-deploy-")
        });
        events
    }

    #[track_caller]
    pub(crate) fn changed_nothing(&self) {
        let changes = self.changes();
        assert!(changes.is_empty(), "{changes:#?}");
    }

    /// No number was used up.
    #[track_caller]
    pub(crate) fn claimed_nothing(&self) {
        let refs = self.repo().refs();
        let claimed = refs
            .keys()
            .find(|name| name.starts_with("refs/tags/") || name.starts_with("refs/deploy/attempts/"));
        assert_eq!(claimed, None, "{refs:#?}");
        self.shop.is_sound();
    }

    /// The deployment failed for that reason, and what is to blame is known.
    #[track_caller]
    pub(crate) fn failed(&self, tag: &str, reason: &str) {
        let text = self.shop.tag(tag);
        assert!(text.starts_with("Failed Deployment\n") && text.contains(reason), "{reason}\n{text}");
        self.shop.is_sound();
    }

    /// The deployment succeeded.
    #[track_caller]
    pub(crate) fn succeeded(&self, tag: &str) {
        let text = self.shop.tag(tag);
        assert!(text.starts_with("Successfully Deployed\n"), "{text}");
        self.shop.is_sound();
    }

    /// What `settings` says.
    pub(crate) fn colour(&self) -> String {
        let live = self.namespace.get("configmap", "settings");
        live["data"]["colour"].as_str().unwrap_or_default().to_owned()
    }

    /// The parent of the set, if it is there.
    pub(crate) fn parent(&self) -> Option<Value> {
        self.namespace.find("configmap", SET)
    }

    /// The phase that the parent tells.
    pub(crate) fn phase(&self) -> String {
        let parent = self.parent().unwrap_or_default();
        parent["metadata"]["annotations"]["git-deploy/phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the parent tells that phase.
    #[track_caller]
    pub(crate) fn wait_for_phase(&self, phase: &str) {
        eventually(&format!("the phase is {phase}"), || self.phase() == phase);
    }
}

fn deploy_toml(project: &str, namespace: &str, lines: &str) -> String {
    let timeout = if lines.contains("timeout = ") { "" } else { "timeout = \"40s\"\n" };
    format!(
        "[image-name]\ncontainer-namespace = \"littleman-co\"\nproject-namespace = \"{project}\"\n\n\
         [environment.production]\ncontext = \"test\"\nkube-namespace = \"{namespace}\"\n\
         manifests = [\"deploy\"]\n{timeout}{lines}\n"
    )
}

/// A ConfigMap.
pub(crate) fn config_map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ {data} }}\n---\n")
}

/// Whether and how pods become ready: see the test cluster's stages.
pub(crate) enum Pods {
    Ready,
    Slow(&'static str),
    Unready,
    Waiting,
}

/// A Deployment of two pods with that version of its image.
pub(crate) fn deployment(name: &str, version: &str, pods: &Pods) -> String {
    let (behaviour, after) = match pods {
        Pods::Ready => ("plain", "0s"),
        Pods::Slow(after) => ("slow", *after),
        Pods::Unready => ("unready", "0s"),
        Pods::Waiting => ("waiting", "0s"),
    };
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata:
      labels: {{ app: {name}, test.git-deploy/pod: {behaviour} }}
      annotations: {{ test.git-deploy/after: {after} }}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{ name: web, image: 'registry.example.org/web:{version}' }}]
---
"
    )
}
