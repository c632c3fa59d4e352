//! Deployments that were begun and have no verdict yet: while there is one, the queue waits.

use std::collections::BTreeSet;

use crate::attempt::Attempt;
use crate::branch::{Branch, Status};
use crate::deployment::Phase;
use crate::git::GitError;
use crate::git::push::Tracking;
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::ops::view::View;
use crate::record::RecordError;
use crate::state::State;

/// Why it cannot be said what is under way.
#[derive(Debug, thiserror::Error)]
pub enum UnderWayError {
    /// An attempt cannot be read.
    #[error("'{name}' cannot be read: {error}")]
    Record {
        /// The ref.
        name: RefName,
        /// What is wrong with it.
        error: RecordError,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// The deployments without a verdict, by name, as they stand where they count: on the remote as last fetched, or here
/// where there is none.
///
/// # Errors
/// When refs or an attempt cannot be read.
pub fn under_way(view: &View<'_>) -> Result<Vec<Attempt>, UnderWayError> {
    let remote = view.settings.remote.as_ref();
    let tags = remote.map_or_else(|| "refs/tags/".to_owned(), Tracking::tags);
    // Attempts are kept for ever. Nearly all have their tag, and then need not be read.
    let tagged: BTreeSet<DeploymentId> =
        ids(view, &tags, "deployment-")?.into_iter().map(|(id, _)| id).collect();
    let open = attempts(view)?.into_iter().filter(|(id, _)| !tagged.contains(id));
    let mut under_way = Vec::new();
    for (id, at) in open {
        let attempt = read(view, id, at)?;
        if attempt.phase != Phase::Finished {
            under_way.push(attempt);
        }
    }
    Ok(under_way)
}

/// Whether base has got what an attempt deploys by that: only its verdict is missing.
///
/// # Errors
/// When history cannot be read.
pub fn is_on_base(view: &View<'_>, attempt: &Attempt) -> Result<bool, GitError> {
    let lands = attempt.phase == Phase::Verified && attempt.id.environment.is_none();
    let was_there = || view.repository.is_ancestor(attempt.candidate, attempt.base);
    Ok(lands && view.is_on_base(attempt.candidate)? && !was_there()?)
}

/// Whether a branch looks as if something was landing it: base has it without a verdict, or its note says that it is deployed and
/// no verdict does.
pub fn looks_landing(branch: &Branch) -> bool {
    let is_noted = || branch.note.as_ref().is_some_and(|note| note.state == State::Deployed);
    matches!(branch.status, Status::Merged { .. }) || branch.status == Status::Development && is_noted()
}

/// What is landing a branch, if anything is: the one without a verdict among these that is verified, and deploys its tip.
pub fn landing<'a>(under_way: &'a [Attempt], branch: &Branch) -> Option<&'a Attempt> {
    under_way.iter().filter(|_| looks_landing(branch)).find(|attempt| {
        let lands = attempt.phase == Phase::Verified && attempt.id.environment.is_none();
        lands && attempt.branch.as_ref() == Some(&branch.name) && attempt.candidate == branch.tip
    })
}

/// An attempt as it stands where it counts.
///
/// # Errors
/// When it cannot be read.
pub fn attempt(view: &View<'_>, id: &DeploymentId) -> Result<Option<Attempt>, UnderWayError> {
    let at = view.repository.resolve(&view.settings.authority(&id.attempt()))?;
    at.map(|at| read(view, id.clone(), CommitId(at))).transpose()
}

fn read(view: &View<'_>, id: DeploymentId, at: CommitId) -> Result<Attempt, UnderWayError> {
    let name = id.attempt();
    let text = view.repository.commit(at)?.message_text();
    Attempt::parse(id, &text).map_err(|error| UnderWayError::Record { name, error })
}

/// All attempts, by name, with what their refs lead to where they count.
pub(super) fn attempts(view: &View<'_>) -> Result<Vec<(DeploymentId, CommitId)>, GitError> {
    let remote = view.settings.remote.as_ref();
    let deploy = remote.map_or_else(|| "refs/deploy/".to_owned(), Tracking::deploy);
    ids(view, &format!("{deploy}attempts/"), "")
}

/// The refs below a prefix that are named like deployments, with what they lead to.
fn ids(view: &View<'_>, place: &str, beginning: &str) -> Result<Vec<(DeploymentId, CommitId)>, GitError> {
    let found = view.repository.refs(&format!("{place}{beginning}"))?;
    let named = |name: &RefName| name.as_str().strip_prefix(place)?.parse::<DeploymentId>().ok();
    Ok(found.iter().filter_map(|found| Some((named(&found.name)?, CommitId(found.target)))).collect())
}
