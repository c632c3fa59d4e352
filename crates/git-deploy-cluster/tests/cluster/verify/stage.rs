//! Objects to wait for, applied by kubectl, and what the wait told.

use std::future::Future;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use git_deploy_cluster::{Applied, Connection, Limits, NotReady, Progress, Target, until_ready};
use git_deploy_manifest::ObjectId;
use git_deploy_manifest::readiness::{NewImages, Patience};
use git_deploy_testkit::cluster::Namespace;
use kube::core::discovery::ApiResource;
use serde_json::Value;

/// Enough for anything that becomes ready at all.
pub(crate) fn limits() -> Limits {
    Limits {
        timeout: Duration::from_secs(120),
        silence: Duration::from_secs(120),
        allowance: Duration::from_secs(120),
        patience: Patience::default(),
        new_images: NewImages::default(),
    }
}

pub(crate) fn short(seconds: u64) -> Limits {
    let time = Duration::from_secs(seconds);
    Limits { timeout: time, silence: time, allowance: time, ..limits() }
}

/// Applies manifests, and says what was answered.
pub(crate) fn apply(namespace: &Namespace<'_>, manifests: &str) -> Vec<Applied> {
    let arguments = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=git-deploy",
        "-o",
        "json",
        "-f",
        "-",
    ];
    let output = namespace.kubectl_with_input(&arguments, manifests);
    let mut answer: Value = serde_json::from_str(&output.success().stdout).expect("kubectl prints JSON");
    match answer.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items.into_iter().map(applied).collect(),
        _ => vec![applied(answer)],
    }
}

fn applied(live: Value) -> Applied {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api_version = text("/apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = text("/kind");
    let plural = match kind.as_str() {
        "Ingress" => "ingresses".to_owned(),
        other => format!("{}s", other.to_lowercase()),
    };
    let (group, version) = (group.to_owned(), version.to_owned());
    let id = ObjectId {
        group: group.clone(),
        version: version.clone(),
        kind: kind.clone(),
        namespace: Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty()),
        name: text("/metadata/name"),
    };
    let resource = ApiResource { group, version, api_version: api_version.clone(), kind, plural };
    Applied {
        target: Target { id, resource, wanted: live.clone() },
        uid: text("/metadata/uid"),
        generation: live.pointer("/metadata/generation").and_then(Value::as_i64),
        live,
    }
}

/// How a wait ended.
pub(crate) struct Wait {
    pub(crate) result: Result<Vec<String>, NotReady>,
    pub(crate) told: Vec<Progress>,
    pub(crate) took: Duration,
}

impl Wait {
    /// The failure's words; names of pods are cut off.
    #[track_caller]
    pub(crate) fn failure(&self) -> &NotReady {
        self.result.as_ref().expect_err("it failed")
    }

    /// How many were ready, each time that this changed.
    pub(crate) fn counts(&self) -> Vec<usize> {
        let counts = self.told.iter().filter_map(|progress| match progress {
            Progress::Standing { ready, .. } => Some(*ready),
            _ => None,
        });
        let mut counts: Vec<_> = counts.collect();
        counts.dedup();
        counts
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.told.iter().filter_map(|progress| match progress {
            Progress::Warning(warning) => Some(warning.as_str()),
            _ => None,
        });
        warnings.collect()
    }
}

/// Waits, and notes what is told.
pub(crate) async fn wait(connection: &Connection, applied: &[Applied], limits: Limits) -> Wait {
    let told = Mutex::new(Vec::new());
    let begin = Instant::now();
    let tell = |progress| told.lock().expect("nobody panicked").push(progress);
    let result = until_ready(connection, applied, &limits, &tell).await;
    Wait { result, took: begin.elapsed(), told: told.into_inner().expect("nobody panicked") }
}

/// Waits while something else happens, some time later and on a thread of its own.
pub(crate) async fn wait_while<T: Send + 'static>(
    wait: impl Future<Output = Wait>,
    later: Duration,
    happens: impl FnOnce() -> T + Send + 'static,
) -> Wait {
    let meanwhile = async {
        tokio::time::sleep(later).await;
        // What it returns must outlive the wait.
        tokio::task::spawn_blocking(happens).await.expect("it happens without a panic")
    };
    let (wait, _kept) = tokio::join!(wait, meanwhile);
    wait
}

/// A Deployment `web` of two, its pods as the label and the annotations say, with more in its specification.
pub(crate) fn deployment(pods: &str, annotations: &str, more: &str) -> String {
    let label = if pods.is_empty() { String::new() } else { format!(", test.git-deploy/pod: {pods}") };
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: web }} }}
  {more}
  template:
    metadata: {{ labels: {{ app: web{label} }}, annotations: {{ {annotations} }} }}
    spec: {{ containers: [{{ name: web, image: "example.org/web:1" }}] }}
---
"#
    )
}

/// The same as a workload of another kind.
pub(crate) fn workload(kind: &str, pods: &str, annotations: &str) -> String {
    let deployment = deployment(pods, annotations, "").replace("kind: Deployment", &format!("kind: {kind}"));
    match kind {
        "DaemonSet" => deployment.replace("  replicas: 2\n", ""),
        "StatefulSet" => deployment.replace("  replicas: 2\n", "  replicas: 2\n  serviceName: web\n"),
        _ => deployment,
    }
}

pub(crate) fn job(pods: &str, annotations: &str, more: &str) -> String {
    format!(
        r#"
apiVersion: batch/v1
kind: Job
metadata: {{ name: web }}
spec:
  {more}
  template:
    metadata: {{ labels: {{ test.git-deploy/pod: {pods} }}, annotations: {{ {annotations} }} }}
    spec: {{ restartPolicy: Never, containers: [{{ name: web, image: "example.org/web:1" }}] }}
---
"#
    )
}

/// Why containers wait.
pub(crate) fn because(reason: &str, message: &str) -> String {
    format!("test.git-deploy/reason: '{reason}', test.git-deploy/message: '{message}'")
}

/// Ready after whatever a test does meanwhile.
pub(crate) const SLOW: &str = "test.git-deploy/after: '8s'";

pub(crate) const SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
---
"#;

pub(crate) const CONFIG: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: web }
data: { colour: blue }
---
"#;
