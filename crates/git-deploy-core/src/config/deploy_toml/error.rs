//! What can be wrong with a `deploy.toml`, and where.

use std::ops::Range;

use thiserror::Error;

/// A mistake in a `deploy.toml`, at its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("deploy.toml:{line}:{column}: {problem}")]
pub struct DeployTomlError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there; boxed, so that a `Result` with it stays small.
    pub problem: Box<Problem>,
}

impl DeployTomlError {
    /// For a file of so many bytes, of which none is read.
    pub(crate) fn too_large(bytes: u64) -> Self {
        Self { line: 1, column: 1, problem: Box::new(Problem::TooLarge(bytes)) }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// More than anybody writes by hand.
    #[error("it has {0} bytes, and at most {max} are read", max = super::MAX_BYTES)]
    TooLarge(u64),
    /// The text is no TOML.
    #[error("invalid TOML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing here.
    #[error("unknown key '{key}' {table}, {}", suggestion(.nearest.as_deref(), .known))]
    UnknownKey {
        /// The key.
        key: String,
        /// The table it stands in, for example `in [build]`.
        table: String,
        /// The known key that was probably meant.
        nearest: Option<String>,
        /// All keys that are known there.
        known: Vec<String>,
    },
    /// A value of another type than the key has.
    #[error("'{key}' must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A table lacks a key that it needs.
    #[error("{table} needs '{key}'{}", .why.map(|why| format!(": {why}")).unwrap_or_default())]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The table, for example `[image-name]`.
        table: String,
        /// Why it is needed, where that is not obvious.
        why: Option<&'static str>,
    },
    /// A value that cannot be meant.
    #[error("invalid {what} '{value}': {why}")]
    InvalidValue {
        /// What the value is for, in the user's words.
        what: String,
        /// The value.
        value: String,
        /// Why it is refused, and what would do.
        why: String,
    },
    /// Keys or tables that are right each, but not together.
    #[error("{0}")]
    Contradiction(String),
}

impl Problem {
    pub(super) fn unknown_key<'k>(key: &str, table: &str, known: impl Iterator<Item = &'k str>) -> Self {
        let known: Vec<String> = known.map(str::to_owned).collect();
        let table = if table.is_empty() { "at the top".to_owned() } else { format!("in {table}") };
        Self::UnknownKey { key: key.to_owned(), table, nearest: nearest(key, &known), known }
    }

    pub(super) fn invalid(what: impl Into<String>, value: impl Into<String>, why: impl Into<String>) -> Self {
        Self::InvalidValue { what: what.into(), value: value.into(), why: why.into() }
    }
}

/// The known name that was probably meant: at most a third of it is different.
pub fn nearest(name: &str, known: &[String]) -> Option<String> {
    let distance = |candidate: &String| strsim::damerau_levenshtein(name, candidate);
    known
        .iter()
        .min_by_key(|candidate| distance(candidate))
        .filter(|candidate| distance(candidate) <= (candidate.chars().count() / 3).max(2))
        .cloned()
}

fn suggestion(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None if known.is_empty() => "nothing is known there".to_owned(),
        None => format!("known are '{}'", known.join("', '")),
    }
}

/// Turns byte offsets into lines and columns.
pub(super) struct Locator<'t> {
    text: &'t str,
}

impl<'t> Locator<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text }
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    pub(super) fn error(&self, span: Range<usize>, problem: Problem) -> DeployTomlError {
        let (line, column) = self.position(span.start);
        DeployTomlError { line, column, problem: Box::new(problem) }
    }
}
