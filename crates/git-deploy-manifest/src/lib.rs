//! Manifests of git-deploy: read, set images, lint, write; and what is pure about a cluster: the set, the order of things,
//! differences, readiness, what is secret.
//!
//! Bytes become [`Object`]s ([`read()`]), objects get the commit's images ([`set_images`]), are held against the
//! rules ([`lint()`]) and become bytes again, one file an object ([`write()`], [`Object::file_name`]).
//!
//! Nothing here reads a file, runs a program, or knows git or a cluster. The rule that decides all questions about
//! reading: a file means what kubectl makes of it.

mod applyset;
mod config_hash;
mod diff;
pub mod fields;
mod images;
mod lint;
mod mask;
mod normalise;
mod object;
mod one_time;
mod read;
pub mod readiness;
mod redact;
mod references;
pub mod rights;
mod split;
mod stage;
pub mod value;
mod write;
mod yaml;

pub use applyset::{
    Extent, GroupKind, ID_LABEL, KINDS_ANNOTATION, NAMESPACES_ANNOTATION, PART_OF_LABEL, SetId, SetName,
    TOOLING_ANNOTATION, is_our_tooling, part_of, tool_of, tooling,
};
pub use config_hash::{CONFIG_HASH, set_config_hashes};
pub use diff::{comparable, diff};
pub use images::{ImageUpdate, ImageUse, always_pulled, images, own_images, pull_policy, set_images};
pub use lint::{Finding, RULES, Rule, Severities, Severity, SeverityError, UnknownRule, lint};
pub use mask::without_values;
pub use normalise::{Circumstances, Duplicate, autoscaled, duplicates, normalise};
pub use object::{Object, ObjectId, Source};
pub use one_time::{ONCE_PATHS, ROLLBACK, is_one_time, is_rollback_safe, name_by_identity, once_paths};
pub use read::{Fault, ReadError, SourceFile, read};
pub use redact::{is_redacted, redacted};
pub use references::{Reference, references};
pub use stage::{KEEP, ONE_TIME, ORDER, Stage, is_kept, order, selector_changes};
pub use write::write;
pub use yaml::YamlFault;
