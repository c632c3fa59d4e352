//! Files to objects, as kubectl would read them, and each fault with its place.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::object::{Object, ObjectId, Source};
use crate::split::{Document, split};
use crate::yaml::{self, Data, Node, YamlFault};

/// The longest name of an object, a namespace or a group; more does not fit into a DNS name.
const LONGEST_NAME: usize = 253;

/// A file of manifests: its path, for messages, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as people know it.
    pub path: String,
    /// The content, YAML or JSON.
    pub bytes: Vec<u8>,
}

/// Manifests that cannot be read: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read manifest {source_place}: {fault}")]
pub struct ReadError {
    /// Where the fault is.
    pub source_place: Source,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes that are no text.
    #[error("this is not UTF-8")]
    NotUtf8,
    /// A line that begins with `---` and goes on.
    #[error("'{}' stands behind the separator '---', put it on the next line", .0.escape_debug())]
    Separator(String),
    /// No YAML, or YAML that readers disagree about.
    #[error(transparent)]
    Yaml(YamlFault),
    /// A document or an item of a list that is no mapping.
    #[error("an object must be a mapping, this is {0}")]
    NotAMapping(&'static str),
    /// Something that every object has is missing.
    #[error("the object has no '{0}'")]
    Missing(&'static str),
    /// `generateName` instead of a name.
    #[error(
        "the object has 'metadata.generateName' and no 'metadata.name', without a name it cannot be applied"
    )]
    GenerateName,
    /// Input for kustomize.
    #[error("this is input for kustomize and no object: name what it prints in 'manifests'")]
    Kustomization,
    /// A field that is there with another type.
    #[error("'{field}' must be a string, this is {found}")]
    NotAString {
        /// The field's path.
        field: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A field whose text no API server accepts.
    #[error("'{field}' cannot be '{value}'", value = value.escape_debug())]
    Invalid {
        /// The field's path.
        field: &'static str,
        /// What is there.
        value: String,
    },
    /// The same object a second time.
    #[error("{id} stands there a second time, first in {first}; remove one")]
    Twice {
        /// Which object.
        id: Box<ObjectId>,
        /// Where it stands first.
        first: Box<Source>,
    },
}

/// Reads all objects of all files, in their order.
///
/// A file may hold several documents; those with nothing in them are skipped, and [lists][1] are taken apart.
/// The text means what [kubectl makes of it][2]: `0644` is 420, `yes` is true. In two ways this is stricter: a key
/// that stands twice in a mapping, and an object that stands twice in the files, are errors.
///
/// # Errors
///
/// [`ReadError`] for the first fault: file, document, line, and why.
///
/// [1]: https://kubernetes.io/docs/reference/using-api/api-concepts/#collections
/// [2]: https://pkg.go.dev/sigs.k8s.io/yaml
pub fn read(files: &[SourceFile]) -> Result<Vec<Object>, ReadError> {
    let mut objects = Vec::new();
    for file in files {
        read_file(file, &mut objects)?;
    }
    refuse_twice(&objects)?;
    Ok(objects)
}

fn read_file(file: &SourceFile, objects: &mut Vec<Object>) -> Result<(), ReadError> {
    let place = |document, line| Source { file: file.path.clone(), document, line };
    let documents = split(&file.bytes)
        .map_err(|(document, line, fault)| ReadError { source_place: place(document, line), fault })?;
    for document in documents {
        let in_file = |line: usize| place(document.number, document.first_line + line - 1);
        let Some((node, value)) = parse(&document)
            .map_err(|at| ReadError { source_place: in_file(at.line), fault: Fault::Yaml(at.fault) })?
        else {
            continue;
        };
        for (line, value) in flatten(&node, value) {
            let source_place = in_file(line);
            match identify(&value) {
                Ok(id) => objects.push(Object::new(source_place, id, value)),
                Err(fault) => return Err(ReadError { source_place, fault }),
            }
        }
    }
    Ok(())
}

fn parse(document: &Document<'_>) -> Result<Option<(std::rc::Rc<Node>, Value)>, yaml::At> {
    let Some(node) = yaml::compose(document.text)? else { return Ok(None) };
    let value = yaml::value(&node)?;
    Ok(if value.is_null() { None } else { Some((node, value)) })
}

/// The object, or each item of a list, with its line in the document.
fn flatten(node: &Node, mut value: Value) -> Vec<(usize, Value)> {
    let Some(items) = take_items(&mut value) else { return vec![(node.line, value)] };
    let nodes = item_nodes(node).filter(|nodes| nodes.len() == items.len());
    let of_list = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let (api_version, kind) = (of_list("apiVersion"), of_list("kind"));
    let mut flat = Vec::new();
    for (position, mut item) in items.into_iter().enumerate() {
        name_item(&mut item, api_version.as_deref(), kind.as_deref());
        match nodes.and_then(|nodes| nodes.get(position)) {
            Some(item_node) => flat.extend(flatten(target(item_node), item)),
            None => flat.push((node.line, item)),
        }
    }
    flat
}

/// The items of a list: whatever has `items`, and a kind that ends in `List`.
fn take_items(value: &mut Value) -> Option<Vec<Value>> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value.get_mut("items") {
        Some(Value::Array(items)) if is_list => Some(std::mem::take(items)),
        _ => None,
    }
}

fn item_nodes(node: &Node) -> Option<&[std::rc::Rc<Node>]> {
    let Data::Mapping(pairs) = &target(node).data else { return None };
    let is_items = |key: &Node| matches!(&key.data, Data::Scalar(scalar) if scalar.is_text("items"));
    let (_, items) = pairs.iter().find(|(key, _)| is_items(key))?;
    match &target(items).data {
        Data::Sequence(items) => Some(items),
        _ => None,
    }
}

fn target(node: &Node) -> &Node {
    match &node.data {
        Data::Alias(aliased) => target(aliased),
        _ => node,
    }
}

/// The items of a `ConfigMapList` need not say that they are ConfigMaps.
fn name_item(item: &mut Value, api_version: Option<&str>, list_kind: Option<&str>) {
    let kind = list_kind.and_then(|kind| kind.strip_suffix("List")).filter(|kind| !kind.is_empty());
    let (Some(item), Some(api_version), Some(kind)) = (item.as_object_mut(), api_version, kind) else {
        return;
    };
    if !item.contains_key("kind") && !item.contains_key("apiVersion") {
        let mut named = Map::new();
        named.insert("apiVersion".to_owned(), api_version.into());
        named.insert("kind".to_owned(), kind.into());
        named.append(item);
        *item = named;
    }
}

fn identify(value: &Value) -> Result<ObjectId, Fault> {
    let Some(object) = value.as_object() else { return Err(Fault::NotAMapping(type_name(value))) };
    let api_version = required(object.get("apiVersion"), "apiVersion")?;
    let kind = required(object.get("kind"), "kind")?;
    if api_version.starts_with("kustomize.config.k8s.io/") {
        return Err(Fault::Kustomization);
    }
    let metadata = object.get("metadata");
    let field =
        |name: &str| metadata.and_then(|metadata| metadata.get(name)).filter(|value| !value.is_null());
    if field("name").is_none() && field("generateName").is_some() {
        return Err(Fault::GenerateName);
    }
    let name = required(field("name"), "metadata.name")?;
    let namespace = optional(field("namespace"), "metadata.namespace")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if (group.is_empty() && api_version.contains('/'))
        || !is_word(version)
        || (!group.is_empty() && !is_word(group))
    {
        return Err(invalid("apiVersion", api_version));
    }
    check("kind", kind, is_word)?;
    check("metadata.name", name, is_segment)?;
    if let Some(namespace) = namespace {
        check("metadata.namespace", namespace, is_word)?;
    }
    Ok(ObjectId {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    })
}

fn required<'a>(value: Option<&'a Value>, field: &'static str) -> Result<&'a str, Fault> {
    optional(value, field)?.ok_or(Fault::Missing(field))
}

fn optional<'a>(value: Option<&'a Value>, field: &'static str) -> Result<Option<&'a str>, Fault> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(other) => Err(Fault::NotAString { field, found: type_name(other) }),
    }
}

fn check(field: &'static str, value: &str, rule: impl Fn(&str) -> bool) -> Result<(), Fault> {
    if rule(value) { Ok(()) } else { Err(invalid(field, value)) }
}

fn invalid(field: &'static str, value: &str) -> Fault {
    Fault::Invalid { field, value: value.to_owned() }
}

/// Letters, digits, `-` and `.`: what namespaces, groups, versions and kinds are made of, loosely.
fn is_word(text: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric();
    text.len() <= LONGEST_NAME
        && text.bytes().all(|b| is_letter(b) || b == b'-' || b == b'.')
        && text.bytes().next().is_some_and(is_letter)
        && text.bytes().next_back().is_some_and(is_letter)
}

/// The rule that holds for all names, since they stand in paths: [`IsValidPathSegmentName`][1].
///
/// [1]: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names
fn is_segment(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text != "."
        && text != ".."
        && !text.contains(['/', '%'])
        && !text.chars().any(char::is_control)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false, quote it",
        Value::Number(_) => "a number, quote it",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn refuse_twice(objects: &[Object]) -> Result<(), ReadError> {
    let mut seen = HashMap::new();
    for object in objects {
        if let Some(first) = seen.insert(object.id().key(), object) {
            let fault =
                Fault::Twice { id: Box::new(object.id().clone()), first: Box::new(first.source().clone()) };
            return Err(ReadError { source_place: object.source().clone(), fault });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
