//! Which kinds the API server knows, and where the objects of the manifests belong.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use git_deploy_core::deployment::Blame;
use git_deploy_manifest::{GroupKind, Object, ObjectId};
use http::Method;
use http::header::{ACCEPT, HeaderValue};
use kube::core::discovery::v2::{
    ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscoveryList, APIResourceDiscovery,
};
use kube::core::discovery::{ApiResource, Scope};
use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::bounds::{Bounds, OutOfBounds, marks};
use crate::connect::{Connection, request};
use crate::members::key;
use crate::target::Target;

/// The kinds that an API server knows. What one clone learns all others know.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    kinds: Arc<RwLock<Vec<Kind>>>,
}

#[derive(Debug, Clone)]
struct Kind {
    resource: ApiResource,
    scope: Scope,
    is_listed: bool,
}

/// What is wrong with one object of the manifests, as far as the API server's kinds tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetProblem {
    /// The API server does not know the kind.
    #[error(
        "{id}: the cluster does not know the kind '{}' of '{}'{}",
        id.kind.escape_debug(), id.api_version().escape_debug(), suggestion(.nearest.as_deref())
    )]
    UnknownKind {
        /// The object.
        id: ObjectId,
        /// The kind that was probably meant.
        nearest: Option<String>,
    },
    /// The environment does not allow it.
    #[error("{id}: {why}")]
    OutOfBounds {
        /// The object.
        id: ObjectId,
        /// What is not allowed.
        why: OutOfBounds,
    },
    /// With the environment's namespace filled in, two objects are one.
    #[error("{id} stands there twice, once with its namespace and once without; remove one")]
    Twice {
        /// The object.
        id: ObjectId,
    },
}

impl TargetProblem {
    /// The object that it is about.
    pub fn id(&self) -> &ObjectId {
        match self {
            Self::UnknownKind { id, .. } | Self::OutOfBounds { id, .. } | Self::Twice { id } => id,
        }
    }

    /// Whether it is that the API server does not know the kind.
    pub(crate) fn is_of_kind(&self) -> bool {
        matches!(self, Self::UnknownKind { .. })
    }

    /// Whose fault it is where it is not known what stood there before.
    pub fn blame(&self) -> Blame {
        Blame::Branch
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(", did you mean {nearest}?")).unwrap_or_default()
}

impl Resources {
    /// Asks the API server for its kinds: two requests.
    ///
    /// # Errors
    /// When it does not answer, or cannot tell in this way (before Kubernetes 1.26).
    pub async fn discover(connection: &Connection) -> Result<Self, ApiError> {
        let (core, groups) = futures::join!(listed(connection, "/api"), listed(connection, "/apis"));
        let mut kinds = Vec::new();
        for group in core?.items.into_iter().chain(groups?.items) {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for version in group.versions {
                let version_name = version.version.unwrap_or_default();
                kinds.extend(version.resources.iter().filter_map(|found| kind(&name, &version_name, found)));
            }
        }
        if kinds.is_empty() {
            let message = "it cannot list its kinds at once, which Kubernetes can since 1.26";
            return Err(ApiError::new(ApiErrorKind::NotUnderstood, message));
        }
        Ok(Self::from(kinds))
    }

    /// Asks once more, and another one where there are several API servers, of which one may not know all of them yet. What
    /// was known stays so.
    ///
    /// # Errors
    /// As for [`Resources::discover`].
    pub(crate) async fn learn(&self, connection: &Connection) -> Result<(), ApiError> {
        let found = Self::discover(&connection.elsewhere()).await?.all();
        let mut known = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let new = found.into_iter().filter(|kind| !known.iter().any(|known| known.is_same(kind)));
        let new: Vec<Kind> = new.collect();
        known.extend(new);
        Ok(())
    }

    /// Whether each of these is known.
    pub(crate) fn has_all<'k>(&self, kinds: impl IntoIterator<Item = &'k GroupKind>) -> bool {
        kinds.into_iter().all(|kind| self.find_kind(kind).is_some())
    }

    fn all(&self) -> Vec<Kind> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn first<T>(&self, is_it: impl Fn(&Kind) -> bool, of: impl Fn(&Kind) -> T) -> Option<T> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.iter().find(|kind| is_it(kind)).map(of)
    }

    /// The kind, as the API server names it in paths, and whether its objects live in namespaces.
    pub fn find(&self, group: &str, version: &str, kind: &str) -> Option<(ApiResource, Scope)> {
        self.first(|known| known.is_called(group, version, kind), Kind::named)
    }

    /// The kind in the version that the API server prefers.
    pub fn find_kind(&self, kind: &GroupKind) -> Option<(ApiResource, Scope)> {
        let is_it = |known: &Kind| known.resource.group == kind.group && known.resource.kind == kind.kind;
        self.first(is_it, Kind::named)
    }

    pub(crate) fn by_plural(&self, group: &str, plural: &str) -> Option<ApiResource> {
        let is_it = |known: &Kind| known.resource.group == group && known.resource.plural == plural;
        self.first(is_it, |known| known.resource.clone())
    }

    /// All kinds whose objects live in namespaces and can be listed, each in one version.
    pub(crate) fn namespaced(&self) -> Vec<ApiResource> {
        let mut seen = BTreeSet::new();
        self.all()
            .into_iter()
            .filter(|known| known.is_listed && known.scope == Scope::Namespaced)
            .map(|known| known.resource)
            .filter(|resource| seen.insert((resource.group.clone(), resource.plural.clone())))
            .collect()
    }

    /// The same, and the kinds that definitions among these objects would add.
    pub fn with_definitions(&self, objects: &[Object]) -> Self {
        let mut more = self.all();
        let known = more.len();
        for object in objects.iter().filter(|object| object.id().is_definition()) {
            let defined = defined(object.value()).into_iter();
            let new = defined.filter(|kind| !more[..known].iter().any(|known| known.is_same(kind)));
            let new: Vec<Kind> = new.collect();
            more.extend(new);
        }
        Self::from(more)
    }

    /// Whether there is the kind of each of these objects, here or among themselves.
    pub(crate) fn know_all(&self, objects: &[Object]) -> bool {
        let known = self.with_definitions(objects);
        objects.iter().map(Object::id).all(|id| known.find(&id.group, &id.version, &id.kind).is_some())
    }

    /// Those of the objects whose kinds are there, here or among themselves.
    pub(crate) fn known_of(&self, mut objects: Vec<Object>) -> Vec<Object> {
        let known = self.with_definitions(&objects);
        objects.retain(|object| {
            let id = object.id();
            known.find(&id.group, &id.version, &id.kind).is_some()
        });
        objects
    }

    /// Where the objects of the manifests belong: each with its kind as the API server names it, and with the namespace
    /// that it gets. A namespace that is written in an object of a kind without namespaces counts as not written.
    ///
    /// `bounds` are for what is new. What was applied before was allowed then: it can be looked at, and gone back to,
    /// whatever base or this version has forbidden since.
    ///
    /// # Errors
    /// All that is wrong with any of them: kinds that nobody knows, and what the environment does not allow.
    pub fn targets(
        &self,
        objects: &[Object],
        default_namespace: &str,
        bounds: Option<&Bounds>,
    ) -> Result<Vec<Target>, Vec<TargetProblem>> {
        let known = self.with_definitions(objects);
        let mut targets: Vec<Target> = Vec::with_capacity(objects.len());
        let mut seen = HashSet::new();
        let mut problems = Vec::new();
        for object in objects {
            let id = object.id();
            let Some((resource, scope)) = known.find(&id.group, &id.version, &id.kind) else {
                let nearest = known.nearest(id);
                problems.push(TargetProblem::UnknownKind { id: id.clone(), nearest });
                continue;
            };
            let target = placed(object, resource, &scope, default_namespace);
            if let Some(bounds) = bounds {
                let forbidden = bounds.allow(&target.id, default_namespace).err();
                let forbidden = forbidden.into_iter().chain(marks(&target.wanted));
                problems
                    .extend(forbidden.map(|why| TargetProblem::OutOfBounds { id: target.id.clone(), why }));
            }
            let (group, kind, namespace, name) = key(&target.id);
            let own = (group.to_owned(), kind.to_owned(), namespace.map(str::to_owned), name.to_owned());
            if !seen.insert(own) {
                problems.push(TargetProblem::Twice { id: target.id.clone() });
            }
            targets.push(target);
        }
        if problems.is_empty() { Ok(targets) } else { Err(problems) }
    }

    /// The same kind in another version or group, else one that is written alike.
    fn nearest(&self, id: &ObjectId) -> Option<String> {
        let distance = |known: &&Kind| {
            let resource = &known.resource;
            let kind = strsim::damerau_levenshtein(&resource.kind.to_lowercase(), &id.kind.to_lowercase());
            let version = usize::from(resource.group != id.group || resource.version != id.version);
            (kind, version, strsim::damerau_levenshtein(&resource.api_version, &id.api_version()))
        };
        let kinds = self.all();
        let near = kinds.iter().filter(|known| known.is_listed).min_by_key(distance)?;
        let is_near = distance(&near).0 <= (id.kind.chars().count() / 3).max(1);
        is_near.then(|| format!("'{}' of '{}'", near.resource.kind, near.resource.api_version))
    }
}

impl From<Vec<Kind>> for Resources {
    fn from(kinds: Vec<Kind>) -> Self {
        Self { kinds: Arc::new(RwLock::new(kinds)) }
    }
}

impl Kind {
    fn is_called(&self, group: &str, version: &str, kind: &str) -> bool {
        let resource = &self.resource;
        resource.group == group && resource.version == version && resource.kind == kind
    }

    fn is_same(&self, other: &Self) -> bool {
        let other = &other.resource;
        self.is_called(&other.group, &other.version, &other.kind) && self.resource.plural == other.plural
    }

    fn named(&self) -> (ApiResource, Scope) {
        (self.resource.clone(), self.scope.clone())
    }
}

async fn listed(connection: &Connection, path: &str) -> Result<APIGroupDiscoveryList, ApiError> {
    let mut request = request(Method::GET, path, Vec::new());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(ACCEPT_AGGREGATED_DISCOVERY_V2));
    let answer = connection.call(request).await?;
    serde_json::from_value(answer).map_err(|error| {
        ApiError::new(ApiErrorKind::NotUnderstood, format!("its list of kinds cannot be read: {error}"))
    })
}

fn kind(group: &str, version: &str, found: &APIResourceDiscovery) -> Option<Kind> {
    let response = found.response_kind.as_ref()?;
    let namespaced = found.scope.as_deref() == Some("Namespaced");
    let resource =
        resource(group, version, response.kind.as_deref()?, found.resource.as_deref().unwrap_or_default());
    let is_listed = found.verbs.iter().any(|verb| verb == "list");
    Some(Kind { resource, scope: scope(namespaced), is_listed })
}

fn scope(namespaced: bool) -> Scope {
    if namespaced { Scope::Namespaced } else { Scope::Cluster }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// The kinds that a definition adds.
fn defined(definition: &Value) -> Vec<Kind> {
    let spec = &definition["spec"];
    let names = (spec["group"].as_str(), spec["names"]["kind"].as_str(), spec["names"]["plural"].as_str());
    let (Some(group), Some(kind), Some(plural)) = names else { return Vec::new() };
    let namespaced = spec["scope"] == "Namespaced";
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"] != false)
        .filter_map(|version| version["name"].as_str())
        .map(|version| Kind {
            resource: resource(group, version, kind, plural),
            scope: scope(namespaced),
            is_listed: true,
        })
        .collect()
}

fn placed(object: &Object, resource: ApiResource, scope: &Scope, default_namespace: &str) -> Target {
    let mut id = object.id().clone();
    let mut wanted = object.value().clone();
    id.namespace = match scope {
        Scope::Cluster => None,
        Scope::Namespaced => {
            Some(id.namespace.filter(|name| !name.is_empty()).unwrap_or_else(|| default_namespace.to_owned()))
        }
    };
    if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
        match &id.namespace {
            None => {
                metadata.shift_remove("namespace");
            }
            Some(namespace) => {
                metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
            }
        }
    }
    Target { id, resource, wanted }
}
