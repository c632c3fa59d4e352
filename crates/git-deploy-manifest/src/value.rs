//! Reading objects of which nothing is certain: what is absent, or of another type, is empty.

use git_deploy_image::without_credentials;
use serde_json::{Map, Value};

/// The text at a JSON pointer; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer.
pub fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The number at a JSON pointer; zero where there is none, as Go leaves zeros out.
pub fn count(value: &Value, pointer: &str) -> i64 {
    number(value, pointer).unwrap_or(0)
}

/// Whether the field at a JSON pointer is `true`.
pub fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list at a JSON pointer.
pub fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The mapping at a JSON pointer, where it has entries.
pub fn mapping<'a>(value: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    value.pointer(pointer).and_then(Value::as_object).filter(|mapping| !mapping.is_empty())
}

/// The name; empty where there is none.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// The namespace; empty where there is none.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// What tells it from others of the same name, at other times; empty where there is none.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// The version that its last change gave it; empty where there is none.
pub fn resource_version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion")
}

/// How often what is wanted of it has changed.
pub fn generation(object: &Value) -> Option<i64> {
    number(object, "/metadata/generation")
}

/// An annotation of an object.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// What has to let go of it before it can go.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    items(object, "/metadata/finalizers").iter().filter_map(Value::as_str)
}

/// Whether a condition of its status is true.
pub fn is_true(object: &Value, which: &str) -> bool {
    condition(object, which).is_some_and(|found| found.is("True"))
}

/// Whether it goes as soon as nothing holds it.
pub fn is_being_deleted(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The owner that is the object's controller, by UID; empty where there is none.
pub fn controller(object: &Value) -> &str {
    let owners = items(object, "/metadata/ownerReferences");
    owners
        .iter()
        .find(|owner| flag(owner, "/controller"))
        .map(|owner| text(owner, "/uid"))
        .unwrap_or_default()
}

/// A condition of an object's status.
#[derive(Debug, Clone, Copy)]
pub struct Condition<'a>(&'a Value);

impl<'a> Condition<'a> {
    /// Whether its status is that.
    pub fn is(self, status: &str) -> bool {
        text(self.0, "/status") == status
    }

    /// Why, in one word.
    pub fn reason(self) -> &'a str {
        text(self.0, "/reason")
    }

    /// Why, in words.
    pub fn message(self) -> &'a str {
        text(self.0, "/message")
    }

    /// When the controller last wrote it, by the server's clock: good for `==` alone.
    pub fn updated(self) -> &'a str {
        text(self.0, "/lastUpdateTime")
    }

    /// The generation of which it speaks, where it says that itself.
    pub fn observed_generation(self) -> Option<i64> {
        number(self.0, "/observedGeneration")
    }

    /// `reason: message`, or what there is of it.
    pub fn why(self) -> String {
        because(self.reason(), self.message())
    }
}

/// The condition of a type.
pub fn condition<'a>(object: &'a Value, which: &str) -> Option<Condition<'a>> {
    items(object, "/status/conditions").iter().find(|found| text(found, "/type") == which).map(Condition)
}

/// `reason: message`, or what there is of it, in one line and of a bearable length: both may come from anybody.
pub fn because(reason: &str, message: &str) -> String {
    let (reason, message) = (one_line(reason), one_line(message));
    match (reason.is_empty(), message.is_empty()) {
        (false, false) => format!("{reason}: {message}"),
        (true, true) => "no reason given".to_owned(),
        _ => reason + &message,
    }
}

/// The longest message of a cluster that is repeated, in characters.
const LONGEST: usize = 400;

/// Text of the cluster in one line, without control characters and anybody's password, and shortened where it is too long:
/// it may be what a program wrote.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    shortened(&without_credentials(&line), LONGEST)
}

/// A text in so many characters at most. Its middle is what is left out: what it is about stands at its beginning, and
/// what is wrong, after all that was tried, at its end.
pub fn shortened(text: &str, longest: usize) -> String {
    const GAP: &str = " ... ";
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let kept = longest.saturating_sub(GAP.len());
    let first = kept / 4;
    let beginning: String = text.chars().take(first).collect();
    let end: String = text.chars().skip(length - (kept - first)).collect();
    format!("{}{GAP}{}", beginning.trim_end(), end.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_keeps_its_beginning_and_its_end() {
        let chain = format!(
            "failed to pull image \"a\": {}: unexpected status: 401 Unauthorized",
            "tried ".repeat(200)
        );
        let line = one_line(&chain);
        assert!(line.chars().count() <= LONGEST, "{line}");
        assert!(line.starts_with("failed to pull image \"a\": tried ") && line.contains(" ... "), "{line}");
        assert!(line.ends_with(" tried : unexpected status: 401 Unauthorized"), "{line}");
        assert_eq!(shortened(&"ä".repeat(10), 10), "ä".repeat(10));
        assert_eq!(shortened(&"ä".repeat(30), 13), format!("ää ... {}", "ä".repeat(6)));
        assert_eq!(shortened("abc", 0), " ... ");
    }

    #[test]
    fn what_is_said_is_one_line_and_never_nothing() {
        assert_eq!(one_line(" a\n\u{1b}b\r\n "), "a b");
        assert_eq!(one_line("no postgres://ada:s3cret@db/shop\n"), "no postgres://...@db/shop");
        assert_eq!(because(" \n", ""), "no reason given");
        assert_eq!(because("Reason", "\n"), "Reason");
    }
}
