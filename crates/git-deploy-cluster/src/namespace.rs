//! The environment's own namespace: it is there before the set, and never part of it.

use k8s_openapi::api::core::v1::Namespace;
use kube::core::discovery::ApiResource;
use serde_json::json;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, REQUEST_TIMEOUT};
use crate::objects::Place;
use crate::set::SetError;
use crate::slot::{Slot, Swap};

/// Whether a namespace is there. One that may not be looked at counts as there.
///
/// # Errors
/// When it is being deleted, or the cluster cannot be asked.
pub(crate) async fn has_namespace(connection: &Connection, namespace: &str) -> Result<bool, SetError> {
    Ok(seen(connection, namespace).await?.unwrap_or(true))
}

/// Whether it is there; none where it may not be looked at, as who may work in a namespace need not be allowed to.
async fn seen(connection: &Connection, namespace: &str) -> Result<Option<bool>, SetError> {
    let kind = ApiResource::erase::<Namespace>(&());
    let place = Place { resource: &kind, namespace: None, name: namespace };
    // Most who may not look at it are refused each time.
    match connection.believing().get(place).await {
        Ok(Some(found)) if found["status"]["phase"] == "Terminating" => {
            Err(SetError::Terminating { namespace: namespace.to_owned() })
        }
        Ok(found) => Ok(Some(found.is_some())),
        Err(error) if *error.kind() == ApiErrorKind::Forbidden => Ok(None),
        Err(error) => Err(failed_at_namespace("read", namespace)(error)),
    }
}

/// Makes sure that the environment's namespace is there, and returns whether it had to be created. It is never part of the set.
///
/// # Errors
/// When it is being deleted, or is not there and cannot be created.
pub async fn ensure_namespace(connection: &Connection, namespace: &str) -> Result<bool, SetError> {
    let found = match seen(connection, namespace).await? {
        // One of several servers may be refusing everybody.
        None => seen(&connection.elsewhere(), namespace).await?,
        found => found,
    };
    if found.unwrap_or(true) {
        return Ok(false);
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let slot = Slot::new(connection, "/api/v1/namespaces".to_owned(), namespace, REQUEST_TIMEOUT);
    match slot.create(&body).await.map_err(failed_at_namespace("create", namespace))? {
        Swap::Done(_) => Ok(true),
        Swap::Lost => Ok(false),
    }
}

fn failed_at_namespace(doing: &'static str, namespace: &str) -> impl FnOnce(ApiError) -> SetError {
    let object = format!("Namespace '{namespace}'");
    move |error| SetError::Api { doing, object, error }
}
