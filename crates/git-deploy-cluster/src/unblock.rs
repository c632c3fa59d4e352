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
use k8s_openapi::api::core::v1::Pod;
use kube::core::discovery::ApiResource;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::Connection;
use crate::objects::Place;

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
    let kind = ApiResource::erase::<Pod>(&());
    let deletions = pods.iter().map(async |pod| {
        let place = Place { resource: &kind, namespace: Some(&pod.namespace), name: &pod.name };
        match connection.delete(place, &pod.uid, None).await {
            Err(error) if *error.kind() != ApiErrorKind::Changed => Err(error),
            _ => Ok(()),
        }
    });
    try_join_all(deletions).await.map(drop)
}
