//! A shop that is ready to be deployed, with and without a remote.

pub mod boutique;
mod in_cluster;

pub use in_cluster::{ClusterShop, Opening, SET, in_cluster};

use crate::keys::{APPROVE, Key};
use crate::{Output, Repo, Sandbox};

/// What the shop's `deploy.toml` says.
pub const DEPLOY_TOML: &str = r#"[image-name]
container-namespace = "littleman-co"
project-namespace = "shop"

[[image]]
name = "web"
context = "images/web"

[environment.demo]
kind = "rendered"
branch = "rendered/demo"
manifests = ["deploy"]
"#;

/// A Deployment whose image is one of the shop's own, and a Service.
pub const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: littleman-co/shop-web:any
          readinessProbe: {tcpSocket: {port: 8080}}
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
    - port: 80
";

/// A clone of the shop, or the shop itself where there is no remote.
pub struct Shop {
    /// Where commands are run.
    pub repo: Repo,
    /// The remote, if there is one.
    pub remote: Option<Repo>,
}

impl Shop {
    /// A shop on one disk.
    #[must_use]
    pub fn alone(sandbox: &Sandbox) -> Self {
        let repo = sandbox.repository("shop");
        repo.commit_files(&[("deploy.toml", DEPLOY_TOML), ("deploy/web.yaml", WEB)], "Open the shop");
        Self { repo, remote: None }
    }

    /// A shop with a bare remote on disk, from which it was cloned.
    #[must_use]
    pub fn with_remote(sandbox: &Sandbox) -> Self {
        Self::alone(sandbox).behind_a_remote()
    }

    /// A clone of a bare remote that has the same master.
    fn behind_a_remote(self) -> Self {
        let remote = self.repo.sandbox().bare("shop.git");
        self.repo.add_remote("origin", &remote);
        self.repo.git(&["push", "--quiet", "origin", "master"]);
        Self { repo: remote.clone_to("clone"), remote: Some(remote) }
    }

    /// Both kinds, for what must hold in both.
    #[must_use]
    pub fn both(one: &Sandbox, other: &Sandbox) -> [Self; 2] {
        [Self::alone(one), Self::with_remote(other)]
    }

    /// Lets base take the approvals of one key alone, which is that of its user.
    pub fn guard(&self) -> Key {
        let ada = Key::new(self.repo.sandbox(), "ada");
        ada.signs_in(&self.repo);
        let toml = format!("{}{APPROVE}", self.repo.read("deploy.toml"));
        let list = ada.line("ada@example.org", "");
        self.repo.commit_files(&[("deploy.toml", &toml), ("approvers", &list)], "Say who may approve");
        self.push(&["master"]);
        ada
    }

    /// Where the refs are that count.
    pub fn authority(&self) -> &Repo {
        self.remote.as_ref().unwrap_or(&self.repo)
    }

    /// A branch off master with one file changed.
    pub fn branch(&self, name: &str, path: &str, text: &str) -> String {
        self.repo.git(&["switch", "--quiet", "-c", name, "master"]);
        let id = self.repo.commit(path, text, &format!("Change {path}"));
        self.push(&[name]);
        self.repo.git(&["switch", "--quiet", "master"]);
        id
    }

    /// Pushes branches, if there is where to.
    pub fn push(&self, refs: &[&str]) {
        if self.remote.is_some() {
            self.repo.git(&[&["push", "--quiet", "origin"], refs].concat());
        }
    }

    /// A branch that is deployable.
    pub fn deployable(&self, name: &str, path: &str, text: &str) -> String {
        let id = self.branch(name, path, text);
        self.repo.deploy("deploy-state", &["set", "deployable", name]);
        id
    }

    /// A commit on master.
    pub fn on_master(&self, path: &str, text: &str) -> String {
        let id = self.repo.commit(path, text, &format!("Change {path} on master"));
        self.push(&["master"]);
        id
    }

    /// Runs `git deploy`, whatever comes of it.
    pub fn deploy(&self, arguments: &[&str]) -> Output {
        self.repo.try_deploy("deploy", arguments)
    }

    /// The state of a branch as it counts.
    pub fn state(&self, branch: &str) -> String {
        let listed = self.repo.deploy("deploy-state", &["list", "--porcelain"]);
        let line = listed.lines().into_iter().find(|line| line.ends_with(&format!(" refs/heads/{branch}")));
        line.and_then(|line| line.split(' ').next()).unwrap_or("none").to_owned()
    }

    /// The message of a deployment's tag.
    pub fn tag(&self, name: &str) -> String {
        self.authority().git(&["for-each-ref", "--format=%(contents)", &format!("refs/tags/{name}")]).stdout
    }

    /// The file of an object on the environment's branch, or nothing.
    pub fn rendered(&self, file: &str) -> String {
        self.authority().try_git(&["show", &format!("rendered/demo:{file}")]).stdout
    }

    /// What must be so after any deployment, however it ended.
    pub fn is_sound(&self) {
        self.repo.fsck();
        self.authority().fsck();
        self.repo.has_no_lock_files();
        self.authority().has_no_lock_files();
        let refs = self.authority().refs();
        assert!(!refs.keys().any(|name| name.starts_with("refs/deploy/lock/")), "a lock is left: {refs:#?}");
        for attempt in refs.keys().filter_map(|name| name.strip_prefix("refs/deploy/attempts/")) {
            assert!(
                refs.contains_key(&format!("refs/tags/{attempt}")),
                "{attempt} has no verdict: {refs:#?}"
            );
        }
    }
}
