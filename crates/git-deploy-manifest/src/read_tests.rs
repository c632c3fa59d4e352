use serde_json::json;

use super::*;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
}

fn objects(text: &str) -> Vec<Object> {
    read(&[file("web.yaml", text)]).unwrap()
}

fn error(text: &str) -> String {
    read(&[file("web.yaml", text)]).unwrap_err().to_string()
}

/// The value of `k` in a ConfigMap's data.
fn data(text: &str) -> Value {
    let indented: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{indented}");
    objects(&map)[0].value()["data"].clone()
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

#[test]
fn each_object_knows_its_file_document_and_line() {
    let text = format!(
        "# licence\n---\n{HEAD}---\n# nothing here\n---\n\n# web\n{}",
        HEAD.replace("name: a", "name: b")
    );
    let read = objects(&text);
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].source().to_string(), "'web.yaml' line 3 (document 1)");
    assert_eq!(read[1].source().to_string(), "'web.yaml' line 12 (document 3)");
    assert_eq!(read[1].id().to_string(), "ConfigMap 'b'");
}

#[test]
fn an_identity_has_group_version_kind_namespace_and_name() {
    let read = objects("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n");
    let id = read[0].id();
    assert_eq!((id.group.as_str(), id.version.as_str(), id.kind.as_str()), ("apps", "v1", "Deployment"));
    assert_eq!((id.namespace.as_deref(), id.name.as_str()), (Some("shop"), "web"));
    assert_eq!(id.api_version(), "apps/v1");
    assert_eq!(id.to_string(), "Deployment 'shop/web'");
}

#[test]
fn keys_stay_in_the_order_of_the_file() {
    let read = objects("kind: ConfigMap\nmetadata: {name: a}\nzeta: 1\nalpha: 2\napiVersion: v1\n");
    let keys: Vec<_> = read[0].value().as_object().unwrap().keys().collect();
    assert_eq!(keys, ["kind", "metadata", "zeta", "alpha", "apiVersion"]);
}

#[test]
fn lists_are_taken_apart_with_the_lines_of_their_items() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n\
                - kind: ConfigMapList\n  apiVersion: v1\n  items:\n  - metadata: {name: b}\n  - metadata: {name: c}\n";
    let read = objects(text);
    let seen: Vec<_> = read.iter().map(|object| (object.id().to_string(), object.source().line)).collect();
    let expected = [("Service 'a'", 4), ("ConfigMap 'b'", 10), ("ConfigMap 'c'", 11)];
    assert_eq!(seen, expected.map(|(id, line)| (id.to_owned(), line)));
    assert_eq!(read[1].value(), &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}));
    assert_eq!(objects("apiVersion: v1\nkind: List\nitems: []\n"), []);
}

#[test]
fn json_is_read_too() {
    let text = "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\n\t\"annotations\":{\"x\":\
                \"\\/\\ud83d\\ude00\u{2028}\"}},\"n\":1e3}\n{\"apiVersion\":\"v1\",\"kind\":\"Service\",\
                \"metadata\":{\"name\":\"b\"}}\n";
    let read = objects(text);
    assert_eq!(read[0].value()["metadata"]["annotations"]["x"], json!("/\u{1f600}\u{2028}"));
    assert_eq!(read[0].value()["n"], json!(1000));
    assert_eq!(read[1].id().name, "b");
}

#[test]
fn a_value_means_what_kubectl_makes_of_it() {
    for (text, expected) in [
        ("k: 0644", json!({"k": 420})),
        ("k: '0644'", json!({"k": "0644"})),
        ("k: \"yes\"", json!({"k": "yes"})),
        ("k: yes", json!({"k": true})),
        ("k: !!str yes", json!({"k": "yes"})),
        ("k: !<tag:yaml.org,2002:str> 1", json!({"k": "1"})),
        ("k: ! 12", json!({"k": "12"})),
        ("k: !foo 12", json!({"k": "12"})),
        ("k:", json!({"k": null})),
        ("k: |\n  a\n  b\n", json!({"k": "a\nb\n"})),
        ("k: >\n  a\n  b\n\n    c\n", json!({"k": "a b\n\n  c\n"})),
        ("k: {b:1, 'c':2}", json!({"k": {"b:1": null, "c": 2}})),
        ("k: [b: c]", json!({"k": [{"b": "c"}]})),
        ("on: a\n1: b\n0644: c\n1.10: d", json!({"true": "a", "1": "b", "420": "c", "1.1": "d"})),
        ("k: !!set {x}", json!({"k": {"x": null}})),
        ("? k\n: v", json!({"k": "v"})),
        ("a: &x 1\nb: &x 2\nc: *x", json!({"a": 1, "b": 2, "c": 2})),
        ("&k x: 1\n*k : 2\nz: *k", json!({"x": 1, "z": "x"})),
    ] {
        let value = if text.starts_with("&k") { None } else { Some(data(text)) };
        assert_eq!(value.unwrap_or(expected.clone()), expected, "{text}");
    }
}

#[test]
fn merge_keys_override_what_stands_above_them_as_in_go() {
    for (text, expected) in [
        ("a: 1\n<<: {a: 2, b: 3}", json!({"a": 2, "b": 3})),
        ("<<: {a: 2, b: 3}\na: 1", json!({"a": 1, "b": 3})),
        ("'<<': {a: 1}", json!({"<<": {"a": 1}})),
        ("<<: {a: 1}\n<<: {b: 1}", json!({"a": 1, "b": 1})),
        ("a: &a {<<: {q: 1}, r: 2}\nb: {<<: *a}", json!({"a": {"q": 1, "r": 2}, "b": {"q": 1, "r": 2}})),
        (
            "x: &x {a: 1}\nz: &z {a: 2, c: 3}\nm:\n  <<: [*x, *z]\n  d: 1",
            json!({"x": {"a": 1}, "z": {"a": 2, "c": 3}, "m": {"a": 1, "c": 3, "d": 1}}),
        ),
    ] {
        assert_eq!(data(text), expected, "{text}");
    }
    assert_eq!(
        error(&format!("{HEAD}<<: [1]\n")).split(": ").last(),
        Some("'<<' wants a mapping or a list of mappings")
    );
}

#[test]
fn an_error_says_where_and_why() {
    for (text, message) in [
        (
            format!("{HEAD}---\n{HEAD}data:\n  a: 1\n  b: 2\n  a: 3\n"),
            "cannot read manifest 'web.yaml' line 13 (document 2): the key 'a' stands twice in one mapping, remove one",
        ),
        (
            format!("{HEAD}data: [\n"),
            "cannot read manifest 'web.yaml' line 5 (document 1): this is no YAML: ",
        ),
        (
            format!("{HEAD}{{a: b}}: 1\n"),
            "cannot read manifest 'web.yaml' line 5 (document 1): a key is a mapping, write it as a string",
        ),
        (format!("{HEAD}~: 1\n"), "line 5 (document 1): a key is null, write it as a string"),
        (format!("{HEAD}data: .nan\n"), "line 5 (document 1): a number that is not finite"),
        (format!("{HEAD}data: !!int x\n"), "line 5 (document 1): the value does not fit its tag '!!int'"),
        (format!("{HEAD}data: !!binary aGk=\n"), "line 5 (document 1): the tag '!!binary' is not supported"),
        (
            format!("{HEAD}data: &a [*a]\n"),
            "line 5 (document 1): an alias stands inside of what it stands for",
        ),
        (format!("{HEAD}data: *a\n"), "line 5 (document 1): this is no YAML: "),
        (
            format!("{HEAD}data: [a?b]\n"),
            "line 5 (document 1): readers disagree about 'a?b' between brackets, quote it",
        ),
        (format!("{HEAD}data: [!, a]\n"), "line 5 (document 1): readers disagree about '!' between"),
        (
            format!("{HEAD}data: [x, a:, {{b:}}]\n"),
            "line 5 (document 1): readers disagree about 'a:' between",
        ),
        (format!("{HEAD}...\ndata: 1\n"), "line 6 (document 1): something follows the end of the document"),
        (format!("{HEAD}--- {{}}\n"), "line 5 (document 1): '{}' stands behind the separator '---'"),
        ("- a\n".to_owned(), "line 1 (document 1): an object must be a mapping, this is a list"),
        ("# a\nfoo\n".to_owned(), "line 2 (document 1): an object must be a mapping, this is a string"),
        ("kind: A\nmetadata: {name: a}\n".to_owned(), "line 1 (document 1): the object has no 'apiVersion'"),
        ("apiVersion: v1\nmetadata: {name: a}\n".to_owned(), "the object has no 'kind'"),
        ("apiVersion: v1\nkind: A\n".to_owned(), "the object has no 'metadata.name'"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: ''}\n".to_owned(), "the object has no 'metadata.name'"),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: 123}\n".to_owned(),
            "'metadata.name' must be a string, this is a number, quote it",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {generateName: a-}\n".to_owned(),
            "the object has 'metadata.generateName' and no 'metadata.name', without a name it cannot be applied",
        ),
        ("apiVersion: a/b/c\nkind: A\nmetadata: {name: a}\n".to_owned(), "'apiVersion' cannot be 'a/b/c'"),
        ("apiVersion: /v1\nkind: A\nmetadata: {name: a}\n".to_owned(), "'apiVersion' cannot be '/v1'"),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: ..}\n".to_owned(),
            "'metadata.namespace' cannot be '..'",
        ),
        ("apiVersion: v1\nkind: A\nmetadata: {name: ../a}\n".to_owned(), "'metadata.name' cannot be '../a'"),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: \"a\\0\"}\n".to_owned(),
            "'metadata.name' cannot be 'a\\0'",
        ),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".to_owned(),
            "this is input for kustomize and no object",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- 1\n".to_owned(),
            "line 4 (document 1): an object must be a mapping, this is a number, quote it",
        ),
    ] {
        let found = error(&text);
        assert!(found.contains(message), "{text}\nfound    {found}\nexpected {message}");
    }
}

#[test]
fn an_object_that_stands_twice_is_refused_with_both_places() {
    let files = [file("a.yaml", HEAD), file("b/c.yaml", &format!("---\n{HEAD}"))];
    assert_eq!(
        read(&files).unwrap_err().to_string(),
        "cannot read manifest 'b/c.yaml' line 2 (document 1): ConfigMap 'a' stands there a second time, first in \
         'a.yaml' line 1 (document 1); remove one"
    );
    let other_version = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";
    let text = format!("{other_version}---\n{}", other_version.replace("v1", "v1beta1"));
    assert!(error(&text).contains("Deployment 'a' stands there a second time"));
    assert_eq!(objects(&format!("{HEAD}---\n{HEAD}  namespace: b\n")).len(), 2);
}

#[test]
fn hostile_input_ends_in_an_error_and_not_in_a_crash() {
    let flow = format!("{HEAD}data: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(error(&flow).contains("line 5 (document 1)"));
    let deep = format!("{HEAD}data: {}{}\n", "[".repeat(200), "]".repeat(200));
    assert!(error(&deep).ends_with("more than 120 levels are nested"), "{}", error(&deep));
    let blocks: String = (0..5_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(error(&format!("{HEAD}{blocks}")).contains("(document 1)"));

    let mut bomb = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(error(&bomb).ends_with("the aliases of this document expand to more than 4194304 bytes"));
    let ladder: String =
        (1..60).map(|level| format!("b{level}: &b{level} [[[*b{}]]]\n", level - 1)).collect();
    assert!(error(&format!("{HEAD}b0: &b0 x\n{ladder}")).ends_with("more than 120 levels are nested"));

    let long_key = format!("{HEAD}{}: 1\n", "k".repeat(10_000));
    assert!(read(&[file("a", &long_key)]).is_err());
    for text in
        ["\u{0}", "\u{feff}\u{feff}", "%YAML 1.1\n---\na: 1\n", "? ? ?", "*a", "!!", "- - -", "{", "\"", "|"]
    {
        assert!(read(&[file("a", text)]).is_err(), "{text:?}");
    }
    for text in ["", "\n\n", "---\n", "---\n---\n", "~\n", "null", "# a", "\u{feff}"] {
        assert_eq!(read(&[file("a", text)]), Ok(Vec::new()), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = read(&[SourceFile { path: "a".to_owned(), bytes }]);
    }

    #[test]
    fn no_text_made_of_yaml_signs_makes_reading_panic(text in "[a-c01\n :\\-{}\\[\\],&*!|>'\"#%@?~<]{0,80}") {
        let _ = read(&[file("a", &format!("{HEAD}{text}"))]);
    }
}
