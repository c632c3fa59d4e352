//! Approving what was verified in one environment to go on to the next, and taking that back: what is read and written.

use crate::config::Settings;
use crate::git::{GitError, Repository};
use crate::ids::{EnvironmentName, IdError, ObjectId};
use crate::land::Change;
use crate::ops::Observer;
use crate::ops::hold::{move_ref, read_record};
use crate::ops::sync::{self, SyncError};
use crate::promotion::{MAX_BYTES, Promotion, promotion_ref};

/// How often it is tried again when somebody else approves at the same moment.
const TRIES: u32 = 5;

/// What stands in a ref of approvals, or why that cannot be read.
pub type Found = Result<Promotion, String>;

/// The approval to go on to an environment, as it was last fetched.
///
/// # Errors
/// When refs or objects cannot be read; the inner error says of one that cannot be read which it is, and why.
pub fn promotion(
    repository: &Repository,
    settings: &Settings,
    environment: &EnvironmentName,
) -> Result<Option<Found>, GitError> {
    Ok(standing(repository, settings, environment)?.map(|(_, promotion)| promotion))
}

fn standing(
    repository: &Repository,
    settings: &Settings,
    environment: &EnvironmentName,
) -> Result<Option<(ObjectId, Found)>, GitError> {
    let Ok(name) = promotion_ref(environment) else { return Ok(None) };
    let Some(at) = repository.resolve(&settings.authority(&name))? else { return Ok(None) };
    let read = read(repository, at)?.map_err(|why| format!("'{name}' cannot be read: {why}"));
    Ok(Some((at, read)))
}

/// Where the approval to go on to an environment stands, as it was last fetched.
///
/// # Errors
/// When refs cannot be read.
pub(in crate::ops) fn stands_at(
    repository: &Repository,
    settings: &Settings,
    environment: &EnvironmentName,
) -> Result<Option<ObjectId>, GitError> {
    promotion_ref(environment).map_or(Ok(None), |name| repository.resolve(&settings.authority(&name)))
}

/// Reads what a ref leads to that approves.
///
/// # Errors
/// When objects cannot be read; the inner error says what is wrong with it.
pub(in crate::ops) fn read(repository: &Repository, at: ObjectId) -> Result<Found, GitError> {
    read_record(repository, at, MAX_BYTES, Promotion::parse)
}

/// Why an approval was not written.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// The remote cannot be asked, or refuses.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The ref has no name.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The ref moved meanwhile.
    #[error("somebody else approved or withdrew at the same time: look at what waits now")]
    Contended,
}

/// Writes an approval to go on to an environment where it counts, or takes it back where there is none to write. It takes the
/// place of what was `seen` when it was decided, and of nothing else. Returns what stood there before, or why that could not be
/// read.
///
/// # Errors
/// When the remote does not take it: what nobody else sees approves nothing.
pub(in crate::ops) fn write(
    repository: &Repository,
    settings: &Settings,
    environment: &EnvironmentName,
    (seen, wanted): (Option<ObjectId>, Option<&Promotion>),
    observer: &dyn Observer,
) -> Result<Option<Found>, PromoteError> {
    let name = promotion_ref(environment)?;
    for _ in 0..TRIES {
        if let Some(tracking) = &settings.remote {
            sync::fetch(repository, tracking, observer)?;
        }
        let (before, stood) = standing(repository, settings, environment)?.unzip();
        if before != seen {
            return Err(PromoteError::Contended);
        }
        let change = match (wanted, before) {
            (None, None) => return Ok(None),
            (None, Some(before)) => Change::delete(name.clone(), before),
            (Some(wanted), before) => {
                let identity = repository.identity()?;
                let written = repository.write_record(&identity, vec![wanted.commit], &wanted.to_text())?;
                Change::update(name.clone(), before, written.0)
            }
        };
        if move_ref(repository, settings, &change, "deploy: promotion", observer)? {
            return Ok(stood);
        }
    }
    Err(PromoteError::Contended)
}
