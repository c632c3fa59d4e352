//! The set of objects that belong together, as [KEP-3659 (ApplySet)][1] marks them: what its parent is called, how the
//! members are labelled, and which kinds and namespaces members may be found in.
//!
//! [1]: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::ObjectId;

/// A kind without its version; displays as `Deployment.apps`, as `ConfigMap` for core.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// The API group; empty for core.
    pub group: String,
    /// Such as `Deployment`.
    pub kind: String,
}

impl From<&ObjectId> for GroupKind {
    fn from(id: &ObjectId) -> Self {
        Self { group: id.group.clone(), kind: id.kind.clone() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => write!(f, "{}", self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

impl FromStr for GroupKind {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self { group: group.to_owned(), kind: kind.to_owned() })
    }
}
