//! What a change would change, as a unified difference of YAML.

use serde_json::Value;
use similar::TextDiff;

use crate::ObjectId;
use crate::yaml::emit;

/// What stands for a value of a Secret.
const MASK: &str = "***";

/// The difference between two states of one object; empty where there is none that matters. `None` where it is not there.
///
/// What only the server sets is left out. Values of Secrets never appear: one that changes is shown as `*** (before)` and
/// `*** (after)`, as kubectl does.
pub fn diff(id: &ObjectId, before: Option<&Value>, after: Option<&Value>) -> String {
    let (mut before, mut after) = (before.map(comparable), after.map(comparable));
    if id.is_secret() {
        (before, after) = (
            before.as_ref().map(|state| masked(state, after.as_ref(), "before")),
            after.as_ref().map(|state| masked(state, before.as_ref(), "after")),
        );
    }
    let text = |value: &Option<Value>| value.as_ref().map(emit).unwrap_or_default();
    let (old, new) = (text(&before), text(&after));
    if old == new {
        return String::new();
    }
    let file = id.file_name();
    let name = |prefix: &str, value: &Option<Value>| match value {
        Some(_) => format!("{prefix}/{file}"),
        None => "/dev/null".to_owned(),
    };
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .context_radius(3)
        .header(&name("a", &before), &name("b", &after))
        .to_string()
}

/// An object without what only the server sets, its keys in an order of their own: two states can then be compared.
pub fn comparable(object: &Value) -> Value {
    let mut object = sorted(object);
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"]
        {
            metadata.shift_remove(key);
        }
    }
    object
}

/// A state of a Secret with its values masked, so that it is still seen which of them differ from the `other` state.
fn masked(state: &Value, other: Option<&Value>, side: &str) -> Value {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let mut out = state.clone();
    // What kubectl keeps there holds the values once more.
    if let Some(Value::Object(annotations)) = out.pointer_mut("/metadata/annotations")
        && let Some(last) = annotations.get_mut(LAST_APPLIED)
    {
        *last = Value::String(MASK.to_owned());
    }
    for field in ["data", "stringData"] {
        let Some(values) = out.get_mut(field).and_then(Value::as_object_mut) else { continue };
        for (key, value) in values {
            let theirs = other.and_then(|other| other.get(field)).and_then(|values| values.get(key));
            let differs = theirs.is_some_and(|theirs| theirs != value);
            *value = Value::String(if differs { format!("{MASK} ({side})") } else { MASK.to_owned() });
        }
    }
    out
}

/// Keys in alphabetical order, but what names the object first.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_by_key(|key| {
                let first = ["apiVersion", "kind", "metadata"].iter().position(|first| key == first);
                (first.unwrap_or(usize::MAX), *key)
            });
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
