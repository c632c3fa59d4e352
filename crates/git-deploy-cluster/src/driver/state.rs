//! What one run holds of a cluster.

use std::time::Instant;

use git_deploy_core::environment::Effect;
use git_deploy_manifest::GroupKind;

use crate::connect::Connection;
use crate::discovery::Resources;
use crate::lease::Lease;
use crate::members::SetView;
use crate::plan::Planned;
use crate::set::{Parent, Set};
use crate::target::{Applied, Target};

/// What one run holds of a cluster. Dropped, the Lease is that of a run that died.
#[derive(Default)]
pub(super) struct State {
    /// The way to the cluster, and the kinds that it knows.
    pub(super) session: Option<Session>,
    /// Whose environment it is, once git was asked.
    pub(super) set: Option<Set>,
    /// The right to write.
    pub(super) lease: Option<Lease>,
    /// What the cluster knows of the environment.
    pub(super) parent: Option<Parent>,
    /// What is to be applied, once that is known.
    pub(super) forward: Option<Forward>,
    /// What was applied.
    pub(super) applied: Vec<Applied>,
    /// Until when all must be ready.
    pub(super) deadline: Option<Instant>,
    /// Whether bytes of before are applied again because somebody asked for it.
    pub(super) is_rollback: bool,
    /// What `kubectl rollout history` shows for a revision that this run makes.
    pub(super) cause: Option<String>,
}

/// The way to the cluster, and the kinds that it knows. Cheap to clone but for the kinds.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) resources: Resources,
}

/// What becomes of a one-time job.
pub(super) struct PlannedJob {
    pub(super) target: Target,
    /// Kept where it has succeeded before.
    pub(super) effect: Effect,
    /// Whether one that has ended is made anew.
    pub(super) again: bool,
}

/// What is to be applied.
pub(super) struct Forward {
    /// Object by object.
    pub(super) planned: Planned,
    /// One-time jobs.
    pub(super) jobs: Vec<PlannedJob>,
    /// All that belongs there, also what is not touched.
    pub(super) wanted: Vec<Target>,
    /// Whether the others are deleted when these are ready.
    pub(super) prunes: bool,
    /// Kinds of which nothing is deleted.
    pub(super) spares: Vec<GroupKind>,
}

impl Forward {
    /// The set without the kinds of which nothing is deleted.
    pub(super) fn view(&self, mut view: SetView) -> SetView {
        view.kinds.retain(|kind| !self.spares.contains(kind));
        view
    }
}
