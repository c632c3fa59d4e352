//! Reading objects of which nothing is certain: what is absent, or of another type, is empty.

use serde_json::{Map, Value};

/// The text at a JSON pointer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The number at a JSON pointer; zero where there is none, as Go leaves zeros out.
pub(super) fn count(value: &Value, pointer: &str) -> i64 {
    number(value, pointer).unwrap_or(0)
}

/// Whether the field at a JSON pointer is `true`.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list at a JSON pointer.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The mapping at a JSON pointer, where it has entries.
pub(super) fn mapping<'a>(value: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    value.pointer(pointer).and_then(Value::as_object).filter(|mapping| !mapping.is_empty())
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(super) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(super) fn is_being_deleted(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The owner that is the object's controller, by UID; empty where there is none.
pub(super) fn controller(object: &Value) -> &str {
    let owners = items(object, "/metadata/ownerReferences");
    owners
        .iter()
        .find(|owner| flag(owner, "/controller"))
        .map(|owner| text(owner, "/uid"))
        .unwrap_or_default()
}

/// A condition of an object's status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition<'a>(&'a Value);

impl<'a> Condition<'a> {
    pub(super) fn is(self, status: &str) -> bool {
        text(self.0, "/status") == status
    }

    pub(super) fn reason(self) -> &'a str {
        text(self.0, "/reason")
    }

    pub(super) fn message(self) -> &'a str {
        text(self.0, "/message")
    }

    /// When the controller last wrote it, by the server's clock: good for `==` alone.
    pub(super) fn updated(self) -> &'a str {
        text(self.0, "/lastUpdateTime")
    }

    /// The generation of which it speaks, where it says that itself.
    pub(super) fn observed_generation(self) -> Option<i64> {
        number(self.0, "/observedGeneration")
    }

    /// `reason: message`, or what there is of it.
    pub(super) fn why(self) -> String {
        because(self.reason(), self.message())
    }
}

/// The condition of a type.
pub(super) fn condition<'a>(object: &'a Value, which: &str) -> Option<Condition<'a>> {
    items(object, "/status/conditions").iter().find(|found| text(found, "/type") == which).map(Condition)
}

/// `reason: message`, or what there is of it, in one line and of a bearable length: both may come from anybody.
pub(super) fn because(reason: &str, message: &str) -> String {
    let (reason, message) = (one_line(reason), one_line(message));
    match (reason.is_empty(), message.is_empty()) {
        (false, false) => format!("{reason}: {message}"),
        (true, true) => "no reason given".to_owned(),
        _ => reason + &message,
    }
}

/// The longest message of a cluster that is repeated, in characters.
const LONGEST: usize = 400;

/// Text of the cluster in one line, without control characters, and cut where it is too long.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
