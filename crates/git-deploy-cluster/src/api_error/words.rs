//! What an API server says, in as many words as a person reads.

use serde_json::Value;

/// A message that is longer may quote whole objects, and hide what is wrong with the others.
const LONG: usize = 400;
/// So much is kept of one field's complaint, at its beginning and at its end, where the reason stands.
const KEPT: (usize, usize) = (40, 160);

/// The message of a status, without what Go prints of an object's insides, and field by field where it is long.
pub(super) fn brief(status: &Value) -> String {
    let message = status["message"].as_str().unwrap_or_default();
    let without_dumps: Vec<&str> =
        message.lines().map(|line| line.split_once(", got &").map_or(line, |(before, _)| before)).collect();
    let message = without_dumps.join("\n");
    if message.len() <= LONG {
        return message;
    }
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let mut complaints: Vec<String> = Vec::new();
    for cause in causes.into_iter().flatten() {
        let text = |key: &str| cause[key].as_str().unwrap_or_default();
        let complaint = match text("field") {
            "" => elided(text("message")),
            field => format!("{field}: {}", elided(text("message"))),
        };
        if !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }
    if complaints.is_empty() { message } else { complaints.join(", ") }
}

fn elided(text: &str) -> String {
    let length = text.chars().count();
    let (first, last) = KEPT;
    if length <= first + last {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(first).collect();
    let end: String = text.chars().skip(length - last).collect();
    format!("{beginning} ... {end}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_short_message_stays_as_it_is() {
        assert_eq!(brief(&json!({"message": "no colours here"})), "no colours here");
        assert_eq!(brief(&json!({})), "");
    }

    #[test]
    fn a_long_one_becomes_one_complaint_a_field() {
        let value = format!("Invalid value: {{{}}}: field is immutable", "x".repeat(5000));
        let status = json!({
            "message": format!("Job \"a\" is invalid: spec.template: {value}"),
            "details": {"causes": [
                {"field": "spec.template", "message": value},
                {"field": "spec.template", "message": value},
                {"field": "spec.selector", "message": "Required value"},
            ]},
        });
        let text = brief(&status);
        assert!(text.starts_with("spec.template: Invalid value: {xxx"), "{text}");
        assert!(text.ends_with("}: field is immutable, spec.selector: Required value"), "{text}");
        assert!(text.len() < LONG, "{text}");
    }

    #[test]
    fn the_insides_of_an_object_are_left_out() {
        let message = ".data.a: expected string, got &value.valueUnstructured{Value:[]interface {}{\"b\"}}\n.data.c: expected map, got string";
        assert_eq!(
            brief(&json!({"message": message})),
            ".data.a: expected string\n.data.c: expected map, got string"
        );
    }
}
