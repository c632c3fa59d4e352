use git_deploy_image::ImageRepository;
use serde_json::json;

use super::*;
use crate::read::{SourceFile, read};

fn object(value: &Value) -> Object {
    let files = [SourceFile { path: "a.json".to_owned(), bytes: value.to_string().into_bytes() }];
    read(&files).unwrap().remove(0)
}

fn update(registry: Option<&str>, digest: Option<&str>) -> ImageUpdate {
    let repository = ImageRepository::new(registry, "littleman-co", "git-littleman-co", "nginx").unwrap();
    ImageUpdate {
        name: repository.tagged("a4945f8").unwrap(),
        digest: digest.map(|digest| digest.parse().unwrap()),
    }
}

fn pod_with(image: &str) -> Object {
    object(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }))
}

fn image_after(image: &str, updates: &[ImageUpdate]) -> (usize, String) {
    let mut pod = pod_with(image);
    let set = set_images(&mut pod, updates);
    (set, pod.value()["spec"]["containers"][0]["image"].as_str().unwrap().to_owned())
}

#[test]
fn images_are_found_in_each_kind_of_workload() {
    let spec = json!({
        "containers": [{"name": "web", "image": "a:1"}, {"name": "side", "image": "b:1"}],
        "initContainers": [{"name": "init", "image": "c:1"}],
        "ephemeralContainers": [{"name": "debug", "image": "d:1"}],
        "volumes": [{"name": "data", "image": {"reference": "e:1"}}, {"name": "tmp", "emptyDir": {}}],
    });
    let template = json!({"spec": spec});
    for (api_version, kind, body) in [
        ("v1", "Pod", template.clone()),
        ("v1", "PodTemplate", json!({"template": template})),
        ("v1", "ReplicationController", json!({"spec": {"template": template}})),
        ("apps/v1", "Deployment", json!({"spec": {"template": template}})),
        ("apps/v1", "ReplicaSet", json!({"spec": {"template": template}})),
        ("apps/v1", "StatefulSet", json!({"spec": {"template": template}})),
        ("apps/v1", "DaemonSet", json!({"spec": {"template": template}})),
        ("batch/v1", "Job", json!({"spec": {"template": template}})),
        ("batch/v1", "CronJob", json!({"spec": {"jobTemplate": {"spec": {"template": template}}}})),
        ("example.org/v1", "Fleet", json!({"spec": {"a/b~c": [{"template": template}]}})),
        ("argoproj.io/v1alpha1", "Rollout", json!({"spec": {"template": template}})),
    ] {
        let mut whole = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let object = object(&whole);
        let found = images(&object);
        let seen: Vec<_> = found.iter().map(|used| (used.container.as_str(), used.image.as_str())).collect();
        assert_eq!(
            seen,
            [("init", "c:1"), ("web", "a:1"), ("side", "b:1"), ("debug", "d:1"), ("data", "e:1")],
            "{kind}"
        );
        for used in found {
            assert_eq!(
                object.value().pointer(&used.pointer).and_then(Value::as_str),
                Some(used.image.as_str())
            );
        }
    }
}

#[test]
fn what_is_no_pod_holds_no_image() {
    let containers = json!([{"name": "a", "image": "b"}]);
    for whole in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"containers": containers}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "x": {"containers": containers}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
               "spec": {"default": {"containers": containers}}}),
        json!({"apiVersion": "example.org/v1", "kind": "Ship", "metadata": {"name": "a"}, "containers": ["a", {"name": "b"}]}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": null}),
    ] {
        assert_eq!(images(&object(&whole)), [], "{whole}");
    }
}

#[test]
fn an_image_of_ours_gets_the_commits_tag_whatever_it_had() {
    let ours = "littleman-co/git-littleman-co-nginx";
    let digest = format!("sha256:{}", "0".repeat(64));
    for had in ["", ":latest", ":a4945f8", ":1.2", &format!("@{digest}"), &format!(":latest@{digest}")] {
        let expected = (1, format!("{ours}:a4945f8"));
        assert_eq!(image_after(&format!("{ours}{had}"), &[update(None, None)]), expected, "{had}");
        let expected = (1, format!("{ours}:a4945f8@{digest}"));
        assert_eq!(image_after(&format!("{ours}{had}"), &[update(None, Some(&digest))]), expected, "{had}");
    }
}

#[test]
fn an_image_with_or_without_the_registry_is_ours_and_gets_it() {
    let expected = "r.example.org:5000/littleman-co/git-littleman-co-nginx:a4945f8";
    let updates = [update(Some("r.example.org:5000"), None)];
    for had in ["", "r.example.org:5000/", "docker.io/"] {
        let image = format!("{had}littleman-co/git-littleman-co-nginx:x");
        assert_eq!(image_after(&image, &updates), (1, expected.to_owned()), "{image}");
    }
    let team = [update(Some("r.example.org/team"), None)];
    let image = "r.example.org/team/littleman-co/git-littleman-co-nginx";
    assert_eq!(image_after(image, &team), (1, format!("{image}:a4945f8")));
}

#[test]
fn other_images_stay_as_they_are() {
    for image in [
        "nginx:latest",
        "littleman-co/git-littleman-co-nginx-proxy:1",
        "littleman-co/git-littleman-co:1",
        "other.example.org/littleman-co/git-littleman-co-nginx:1",
        "r.example.org/littleman-co/git-littleman-co-nginx:1",
        "x/littleman-co/git-littleman-co-nginx:1",
        "$(IMAGE)",
        "",
    ] {
        assert_eq!(image_after(image, &[update(None, None)]), (0, image.to_owned()));
        assert_eq!(image_after(image, &[update(Some("r.example.org:5000"), None)]), (0, image.to_owned()));
        assert_eq!(image_after(image, &[]), (0, image.to_owned()));
    }
}

#[test]
fn setting_images_changes_nothing_else_and_twice_is_once() {
    let mut pod = pod_with("littleman-co/git-littleman-co-nginx");
    let mut expected = pod.value().clone();
    expected["spec"]["containers"][0]["image"] = json!("littleman-co/git-littleman-co-nginx:a4945f8");
    for _ in 0..2 {
        assert_eq!(set_images(&mut pod, &[update(None, None)]), 1);
        assert_eq!(pod.value(), &expected);
    }
}

#[test]
fn whoever_wants_an_image_of_ours_always_pulled_is_known() {
    let container = |name: &str, image: &str, policy: &str| json!({"name": name, "image": image, "imagePullPolicy": policy});
    let ours = "littleman-co/git-littleman-co-nginx:a4945f8";
    let pod = object(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {
            "containers": [
                container("web", ours, "Always"), container("other", "nginx:1", "Always"),
                container("calm", ours, "IfNotPresent"), {"name": "silent", "image": ours},
            ],
            "initContainers": [container("init", ours, "Always")],
            "volumes": [
                {"name": "data", "image": {"reference": ours, "pullPolicy": "Always"}},
                {"name": "still", "image": {"reference": ours}},
            ],
        },
    }));
    assert_eq!(always_pulled(&pod, &[update(None, None)]), ["init", "web", "data"]);
}
