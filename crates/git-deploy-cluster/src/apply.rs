//! Applying what was planned: all objects of a step at once.
//!
//! Every request can be received twice, and a step can be done again: what is as it should be stays. Dropping the future ends
//! what it does; nothing goes on in the background.

mod single;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::ObjectId;

use crate::api_error::{ApiError, together};
use crate::connect::Connection;
use crate::members::SetView;
use crate::objects::IN_FLIGHT;
use crate::plan::PlannedObject;
use crate::target::Applied;

/// How to apply.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// How long an object of the same name may take to go that is being deleted.
    pub leaving_timeout: Duration,
}

/// Why one object was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyProblem {
    /// The API server did not accept it.
    #[error("{id}: {why}")]
    Refused {
        /// The object.
        id: ObjectId,
        /// What it says.
        why: ApiError,
    },
    /// One of the same name is being deleted and does not go.
    #[error("{id}: the one that is there is being deleted and is still not gone after {seconds} s{}", held(.finalizers))]
    DoesNotGo {
        /// The object.
        id: ObjectId,
        /// How long it was waited for.
        seconds: u64,
        /// What holds it.
        finalizers: Vec<String>,
    },
    /// Another set has taken it meanwhile.
    #[error("{id} belongs to another set of objects since the plan was made, '{}'", set.escape_debug())]
    OtherSet {
        /// The object.
        id: ObjectId,
        /// The set's id.
        set: String,
    },
    /// Somebody else made an object of that name meanwhile.
    #[error("{id}: somebody else made it since the plan was made")]
    Taken {
        /// The object.
        id: ObjectId,
    },
}

fn held(finalizers: &[String]) -> String {
    if finalizers.is_empty() {
        return String::new();
    }
    let finalizers: Vec<String> = finalizers.iter().map(|one| one.escape_debug().to_string()).collect();
    format!(", it has finalizer '{}'", finalizers.join("', '"))
}

impl ApplyProblem {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused { why, .. } => why.blame(),
            Self::DoesNotGo { .. } | Self::OtherSet { .. } | Self::Taken { .. } => Blame::Nobody,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { why, .. } => why.hint(),
            Self::DoesNotGo { .. } => Some("what has put the finalizer there must take it away"),
            Self::OtherSet { .. } => Some("take the object out of one of the two sets; both cannot own it"),
            Self::Taken { .. } => None,
        }
    }
}

/// A step that failed: what was applied all the same, and what was not.
#[derive(Debug, Clone)]
pub struct ApplyError {
    /// What went wrong, at least one thing.
    pub problems: Vec<ApplyProblem>,
    /// What was applied before that, and what was under way then.
    pub applied: Vec<Applied>,
}

impl std::error::Error for ApplyError {}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let complaints = self.problems.iter().map(|problem| match problem {
            ApplyProblem::Refused { id, why } => (problem.to_string(), Some((id, why))),
            _ => (problem.to_string(), None),
        });
        f.write_str(&together(complaints))
    }
}

impl ApplyError {
    /// Whether all that went wrong is that the cluster could not be asked.
    pub(crate) fn is_undecided(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| matches!(problem, ApplyProblem::Refused { why, .. } if why.is_undecided()))
    }

    /// Whose fault it is: the branch's as soon as anything is.
    pub fn blame(&self) -> Blame {
        let is_of_branch = self.problems.iter().any(|problem| problem.blame() == Blame::Branch);
        if is_of_branch { Blame::Branch } else { Blame::Nobody }
    }

    /// What a person can do about it, each thing once.
    pub fn hints(&self) -> BTreeSet<&'static str> {
        self.problems.iter().filter_map(ApplyProblem::hint).collect()
    }
}

/// Applies the objects of a step, all at once. What the plan would keep is not sent.
///
/// After the first failure no further object is begun; those under way are waited for.
///
/// # Errors
/// When any object was not applied.
pub async fn apply_stage(
    connection: &Connection,
    set: &SetView,
    objects: &[PlannedObject],
    options: &ApplyOptions,
) -> Result<Vec<Applied>, ApplyError> {
    let failed = AtomicBool::new(false);
    let mut under_way = stream::iter(objects.iter().enumerate())
        .map(|(index, object)| {
            let failed = &failed;
            async move {
                if failed.load(Ordering::Relaxed) {
                    return None;
                }
                let outcome = single::apply(connection, set, object, options).await;
                failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                Some((index, outcome))
            }
        })
        .buffer_unordered(IN_FLIGHT);
    let (mut applied, mut problems) = (Vec::new(), Vec::new());
    while let Some(done) = under_way.next().await {
        match done {
            Some((index, Ok(object))) => applied.push((index, object)),
            Some((index, Err(problem))) => problems.push((index, problem)),
            None => {}
        }
    }
    applied.sort_by_key(|(index, _)| *index);
    problems.sort_by_key(|(index, _)| *index);
    let applied = applied.into_iter().map(|(_, object)| object).collect();
    let problems: Vec<ApplyProblem> = problems.into_iter().map(|(_, problem)| problem).collect();
    if problems.is_empty() { Ok(applied) } else { Err(ApplyError { problems, applied }) }
}
