//! Objects for `--json`, as every command builds them.

use serde::Serialize;
use serde_json::{Map, Value};

/// A JSON object whose keys stay in the order in which they were put in.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Object(Map<String, Value>);

impl Object {
    /// An object without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key; a value that is not there becomes `null`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a key if there is a value.
    #[must_use]
    pub fn with_known(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds a key if the list has something in it.
    #[must_use]
    pub fn with_list(self, key: &str, values: &[String]) -> Self {
        self.with_known(key, (!values.is_empty()).then_some(values))
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_what_is_not_known_is_left_out_or_null() {
        let object = Object::new()
            .with("z", "last")
            .with("since", None::<String>)
            .with_known("by", None::<String>)
            .with_known("priority", Some(3))
            .with_list("images", &[])
            .with_list("conflicts", &["a".to_owned()]);
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(text, r#"{"z":"last","since":null,"priority":3,"conflicts":["a"]}"#);
    }
}
