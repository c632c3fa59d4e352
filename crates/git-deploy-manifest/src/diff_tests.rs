use serde_json::json;

use super::*;

fn id(kind: &str) -> ObjectId {
    ObjectId {
        group: String::new(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("shop".to_owned()),
        name: "a".to_owned(),
    }
}

#[test]
fn what_only_the_server_sets_is_no_difference() {
    let before = json!({"kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "1", "uid": "x", "managedFields": []}, "data": {"a": "1"}});
    let after = json!({"data": {"a": "1"}, "metadata": {"name": "a", "generation": 3}, "kind": "ConfigMap", "status": {"b": 2}});
    assert_eq!(diff(&id("ConfigMap"), Some(&before), Some(&after)), "");
}

#[test]
fn a_change_is_shown_as_a_difference_of_yaml() {
    let before = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1", "b": "2"}});
    let after = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1", "b": "3"}});
    assert_eq!(
        diff(&id("ConfigMap"), Some(&before), Some(&after)),
        "--- a/shop/configmap_a.yaml\n+++ b/shop/configmap_a.yaml\n@@ -3,4 +3,4 @@\n   name: a\n data:\n   a: \"1\"\n-  b: \"2\"\n+  b: \"3\"\n"
    );
    let created = diff(&id("ConfigMap"), None, Some(&json!({"kind": "ConfigMap"})));
    assert_eq!(created, "--- /dev/null\n+++ b/shop/configmap_a.yaml\n@@ -0,0 +1 @@\n+kind: ConfigMap\n");
}

#[test]
fn values_of_secrets_never_appear_and_a_change_of_one_is_still_seen() {
    let before = json!({
        "kind": "Secret",
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"a\":\"hunter2\"}}"}},
        "data": {"a": "hunter2", "b": "hunter2", "gone": "hunter2"},
    });
    let after = json!({"kind": "Secret", "metadata": {"annotations": {}}, "data": {"a": "hunter3", "b": "hunter2", "new": "hunter2"}});
    let text = diff(&id("Secret"), Some(&before), Some(&after));
    assert!(!text.contains("hunter"), "{text}");
    for line in ["-  a: '*** (before)'", "+  a: '*** (after)'", "-  gone: '***'", "+  new: '***'"] {
        let either = |quote: &str| text.contains(&line.replace('\'', quote));
        assert!(either("'") || either("\""), "{line}: {text}");
    }
    assert_eq!(diff(&id("Secret"), Some(&after), Some(&after)), "");
    assert!(!diff(&id("Secret"), None, Some(&after)).contains("hunter"));
}
