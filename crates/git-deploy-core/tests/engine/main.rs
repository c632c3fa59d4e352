//! The rebase engine against `git rebase`: real git gives the expected values.
//!
//! Here is a test for each rule; random histories are compared by `cargo xtask differential`, some of them in every run of
//! the tests.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod attributes;
mod lab;
mod oracle;
mod rules;
