//! One object of ours in the cluster that several runs may want to write at once: each write is a compare-and-swap.

use std::time::Duration;

use git_deploy_manifest::fields::MANAGER;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, request};

const MERGE_PATCH: HeaderValue = HeaderValue::from_static("application/merge-patch+json");

/// How often a write is tried again because somebody else was faster. Whoever loses that often is not alone by accident.
pub(crate) const ATTEMPTS: usize = 8;

/// Where an object is, or will be.
#[derive(Clone)]
pub(crate) struct Slot {
    connection: Connection,
    collection: String,
    name: String,
    limit: Duration,
}

/// What became of a write.
pub(crate) enum Swap {
    /// It was written: the object as it is now.
    Done(Value),
    /// Somebody else wrote meanwhile.
    Lost,
}

impl Slot {
    /// The object of that name in a collection such as `/api/v1/namespaces/shop/configmaps`. No request takes longer than
    /// the limit, repetitions included.
    pub(crate) fn new(connection: &Connection, collection: String, name: &str, limit: Duration) -> Self {
        Self { connection: connection.clone(), collection, name: name.to_owned(), limit }
    }

    /// What the object is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same object, with another limit for its requests.
    pub(crate) fn within(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The object, if it is there.
    pub(crate) async fn get(&self) -> Result<Option<Value>, ApiError> {
        match self.call(request(Method::GET, &self.path(), Vec::new())).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates the object, unless somebody has done that.
    pub(crate) async fn create(&self, object: &Value) -> Result<Swap, ApiError> {
        let path = format!("{}?fieldManager={MANAGER}", self.collection);
        self.swap(request(Method::POST, &path, object.to_string().into_bytes())).await
    }

    /// Changes what stands in the patch ([JSON merge patch][1]), unless the object is no longer the `seen` one.
    ///
    /// [1]: https://www.rfc-editor.org/rfc/rfc7396
    pub(crate) async fn change(&self, seen: &Value, mut patch: Value) -> Result<Swap, ApiError> {
        let metadata = &mut patch["metadata"];
        metadata["resourceVersion"] = seen["metadata"]["resourceVersion"].clone();
        metadata["uid"] = seen["metadata"]["uid"].clone();
        let path = format!("{}?fieldManager={MANAGER}", self.path());
        let mut request = request(Method::PATCH, &path, patch.to_string().into_bytes());
        request.headers_mut().insert(CONTENT_TYPE, MERGE_PATCH);
        self.swap(request).await
    }

    async fn swap(&self, request: Request<Vec<u8>>) -> Result<Swap, ApiError> {
        match self.call(request).await {
            Ok(object) => Ok(Swap::Done(object)),
            Err(error) if *error.kind() == ApiErrorKind::Changed => Ok(Swap::Lost),
            Err(error) => Err(error),
        }
    }

    async fn call(&self, request: Request<Vec<u8>>) -> Result<Value, ApiError> {
        // What is refused is asked for again in time for the refusal itself to be heard, also where the way is long.
        let call = self.connection.call_within(self.limit * 3 / 5, request);
        let Ok(answer) = tokio::time::timeout(self.limit, call).await else {
            let message = format!("no answer within {} seconds", self.limit.as_secs_f32());
            return Err(ApiError::new(ApiErrorKind::TimedOut, message));
        };
        answer
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }
}
