//! Requests for single objects and lists of them: what every part of plan, apply and prune sends.

use std::collections::BTreeSet;

use git_deploy_manifest::fields::MANAGER;
use git_deploy_manifest::value::text;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use kube::Resource as _;
use kube::core::DynamicObject;
use kube::core::discovery::ApiResource;
use serde_json::{Map, Value, json};

use crate::api_error::ApiError;
use crate::connect::{Connection, request};
use crate::target::Target;

/// How many requests are in flight at most. Each takes a connection of its own, whose TLS handshake costs both sides more than
/// most requests do.
pub(crate) const IN_FLIGHT: usize = 16;

/// How many objects one answer may hold.
const PAGE: usize = 500;

const APPLY: HeaderValue = HeaderValue::from_static("application/apply-patch+yaml");
const JSON_PATCH: HeaderValue = HeaderValue::from_static("application/json-patch+json");
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");

/// Where an object is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) resource: &'a ApiResource,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl<'a> From<&'a Target> for Place<'a> {
    fn from(target: &'a Target) -> Self {
        Self { resource: &target.resource, namespace: target.id.namespace.as_deref(), name: &target.id.name }
    }
}

impl Place<'_> {
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", collection(self.resource, self.namespace), escaped(self.name))
    }
}

/// How an object is applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How<'a> {
    pub(crate) manager: &'a str,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

/// How much of the objects a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All of them.
    Whole,
    /// `apiVersion`, `kind` and `metadata`.
    Metadata,
}

/// When what depends on an object goes: what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// After it, at some time.
    Background,
    /// Before it: it is gone when they are.
    Foreground,
}

impl Connection {
    pub(crate) async fn get(&self, place: Place<'_>) -> Result<Option<Value>, ApiError> {
        match self.call(request(Method::GET, &place.path(), Vec::new())).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, in a namespace or in all, with that label selector if it is not empty.
    pub(crate) async fn list(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        selector: &str,
        depth: Depth,
    ) -> Result<Vec<Value>, ApiError> {
        let mut objects = Vec::new();
        let mut page = String::new();
        loop {
            let path = collection(resource, namespace);
            let path = format!("{path}?limit={PAGE}&labelSelector={}{page}", escaped(selector));
            let mut request = request(Method::GET, &path, Vec::new());
            if depth == Depth::Metadata {
                request.headers_mut().insert(ACCEPT, METADATA_ONLY);
            }
            let mut answer = self.call(request).await?;
            if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
                objects.extend(items.into_iter().map(|item| named_kind(item, resource)));
            }
            match answer.pointer("/metadata/continue").and_then(Value::as_str) {
                None | Some("") => return Ok(objects),
                Some(next) => page = format!("&continue={}", escaped(next)),
            }
        }
    }

    /// The names of all objects of a kind, if they are so few that one answer holds them.
    pub(crate) async fn few_names(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
    ) -> Result<Option<BTreeSet<String>>, ApiError> {
        let path = format!("{}?limit={PAGE}", collection(resource, namespace));
        let mut request = request(Method::GET, &path, Vec::new());
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        let answer = self.call(request).await?;
        if !text(&answer, "/metadata/continue").is_empty() {
            return Ok(None);
        }
        let items = answer["items"].as_array();
        Ok(Some(items.into_iter().flatten().map(|item| text(item, "/metadata/name").to_owned()).collect()))
    }

    /// Creates an object that is not there.
    pub(crate) async fn create(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        object: &Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let path = collection(resource, namespace);
        let path = format!("{path}?fieldManager={MANAGER}&fieldValidation=Strict{dry_run}");
        self.call(request(Method::POST, &path, object.to_string().into_bytes())).await
    }

    pub(crate) async fn apply(
        &self,
        place: Place<'_>,
        object: &Value,
        how: How<'_>,
    ) -> Result<Value, ApiError> {
        let force = if how.force { "&force=true" } else { "" };
        let dry_run = if how.dry_run { "&dryRun=All" } else { "" };
        let path = place.path();
        let path = format!("{path}?fieldManager={}&fieldValidation=Strict{force}{dry_run}", how.manager);
        let mut request = request(Method::PATCH, &path, object.to_string().into_bytes());
        request.headers_mut().insert(CONTENT_TYPE, APPLY);
        self.call(request).await
    }

    /// Gives an object other `managedFields`, if it is still the one that was seen.
    pub(crate) async fn set_managed_fields(
        &self,
        place: Place<'_>,
        seen: &Value,
        managed: &[Value],
    ) -> Result<Value, ApiError> {
        let patch = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": managed},
            // Tested by the API server against the object as it is: another one is a conflict.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": seen["metadata"]["resourceVersion"]},
        ]);
        let path = format!("{}?fieldManager={}", place.path(), MANAGER);
        let mut request = request(Method::PATCH, &path, patch.to_string().into_bytes());
        request.headers_mut().insert(CONTENT_TYPE, JSON_PATCH);
        self.call(request).await
    }

    /// Deletes that very object, and what depends on it as its kind has it where nothing is said. It is no longer there: that
    /// is what was wanted.
    pub(crate) async fn delete(
        &self,
        place: Place<'_>,
        uid: &str,
        propagation: Option<Propagation>,
    ) -> Result<(), ApiError> {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
        match propagation {
            Some(Propagation::Background) => options["propagationPolicy"] = "Background".into(),
            Some(Propagation::Foreground) => options["propagationPolicy"] = "Foreground".into(),
            None => {}
        }
        let request: Request<Vec<u8>> =
            request(Method::DELETE, &place.path(), options.to_string().into_bytes());
        match self.call(request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn collection(resource: &ApiResource, namespace: Option<&str>) -> String {
    DynamicObject::url_path(resource, namespace.map(escaped).as_deref())
}

/// Items of lists do not say what they are.
fn named_kind(mut item: Value, resource: &ApiResource) -> Value {
    if let Value::Object(fields) = &mut item {
        let mut named = Map::new();
        named.insert("apiVersion".to_owned(), Value::String(resource.api_version.clone()));
        named.insert("kind".to_owned(), Value::String(resource.kind.clone()));
        named.extend(
            std::mem::take(fields).into_iter().filter(|(key, _)| key != "apiVersion" && key != "kind"),
        );
        *fields = named;
    }
    item
}

/// Whatever a name is, it stays one segment of a path.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
