//! How many of the wanted pods are ready: what a status shows.

use serde_json::Value;

use super::value::{count, number, text};
use super::{Row, row};
use crate::object::ObjectId;

/// How many pods of an object are ready, and how many are wanted; `None` for a kind without pods of its own.
///
/// A Job counts those that succeeded.
pub fn ready_of_wanted(id: &ObjectId, object: &Value) -> Option<(u64, u64)> {
    let of = |ready: i64, wanted: i64| {
        Some((u64::try_from(ready).unwrap_or_default(), u64::try_from(wanted).unwrap_or_default()))
    };
    match row(id) {
        Row::Deployment | Row::StatefulSet | Row::ReplicaSet => {
            of(count(object, "/status/readyReplicas"), number(object, "/spec/replicas").unwrap_or(1))
        }
        Row::DaemonSet => {
            of(count(object, "/status/numberReady"), count(object, "/status/desiredNumberScheduled"))
        }
        Row::Job => of(
            count(object, "/status/succeeded"),
            number(object, "/spec/completions").or(number(object, "/spec/parallelism")).unwrap_or(1),
        ),
        Row::Pod => {
            let ready = super::value::condition(object, "Ready").is_some_and(|found| found.is("True"));
            let done = text(object, "/status/phase") == "Succeeded";
            of(i64::from(ready || done), 1)
        }
        Row::Service
        | Row::Ingress
        | Row::Claim
        | Row::Definition
        | Row::Autoscaler
        | Row::Namespace
        | Row::ApiService
        | Row::Inert
        | Row::Other => None,
    }
}
