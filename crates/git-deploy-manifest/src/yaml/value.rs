//! Tree of nodes to JSON value: aliases, merge keys, duplicate keys.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::compose::{Data, Node};
use super::{At, YamlFault};

/// How deep a value may be nested; serde_json itself refuses to read more than 128.
const DEEPEST: usize = 120;
/// What aliases of one document may add, in bytes; the API server takes objects of about 1.5 MB.
const LARGEST_EXPANSION: usize = 4 << 20;

/// The JSON value of a document.
pub(crate) fn value(root: &Node) -> Result<Value, At> {
    Converter::default().value(root)
}

#[derive(Default)]
struct Converter {
    depth: usize,
    aliases: usize,
    expanded: usize,
}

impl Converter {
    fn value(&mut self, node: &Node) -> Result<Value, At> {
        let at = |fault: YamlFault| At { line: node.line, fault };
        match &node.data {
            Data::Scalar(scalar) => {
                let value = scalar.clone().into_value().map_err(|fault| at(fault.into()))?;
                self.pay(value.as_str().map_or(0, str::len)).map_err(at)?;
                Ok(value)
            }
            Data::Merge => Ok(Value::from("<<")),
            Data::Alias(target) => self.within_alias(|inner| inner.value(target)),
            Data::Sequence(items) => {
                self.enter().map_err(at)?;
                let values = items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
                self.depth -= 1;
                Ok(Value::Array(values))
            }
            Data::Mapping(pairs) => {
                self.enter().map_err(at)?;
                let mapping = self.mapping(pairs)?;
                self.depth -= 1;
                Ok(Value::Object(mapping))
            }
        }
    }

    /// A mapping; `<<` overrides what stands above it and is overridden by what stands below, as in Go.
    fn mapping(
        &mut self,
        pairs: &[(std::rc::Rc<Node>, std::rc::Rc<Node>)],
    ) -> Result<Map<String, Value>, At> {
        let mut mapping = Map::new();
        let mut written = HashSet::new();
        for (key_node, value_node) in pairs {
            if matches!(key_node.data, Data::Merge) {
                self.merge(value_node, &mut mapping)?;
                continue;
            }
            let at = |fault: YamlFault| At { line: key_node.line, fault };
            let key = key(key_node).map_err(at)?;
            self.pay(key.len()).map_err(at)?;
            if !written.insert(key.clone()) {
                return Err(at(YamlFault::DuplicateKey(key)));
            }
            mapping.insert(key, self.value(value_node)?);
        }
        Ok(mapping)
    }

    fn merge(&mut self, node: &Node, into: &mut Map<String, Value>) -> Result<(), At> {
        let refuse = At { line: node.line, fault: YamlFault::Merge };
        match &node.data {
            Data::Sequence(items) => {
                for item in items.iter().rev() {
                    let Value::Object(merged) = self.value(item)? else { return Err(refuse) };
                    into.extend(merged);
                }
            }
            _ => {
                let Value::Object(merged) = self.value(node)? else { return Err(refuse) };
                into.extend(merged);
            }
        }
        Ok(())
    }

    fn within_alias(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, At>) -> Result<Value, At> {
        self.aliases += 1;
        let value = read(self);
        self.aliases -= 1;
        value
    }

    fn enter(&mut self) -> Result<(), YamlFault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(YamlFault::Depth(DEEPEST));
        }
        self.pay(0)
    }

    /// Counts what would not be there without aliases.
    fn pay(&mut self, bytes: usize) -> Result<(), YamlFault> {
        if self.aliases > 0 {
            self.expanded += bytes + size_of::<Value>();
            if self.expanded > LARGEST_EXPANSION {
                return Err(YamlFault::AliasBomb(LARGEST_EXPANSION));
            }
        }
        Ok(())
    }
}

fn key(node: &Node) -> Result<String, YamlFault> {
    match &node.data {
        Data::Scalar(scalar) => Ok(scalar.clone().into_key()?),
        Data::Merge => Ok("<<".to_owned()),
        Data::Alias(target) => key(target),
        Data::Sequence(_) => Err(YamlFault::Key("a list")),
        Data::Mapping(_) => Err(YamlFault::Key("a mapping")),
    }
}
