//! What must not be deleted although nobody wants it any more.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use futures::stream::{self, StreamExt};
use git_deploy_manifest::fields::{MANAGER, has_applied};
use git_deploy_manifest::value::text;
use git_deploy_manifest::{GroupKind, ID_LABEL, ObjectId, is_kept, part_of};
use kube::core::ApiResource;
use serde_json::Value;
use tokio::time::sleep;

use crate::api_error::ApiErrorKind;
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::members::{self, ListError, Member, SetView};
use crate::objects::{Depth, IN_FLIGHT, Place};
use crate::target::Target;

use super::PruneOptions;

/// The group and the plural of definitions of kinds.
const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Whether an object is there because we applied it. Controllers copy labels to what they make: those of a Service to
/// its Endpoints and EndpointSlices, those of a custom resource to whatever its operator makes of it.
pub(super) fn is_ours(live: &Value) -> bool {
    has_applied(live, MANAGER) && !is_of_controller(live)
}

fn is_of_controller(live: &Value) -> bool {
    let owners = live.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner["controller"] == true)
}

/// Why an object stays, as far as it can be told without asking.
pub(super) fn why_kept(
    member: &Member,
    set: &SetView,
    wanted: &[Target],
    options: &PruneOptions,
) -> Option<String> {
    let labels = member.live.pointer("/metadata/labels");
    if labels.is_some_and(|labels| labels.get(ID_LABEL).is_some()) {
        return Some("it is the parent of a set of objects".to_owned());
    }
    if is_kept(&member.live) && !options.names(&member.id) {
        return Some("it is annotated with 'git-deploy/keep'".to_owned());
    }
    if options.adopted.contains(&member.id.file_name()) {
        return Some("it was there before a deployment took it over that failed".to_owned());
    }
    if !member.id.is_namespace() {
        return None;
    }
    let name = &member.id.name;
    if *name == set.namespace {
        return Some("the environment is in it".to_owned());
    }
    if name == "default" || name.starts_with("kube-") {
        return Some("namespaces of Kubernetes are never deleted".to_owned());
    }
    if !options.other_namespaces.contains(name) {
        return Some("it is not among 'allow-namespaces' of the environment".to_owned());
    }
    let inside = wanted.iter().find(|target| target.id.namespace.as_deref() == Some(name));
    inside.map(|target| format!("{} is in it", target.id))
}

/// What holds objects that are not deleted with it: namespaces, and definitions of kinds. Of several API servers one may not
/// know all kinds yet, or not say so: in doubt it stays.
pub(super) async fn in_use(
    connection: &Connection,
    resources: &Resources,
    set: &SetView,
    deletions: &[&Member],
) -> Result<BTreeMap<ObjectId, String>, ListError> {
    let mut kept = BTreeMap::new();
    let holding = || deletions.iter().filter(|member| member.id.is_namespace() || member.id.is_definition());
    if holding().next().is_none() {
        return Ok(kept);
    }
    resources.learn(connection).await.map_err(ListError::of_kinds)?;
    let is_starting = connection.is_starting().await;
    let unlisted = match !is_starting && holding().any(|member| member.id.is_namespace()) {
        true => unlisted_definition(connection, resources).await?,
        false => None,
    };
    for member in holding() {
        let why = if is_starting {
            Some("the cluster is not ready: it cannot be seen what would go with it".to_owned())
        } else if member.id.is_namespace() {
            match &unlisted {
                Some(id) => Some(format!(
                    "it cannot be seen what is in it: the cluster does not list the kind of {id}"
                )),
                None => foreign_inside(connection, resources, set, deletions, &member.id.name).await?,
            }
        } else {
            foreign_of_kind(connection, resources, deletions, &member.id.name).await?
        };
        if let Some(why) = why {
            kept.insert(member.id.clone(), why);
        }
    }
    Ok(kept)
}

/// A definition of whose kind there may be objects, and which the cluster does not list: nobody sees what is of that kind. One
/// that was made just now is listed a moment later.
async fn unlisted_definition(
    connection: &Connection,
    resources: &Resources,
) -> Result<Option<ObjectId>, ListError> {
    let Some(kind) = resources.by_plural(DEFINITIONS.0, DEFINITIONS.1) else { return Ok(None) };
    let is_unlisted = |definition: &Member| {
        let name = definition.id.name.split_once('.');
        name.is_some_and(|(plural, group)| resources.by_plural(group, plural).is_none())
    };
    let mut doubt = connection.doubt();
    loop {
        let definitions = match members::list_known(connection, kind.clone(), None, "", Depth::Metadata).await
        {
            // Whoever may not see them goes by what the cluster lists.
            Err(error) if *error.why.kind() == ApiErrorKind::Forbidden => return Ok(None),
            definitions => definitions?,
        };
        let mut unlisted = None;
        for definition in definitions.into_iter().filter(is_unlisted) {
            if may_have_objects(connection, &kind, &definition.id.name).await? {
                unlisted = Some(definition.id);
                break;
            }
        }
        let (Some(_), Some(pause)) = (&unlisted, doubt.next()) else { return Ok(unlisted) };
        sleep(pause).await;
        resources.learn(connection).await.map_err(ListError::of_kinds)?;
    }
}

/// Whether there may be objects of what a definition defines: not if it was never established, as one whose names another
/// one has.
async fn may_have_objects(
    connection: &Connection,
    definitions: &ApiResource,
    name: &str,
) -> Result<bool, ListError> {
    let live = connection.get(Place { resource: definitions, namespace: None, name }).await;
    let is_established = |live: &Value| {
        let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    };
    Ok(live.map_err(ListError::of_kinds)?.is_some_and(|live| is_established(&live)))
}

/// An object in the namespace that is not deleted itself, and that Kubernetes did not put there by itself: one of others,
/// or one of the set that stays.
async fn foreign_inside(
    connection: &Connection,
    resources: &Resources,
    set: &SetView,
    deletions: &[&Member],
    namespace: &str,
) -> Result<Option<String>, ListError> {
    let kinds: Vec<_> = resources.namespaced().into_iter().filter(|kind| kind.kind != "Event").collect();
    let mut lists = stream::iter(kinds)
        .map(|kind| members::list_known(connection, kind, Some(namespace.to_owned()), "", Depth::Metadata))
        .buffer_unordered(IN_FLIGHT);
    let goes: HashSet<&str> = deletions.iter().map(|deletion| deletion.uid()).collect();
    let mut foreign: Option<(bool, ObjectId)> = None;
    while let Some(list) = lists.next().await {
        let found = match list {
            Ok(found) => found,
            Err(error) if *error.why.kind() == ApiErrorKind::Forbidden || error.why.is_not_found() => {
                return Ok(Some(format!("it cannot be seen what is in it: {error}")));
            }
            // Some kinds can be listed in words only: what cannot be stored cannot be lost.
            Err(error) if error.why.code() == 405 => continue,
            Err(error) => return Err(error),
        };
        let others = found.into_iter().filter(|member| {
            !goes.contains(member.uid()) && !is_of_controller(&member.live) && !is_furniture(&member.id)
        });
        let others = others.map(|member| (part_of(&member.live) == Some(set.id.as_str()), member.id));
        foreign = foreign.into_iter().chain(others).min();
    }
    Ok(foreign.map(|(is_ours, id)| {
        let why = if is_ours { "stays" } else { "is not of this set" };
        format!("{id} is in it, which {why}")
    }))
}

/// What Kubernetes puts into each namespace.
fn is_furniture(id: &ObjectId) -> bool {
    matches!(
        (id.kind.as_str(), id.name.as_str()),
        ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default") | ("Endpoints" | "PodMetrics", _)
    )
}

/// An object of the kind that is defined there which is not deleted with the definition's set.
async fn foreign_of_kind(
    connection: &Connection,
    resources: &Resources,
    deletions: &[&Member],
    definition: &str,
) -> Result<Option<String>, ListError> {
    // The name of a definition is its plural and its group.
    let Some((plural, group)) = definition.split_once('.') else { return Ok(None) };
    let unseen = |why: &dyn fmt::Display| Ok(Some(format!("it cannot be seen who has objects of it: {why}")));
    let Some(resource) = resources.by_plural(group, plural) else {
        let definitions = resources.by_plural(DEFINITIONS.0, DEFINITIONS.1);
        return match definitions {
            Some(definitions) if !may_have_objects(connection, &definitions, definition).await? => Ok(None),
            _ => unseen(&"the cluster does not list its kind"),
        };
    };
    let found = match members::list_known(connection, resource, None, "", Depth::Metadata).await {
        Err(error) if error.why.is_not_found() => return unseen(&error),
        found => found?,
    };
    let goes = |object: &Member| deletions.iter().any(|deletion| deletion.uid() == object.uid());
    let foreign = found.iter().find(|object| !goes(object));
    Ok(foreign.map(|object| format!("{} is of that kind and would go with it", object.id)))
}

/// Whether a kind is that of ConfigMaps, Secrets, accounts or claims: what pods need by name.
pub(super) fn is_needed_by_name(kind: &GroupKind) -> bool {
    kind.group.is_empty()
        && matches!(kind.kind.as_str(), "ConfigMap" | "Secret" | "ServiceAccount" | "PersistentVolumeClaim")
}

/// The UIDs of what made an object.
pub(super) fn owner_uids(live: &Value) -> impl Iterator<Item = &str> {
    let owners = live.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().map(|owner| text(owner, "/uid"))
}
