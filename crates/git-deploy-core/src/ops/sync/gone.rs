//! What is gone on a remote. A fetch forgets that, and what it keeps of the remote may be all that this clone has of it: a
//! deployment is never lost by somebody else's hand, and what somebody has deleted must not come back as if it were new.

use std::collections::{BTreeMap, BTreeSet};

use super::{SyncError, fetch_again};
use crate::git::object::{Kind, parse_tag};
use crate::git::push::Tracking;
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::git::{GitError, Repository};
use crate::ids::{DeploymentId, ObjectId, RefName};
use crate::ledger::Deployment;
use crate::ops::Observer;

/// Where our tags are.
const OURS: &str = "refs/tags/";

/// How many tags are named to people.
const NAMED: usize = 3;

/// Fetches all that counts, and changes nothing that is ours but for deployments that are gone there.
///
/// # Errors
/// When the remote cannot be reached, or what was fetched cannot be kept here.
pub fn fetch_only(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    let before = before(repository, tracking)?;
    let fetched = fetch_again(repository, tracking);
    tell(&after(repository, tracking, &before)?, tracking, observer);
    fetched
}

/// What this clone had of a remote before a fetch.
struct Before {
    tags: BTreeMap<DeploymentId, ObjectId>,
    heads: BTreeMap<RefName, ObjectId>,
}

/// A deployment's tag that is gone.
struct Gone {
    id: DeploymentId,
    /// The ref that keeps it, where that is not the tag itself.
    aside: Option<RefName>,
}

/// Looks what this clone has of a remote, and keeps what it has nowhere else where no fetch forgets it: a fetch forgets first,
/// and may be ended before it has brought anything.
///
/// # Errors
/// When refs cannot be read or written.
fn before(repository: &Repository, tracking: &Tracking) -> Result<Before, GitError> {
    let (tags, heads) = (tags_of(repository, &tracking.tags())?, heads_of(repository, tracking)?);
    let ours = tags_of(repository, OURS)?;
    let alone: Vec<_> = tags.iter().filter(|(id, target)| ours.get(id) != Some(target)).collect();
    if !alone.is_empty() {
        let kept: BTreeSet<RefName> =
            kept_tags(repository, tracking)?.into_iter().map(|(name, ..)| name).collect();
        let names =
            alone.iter().filter_map(|(id, target)| Some((kept_tag(tracking, id, **target)?, **target)));
        let missing = names.filter(|(name, _)| !kept.contains(name));
        let keep = missing.map(|(name, target)| RefUpdate { name, old: Expected::Absent, new: Some(target) });
        write(repository, &keep.collect::<Vec<_>>())?;
    }
    Ok(Before { tags, heads })
}

/// Looks what is gone since then, be it that the fetch has ended or was. A deployment's tag that is nowhere else becomes ours;
/// where ours is another, and of what is no deployment, the object stays aside. Returns the tags that are gone.
///
/// # Errors
/// When refs cannot be read or written.
fn after(repository: &Repository, tracking: &Tracking, before: &Before) -> Result<Vec<Gone>, GitError> {
    let (tags, heads) = (tags_of(repository, &tracking.tags())?, heads_of(repository, tracking)?);
    let mut gone: BTreeMap<DeploymentId, Option<RefName>> = BTreeMap::new();
    gone.extend(before.tags.keys().filter(|id| !tags.contains_key(id)).map(|id| (id.clone(), None)));
    let mut updates = Vec::new();
    for (name, id, target) in kept_tags(repository, tracking)? {
        let ours = repository.resolve(&id.tag())?;
        let is_gone = !tags.contains_key(&id);
        let comes_back = is_gone && ours.is_none() && is_deployment(repository, &id, target)?;
        if comes_back {
            // Also what a fetch has forgotten that was ended.
            gone.entry(id.clone()).or_insert(None);
            updates.push(RefUpdate { name: id.tag(), old: Expected::Absent, new: Some(target) });
        }
        if comes_back || ours == Some(target) || tags.get(&id) == Some(&target) {
            updates.push(RefUpdate { name, old: Expected::At(target), new: None });
        } else if before.tags.get(&id) == Some(&target) {
            gone.entry(id).and_modify(|aside| *aside = Some(name));
        }
    }
    updates.extend(deleted(repository, tracking, before, &heads)?);
    write(repository, &updates)?;
    Ok(gone.into_iter().map(|(id, aside)| Gone { id, aside }).collect())
}

/// Tells of deployments that are gone on a remote.
fn tell(gone: &[Gone], tracking: &Tracking, observer: &dyn Observer) {
    let remote = tracking.remote();
    let (aside, ours): (Vec<_>, Vec<_>) = gone.iter().partition(|gone| gone.aside.is_some());
    let named: Vec<String> = ours.iter().take(NAMED).map(|gone| format!("'{}'", gone.id)).collect();
    match (ours.len(), named.join(", ")) {
        (0, _) => {}
        (1, tag) => observer.warn(&format!("tag {tag} is gone on '{remote}', and is kept here")),
        (count, tags) if count > NAMED => {
            let more = count - NAMED;
            observer.warn(&format!("tags {tags} and {more} more are gone on '{remote}', and are kept here"));
        }
        (_, tags) => observer.warn(&format!("tags {tags} are gone on '{remote}', and are kept here")),
    }
    for Gone { id, aside } in aside {
        let aside = aside.as_ref().map(RefName::as_str).unwrap_or_default();
        observer.warn(&format!("tag '{id}' is gone on '{remote}'; what it was there is kept as {aside}"));
    }
}

/// Whether a branch was on a remote when a fetch before the last one brought it, and is there no more.
///
/// # Errors
/// When refs or the configuration cannot be read.
pub fn was_deleted(repository: &Repository, tracking: &Tracking, branch: &RefName) -> Result<bool, GitError> {
    if deleted_head(tracking, branch).map_or(Ok(None), |name| repository.resolve(&name))?.is_some() {
        return Ok(true);
    }
    // A plain `git fetch --prune` leaves nothing but what the branch is said to follow. Where it would not have brought the branch,
    // a push leaves no more than that either.
    if !repository.fetch_keeps(tracking, branch)? || repository.refs(&tracking.heads())?.is_empty() {
        return Ok(false);
    }
    let key = |key| format!("branch.{}.{key}", branch.short());
    let is = |key: String, value: &str| {
        repository.config_all(&key).map(|values| values.last().is_some_and(|last| last == value))
    };
    Ok(is(key("merge"), branch.as_str())? && is(key("remote"), tracking.remote())?)
}

/// What is to be written of branches of ours that are gone on the remote, or there again.
fn deleted(
    repository: &Repository,
    tracking: &Tracking,
    before: &Before,
    now: &BTreeMap<RefName, ObjectId>,
) -> Result<Vec<RefUpdate>, GitError> {
    let (mut updates, mut known) = (Vec::new(), BTreeSet::new());
    let prefix = format!("{}heads/", seen_prefix(tracking));
    for kept in repository.refs(&prefix)? {
        let short = kept.name.as_str().strip_prefix(&prefix).unwrap_or_default();
        let Ok(branch) = RefName::branch(short) else { continue };
        if now.contains_key(&branch) || repository.resolve(&branch)?.is_none() {
            updates.push(RefUpdate { name: kept.name, old: Expected::At(kept.target), new: None });
        } else {
            known.insert(branch);
        }
    }
    for (branch, tip) in &before.heads {
        if now.contains_key(branch) || known.contains(branch) || repository.resolve(branch)?.is_none() {
            continue;
        }
        let name = deleted_head(tracking, branch);
        updates.extend(name.map(|name| RefUpdate { name, old: Expected::Absent, new: Some(*tip) }));
    }
    Ok(updates)
}

/// Whether an object is what a deployment's tag leads to.
fn is_deployment(repository: &Repository, id: &DeploymentId, target: ObjectId) -> Result<bool, GitError> {
    Ok(repository.find(target)?.is_some_and(|object| {
        let message = parse_tag(&object.data).ok().filter(|_| object.kind == Kind::Tag);
        message.is_some_and(|(_, message)| Deployment::parse(id.clone(), &message).is_ok())
    }))
}

fn write(repository: &Repository, updates: &[RefUpdate]) -> Result<(), GitError> {
    match repository.update_refs(updates, "deploy-sync: gone") {
        // Somebody else who fetches at the same time writes the same.
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error),
    }
}

/// The deployments' tags in one place.
fn tags_of(repository: &Repository, prefix: &str) -> Result<BTreeMap<DeploymentId, ObjectId>, GitError> {
    let id = |name: &RefName| name.as_str().strip_prefix(prefix)?.parse::<DeploymentId>().ok();
    let tags = repository.refs(&format!("{prefix}deployment-"))?;
    Ok(tags.into_iter().filter_map(|tag| Some((id(&tag.name)?, tag.target))).collect())
}

fn heads_of(repository: &Repository, tracking: &Tracking) -> Result<BTreeMap<RefName, ObjectId>, GitError> {
    let prefix = tracking.heads();
    let branch = |name: &RefName| RefName::branch(name.as_str().strip_prefix(&prefix)?).ok();
    let heads = repository.refs(&prefix)?.into_iter().filter(|head| !head.symbolic);
    Ok(heads.filter_map(|head| Some((branch(&head.name)?, head.target))).collect())
}

/// The tags that are kept aside, with what they lead to.
fn kept_tags(
    repository: &Repository,
    tracking: &Tracking,
) -> Result<Vec<(RefName, DeploymentId, ObjectId)>, GitError> {
    let prefix = format!("{}tags/", seen_prefix(tracking));
    let id = |name: &RefName| name.as_str().strip_prefix(&prefix)?.split_once('/')?.0.parse().ok();
    let kept = repository.refs(&prefix)?.into_iter();
    Ok(kept.filter_map(|kept| id(&kept.name).map(|id| (kept.name, id, kept.target))).collect())
}

/// Where a tag is kept aside: by its object, too, as there can be several that somebody has moved by hand.
fn kept_tag(tracking: &Tracking, id: &DeploymentId, target: ObjectId) -> Option<RefName> {
    RefName::new(format!("{}tags/{id}/{target}", seen_prefix(tracking))).ok()
}

/// Where it is remembered that a remote had a branch that is gone there.
fn deleted_head(tracking: &Tracking, branch: &RefName) -> Option<RefName> {
    RefName::new(format!("{}heads/{}", seen_prefix(tracking), branch.short())).ok()
}

/// Where that is kept which no fetch prunes.
fn seen_prefix(tracking: &Tracking) -> String {
    format!("refs/deploy-seen/{}/", tracking.remote())
}
