use serde_json::json;

use super::*;

fn told(group: &str, object: &Value) -> Vec<String> {
    duplicates(group, object).iter().map(ToString::to_string).collect()
}

#[test]
fn items_that_stand_twice_are_named_with_their_list() {
    let deployment = json!({"spec": {"template": {"spec": {"containers": [{
        "name": "web",
        "image": "a",
        "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}],
        "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "protocol": "TCP"}],
    }]}}}});
    assert_eq!(
        told("apps", &deployment),
        [
            ".spec.template.spec.containers[web].env has name 'A' twice, keep one",
            ".spec.template.spec.containers[web].ports has containerPort '80' with protocol 'TCP' twice, keep one",
        ]
    );
    let service = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}});
    assert_eq!(told("", &service), [".spec.ports has port '80' with protocol 'TCP' twice, keep one"]);
    assert_eq!(told("example.org", &service), [""; 0]);
}

#[test]
fn lists_whose_items_are_apart_are_not_complained_about() {
    let object = json!({"spec": {"containers": [
        {"name": "a", "ports": [{"containerPort": 80}], "env": [{"name": "A"}], "volumeMounts": [{"mountPath": "/a", "name": "v"}, {"mountPath": "/b", "name": "v"}]},
        {"name": "b", "ports": [{"containerPort": 80}], "env": [{"name": "A"}, {}, {}]},
    ]}, "metadata": {"annotations": {"env": "x"}}});
    assert_eq!(told("", &object), [""; 0]);
}

#[test]
fn string_data_becomes_data_and_wins_over_it() {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}});
    normalise(&mut secret, Circumstances::default());
    assert_eq!(secret["data"], json!({"a": "bmV3", "b": "Yg=="}));
    assert_eq!(secret.get("stringData"), None);
    let mut alone = json!({"apiVersion": "v1", "kind": "Secret", "data": null, "stringData": {"a": ""}});
    normalise(&mut alone, Circumstances::default());
    assert_eq!(alone["data"], json!({"a": ""}));
    let mut foreign = json!({"apiVersion": "example.org/v1", "kind": "Secret", "stringData": {"a": "b"}});
    normalise(&mut foreign, Circumstances::default());
    assert_eq!(foreign["stringData"], json!({"a": "b"}));
}

#[test]
fn the_default_account_is_written_where_the_live_template_has_another() {
    let with = |account: Option<&str>| {
        let mut spec = json!({"containers": []});
        if let Some(account) = account {
            spec["serviceAccountName"] = json!(account);
        }
        json!({"kind": "Deployment", "spec": {"template": {"spec": spec}}})
    };
    let account = |wanted: Option<&str>, live: &Value| {
        let mut wanted = with(wanted);
        normalise(&mut wanted, Circumstances { live: Some(live), autoscaled: false });
        wanted.pointer("/spec/template/spec/serviceAccountName").and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!(account(None, &with(Some("old"))).as_deref(), Some("default"));
    assert_eq!(account(Some("new"), &with(Some("old"))).as_deref(), Some("new"));
    assert_eq!(account(None, &with(None)), None);
    assert_eq!(account(None, &with(Some("default"))), None);

    // Written once, it is written again, else each second deployment would change something.
    let mut written = with(Some("default"));
    written["metadata"]["managedFields"] = json!([{
        "manager": MANAGER,
        "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:serviceAccountName": {}}}}},
    }]);
    assert_eq!(account(None, &written).as_deref(), Some("default"));
}

#[test]
fn replicas_are_left_to_an_autoscaler_and_server_fields_to_the_server() {
    let mut deployment = json!({
        "kind": "Deployment",
        "metadata": {"name": "a", "uid": "x", "resourceVersion": "7", "creationTimestamp": null},
        "spec": {"replicas": 3},
        "status": {},
    });
    normalise(&mut deployment, Circumstances { live: None, autoscaled: true });
    assert_eq!(deployment, json!({"kind": "Deployment", "metadata": {"name": "a"}, "spec": {}}));
    let hpa =
        json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    assert_eq!(autoscaled(&hpa), Some(("apps", "Deployment", "web")));
}
