//! What an exchange with a remote comes to, before it is made: what really changes on each side, and no more.

use std::collections::{BTreeMap, BTreeSet};

use super::{SyncError, contains, fetched_notes, pending, texts};
use crate::git::notes::NotesError;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::note::NoteError;
use crate::ops::receive::changed_notes;
use crate::sync;

/// What two sides do not both have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// How many notes become others here, appear or go, when the remote's are merged into ours.
    pub notes_received: usize,
    /// How many do there, when what comes of that is published.
    pub notes_published: usize,
    /// Deployment tags that the remote has and we have not.
    pub tags_received: Vec<RefName>,
    /// Deployment tags that we have and the remote has not.
    pub tags_published: Vec<RefName>,
    /// Notes of ours that the remote gets and nobody can read.
    pub unreadable: Vec<(CommitId, NoteError)>,
}

/// What would be exchanged with a remote, as it was last fetched.
///
/// # Errors
/// When refs or notes cannot be read.
pub fn preview(repository: &Repository, tracking: &Tracking) -> Result<Exchange, SyncError> {
    let unreadable = unreadable(repository, fetched_notes(repository, tracking)?)?;
    Ok(Exchange { unreadable, ..counted(repository, tracking)? })
}

/// The same without what cannot be read.
pub(super) fn counted(repository: &Repository, tracking: &Tracking) -> Result<Exchange, SyncError> {
    let theirs = fetched_notes(repository, tracking)?;
    let (notes_received, notes_published) = preview_notes(repository, theirs)?;
    let our_tags = repository.refs("refs/tags/deployment-")?.into_iter().map(|tag| tag.name);
    let our_tags: BTreeSet<RefName> =
        our_tags.filter(|name| DeploymentId::from_tag(name).is_some()).collect();
    let (tags_published, _) = pending::tags(repository, tracking)?;
    let prefix = tracking.tags();
    let their_tags: BTreeSet<RefName> = repository
        .refs(&prefix)?
        .iter()
        .filter_map(|tag| tag.name.as_str().strip_prefix(&prefix)?.parse().ok())
        .map(|id: DeploymentId| id.tag())
        .collect();
    Ok(Exchange {
        notes_received,
        notes_published,
        tags_received: their_tags.difference(&our_tags).cloned().collect(),
        tags_published: tags_published.into_iter().map(|tag| tag.name).collect(),
        unreadable: Vec::new(),
    })
}

/// The notes that a remote with these notes has not, or not so, and that cannot be read. What is no tree of notes is told
/// elsewhere.
pub(super) fn unreadable(
    repository: &Repository,
    theirs: Option<CommitId>,
) -> Result<Vec<(CommitId, NoteError)>, GitError> {
    let ours = repository.notes()?;
    let Some(tree) = ours.tree() else { return Ok(Vec::new()) };
    let theirs = theirs.map(|theirs| repository.commit(theirs)).transpose()?.map(|theirs| theirs.tree);
    let mut found = Vec::new();
    for change in changed_notes::changes(repository, theirs, tree)?.unwrap_or_default() {
        if change.note_after().is_none_or(|note| note.is_ok()) {
            continue;
        }
        match ours.get(change.commit) {
            Err(NotesError::Note { commit, error }) => found.push((commit, error)),
            Err(NotesError::Git(error)) => return Err(error),
            Ok(_) | Err(NotesError::TooLarge { .. } | NotesError::Contended) => {}
        }
    }
    Ok(found)
}

/// How many notes the merge would change of ours, and how many the push after it of the remote's.
fn preview_notes(repository: &Repository, theirs: Option<CommitId>) -> Result<(usize, usize), GitError> {
    let our_notes = repository.notes()?;
    let Some(theirs) = theirs else { return Ok((0, our_notes.all()?.len())) };
    if our_notes.commit == Some(theirs) {
        return Ok((0, 0));
    }
    let (ours, there) = (our_notes.all()?, repository.notes_at(Some(theirs))?.all()?);
    if contains(repository, our_notes.commit, theirs)? {
        return Ok((0, differing(&ours, &there)));
    }
    if our_notes.commit.map_or(Ok(true), |ours| repository.is_ancestor(ours, theirs))? {
        return Ok((differing(&ours, &there), 0));
    }
    let (mut ours, there) = (texts(repository, &ours)?, texts(repository, &there)?);
    let received = sync::missing(&ours, &there);
    let count = received.len();
    ours.extend(received);
    Ok((count, differing(&ours, &there)))
}

/// How many commits have not the same in both.
fn differing<T: PartialEq>(one: &BTreeMap<CommitId, T>, other: &BTreeMap<CommitId, T>) -> usize {
    let commits: BTreeSet<&CommitId> = one.keys().chain(other.keys()).collect();
    commits.into_iter().filter(|commit| one.get(commit) != other.get(commit)).count()
}
