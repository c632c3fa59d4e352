//! Bringing and taking what clones share: states, ledger, locks.

use std::collections::BTreeMap;

use crate::git::notes::{NotesEdit, NotesError, notes_ref};
use crate::git::object::Kind;
use crate::git::push::{Lease, PushRef, Pushed, Refusals, Tracking};
use crate::git::refs::{Expected, RefUpdate, RefsError, backoff};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::ops::Observer;
use crate::sync;

/// How often notes are merged and pushed again when the remote's notes moved meanwhile.
const PUSH_TRIES: u32 = 20;

/// Why states could not be shared.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The remote did not answer.
    #[error("cannot reach remote '{remote}': {why}")]
    Unreachable {
        /// The remote.
        remote: String,
        /// What git said.
        why: String,
    },
    /// The remote answered and said no.
    #[error("remote '{remote}' refused {refusals}")]
    Refused {
        /// The remote.
        remote: String,
        /// What it refused.
        refusals: Refusals,
    },
    /// Others pushed notes every time.
    #[error("remote '{remote}' got other notes every time that ours were pushed")]
    Contended {
        /// The remote.
        remote: String,
    },
    /// Notes could not be written.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Fetches all that counts, merges the remote's notes into ours and takes over its deployment tags.
///
/// # Errors
/// When the remote cannot be reached, or something cannot be written here.
pub fn fetch(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<(), SyncError> {
    repository.fetch(tracking).map_err(|error| SyncError::Unreachable {
        remote: tracking.remote().to_owned(),
        why: error.to_string(),
    })?;
    merge_notes(repository, tracking)?;
    adopt_tags(repository, tracking, observer)
}

/// Merges the notes that were last fetched from a remote into ours. Returns whether ours changed.
///
/// # Errors
/// When notes cannot be read or written.
pub fn merge_notes(repository: &Repository, tracking: &Tracking) -> Result<bool, SyncError> {
    let Some(theirs) = fetched_notes(repository, tracking)? else { return Ok(false) };
    let before = repository.tip(&notes_ref())?;
    if contains(repository, before, theirs)? {
        return Ok(false);
    }
    // What is a mere step forward stays one, so that clones that only read end with the remote's very commit.
    if before.is_none_or(|ours| repository.is_ancestor(ours, theirs).unwrap_or(false)) {
        let update = RefUpdate {
            name: notes_ref(),
            old: Expected::seen(before.map(|commit| commit.0)),
            new: Some(theirs.0),
        };
        match repository.update_refs(&[update], "deploy-sync: fast-forward") {
            Ok(()) => return Ok(true),
            Err(RefsError::Moved(_)) => {}
            Err(RefsError::Git(error)) => return Err(error.into()),
        }
    }
    let identity = repository.identity()?;
    repository.write_notes(&identity, |notes| -> Result<NotesEdit, SyncError> {
        let message = format!("merge states of {}", tracking.remote());
        if contains(repository, notes.commit, theirs)? {
            return Ok(NotesEdit { message, ..NotesEdit::default() });
        }
        let ours = texts(repository, &notes.all()?)?;
        let merged = sync::merge(&ours, &texts(repository, &repository.notes_at(Some(theirs))?.all()?)?);
        let changed = merged.into_iter().filter(|(commit, text)| ours.get(commit) != Some(text));
        let edits = changed.map(|(commit, text)| (commit, Some(text))).collect();
        Ok(NotesEdit { edits, message, merged: Some(theirs) })
    })?;
    Ok(repository.tip(&notes_ref())? != before)
}

fn contains(repository: &Repository, ours: Option<CommitId>, theirs: CommitId) -> Result<bool, GitError> {
    ours.map_or(Ok(false), |ours| repository.is_ancestor(theirs, ours))
}

/// Reads the texts of notes.
fn texts(
    repository: &Repository,
    blobs: &BTreeMap<CommitId, ObjectId>,
) -> Result<BTreeMap<CommitId, Vec<u8>>, GitError> {
    blobs.iter().map(|(commit, blob)| Ok((*commit, repository.read(*blob, Kind::Blob)?))).collect()
}

/// The notes of a remote as they were last fetched.
///
/// # Errors
/// When refs cannot be read.
pub fn fetched_notes(repository: &Repository, tracking: &Tracking) -> Result<Option<CommitId>, GitError> {
    tracking.of(&notes_ref()).map_or(Ok(None), |name| repository.tip(&name))
}

/// Makes local tags of the remote's deployment tags. One that stands here with other content is left, and said.
fn adopt_tags(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<(), SyncError> {
    let ours: BTreeMap<RefName, ObjectId> =
        repository.refs("refs/tags/deployment-")?.into_iter().map(|tag| (tag.name, tag.target)).collect();
    let mut missing = Vec::new();
    for theirs in repository.refs(&tracking.tags())? {
        let short = theirs.name.as_str().strip_prefix(&tracking.tags()).unwrap_or_default();
        let Ok(name) = RefName::new(format!("refs/tags/{short}")) else { continue };
        match ours.get(&name) {
            None => missing.push(RefUpdate { name, old: Expected::Absent, new: Some(theirs.target) }),
            Some(target) if *target != theirs.target => observer.warn(&format!(
                "tag '{short}' is not the same here and on '{}': a deployment tag must never be moved",
                tracking.remote()
            )),
            Some(_) => {}
        }
    }
    match repository.update_refs(&missing, "deploy-sync: fetch") {
        // Somebody else who fetches at the same time makes the same tags.
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error.into()),
    }
}

/// Publishes our notes, merging the remote's as often as these move meanwhile. Returns whether there was anything to
/// publish.
///
/// # Errors
/// When the remote cannot be reached or refuses.
pub fn publish_notes(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<bool, SyncError> {
    for tries in 1..=PUSH_TRIES {
        let Some(ours) = repository.tip(&notes_ref())? else { return Ok(false) };
        let theirs = fetched_notes(repository, tracking)?;
        if theirs == Some(ours) {
            return Ok(tries > 1);
        }
        let expected = Expected::seen(theirs.map(|commit| commit.0));
        let push = PushRef { name: notes_ref(), new: Some(ours.0), lease: Lease::From(expected) };
        match push_and_follow(repository, tracking, &[push])? {
            Pushed::Done => return Ok(true),
            Pushed::Unreachable(why) => {
                return Err(SyncError::Unreachable { remote: tracking.remote().to_owned(), why });
            }
            Pushed::Refused(refusals) => {
                fetch(repository, tracking, observer)?;
                if fetched_notes(repository, tracking)? == theirs {
                    return Err(SyncError::Refused { remote: tracking.remote().to_owned(), refusals });
                }
                std::thread::sleep(backoff(tries));
            }
        }
    }
    Err(SyncError::Contended { remote: tracking.remote().to_owned() })
}

/// Pushes, and remembers what was accepted as what the remote has now.
///
/// # Errors
/// When git cannot be run, or a ref cannot be written here.
pub fn push_and_follow(repository: &Repository, tracking: &Tracking, refs: &[PushRef]) -> Result<Pushed, GitError> {
    let pushed = repository.push(tracking, refs)?;
    if pushed != Pushed::Done {
        return Ok(pushed);
    }
    for push in refs {
        let Some(name) = tracking.of(&push.name) else { continue };
        let now = repository.resolve(&name)?;
        if now == push.new {
            continue;
        }
        let update = RefUpdate { name, old: Expected::seen(now), new: push.new };
        match repository.update_refs(&[update], "deploy: push") {
            // A fetch that ran at the same time wrote it: it saw the remote later than we did.
            Ok(()) | Err(RefsError::Moved(_)) => {}
            Err(RefsError::Git(error)) => return Err(error),
        }
    }
    Ok(pushed)
}

/// What a [`full`] exchange did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// Our states changed.
    pub received: bool,
    /// The remote's states changed.
    pub published: bool,
}

/// Fetches, merges and publishes.
///
/// # Errors
/// When the remote cannot be reached or refuses.
pub fn full(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<Synced, SyncError> {
    let before = repository.tip(&notes_ref())?;
    fetch(repository, tracking, observer)?;
    let received = repository.tip(&notes_ref())? != before;
    push_pending_tags(repository, tracking, observer)?;
    let published = publish_notes(repository, tracking, observer)?;
    Ok(Synced { received, published })
}

/// Pushes deployment tags that were made here while the remote was away.
///
/// # Errors
/// When git cannot be run or the remote refuses.
pub fn push_pending_tags(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    let mut pending = Vec::new();
    for tag in repository.refs("refs/tags/deployment-")? {
        let kept = tracking.of(&tag.name).map_or(Ok(None), |name| repository.resolve(&name))?;
        if kept.is_none() {
            pending.push(PushRef { name: tag.name, new: Some(tag.target), lease: Lease::From(Expected::Absent) });
        }
    }
    match push_and_follow(repository, tracking, &pending)? {
        Pushed::Done => Ok(()),
        Pushed::Unreachable(why) => Err(SyncError::Unreachable { remote: tracking.remote().to_owned(), why }),
        Pushed::Refused(refusals) => {
            observer.warn(&format!("'{}' refused deployment tags: {refusals}", tracking.remote()));
            Ok(())
        }
    }
}

