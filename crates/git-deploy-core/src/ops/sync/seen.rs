//! What a remote's states were when they were last seen, so that it shows when somebody has set them back.
//!
//! States on a remote only ever grow: each of our pushes continues what is there. Whoever forces the ref back, deletes it or
//! puts something else there has decided that, or made a mistake; to publish ours over it in silence would be wrong in the
//! first case, and to take it over in the second. So nothing is published then until somebody says how to go on.
//!
//! What git keeps of the remote is no memory, because any `git fetch` overwrites it. Ours always holds what was seen, so that
//! it cannot get lost.

use std::path::PathBuf;

use crate::git::notes::{NOTES_REF, notes_ref};
use crate::git::object::Kind;
use crate::git::push::Tracking;
use crate::git::refs::{Expected, RefUpdate, RefsError};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId, RefName};
use crate::ops::Observer;
use crate::sync;

use super::{FETCH_TRIES, SyncError, contains, fetch_only, texts, unreachable};

/// How many of the commits that ours were at are asked for a history that was rewritten here.
const LOOKED_AT: u8 = 50;

/// What became of the states on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Break {
    /// They are gone.
    Deleted,
    /// They are what they were before.
    SetBack,
    /// Others stand in their place, which do not continue them.
    Replaced,
    /// They continue what ours were before their history was rewritten here, with what was seen.
    RewrittenHere,
    /// Something stands there that cannot be states.
    NoStates(&'static str),
}

/// States on a remote that do not continue what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The remote.
    pub remote: String,
    /// What happened.
    pub what: Break,
    /// What was there when it was last seen, if ours still holds it.
    pub seen: Option<CommitId>,
    /// What is there now.
    pub now: Option<ObjectId>,
    /// Ours.
    pub ours: Option<CommitId>,
    /// How many notes of ours are not there, or not so.
    pub missing: usize,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the states on remote '{}' ", self.remote)?;
        let now = self.now.map(|now| CommitId(now).brief()).unwrap_or_default();
        let seen = self.seen.map(|seen| seen.brief()).unwrap_or_default();
        match self.what {
            Break::Deleted => write!(f, "were deleted: they stood at '{seen}'"),
            Break::SetBack => write!(f, "were set back from '{seen}' to '{now}'"),
            Break::Replaced => write!(f, "were replaced: '{now}' does not continue '{seen}'"),
            Break::RewrittenHere => {
                write!(f, "continue at '{now}' what ours were before their history was rewritten here")
            }
            Break::NoStates(kind) => write!(f, "cannot be read: '{}' there is a {kind}", notes_ref()),
        }
    }
}

/// What stands on the remote's notes ref, as it was last fetched, whatever it is.
pub(super) fn found(repository: &Repository, tracking: &Tracking) -> Result<Option<ObjectId>, GitError> {
    tracking.of(&notes_ref()).map_or(Ok(None), |name| repository.resolve(&name))
}

/// What an object is, if it is no commit.
pub(super) fn odd(repository: &Repository, id: ObjectId) -> Result<Option<&'static str>, GitError> {
    Ok(match repository.find(id)?.map(|object| object.kind) {
        Some(Kind::Commit) => None,
        Some(kind) => Some(kind.as_str()),
        None => Some("missing object"),
    })
}

/// Looks whether the remote's states, as they were last fetched, continue what was there before.
///
/// # Errors
/// [`SyncError::Broken`] if they do not; when the remote has to be asked again and does not answer.
pub fn check(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<(), SyncError> {
    for _ in 0..FETCH_TRIES {
        let now = found(repository, tracking)?;
        let Some(broken) = broken(repository, tracking, now)? else { return Ok(()) };
        // A fetch that began before our last push may have ended after it: only the remote's own word counts.
        let there = repository.ask_for(tracking, &notes_ref());
        if there.map_err(|silence| unreachable(tracking, &silence))? == now {
            return Err(SyncError::Broken(Box::new(broken)));
        }
        fetch_only(repository, tracking, observer)?;
    }
    Err(SyncError::Contended { remote: tracking.remote().to_owned() })
}

/// What has become of the remote's states, as they were last fetched, if they do not continue what was there before. For
/// whoever only tells of it: the remote is not asked.
///
/// # Errors
/// When refs or notes cannot be read.
pub fn broken_as_fetched(repository: &Repository, tracking: &Tracking) -> Result<Option<Broken>, SyncError> {
    broken(repository, tracking, found(repository, tracking)?)
}

fn broken(
    repository: &Repository,
    tracking: &Tracking,
    now: Option<ObjectId>,
) -> Result<Option<Broken>, SyncError> {
    let seen = seen_ref(tracking).map_or(Ok(None), |name| repository.tip(&name))?;
    // Where ours is no commit that is told as what it is.
    let ours = repository.notes()?.commit;
    let kind = now.map_or(Ok(None), |now| odd(repository, now))?;
    let theirs = now.filter(|_| kind.is_none()).map(CommitId);
    let what = match (kind, seen) {
        (Some(kind), _) => Break::NoStates(kind),
        (None, None) => return Ok(None),
        // Who has given up ours for what is there has decided.
        (None, Some(seen)) if contains(repository, theirs, seen)? || !contains(repository, ours, seen)? => {
            return Ok(None);
        }
        (None, Some(seen)) => match theirs {
            None => Break::Deleted,
            Some(theirs) if contains(repository, Some(seen), theirs)? => Break::SetBack,
            Some(theirs) if was_rewritten(repository, ours, theirs)? => Break::RewrittenHere,
            Some(_) => Break::Replaced,
        },
    };
    let read = |commit| texts(repository, &repository.notes_at(commit)?.all()?);
    let missing = sync::missing(&read(theirs)?, &read(ours)?).len();
    let held = seen.map_or(Ok(false), |seen| contains(repository, ours, seen))?;
    let seen = seen.filter(|_| held);
    Ok(Some(Broken { remote: tracking.remote().to_owned(), what, seen, now, ours, missing }))
}

/// Whether ours were once something that the remote's continue, and that ours do not any more. What rewrites all refs, as `git
/// filter-branch` can, rewrites what was seen, too.
fn was_rewritten(
    repository: &Repository,
    ours: Option<CommitId>,
    theirs: CommitId,
) -> Result<bool, GitError> {
    for (before, _) in repository.reflog(NOTES_REF, LOOKED_AT)? {
        if contains(repository, Some(theirs), before)? && !contains(repository, ours, before)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Remembers what the remote has as seen, be it merged into ours or just pushed there. Only what continues what was seen before.
pub(super) fn remember(
    repository: &Repository,
    tracking: &Tracking,
    theirs: CommitId,
) -> Result<(), GitError> {
    let Some(name) = seen_ref(tracking) else { return Ok(()) };
    let seen = repository.tip(&name)?;
    if seen == Some(theirs) {
        return Ok(());
    }
    let ours = repository.tip(&notes_ref())?;
    let given_up = |seen| Ok::<_, GitError>(!contains(repository, ours, seen)?);
    if let Some(seen) = seen
        && !contains(repository, Some(theirs), seen)?
        && !given_up(seen)?
    {
        return Ok(());
    }
    let update = RefUpdate { name, old: Expected::seen(seen.map(|commit| commit.0)), new: Some(theirs.0) };
    match repository.update_refs(&[update], "deploy-sync: seen") {
        // Somebody else remembers at the same time.
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error),
    }
}

/// Where it is remembered: in no place that a fetch prunes.
fn seen_ref(tracking: &Tracking) -> Option<RefName> {
    RefName::new(format!("refs/deploy-seen/{}/notes", tracking.remote())).ok()
}

/// Whether the remote was ever asked for its states, as far as it shows without asking it.
///
/// # Errors
/// When refs cannot be read.
pub fn was_asked(repository: &Repository, tracking: &Tracking) -> Result<bool, GitError> {
    let seen = || seen_ref(tracking).map_or(Ok(None), |name| repository.resolve(&name));
    Ok(found(repository, tracking)?.is_some()
        || asked_mark(repository, tracking).exists()
        || seen()?.is_some())
}

/// Remembers that the remote was asked, where it had nothing that would show it.
pub(super) fn remember_asked(repository: &Repository, tracking: &Tracking) -> Result<(), GitError> {
    if was_asked(repository, tracking)? {
        return Ok(());
    }
    let (dir, path) = (repository.deploy_dir(), asked_mark(repository, tracking));
    std::fs::create_dir_all(&dir).map_err(GitError::file(&dir))?;
    std::fs::write(&path, "").map_err(GitError::file(&path))
}

/// An empty file, because there is no object that a ref could lead to.
fn asked_mark(repository: &Repository, tracking: &Tracking) -> PathBuf {
    repository.deploy_dir().join(format!("asked-{}", tracking.remote().replace('/', "%")))
}
