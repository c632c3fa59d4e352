//! The rebase engine against `git rebase`: real git gives the expected values.
//!
//! Random histories come from fixed seeds. `GIT_DEPLOY_REBASE_SEEDS=500` tries more of them,
//! `GIT_DEPLOY_REBASE_FIRST_SEED=123` begins with another one.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod attributes;
mod histories;
mod lab;
mod oracle;
mod random;
mod rules;
