//! What is gone on a remote. A fetch forgets that, and what it keeps of the remote may be all that this clone has of it: a
//! deployment is never lost by somebody else's hand, and what somebody has deleted must not come back as if it were new.

use std::collections::{BTreeMap, BTreeSet};

use super::{SyncError, fetch_again, withdrawn};
use crate::attempt::Attempt;
use crate::git::object::{Kind, parse_tag};
use crate::git::push::Tracking;
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, ObjectId, RefName};
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
    tell(&bring_back(repository, tracking, &before)?, tracking, observer);
    if let Err(error) = remember(repository, tracking, &before) {
        // What was fetched is here all the same.
        observer.warn(&format!("cannot remember what is gone on '{}': {error}", tracking.remote()));
    }
    fetched?;
    let withdrawn =
        withdrawn::by_moves(repository, tracking, &before.heads, &heads_of(repository, tracking)?);
    if !withdrawn.is_empty() {
        observer.withdrawn(&withdrawn);
    }
    Ok(())
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
fn bring_back(repository: &Repository, tracking: &Tracking, before: &Before) -> Result<Vec<Gone>, GitError> {
    let (tags, ours) = (tags_of(repository, &tracking.tags())?, tags_of(repository, OURS)?);
    let is_gone = |id: &DeploymentId| !tags.contains_key(id);
    let is_ours = |(id, target): &(&DeploymentId, &ObjectId)| ours.get(id) == Some(target);
    let mut gone: Vec<Gone> = before
        .tags
        .iter()
        .filter(|(id, _)| is_gone(id))
        .filter(is_ours)
        .map(|(id, _)| Gone { id: id.clone(), aside: None })
        .collect();
    let mut back = Vec::new();
    for (id, kept) in by_id(kept_tags(repository, tracking)?) {
        if !is_gone(&id) {
            continue;
        }
        let last = before.tags.get(&id);
        let is_missing = !ours.contains_key(&id);
        // Also what a fetch has forgotten that was ended.
        let found = if is_missing { choose(repository, tracking, &id, &kept, last)? } else { None };
        if let Some(target) = found {
            gone.push(Gone { id: id.clone(), aside: None });
            back.push(RefUpdate { name: id.tag(), old: Expected::Absent, new: Some(target) });
        }
        let here = ours.get(&id).copied().or(found);
        let aside = kept.into_iter().filter(|(_, target)| last.is_some() && Some(*target) != here);
        gone.extend(aside.map(|(name, _)| Gone { id: id.clone(), aside: Some(name) }));
    }
    write(repository, &back)?;
    Ok(gone)
}

/// Which of the objects that a tag led to on a remote is the deployment that was claimed there: the one that was there last, or
/// the only one. Any other may be what somebody has taken away because it was in a deployment's way.
fn choose(
    repository: &Repository,
    tracking: &Tracking,
    id: &DeploymentId,
    kept: &[(RefName, ObjectId)],
    last: Option<&ObjectId>,
) -> Result<Option<ObjectId>, GitError> {
    let Some(candidate) = claimed(repository, tracking, id)? else { return Ok(None) };
    let mut fitting = Vec::new();
    for (_, target) in kept {
        if is_deployment(repository, id, *target, candidate)? {
            fitting.push(*target);
        }
    }
    let only = if let [only] = fitting[..] { Some(only) } else { None };
    Ok(last.copied().filter(|last| fitting.contains(last)).or(only))
}

/// What was claimed under a number, as far as it is known here.
fn claimed(
    repository: &Repository,
    tracking: &Tracking,
    id: &DeploymentId,
) -> Result<Option<CommitId>, GitError> {
    for name in [tracking.of(&id.attempt()), Some(id.attempt())].into_iter().flatten() {
        // What cannot be read says nothing of what was claimed.
        let Some(at) = repository.resolve(&name)? else { continue };
        let text = repository.commit(CommitId(at)).map(|commit| commit.message_text());
        let attempt = text.ok().and_then(|text| Attempt::parse(id.clone(), &text).ok());
        return Ok(attempt.map(|attempt| attempt.candidate));
    }
    Ok(None)
}

/// Whether an object is the tag of the deployment that was claimed under a number; none where no claim is known, or it is not here.
///
/// # Errors
/// When refs or the object cannot be read.
pub(super) fn is_claimed(
    repository: &Repository,
    tracking: &Tracking,
    id: &DeploymentId,
    target: ObjectId,
) -> Result<Option<bool>, GitError> {
    let Some(candidate) = claimed(repository, tracking, id)? else { return Ok(None) };
    let is_here = repository.find(target)?.is_some();
    is_here.then(|| is_deployment(repository, id, target, candidate)).transpose()
}

/// Forgets what is kept aside and is ours by now, and writes down which branches of ours are gone on the remote. What is still
/// there stays aside, too: the next fetch would keep it again, and another one that runs now may need it.
fn remember(repository: &Repository, tracking: &Tracking, before: &Before) -> Result<(), GitError> {
    let ours = tags_of(repository, OURS)?;
    let kept = kept_tags(repository, tracking)?.into_iter();
    let over = kept.filter(|(_, id, target)| ours.get(id) == Some(target));
    let mut over: Vec<_> = over.map(|(name, _, target)| forgotten(name, target)).collect();
    let (known, back) = known_deleted(repository, tracking)?;
    over.extend(back);
    // First, as one of them may be in the way of another name.
    write(repository, &over)?;
    write(repository, &newly_deleted(repository, tracking, before, &known)?)
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

/// Forgets that a branch is gone on a remote when it is pushed there, where no ref will say that it is there again.
///
/// # Errors
/// When refs or the configuration cannot be read, or a ref cannot be written.
pub fn is_pushed_again(
    repository: &Repository,
    tracking: &Tracking,
    branch: &RefName,
) -> Result<(), GitError> {
    let Some(name) = deleted_head(tracking, branch) else { return Ok(()) };
    match repository.resolve(&name)? {
        Some(target) if !repository.fetch_keeps(tracking, branch)? => {
            write(repository, &[forgotten(name, target)])
        }
        _ => Ok(()),
    }
}

/// The branches of ours of which it is known that they are gone on the remote, and what is to be forgotten of others, which are
/// there again, or gone here as well.
fn known_deleted(
    repository: &Repository,
    tracking: &Tracking,
) -> Result<(BTreeSet<RefName>, Vec<RefUpdate>), GitError> {
    let now = heads_of(repository, tracking)?;
    let (mut known, mut over) = (BTreeSet::new(), Vec::new());
    let prefix = format!("{}heads/", seen_prefix(tracking));
    for kept in repository.refs(&prefix)? {
        let short = kept.name.as_str().strip_prefix(&prefix).unwrap_or_default();
        let Ok(branch) = RefName::branch(short) else { continue };
        if now.contains_key(&branch) || repository.resolve(&branch)?.is_none() {
            over.push(forgotten(kept.name, kept.target));
        } else {
            known.insert(branch);
        }
    }
    Ok((known, over))
}

/// What is to be written of branches of ours that have just gone on the remote.
fn newly_deleted(
    repository: &Repository,
    tracking: &Tracking,
    before: &Before,
    known: &BTreeSet<RefName>,
) -> Result<Vec<RefUpdate>, GitError> {
    let now = heads_of(repository, tracking)?;
    let mut updates = Vec::new();
    for (branch, tip) in &before.heads {
        if now.contains_key(branch) || known.contains(branch) || repository.resolve(branch)?.is_none() {
            continue;
        }
        let name = deleted_head(tracking, branch);
        updates.extend(name.map(|name| RefUpdate { name, old: Expected::Absent, new: Some(*tip) }));
    }
    Ok(updates)
}

/// Whether an object is what a deployment's tag leads to, on the commit that was claimed for it.
fn is_deployment(
    repository: &Repository,
    id: &DeploymentId,
    target: ObjectId,
    candidate: CommitId,
) -> Result<bool, GitError> {
    Ok(repository.find(target)?.is_some_and(|object| {
        let tag = parse_tag(&object.data).ok().filter(|_| object.kind == Kind::Tag);
        tag.is_some_and(|(commit, message)| {
            commit == candidate.0 && Deployment::parse(id.clone(), &message).is_ok()
        })
    }))
}

fn forgotten(name: RefName, target: ObjectId) -> RefUpdate {
    RefUpdate { name, old: Expected::At(target), new: None }
}

/// Writes all that nobody else has written meanwhile: who fetches at the same time writes much the same.
fn write(repository: &Repository, updates: &[RefUpdate]) -> Result<(), GitError> {
    let mut updates = updates.to_vec();
    loop {
        match repository.update_refs(&updates, "deploy-sync: gone") {
            Ok(()) => return Ok(()),
            Err(RefsError::Moved(moved)) => updates.retain(|update| update.name != moved),
            Err(RefsError::Git(error)) => return Err(error),
        }
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

/// What is kept aside of each tag.
fn by_id(kept: Vec<(RefName, DeploymentId, ObjectId)>) -> BTreeMap<DeploymentId, Vec<(RefName, ObjectId)>> {
    let mut tags: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, id, target) in kept {
        tags.entry(id).or_default().push((name, target));
    }
    tags
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
