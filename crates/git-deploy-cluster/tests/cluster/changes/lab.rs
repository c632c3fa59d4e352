//! A namespace with a set of its own, deployed to as a driver does.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use git_deploy_cluster::{
    Applied, ApplyError, ApplyOptions, Bounds, Connection, PlanError, PlanOptions, Planned, PruneError,
    PruneOptions, Pruned, Resources, SetView, Target, apply_stage, plan, prune,
};
use git_deploy_core::environment::Effect;
use git_deploy_manifest::{GroupKind, SourceFile, read};
use git_deploy_testkit::cluster::{Cluster, Namespace, eventually};
use serde_json::Value;

use crate::support::admin;

/// A set in a namespace of its own.
pub(crate) struct Lab {
    pub(crate) cluster: &'static Cluster,
    pub(crate) namespace: Namespace<'static>,
    pub(crate) connection: Connection,
    pub(crate) options: PlanOptions,
    pub(crate) bounds: Bounds,
    set: RefCell<SetView>,
}

impl Lab {
    pub(crate) async fn new(cluster: &'static Cluster, hint: &str) -> Self {
        let namespace = cluster.namespace(hint).create();
        let connection = admin(cluster).await;
        let set = SetView {
            id: format!("applyset-{namespace}-v1"),
            namespace: namespace.name().to_owned(),
            kinds: BTreeSet::new(),
            namespaces: BTreeSet::new(),
        };
        let bounds = Bounds { kinds: Some(vec!["*".to_owned()]), namespaces: None };
        Self {
            cluster,
            namespace,
            connection,
            options: PlanOptions::default(),
            bounds,
            set: RefCell::new(set),
        }
    }

    /// The same, taking over what others hold.
    pub(crate) fn forcing(mut self) -> Self {
        self.options.force_conflicts = true;
        self
    }

    pub(crate) fn set(&self) -> SetView {
        self.set.borrow().clone()
    }

    pub(crate) fn allow_namespace(&mut self, namespace: &str) {
        let own = self.namespace.name().to_owned();
        self.bounds.namespaces.get_or_insert_with(|| vec![own]).push(namespace.to_owned());
    }

    pub(crate) async fn resources(&self) -> Resources {
        Resources::discover(&self.connection).await.expect("it tells its kinds")
    }

    pub(crate) async fn targets(&self, manifests: &str) -> Vec<Target> {
        let file = SourceFile { path: "all.yaml".to_owned(), bytes: manifests.as_bytes().to_vec() };
        let objects = read(&[file]).expect("these are manifests");
        self.resources()
            .await
            .targets(&objects, self.namespace.name(), Some(&self.bounds))
            .expect("all of it is allowed")
    }

    pub(crate) async fn plan(&self, manifests: &str) -> Result<Planned, PlanError> {
        self.plan_of(&self.targets(manifests).await).await
    }

    pub(crate) async fn plan_of(&self, targets: &[Target]) -> Result<Planned, PlanError> {
        plan(&self.connection, &self.resources().await, &self.set(), targets, &self.options).await
    }

    /// Records, as the set's parent does, what kinds the set has and where.
    pub(crate) fn grow(&self, targets: &[Target]) {
        let mut set = self.set.borrow_mut();
        set.kinds.extend(targets.iter().map(|target| GroupKind::from(&target.id)));
        set.namespaces.extend(targets.iter().filter_map(|target| target.id.namespace.clone()));
    }

    /// The one problem of a plan, as people read it.
    pub(crate) async fn refusal(&self, manifests: &str) -> PlanError {
        let error = self.plan(manifests).await.expect_err("this cannot be planned");
        assert_eq!(error.problems.len(), 1, "{error}");
        error
    }

    /// Effect and name of each object.
    pub(crate) async fn effects(&self, manifests: &str) -> Vec<(Effect, String)> {
        let planned = self.plan(manifests).await.expect("this can be planned");
        planned.objects.into_iter().map(|object| (object.effect, object.target.id.name)).collect()
    }

    pub(crate) async fn deploy(&self, manifests: &str) -> Vec<Applied> {
        let targets = self.targets(manifests).await;
        self.grow(&targets);
        let planned =
            self.plan_of(&targets).await.unwrap_or_else(|error| panic!("cannot be planned: {error}"));
        self.apply(&planned).await.unwrap_or_else(|error| panic!("cannot be applied: {error}"))
    }

    pub(crate) async fn apply(&self, planned: &Planned) -> Result<Vec<Applied>, ApplyError> {
        let options = ApplyOptions { leaving_timeout: Duration::from_secs(10) };
        let mut applied = Vec::new();
        for (_, objects) in planned.steps() {
            applied.extend(apply_stage(&self.connection, &self.set(), objects, &options).await?);
        }
        Ok(applied)
    }

    pub(crate) fn prune_options(&self) -> PruneOptions {
        PruneOptions {
            other_namespaces: self.bounds.other_namespaces(self.namespace.name()),
            gone_timeout: Duration::from_secs(20),
            only: None,
            due: None,
            adopted: BTreeSet::default(),
            in_turn: false,
        }
    }

    pub(crate) async fn try_prune(&self, wanted: &str) -> Result<Pruned, PruneError> {
        self.try_prune_with(wanted, &self.prune_options()).await
    }

    pub(crate) async fn try_prune_with(
        &self,
        wanted: &str,
        options: &PruneOptions,
    ) -> Result<Pruned, PruneError> {
        let targets = self.targets(wanted).await;
        let resources = self.resources().await;
        prune(&self.connection, &resources, &self.set(), &targets, options).await
    }

    /// Prunes, and says what is gone and what stays, as people read it.
    pub(crate) async fn prune(&self, wanted: &str) -> (Vec<String>, Vec<String>) {
        let pruned = self.try_prune(wanted).await.expect("this can be pruned");
        let short = |text: String| text.replace(&format!("{}/", self.namespace), "");
        let deleted = pruned.deleted.iter().map(|id| short(id.to_string())).collect();
        let kept = pruned.kept.iter().map(|(id, why)| short(format!("{id}: {why}"))).collect();
        (deleted, kept)
    }

    /// Waits until a deployment runs as many pods as it should.
    pub(crate) fn wait_until_ready(&self, deployment: &str) {
        eventually("the deployment is ready", || {
            let live = self.namespace.get("deployment", deployment);
            live["status"]["observedGeneration"] == live["metadata"]["generation"]
                && live["status"]["readyReplicas"] == live["spec"]["replicas"]
                && live["status"]["replicas"] == live["spec"]["replicas"]
        });
    }

    /// Another namespace, where kubectl does the same with the same files.
    pub(crate) fn beside(&self) -> Namespace<'static> {
        self.cluster.namespace("kubectl").create()
    }
}

/// Applies server-side, as kubectl does it.
pub(crate) fn kubectl_apply(namespace: &Namespace<'_>, manifests: &str) {
    namespace.kubectl_with_input(&["apply", "--server-side", "-f", "-"], manifests).success();
}

/// A Deployment with that in its `spec`, its template's `spec`, and its only container.
pub(crate) fn deployment(name: &str, spec: &str, pod: &str, container: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  {spec}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      {pod}
      containers:
      - name: web
        image: example.org/web:1
        {container}
---
"
    )
}

/// A ConfigMap with these data.
pub(crate) fn config_map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ {data} }}\n---\n")
}

pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("-")
}
