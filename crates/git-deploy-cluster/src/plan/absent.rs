//! What is not there yet, found out by a list of names rather than object by object.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::stream::{self, StreamExt};

use crate::connect::Connection;
use crate::discovery::Resources;
use crate::objects::IN_FLIGHT;
use crate::target::Target;

/// From so many objects of one kind in one namespace on a list costs less than asking for each.
const WORTH_A_LIST: usize = 4;

/// Version and plural of a kind, and a namespace.
type Collection<'a> = (&'a str, &'a str, Option<&'a str>);

/// Which targets are certainly not there, by their place among the targets. Where that cannot be told cheaply, none is
/// named: then it is asked for.
pub(super) async fn absent<'a>(
    connection: &Connection,
    resources: &Resources,
    candidates: impl IntoIterator<Item = (usize, &'a Target)>,
) -> HashSet<usize> {
    let mut places: BTreeMap<Collection<'a>, Vec<(usize, &'a Target)>> = BTreeMap::new();
    for (index, target) in candidates {
        let resource = &target.resource;
        let is_served = resources.find(&resource.group, &resource.version, &resource.kind).is_some();
        if is_served {
            let place =
                (resource.api_version.as_str(), resource.plural.as_str(), target.id.namespace.as_deref());
            places.entry(place).or_default().push((index, target));
        }
    }
    let worth = places.into_values().filter(|targets| targets.len() >= WORTH_A_LIST);
    stream::iter(worth)
        .map(async |targets| {
            let (_, first) = targets[0];
            let there = connection.few_names(&first.resource, first.id.namespace.as_deref()).await;
            // Whoever may not list asks for each: the answer then says what is wrong.
            let there: BTreeSet<String> = there.ok().flatten()?;
            Some(targets.into_iter().filter(move |(_, target)| !there.contains(&target.id.name)))
        })
        .buffer_unordered(IN_FLIGHT)
        .filter_map(async |absent| absent)
        .flat_map(stream::iter)
        .map(|(index, _)| index)
        .collect()
        .await
}
