//! A test's own corner of a cluster.

use std::fmt;

use serde_json::Value;

use super::Cluster;
use crate::Output;

/// The name of a namespace that no other test has.
#[derive(Debug, Clone)]
pub struct Namespace<'cluster> {
    cluster: &'cluster Cluster,
    name: String,
}

impl<'cluster> Namespace<'cluster> {
    pub(super) fn new(cluster: &'cluster Cluster, name: String) -> Self {
        Self { cluster, name }
    }

    /// Makes it in the cluster, unless the tool under test is to do that.
    #[must_use]
    #[track_caller]
    pub fn create(self) -> Self {
        self.cluster.kubectl(&["create", "namespace", &self.name]).success();
        // A controller makes it, and without it no pod of the namespace is let in.
        super::eventually("there is a service account", || {
            self.kubectl(&["get", "serviceaccount", "default"]).code == Some(0)
        });
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs kubectl in it, as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.cluster.kubectl(&self.with_name(arguments))
    }

    /// Runs kubectl in it, as the administrator, with that input.
    pub fn kubectl_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        self.cluster.kubectl_with_input(&self.with_name(arguments), input)
    }

    /// Applies manifests, as kubectl does.
    #[track_caller]
    pub fn apply(&self, manifests: &str) {
        self.kubectl_with_input(&["apply", "-f", "-"], manifests).success();
    }

    /// An object.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).unwrap_or_else(|| panic!("there is no {kind} '{name}' in '{self}'"))
    }

    /// An object, if it is there.
    ///
    /// # Panics
    /// If the API server does not say.
    #[must_use]
    #[track_caller]
    pub fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let output = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"]);
        let stdout = &output.success().stdout;
        (!stdout.is_empty()).then(|| parsed(stdout))
    }

    /// All objects of a kind; `kinds` may be several, with commas between them.
    #[must_use]
    #[track_caller]
    pub fn list(&self, kinds: &str) -> Vec<Value> {
        let output = self.kubectl(&["get", kinds, "-o", "json"]);
        let mut list = parsed(&output.success().stdout);
        match list["items"].take() {
            Value::Array(items) => items,
            other => panic!("no list: {other}"),
        }
    }

    /// The requests so far that were about it or what is in it.
    #[must_use]
    pub fn audit(&self) -> Vec<super::AuditEvent> {
        let mut events = self.cluster.audit();
        events.retain(|event| event.namespace == self.name);
        events
    }

    fn with_name<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        ["--namespace", self.name()].into_iter().chain(arguments.iter().copied()).collect()
    }
}

impl fmt::Display for Namespace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

#[track_caller]
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("kubectl prints no JSON: {error}\n{json}"))
}
