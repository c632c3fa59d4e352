use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::read::{SourceFile, read};

fn object(data: &Value) -> Object {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let bytes = value.to_string().into_bytes();
    read(&[SourceFile { path: "a.json".to_owned(), bytes }]).unwrap().remove(0)
}

fn again(object: &Object) -> Object {
    let written = String::from_utf8(write(object)).unwrap();
    let files = [SourceFile { path: "a.yaml".to_owned(), bytes: written.clone().into_bytes() }];
    match read(&files) {
        Ok(mut objects) if objects.len() == 1 => objects.remove(0),
        other => panic!("{other:?}\n{written}"),
    }
}

#[test]
fn an_object_is_written_as_people_write_it() {
    let object = object(
        &json!({"mode": "0644", "on": "yes", "count": 3, "conf": "a: 1\nb: 2\n", "cmd": ["sh", "-c", "a"]}),
    );
    let expected = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  mode: \"0644\"\n  \"on\": \"yes\"\n  \
                    count: 3\n  conf: |\n    a: 1\n    b: 2\n  cmd:\n  - sh\n  - -c\n  - a\n";
    assert_eq!(String::from_utf8(write(&object)).unwrap(), expected);
}

#[test]
fn a_document_cannot_be_cut_by_its_own_text() {
    let object = object(&json!({"--- x": "---\n...\n--- y\n", "...": "...", "# a": "# b\n---"}));
    assert_eq!(again(&object).value(), object.value());
}

#[test]
fn long_keys_and_long_lines_are_read_back() {
    let mut object = object(&json!({}));
    object.value_mut()["data"] =
        json!({"k".repeat(5_000): {"a": 1}, "l".repeat(2_000): ["x ".repeat(3_000)], "m".repeat(900): ""});
    assert_eq!(again(&object).value(), object.value());
}

fn text() -> impl Strategy<Value = String> {
    let yaml = "[ab01ye\n\t\r :\\-{}\\[\\],&*!|>'\"#%@?~<=._\\\\]{0,12}";
    let tricky = proptest::sample::select(vec![
        "",
        "yes",
        "NO",
        "~",
        "null",
        "0644",
        "1e3",
        "12:30",
        "1_000",
        "2001-01-01",
        "0x1f",
        "<<",
        "=",
        "---",
        "...",
        "a\nb\n",
        "a\n\n\n",
        " a\nb",
        "\na",
        "a\n ",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{0}",
        "\u{1f600}",
        "\u{fffe}",
    ]);
    prop_oneof![
        yaml.prop_map(String::from),
        any::<String>(),
        tricky.prop_map(str::to_owned),
        "[a-z0-9_.+eExX:-]{1,6}".prop_map(String::from)
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("a whole float is an integer", |f| f.to_string().parse::<i64>().is_err())
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_back_equal_with_its_keys_in_order(value in value()) {
        let mut written = object(&json!({}));
        written.value_mut()["data"] = value;
        let read = again(&written);
        prop_assert_eq!(read.value(), written.value());
        prop_assert_eq!(read.value().to_string(), written.value().to_string());
        prop_assert_eq!(write(&read), write(&written));
    }
}
