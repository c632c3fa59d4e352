use super::*;

fn entry(manager: &str, operation: &str, fields: impl Into<Value>) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields.into()})
}

fn live(entries: &[Value]) -> Value {
    json!({"apiVersion": "apps/v1", "metadata": {"managedFields": entries}})
}

#[test]
fn a_field_is_ours_alone_until_somebody_else_holds_it_too() {
    let replicas = || json!({"f:spec": {"f:replicas": {}}});
    let ours = entry(MANAGER, "Apply", replicas());
    let path = ["spec", "replicas"];
    assert!(owns_alone(&live(std::slice::from_ref(&ours)), MANAGER, &path));
    assert!(!owns(&live(&[]), MANAGER, &path));
    for other in [entry(REPLICAS_MANAGER, "Apply", replicas()), entry("kubectl", "Update", replicas())] {
        let both = live(&[ours.clone(), other]);
        assert!(owns(&both, MANAGER, &path) && !owns_alone(&both, MANAGER, &path));
    }
    let written_not_applied = entry(MANAGER, "Update", replicas());
    assert!(!owns(&live(&[written_not_applied]), MANAGER, &path));
}

#[test]
fn people_and_their_tools_are_told_from_controllers() {
    for tool in
        ["kubectl", "kubectl-client-side-apply", "kubectl-rollout", "helm", "Helm", "before-first-apply"]
    {
        assert!(is_tool(tool), "{tool}");
    }
    for controller in
        ["kube-controller-manager", "manager", "kubelet", "cert-manager-certificates-issuing", MANAGER]
    {
        assert!(!is_tool(controller), "{controller}");
    }
}

#[test]
fn adoption_makes_what_tools_hold_ours_and_leaves_the_rest_where_it_is() {
    let mut scaled = entry("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}));
    scaled["subresource"] = json!("scale");
    let controller = entry("kube-controller-manager", "Update", json!({"f:status": {}}));
    let object = live(&[
        entry("helm", "Update", json!({"f:spec": {"f:paused": {}, "f:template": {"f:a": {}}}})),
        entry(MANAGER, "Apply", json!({"f:spec": {"f:template": {"f:b": {}}}})),
        scaled.clone(),
        controller.clone(),
    ]);
    let managed = adopted(&object).unwrap();
    assert_eq!(managed[1..], [scaled, controller.clone()]);
    assert_eq!(managed[0]["manager"], MANAGER);
    assert_eq!(managed[0]["operation"], "Apply");
    assert_eq!(
        managed[0]["fieldsV1"],
        json!({"f:spec": {"f:paused": {}, "f:template": {"f:a": {}, "f:b": {}}}})
    );
    assert_eq!(adopted(&live(&[controller])), None);
}

#[test]
fn what_we_held_and_no_longer_want_goes_unless_somebody_else_holds_it() {
    let mut object = json!({
        "metadata": {"labels": {"a": "1", "b": "2", "c": "3"}, "finalizers": ["x", "y"]},
        "spec": {"replicas": 2, "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]},
    });
    let ours = entry(
        MANAGER,
        "Apply",
        json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}, "f:finalizers": {"v:\"x\"": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:ports": {
                    "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}},
                    "k:{\"port\":81,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}},
                },
            },
        }),
    );
    let other = entry("manager", "Update", json!({"f:metadata": {"f:labels": {"f:b": {}}}}));
    let wanted = json!({
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}}}},
    });
    drop_unwanted(&mut object, &[ours, other], &wanted);
    assert_eq!(
        object,
        json!({
            "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["y"]},
            "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
        })
    );
}
