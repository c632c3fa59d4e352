use git_deploy_manifest::{SourceFile, read};
use serde_json::json;

use super::*;
use crate::api_error::FieldConflict;

fn objects(texts: &[&str]) -> Vec<Object> {
    let file =
        |(n, text): (usize, &&str)| SourceFile { path: format!("{n}.yaml"), bytes: text.as_bytes().to_vec() };
    read(&texts.iter().enumerate().map(file).collect::<Vec<_>>()).unwrap()
}

fn compared(before: &[&str], now: &[&str]) -> Compared {
    of_both(Some(before), None, now)
}

/// With what base has, too.
fn of_both(latest: Option<&[&str]>, base: Option<&[&str]>, now: &[&str]) -> Compared {
    let id = || Origin::Latest("deployment-0007".parse().unwrap());
    let latest = latest.map(|texts| (id(), objects(texts)));
    let base = base.map(|texts| (Origin::Base("master".to_owned()), objects(texts)));
    let images = ["littleman-co/shop-web:abc1234".to_owned()];
    let before: Vec<_> = latest.into_iter().chain(base).collect();
    Compared::new("shop", &images, &before, &objects(now))
}

/// Whether that is known without the candidate, and from where.
fn word(novelty: Novelty<'_>) -> String {
    match novelty {
        Novelty::Unknown => UNKNOWN.to_owned(),
        Novelty::New => NEW.to_owned(),
        Novelty::Old(origin) => origin.to_string(),
    }
}

const UNKNOWN: &str = "unknown";
const NEW: &str = "new";
const OLD: &str = "deployment-0007 had";

fn id(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
    ObjectId {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn config_map(colour: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: a }}\ndata: {{ colour: {colour} }}\n")
}

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: b, namespace: shop }\n";

#[test]
fn an_object_is_new_where_it_was_not_there_or_is_written_otherwise() {
    let (blue, red) = (config_map("blue"), config_map("red"));
    let of = |before: &[&str], now: &[&str]| {
        let compared = compared(before, now);
        // As it is called when its namespace is filled in, and as it is written.
        let [filled, written] = [Some("shop"), None]
            .map(|namespace| word(compared.of_object(&id("", "ConfigMap", namespace, "a"))));
        assert_eq!(filled, written);
        filled
    };
    assert_eq!(of(&[&blue, SETTINGS], &[&blue, SETTINGS]), OLD);
    assert_eq!(of(&[&blue, SETTINGS], &[&red, SETTINGS]), NEW);
    assert_eq!(of(&[SETTINGS], &[&blue, SETTINGS]), NEW);
    let with_namespace = blue.replace("name: a", "name: a, namespace: shop, creationTimestamp: null");
    assert_eq!(of(&[&blue], &[&with_namespace]), OLD, "it means the same");
    let elsewhere = blue.replace("name: a", "name: a, namespace: other");
    assert_eq!(of(&[&elsewhere], &[&blue]), NEW);
}

#[test]
fn an_image_of_the_commit_and_a_digest_of_what_is_read_are_no_change() {
    let web = |image: &str, hash: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec: {{ template: {{ metadata: {{ annotations: {{ git-deploy/config-hash: '{hash}' }} }}, spec: {{ containers: [{{ name: web, image: '{image}' }}] }} }} }}\n"
        )
    };
    let of = |before: &str, now: &str| {
        word(compared(&[before], &[now]).of_object(&id("apps", "Deployment", None, "web")))
    };
    let now = web("littleman-co/shop-web:abc1234", "2");
    assert_eq!(of(&web("littleman-co/shop-web:0000000@sha256:12", "1"), &now), OLD);
    assert_eq!(of(&web("littleman-co/shop-api:0000000", "1"), &now), NEW);
    assert_eq!(of(&web("nginx:1", "1"), &web("nginx:2", "1")), NEW, "somebody wrote that");
}

#[test]
fn a_secret_is_compared_by_the_digests_of_its_values() {
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: s }}\nstringData: {{ a: {value} }}\n")
    };
    let kept = |text: &str| {
        let mut object = objects(&[text]).remove(0);
        *object.value_mut() = redacted(object.id(), object.value());
        String::from_utf8(git_deploy_manifest::write(&object)).unwrap()
    };
    let of = |before: &str, now: &str| {
        word(compared(&[&kept(before)], &[now]).of_object(&id("", "Secret", Some("shop"), "s")))
    };
    assert_eq!(of(&secret("b"), &secret("b")), OLD);
    assert_eq!(of(&secret("b"), &secret("c")), NEW);
}

#[test]
fn what_base_has_is_as_old_as_what_the_latest_success_had() {
    let (blue, red) = (config_map("blue"), config_map("red"));
    let of = |latest: Option<&[&str]>, base: Option<&[&str]>, now: &[&str]| {
        let id = id("", "ConfigMap", Some("shop"), "a");
        let compared = of_both(latest, base, now);
        let not_ours = PlanProblem::NotOurs { id: id.clone(), managers: Vec::new() };
        [word(compared.of_object(&id)), word(compared.of_plan(&not_ours))]
    };
    let base = "'master' has";
    assert_eq!(of(Some(&[SETTINGS]), Some(&[&blue]), &[&blue]), [base, base]);
    assert_eq!(of(Some(&[SETTINGS]), Some(&[&blue]), &[&red]), [NEW, base]);
    assert_eq!(of(Some(&[&red]), Some(&[&blue]), &[&blue]), [base, OLD]);
    assert_eq!(of(None, Some(&[&blue]), &[&blue]), [base, base]);
    assert_eq!(of(None, Some(&[SETTINGS]), &[&blue]), [UNKNOWN, UNKNOWN], "nothing was ever accepted");
}

#[test]
fn a_secret_of_base_is_compared_by_digests_too() {
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: s }}\nstringData: {{ a: {value} }}\n")
    };
    let of = |base: &str, now: &str| {
        word(of_both(None, Some(&[base]), &[now]).of_object(&id("", "Secret", Some("shop"), "s")))
    };
    assert_eq!(of(&secret("b"), &secret("b")), "'master' has");
    assert_eq!(of(&secret("b"), &secret("c")), UNKNOWN);
}

#[test]
fn of_an_unknown_kind_it_counts_whether_anything_had_it() {
    let widget = |version: &str, name: &str| {
        format!("apiVersion: example.org/{version}\nkind: Widget\nmetadata: {{ name: {name} }}\n")
    };
    let (a, b, c) = (widget("v1", "a"), widget("v1", "b"), widget("v2", "c"));
    let compared = compared(&[&a], &[&a, &b, &c]);
    let of = |version: &str, name: &str| {
        let id = ObjectId { version: version.to_owned(), ..id("example.org", "Widget", None, name) };
        word(compared.of_target(&TargetProblem::UnknownKind { id, nearest: None }))
    };
    assert_eq!(of("v1", "a"), OLD);
    assert_eq!(of("v1", "b"), OLD, "the definition was there when there was another one");
    assert_eq!(of("v2", "c"), NEW);
}

#[test]
fn of_a_collision_it_counts_whether_the_name_was_there() {
    let (blue, red) = (config_map("blue"), config_map("red"));
    let compared = compared(&[&blue], &[&red, SETTINGS]);
    let of = |name: &str| {
        let id = id("", "ConfigMap", Some("shop"), name);
        let not_ours = PlanProblem::NotOurs { id: id.clone(), managers: Vec::new() };
        let other_set = PlanProblem::OtherSet { id, set: String::new() };
        assert_eq!(compared.of_plan(&not_ours), compared.of_plan(&other_set));
        word(compared.of_plan(&not_ours))
    };
    assert_eq!(of("a"), OLD, "that it differs has nothing to do with it");
    assert_eq!(of("b"), NEW);
}

#[test]
fn of_fields_that_others_hold_it_counts_whether_they_were_there() {
    let with = |more: &str| {
        format!("{}  more: {more}\n", config_map("blue").replace("{ colour: blue }", "\n  colour: blue"))
    };
    let (before, now) = (config_map("blue"), with("a"));
    let compared = compared(&[&before], &[&now]);
    let of = |fields: &[&str]| {
        let conflict = |field: &&str| FieldConflict { field: (*field).to_owned(), manager: "x".to_owned() };
        let kind = ApiErrorKind::FieldConflict(fields.iter().map(conflict).collect());
        let why = ApiError::new(kind, "");
        word(compared.of_plan(&PlanProblem::Refused { id: id("", "ConfigMap", Some("shop"), "a"), why }))
    };
    assert_eq!(of(&[".data.colour"]), OLD);
    assert_eq!(of(&[".data.colour", ".data.more"]), NEW);
    // What we write ourselves is not the branch's.
    assert_eq!(of(&[".metadata.annotations.kubernetes.io/change-cause"]), OLD);
}

#[test]
fn a_field_is_found_as_the_api_server_names_it() {
    let object = json!({
        "metadata": {"labels": {"app.kubernetes.io/name": "a"}, "finalizers": ["x/y"]},
        "spec": {"ports": [{"port": 80, "targetPort": 1}], "template": {"containers": [{"name": "web", "image": "a"}]}},
    });
    for (field, expected) in [
        (".spec", true),
        (".spec.replicas", false),
        (".metadata.labels.app.kubernetes.io/name", true),
        (".metadata.labels.app", false),
        (".metadata.finalizers[=\"x/y\"]", true),
        (".metadata.finalizers[=\"z\"]", false),
        (".spec.template.containers[name=\"web\"].image", true),
        (".spec.template.containers[name=\"web\"].command", false),
        (".spec.template.containers[name=\"api\"].image", false),
        (".spec.ports[port=80,protocol=\"TCP\"].targetPort", true),
        (".spec.ports[port=81,protocol=\"TCP\"].targetPort", false),
        (".spec.ports[0].port", true),
        (".spec.ports[1].port", false),
    ] {
        assert_eq!(has_field(&object, field), expected, "{field}");
    }
}

#[test]
fn of_a_namespace_that_is_not_there_it_counts_whether_anything_was_in_it() {
    let elsewhere = SETTINGS.replace("namespace: shop", "namespace: other");
    let compared = compared(&[&elsewhere], &[]);
    let of = |namespace: &str| {
        let why = ApiError::new(ApiErrorKind::NotFound, "not found");
        word(compared.of_plan(&PlanProblem::Refused { id: id("", "ConfigMap", Some(namespace), "new"), why }))
    };
    assert_eq!([of("shop"), of("other"), of("third")], [OLD, OLD, NEW]);
}

/// As an API server knows them.
fn resources(kinds: &[(&str, &str, &str, &str)]) -> Resources {
    let definition = |(group, kind, plural, scope): &(&str, &str, &str, &str)| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: {plural} }}\nspec: {{ group: '{group}', scope: {scope}, names: {{ kind: {kind}, plural: {plural} }}, versions: [{{ name: v1 }}] }}\n"
        )
    };
    let texts: Vec<String> = kinds.iter().map(definition).collect();
    Resources::default().with_definitions(&objects(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn of_rights_it_counts_whether_the_latest_success_needed_any_of_them() {
    let kinds = resources(&[
        ("apps", "StatefulSet", "statefulsets", "Namespaced"),
        ("", "Namespace", "namespaces", "Cluster"),
        ("", "Secret", "secrets", "Namespaced"),
    ]);
    let store = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: store }\nspec: {}\n";
    let namespace = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {name} }}\n");
    let (own, other) = (namespace("shop"), namespace("other"));
    let need = |group: &str, resource: &str, namespace: Option<&str>, verb| Need {
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
        verb,
    };
    let of = |now: &[&str], denied: &[Need]| word(compared(&[store, &own], now).of_needs(&kinds, denied));
    let now = [store, own.as_str()];
    let secrets = need("", "secrets", Some("shop"), "create");
    assert_eq!(of(&now, std::slice::from_ref(&secrets)), NEW);
    for old in [
        need("apps", "statefulsets", Some("shop"), "delete"),
        need("", "pods", Some("shop"), "delete"),
        need("coordination.k8s.io", "leases", Some("shop"), "get"),
        need("", "namespaces", Some("shop"), "patch"),
        need("", "namespaces", None, "create"),
    ] {
        assert_eq!(of(&now, &[secrets.clone(), old.clone()]), OLD, "{old}");
    }
    assert_eq!(of(&now, &[need("apps", "statefulsets", Some("other"), "get")]), NEW);
    let create = need("", "namespaces", None, "create");
    assert_eq!(of(&[store, &own, &other], &[create]), NEW);
    let of_base = of_both(Some(&[own.as_str()]), Some(&[store]), &now);
    let statefulsets = need("apps", "statefulsets", Some("shop"), "create");
    assert_eq!(word(of_base.of_needs(&kinds, &[statefulsets])), "'master' has");
    assert_eq!(word(of_base.of_needs(&kinds, &[secrets])), NEW);
}
