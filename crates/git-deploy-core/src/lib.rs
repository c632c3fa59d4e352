//! States, notes, rebase, queue, landing and ledger of git-deploy.
pub mod config;
