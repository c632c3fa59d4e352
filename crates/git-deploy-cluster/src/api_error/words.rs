//! What an API server says, in as many words as a person reads.

use git_deploy_manifest::value::{items, shortened};
use git_deploy_manifest::{ObjectId, without_values};
use serde_json::Value;

use super::{ApiError, ApiErrorKind};

/// A message that is longer may quote whole objects, and hide what is wrong with the others.
const LONG: usize = 400;
/// So much is kept of one field's complaint.
const KEPT: usize = 200;
/// So much is kept of all, also where a server says what no API server would.
const LONGEST: usize = 1200;

/// One line without control characters that says something: what a server says goes to terminals, notes and tags.
pub(super) fn line(text: &str) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.is_empty() { "no reason given".to_owned() } else { shortened(line, LONGEST) }
}

/// A status that quotes no value of the object that it is about.
pub(super) fn masked(status: &Value, id: &ObjectId, object: &Value) -> Value {
    let mut masked = status.clone();
    let causes = (0..causes(status).len()).map(|index| format!("/details/causes/{index}/message"));
    for pointer in causes.chain(["/message".to_owned()]) {
        if let Some(Value::String(text)) = masked.pointer_mut(&pointer) {
            *text = without_values(id, object, text);
        }
    }
    masked
}

fn causes(status: &Value) -> &[Value] {
    items(status, "/details/causes")
}

/// The message of a status, without what Go prints of an object's insides, and field by field where it is long.
pub(super) fn brief(status: &Value) -> String {
    let message = status["message"].as_str().unwrap_or_default();
    let without_dumps: Vec<&str> =
        message.lines().map(|line| line.split_once(", got &").map_or(line, |(before, _)| before)).collect();
    let message = without_dumps.join("\n");
    if message.len() <= LONG {
        return message;
    }
    let mut complaints: Vec<String> = Vec::new();
    for cause in causes(status) {
        let text = |key: &str| cause[key].as_str().unwrap_or_default();
        let complaint = match text("field") {
            "" => shortened(text("message"), KEPT),
            field => format!("{field}: {}", shortened(text("message"), KEPT)),
        };
        if !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }
    if complaints.is_empty() { message } else { complaints.join(", ") }
}

/// One complaint, and where it is the API server's about an object, of which object.
pub(crate) type Complaint<'a> = (String, About<'a>);
type About<'a> = Option<(&'a ObjectId, &'a ApiError)>;

/// All complaints in one line. What the cluster itself suffers from is told once, not for each object.
pub(crate) fn together<'a>(complaints: impl Iterator<Item = Complaint<'a>>) -> String {
    let mut groups: Vec<(Complaint<'a>, usize)> = Vec::new();
    for (text, about) in complaints {
        let about = about.filter(|(_, why)| is_of_cluster(why));
        let same = |other: About<'_>| match (other, about) {
            (Some((_, theirs)), Some((_, ours))) => theirs == ours,
            _ => false,
        };
        match groups.iter_mut().find(|((_, other), _)| same(*other)) {
            Some((_, more)) => *more += 1,
            None => groups.push(((text, about), 0)),
        }
    }
    let texts = groups.into_iter().map(|((text, about), more)| match about {
        Some((id, why)) if more > 0 => format!("{id} and {more} more: {why}"),
        _ => text,
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn is_of_cluster(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ApiErrorKind::Unreachable
            | ApiErrorKind::TimedOut
            | ApiErrorKind::Unauthorized
            | ApiErrorKind::TooMany
            | ApiErrorKind::Server
            | ApiErrorKind::NotUnderstood
    )
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
    fn a_cluster_that_is_away_is_told_once_and_everything_else_by_object() {
        let id = |name: &str| ObjectId {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: None,
            name: name.to_owned(),
        };
        let ids = ["a", "b", "c", "d", "e"].map(id);
        let away = ApiError::new(ApiErrorKind::Unreachable, "connection refused");
        let wrong = ApiError::new(ApiErrorKind::Invalid, "data: required");
        let whys = [&away, &wrong, &away, &wrong, &away];
        let complaints = ids.iter().zip(whys).map(|(id, why)| (format!("{id}: {why}"), Some((id, why))));
        assert_eq!(
            together(complaints.chain([("alone".to_owned(), None)])),
            "ConfigMap 'a' and 2 more: connection refused; ConfigMap 'b': data: required; \
             ConfigMap 'd': data: required; alone"
        );
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
