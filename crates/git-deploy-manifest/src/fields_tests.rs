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

/// An object as the API server has it after an apply of [`wanted`], shortened.
fn applied() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "labels": {"a": "b", "by-hand": "c"},
            "managedFields": [
                {"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:by-hand": {}}}}},
                {"manager": MANAGER, "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:a": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": {"f:spec": {"f:containers": {
                            "k:{\"name\":\"one\"}": {".": {}, "f:name": {}, "f:args": {}, "f:ports": {
                                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                            }},
                            "k:{\"name\":\"two\"}": {".": {}, "f:name": {}},
                        }}},
                    },
                }},
            ],
        },
        "spec": {
            "replicas": 2,
            "paused": false,
            "template": {"spec": {"containers": [
                {"name": "one", "args": ["a", "b"], "ports": [{"containerPort": 80, "protocol": "TCP"}], "policy": "default"},
                {"name": "two"},
            ]}},
        },
    })
}

fn wanted() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [
                {"name": "one", "args": ["a", "b"], "ports": [{"containerPort": 80}]},
                {"name": "two"},
            ]}},
        },
    })
}

#[test]
fn what_was_applied_as_it_is_wanted_needs_no_trial() {
    assert!(is_applied(&applied(), MANAGER, &wanted()));
    assert!(!is_applied(&applied(), "kubectl", &wanted()));
}

#[test]
fn whatever_is_different_is_tried() {
    let changed = |pointer: &str, value: Value| {
        let mut wanted = wanted();
        *wanted.pointer_mut(pointer).unwrap() = value;
        is_applied(&applied(), MANAGER, &wanted)
    };
    assert!(!changed("/spec/replicas", json!(3)));
    assert!(!changed("/spec/replicas", Value::Null));
    assert!(!changed("/metadata/labels", json!({})));
    assert!(!changed("/metadata/labels", json!({"a": "b", "c": "d"})));
    assert!(!changed("/metadata/labels", json!({"c": "b"})));
    assert!(!changed("/apiVersion", json!("apps/v1beta1")));
    let containers = "/spec/template/spec/containers";
    assert!(!changed(&format!("{containers}/0/args"), json!(["b", "a"])));
    assert!(!changed(&format!("{containers}/0/ports/0/containerPort"), json!(81)));
    assert!(!changed(&format!("{containers}/0/ports"), json!([{"containerPort": 80, "protocol": "UDP"}])));
    assert!(!changed(
        &format!("{containers}/0/ports"),
        json!([{"containerPort": 80}, {"containerPort": 80}])
    ));
    assert!(!changed(containers, json!([{"name": "two"}])));
    let (one, two) = (wanted()["spec"]["template"]["spec"]["containers"][0].clone(), json!({"name": "two"}));
    assert!(!changed(containers, json!([two, one])), "the order counts");
    assert!(changed(containers, json!([one, two])));
}

#[test]
fn a_field_that_somebody_else_took_is_tried() {
    let mut live = applied();
    let ours = live.pointer_mut("/metadata/managedFields/1/fieldsV1/f:spec").unwrap();
    ours.as_object_mut().unwrap().remove("f:replicas");
    assert!(!is_applied(&live, MANAGER, &wanted()));
    let mut live = applied();
    live["spec"]["replicas"] = json!(5);
    assert!(!is_applied(&live, MANAGER, &wanted()));
}
