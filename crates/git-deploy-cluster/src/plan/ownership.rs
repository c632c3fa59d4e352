//! Whose an object is.

use git_deploy_manifest::fields::{MANAGER, has_applied};
use git_deploy_manifest::{GroupKind, ID_LABEL, part_of};
use serde_json::Value;

use super::PlanProblem;
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::members::{self, SetView};
use crate::objects::Depth;

/// Whose an object is that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This set's, or it was applied by us and lost its label.
    Us,
    /// Another set's: never to be touched.
    OtherSet(String),
    /// In no set.
    Nobody,
}

pub(crate) fn owner(live: &Value, set: &SetView) -> Owner {
    match part_of(live) {
        Some(id) if id == set.id => Owner::Us,
        Some(other) => Owner::OtherSet(other.to_owned()),
        None if has_applied(live, MANAGER) => Owner::Us,
        None => Owner::Nobody,
    }
}

/// Who wrote an object, each once.
pub(crate) fn managers(live: &Value) -> Vec<String> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut managers: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty())
        .filter_map(|entry| entry["manager"].as_str().map(str::to_owned))
        .collect();
    managers.sort_unstable();
    managers.dedup();
    managers
}

/// Calls other sets by their parents, as far as these are in the namespace and may be seen: an id tells nobody anything.
pub(super) async fn name_sets(
    connection: &Connection,
    resources: &Resources,
    namespace: &str,
    problems: &mut [PlanProblem],
) {
    let mut sets = problems.iter_mut().filter_map(|problem| match problem {
        PlanProblem::OtherSet { set, .. } => Some(set),
        _ => None,
    });
    let Some(first) = sets.next() else { return };
    let Some((config_maps, _)) = resources.find_kind(&GroupKind::new("", "ConfigMap")) else { return };
    let parents =
        members::list(connection, config_maps, Some(namespace.to_owned()), ID_LABEL, Depth::Metadata).await;
    let Ok(parents) = parents else { return };
    for set in std::iter::once(first).chain(sets) {
        let is_its = |parent: &&members::Member| parent.live["metadata"]["labels"][ID_LABEL] == set.as_str();
        if let Some(parent) = parents.iter().find(is_its) {
            set.clone_from(&parent.id.name);
        }
    }
}
