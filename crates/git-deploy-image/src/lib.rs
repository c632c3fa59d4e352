//! Image names of git-deploy: how an image that was built from a commit is called, and how a name that
//! somebody wrote into a manifest is read.
//!
//! `{container-namespace}/{project-namespace}-{container-name}:{git-hash}`, with a registry's address in front
//! where there is one. The tag is the commit's short hash: a tag that moves, such as `latest`, cannot be formed.
//!
//! Names know neither files nor programs; [`run`] is what runs programs, and [`steps`] what runs a build's own.

mod grammar;
mod name;
mod reference;
pub mod run;
pub mod steps;

pub use grammar::Flaw;
pub use name::{ImageName, ImageRepository, NameError, Part};
pub use reference::{Digest, Reference, ReferenceError};
