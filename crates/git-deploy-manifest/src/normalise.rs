//! What must be different in an object before it is applied server-side, so that it means what kubectl makes of it.
//!
//! Server-side apply removes a field that its manager held and no longer names. Some fields cannot be removed that way,
//! and some must not be.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::fields::{MANAGER, owns};

/// Something in an object that no apply can mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Where the list is: `.spec.template.spec.containers[web].env`.
    pub list: String,
    /// What stands there twice: `name 'A'`.
    pub item: String,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {} twice, keep one", self.list.escape_debug(), self.item)
    }
}

/// Lists of objects that the API server tells apart by keys, and what an absent key stands for.
const KEYED: [(&str, &[(&str, &str)]); 9] = [
    ("containers", &[("name", "")]),
    ("initContainers", &[("name", "")]),
    ("env", &[("name", "")]),
    ("volumes", &[("name", "")]),
    ("volumeMounts", &[("mountPath", "")]),
    ("volumeDevices", &[("devicePath", "")]),
    ("hostAliases", &[("ip", "")]),
    ("imagePullSecrets", &[("name", "")]),
    ("ports", &[]),
];

/// Items that stand twice in a list that knows its items by a key: the API server refuses such an object as a whole, with
/// a message that few understand. kubectl without `--server-side` lets them pass.
///
/// Looked for in what Kubernetes brings along; `group` is that of the kind.
pub fn duplicates(group: &str, object: &Value) -> Vec<Duplicate> {
    let mut found = Vec::new();
    // In a custom resource lists of these names can mean anything.
    if matches!(group, "" | "apps" | "batch") {
        search(object, "", &mut found);
    }
    found
}

fn search(value: &Value, place: &str, found: &mut Vec<Duplicate>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter().filter(|(name, _)| *name != "annotations" && *name != "labels")
            {
                let place = format!("{place}.{name}");
                if let Some((_, keys)) = KEYED.iter().find(|(list, _)| list == name) {
                    duplicates_of(inner, keys_of_ports(value, name).unwrap_or(keys), &place, found);
                }
                search(inner, &place, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map_or(index.to_string(), str::to_owned);
                search(item, &format!("{place}[{name}]"), found);
            }
        }
        _ => {}
    }
}

/// Ports of a container and ports of a Service have one name and different keys.
fn keys_of_ports(parent: &Value, name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    let is_container = parent.get("image").is_some() || parent.get("name").is_some();
    match name {
        "ports" if is_container => Some(&[("containerPort", ""), ("protocol", "TCP")]),
        "ports" => Some(&[("port", ""), ("protocol", "TCP")]),
        _ => None,
    }
}

fn duplicates_of(list: &Value, keys: &[(&str, &str)], place: &str, found: &mut Vec<Duplicate>) {
    let mut seen: Vec<Vec<String>> = Vec::new();
    for item in list.as_array().into_iter().flatten() {
        let text = |(key, default): &(&str, &str)| match item.get(*key) {
            None | Some(Value::Null) => (*default).to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let key: Vec<String> = keys.iter().map(text).collect();
        if key.iter().any(String::is_empty) {
            continue;
        }
        if seen.contains(&key) {
            let of =
                |((name, _), value): (&(&str, &str), &String)| format!("{name} '{}'", value.escape_debug());
            let item = keys.iter().zip(&key).map(of).collect::<Vec<_>>().join(" with ");
            found.push(Duplicate { list: place.to_owned(), item });
        } else {
            seen.push(key);
        }
    }
}

/// What the rest of the set and the cluster say about an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The object as it is in the cluster.
    pub live: Option<&'a Value>,
    /// Whether a HorizontalPodAutoscaler decides how many replicas it has.
    pub autoscaled: bool,
}

/// Changes an object so that applying it server-side means what is written there.
///
/// - `stringData` of a Secret becomes `data`: a key that is taken out of `stringData` would stay for ever.
/// - `serviceAccountName: default` is written where none is and the live template has one: the API server keeps the old
///   one under its old name, and pods would break when that account is pruned.
/// - `spec.replicas` is left out where an autoscaler decides: each deployment would scale back.
/// - `status` and what only the server sets are left out.
pub fn normalise(wanted: &mut Value, circumstances: Circumstances<'_>) {
    let Some(fields) = wanted.as_object_mut() else { return };
    fields.shift_remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"]
        {
            metadata.shift_remove(key);
        }
    }
    if fields.get("kind").is_some_and(|kind| kind == "Secret")
        && fields.get("apiVersion").is_some_and(|v| v == "v1")
    {
        string_data_to_data(fields);
    }
    if circumstances.autoscaled
        && let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.shift_remove("replicas");
    }
    if let Some(live) = circumstances.live {
        write_default_account(wanted, live);
    }
}

fn string_data_to_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(strings)) = secret.shift_remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Value::Object(data) = data else { return };
    for (key, value) in strings {
        let encoded = match &value {
            Value::String(text) => Value::String(STANDARD.encode(text)),
            Value::Null => Value::String(String::new()),
            // No string: left for the API server to refuse.
            other => other.clone(),
        };
        data.insert(key, encoded);
    }
}

fn write_default_account(wanted: &mut Value, live: &Value) {
    const TEMPLATES: [&[&str]; 3] =
        [&["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"], &["spec"]];
    for path in TEMPLATES {
        let pointer = format!("/{}", path.join("/"));
        let Some(spec) = wanted.pointer_mut(&pointer).filter(|spec| spec.get("containers").is_some()) else {
            continue;
        };
        let Some(name) = live.pointer(&format!("{pointer}/serviceAccountName")).and_then(Value::as_str)
        else {
            return;
        };
        let named = |key: &str| spec.get(key).is_some_and(|value| !value.is_null());
        if named("serviceAccountName") || named("serviceAccount") {
            return;
        }
        let was_ours: Vec<&str> = path.iter().copied().chain(["serviceAccountName"]).collect();
        if (name != "default" || owns(live, MANAGER, &was_ours))
            && let Some(spec) = spec.as_object_mut()
        {
            spec.insert("serviceAccountName".to_owned(), Value::String("default".to_owned()));
        }
        return;
    }
}

/// The group, kind and name of what a HorizontalPodAutoscaler scales.
pub fn autoscaled(hpa: &Value) -> Option<(&str, &str, &str)> {
    let target = hpa.get("spec")?.get("scaleTargetRef")?;
    let api_version = target.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    Some((group, target.get("kind")?.as_str()?, target.get("name")?.as_str()?))
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
