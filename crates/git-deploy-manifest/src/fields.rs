//! Who holds which field of a live object: its `managedFields`.
//!
//! A set of fields is written as the API server writes it ([`FieldsV1`][1]): `f:<name>` for a field, `k:<keys>` for an
//! item of a list by its keys, `v:<value>` for an item by its value, `i:<index>` by its place; `.` for the thing itself.
//!
//! [1]: https://kubernetes.io/docs/reference/using-api/server-side-apply/

use serde_json::{Map, Value, json};

/// The manager that all our applies are made by.
pub const MANAGER: &str = "git-deploy";

/// The manager that holds the number of replicas where the manifest gives none: an object whose number only we held
/// would be scaled to one when we let go of it.
pub const REPLICAS_MANAGER: &str = "git-deploy-replicas";

/// Managers of people and of tools that people call: what they hold can be taken over, since they do not write
/// it again by themselves. All others may be controllers.
const TOOLS: [&str; 16] = [
    "ansible",
    "before-first-apply",
    "helm",
    "Helm",
    "k9s",
    "kapp",
    "kapp-server-side-apply",
    "kluctl",
    "krane",
    "kubectl",
    "nelm",
    "OpenAPI-Generator",
    "pulumi",
    "skaffold",
    "terraform",
    "Terraform",
];

/// Whether this is the manager of a person, or of a tool that a person calls.
pub fn is_tool(manager: &str) -> bool {
    TOOLS.contains(&manager)
        || ["kubectl-", "pulumi-", "terraform-"].iter().any(|prefix| manager.starts_with(prefix))
}

/// Whether a manager has applied anything of this object.
pub fn has_applied(live: &Value, manager: &str) -> bool {
    applied_by(live, manager).is_some()
}

/// Whether a manager has applied this field. The path is that of nested fields, such as `["spec", "replicas"]`.
pub fn owns(live: &Value, manager: &str, path: &[&str]) -> bool {
    applied_by(live, manager).is_some_and(|fields| holds(fields, path))
}

/// Whether a manager has applied this field, and nobody else holds it.
pub fn owns_alone(live: &Value, manager: &str, path: &[&str]) -> bool {
    owns(live, manager, path)
        && !entries(live)
            .filter(|entry| !is_apply_of(entry, manager))
            .any(|entry| holds(&entry["fieldsV1"], path))
}

/// The `managedFields` that make all that tools hold ours, or `None` where they hold nothing.
///
/// Fields that another tool brought would survive an apply that takes over only what it names. What controllers hold,
/// and what was written through subresources (status, scale), stays theirs.
pub fn adopted(live: &Value) -> Option<Vec<Value>> {
    let is_adopted = |entry: &Value| {
        entry["manager"].as_str().is_some_and(is_tool)
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
    };
    if !entries(live).any(is_adopted) {
        return None;
    }
    let mut fields = Value::Object(Map::new());
    let mut kept = Vec::new();
    let mut version = live["apiVersion"].clone();
    for entry in entries(live) {
        let is_ours = is_apply_of(entry, MANAGER);
        if is_ours || is_adopted(entry) {
            unite(&mut fields, &entry["fieldsV1"]);
            if is_ours {
                version = entry["apiVersion"].clone();
            }
        } else {
            kept.push(entry.clone());
        }
    }
    let ours = json!({
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    });
    kept.insert(0, ours);
    Some(kept)
}

/// Takes those fields out of an object that we hold and do not want, as far as nobody else holds them: what an apply
/// leaves of an object whose `managedFields` are `managed`, when it wants the fields in `wanted`.
pub fn drop_unwanted(object: &mut Value, managed: &[Value], wanted: &Value) {
    let mut dropped = Value::Object(Map::new());
    let mut held = wanted.clone();
    for entry in managed {
        if is_apply_of(entry, MANAGER) {
            unite(&mut dropped, &entry["fieldsV1"]);
        } else {
            unite(&mut held, &entry["fieldsV1"]);
        }
    }
    remove(object, &dropped, &held);
}

/// Whether applying an object would certainly leave it as it is: the manager holds exactly these fields, and they have
/// these values. In doubt not: the API server knows defaults and spellings of quantities that nobody else knows.
pub fn is_applied(live: &Value, manager: &str, wanted: &Value) -> bool {
    let entry = entries(live).find(|entry| is_apply_of(entry, manager));
    let Some(entry) = entry.filter(|entry| entry["apiVersion"] == wanted["apiVersion"]) else { return false };
    let Some(mut wanted) = wanted.as_object().cloned() else { return false };
    // What says which object it is belongs to nobody.
    wanted.retain(|key, _| key != "apiVersion" && key != "kind");
    if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| key != "name" && key != "namespace");
        if metadata.is_empty() {
            wanted.remove("metadata");
        }
    }
    is_held(&entry["fieldsV1"], &Value::Object(wanted), live)
}

/// Whether a set of fields is exactly that of a value, and another value agrees in all of them.
fn is_held(fields: &Value, wanted: &Value, live: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    let mut inner = fields.iter().filter(|(key, _)| *key != ".").peekable();
    if inner.peek().is_none() {
        return !wanted.is_null() && wanted == live;
    }
    match wanted {
        Value::Object(wanted) => {
            let count = inner.clone().count();
            count == wanted.len()
                && inner.all(|(key, fields)| {
                    let name = key.strip_prefix("f:").unwrap_or_default();
                    let both = wanted.get(name).zip(live.get(name));
                    both.is_some_and(|(wanted, live)| is_held(fields, wanted, live))
                })
        }
        Value::Array(items) => {
            let live = live.as_array().map(Vec::as_slice).unwrap_or_default();
            let mut places = Vec::new();
            let held = inner.all(|(key, fields)| {
                let places_of = wanted_index(items, key).zip(index_of(live, key));
                let Some((index, live_index)) = places_of else { return false };
                places.push((index, live_index));
                // An item that is its own name has nothing inside.
                key.starts_with("v:") || is_held(fields, &items[index], &live[live_index])
            });
            places.sort_unstable();
            // Each once, and in the same order.
            held && places.len() == items.len()
                && places.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
        }
        _ => false,
    }
}

/// The item of a manifest's list that has this key; what the manifest leaves out of a key is a default.
fn wanted_index(items: &[Value], key: &str) -> Option<usize> {
    let Some(keys) = key.strip_prefix("k:") else { return index_of(items, key) };
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    let is_it =
        |item: &Value| keys.iter().all(|(name, value)| item.get(name).is_none_or(|wanted| wanted == value));
    let mut found = items.iter().enumerate().filter(|(_, item)| is_it(item)).map(|(index, _)| index);
    found.next().filter(|_| found.next().is_none())
}

/// The fields that a manager has applied.
pub fn applied_by<'a>(live: &'a Value, manager: &str) -> Option<&'a Value> {
    entries(live).find(|entry| is_apply_of(entry, manager)).map(|entry| &entry["fieldsV1"])
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

fn is_apply_of(entry: &Value, manager: &str) -> bool {
    entry["manager"] == manager
        && entry["operation"] == "Apply"
        && entry["subresource"].as_str().unwrap_or_default().is_empty()
}

fn holds(fields: &Value, path: &[&str]) -> bool {
    let mut place = fields;
    for name in path {
        match place.get(format!("f:{name}")) {
            Some(inner) => place = inner,
            None => return false,
        }
    }
    true
}

fn unite(fields: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else { return };
    for (key, inner) in more {
        unite(fields.entry(key).or_insert_with(|| Value::Object(Map::new())), inner);
    }
}

/// Removes what `dropped` names and `held` does not.
fn remove(value: &mut Value, dropped: &Value, held: &Value) {
    let Value::Object(dropped) = dropped else { return };
    for (key, inner) in dropped.iter().filter(|(key, _)| *key != ".") {
        let still_held = held.get(key);
        if let Some(place) = item(value, key) {
            if still_held.is_none() && is_all_of(place, inner) {
                take(value, key);
            } else {
                remove(place, inner, still_held.unwrap_or(&Value::Null));
            }
        }
    }
}

/// Whether a set of fields covers a value whole: a leaf, or a thing that is named itself.
fn is_all_of(value: &Value, fields: &Value) -> bool {
    let names_nothing_inside = fields.as_object().is_none_or(|inner| inner.keys().all(|key| key == "."));
    names_nothing_inside || (fields.get(".").is_some() && value.is_object())
}

fn item<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match (value, key.split_at_checked(2)?) {
        (Value::Object(fields), ("f:", name)) => fields.get_mut(name),
        (Value::Array(items), _) => {
            let index = index_of(items, key)?;
            items.get_mut(index)
        }
        _ => None,
    }
}

fn take(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove(key.strip_prefix("f:").unwrap_or(key));
        }
        Value::Array(items) => {
            if let Some(index) = index_of(items, key) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn index_of(items: &[Value], key: &str) -> Option<usize> {
    let (kind, text) = key.split_at_checked(2)?;
    let wanted: Value = serde_json::from_str(text).ok()?;
    match kind {
        "k:" => {
            let keys = wanted.as_object()?;
            items.iter().position(|item| keys.iter().all(|(name, value)| item.get(name) == Some(value)))
        }
        "v:" => items.iter().position(|item| *item == wanted),
        "i:" => usize::try_from(wanted.as_u64()?).ok().filter(|index| *index < items.len()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
