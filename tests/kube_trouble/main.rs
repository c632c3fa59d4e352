//! What can be wrong with a cluster, with the way to it, and with what is sent there: one clear error, nothing lost, and a
//! state of git and cluster that is said.

mod comebacks;
mod conflicts;
mod identity;
mod kinds;
mod logins;
mod meddling;
mod moments;
mod outages;
mod reaching;
mod refusals;
mod rights;
mod secrets;
mod support;
