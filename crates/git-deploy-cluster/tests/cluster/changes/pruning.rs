//! What is deleted, and what must never be.

use git_deploy_cluster::PruneError;
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::eventually;

use super::lab::{Lab, config_map, deployment, text};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { selector: { app: web }, ports: [{ port: 80 }] }\n---\n";

#[tokio::test]
async fn what_is_no_longer_wanted_goes_workloads_before_what_they_need() {
    let lab = Lab::new(cluster!(), "prune").await;
    let keep = config_map("stays", "a: b");
    let web = deployment("web", "replicas: 2", "", "envFrom: [{ configMapRef: { name: colours } }]");
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: web }\nspec: { defaultBackend: { service: { name: web, port: { number: 80 } } } }\n---\n";
    lab.deploy(&format!("{keep}{}{SERVICE}{ingress}{web}", config_map("colours", "a: b"))).await;
    lab.wait_until_ready("web");
    let (deleted, kept) = lab.prune(&keep).await;
    assert_eq!(deleted, ["Ingress 'web'", "Deployment 'web'", "Service 'web'", "ConfigMap 'colours'"]);
    assert_eq!(kept, [""; 0]);
    let events = lab.namespace.audit();
    let deletions: Vec<&str> = events
        .iter()
        .filter(|event| event.is_delete() && event.is_ours())
        .map(|event| event.resource.as_str())
        .collect();
    assert_eq!(deletions, ["ingresses", "deployments", "services", "configmaps"]);
    let pods: Vec<String> =
        lab.namespace.list("pods").iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    assert_eq!(pods, [""; 0], "they went before what they need");
    assert_eq!(lab.prune(&keep).await, (vec![], vec![]));
}

#[tokio::test]
async fn what_a_controller_made_is_left_to_it() {
    let lab = Lab::new(cluster!(), "slices").await;
    let all = format!("{SERVICE}{}", deployment("web", "", "", ""));
    lab.deploy(&all).await;
    lab.wait_until_ready("web");
    let marked = || {
        let slices = lab.namespace.list("endpointslices");
        !slices.is_empty()
            && slices.iter().all(|slice| {
                slice["metadata"]["labels"][git_deploy_manifest::PART_OF_LABEL] == lab.set().id.as_str()
            })
    };
    eventually("the Service's label is on its EndpointSlices", marked);
    // Also when the set once had a slice of its own.
    let own = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: own }\naddressType: IPv4\nendpoints: []\n---\n";
    lab.deploy(&format!("{all}{own}")).await;
    assert_eq!(lab.prune(&all).await.0, ["EndpointSlice 'own'"]);
    assert!(marked());

    // Endpoints bear the label too, and no controller as their owner.
    let own = "apiVersion: v1\nkind: Endpoints\nmetadata: { name: own }\nsubsets: []\n---\n";
    lab.deploy(&format!("{all}{own}")).await;
    let endpoints = || lab.namespace.get("endpoints", "web");
    assert_eq!(endpoints()["metadata"]["labels"][git_deploy_manifest::PART_OF_LABEL], lab.set().id.as_str());
    let uid = endpoints()["metadata"]["uid"].clone();
    let (deleted, kept) = lab.prune(&all).await;
    assert_eq!((deleted, kept), (vec!["Endpoints 'own'".to_owned()], vec![]));
    assert_eq!(endpoints()["metadata"]["uid"], uid);
}

#[tokio::test]
async fn what_live_pods_still_need_stays() {
    let lab = Lab::new(cluster!(), "needed").await;
    let needs = |name: &str| format!("envFrom: [{{ configMapRef: {{ name: {name} }} }}]");
    let with = format!("{}{}", config_map("colours", "a: b"), deployment("web", "", "", &needs("colours")));
    lab.deploy(&with).await;
    lab.wait_until_ready("web");
    // A manifest that forgot it, though the template still names it.
    let without = deployment("web", "", "", &needs("colours"));
    assert_eq!(
        lab.prune(&without).await,
        (vec![], vec!["ConfigMap 'colours': Deployment 'web' needs it".to_owned()])
    );
    // Somebody else's pod.
    lab.namespace.apply("apiVersion: v1\nkind: Pod\nmetadata: { name: theirs }\nspec: { containers: [{ name: a, image: a:1, envFrom: [{ configMapRef: { name: colours } }] }] }\n");
    let other = config_map("other", "a: b");
    let (deleted, kept) = lab.prune(&other).await;
    assert_eq!(deleted, ["Deployment 'web'"]);
    assert_eq!(kept, ["ConfigMap 'colours': Pod 'theirs' needs it"]);
    lab.namespace.kubectl(&["delete", "pod", "theirs", "--now"]).success();
    assert_eq!(lab.prune(&other).await.0, ["ConfigMap 'colours'"]);
}

#[tokio::test]
async fn what_is_to_be_kept_stays() {
    let lab = Lab::new(cluster!(), "keep").await;
    let kept = config_map("precious", "a: b")
        .replace("metadata: { ", "metadata: { annotations: { git-deploy/keep: 'true' }, ");
    let other = config_map("other", "a: b");
    lab.deploy(&format!("{kept}{other}")).await;
    let told = vec!["ConfigMap 'precious': it is annotated with 'git-deploy/keep'".to_owned()];
    assert_eq!(lab.prune(&other).await, (vec![], told));
}

#[tokio::test]
async fn an_empty_set_deletes_nothing() {
    let lab = Lab::new(cluster!(), "empty").await;
    lab.deploy(&config_map("colours", "a: b")).await;
    assert_eq!(lab.try_prune("").await.unwrap_err(), PruneError::EmptySet);
    assert!(lab.namespace.find("configmap", "colours").is_some());
}

#[tokio::test]
async fn objects_of_others_are_never_deleted() {
    let lab = Lab::new(cluster!(), "foreign").await;
    let other = config_map("other", "a: b");
    lab.deploy(&format!("{other}{}", config_map("colours", "a: b"))).await;
    lab.namespace.kubectl(&["create", "configmap", "theirs"]).success();
    lab.namespace.kubectl(&["create", "configmap", "of-another-set"]).success();
    lab.namespace
        .kubectl(&[
            "label",
            "configmap",
            "of-another-set",
            "applyset.kubernetes.io/part-of=applyset-other-v1",
        ])
        .success();
    assert_eq!(lab.prune(&other).await.0, ["ConfigMap 'colours'"]);
    assert!(lab.namespace.find("configmap", "theirs").is_some());
    assert!(lab.namespace.find("configmap", "of-another-set").is_some());
}

#[tokio::test]
async fn a_namespace_goes_only_with_nothing_of_others_in_it() {
    let mut lab = Lab::new(cluster!(), "outer").await;
    let inner = format!("{}-inner", lab.namespace);
    lab.allow_namespace(&inner);
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {inner} }}\n---\n");
    let inside =
        config_map("inside", "a: b").replace("metadata: { ", &format!("metadata: {{ namespace: {inner}, "));
    let other = config_map("other", "a: b");
    lab.deploy(&format!("{other}{namespace}{inside}")).await;
    lab.cluster.kubectl(&["--namespace", &inner, "create", "configmap", "theirs"]).success();

    let (deleted, kept) = lab.prune(&format!("{other}{namespace}")).await;
    assert_eq!((deleted, kept), (vec![format!("ConfigMap '{inner}/inside'")], vec![]));
    let (deleted, kept) = lab.prune(&other).await;
    assert_eq!(deleted, [""; 0]);
    assert_eq!(
        kept,
        [format!("Namespace '{inner}': ConfigMap '{inner}/theirs' is in it, which is not of this set")]
    );
    lab.cluster.kubectl(&["--namespace", &inner, "delete", "configmap", "theirs"]).success();
    assert_eq!(lab.prune(&other).await.0, [format!("Namespace '{inner}'")]);
}

#[tokio::test]
async fn a_namespace_stays_with_what_stays_in_it() {
    let mut lab = Lab::new(cluster!(), "outer").await;
    let inner = format!("{}-inner", lab.namespace);
    lab.allow_namespace(&inner);
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {inner} }}\n---\n");
    let inside = |name: &str| {
        config_map(name, "a: b").replace("metadata: { ", &format!("metadata: {{ namespace: {inner}, "))
    };
    let precious =
        inside("precious").replace("metadata: { ", "metadata: { annotations: { git-deploy/keep: 'true' }, ");
    let other = config_map("other", "a: b");
    lab.deploy(&format!("{other}{namespace}{precious}{}", inside("inside"))).await;

    let (deleted, kept) = lab.prune(&other).await;
    assert_eq!(deleted, [format!("ConfigMap '{inner}/inside'")]);
    let told = [
        format!("ConfigMap '{inner}/precious': it is annotated with 'git-deploy/keep'"),
        format!("Namespace '{inner}': ConfigMap '{inner}/precious' is in it, which stays"),
    ];
    assert_eq!(kept, told);
    lab.cluster.kubectl(&["--namespace", &inner, "delete", "configmap", "precious"]).success();

    // Also with what stays because somebody needs it, even if that is the last to be found out.
    lab.deploy(&format!("{other}{namespace}{}", inside("colours"))).await;
    // Of its node, as those are that the kubelet runs by itself: with nothing else in the namespace behind it.
    let nodes = lab.namespace.list("nodes");
    let node = nodes.first().expect("there are nodes");
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: theirs, namespace: {inner}, ownerReferences: [{{ apiVersion: v1, kind: Node, name: {0}, uid: {1}, controller: true }}] }}\nspec: {{ containers: [{{ name: a, image: a:1, envFrom: [{{ configMapRef: {{ name: colours }} }}] }}] }}\n",
        text(node, "/metadata/name"),
        text(node, "/metadata/uid")
    );
    lab.cluster.kubectl_with_input(&["create", "-f", "-"], &pod).success();
    let (deleted, kept) = lab.prune(&other).await;
    assert_eq!(deleted, [""; 0]);
    let told = [
        format!("ConfigMap '{inner}/colours': Pod '{inner}/theirs' needs it"),
        format!("Namespace '{inner}': ConfigMap '{inner}/colours' is in it, which stays"),
    ];
    assert_eq!(kept, told);
    lab.cluster.kubectl(&["--namespace", &inner, "delete", "pod", "theirs", "--now"]).success();
    let (deleted, kept) = lab.prune(&other).await;
    assert_eq!(deleted, [format!("ConfigMap '{inner}/colours'"), format!("Namespace '{inner}'")]);
    assert_eq!(kept, [""; 0]);
}

#[tokio::test]
async fn what_a_set_is_recorded_in_is_never_deleted() {
    let lab = Lab::new(cluster!(), "records").await;
    let other = config_map("other", "a: b");
    lab.deploy(&format!("{other}{}", config_map("parent", "a: b"))).await;
    lab.namespace
        .kubectl(&["label", "configmap", "parent", "applyset.kubernetes.io/id=applyset-other-v1"])
        .success();
    let told = vec!["ConfigMap 'parent': it is the parent of a set of objects".to_owned()];
    assert_eq!(lab.prune(&other).await, (vec![], told));
}

#[tokio::test]
async fn one_that_does_not_go_keeps_no_other_from_going() {
    let lab = Lab::new(cluster!(), "held").await;
    let held =
        |manifest: String| manifest.replace("metadata: { ", "metadata: { finalizers: [example.org/held], ");
    let keep = config_map("stays", "a: b");
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: web }\nspec: { defaultBackend: { service: { name: web, port: { number: 80 } } } }\n---\n";
    let all = [
        keep.clone(),
        held(ingress.to_owned()),
        SERVICE.to_owned(),
        held(config_map("held", "a: b")),
        config_map("colours", "a: b"),
    ];
    lab.deploy(&all.concat()).await;
    let mut options = lab.prune_options();
    options.gone_timeout = std::time::Duration::from_secs(1);
    let error = lab.try_prune_with(&keep, &options).await.unwrap_err();
    let objects = format!(
        "Ingress '{0}/web' (finalizer 'example.org/held'), ConfigMap '{0}/held' (finalizer 'example.org/held')",
        lab.namespace
    );
    assert_eq!(error.to_string(), format!("still not gone 1 s after it was deleted: {objects}"));
    assert!(lab.namespace.find("service", "web").is_none());
    assert!(lab.namespace.find("configmap", "colours").is_none());
    for object in ["ingress/web", "configmap/held"] {
        lab.namespace
            .kubectl(&[
                "patch",
                object,
                "--type=json",
                "-p",
                r#"[{"op":"remove","path":"/metadata/finalizers"}]"#,
            ])
            .success();
    }
}

#[tokio::test]
async fn a_definition_stays_as_long_as_others_have_objects_of_its_kind() {
    let lab = Lab::new(cluster!(), "widgets").await;
    let group = format!("{}.example.org", lab.namespace);
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: widgets.{group} }}\nspec: {{ group: {group}, scope: Namespaced, names: {{ kind: Widget, plural: widgets }}, versions: [{{ name: v1, served: true, storage: true, schema: {{ openAPIV3Schema: {{ type: object }} }} }}] }}\n---\n"
    );
    let other = config_map("other", "a: b");
    lab.deploy(&format!("{definition}{other}")).await;
    let widget = format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{ name: theirs }}\n");
    eventually("the kind is known", || {
        lab.namespace.kubectl_with_input(&["apply", "-f", "-"], &widget).code == Some(0)
    });
    let (deleted, kept) = lab.prune(&other).await;
    assert_eq!(deleted, [""; 0]);
    assert_eq!(
        kept,
        [format!(
            "CustomResourceDefinition 'widgets.{group}': Widget 'theirs' is of that kind and would go with it"
        )]
    );
    lab.namespace.kubectl(&["delete", &format!("widgets.{group}"), "theirs"]).success();
    assert_eq!(lab.prune(&other).await.0.len(), 1);
}
