//! The objects of a set, as the cluster has them: whatever bears the set's label.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::value::{text, uid};
use git_deploy_manifest::{GroupKind, ObjectId, PART_OF_LABEL};
use kube::core::discovery::{ApiResource, Scope};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::objects::{Depth, IN_FLIGHT};

/// A set, and where its members may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetView {
    /// What its members are labelled with.
    pub id: String,
    /// The environment's own namespace. The Namespace object itself is never a member.
    pub namespace: String,
    /// The kinds that its parent records.
    pub kinds: BTreeSet<GroupKind>,
    /// The namespaces that its parent records; its own counts in any case.
    pub namespaces: BTreeSet<String>,
}

impl SetView {
    /// Whether this is the Namespace that the environment lives in.
    pub(crate) fn is_own_namespace(&self, id: &ObjectId) -> bool {
        id.is_namespace() && id.name == self.namespace
    }

    fn selector(&self) -> String {
        format!("{PART_OF_LABEL}={}", self.id)
    }
}

/// Something that could not be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot list {plural}{}: {why}", .namespace.as_deref().map(|namespace| format!(" in namespace '{namespace}'")).unwrap_or_default())]
pub struct ListError {
    /// The kind in plural, with its group.
    pub plural: String,
    /// The namespace.
    pub namespace: Option<String>,
    /// Why not.
    pub why: ApiError,
}

impl ListError {
    /// The kinds themselves could not be asked for.
    pub(crate) fn of_kinds(why: ApiError) -> Self {
        Self { plural: "kinds".to_owned(), namespace: None, why }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        self.why.blame()
    }
}

/// An object of the set.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: ObjectId,
    pub(crate) resource: ApiResource,
    pub(crate) live: Value,
}

impl Member {
    pub(crate) fn uid(&self) -> &str {
        uid(&self.live)
    }
}

/// What is equal for two identities of one object whose kinds the API server has confirmed.
pub(crate) fn key(id: &ObjectId) -> (&str, &str, Option<&str>, &str) {
    (&id.group, &id.kind, id.namespace.as_deref(), &id.name)
}

/// All members of a set, of the kinds and in the namespaces that it has or that are named besides. Kinds that the API
/// server does not know have none.
pub(crate) async fn members<'a>(
    connection: &Connection,
    resources: &Resources,
    set: &SetView,
    more: impl IntoIterator<Item = &'a ObjectId>,
    depth: Depth,
) -> Result<Vec<Member>, ListError> {
    let mut kinds = set.kinds.clone();
    let mut namespaces = set.namespaces.clone();
    namespaces.insert(set.namespace.clone());
    for id in more.into_iter().filter(|id| !set.is_own_namespace(id)) {
        kinds.insert(GroupKind::from(id));
        namespaces.extend(id.namespace.clone());
    }
    let mut places: Vec<(ApiResource, Option<String>)> = Vec::new();
    for (resource, scope) in kinds.iter().filter_map(|kind| resources.find_kind(kind)) {
        match scope {
            Scope::Cluster => places.push((resource, None)),
            Scope::Namespaced => {
                places.extend(namespaces.iter().map(|namespace| (resource.clone(), Some(namespace.clone()))));
            }
        }
    }
    let selector = set.selector();
    let mut lists = stream::iter(places)
        .map(|(resource, namespace)| {
            let selector = &selector;
            async move { list(connection, resource, namespace, selector, depth).await }
        })
        .buffer_unordered(IN_FLIGHT);
    let mut found = Vec::new();
    while let Some(members) = lists.next().await {
        found.extend(members?);
    }
    found.sort_by(|a: &Member, b: &Member| a.id.cmp(&b.id));
    Ok(found)
}

/// The objects of a kind, each with what it is known by.
pub(crate) async fn list(
    connection: &Connection,
    resource: ApiResource,
    namespace: Option<String>,
    selector: &str,
    depth: Depth,
) -> Result<Vec<Member>, ListError> {
    match list_known(connection, resource, namespace, selector, depth).await {
        // Its definition was deleted since the kinds were asked for.
        Err(error) if error.why.is_not_found() => Ok(Vec::new()),
        listed => listed,
    }
}

/// The same of a kind that is there for certain.
pub(crate) async fn list_known(
    connection: &Connection,
    resource: ApiResource,
    namespace: Option<String>,
    selector: &str,
    depth: Depth,
) -> Result<Vec<Member>, ListError> {
    match connection.list(&resource, namespace.as_deref(), selector, depth).await {
        Ok(objects) => Ok(objects
            .into_iter()
            .map(|live| Member { id: identity(&resource, &live), resource: resource.clone(), live })
            .collect()),
        Err(why) => Err(ListError { plural: plural(&resource), namespace, why }),
    }
}

fn plural(resource: &ApiResource) -> String {
    match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    }
}

pub(crate) fn identity(resource: &ApiResource, live: &Value) -> ObjectId {
    let namespace = text(live, "/metadata/namespace");
    ObjectId {
        group: resource.group.clone(),
        version: resource.version.clone(),
        kind: resource.kind.clone(),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: text(live, "/metadata/name").to_owned(),
    }
}
