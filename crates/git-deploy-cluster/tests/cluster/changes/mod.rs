//! Plan, apply and prune, against a real API server.

mod connecting;
mod jobs;
mod lab;
mod ownership;
mod planning;
mod pruning;
mod refusals;
mod traps;
mod trouble;
