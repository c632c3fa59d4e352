//! Bringing and taking what clones share: states, ledger, locks.

mod approved;
mod differing;
mod exchange;
mod foreign;
mod gone;
mod landed;
mod lost;
mod mended;
mod pending;
mod seen;
mod set_back;
mod thrown_away;
mod withdrawn;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::git::notes::{NOTES_REF, NoteBlob, NotesEdit, NotesError, notes_ref};
use crate::git::program::ProgramError;
use crate::git::push::{Lease, PushRef, Pushed, Refusals, Tracking, hangs};
use crate::git::refs::{Expected, RefUpdate, RefsError, backoff};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, ObjectId, RefName};
use crate::machine;
use crate::ops::Observer;
use crate::ops::view::ViewError;
use crate::receive;
use crate::sync;

pub(in crate::ops) use approved::publish as publish_approved;
pub(in crate::ops) use differing::differing;
pub use differing::{Differing, DifferingTag};
pub use exchange::{Exchange, preview};
pub use gone::{fetch_only, is_pushed_again, was_deleted};
pub use lost::Lost;
pub use seen::{Break, Broken, broken_as_fetched, check, was_asked};
pub use withdrawn::{Decided, Earlier, How, Withdrawn, told_withdrawn};

/// How often a push of notes is tried again that was refused without anybody's decision.
const PASSING_TRIES: u32 = 4;
/// How long to wait before that.
const PASSING_PAUSE: Duration = Duration::from_millis(600);

/// How often notes are merged and pushed again when the remote's notes moved meanwhile.
const PUSH_TRIES: u32 = 20;

/// How often a fetch is tried that meets other fetches.
const FETCH_TRIES: u32 = 5;

/// Why states could not be shared.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Branches cannot be moved there just now, though nobody there has decided anything.
    #[error("cannot move branches of remote '{remote}': {why}")]
    Unable {
        /// The remote.
        remote: String,
        /// Why not.
        why: String,
    },
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
    /// The remote said no to branches that were rebased.
    #[error("remote '{remote}' refused rebased branches: {why}")]
    Rejected {
        /// The remote.
        remote: String,
        /// What it refused, and in which words.
        why: String,
    },
    /// The remote takes no deployments back that it has lost.
    #[error("cannot restore deployments on remote '{remote}': it refused {refusals}")]
    NotRestored {
        /// The remote.
        remote: String,
        /// What it refused.
        refusals: Refusals,
    },
    /// What the remote has does not continue what was there: somebody has to say how to go on.
    #[error("{0}")]
    Broken(Box<Broken>),
    /// Ours are not only states.
    #[error("'{NOTES_REF}' holds '{path}', which is no note")]
    NoStates {
        /// What is none.
        path: String,
    },
    /// What ours name is lost, so that no push can send it.
    #[error("{0}")]
    Lost(Box<Lost>),
    /// Branches could not be read.
    #[error(transparent)]
    View(Box<ViewError>),
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
/// When the remote cannot be reached, its states do not continue what was there, or something cannot be written here.
pub fn fetch(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<(), SyncError> {
    fetch_only(repository, tracking, observer)?;
    check(repository, tracking, observer)?;
    merge_and_tell(repository, tracking, observer)?;
    adopt_tags(repository, tracking, observer)
}

/// Fetches, as often as other fetches are in the way.
fn fetch_again(repository: &Repository, tracking: &Tracking) -> Result<(), SyncError> {
    for tries in 1.. {
        let Err(error) = repository.fetch(tracking) else {
            return Ok(seen::remember_asked(repository, tracking)?);
        };
        if matches!(error, GitError::BrokenRef(_)) {
            return Err(error.into());
        }
        if let GitError::Program(ProgramError::TimeLimit { limit, .. }) = error {
            return Err(unreachable(tracking, &hangs(limit)));
        }
        // git does not say in a number whose fault it was. A remote that answers leaves only this side: another fetch that
        // moved the same refs, in which case it helps to try again, or a repository that cannot be written.
        if let Err(silence) = repository.ask(tracking) {
            return Err(unreachable(tracking, &silence));
        }
        if tries == FETCH_TRIES {
            return Err(error.into());
        }
        machine::sleep(backoff(tries));
    }
    Ok(())
}

/// The error for a remote that did not answer, from what git said about it: its first line says why, the further ones give
/// advice for all cases.
fn unreachable(tracking: &Tracking, said: &str) -> SyncError {
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no answer");
    let why = line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned();
    SyncError::Unreachable { remote: tracking.remote().to_owned(), why }
}

/// Merges the notes that were last fetched from a remote into ours, and tells what others have taken back by that.
///
/// # Errors
/// When notes cannot be read or written.
pub fn merge_notes(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    let Some(theirs) = fetched_notes(repository, tracking)? else { return Ok(()) };
    let before = repository.tip(&notes_ref())?;
    merge(repository, tracking, theirs)?;
    seen::remember(repository, tracking, theirs)?;
    let withdrawn = withdrawn::by_decisions(repository, before);
    if !withdrawn.is_empty() {
        observer.withdrawn(&withdrawn);
    }
    Ok(())
}

fn merge_and_tell(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    thrown_away::take_back(repository, tracking, observer)?;
    merge_notes(repository, tracking, observer)
}

fn merge(repository: &Repository, tracking: &Tracking, theirs: CommitId) -> Result<bool, SyncError> {
    let before = repository.notes()?.commit;
    if before == Some(theirs) {
        return Ok(false);
    }
    if contains(repository, before, theirs)? {
        return landed::take_back(repository, tracking, theirs);
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
        let missing = sync::missing(&ours, &texts(repository, &repository.notes_at(Some(theirs))?.all()?)?);
        let edits = missing.into_iter().map(|(commit, text)| (commit, Some(text))).collect();
        Ok(NotesEdit { edits, message, merged: Some(theirs) })
    })?;
    Ok(repository.tip(&notes_ref())? != before)
}

fn contains(repository: &Repository, ours: Option<CommitId>, theirs: CommitId) -> Result<bool, GitError> {
    ours.map_or(Ok(false), |ours| repository.is_ancestor(theirs, ours))
}

/// Reads the texts of notes. What is no note, a blob that is too large among them, is left where it is.
fn texts(
    repository: &Repository,
    blobs: &BTreeMap<CommitId, NoteBlob>,
) -> Result<BTreeMap<CommitId, Vec<u8>>, GitError> {
    let text = |(commit, blob): (&CommitId, &NoteBlob)| match repository.note_bytes(*blob) {
        Ok(Ok(bytes)) => Some(Ok((*commit, bytes))),
        Ok(Err(_)) => None,
        Err(error) => Some(Err(error)),
    };
    blobs.iter().filter_map(text).collect()
}

/// The notes of a remote as they were last fetched.
///
/// # Errors
/// When refs cannot be read.
pub fn fetched_notes(repository: &Repository, tracking: &Tracking) -> Result<Option<CommitId>, GitError> {
    let Some(found) = seen::found(repository, tracking)? else { return Ok(None) };
    // What is no commit holds no notes; to publish is what stops there.
    Ok(seen::odd(repository, found)?.is_none().then_some(CommitId(found)))
}

/// Makes local tags of the remote's deployment tags. One that stands here with other content is left, and said.
fn adopt_tags(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<(), SyncError> {
    let ours: BTreeMap<RefName, ObjectId> =
        repository.refs("refs/tags/deployment-")?.into_iter().map(|tag| (tag.name, tag.target)).collect();
    let mut missing = Vec::new();
    for theirs in repository.refs(&tracking.tags())? {
        let short = theirs.name.as_str().strip_prefix(&tracking.tags()).unwrap_or_default();
        let Ok(id) = short.parse::<DeploymentId>() else { continue };
        let name = id.tag();
        match ours.get(&name) {
            None => missing.push(RefUpdate { name, old: Expected::Absent, new: Some(theirs.target) }),
            Some(target) if *target != theirs.target && is_kept(repository, &name)? => {
                overtake(repository, &name, *target, theirs.target)?;
                observer.warn(&format!(
                    "the verdict of '{}' that was kept here was overtaken on '{}'",
                    name.short(),
                    tracking.remote()
                ));
            }
            Some(target) if *target != theirs.target => {
                let remote = tracking.remote().to_owned();
                let how = differing(repository, tracking, &id, *target, theirs.target)?;
                observer.tag_differs(&DifferingTag { id, remote, theirs: theirs.name, how });
            }
            Some(_) => {}
        }
    }
    match repository.update_refs(&missing, "deploy-sync: fetch") {
        // Somebody else who fetches at the same time makes the same tags.
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error.into()),
    }
}

/// Publishes our notes, merging the remote's as often as these move meanwhile, and the approved commits that they need.
/// Returns whether there was anything to publish.
///
/// # Errors
/// When the remote cannot be reached or refuses, or its states do not continue what was there.
pub fn publish_notes(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<bool, SyncError> {
    check(repository, tracking, observer)?;
    publish(repository, tracking, observer)
}

fn publish(repository: &Repository, tracking: &Tracking, observer: &dyn Observer) -> Result<bool, SyncError> {
    let published = publish_notes_alone(repository, tracking, observer)?;
    approved::publish(repository, tracking, &[])?;
    Ok(published)
}

fn publish_notes_alone(
    repository: &Repository,
    tracking: &Tracking,
    observer: &dyn Observer,
) -> Result<bool, SyncError> {
    for tries in 1..=PUSH_TRIES {
        let Some(ours) = repository.tip(&notes_ref())? else { return Ok(false) };
        let theirs = fetched_notes(repository, tracking)?;
        if theirs == Some(ours) {
            return Ok(tries > 1);
        }
        // A plain `git fetch` brings the remote's notes and merges nothing: with the lease alone they would be lost.
        if let Some(theirs) = theirs
            && !contains(repository, Some(ours), theirs)?
        {
            merge_and_tell(repository, tracking, observer)?;
            continue;
        }
        foreign::refuse(repository, ours, theirs)?;
        // Whatever it is: what is no commit, somebody has said, is to be replaced.
        let expected = Expected::seen(seen::found(repository, tracking)?);
        let push = PushRef { name: notes_ref(), new: Some(ours.0), lease: Lease::From(expected) };
        match push_and_follow(repository, tracking, &[push])? {
            Pushed::Done => return Ok(true),
            Pushed::Unreachable(said) => {
                lost::find(repository, ours, theirs)?;
                return Err(unreachable(tracking, &said));
            }
            Pushed::Refused(refusals) => {
                lost::find(repository, ours, theirs)?;
                fetch(repository, tracking, observer)?;
                let moved = fetched_notes(repository, tracking)? != theirs;
                if !moved && refusals.is_passing() && tries <= PASSING_TRIES {
                    machine::sleep(PASSING_PAUSE);
                    continue;
                }
                let is_of_verdict = receive::is_of_verdict(&refusals.said);
                if !moved && is_of_verdict && mended::mend(repository, tracking, theirs, observer)? {
                    continue;
                }
                if !moved {
                    return Err(SyncError::Refused { remote: tracking.remote().to_owned(), refusals });
                }
                machine::sleep(backoff(tries));
            }
        }
    }
    Err(SyncError::Contended { remote: tracking.remote().to_owned() })
}

/// Pushes, and remembers what was accepted as what the remote has now.
///
/// # Errors
/// When git cannot be run, or a ref cannot be written here.
pub fn push_and_follow(
    repository: &Repository,
    tracking: &Tracking,
    refs: &[PushRef],
) -> Result<Pushed, GitError> {
    let pushed = repository.push(tracking, refs)?;
    if pushed != Pushed::Done {
        return Ok(pushed);
    }
    for push in refs {
        if let Some(notes) = push.new.filter(|_| push.name == notes_ref()) {
            seen::remember(repository, tracking, CommitId(notes))?;
        }
        let Some(name) = tracking.of(&push.name) else { continue };
        let now = repository.resolve(&name)?;
        // git itself writes down what it pushes where a refspec of the remote's says where.
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

/// Fetches, merges and publishes. Returns what was exchanged. With `restore` also where the remote's states do not continue
/// what was there: then it gets ours, together with what it has.
///
/// # Errors
/// When the remote cannot be reached or refuses; without `restore` when its states do not continue what was there.
pub fn full(
    repository: &Repository,
    tracking: &Tracking,
    restore: bool,
    observer: &dyn Observer,
) -> Result<Exchange, SyncError> {
    fetch_only(repository, tracking, observer)?;
    if !restore {
        check(repository, tracking, observer)?;
    }
    // What a fetch has thrown away is ours, and goes there with the rest.
    thrown_away::take_back(repository, tracking, observer)?;
    let mut exchange = exchange::counted(repository, tracking)?;
    merge_notes(repository, tracking, observer)?;
    adopt_tags(repository, tracking, observer)?;
    if let Some(refusals) = pending::push(repository, tracking, observer)? {
        let remote = tracking.remote().to_owned();
        if restore && check(repository, tracking, observer).is_err() {
            // States that speak of them are not taken either.
            return Err(SyncError::NotRestored { remote, refusals });
        }
        observer.warn(&format!("'{remote}' refused deployments: {refusals}"));
    }
    // A note that nobody can read gives way in a merge to one that can.
    exchange.unreadable = exchange::unreadable(repository, fetched_notes(repository, tracking)?)?;
    publish(repository, tracking, observer)?;
    set_back::tell(repository, tracking, observer);
    // What goes there with the verdict that it belongs to has not gone yet.
    let is_there = |tag: &RefName| tracking.of(tag).and_then(|kept| repository.resolve(&kept).ok().flatten());
    exchange.tags_published.retain(|tag| is_there(tag).is_some());
    Ok(exchange)
}

/// Whether a tag is that of a verdict which was kept here while the remote was away.
fn is_kept(repository: &Repository, tag: &RefName) -> Result<bool, GitError> {
    let kept = DeploymentId::from_tag(tag).map_or(Ok(None), |id| repository.resolve(&id.attempt()))?;
    Ok(kept.is_some())
}

/// Takes the remote's verdict in place of one that was kept here and never got there.
fn overtake(
    repository: &Repository,
    tag: &RefName,
    ours: ObjectId,
    theirs: ObjectId,
) -> Result<(), SyncError> {
    let mut updates = vec![RefUpdate { name: tag.clone(), old: Expected::At(ours), new: Some(theirs) }];
    if let Some(id) = DeploymentId::from_tag(tag)
        && let Some(kept) = repository.resolve(&id.attempt())?
    {
        updates.push(RefUpdate { name: id.attempt(), old: Expected::At(kept), new: None });
    }
    match repository.update_refs(&updates, "deploy-sync: overtaken") {
        Ok(()) | Err(RefsError::Moved(_)) => Ok(()),
        Err(RefsError::Git(error)) => Err(error.into()),
    }
}
