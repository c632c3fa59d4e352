//! The table of known keys, and the walk that holds a document against it.
//!
//! Serde reports an unknown key neither with its place nor with its table, and error messages of another crate
//! are not an interface. So the spanned document is walked first, and what passes deserialises.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{DeployTomlError, Locator, Problem};

/// What a key may hold.
enum Shape {
    Text,
    Flag,
    Number,
    Texts,
    /// A table with known keys.
    Table(&'static [Key]),
    /// `[[name]]`, each with known keys.
    Tables(&'static [Key]),
    /// A table whose keys are the user's, all of one shape.
    Named(&'static Shape),
    /// A table that is interpreted elsewhere.
    AnyTable,
}

struct Key {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn optional(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: false }
}

const fn required(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: true }
}

static TOP: [Key; 9] = [
    optional("image-name", Shape::Table(&IMAGE_NAME)),
    optional("build", Shape::Table(&BUILD)),
    optional("image", Shape::Tables(&IMAGE)),
    optional("registry", Shape::Table(&REGISTRY)),
    optional("environment", Shape::Named(&Shape::Table(&ENVIRONMENT))),
    optional("rebase", Shape::Table(&REBASE)),
    optional("approve", Shape::Table(&APPROVE)),
    optional("trust-branches", Shape::Flag),
    optional("assets", Shape::AnyTable),
];

static IMAGE_NAME: [Key; 3] = [
    required("container-namespace", Shape::Text),
    required("project-namespace", Shape::Text),
    optional("hash-length", Shape::Number),
];

static BUILD: [Key; 3] =
    [optional("env-file", Shape::Text), optional("steps", Shape::Texts), optional("source", Shape::Text)];

static IMAGE: [Key; 2] = [required("name", Shape::Text), required("context", Shape::Text)];

static REGISTRY: [Key; 2] = [optional("address", Shape::Text), optional("load", Shape::Texts)];

static ENVIRONMENT: [Key; 19] = [
    optional("kind", Shape::Text),
    optional("context", Shape::Text),
    optional("kube-namespace", Shape::Text),
    optional("manifests", Shape::Texts),
    optional("render", Shape::Texts),
    optional("after", Shape::Text),
    optional("approval", Shape::Flag),
    optional("freeze", Shape::Tables(&FREEZE)),
    optional("lands", Shape::Flag),
    optional("prune", Shape::Text),
    optional("branch", Shape::Text),
    optional("lint", Shape::Named(&Shape::Text)),
    optional("gate", Shape::Named(&Shape::AnyTable)),
    optional("allow-kinds", Shape::Texts),
    optional("allow-namespaces", Shape::Texts),
    optional("timeout", Shape::Text),
    optional("crash-grace", Shape::Text),
    optional("first-failure", Shape::Text),
    optional("config-hash", Shape::Flag),
];

static FREEZE: [Key; 4] = [
    required("from", Shape::Text),
    required("to", Shape::Text),
    required("time-zone", Shape::Text),
    optional("reason", Shape::Text),
];

static REBASE: [Key; 1] = [optional("committer", Shape::Text)];

static APPROVE: [Key; 2] =
    [optional("allowed-signers", Shape::Text), optional("gpg-fingerprints", Shape::Texts)];

/// Parses the text and holds it against the table of known keys.
pub(super) fn parse_known<'t>(
    text: &'t str,
    locator: &Locator<'_>,
) -> Result<Spanned<DeTable<'t>>, DeployTomlError> {
    let document = DeTable::parse(text).map_err(|error| {
        let problem = Problem::Syntax { message: error.message().to_owned() };
        locator.error(error.span().unwrap_or(0..0), problem)
    })?;
    let mut walk = Walk { problems: Vec::new() };
    walk.table(document.get_ref(), document.span(), &TOP, &Place::top());
    // The tables are sorted by key; the user reads from the top.
    match walk.problems.into_iter().min_by_key(|(span, _)| span.start) {
        Some((span, problem)) => Err(locator.error(span, problem)),
        None => Ok(document),
    }
}

/// The table that is being walked, as the user would write its heading.
struct Place {
    path: String,
    is_array: bool,
}

impl Place {
    fn top() -> Self {
        Self { path: String::new(), is_array: false }
    }

    fn below(&self, key: &str) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, is_array: false }
    }

    fn heading(&self) -> String {
        match (self.path.as_str(), self.is_array) {
            ("", _) => String::new(),
            (path, true) => format!("[[{path}]]"),
            (path, false) => format!("[{path}]"),
        }
    }
}

struct Walk {
    problems: Vec<(Range<usize>, Problem)>,
}

impl Walk {
    fn table(&mut self, table: &DeTable<'_>, span: Range<usize>, known: &'static [Key], place: &Place) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            match known.iter().find(|known| known.name == name) {
                Some(known) => self.value(name, value, &known.shape, &place.below(name)),
                None => {
                    let known = known.iter().map(|known| known.name);
                    self.problems.push((key.span(), Problem::unknown_key(name, &place.heading(), known)));
                }
            }
        }
        for key in known.iter().filter(|key| key.required && !table.contains_key(key.name)) {
            let problem = Problem::MissingKey { key: key.name, table: place.heading(), why: None };
            self.problems.push((span.clone(), problem));
        }
    }

    fn value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, shape: &'static Shape, place: &Place) {
        match (shape, value.get_ref()) {
            (Shape::Text, DeValue::String(_))
            | (Shape::Flag, DeValue::Boolean(_))
            | (Shape::Number, DeValue::Integer(_))
            | (Shape::AnyTable, DeValue::Table(_)) => {}
            (Shape::Texts, DeValue::Array(items)) => {
                for item in items.iter().filter(|item| !item.get_ref().is_str()) {
                    self.wrong_type(key, item, "an array of strings");
                }
            }
            (Shape::Table(known), DeValue::Table(table)) => self.table(table, value.span(), known, place),
            (Shape::Tables(known), DeValue::Array(items)) => self.tables(key, items, known, place),
            (Shape::Named(shape), DeValue::Table(table)) => {
                for (name, value) in table {
                    self.value(name.get_ref(), value, shape, &place.below(name.get_ref()));
                }
            }
            (shape, _) => self.wrong_type(key, value, shape.expected()),
        }
    }

    fn tables(&mut self, key: &str, items: &[Spanned<DeValue<'_>>], known: &'static [Key], place: &Place) {
        let place = Place { path: place.path.clone(), is_array: true };
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => self.table(table, item.span(), known, &place),
                _ => self.wrong_type(key, item, Shape::Tables(known).expected()),
            }
        }
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &'static str) {
        let problem = Problem::WrongType { key: key.to_owned(), expected, found: found(value.get_ref()) };
        self.problems.push((value.span(), problem));
    }
}

impl Shape {
    fn expected(&self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::Texts => "an array of strings",
            Self::Table(_) | Self::Named(_) | Self::AnyTable => "a table",
            Self::Tables(_) => "an array of tables",
        }
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
