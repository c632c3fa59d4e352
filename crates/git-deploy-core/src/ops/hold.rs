//! Holding the queue, and letting it go on.

use crate::config::{ConfigError, Settings};
use crate::git::object::{Commit, Kind};
use crate::git::push::Pushed;
use crate::git::refs::RefsError;
use crate::git::{GitError, Repository};
use crate::hold::{MAX_REASON, QueueHold, hold_ref};
use crate::ids::ObjectId;
use crate::land::Change;
use crate::ops::Observer;
use crate::ops::sync::{self, SyncError};
use crate::record::RecordError;

/// How often it is tried again when somebody else holds or releases the queue at the same moment.
const TRIES: u32 = 5;

/// Why the queue could not be held or released.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The remote cannot be asked, or refuses.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No one reads so much.
    #[error("the reason is longer than {MAX_REASON} bytes")]
    TooLong,
    /// The ref moved every time.
    #[error("somebody else held or released the queue at the same time, again and again")]
    Contended,
}

/// What holds the queue as it was last fetched.
///
/// # Errors
/// When refs or objects cannot be read.
pub fn queue_hold(repository: &Repository, settings: &Settings) -> Result<Option<QueueHold>, GitError> {
    Ok(standing(repository, settings)?.map(|(_, hold)| hold))
}

/// Where the ref stands, and what it says.
fn standing(repository: &Repository, settings: &Settings) -> Result<Option<(ObjectId, QueueHold)>, GitError> {
    let Some(at) = repository.resolve(&settings.authority(&hold_ref()))? else { return Ok(None) };
    let hold = read(repository, at)?.unwrap_or_else(|why| QueueHold::unreadable(&why));
    Ok(Some((at, hold)))
}

/// Reads what a ref leads to that holds the queue.
///
/// # Errors
/// When objects cannot be read; the inner error says what is wrong with it.
pub(in crate::ops) fn read(
    repository: &Repository,
    at: ObjectId,
) -> Result<Result<QueueHold, String>, GitError> {
    read_record(repository, at, 2 * MAX_REASON, QueueHold::parse)
}

/// Reads the text of a commit of at most so many bytes.
///
/// # Errors
/// When objects cannot be read; the inner error says what is wrong with it.
pub(in crate::ops) fn read_record<T>(
    repository: &Repository,
    at: ObjectId,
    most: usize,
    parse: impl FnOnce(&str) -> Result<T, RecordError>,
) -> Result<Result<T, String>, GitError> {
    match repository.read_at_most(at, Kind::Commit, most) {
        Ok(bytes) => Ok(match Commit::parse(&bytes) {
            Ok(commit) => parse(&commit.message_text()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }),
        Err(error @ (GitError::Kind { .. } | GitError::TooLarge { .. })) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Holds the queue for a reason, or releases it where there is none. Returns what held it before.
///
/// # Errors
/// When the remote does not take it: a hold that nobody else sees holds nothing.
pub fn hold_queue(
    repository: &Repository,
    reason: Option<&str>,
    observer: &dyn Observer,
) -> Result<Option<QueueHold>, HoldError> {
    if reason.is_some_and(|reason| reason.len() > MAX_REASON) {
        return Err(HoldError::TooLong);
    }
    let settings = Settings::read(repository)?;
    for _ in 0..TRIES {
        if let Some(tracking) = &settings.remote {
            sync::fetch(repository, tracking, observer)?;
        }
        let (before, held) = standing(repository, &settings)?.unzip();
        let change = match (reason, before) {
            (None, None) => return Ok(None),
            (None, Some(before)) => Change::delete(hold_ref(), before),
            (Some(reason), _) => Change::update(hold_ref(), before, write(repository, reason)?),
        };
        if move_ref(repository, &settings, &change, "deploy: hold", observer)? {
            return Ok(held);
        }
    }
    Err(HoldError::Contended)
}

fn write(repository: &Repository, reason: &str) -> Result<ObjectId, GitError> {
    let identity = repository.identity()?;
    let hold = QueueHold {
        by: identity.who().to_owned(),
        since: Some(identity.time()),
        reason: reason.trim().to_owned(),
    };
    Ok(repository.write_record(&identity, Vec::new(), &hold.to_text())?.0)
}

/// Moves a ref where it counts; false if it no longer stands where it was seen.
///
/// # Errors
/// When the remote cannot be asked, or refuses.
pub(in crate::ops) fn move_ref(
    repository: &Repository,
    settings: &Settings,
    change: &Change,
    message: &str,
    observer: &dyn Observer,
) -> Result<bool, SyncError> {
    let Some(tracking) = &settings.remote else {
        return match repository.update_refs(&[change.as_update()], message) {
            Ok(()) => Ok(true),
            Err(RefsError::Moved(_)) => Ok(false),
            Err(RefsError::Git(error)) => Err(error.into()),
        };
    };
    let remote = || tracking.remote().to_owned();
    match sync::push_and_follow(repository, tracking, &[change.as_push()])? {
        Pushed::Done => Ok(true),
        Pushed::Refused(refusals) => {
            sync::fetch(repository, tracking, observer)?;
            match change.old.holds(repository.resolve(&settings.authority(&change.name))?) {
                true => Err(SyncError::Refused { remote: remote(), refusals }),
                false => Ok(false),
            }
        }
        Pushed::Unreachable(why) => Err(SyncError::Unreachable { remote: remote(), why }),
    }
}
