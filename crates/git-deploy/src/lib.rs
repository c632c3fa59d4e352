//! What several binaries of this package share: where a commit is deployed to, what makes objects of it, and what it means
//! where that fails.
//!
//! This is no interface for others: the programs are.

pub mod describe;
pub mod failures;
pub mod render;
#[cfg(feature = "cluster")]
pub mod site;
