//! Manifests of git-deploy: read, set images, lint, write.
//!
//! Bytes become [`Object`]s ([`read()`]), objects get the commit's images ([`set_images`]), are held against the
//! rules ([`lint()`]) and become bytes again, one file an object ([`write()`], [`Object::file_name`]).
//!
//! Nothing here reads a file, runs a program, or knows git or a cluster. The rule that decides all questions about
//! reading: a file means what kubectl makes of it.

mod applyset;
mod images;
mod lint;
mod object;
mod read;
pub mod readiness;
mod redact;
mod split;
mod write;
mod yaml;

pub use applyset::{
    Extent, GroupKind, ID_LABEL, KINDS_ANNOTATION, NAMESPACES_ANNOTATION, PART_OF_LABEL, SetId, SetName,
    TOOLING_ANNOTATION, is_our_tooling, part_of, tool_of, tooling,
};
pub use images::{ImageUpdate, ImageUse, images, set_images};
pub use lint::{Finding, RULES, Rule, Severities, Severity, SeverityError, UnknownRule, lint};
pub use object::{Object, ObjectId, Source};
pub use read::{Fault, ReadError, SourceFile, read};
pub use redact::{is_redacted, redacted};
pub use write::write;
pub use yaml::YamlFault;
