//! The name of a job that was never started, taken for good.

use git_deploy_manifest::value::{annotation, text};
use serde_json::{Value, json};

use super::{EXPIRY, JobError, SET, api, require_ours};
use crate::api_error::ApiErrorKind;
use crate::connect::Connection;
use crate::target::Target;

/// What marks one that keeps the name of a job which was never started.
const BARRED: &str = "git-deploy/barred";

/// Sees to it that a job which is not there never will be, whatever is on its way to the API server still: its name is taken
/// for one that never runs. Whether that is so; not where the job is there.
///
/// # Errors
/// When the API server does not let it be made.
pub(crate) async fn bar(connection: &Connection, set: &str, job: &Target) -> Result<bool, JobError> {
    let object = placeholder(set, job);
    match connection.create(&job.resource, job.id.namespace.as_deref(), &object, false).await {
        Ok(_) => Ok(true),
        Err(why) if *why.kind() == ApiErrorKind::Changed => {
            let live = connection.get(job.into()).await.map_err(api(job))?;
            Ok(live.is_some_and(|live| is_barred(&live) && require_ours(job, &live, set).is_ok()))
        }
        Err(why) => Err(api(job)(why)),
    }
}

/// What keeps the name of a job. It wants no pod to complete, which cannot be changed any more, so that nobody can start it:
/// it is complete at once, and its time to live takes it away when no request of before can be on its way still. Nothing of
/// what the manifest says to others is on it, and its container passes where a restricted one that says what it needs does.
fn placeholder(set: &str, job: &Target) -> Value {
    const ABOUT: &str = "keeps the name of a one-time job that was never started; runs nothing";
    let size = json!({"cpu": "1m", "memory": "4Mi"});
    json!({
        "apiVersion": job.resource.api_version,
        "kind": job.resource.kind,
        "metadata": {
            "name": job.id.name,
            "namespace": job.id.namespace,
            "annotations": {SET: set, BARRED: "true", "kubernetes.io/description": ABOUT},
        },
        "spec": {
            "parallelism": 0,
            "completions": 0,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": EXPIRY,
            "template": {"spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 65534,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "nothing",
                    // Never pulled; one that the cluster's policies let in.
                    "image": text(&job.wanted, "/spec/template/spec/containers/0/image"),
                    "command": ["true"],
                    "resources": {"requests": size, "limits": size},
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            }},
        },
    })
}

pub(super) fn is_barred(live: &Value) -> bool {
    annotation(live, BARRED).is_some()
}
