//! What the cluster holds of one kind in one namespace, kept current for as long as somebody waits.
//!
//! A list, then a watch for a short window, then a list again. The second list is no waste: a watch can go silent
//! without ending, through a load balancer that forgot it or a cache of the API server that stands still, and whoever
//! trusts it then waits for ever. After a window in which nothing was heard at all the list is read past that cache.
//! Whatever else goes wrong is tried again for as long as the caller waits; only 401 and 403 end it, since waiting heals
//! neither, unless whoever said so is but not ready yet.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use git_deploy_manifest::value::{items, text};
use kube::Resource as _;
use kube::api::{ListParams, VersionMatch, WatchEvent, WatchParams};
use kube::core::discovery::ApiResource;
use kube::core::{DynamicObject, Request, Status};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, broken};

/// How long the server keeps a watch open, in seconds.
const WINDOW: u32 = 10;

/// How much later than the server we end it ourselves.
const SLACK: Duration = Duration::from_secs(2);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A window that ends sooner is one that failed, whatever was said.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// The objects of one kind in one namespace, or everywhere.
pub(crate) struct Store {
    resource: ApiResource,
    namespace: Option<String>,
    state: Mutex<State>,
}

/// What a store holds.
#[derive(Default)]
pub(crate) struct State {
    /// By namespace and name.
    objects: BTreeMap<(String, String), Value>,
    /// The last that was seen of those that were deleted, by UID.
    gone: HashMap<String, Value>,
    version: String,
    /// When a list was asked for that has not been answered.
    asked: Option<Instant>,
    /// Why the last try failed.
    trouble: Option<ApiError>,
    /// Why these objects cannot be read at all.
    denied: Option<ApiError>,
}

/// How old an answer may be.
enum Freshness {
    /// The latest there is.
    Latest,
    /// As in the API server's cache, and not older than what we have seen.
    Cached,
}

/// How a window of a watch ended.
enum Window {
    Heard,
    Silent,
}

impl Store {
    pub(crate) fn new(resource: ApiResource, namespace: Option<String>) -> Store {
        Store { resource, namespace, state: Mutex::default() }
    }

    /// What it holds. Not to be kept over an `await`.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Such as `deployments.apps in namespace 'shop'`.
    pub(crate) fn what(&self) -> String {
        let ApiResource { plural, group, .. } = &self.resource;
        let kind = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
        match &self.namespace {
            Some(namespace) => format!("{kind} in namespace '{namespace}'"),
            None => kind,
        }
    }

    /// Lists for the first time; tried again until it succeeds.
    ///
    /// # Errors
    /// When these objects must not be read.
    pub(crate) async fn fill(&self, connection: &Connection) -> Result<(), ApiError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.list(connection, &Freshness::Latest).await {
                Err(error) if !is_final(&error) => self.rest(error, &mut pause).await,
                other => return other,
            }
        }
    }

    /// Keeps it current, and tells of each change; ends only when these objects must no longer be read.
    pub(crate) async fn follow(&self, connection: &Connection, changed: &Notify) -> ApiError {
        let (mut pause, mut doubt) = (FIRST_PAUSE, connection.doubt());
        let mut way = connection.clone();
        loop {
            let begin = Instant::now();
            let window = self.window(&way, changed).await;
            // Whoever is asked too often says so for all.
            let is_refused = window.as_ref().is_err_and(|error| *error.kind() != ApiErrorKind::TooMany);
            if window.is_ok() {
                doubt = connection.doubt();
            }
            let freshness = match window {
                Ok(Window::Heard) => Freshness::Cached,
                Ok(Window::Silent) => Freshness::Latest,
                Err(error) if is_final(&error) => {
                    let Some(wait) = doubt.next() else { return error };
                    sleep(wait).await;
                    Freshness::Latest
                }
                // The list will say what is wrong, if something is.
                Err(_) => Freshness::Latest,
            };
            if is_refused {
                way = connection.elsewhere();
            }
            if begin.elapsed() < SHORTEST_WINDOW {
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            } else {
                pause = FIRST_PAUSE;
            }
            let listed = match self.list(connection, &freshness).await {
                Err(error) if !is_final(&error) => {
                    self.rest(error, &mut pause).await;
                    self.fill(connection).await
                }
                other => other,
            };
            if let Err(error) = listed {
                return error;
            }
            changed.notify_one();
        }
    }

    async fn rest(&self, error: ApiError, pause: &mut Duration) {
        self.state().trouble = Some(error);
        sleep(*pause).await;
        *pause = LONGEST_PAUSE.min(*pause * 2);
    }

    async fn list(&self, connection: &Connection, freshness: &Freshness) -> Result<(), ApiError> {
        let parameters = match freshness {
            Freshness::Cached if !self.state().version.is_empty() => ListParams {
                version_match: Some(VersionMatch::NotOlderThan),
                resource_version: Some(self.state().version.clone()),
                ..ListParams::default()
            },
            Freshness::Cached | Freshness::Latest => ListParams::default(),
        };
        let request = self.path().list(&parameters).map_err(|error| not_understood(&error))?;
        self.state().asked.get_or_insert_with(Instant::now);
        let mut answer = connection.call(request).await?;
        let version = text(&answer, "/metadata/resourceVersion").to_owned();
        let items = match answer.pointer_mut("/items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let mut state = self.state();
        state.objects = items.into_iter().map(slim).map(|object| (key(&object), object)).collect();
        state.version = version;
        state.asked = None;
        state.trouble = None;
        Ok(())
    }

    /// One watch, until the server ends it, it breaks, or it has lasted for too long.
    async fn window(&self, connection: &Connection, changed: &Notify) -> Result<Window, ApiError> {
        let parameters = WatchParams { timeout: Some(WINDOW), ..WatchParams::default() };
        let version = self.state().version.clone();
        let request = self.path().watch(&parameters, &version).map_err(|error| not_understood(&error))?;
        let end = Instant::now() + Duration::from_secs(u64::from(WINDOW)) + SLACK;
        let Ok(opened) = timeout_at(end, connection.client().request_events::<Value>(request)).await else {
            return Ok(Window::Silent);
        };
        let mut events = pin!(opened.map_err(|error| api_error(&error))?);
        let mut window = Window::Silent;
        while let Ok(next) = timeout_at(end, events.next()).await {
            let Some(event) = next else { return Ok(window) };
            window = Window::Heard;
            self.take_in(event.map_err(|error| api_error(&error))?)?;
            changed.notify_one();
        }
        // The server did not end it: nobody knows what we missed.
        Ok(Window::Silent)
    }

    fn take_in(&self, event: WatchEvent<Value>) -> Result<(), ApiError> {
        let mut state = self.state();
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                text(&object, "/metadata/resourceVersion").clone_into(&mut state.version);
                state.objects.insert(key(&object), slim(object));
            }
            WatchEvent::Deleted(object) => {
                text(&object, "/metadata/resourceVersion").clone_into(&mut state.version);
                state.objects.remove(&key(&object));
                state.gone.insert(text(&object, "/metadata/uid").to_owned(), slim(object));
            }
            WatchEvent::Bookmark(bookmark) => state.version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Err(of_status(&status)),
        }
        Ok(())
    }

    /// The UIDs of all that is there, by namespace and name, from the objects' metadata alone; tried again until it succeeds.
    ///
    /// # Errors
    /// When these objects must not be read.
    pub(crate) async fn uids(
        &self,
        connection: &Connection,
    ) -> Result<HashMap<(String, String), String>, ApiError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let request = self.path().list_metadata(&ListParams::default());
            self.state().asked.get_or_insert_with(Instant::now);
            match connection.call(request.map_err(|error| not_understood(&error))?).await {
                Err(error) if !is_final(&error) => self.rest(error, &mut pause).await,
                answer => {
                    self.state().asked = None;
                    let uid_of = |object: &Value| (key(object), text(object, "/metadata/uid").to_owned());
                    return Ok(items(&answer?, "/items").iter().map(uid_of).collect());
                }
            }
        }
    }

    fn path(&self) -> Request {
        Request::new(DynamicObject::url_path(&self.resource, self.namespace.as_deref()))
    }

    /// From now on nobody expects these objects.
    pub(crate) fn give_up(&self, why: ApiError) {
        let mut state = self.state();
        state.denied = Some(why);
        // A refusal is an answer.
        state.asked = None;
    }
}

impl State {
    pub(crate) fn get(&self, namespace: Option<&str>, name: &str) -> Option<&Value> {
        self.objects.get(&(namespace.unwrap_or_default().to_owned(), name.to_owned()))
    }

    /// The last state of an object that was deleted while we watched.
    pub(crate) fn gone(&self, uid: &str) -> Option<&Value> {
        self.gone.get(uid)
    }

    /// All that are there; `None` where they may not be read.
    pub(crate) fn all(&self) -> Option<impl Iterator<Item = &Value>> {
        self.denied.is_none().then(|| self.objects.values())
    }

    /// Why they may not be read.
    pub(crate) fn denied(&self) -> Option<&ApiError> {
        self.denied.as_ref()
    }

    /// For how long the API server has not answered, and what it last said, if anything.
    pub(crate) fn unanswered(&self) -> Option<(Duration, Option<&ApiError>)> {
        self.asked.map(|asked| (asked.elapsed(), self.trouble.as_ref()))
    }
}

fn is_final(error: &ApiError) -> bool {
    error.is_refusal_of_somebody()
}

fn key(object: &Value) -> (String, String) {
    (text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// Without the long list of who owns which field, which nobody asks a store for.
fn slim(mut object: Value) -> Value {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

fn of_status(status: &Status) -> ApiError {
    let body = serde_json::json!({"kind": "Status", "message": status.message, "reason": status.reason});
    ApiError::from_answer(status.code, body.to_string().as_bytes())
}

pub(crate) fn api_error(error: &kube::Error) -> ApiError {
    match error {
        kube::Error::Api(status) => of_status(status),
        other => broken(other),
    }
}

fn not_understood(error: &impl std::fmt::Display) -> ApiError {
    ApiError::new(ApiErrorKind::NotUnderstood, error.to_string())
}
