//! States, notes, rebase, queue, landing and ledger of git-deploy.
//!
//! The modules are pure functions of data, but for [`git`], which is the only one that reads and writes, and the use
//! cases that are put together from both (`ops`).

pub mod branch;
pub mod config;
pub mod git;
pub mod ids;
pub mod ledger;
pub mod note;
pub mod queue;
pub mod rebase;
pub mod state;
pub mod sync;
