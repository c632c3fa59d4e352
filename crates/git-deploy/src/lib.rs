//! What several binaries of this package share: where a commit is deployed to, and what makes objects of it.
//!
//! This is no interface for others: the programs are.

#[cfg(feature = "registry")]
pub mod build;
pub mod describe;
pub mod images;
pub mod landed;
pub mod rebased;
#[cfg(feature = "cluster")]
pub mod render;
#[cfg(feature = "cluster")]
pub mod site;
