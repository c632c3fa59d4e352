//! How an environment stands, as it says itself.

use std::fmt;

use jiff::Timestamp;

use crate::attempt::Lock;
use crate::deployment::Failure;
use crate::ids::DeploymentId;

/// What an object is known by; displays as `Deployment 'shop/web'`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Such as `Deployment`; empty for a file that holds no object.
    pub kind: String,
    /// The namespace, where one is known.
    pub namespace: Option<String>,
    /// Its name; the path of a file that holds no object.
    pub name: String,
    /// Group and version, such as `apps/v1`; empty for a file that holds no object.
    pub api_version: String,
}

impl ObjectName {
    /// A file that holds no object.
    pub fn of_file(path: &str) -> Self {
        Self { kind: String::new(), namespace: None, name: path.to_owned(), api_version: String::new() }
    }

    /// The name in one word, for programs: `Deployment/shop/web`.
    pub fn word(&self) -> String {
        let pieces = [Some(self.kind.as_str()), self.namespace.as_deref(), Some(self.name.as_str())];
        let pieces: Vec<&str> = pieces.into_iter().flatten().filter(|piece| !piece.is_empty()).collect();
        pieces.join("/")
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), &self.namespace) {
            ("", _) => f.write_str(&self.name),
            (kind, Some(namespace)) => write!(f, "{kind} '{namespace}/{}'", self.name),
            (kind, None) => write!(f, "{kind} '{}'", self.name),
        }
    }
}

/// One workload as it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Which.
    pub object: ObjectName,
    /// How many of its pods are ready.
    pub ready: u64,
    /// How many there should be.
    pub wanted: u64,
    /// What is wrong with it, or what it waits for; none if it is as it should be.
    pub trouble: Option<String>,
}

/// How an object differs from what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It is another.
    Changed,
    /// It is not there.
    Missing,
    /// It is there and was not applied.
    Extra,
}

impl Difference {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Extra => "extra",
        }
    }
}

/// Whose a difference is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// A person's, with the tool that it was done with where that is known.
    Person(Option<String>),
    /// A program's that writes by itself, under this name.
    Program(String),
    /// Ours: this deployment did it, or one that is not known by its number, and it was not taken back.
    Deployment(Option<DeploymentId>),
}

/// An object that differs from what was applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drift {
    /// How.
    pub what: Difference,
    /// Which.
    pub object: ObjectName,
    /// Whose that is.
    pub by: Author,
    /// The difference from how it is to how it was applied, as a unified diff where there is one. Values of Secrets are
    /// masked.
    pub diff: Option<String>,
}

/// An object that is not wanted any more and stays on purpose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// Which.
    pub object: ObjectName,
    /// Why it stays.
    pub why: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

/// What stands in an environment just now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What runs there; nothing where nothing can run.
    pub workloads: Vec<Workload>,
    /// What differs from what was applied last.
    pub drift: Vec<Drift>,
    /// What stays on purpose although it is not wanted any more.
    pub left: Vec<Left>,
    /// Who changes it just now, as the environment itself knows it.
    pub holder: Option<Lock>,
    /// The deployment that it says to have been given last, and how far that has come.
    pub says: Option<String>,
    /// What closes the way back to what stood there before: then only forward is safe.
    pub forward_only: Option<String>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// What an environment has of a set, whatever was applied last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leftover {
    /// What we have applied and is there still.
    pub objects: Vec<ObjectName>,
    /// Those of them that are not to be taken away together with the others, and why: what they hold would be lost.
    pub stays: Vec<Left>,
    /// The label that all of it carries, as a selector.
    pub selector: String,
}

/// What an environment keeps for a while that is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// Whether there is something to do about it now.
    pub is_due: bool,
    /// When there will be, where that is known.
    pub next: Option<Timestamp>,
}

/// What was done about that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tidied {
    /// What was deleted.
    pub deleted: Vec<ObjectName>,
    /// Why not all of it was that should have been.
    pub undone: Option<Failure>,
    /// When there will be something to do again, where that is known.
    pub next: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_a_name_for_people_and_one_for_programs() {
        let name = |kind: &str, namespace: Option<&str>| ObjectName {
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: "web".to_owned(),
            api_version: "v1".to_owned(),
        };
        let both = |name: &ObjectName| (name.to_string(), name.word());
        let expected = |people: &str, programs: &str| (people.to_owned(), programs.to_owned());
        assert_eq!(both(&name("Service", Some("shop"))), expected("Service 'shop/web'", "Service/shop/web"));
        assert_eq!(both(&name("Service", None)), expected("Service 'web'", "Service/web"));
        assert_eq!(both(&ObjectName::of_file("a/README.md")), expected("a/README.md", "a/README.md"));
    }
}
