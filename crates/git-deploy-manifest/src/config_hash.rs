//! Configuration that changed rolls out: what a pod template reads is hashed into it.
//!
//! Kubernetes starts no new pods when a ConfigMap or a Secret changes that they read. With a digest of these in the
//! template's annotations the template changes with them. Only objects of the same manifests count: what others change
//! is not known when manifests are rendered.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::applyset::hex;
use crate::references::references;
use crate::{Object, ObjectId};

/// The annotation of a pod template.
pub const CONFIG_HASH: &str = "git-deploy/config-hash";

/// Writes the digest into every pod template that reads a ConfigMap or Secret of these manifests.
pub fn set_config_hashes(objects: &mut [Object]) {
    let configuration: Vec<(ObjectId, Value)> = objects
        .iter()
        .filter(|object| is_configuration(object.id()))
        .map(|object| (object.id().clone(), object.value().clone()))
        .collect();
    for object in objects {
        if let Some(digest) = digest_of(object, &configuration) {
            annotate(object, &digest);
        }
    }
}

fn is_configuration(id: &ObjectId) -> bool {
    id.group.is_empty() && matches!(id.kind.as_str(), "ConfigMap" | "Secret")
}

fn digest_of(object: &Object, configuration: &[(ObjectId, Value)]) -> Option<String> {
    // A Job's template must not change, and a CronJob's next run reads anew anyway.
    if !object.id().has_revisions() {
        return None;
    }
    let mut read: Vec<&(ObjectId, Value)> = references(object.value())
        .into_iter()
        .filter_map(|reference| {
            configuration.iter().find(|(id, _)| {
                id.kind == reference.kind
                    && id.name == reference.name
                    && id.namespace == object.id().namespace
            })
        })
        .collect();
    read.sort_by(|one, other| one.0.cmp(&other.0));
    read.dedup_by(|one, other| one.0 == other.0);
    if read.is_empty() {
        return None;
    }
    let mut digest = Sha256::new();
    for (id, value) in read {
        digest.update(id.to_string());
        for key in ["data", "binaryData", "stringData"] {
            digest.update(format!("\n{key}\n{}", sorted(&value[key])));
        }
    }
    Some(hex(&digest.finalize())[..16].to_owned())
}

/// The order of keys means nothing.
fn sorted(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| key.as_str());
    Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn annotate(object: &mut Object, digest: &str) {
    let Some(template) = object.value_mut().pointer_mut("/spec/template") else { return };
    let Some(template) = template.as_object_mut() else { return };
    let metadata = map_in(template, "metadata");
    let annotations = metadata.and_then(|metadata| map_in(metadata, "annotations"));
    if let Some(annotations) = annotations {
        annotations.insert(CONFIG_HASH.to_owned(), digest.into());
    }
}

/// The map under a key, made if it is not there.
fn map_in<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, read};

    fn hash(configuration: &str) -> Option<String> {
        let text = format!(
            "{configuration}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    \
             spec:\n      containers:\n      - name: web\n        image: a\n        envFrom:\n        - configMapRef: {{name: web}}\n"
        );
        let file = SourceFile { path: "a.yaml".to_owned(), bytes: text.into_bytes() };
        let mut objects = read(&[file]).unwrap();
        set_config_hashes(&mut objects);
        let template = &objects.last().unwrap().value()["spec"]["template"];
        template["metadata"]["annotations"][CONFIG_HASH].as_str().map(str::to_owned)
    }

    fn config(name: &str, data: &str, label: &str) -> String {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{a: {label}}}}}\ndata: {{{data}}}\n"
        )
    }

    #[test]
    fn what_a_template_reads_changes_it() {
        let one = hash(&config("web", "a: b, c: d", "x"));
        assert!(one.is_some());
        assert_eq!(one, hash(&config("web", "c: d, a: b", "y")), "order and labels mean nothing");
        assert_ne!(one, hash(&config("web", "a: b, c: e", "x")));
    }

    #[test]
    fn what_it_does_not_read_does_not() {
        assert_eq!(hash(&config("other", "a: b", "x")), None);
        assert_eq!(hash(""), None);
    }
}
