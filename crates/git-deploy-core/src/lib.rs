//! States, notes, rebase, queue, landing and ledger of git-deploy.
//!
//! The modules are pure functions of data, but for [`git`], which is the only one that reads and writes, and the use
//! cases that are put together from both (`ops`).

pub mod approval;
pub mod attempt;
pub mod branch;
pub mod candidate;
pub mod config;
pub mod deployment;
pub mod environment;
pub mod forecast;
pub mod git;
pub mod hold;
pub mod ids;
pub mod interrupt;
pub mod land;
pub mod ledger;
pub mod machine;
pub mod note;
pub mod ops;
pub mod promotion;
pub mod queue;
pub mod rebase;
pub mod receive;
pub mod record;
pub mod revert;
pub mod runner;
pub mod state;
pub mod sync;
