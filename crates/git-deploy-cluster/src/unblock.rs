//! Takes pods of an earlier revision out of a StatefulSet's way.
//!
//! With `OrderedReady`, the default, the controller waits for each pod to become ready before it replaces the next, also
//! for one that never will, and even when the revision that it goes back to would work: [somebody has to delete it][1].
//! Without that neither going back nor the deployment that repairs a StatefulSet would ever end.
//!
//! Only the pods that a wait has named are deleted, each by its UID, and they are those that the controller replaces next.
//!
//! [1]: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback

use futures::future::try_join_all;
use http::Method;
use serde_json::json;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, request};

/// A pod of an earlier revision that will not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockingPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name, which the pod that comes after it has too.
    pub name: String,
    /// The pod that is meant.
    pub uid: String,
}

/// Deletes these pods; one that is gone, or another one by now, is no error. Writes: only for who holds the Lease.
///
/// # Errors
/// When the API server refuses or cannot be asked.
pub async fn unblock(connection: &Connection, pods: &[BlockingPod]) -> Result<(), ApiError> {
    let deletions = pods.iter().map(async |pod| {
        let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name);
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod.uid}});
        match connection.call(request(Method::DELETE, &path, options.to_string().into_bytes())).await {
            Err(error) if !matches!(error.kind(), ApiErrorKind::NotFound | ApiErrorKind::Changed) => {
                Err(error)
            }
            _ => Ok(()),
        }
    });
    try_join_all(deletions).await.map(drop)
}
