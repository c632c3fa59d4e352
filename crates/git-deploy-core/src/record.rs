//! The form of the small texts that we keep in commits: a subject, an empty line, then one `key: value` a line.
//!
//! Readers keep to the keys that they know and pass over others, so that a newer version can say more.

use std::fmt::Display;
use std::str::FromStr;

/// A text that is being written.
#[derive(Debug)]
pub(crate) struct Record(String);

impl Record {
    /// Begins with the subject.
    pub(crate) fn new(subject: &str) -> Self {
        Self(format!("{subject}\n\n"))
    }

    /// Adds a line. A value is one line: what would end it becomes a space. It has no other control characters.
    pub(crate) fn line(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key}: {}\n", one_line(&plain(&value.to_string()))));
    }

    /// Adds a line if there is a value.
    pub(crate) fn maybe(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    /// Adds a line for each value.
    pub(crate) fn all(&mut self, key: &str, values: &[impl Display]) {
        values.iter().for_each(|value| self.line(key, value));
    }

    /// Adds lines as they were written.
    pub(crate) fn verbatim(&mut self, lines: &[String]) {
        for line in lines {
            self.0.push_str(&format!("{line}\n"));
        }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A text brought to one line: what would end it becomes a space.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(['\n', '\r', '\0']).map(str::trim).filter(|part| !part.is_empty()).collect();
    words.join(" ")
}

/// A text of somebody's own without control characters, but for those that part words and lines.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || "\t\r\n".contains(*letter)).collect()
}

/// A text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A key that must be there is not.
    #[error("it has no line '{0}:'")]
    Missing(&'static str),
    /// A value that is not of its key's form.
    #[error("'{value}' is no value for '{key}:'")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
}

/// The lines of a text that was written.
pub(crate) struct Lines<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Lines<'a> {
    /// Takes a text apart.
    pub(crate) fn of(text: &'a str) -> Self {
        let lines = text.lines().skip(1).filter_map(|line| line.split_once(':'));
        Self(lines.map(|(key, value)| (key.trim(), value.trim())).collect())
    }

    /// The value of a key that may be absent.
    pub(crate) fn maybe<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, RecordError> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| read(key, value)).transpose()
    }

    /// The value of a key that must be there.
    pub(crate) fn need<T: FromStr>(&self, key: &'static str) -> Result<T, RecordError> {
        self.maybe(key)?.ok_or(RecordError::Missing(key))
    }

    /// The lines with other keys than these, as they were written: a newer version may have written them.
    pub(crate) fn others(&self, known: &[&str]) -> Vec<String> {
        let others = self.0.iter().filter(|(key, _)| !known.contains(key));
        others.map(|(key, value)| format!("{key}: {value}")).collect()
    }

    /// All values of a key.
    pub(crate) fn all<T: FromStr>(&self, key: &'static str) -> Result<Vec<T>, RecordError> {
        self.0.iter().filter(|(name, _)| *name == key).map(|(_, value)| read(key, value)).collect()
    }
}

fn read<T: FromStr>(key: &'static str, value: &str) -> Result<T, RecordError> {
    value.parse().map_err(|_| RecordError::Value { key, value: value.to_owned() })
}
