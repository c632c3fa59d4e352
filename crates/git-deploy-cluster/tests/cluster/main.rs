//! What the crate does, against a real API server.

mod access;
mod changes;
mod lease;
mod set;
mod support;
mod verify;
