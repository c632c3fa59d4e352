//! YAML as Kubernetes means it: text to JSON value and back.
//!
//! `granit-parser` finds the structure; what the words in it mean is decided here, because Kubernetes reads YAML
//! 1.1 with the habits of one Go library. No input may panic, run long or take much memory: nesting and the
//! expansion of aliases are bounded.

mod compose;
mod emit;
mod fault;
mod scalar;
mod value;

pub(crate) use compose::{Data, Node, compose};
pub(crate) use emit::emit;
pub(crate) use fault::At;
pub use fault::YamlFault;
pub(crate) use value::value;
