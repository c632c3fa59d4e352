//! What a server takes, and what it does not: real pushes by plain git, to a repository that `git deploy-init --server`
//! has set up.

mod approval;
mod base;
#[cfg(feature = "cluster")]
mod deployments;
mod landed;
mod ledger;
mod mended;
mod notes;
mod scene;
mod servers;
mod setup;
