//! Whose an object is.

use git_deploy_manifest::fields::{MANAGER, has_applied};
use git_deploy_manifest::part_of;
use serde_json::Value;

use crate::members::SetView;

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
