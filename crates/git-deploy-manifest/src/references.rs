//! What an object needs by name in its own namespace: ConfigMaps, Secrets, accounts, claims.

use std::collections::BTreeSet;

use serde_json::Value;

/// Something that an object needs by its name, in its own namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Such as `ConfigMap`; always of core.
    pub kind: &'static str,
    /// The name.
    pub name: String,
}

/// What the pods of an object need, or an Ingress or an account; wherever in the object it is named.
///
/// Looked for by the names of fields, not by their places: rather too much is found than too little, since what is
/// found is not deleted.
pub fn references(object: &Value) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    walk(object, &mut found);
    found
}

fn walk(value: &Value, found: &mut BTreeSet<Reference>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields.iter().filter(|(key, _)| *key != "status" && *key != "managedFields") {
                named(key, inner, found);
                walk(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

fn named(key: &str, value: &Value, found: &mut BTreeSet<Reference>) {
    let (kind, names) = match key {
        "configMap" | "configMapRef" | "configMapKeyRef" => ("ConfigMap", vec![&value["name"]]),
        "secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef" => ("Secret", vec![&value["name"]]),
        "secretName" => ("Secret", vec![value]),
        "imagePullSecrets" | "secrets" => {
            ("Secret", value.as_array().into_iter().flatten().map(|item| &item["name"]).collect())
        }
        "persistentVolumeClaim" => ("PersistentVolumeClaim", vec![&value["claimName"]]),
        "serviceAccountName" | "serviceAccount" => ("ServiceAccount", vec![value]),
        _ => return,
    };
    let names = names.into_iter().filter_map(Value::as_str).filter(|name| !name.is_empty());
    found.extend(names.map(|name| Reference { kind, name: name.to_owned() }));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_pods_need_by_name_is_found_wherever_it_is_named() {
        let pod = json!({"spec": {
            "serviceAccountName": "account",
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"name": "a", "configMap": {"name": "config"}},
                {"name": "b", "secret": {"secretName": "secret"}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
                {"name": "d", "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "projected"}}]}},
                {"name": "e", "csi": {"nodePublishSecretRef": {"name": "csi"}}},
            ],
            "containers": [{
                "envFrom": [{"configMapRef": {"name": "env"}}, {"secretRef": {"name": "env"}}],
                "env": [{"valueFrom": {"secretKeyRef": {"name": "key", "key": "a"}}}, {"valueFrom": {"configMapKeyRef": {"name": "key", "key": "a"}}}],
            }],
        }});
        let found = references(&pod);
        let names = |kind: &str| -> Vec<&str> {
            found
                .iter()
                .filter(|reference| reference.kind == kind)
                .map(|reference| reference.name.as_str())
                .collect()
        };
        assert_eq!(names("ConfigMap"), ["config", "env", "key", "projected"]);
        assert_eq!(names("Secret"), ["csi", "env", "key", "projected", "pull", "secret"]);
        assert_eq!(names("ServiceAccount"), ["account"]);
        assert_eq!(names("PersistentVolumeClaim"), ["claim"]);
    }

    #[test]
    fn an_ingress_needs_its_certificates_and_an_account_its_secrets() {
        let tls = Reference { kind: "Secret", name: "tls".to_owned() };
        assert!(references(&json!({"spec": {"tls": [{"secretName": "tls"}]}})).contains(&tls));
        assert!(references(&json!({"kind": "ServiceAccount", "secrets": [{"name": "tls"}]})).contains(&tls));
    }
}
