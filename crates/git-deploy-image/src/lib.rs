//! The images of git-deploy: how an image that was built from a commit is called, how a name that somebody wrote into
//! a manifest is read, how an image is built and pushed, and what a registry has under its name.
//!
//! `{container-namespace}/{project-namespace}-{container-name}:{git-hash}`, with a registry's address in front
//! where there is one. The tag is the commit's short hash: a tag that moves, such as `latest`, cannot be formed.
//!
//! Names ([`ImageName`], [`Reference`]) are pure: they know neither files nor programs nor a registry. [`run`] is what
//! runs programs, and [`steps`] what runs a build's own.

pub mod builder;
mod cause;
mod credentials;
mod disk;
mod grammar;
mod insecure;
mod name;
mod reference;
#[cfg(feature = "registry")]
pub mod registry;
pub mod run;
pub mod steps;
mod workspace;

pub use cause::Cause;
pub use credentials::{without_credentials, without_passwords};
pub use disk::{FullDisk, Room};
pub use grammar::Flaw;
pub use insecure::Insecure;
pub use name::{ImageName, ImageRepository, NameError, Part};
pub use reference::{Digest, Reference, ReferenceError};
pub use workspace::Workspace;

/// The label of an image that says which commit it was made from, by the commit's whole id.
///
/// See [OCI's annotations](https://github.com/opencontainers/image-spec/blob/main/annotations.md).
pub const REVISION: &str = "org.opencontainers.image.revision";
