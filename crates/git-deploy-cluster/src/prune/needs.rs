//! What live pods, and templates of pods to come, still need: that stays.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use git_deploy_manifest::value::{is_being_deleted, is_true};
use git_deploy_manifest::{GroupKind, ObjectId, references, rights};

use crate::api_error::ApiErrorKind;
use crate::connect::Connection;
use crate::discovery::Resources;
use crate::members::{self, ListError, Member};
use crate::objects::{Depth, IN_FLIGHT};
use crate::target::Target;

use super::guards::{is_needed_by_name, owner_uids};

/// Which of the deletions are needed by something that stays, and by what.
///
/// Before anything is applied, `planned` stand for what is there of them now, and for the pods of these.
pub(super) async fn needed(
    connection: &Connection,
    resources: &Resources,
    deletions: &[&Member],
    planned: Option<&[Target]>,
) -> Result<BTreeMap<ObjectId, String>, ListError> {
    let by_name: Vec<&&Member> =
        deletions.iter().filter(|member| is_needed_by_name(&GroupKind::from(&member.id))).collect();
    let namespaces: BTreeSet<&String> =
        by_name.iter().filter_map(|member| member.id.namespace.as_ref()).collect();
    let mut kept = BTreeMap::new();
    for namespace in namespaces {
        let candidates = || by_name.iter().filter(|member| member.id.namespace.as_ref() == Some(namespace));
        let there = match all_that_needs(connection, resources, namespace).await {
            Ok(there) => there,
            Err(error) if *error.why.kind() == ApiErrorKind::Forbidden => {
                let why = format!("it cannot be seen whether something needs it: {error}");
                kept.extend(candidates().map(|member| (member.id.clone(), why.clone())));
                continue;
            }
            Err(error) => return Err(error),
        };
        let planned = planned.unwrap_or_default();
        let replaced = |object: &&Member| planned.iter().any(|target| target.id.is_same(&object.id));
        let mut going = with_all_of_theirs(&there, deletions.iter().map(|deletion| deletion.uid()));
        going.extend(with_all_of_theirs(&there, there.iter().filter(replaced).map(Member::uid)));
        let stays = there.iter().filter(|object| !going.contains(object.uid()) && is_alive(object));
        let stays = stays.map(|object| (&object.id, &object.live));
        let comes = planned
            .iter()
            .filter(|target| target.id.namespace.as_ref() == Some(namespace))
            .map(|target| (&target.id, &target.wanted));
        for (id, object) in stays.chain(comes) {
            let needs = references(object);
            for candidate in candidates() {
                let names = |reference: &git_deploy_manifest::Reference| {
                    reference.kind == candidate.id.kind && reference.name == candidate.id.name
                };
                if needs.iter().any(names) {
                    kept.entry(candidate.id.clone()).or_insert_with(|| format!("{id} needs it"));
                }
            }
        }
    }
    Ok(kept)
}

async fn all_that_needs(
    connection: &Connection,
    resources: &Resources,
    namespace: &str,
) -> Result<Vec<Member>, ListError> {
    let kinds = rights::needing().filter_map(|kind| resources.find_kind(&kind).map(|(resource, _)| resource));
    let mut lists = stream::iter(kinds)
        .map(|kind| members::list(connection, kind, Some(namespace.to_owned()), "", Depth::Whole))
        .buffer_unordered(IN_FLIGHT);
    let mut there = Vec::new();
    while let Some(list) = lists.next().await {
        there.extend(list?);
    }
    // What people wrote is named rather than what came of it.
    let is_made = |member: &Member| matches!(member.id.kind.as_str(), "Pod" | "ReplicaSet");
    there.sort_by(|a, b| (is_made(a), &a.id).cmp(&(is_made(b), &b.id)));
    Ok(there)
}

/// These UIDs, and those of all that goes with them: a Deployment, its ReplicaSets, their pods.
fn with_all_of_theirs<'a>(there: &'a [Member], uids: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut going: BTreeSet<&str> = uids.collect();
    loop {
        let more: Vec<&str> = there
            .iter()
            .filter(|object| !going.contains(object.uid()))
            .filter(|object| owner_uids(&object.live).any(|owner| going.contains(owner)))
            .map(Member::uid)
            .collect();
        if more.is_empty() {
            return going;
        }
        going.extend(more);
    }
}

/// Whether it runs, or will make pods that do.
fn is_alive(object: &Member) -> bool {
    let live = &object.live;
    if is_being_deleted(live) {
        return false;
    }
    match object.id.kind.as_str() {
        "Pod" => !matches!(live["status"]["phase"].as_str(), Some("Succeeded" | "Failed")),
        // Kept for going back to an older revision only.
        "ReplicaSet" => live["spec"]["replicas"] != 0,
        "Job" => !["Complete", "Failed"].into_iter().any(|end| is_true(live, end)),
        _ => true,
    }
}
