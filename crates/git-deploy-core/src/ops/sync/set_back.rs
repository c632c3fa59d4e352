//! Base that was set back on the remote to before what was deployed: who syncs hears of that, not only who deploys.

use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{DeploymentId, RefName};
use crate::ops::Observer;
use crate::ops::view::{View, read_deployment};

/// How many deployments are named to people.
const NAMED: usize = 3;

/// Tells which deployments base lacks that landed on it, by what was just fetched. It only moves forward: where it has the latest,
/// it has all that count. What cannot be found out of that is told by whoever deploys.
pub(super) fn tell(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) {
    // Another remote decides nothing.
    let view = View::new(repository).ok().filter(|view| view.settings.remote.as_ref() == Some(tracking));
    let Some(view) = view else { return };
    let lost = lost(&view, tracking).unwrap_or_default();
    let mut named: Vec<String> = lost.iter().take(NAMED).map(ToString::to_string).collect();
    if let more @ 1.. = lost.len().saturating_sub(NAMED) {
        named.push(format!("{more} more"));
    }
    if !named.is_empty() {
        let base = view.settings.authority(&view.settings.base);
        observer.warn(&format!("'{}' was set back, and lacks {}", base.short(), named.join(", ")));
    }
}

/// The deployments that landed, as the remote has them, the latest first, as far as base has them not.
fn lost(view: &View<'_>, tracking: &Tracking) -> Result<Vec<DeploymentId>, GitError> {
    let repository = view.repository;
    let Some(base_tip) = view.base_tip()? else { return Ok(Vec::new()) };
    // Not those that are ours alone, as of another project that this one was made from.
    let there = tracking.tags();
    let id = |name: &RefName| name.as_str().strip_prefix(&there)?.parse::<DeploymentId>().ok();
    let tags = repository.refs(&there)?.into_iter();
    let mut tags: Vec<_> = tags.filter_map(|tag| Some((id(&tag.name)?, tag.target))).collect();
    // Others than that which lands bring nothing to base.
    tags.retain(|(id, _)| id.environment.is_none());
    tags.sort_by_key(|(id, _)| std::cmp::Reverse(id.number));
    let mut lost = Vec::new();
    for (id, target) in tags {
        let Ok(deployment) = read_deployment(repository, id, target)? else { continue };
        if !deployment.landed() {
            continue;
        }
        // What is not here, as in a shallow clone, says nothing.
        let is_here = repository.find(deployment.commit.0)?.is_some();
        if !is_here || repository.is_ancestor(deployment.commit, base_tip)? {
            break;
        }
        lost.push(deployment.id);
    }
    let is_cut_off = !lost.is_empty() && repository.is_cut_off(base_tip)?;
    Ok(if is_cut_off { Vec::new() } else { lost })
}
