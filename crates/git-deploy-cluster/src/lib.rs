//! The cluster's side of git-deploy: plan, apply, watch, prune, and who may do that.
//!
//! The only crate that changes a cluster. What is pure about it - the order of things, readiness, ownership, differences -
//! is in `git-deploy-manifest`.

mod target;

pub use target::{Applied, Target};
