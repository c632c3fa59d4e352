//! Events of the parser to a tree of nodes that know their lines.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};

use super::scalar::Scalar;
use super::{At, YamlFault};

/// A node and the line where it begins, 1 for the document's first.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Data {
    Scalar(Scalar),
    /// An unquoted `<<`: merges as a key, the text `<<` elsewhere.
    Merge,
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
    Alias(Rc<Node>),
}

/// A collection whose end has not been seen.
struct Open {
    line: usize,
    anchor: usize,
    is_flow: bool,
    is_mapping: bool,
    children: Vec<Rc<Node>>,
}

/// Reads the one document in `text`; none if there is nothing but comments.
pub(crate) fn compose(text: &str) -> Result<Option<Rc<Node>>, At> {
    let options = granit_parser::options! { emit_comments: false };
    let mut composer = Composer::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| syntax(&error))?;
        let line = span.start.line();
        let behind = span.byte_range().and_then(|range| text.get(range.end..)).unwrap_or_default();
        composer.take(event, line, behind).map_err(|fault| At { line, fault })?;
    }
    Ok(composer.root)
}

fn syntax(error: &ScanError) -> At {
    At { line: error.marker().line().max(1), fault: YamlFault::Syntax(error.kind().to_string()) }
}

#[derive(Default)]
struct Composer {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    documents: usize,
    root: Option<Rc<Node>>,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, line: usize, behind: &str) -> Result<(), YamlFault> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(YamlFault::AfterEnd);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::Plain && self.open.last().is_some_and(|parent| parent.is_flow) {
                    refuse_what_readers_disagree_about(&text, tag.is_some(), behind)?;
                }
                let data = scalar(&text, style, tag.as_deref())?;
                self.place(Node { line, data }, anchor);
            }
            Event::SequenceStart(style, anchor, _) => self.begin(line, anchor, style, false),
            Event::MappingStart(style, anchor, _) => self.begin(line, anchor, style, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).ok_or(YamlFault::AliasLoop)?;
                let data = Data::Alias(Rc::clone(target));
                self.place(Node { line, data }, 0);
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, line: usize, anchor: usize, style: StructureStyle, is_mapping: bool) {
        let is_flow = style == StructureStyle::Flow || self.open.last().is_some_and(|parent| parent.is_flow);
        self.open.push(Open { line, anchor, is_flow, is_mapping, children: Vec::new() });
    }

    fn end(&mut self) {
        let Some(Open { line, anchor, is_mapping, children, .. }) = self.open.pop() else { return };
        let data = if is_mapping { Data::Mapping(pairs(children)) } else { Data::Sequence(children) };
        self.place(Node { line, data }, anchor);
    }

    fn place(&mut self, node: Node, anchor: usize) {
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }
}

fn pairs(children: Vec<Rc<Node>>) -> Vec<(Rc<Node>, Rc<Node>)> {
    let mut pairs = Vec::with_capacity(children.len() / 2);
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Data, YamlFault> {
    Ok(match tag.map(tag_name) {
        None if style == ScalarStyle::Plain && text == "<<" => Data::Merge,
        None if style == ScalarStyle::Plain => Data::Scalar(Scalar::plain(text)),
        None => Data::Scalar(Scalar::Str(text.to_owned())),
        Some(tag) if tag == "merge" && text == "<<" => Data::Merge,
        Some(tag) => Data::Scalar(Scalar::tagged(text, &tag)?),
    })
}

/// Between brackets, go-yaml takes each `?` for the beginning of a key, a `:` in front of another sign for a part
/// of the word, and a comma behind a tag for a part of the tag.
fn refuse_what_readers_disagree_about(text: &str, has_tag: bool, behind: &str) -> Result<(), YamlFault> {
    let is_key_for_some =
        behind.strip_prefix(':').is_some_and(|rest| rest.starts_with([',', '[', ']', '{', '}']));
    if is_key_for_some {
        return Err(YamlFault::Flow(format!("{text}:")));
    }
    if has_tag && text.is_empty() {
        return Err(YamlFault::Flow("!".to_owned()));
    }
    if text.contains('?') { Err(YamlFault::Flow(text.to_owned())) } else { Ok(()) }
}

fn tag_name(tag: &Tag) -> String {
    let whole = tag.to_string();
    match whole.strip_prefix("tag:yaml.org,2002:").or_else(|| whole.strip_prefix("!!")) {
        Some(core) => core.to_owned(),
        None => whole,
    }
}
