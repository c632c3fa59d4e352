//! Objects as they may be kept in git: the values of [Secrets][1] as digests.
//!
//! In doubt a text of a Secret is a value: only what is known to be none stays as it is.
//!
//! [1]: https://kubernetes.io/docs/concepts/configuration/secret/

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ObjectId;
use crate::applyset::hex;

/// What a digest begins with. It is no base64: the API server refuses an object that is redacted.
const PREFIX: &str = "sha256:";
/// The keys of a Secret that hold no values.
const PLAIN: [&str; 5] = ["apiVersion", "kind", "metadata", "type", "immutable"];
/// The annotation in which `kubectl apply` repeats the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it may be kept in git. Values of a Secret become `sha256:<hex>` of the bytes that a pod would see,
/// whether they are written under `data` or `stringData`; everything else is kept.
pub fn redacted(id: &ObjectId, object: &Value) -> Value {
    let (true, Value::Object(secret)) = (id.is_secret(), object) else { return object.clone() };
    let mut out = Map::new();
    for (key, value) in secret {
        match key.as_str() {
            "data" => entries(&mut out, value, |text| digest(&STANDARD.decode(text).unwrap_or(text.into()))),
            "stringData" => {}
            "metadata" => drop(out.insert(key.clone(), metadata(value))),
            plain if PLAIN.contains(&plain) => drop(out.insert(key.clone(), value.clone())),
            _ => drop(out.insert(key.clone(), digest_of(value).into())),
        }
    }
    if let Some(over) = secret.get("stringData") {
        entries(&mut out, over, |text| digest(text.as_bytes()));
    }
    Value::Object(out)
}

/// Whether an object is a Secret of which [`redacted`] left no values, so that it cannot be applied.
pub fn is_redacted(id: &ObjectId, object: &Value) -> bool {
    let is_digest = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(PREFIX));
    let data = object.get("data").and_then(Value::as_object);
    id.is_secret() && data.is_some_and(|data| data.values().any(is_digest))
}

/// Adds digests of the entries of a map to `data`; `stringData` is put over `data`, as the API server does.
fn entries(out: &mut Map<String, Value>, values: &Value, digest: impl Fn(&str) -> String) {
    if values.is_null() {
        return;
    }
    let data = out.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let (Value::Object(values), Value::Object(data)) = (values, &mut *data) else {
        *data = digest_of(values).into();
        return;
    };
    for (key, value) in values {
        let digest = value.as_str().map_or_else(|| digest_of(value), &digest);
        data.insert(key.clone(), digest.into());
    }
}

fn metadata(metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    if let Some(repeated) = metadata.get_mut("annotations").and_then(|all| all.get_mut(LAST_APPLIED)) {
        *repeated = digest_of(repeated).into();
    }
    metadata
}

fn digest(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", hex(&Sha256::digest(bytes)))
}

/// The digest of what is no text where texts belong.
fn digest_of(value: &Value) -> String {
    digest(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn id(kind: &str) -> ObjectId {
        ObjectId {
            group: String::new(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: "x".to_owned(),
        }
    }

    fn secret(object: &Value) -> Value {
        redacted(&id("Secret"), object)
    }

    #[test]
    fn values_of_a_secret_become_digests_and_names_stay() {
        let kept = secret(&json!({"kind": "Secret", "type": "Opaque", "data": {"password": "aHVudGVyMg=="}}));
        let digest = "sha256:f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7";
        assert_eq!(kept, json!({"kind": "Secret", "type": "Opaque", "data": {"password": digest}}));
    }

    #[test]
    fn it_makes_no_difference_how_a_value_is_written() {
        let data = secret(&json!({"data": {"password": "aHVudGVyMg=="}}));
        assert_eq!(secret(&json!({"stringData": {"password": "hunter2"}})), data);
        for both in [
            json!({"data": {"password": "b2xk"}, "stringData": {"password": "hunter2"}}),
            json!({"stringData": {"password": "hunter2"}, "data": {"password": "b2xk"}}),
        ] {
            assert_eq!(secret(&both), data, "{both}");
        }
    }

    #[test]
    fn other_kinds_are_kept_as_they_are() {
        let object = json!({"kind": "ConfigMap", "data": {"a": "b"}});
        assert_eq!(redacted(&id("ConfigMap"), &object), object);
    }

    #[test]
    fn what_is_redacted_is_known_as_such() {
        let object = json!({"kind": "Secret", "data": {"a": "Yg=="}});
        assert!(is_redacted(&id("Secret"), &secret(&object)));
        assert!(!is_redacted(&id("Secret"), &object));
        assert!(!is_redacted(&id("Secret"), &json!({"kind": "Secret"})));
    }

    proptest! {
        #[test]
        fn no_value_survives_wherever_it_is_written(
            key in prop_oneof![Just("data"), Just("stringData"), Just("stringdata"), Just("spec"), Just("Data")],
            name in "[a-z]{0,3}",
            shape in 0..5usize,
        ) {
            const VALUE: &str = "hunter2hunter2";
            let value = match shape {
                0 => json!({name: VALUE}),
                1 => json!({name: {"deep": VALUE}}),
                2 => json!([VALUE]),
                3 => json!(VALUE),
                _ => json!({VALUE.to_owned(): null, name: STANDARD.encode(VALUE)}),
            };
            let object = json!({
                "kind": "Secret",
                key: value,
                "metadata": {"annotations": {LAST_APPLIED: format!("{{\"stringData\":\"{VALUE}\"}}")}},
            });
            let kept = secret(&object).to_string();
            // The names of the entries of a Secret are no secret.
            let names = if shape == 4 && matches!(key, "data" | "stringData") { 1 } else { 0 };
            prop_assert!(kept.matches(VALUE).count() <= names, "{}", kept);
            prop_assert!(!kept.contains(&STANDARD.encode(VALUE)), "{}", kept);
        }
    }
}
