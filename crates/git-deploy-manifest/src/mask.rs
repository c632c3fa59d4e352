//! Texts about a Secret as they may be told: an API server that refuses an object quotes what is wrong with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::ObjectId;

/// What stands where a value stood.
const MASK: &str = "***";
/// What is shorter also stands in words, and is masked only where it stands alone.
const LONG: usize = 4;

/// A text about an object. Where that is a Secret, none of the values that it brings is in there: neither as it is
/// written, nor encoded, decoded or escaped.
pub fn without_values(id: &ObjectId, object: &Value, text: &str) -> String {
    if !id.is_secret() {
        return text.to_owned();
    }
    let mut values = Vec::new();
    for key in ["data", "stringData"] {
        collect(&object[key], &mut values);
    }
    // Longer ones first: one may be a part of another.
    values.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    values.dedup();
    values.iter().fold(text.to_owned(), |text, value| masked(&text, value))
}

fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(truth) => values.push(truth.to_string()),
        Value::Number(number) => values.push(number.to_string()),
        Value::String(text) => {
            let decoded = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            for form in [text.clone(), STANDARD.encode(text)].into_iter().chain(decoded) {
                let one_line = form.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                let escaped = serde_json::to_string(&form).unwrap_or_default();
                values.extend([escaped.trim_matches('"').to_owned(), one_line, form]);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, values)),
        Value::Object(entries) => entries.values().for_each(|entry| collect(entry, values)),
    }
}

fn masked(text: &str, value: &str) -> String {
    if value.is_empty() || MASK.contains(value) {
        return text.to_owned();
    }
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(value) {
        let last = before.chars().next_back().or_else(|| out.chars().next_back());
        let stands_alone = !is_word(last) && !is_word(after.chars().next());
        out.push_str(before);
        out.push_str(if value.len() >= LONG || stands_alone { MASK } else { value });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(kind: &str) -> ObjectId {
        ObjectId {
            group: String::new(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: "key".to_owned(),
        }
    }

    fn told(object: &Value, text: &str) -> String {
        without_values(&id("Secret"), object, text)
    }

    #[test]
    fn values_are_masked_in_every_form() {
        let secret = json!({"stringData": {"a": "hush-hush", "b": "with \"quotes\"\nand lines", "c": 12345}});
        for value in [
            "hush-hush",
            "aHVzaC1odXNo",
            r#"with \"quotes\"\nand lines"#,
            "with \"quotes\" and lines",
            "12345",
        ] {
            assert_eq!(told(&secret, &format!("got [{value}], wrong")), "got [***], wrong");
        }
        let secret = json!({"data": {"a": "aHVzaC1odXNo", "b": ["nested", {"c": "deeper"}]}});
        assert_eq!(told(&secret, "hush-hush aHVzaC1odXNo nested deeper .data.a"), "*** *** *** *** .data.a");
        assert_eq!(told(&json!({"data": "all-of-it"}), "got all-of-it"), "got ***");
    }

    #[test]
    fn a_short_value_does_not_tear_words_apart() {
        let secret = json!({"stringData": {"a": "a", "b": ""}});
        assert_eq!(told(&secret, "data[a]: a value that is \"a\""), "data[***]: *** value that is \"***\"");
    }

    #[test]
    fn what_others_say_stays_as_it_is() {
        let map = json!({"data": {"a": "colour"}});
        assert_eq!(without_values(&id("ConfigMap"), &map, "no colour"), "no colour");
        assert_eq!(told(&json!({}), "no colour"), "no colour");
        assert_eq!(told(&Value::Null, "no colour"), "no colour");
    }
}
