//! What server-side apply would get wrong: each first with kubectl, then with us.

use std::time::Duration;

use git_deploy_core::deployment::Blame;
use git_deploy_core::environment::Effect;
use git_deploy_manifest::comparable;
use git_deploy_testkit::cluster;
use git_deploy_testkit::shop::boutique::Boutique;
use serde_json::{Value, json};

use super::lab::{Lab, config_map, deployment, kubectl_apply, text};

#[tokio::test]
async fn leaving_out_replicas_that_only_we_hold_scales_nothing() {
    let lab = Lab::new(cluster!(), "replicas").await;
    let (five, none) = (deployment("web", "replicas: 5", "", ""), deployment("web", "", "", ""));

    let kubectl = lab.beside();
    kubectl_apply(&kubectl, &five);
    kubectl_apply(&kubectl, &none);
    assert_eq!(kubectl.get("deployment", "web")["spec"]["replicas"], 1);

    lab.deploy(&five).await;
    let planned = lab.plan(&none).await.unwrap();
    assert!(!planned.objects[0].diff().contains("replicas"), "{}", planned.objects[0].diff());
    lab.deploy(&none).await;
    assert_eq!(lab.namespace.get("deployment", "web")["spec"]["replicas"], 5);
    assert_eq!(lab.effects(&none).await, [(Effect::Keep, "web".to_owned())]);

    // Scaled by hand it stays as it is, and a number in the manifest counts again.
    lab.namespace.kubectl(&["scale", "deployment/web", "--replicas=4"]).success();
    lab.deploy(&deployment("web", "minReadySeconds: 1", "", "")).await;
    assert_eq!(lab.namespace.get("deployment", "web")["spec"]["replicas"], 4);
}

#[tokio::test]
async fn replicas_that_were_handed_over_can_be_taken_back() {
    let lab = Lab::new(cluster!(), "replicas").await;
    lab.deploy(&deployment("web", "replicas: 5", "", "")).await;
    lab.deploy(&deployment("web", "", "", "")).await;
    lab.deploy(&deployment("web", "replicas: 2", "", "")).await;
    assert_eq!(lab.namespace.get("deployment", "web")["spec"]["replicas"], 2);
}

#[tokio::test]
async fn replicas_are_left_to_an_autoscaler() {
    let lab = Lab::new(cluster!(), "autoscaler").await;
    let hpa = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }
  minReplicas: 3
  maxReplicas: 4
---
";
    let web = deployment("web", "replicas: 1", "", "");
    lab.deploy(&web).await;
    lab.deploy(&format!("{web}{hpa}")).await;
    git_deploy_testkit::cluster::eventually("the autoscaler scales", || {
        lab.namespace.get("deployment", "web")["spec"]["replicas"] == 3
    });
    lab.deploy(&format!("{web}{hpa}")).await;
    assert_eq!(lab.namespace.get("deployment", "web")["spec"]["replicas"], 3);
    // Also while the autoscaler is somebody else's.
    let effects = lab.effects(&web).await;
    assert_eq!(effects, [(Effect::Keep, "web".to_owned())]);
}

#[tokio::test]
async fn a_key_that_is_taken_out_of_string_data_goes() {
    let lab = Lab::new(cluster!(), "secret").await;
    let secret = |data: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: key }}\nstringData: {{ {data} }}\n")
    };
    let (two, one) = (secret("a: '1', b: '2'"), secret("a: '1'"));

    let kubectl = lab.beside();
    kubectl_apply(&kubectl, &two);
    kubectl_apply(&kubectl, &one);
    assert_eq!(kubectl.get("secret", "key")["data"], json!({"a": "MQ==", "b": "Mg=="}));

    lab.deploy(&two).await;
    lab.deploy(&one).await;
    assert_eq!(lab.namespace.get("secret", "key")["data"], json!({"a": "MQ=="}));
    assert_eq!(lab.effects(&one).await, [(Effect::Keep, "key".to_owned())]);
}

#[tokio::test]
async fn an_account_that_is_no_longer_named_is_no_longer_used() {
    let lab = Lab::new(cluster!(), "account").await;
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: robot }\n---\n";
    let with = format!("{account}{}", deployment("web", "", "serviceAccountName: robot", ""));
    let without = deployment("web", "", "", "");
    let name = |live: &Value| text(live, "/spec/template/spec/serviceAccountName").to_owned();

    let kubectl = lab.beside();
    kubectl_apply(&kubectl, &with);
    kubectl_apply(&kubectl, &without);
    assert_eq!(name(&kubectl.get("deployment", "web")), "robot");

    lab.deploy(&with).await;
    lab.deploy(&without).await;
    assert_eq!(name(&lab.namespace.get("deployment", "web")), "default");
    assert_eq!(lab.effects(&without).await, [(Effect::Keep, "web".to_owned())]);
    lab.wait_until_ready("web");
    assert_eq!(lab.prune(&without).await.0, ["ServiceAccount 'robot'"]);
}

#[tokio::test]
async fn names_that_stand_twice_are_refused_with_their_place() {
    let lab = Lab::new(cluster!(), "twice").await;
    let twice = deployment("web", "", "", "env: [{ name: A, value: '1' }, { name: A, value: '2' }]");
    let kubectl = lab.namespace.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &twice);
    assert_ne!(kubectl.code, Some(0), "{kubectl}");
    let error = lab.refusal(&twice).await;
    assert_eq!(
        error.to_string(),
        format!(
            "Deployment '{}/web': .spec.template.spec.containers[web].env has name 'A' twice, keep one",
            lab.namespace
        )
    );
    assert_eq!(error.blame(), Blame::Branch);
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_waited_for_and_made_anew() {
    let lab = Lab::new(cluster!(), "leaving").await;
    let held =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours, finalizers: [example.org/held] }\n";
    let first = lab.deploy(held).await;
    lab.namespace.kubectl(&["delete", "configmap", "colours", "--wait=false"]).success();

    let wanted = config_map("colours", "a: b");
    let planned = lab.plan(&wanted).await.unwrap();
    assert_eq!(planned.objects[0].effect, Effect::Create);
    let release = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let patch = r#"{"metadata": {"finalizers": null}}"#;
        lab.namespace.kubectl(&["patch", "configmap", "colours", "--type=merge", "-p", patch]).success();
    };
    let (applied, ()) = tokio::join!(lab.apply(&planned), release);
    let applied = applied.unwrap();
    assert_ne!(applied[0].uid, first[0].uid);
    let live = lab.namespace.get("configmap", "colours");
    assert_eq!(text(&live, "/metadata/uid"), applied[0].uid);
    assert_eq!(live["data"]["a"], "b");
}

#[tokio::test]
async fn one_that_is_deleted_between_plan_and_apply_is_made_anew_too() {
    let lab = Lab::new(cluster!(), "leaving").await;
    lab.deploy(&config_map("colours", "a: b")).await;
    let planned = lab.plan(&config_map("colours", "a: c")).await.unwrap();
    lab.namespace.kubectl(&["delete", "configmap", "colours"]).success();
    let applied = lab.apply(&planned).await.unwrap();
    assert_eq!(text(&lab.namespace.get("configmap", "colours"), "/metadata/uid"), applied[0].uid);
}

#[tokio::test]
async fn an_object_that_does_not_go_is_told_with_what_holds_it() {
    let lab = Lab::new(cluster!(), "leaving").await;
    lab.deploy(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours, finalizers: [example.org/held] }\n",
    )
    .await;
    lab.namespace.kubectl(&["delete", "configmap", "colours", "--wait=false"]).success();
    let planned = lab.plan(&config_map("colours", "a: b")).await.unwrap();
    let options = git_deploy_cluster::ApplyOptions { leaving_timeout: Duration::from_millis(300) };
    let error = git_deploy_cluster::apply_stage(&lab.connection, &lab.set(), &planned.objects, &options)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("finalizer 'example.org/held'"), "{error}");
    assert_eq!(error.blame(), Blame::Nobody);
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    lab.namespace.kubectl(&["patch", "configmap", "colours", "--type=merge", "-p", patch]).success();
}

#[tokio::test]
async fn a_rollout_that_was_undone_by_hand_is_told_with_fields_and_manager() {
    let lab = Lab::new(cluster!(), "undone").await;
    let version = |tag: &str| deployment("web", "", "", "").replace("web:1", &format!("web:{tag}"));
    lab.deploy(&version("1")).await;
    lab.deploy(&version("2")).await;
    lab.wait_until_ready("web");
    lab.namespace.kubectl(&["rollout", "undo", "deployment/web"]).success();

    let error = lab.refusal(&version("3")).await;
    let text = error.to_string();
    assert!(text.contains(".spec.template.spec.containers[name=\"web\"].image"), "{text}");
    assert!(text.contains("'kubectl' holds") || text.contains("'kubectl-rollout' holds"), "{text}");
    assert_eq!(error.blame(), Blame::Nobody);
    assert!(error.hints().iter().any(|hint| hint.contains("--force-conflicts")));

    let lab = lab.forcing();
    lab.deploy(&version("3")).await;
    let live = lab.namespace.get("deployment", "web");
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "example.org/web:3");
}

#[tokio::test]
async fn what_helm_brought_goes_with_adoption() {
    let lab = Lab::new(cluster!(), "adoption").await.forcing();
    let of_helm = deployment("web", "paused: true", "", "env: [{ name: OLD, value: '1' }]");
    let ours = deployment("web", "", "", "env: [{ name: NEW, value: '1' }]");
    let env =
        |live: &Value| live.pointer("/spec/template/spec/containers/0/env").cloned().unwrap_or_default();
    let names = |live: &Value| -> Vec<String> {
        env(live).as_array().unwrap().iter().map(|one| text(one, "/name").to_owned()).collect()
    };
    let as_helm = ["apply", "--server-side", "--field-manager=helm", "-f", "-"];

    let kubectl = lab.beside();
    kubectl.kubectl_with_input(&as_helm, &of_helm).success();
    kubectl.kubectl_with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &ours).success();
    let live = kubectl.get("deployment", "web");
    assert_eq!((live["spec"]["paused"].clone(), names(&live).len()), (json!(true), 2));

    lab.namespace.kubectl_with_input(&as_helm, &of_helm).success();
    let planned = lab.plan(&ours).await.unwrap();
    let diff = planned.objects[0].diff();
    assert!(diff.contains("-  paused: true") && diff.contains("OLD"), "{diff}");
    lab.deploy(&ours).await;
    let live = lab.namespace.get("deployment", "web");
    assert_eq!((live["spec"].get("paused"), names(&live)), (None, vec!["NEW".to_owned()]));
    assert_eq!(lab.effects(&ours).await, [(Effect::Keep, "web".to_owned())]);
}

#[tokio::test]
async fn client_side_applied_objects_are_adopted_too() {
    let lab = Lab::new(cluster!(), "adoption").await.forcing();
    lab.namespace
        .kubectl_with_input(&["apply", "-f", "-"], config_map("colours", "a: '1', b: '2'"))
        .success();
    lab.deploy(&config_map("colours", "a: '1'")).await;
    assert_eq!(lab.namespace.get("configmap", "colours")["data"], json!({"a": "1"}));
}

#[tokio::test]
async fn the_change_cause_is_written_only_with_a_change_of_the_template() {
    let mut lab = Lab::new(cluster!(), "cause").await;
    let version =
        |spec: &str, tag: &str| deployment("web", spec, "", "").replace("web:1", &format!("web:{tag}"));
    let cause = |lab: &Lab| {
        let live = lab.namespace.get("deployment", "web");
        live["metadata"]["annotations"]["kubernetes.io/change-cause"].clone()
    };
    let history =
        |lab: &Lab| lab.namespace.kubectl(&["rollout", "history", "deployment/web"]).success().stdout.clone();
    lab.options.change_cause = Some("first".to_owned());
    lab.deploy(&version("replicas: 1", "1")).await;
    lab.wait_until_ready("web");
    assert_eq!(cause(&lab), "first");

    lab.options.change_cause = Some("second".to_owned());
    assert_eq!(lab.effects(&version("replicas: 1", "1")).await, [(Effect::Keep, "web".to_owned())]);
    lab.deploy(&version("replicas: 2", "1")).await;
    lab.wait_until_ready("web");
    assert_eq!(cause(&lab), "first");

    lab.deploy(&version("replicas: 2", "2")).await;
    lab.wait_until_ready("web");
    assert_eq!(cause(&lab), "second");
    let history = history(&lab);
    assert!(history.contains("first") && history.contains("second"), "{history}");
}

#[tokio::test]
async fn deploying_the_same_again_sends_no_change_and_restarts_no_pod() {
    let lab = Lab::new(cluster!(), "same").await;
    let all = format!(
        "{}{}apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec: {{ selector: {{ app: web }}, ports: [{{ port: 80 }}] }}\n",
        config_map("colours", "a: b"),
        deployment("web", "replicas: 2", "", "resources: { limits: { cpu: '0.5', memory: 1024Mi } }"),
    );
    lab.deploy(&all).await;
    lab.wait_until_ready("web");
    let pods = || -> Vec<String> {
        lab.namespace.list("pods").iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect()
    };
    let before = pods();
    let changes = || {
        let ours = |event: &&cluster::AuditEvent| event.is_ours() && event.is_change();
        lab.namespace.audit().iter().filter(ours).count()
    };
    let sent = changes();
    let applied = lab.deploy(&all).await;
    assert_eq!(applied.len(), 3);
    assert_eq!(pods(), before);
    assert_eq!(changes(), sent);
}

#[tokio::test]
async fn a_file_means_to_us_what_it_means_to_kubectl() {
    let lab = Lab::new(cluster!(), "yaml").await;
    let file = format!(
        "{}{}",
        deployment(
            "web",
            "replicas: 0x2",
            "volumes: [{ name: a, configMap: { name: colours, defaultMode: 0644 } }, { name: b, emptyDir: { sizeLimit: 1e3 } }]",
            "env: [{ name: 'YES', value: 'yes' }, { name: NUMBER, value: '0644' }, { name: TIME, value: '12:30' }]\n        stdin: yes\n        tty: off",
        ),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: colours, labels: { 'on': 'off' } }\ndata:\n  text: |\n    a\n\n     b\n  folded: >-\n    a\n    b\n  quoted: \"\\u00e4\\t\"\nbinaryData: { bytes: AAEC }\n"
    );
    let kubectl = lab.beside();
    kubectl_apply(&kubectl, &file);
    lab.deploy(&file).await;
    for (kind, name) in [("deployment", "web"), ("configmap", "colours")] {
        assert_eq!(meant(&lab.namespace.get(kind, name)), meant(&kubectl.get(kind, name)), "{kind}");
    }
    let mode =
        lab.namespace.get("deployment", "web")["spec"]["template"]["spec"]["volumes"][0]["configMap"].clone();
    assert_eq!(mode["defaultMode"], 420);
}

/// A live object without what is different in another namespace, or in a set.
fn meant(live: &Value) -> Value {
    let mut live = comparable(live);
    let remove = |live: &mut Value, pointer: &str, keys: &[&str]| {
        if let Some(fields) = live.pointer_mut(pointer).and_then(Value::as_object_mut) {
            fields.retain(|key, _| !keys.contains(&key.as_str()));
        }
    };
    remove(&mut live, "/metadata/labels", &[git_deploy_manifest::PART_OF_LABEL]);
    if live["metadata"]["labels"] == json!({}) {
        remove(&mut live, "/metadata", &["labels"]);
    }
    // Annotations are its controller's, which writes them a moment later.
    remove(&mut live, "/metadata", &["namespace", "annotations"]);
    remove(&mut live, "/spec", &["clusterIP", "clusterIPs", "healthCheckNodePort"]);
    for port in live.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
        remove(port, "", &["nodePort"]);
    }
    live
}

#[tokio::test]
async fn a_whole_shop_means_to_us_what_it_means_to_kubectl() {
    let lab = Lab::new(cluster!(), "shop").await;
    let kubectl = lab.beside();
    let Boutique { earlier, later } = Boutique::find();
    for shop in [earlier, later] {
        kubectl_apply(&kubectl, &shop);
        for applied in lab.deploy(&shop).await {
            let id = &applied.target.id;
            let kind = format!("{}.{}", applied.target.resource.plural, id.group);
            let kind = kind.trim_end_matches('.');
            let (ours, theirs) = (lab.namespace.get(kind, &id.name), kubectl.get(kind, &id.name));
            assert_eq!(meant(&ours), meant(&theirs), "{id}");
        }
        assert!(lab.effects(&shop).await.iter().all(|(effect, _)| *effect == Effect::Keep));
    }
}

#[tokio::test]
async fn the_set_is_marked_on_objects_and_never_in_templates() {
    let lab = Lab::new(cluster!(), "label").await;
    lab.deploy(&deployment("web", "", "", "")).await;
    let live = lab.namespace.get("deployment", "web");
    assert_eq!(live["metadata"]["labels"][git_deploy_manifest::PART_OF_LABEL], lab.set().id.as_str());
    assert_eq!(live["spec"]["template"]["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(live["spec"]["template"]["metadata"].get("annotations"), None);
}

#[tokio::test]
async fn a_failure_while_applying_names_the_object_and_what_was_applied() {
    let lab = Lab::new(cluster!(), "failure").await;
    let planned = lab.plan(&format!("{}{}", config_map("a", "a: b"), config_map("b", "a: b"))).await.unwrap();
    // A quota that comes between plan and apply.
    lab.namespace.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: few }\nspec: { hard: { count/configmaps: 2 } }\n");
    git_deploy_testkit::cluster::eventually("the quota counts", || {
        lab.namespace.get("resourcequota", "few")["status"]["used"]["count/configmaps"].is_string()
    });
    let error = lab.apply(&planned).await.unwrap_err();
    assert_eq!((error.problems.len(), error.applied.len()), (1, 1));
    assert!(error.to_string().contains("exceeded quota"), "{error}");
    assert_eq!(error.blame(), Blame::Nobody);
}
