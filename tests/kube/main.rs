//! `git deploy` into a real cluster, from the queue to the ledger.

mod failure;
mod kill;
mod order;
mod shop;
mod support;
